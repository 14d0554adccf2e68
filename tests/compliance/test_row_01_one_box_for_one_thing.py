"""Row 1, GDPR Art. 4(11) and 7, Planet49: one box, not ticked, per purpose and channel; a no is as easy as a yes."""

import pytest

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.recording import record
from backend.consent.models import ConsentEvent
from tests.factories.programmes import RECALL, REMINDER

CONSENTS = "/api/v1/me/consents"


def saying(decision="given", **changes):
    said = {
        "purpose": REMINDER,
        "channels": ["sms"],
        "decision": decision,
        "notice_version": 1,
        "language": "fr",
        "shown": {"initial_state": "off"},
    }
    return {name: value for name, value in {**said, **changes}.items() if value is not None}


def states(app):
    return {(one["purpose"], one["channel"]): one["state"] for one in app.get(CONSENTS).json()["results"]}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"shown": {"initial_state": "on"}}, "initial_state"),
        ({"purpose": [REMINDER, RECALL]}, "purpose"),
        ({"purpose": "*"}, "purpose"),
        ({"purposes": [REMINDER, RECALL]}, "purposes"),
        ({"channels": []}, "channels"),
        ({"channels": ["*"]}, "channels"),
        ({"channels": None}, "channels"),
        ({"notice_version": None}, "notice_version"),
    ],
)
def test_a_box_that_was_ticked_or_covers_more_than_one_purpose_is_refused(silent, as_patient, changes, field):
    app = as_patient(silent)

    answer = app.post(CONSENTS, saying(**changes))

    assert answer.status_code == 400
    assert field in str(answer.json())
    assert set(states(app).values()) == {"none"}


def test_a_yes_is_a_yes_to_nothing_else(silent, as_patient):
    app = as_patient(silent)

    assert app.post(CONSENTS, saying()).status_code == 201

    assert {stream for stream, state in states(app).items() if state == "given"} == {(REMINDER, "sms")}


def evidence_of(event_id):
    event = ConsentEvent.objects.get(id=event_id)
    entry = record(
        Action.CONSENTS_READ,
        by=system_actor(),
        now=event.recorded_at,
        clinic_id=event.clinic_id,
        about=event.patient_id,
    )
    with entry as opened:
        return event.evidence.reveal_data(opened)


def test_what_the_app_did_not_say_is_not_made_up(silent, as_patient):
    """Decision 0015: the proof says `off` where the app said so, and otherwise that it did not say."""
    app = as_patient(silent)
    served = app.post("/api/v1/me/notices/served", {"notice_version": 1, "language": "fr", "screen": "choices"}).json()
    shown = {"initial_state": "off", "notice_served": served["id"]}

    events = [app.post(CONSENTS, saying(shown=one)).json()["events"]["sms"] for one in (None, shown)]

    assert [evidence_of(one) for one in events] == [
        {"notice_version": 1, "initial_state": "not_stated"},
        {"notice_version": 1, **shown},
    ]


def test_a_showing_is_of_this_notice_and_to_this_patient(silent, consenting, as_patient):
    body = {"notice_version": 1, "language": "en"}
    another_language = as_patient(silent).post("/api/v1/me/notices/served", body).json()["id"]
    to_another = as_patient(consenting).post("/api/v1/me/notices/served", {**body, "language": "fr"}).json()["id"]

    for served in (another_language, to_another):
        answer = as_patient(silent).post(CONSENTS, saying(shown={"initial_state": "off", "notice_served": served}))
        assert (answer.status_code, "notice_served" in str(answer.json())) == (400, True)
    assert set(states(as_patient(silent)).values()) == {"none"}


def test_refusing_takes_the_same_request_as_consenting(silent, as_patient):
    app = as_patient(silent)
    asked = {(one["purpose"], one["channel"]) for one in app.get(CONSENTS).json()["results"]}

    for purpose, channel in asked:
        assert app.post(CONSENTS, saying("refused", purpose=purpose, channels=[channel])).status_code == 201

    assert states(app) == dict.fromkeys(asked, "refused")
