"""What the officer takes away: everything that was asked for and nothing else, signed, and safe to open."""

import io
import tempfile
from datetime import date
from pathlib import Path

import pytest
from django.db import connection
from fhir.resources.R4B.consent import Consent as R4Consent
from fhir.resources.R4B.provenance import Provenance as R4Provenance

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.bundle.exporting import export_log
from backend.audit.keys import destroy_subject_keys
from backend.consent.export.exporting import export_consents
from backend.consent.export.selection import Form, Selection
from backend.consent.models import ConsentEvent, ConsentState
from backend.consent.operations import publish_notice, withdraw_consent
from backend.errors import InvalidInput, NotFound
from backend.policy.vocabulary import Channel, Language, Method
from tests.conftest import DAY
from tests.factories.background import Background
from tests.factories.exports import Export, exported
from tests.factories.log import actions_recorded
from tests.factories.patients import consent, make_patient
from tests.factories.programmes import RECALL, REMINDER
from tests.factories.tampering import tamper

WICKED = "=cmd|' /C calc'!A0"


@pytest.fixture(autouse=True)
def _committed(transactional_db: None) -> None:
    """A log is signed only once it was committed."""


def test_every_event_and_every_state_is_there_once(northgate, consenting, withdrawn, silent, now):
    export = exported(northgate.id, now=now)

    events, consents = export.table("events"), export.table("consents")
    assert {row["event"] for row in events} == {str(event.id) for event in ConsentEvent.objects.all()}
    assert len(events) == ConsentEvent.objects.count() == 18
    assert {(row["patient"], row["purpose"], row["channel"], row["status"]) for row in consents} == {
        (str(state.patient_id), state.purpose.slug, state.channel, state.status)
        for state in ConsentState.objects.select_related("purpose")
    }
    assert len(consents) == ConsentState.objects.count() == 12
    assert str(silent.id) not in export.zip.read("consents.csv").decode()
    first = next(row for row in events if row["kind"] == "given")
    assert (first["method"], first["said by"], first["evidence readable"]) == ("app", "patient", "yes")
    assert '"initial_state":"off"' in first["evidence"]
    assert first["said at"].endswith("+02:00")


def test_the_manifest_is_signed_and_says_what_was_asked(northgate, consenting, now):
    export = exported(northgate.id, now=now, purposes=(RECALL,), first_day=date(2026, 10, 1), patient_id=consenting.id)

    facts = export.facts()
    assert facts["clinic"] == [str(northgate.id)]
    assert (facts["first-day"], facts["last-day"]) == (["2026-10-01"], ["any"])
    assert (facts["purposes"], facts["patient"]) == ([RECALL], [str(consenting.id)])
    assert facts["rows"] == ["3 consents.csv", "3 events.csv"]


def test_the_export_is_in_the_log_before_it_reads_anything(northgate, consenting, now):
    export = exported(northgate.id, now=now)

    assert actions_recorded(northgate.id)[Action.CONSENTS_EXPORTED] == 1
    log = io.BytesIO()
    export_log(log, clinic_id=northgate.id, actor=system_actor(), now=now)
    (entry,) = export.facts()["entry"]
    assert f'"id":"{entry}"'.encode() in log.getvalue()


def test_a_period_is_days_of_the_clinics_calendar(northgate, silent, now):
    """Half past midnight in Paris is the evening before in UTC."""
    half_past_midnight = now.replace(hour=22, minute=30) - DAY
    consent(silent, purpose=REMINDER, channels=[Channel.SMS], now=half_past_midnight)

    def told(first, last):
        export = exported(northgate.id, now=now, first_day=first, last_day=last)
        return len(export.table("events")), len(export.table("consents"))

    assert told(date(2026, 10, 14), date(2026, 10, 14)) == (1, 1)
    assert told(None, date(2026, 10, 13)) == (0, 0)
    assert told(date(2026, 10, 15), None) == (0, 0)


def test_of_a_longer_history_only_what_fell_into_the_period(northgate, withdrawn, now):
    """They said yes ten days ago, and withdrew five days ago."""
    export = exported(northgate.id, now=now, first_day=(now - 6 * DAY).date())

    assert {row["kind"] for row in export.table("events")} == {"withdrawn"}
    assert {row["status"] for row in export.table("consents")} == {"withdrawn"}


def test_only_the_purposes_and_the_patient_that_were_asked_for(northgate, consenting, withdrawn, now):
    some = exported(northgate.id, now=now, purposes=(RECALL,)).table("events")
    one = exported(northgate.id, now=now, patient_id=withdrawn.id).table("events")

    assert {row["purpose"] for row in some} == {RECALL}
    assert {row["patient"] for row in one} == {str(withdrawn.id)}
    assert len(one) == 12


def test_what_can_not_be_meant_is_refused_before_anything(northgate, southbank, now):
    stranger = make_patient(southbank.id, now=now - DAY)
    for wrong in ({"purposes": ("nothing",)}, {"patient_id": stranger.id}):
        with pytest.raises(NotFound):
            exported(northgate.id, now=now, **wrong)
    with pytest.raises(InvalidInput):
        exported(northgate.id, now=now, first_day=date(2026, 10, 2), last_day=date(2026, 10, 1))
    assert not actions_recorded(northgate.id)[Action.CONSENTS_EXPORTED]


def test_another_clinics_patients_are_in_no_export(northgate, southbank, consenting, now):
    stranger = make_patient(southbank.id, now=now - DAY)
    consent(stranger, purpose=REMINDER, channels=[Channel.SMS], now=now)

    export = exported(northgate.id, now=now, forms=list(Form))

    assert all(str(stranger.id).encode() not in export.zip.read(name) for name in export.names)


def test_of_an_erased_patient_the_proof_stays_and_says_so(northgate, consenting, now):
    destroy_subject_keys(
        subject_id=consenting.id, clinic_id=northgate.id, reason="erasure", actor=system_actor(), now=now
    )

    for export in (
        exported(northgate.id, now=now, forms=list(Form)),
        exported(northgate.id, now=now, forms=list(Form), patient_id=consenting.id),
    ):
        events = export.table("events")
        assert len(events) == 6
        assert {(row["erased"], row["evidence readable"], row["evidence"]) for row in events} == {
            ("yes", "key_destroyed", "")
        }
        assert {(row["erased"], row["status"]) for row in export.table("consents")} == {("yes", "given")}
        assert all(row["notice hash"] for row in export.table("consents"))
        export.facts()


def test_evidence_that_was_tampered_with_hides_nobody_elses(northgate, consenting, withdrawn, now):
    event = ConsentEvent.objects.filter(patient_id=consenting.id).first()
    mine, other = (
        f"'{one.id if connection.vendor == 'postgresql' else one.id.hex}'"
        for one in (event, ConsentEvent.objects.filter(patient_id=withdrawn.id, kind="given").first())
    )
    stolen = f"(SELECT evidence FROM consent_event WHERE id = {other})"  # noqa: S608 - ids of ours
    tamper(f"UPDATE consent_event SET evidence = {stolen} WHERE id = {mine}", tables="consent")  # noqa: S608 - ids of ours

    readable = [row["evidence readable"] for row in exported(northgate.id, now=now).table("events")]

    assert readable.count("tampered") == 1


def test_no_cell_is_a_formula(northgate, silent, now):
    publish_notice(
        clinic_id=northgate.id,
        texts=dict.fromkeys(Language, (WICKED, "+1\n\n-2 @SUM(1)")),
        actor=system_actor(),
        now=now,
    )
    consent(silent, purpose=REMINDER, channels=[Channel.SMS], now=now)

    export = exported(northgate.id, now=now, forms=[Form.CSV, Form.XLSX])

    (row,) = export.table("consents")
    assert row["notice title"] == f"'{WICKED}"
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in export.table("consents") for cell in row.values())
    assert any(WICKED in row for row in export.sheets()["Consents"])


def test_the_workbook_holds_what_the_tables_hold(northgate, consenting, withdrawn, now):
    export = exported(northgate.id, now=now, forms=[Form.CSV, Form.XLSX])

    sheets = export.sheets()
    assert list(sheets) == ["Consents", "Events", "Notices"]
    for name, sheet in (("consents", "Consents"), ("events", "Events")):
        table = export.table(name)
        assert sheets[sheet][0] == list(table[0])
        assert [row[0] for row in sheets[sheet][1:]] == [next(iter(row.values())) for row in table]
    assert export.facts()["rows"][-3:] == [
        "12 consents.xlsx:consents",
        "18 consents.xlsx:events",
        "2 consents.xlsx:notices",
    ]


def test_a_table_longer_than_a_sheet_goes_on_in_the_next(northgate, consenting, now, monkeypatch):
    monkeypatch.setattr("backend.consent.export.tables.ROWS_PER_SHEET", 4)

    sheets = exported(northgate.id, now=now, forms=[Form.XLSX]).sheets()

    assert {name: len(rows) - 1 for name, rows in sheets.items() if name.startswith("Events")} == {
        "Events": 4,
        "Events 2": 2,
    }


def test_in_french_a_spreadsheet_opens_it_with_a_double_click(northgate, consenting, now):
    export = exported(northgate.id, now=now, language=Language.FRENCH)

    assert export.zip.read("consents.csv").startswith(b"\xef\xbb\xbf")
    assert export.table("consents", separator=";")[0]["état"] == "given"


def test_what_is_broken_off_leaves_nothing_behind(northgate, consenting, now, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    begun: list[Path] = []
    file = io.BytesIO()

    def stop(_done, _of):
        begun.extend(tmp_path.iterdir())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_consents(
            file,
            clinic_id=northgate.id,
            selection=Selection(),
            forms=list(Form),
            language=Language.ENGLISH,
            actor=system_actor(),
            now=now,
            progress=stop,
        )

    assert file.getvalue() == b""
    assert begun
    assert list(tmp_path.iterdir()) == []


def test_fhir_and_dpv_tell_the_whole_history_of_what_was_asked_for(northgate, withdrawn, now):
    """They withdrew in the period; what they had said before it belongs to the same record."""
    export = exported(
        northgate.id, now=now, forms=[Form.FHIR, Form.DPV], first_day=(now - 6 * DAY).date(), purposes=(RECALL,)
    )

    consents, records = export.lines("fhir/Consent.ndjson"), export.lines("dpv/ConsentRecord.ndjson")
    provenances = export.lines("fhir/Provenance.ndjson")
    events = ConsentEvent.objects.filter(patient_id=withdrawn.id, purpose__slug=RECALL)
    assert {one["id"] for one in provenances} == {str(event.id) for event in events}
    assert {(one["resourceType"], one["status"]) for one in consents} == {("Consent", "inactive")}
    assert {one["patient"]["reference"] for one in consents} == {f"Patient/{withdrawn.id}"}
    assert len(consents) == len(records) == 3
    assert {one["@type"] for one in records} == {"dpv:ConsentRecord"}
    assert [len(one["dpv:hasConsentStatus"]) for one in records] == [2, 2, 2]
    assert export.facts()["rows"] == [
        "3 fhir/Consent.ndjson",
        "6 fhir/Provenance.ndjson",
        "3 dpv/ConsentRecord.ndjson",
    ]


def test_every_line_of_fhir_is_a_resource_that_others_read(northgate, consenting, withdrawn, now):
    """Shapes and cardinalities as fhir.resources knows them; tests/consent/standards asks further strangers."""
    readers = {"Consent": R4Consent.model_validate, "Provenance": R4Provenance.model_validate}
    export = exported(northgate.id, now=now, forms=[Form.FHIR])

    for name, read in readers.items():
        lines = export.lines(f"fhir/{name}.ndjson")
        assert lines
        for line in lines:
            read(line)


def export_and_meanwhile(clinic_id, work, *, now):
    """An export of patient after patient; once the first was read, something happens elsewhere."""
    seen: list[object] = []

    def first_only(_done, _of):
        if not seen:
            seen.append(Background(work).result())

    file = io.BytesIO()
    export_consents(
        file,
        clinic_id=clinic_id,
        selection=Selection(),
        forms=[Form.CSV, Form.DPV],
        language=Language.ENGLISH,
        actor=system_actor(),
        now=now,
        progress=first_only,
    )
    assert seen
    return Export(file.getvalue())


@pytest.fixture
def two(northgate, consenting, now, monkeypatch):
    """Two patients who said yes, read one after the other; the later of them."""
    monkeypatch.setattr("backend.consent.export.reading.PATIENTS_AT_ONCE", 1)
    later = make_patient(northgate.id, now=now - DAY, reachable=False)
    consent(later, purpose=REMINDER, channels=[Channel.SMS], now=now - DAY)
    return later


def test_nobody_waits_for_an_export_and_what_they_say_meanwhile_is_not_half_in_it(northgate, two, now):
    export = export_and_meanwhile(
        northgate.id,
        lambda: withdraw_consent(
            clinic_id=northgate.id,
            patient_id=two.id,
            purpose=REMINDER,
            channels=[Channel.SMS],
            method=Method.APP,
            actor=two.actor,
            now=now,
        ),
        now=now,
    )

    assert ConsentState.objects.get(patient_id=two.id).status == "withdrawn"
    (state,) = [row["status"] for row in export.table("consents") if row["patient"] == str(two.id)]
    kinds = [row["kind"] for row in export.table("events") if row["patient"] == str(two.id)]
    (record,) = [
        one
        for one in export.lines("dpv/ConsentRecord.ndjson")
        if one["dpv:hasDataSubject"]["@id"] == f"urn:uuid:{two.id}"
    ]
    assert (state, kinds, record["accord:state"]) == ("given", ["given"], "given")


def test_whoever_is_erased_while_an_export_is_made_is_erased_in_it(northgate, two, now):
    export = export_and_meanwhile(
        northgate.id,
        lambda: destroy_subject_keys(
            subject_id=two.id, clinic_id=northgate.id, reason="erasure", actor=system_actor(), now=now
        ),
        now=now,
    )

    told = [
        (row["evidence"], row["evidence readable"]) for row in export.table("events") if row["patient"] == str(two.id)
    ]
    assert told == [("", "key_destroyed")]
