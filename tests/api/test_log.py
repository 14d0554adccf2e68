"""The officer reads what happened, in words, as far as keys are there."""

from typing import Any

from backend.audit.actors import system_actor
from backend.audit.keys import destroy_subject_keys
from backend.audit.sequencing import sequence_all
from tests.api.conftest import Client
from tests.factories.patients import make_patient
from tests.factories.programmes import REMINDER

ENTRIES = "/api/v1/clinics/northgate/audit/entries"


def test_a_consent_is_told_in_the_language_that_is_asked_for(officer: Client, me: Client, consenting) -> None:
    me.post("/api/v1/me/consents", {"purpose": REMINDER, "channels": ["sms"], "decision": "withdrawn"})

    def told(language: str) -> Any:
        entries = officer.get(f"{ENTRIES}?language={language}").json()["results"]
        return next(one for one in entries if one["action"] == "consent.withdrawn")

    english, french = told("en"), told("fr")
    assert english["parts"][0]["sentence"] == "Consent was withdrawn for appointment_reminder by sms (app)."
    assert french["parts"][0]["sentence"] == "Un consentement a été retiré pour appointment_reminder par sms (app)."
    assert english["actor"] == {"kind": "patient", "handle": "", "id": str(consenting.id)}
    assert english["parts"][0]["details"]["channel"] == "sms"


def test_what_was_written_under_a_destroyed_key_stays_in_its_place(officer: Client, silent, northgate, now) -> None:
    before = officer.get(f"{ENTRIES}?limit=100").json()["results"]
    about = {one["id"] for one in before for part in one["parts"] if part["subject"] == str(silent.id)}
    destroy_subject_keys(subject_id=silent.id, clinic_id=northgate.id, reason="erasure", actor=system_actor(), now=now)

    after = officer.get(f"{ENTRIES}?limit=100").json()["results"]
    hidden = {one["id"]: one for one in after if one["id"] in about}

    assert about
    assert hidden.keys() == about
    for entry in hidden.values():
        part = entry["parts"][0]
        assert (part["readable"], part["unreadable_because"], part["subject"]) == (False, "key_destroyed", None)
        assert part["details"] == {}


def test_an_erased_patient_is_gone_from_the_api(desk: Client, me: Client, consenting, northgate, now) -> None:
    destroy_subject_keys(
        subject_id=consenting.id, clinic_id=northgate.id, reason="erasure", actor=system_actor(), now=now
    )

    assert me.get("/api/v1/me").status_code == 404
    assert me.post("/api/v1/me/devices", {"kind": "fid", "token": "x"}).status_code == 404
    assert desk.get(f"/api/v1/clinics/northgate/patients/{consenting.id}").status_code == 404
    assert desk.get("/api/v1/clinics/northgate/patients").json()["results"] == []
    assert me.get("/api/v1/clinics/northgate").status_code == 403


def test_who_saw_a_patients_record(
    transactional_db: None, officer: Client, desk: Client, consenting, silent, northgate, now
) -> None:
    desk.get(f"/api/v1/clinics/northgate/patients/{consenting.id}")
    desk.get(f"/api/v1/clinics/northgate/patients/{silent.id}")
    sequence_all(now=now)

    entries = officer.get(f"{ENTRIES}?patient={consenting.id}&language=en").json()["results"]

    read = [one for one in entries if one["action"] == "patient.read"]
    assert [one["actor"]["handle"] for one in read] == ["reception@northgate"]
    assert read[0]["parts"][0]["sentence"].startswith("The patient\u2019s data was looked at")
    subjects = {part["subject"] for one in entries for part in one["parts"]}
    assert subjects <= {str(consenting.id)}
    assert {"patient.created", "consent.given"} <= {one["action"] for one in entries}


def test_pages_of_what_is_about_a_patient(transactional_db: None, officer: Client, consenting, now) -> None:
    sequence_all(now=now)
    everything = officer.get(f"{ENTRIES}?patient={consenting.id}&limit=100").json()["results"]
    first = officer.get(f"{ENTRIES}?patient={consenting.id}&limit=2").json()
    second = officer.get(f"{ENTRIES}?patient={consenting.id}&limit=2&cursor={first['next']}").json()

    assert [one["id"] for one in first["results"] + second["results"]] == [one["id"] for one in everything[:4]]


def test_nothing_is_told_of_another_clinics_patient(officer: Client, southbank, now) -> None:
    theirs = make_patient(southbank.id, now=now)

    assert officer.get(f"{ENTRIES}?patient={theirs.id}").status_code == 404
    assert officer.get(f"{ENTRIES}?patient=nobody").status_code == 400
