"""What ends a consent without the patient, and that somebody was asked, through the API."""

import pytest

from backend.consent.queries import states_of
from backend.policy.vocabulary import Channel, ConsentStatus
from tests.api.conftest import Client
from tests.factories.programmes import REMINDER

NORTHGATE = "/api/v1/clinics/northgate"
ON_PAPER = {
    "purpose": REMINDER,
    "channels": ["sms"],
    "decision": "given",
    "method": "paper_form",
    "notice_version": 1,
    "language": "fr",
    "evidence": {"form_reference": "F-1", "signed_on": "2026-10-01"},
}
ENDING = {"purpose": REMINDER, "channels": ["sms"], "reason": "purpose_given_up"}


def status(patient) -> ConsentStatus:
    states = states_of(clinic_id=patient.clinic_id, patient_id=patient.id)
    return next(one.status for one in states if (one.purpose, one.channel) == (REMINDER, Channel.SMS))


def address(patient, path: str) -> str:
    return f"{NORTHGATE}/patients/{patient.id}/consents{path}"


def test_a_slip_takes_two_people(desk: Client, doctor: Client, silent) -> None:
    event = desk.post(address(silent, ""), ON_PAPER).json()["events"]["sms"]

    assert doctor.post(address(silent, f"/{event}/slip/confirmed")).status_code == 404
    assert desk.post(address(silent, f"/{event}/slip"), {"reason": "wrong_patient"}).status_code == 204
    alone = desk.post(address(silent, f"/{event}/slip/confirmed"))
    assert (alone.status_code, alone.json()["code"]) == (409, "second_person_needed")
    assert status(silent) is ConsentStatus.GIVEN
    assert doctor.post(address(silent, f"/{event}/slip/confirmed")).status_code == 204

    assert status(silent) is ConsentStatus.NONE


def test_what_the_patient_said_is_no_slip_of_the_staff(desk: Client, me: Client, consenting) -> None:
    event = me.get("/api/v1/me/consents").json()["results"][0]["event_id"]

    assert desk.post(address(consenting, f"/{event}/slip"), {"reason": "wrong_patient"}).status_code == 400


@pytest.mark.parametrize(
    ("path", "who", "other"), [("/revoked", "desk", "officer"), ("/invalidated", "officer", "desk")]
)
def test_a_consent_is_given_up_by_staff_and_found_wanting_by_the_officer(request, consenting, path, who, other) -> None:
    assert request.getfixturevalue(other).post(address(consenting, path), ENDING).status_code == 403

    answer = request.getfixturevalue(who).post(address(consenting, path), ENDING)

    assert (answer.status_code, answer.json()) == (201, {"ended": 1})
    assert status(consenting) is ConsentStatus.ENDED
    assert request.getfixturevalue(who).post(address(consenting, path), ENDING).status_code == 400


def test_being_asked_permits_nothing_and_refuses_nothing(
    desk: Client, as_patient, silent, consenting, me: Client
) -> None:
    asked = {"kind": "requested", "purpose": REMINDER, "channels": ["sms"], "method": "verbal"}
    assert desk.post(address(silent, "/asked"), asked).status_code == 201
    later = {"purpose": REMINDER, "channels": ["sms"]}
    assert as_patient(silent).post("/api/v1/me/consents/later", later).status_code == 201
    assert me.post("/api/v1/me/consents/later", later).status_code == 201

    assert status(silent) is ConsentStatus.NONE
    assert status(consenting) is ConsentStatus.GIVEN
