"""Row 1, GDPR Art. 4(11) and 7, Planet49: one box, not ticked, per purpose and channel; a no is as easy as a yes."""

import pytest

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


def test_refusing_takes_the_same_request_as_consenting(silent, as_patient):
    app = as_patient(silent)
    asked = {(one["purpose"], one["channel"]) for one in app.get(CONSENTS).json()["results"]}

    for purpose, channel in asked:
        assert app.post(CONSENTS, saying("refused", purpose=purpose, channels=[channel])).status_code == 201

    assert states(app) == dict.fromkeys(asked, "refused")
