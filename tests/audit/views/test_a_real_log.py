"""Both views of entries that were really recorded, sealed, and opened again; one of the patients was erased."""

import csv
import io
from datetime import UTC, timedelta

import orjson

from backend.audit.actions import Action
from backend.audit.actors import Actor, ActorKind
from backend.audit.keys import destroy_subject_keys
from backend.audit.queries import entries_of, open_entries
from backend.audit.recording import record
from backend.audit.views.fhir import audit_event_lines
from backend.audit.views.table import table_lines
from backend.policy.vocabulary import Language
from backend.vault.identifiers import new_id
from tests.audit.views import balp
from tests.audit.views.cases import ORIGIN

STAFF = Actor(kind=ActorKind.STAFF, id=new_id(), pseudonym="5f0c9a3e")


def test_what_was_recorded_is_told_and_the_erased_stay_erased(clinic, patient, neighbour, now):
    with record(
        Action.PATIENTS_LISTED,
        by=STAFF,
        now=now,
        clinic_id=clinic.id,
        about=[patient.id, neighbour.id],
        reason="list",
        count=2,
    ):
        pass
    destroy_subject_keys(subject_id=patient.id, clinic_id=clinic.id, reason="erasure_request", actor=STAFF, now=now)
    with record(Action.LOG_READ, by=STAFF, now=now + timedelta(seconds=1), clinic_id=clinic.id, count=9) as entry:
        stored = list(reversed(entries_of(clinic_id=clinic.id, before=None, limit=1000)))
        placed = list(enumerate(open_entries(stored, entry=entry)))

    events = [orjson.loads(line) for line in audit_event_lines(placed, clinic_id=clinic.id, origin=ORIGIN)]
    table = b"".join(table_lines(placed, language=Language.ENGLISH, zone=UTC)).decode("utf-8-sig")

    assert [event["id"] for event in events] == [str(one.id) for one in stored]
    assert [balp.broken_rules(event) for event in events] == [[] for _ in events]
    listed = next(one for one in events if one["subtype"][0]["code"] == "search-type")
    erased, other = balp.entities_of(listed, balp.PERSON)
    assert erased["what"]["extension"][0]["valueCode"] == "masked"
    assert other["what"]["reference"] == f"Patient/{neighbour.id}"
    assert str(patient.id) not in table
    assert all(str(patient.id) not in orjson.dumps(event).decode() for event in events)
    rows = list(csv.DictReader(io.StringIO(table, newline=""), strict=True))
    assert {row["readable"] for row in rows if row["action"] == "patient.listed"} == {"yes", "key_destroyed"}
    assert rows[-1]["action"] == "log.read"
