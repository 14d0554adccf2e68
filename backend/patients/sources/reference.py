"""The page docs/reference/import.md, written from the tables that the import itself goes by.

`python -m backend.patients.sources.reference > docs/reference/import.md` renews it; a test fails when it is old.
"""

import sys
from collections.abc import Iterable, Mapping
from typing import Final

from backend.patients.sources import csv, lines, resources, vaccines
from backend.patients.sources.elements import NAME_LIMIT, TEXT_LIMIT
from backend.patients.sources.reasons import REASONS
from backend.policy.vocabulary import Language

_PATIENT: Final = (
    ("`id`, `identifier`", "recognise the patient again; identifiers count when they have a system and a value"),
    (
        "`active`",
        "absent means true; what can not be read means false, and the patient is not contacted",
    ),
    ("`name`", "`official`, else `usual`, else the first that is not `old` or `maiden`"),
    ("`birthDate`", "a whole date, not after today; otherwise none is kept"),
    ("`deceasedBoolean`, `deceasedDateTime`", "whatever can not be read marks the patient as deceased, see above"),
    ("`gender`", "as it is"),
    ("`communication`", "the first preferred language that exists here, else the first other one"),
    ("`telecom`", "`phone`, `sms` and `email`; `use`, `rank` and `period` count"),
    ("`address`", "`home`, else the first that is not `old`; its country decides how telephone numbers are read"),
    ("`link`", "a patient who was `replaced-by` another is refused"),
)
_RELATED_PERSON: Final = (
    ("`id`, `identifier`, `active`, `name`, `telecom`", "as for a patient"),
    ("`patient`", "whom this person stands by; needed"),
    ("`relationship`", "`mother`, `father`, `parent`, `guardian`, `spouse`, `child` or `other`"),
    ("`period`", "from when to when; of an incomplete date the day that makes the time shorter"),
)
_APPOINTMENT: Final = (
    ("`id`, `identifier`", "recognise the appointment again"),
    ("`status`", "needed"),
    ("`start`, `end`", "`start` is needed once the appointment is booked"),
    ("`minutesDuration`", "gives the end where none is said: 1 to 527040, a year"),
    ("`participant.actor`", "one patient; the names of the first place and the first practitioner"),
    ("`participant.status`", "`declined` by the patient means cancelled"),
    ("`serviceType`, `appointmentType`, `description`", "what it is called, the first of them that says it"),
)
_ENCOUNTER: Final = (
    ("`id`, `identifier`", "recognise the encounter again"),
    ("`status`, `subject`", "needed"),
    ("`period`", "from when to when"),
    ("`type`", "what it is called"),
    ("`location`, `serviceProvider`, `participant.individual`", "the names of the place and the practitioner"),
)
_IMMUNISATION: Final = (
    ("`id`, `identifier`", "recognise the vaccination again"),
    ("`status`, `patient`, `vaccineCode`", "needed; the code becomes a topic, see below"),
    ("`occurrenceDateTime`", "when; of a year or a month alone, nothing is kept"),
    ("`location`, `performer.actor`", "the names of the place and the practitioner"),
)
_RESOURCES: Final = (
    ("Patient", _PATIENT),
    ("RelatedPerson", _RELATED_PERSON),
    ("Appointment", _APPOINTMENT),
    ("Encounter", _ENCOUNTER),
    ("Immunization", _IMMUNISATION),
)

_CELLS: Final = {
    "identifier": "the patient's number at the clinic; needed",
    "family_name": "needed as a column; an empty cell is reported",
    "given_names": "several are separated by commas",
    "birth_date": "`31/12/1980` or `1980-12-31`, not after today; otherwise none is kept",
    "gender": "`F`, `M`, `autre`, `inconnu`, or in words",
    "mobile": "a telephone number",
    "phone": "a telephone number",
    "email": "an e-mail address",
    "language": "`fr` or `en`, or in words",
    "address": "one line",
    "address_2": "one line",
    "postal_code": "as it is",
    "city": "as it is",
    "country": "a name, or two letters; decides how telephone numbers are read",
    "deceased": "`oui`, `non`, or the date; what can not be read marks the patient as deceased",
    "deceased_on": "the date; what can not be read marks the patient as deceased",
    "active": "`oui` or `non`; empty means yes; what can not be read means no, and the patient is not contacted",
    "appointment_at": "`31/12/2026 14:30`, or ISO 8601, on the clock of the clinic",
    "appointment_time": "the time, when the column above holds the day alone",
    "appointment_end": "like the start",
    "appointment_id": "recognises an appointment that was moved; without it, a moved one is a new one",
    "appointment_status": "`prévu`, `en attente`, `annulé`, `honoré`, `absent`, or in English; empty means booked",
    "appointment_place": "as it is",
    "appointment_with": "as it is",
    "appointment_label": "what the appointment is called",
}

_OPENING: Final = f"""# What an import reads

*Written by `backend/patients/sources/reference.py` from the tables that the import goes by; do not edit it here.*

An import reads patients, those who stand by them, and the dates that messages count from. Every line that is not blank
ends up as a record or as a refusal with file, line, field and reason. A report holds no values, only where they stand.
The commands end with exit code 1 when a line was refused or a file could not be read, although all the rest was taken
over; with 0 only when nothing was lost.

## What costs a record

The record is refused, and what was known of it before stays as it is, when

- the line or row can not be read as such, is cut off, too long or too deeply nested, or names an element twice;
- the type of resource is not the expected one, or it has a `modifierExtension`;
- it can not be recognised again (no id, no identifier), its id is not valid, or it is in the import already;
- the patient was replaced by another record; or, of anything else, the patient is missing, unknown, ambiguous, refused,
  or there are several;
- something that is needed is missing or not understood: a status, the start of an appointment that is booked, a
  vaccine; or a date of an appointment, an encounter, a vaccination or a period can not be read;
- any element that is read has the wrong JSON type, too many values, a text that is too long, or a control character,
  unless it is named below.

The record is kept and the field is reported as `unusable`, when

- `birthDate` can not be read, is incomplete, is of the wrong type or in the future: there is no date of birth then;
- `active` is of the wrong type: the record counts as not active, and nobody is contacted;
- `deceasedBoolean` or `deceasedDateTime` is there and can not be read, whatever its type: **the patient is marked as
  deceased and not contacted**, until staff have looked. Only a `deceasedBoolean` that is `false`, or nothing (absent,
  null, empty), says that the patient lives. A mark of death is never taken back by a later import;
- a contact point can not be used: it is kept as it was written, and never used;
- a `rank`, a `use`, a `minutesDuration`, a gender, a language, an incomplete identifier, a name that is missing, an end
  before its start: left out.

In a CSV file the same holds of `birth_date`, `active`, `deceased` and `deceased_on`, and an appointment that can not be
read does not cost the patient of its row.

## FHIR R4

A folder of bulk NDJSON files, or a bundle sent to the API. A file is known by its name (`Patient.ndjson`,
`Patient.000.ndjson`, `patient_file_1.ndjson`), or else by the type that its first line names; files of other types are
listed as ignored, with their number of lines, and what can not be read (compressed, a folder, a link to nothing) with
its reason. A bundle is a `transaction`, `batch`, `collection` or `searchset`; a history or a response is refused.

Patients are read before all that refers to them. A line is at most {lines.MAX_LINE_BYTES:,} bytes long, a name, number
or code {NAME_LIMIT} characters, any other text {TEXT_LIMIT:,}; a resource has at most {resources.MOST_IDENTIFIERS}
identifiers, {resources.MOST_TELECOMS} contact points and {resources.MOST_NAMES} names of
{resources.MOST_GIVEN_NAMES} given names each. What goes beyond is refused, not cut.

A reference to a patient is `Patient/ID`, an absolute address that ends like it, `urn:uuid:ID`,
`Patient?identifier=SYSTEM|VALUE`, or an `identifier` with system and value.

Times keep their offset; a time without one is refused. A record that is in one import twice is kept the first time; a
patient is one person per identifier, whatever the ids. Contained resources, extensions, reasons and diagnoses are not
read, nor is `Patient.contact`: somebody to call is not a representative, a RelatedPerson is.
"""

_CONTACTS: Final = """## Contact points

Telephone numbers are stored as E.164, and it is noted whether they can take SMS. A number is read in the plan of the
country of the address, else of the clinic; French numbers overseas are understood without their code. Words beside a
number make it unusable: it may be somebody else's. Numbers that cost extra, that no person answers, or that no operator
has assigned are unusable; the French ranges for fiction (`06 39 98`, `01 99 00`, `02 61 91`, `03 53 01`, `04 65 71`,
`05 36 49`, Arcep) count as usable because demonstrations use them, the North American 555 does not.

E-mail addresses are checked for their form only, and compared without regard to capitals. The domains kept for examples
(RFC 2606: `example.org`, `.example`, `.test`) count as usable.

A contact point is unusable when its `use` is `old`, or its `period` is over or has not begun.
"""


def reference_page() -> str:
    """The whole page, as Markdown."""
    parts = [
        _OPENING,
        *(f"### {name}\n\n{_table(('element', 'what becomes of it'), rows)}" for name, rows in _RESOURCES),
        _statuses(),
        _topics(),
        _columns(),
        _CONTACTS,
        _reasons(),
    ]
    return "\n".join(parts)


def _statuses() -> str:
    tables: tuple[tuple[str, Mapping[str, str]], ...] = (
        ("Appointment", resources.APPOINTMENT_STATUSES),
        ("Encounter", resources.ENCOUNTER_STATUSES),
        ("Immunization", resources.IMMUNISATION_STATUSES),
    )
    rows = [(name, f"`{code}`", f"`{status}`") for name, table in tables for code, status in table.items()]
    return "### Statuses\n\n" + _table(("resource", "status in FHIR", "status here"), rows)


def _topics() -> str:
    topics = ", ".join(f"`{topic}`" for topic in vaccines.TOPICS)
    return (
        "### Topics of vaccinations\n\n"
        "The code of a vaccine (CVX, SNOMED CT or ATC) becomes one of these topics, coarse enough to tell nothing of\n"
        f"a diagnosis; any code that is not known becomes `{vaccines.OTHER}`.\n\n"
        f"{topics}\n"
    )


def _columns() -> str:
    rows = [
        (f"`{column}`", ", ".join(f"`{name}`" for name in names if name != column), _CELLS[column])
        for column, names in csv.COLUMNS.items()
    ]
    return (
        "## CSV\n\n"
        "One row per patient, or one per appointment with the patient repeated as before. The first line names the\n"
        "columns, in any order; capitals, accents and what separates words do not matter. Cells are separated by\n"
        "semicolons, commas or tabs. UTF-8; a file that is not is read as Windows-1252, and that is reported. Columns\n"
        "that are not known are reported and not read.\n\n" + _table(("column", "also", "cell"), rows)
    )


def _reasons() -> str:
    rows = [
        (f"`{code}`", sentences[Language.ENGLISH], sentences[Language.FRENCH]) for code, sentences in REASONS.items()
    ]
    return "## Reasons\n\n" + _table(("code", "in English", "in French"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    written = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in written)


if __name__ == "__main__":
    sys.stdout.write(reference_page())
