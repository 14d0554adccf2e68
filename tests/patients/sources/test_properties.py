import json
import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from backend.patients.sources.csv import read_csv
from backend.patients.sources.fhir import parse_resource, read_bundle, read_folder
from backend.patients.sources.reasons import REASONS
from backend.patients.sources.records import OccasionRecord, PatientRecord, Problem, RelatedPersonRecord, Where
from backend.patients.sources.resources import READ_TYPES
from backend.patients.sources.telecoms import normalise_email, normalise_phone

RECORDS = (PatientRecord, RelatedPersonRecord, OccasionRecord)

ELEMENTS = [
    "id", "identifier", "system", "value", "name", "family", "given", "use", "telecom", "rank", "period", "start",
    "end", "birthDate", "deceasedBoolean", "deceasedDateTime", "gender", "communication", "language", "coding",
    "code", "address", "line", "country", "active", "link", "type", "patient", "subject", "reference",
    "participant", "actor", "status", "vaccineCode", "occurrenceDateTime", "minutesDuration", "relationship",
    "display", "text", "location", "fullUrl", "resource", "entry", "request", "method",
]  # fmt: skip
TEXTS = [
    "Patient", "Patient/1", "urn:uuid:1", "Patient?identifier=a|b", "Location/2", "2020", "2020-02-30", "2020-05-05",
    "2026-12-01T10:00:00+01:00", "0639981234", "a@example.org", "phone", "email", "old", "fr", "booked", "finished",
    "completed", "http://hl7.org/fhir/sid/cvx", "140", "FR", "official", "replaced-by", "PUT", "Bundle",
]  # fmt: skip

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(TEXTS)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(ELEMENTS) | st.text(max_size=5), inner),
    max_leaves=25,
)
resources = st.builds(
    lambda kind, parts: {**parts, "resourceType": kind},
    st.sampled_from(READ_TYPES),
    st.dictionaries(st.sampled_from(ELEMENTS), json_values, max_size=12),
)
lines = st.lists(
    st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b""))
    | resources.map(lambda resource: json.dumps(resource).encode())
    | st.sampled_from([b"", b"  ", b'{"resourceType":"Patient","id":"1"}', b'{"resourceType":"Patient","id":"1"'])
)


def check(found):
    """Only records and problems, every reason with its sentence; returns the lines that became either."""
    for each in found:
        assert isinstance(each, (*RECORDS, Problem))
        assert not isinstance(each, Problem) or each.reason in REASONS
    kept = [each.where.line for each in found if isinstance(each, RECORDS)]
    refused = [each.where.line for each in found if isinstance(each, Problem) and each.kind == "refused"]
    return kept, refused


@settings(deadline=None)
@given(lines=lines, ended=st.booleans())
@example(lines=[b"\xef\xbb\xbf", b'{"resourceType":"Patient","id":"1"}'], ended=False)
def test_every_line_of_any_bytes_is_one_record_or_one_refusal(lines, ended):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Patient.ndjson").write_bytes(b"\n".join(lines) + (b"\n" if ended else b""))
        kept, refused = check(list(read_folder(Path(folder)).records()))

    first = [line.removeprefix(b"\xef\xbb\xbf") for line in lines[:1]]
    not_blank = [number for number, line in enumerate([*first, *lines[1:]], start=1) if line.strip(b" \t\r\n")]
    assert sorted(kept + refused) == not_blank


@settings(deadline=None)
@given(resource=resources | st.dictionaries(st.text(max_size=5), json_values, max_size=5))
def test_any_resource_is_one_record_or_one_refusal(resource):
    record, problems = parse_resource(resource, where=Where(file="f", line=1))

    kept, refused = check([*problems, *([record] if record else [])])
    assert len(kept) + len(refused) == 1
    assert record is None or all(problem.kind == "unusable" for problem in problems)


@settings(deadline=None)
@given(entries=st.lists(st.builds(lambda resource: {"resource": resource}, resources) | json_values, max_size=4))
def test_every_entry_of_any_bundle_is_one_record_or_one_refusal(entries):
    kept, refused = check(list(read_bundle({"resourceType": "Bundle", "type": "batch", "entry": entries})))

    assert sorted(kept + refused) == list(range(1, len(entries) + 1))


cells = st.text(alphabet=st.characters(blacklist_characters='";\n\r', codec="utf-8"), max_size=12)
rows = st.lists(st.sampled_from(TEXTS).filter(lambda text: '"' not in text) | cells, min_size=3, max_size=5)


@settings(deadline=None)
@given(rows=st.lists(rows, max_size=6))
def test_every_row_is_one_patient_or_one_refusal(rows):
    written = [";".join(row).encode() for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "patients.csv")
        path.write_bytes(b"\n".join([b"IPP;Nom;Mobile;Ville", *written]))
        kept, refused = check(list(read_csv(path)))

    # A row of white space and separators is blank; what counts as white space inside a cell is Python's word.
    blank = {number for number, row in enumerate(rows, start=2) if len(row) == 4 and not "".join(row).strip()}
    blank |= {number for number, line in enumerate(written, start=2) if not line.strip(b" \t\r\n")}
    assert sorted(kept + refused) == [number for number in range(2, len(rows) + 2) if number not in blank]


@settings(deadline=None)
@given(content=st.binary(max_size=300), head=st.sampled_from([b"", b"IPP;Nom;Mobile;RDV\n", b'"IPP","Nom"\n']))
@example(content=b'1;"\n2;"a\n3;b"\n"', head=b"IPP;Nom\n")
def test_any_bytes_in_a_csv_file_end_in_records_and_problems(content, head):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "patients.csv")
        path.write_bytes(head + content)
        kept, refused = check(list(read_csv(path)))

    assert len(refused) == len(set(refused))
    assert not set(kept) & set(refused)


@settings(deadline=None)
@given(
    text=st.text(max_size=60) | st.text(alphabet="+0123456789 ().-/", max_size=25), region=st.sampled_from(["FR", "US"])
)
def test_any_text_is_a_number_or_a_reason_and_a_number_stays_itself(text, region):
    found = normalise_phone(text, region)

    assert found.usable or found.value == text
    assert not found.usable or normalise_phone(found.value, "GB").value == found.value


@settings(deadline=None)
@given(text=st.text(max_size=60) | st.emails())
def test_any_text_is_an_address_or_a_reason_and_an_address_stays_itself(text):
    found = normalise_email(text)

    assert found.usable or found.value == text
    assert not found.usable or normalise_email(found.value).value == found.value
