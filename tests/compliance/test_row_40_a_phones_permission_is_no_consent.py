"""Row 40, push: a phone that lets notifications through is no consent; a token is the last one's to sign in.

Not yet: marketing and care as separate categories of notifications.
"""

from backend.consent.operations import give_consent
from backend.messaging.delivery import deliver_due_messages
from backend.policy.vocabulary import Channel
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.consent.test_deciding import say
from tests.consent.test_ending import answer
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import REMINDER

TOKEN = "one-phone-in-the-family"


def register(app):
    made = app.post("/api/v1/me/devices", {"token": TOKEN, "kind": "token"})
    assert made.status_code == 201, made.content


def remind(patient, now):
    make_appointment(patient, starts_at=now + DAY + 4 * HOUR, now=now)
    carriers = carriers_in_test()
    plan_programmes(now=now)
    deliver_due_messages(now=now, carriers=carriers)
    return given_to(carriers)


def test_a_registered_phone_alone_gets_nothing(northgate, as_patient, now):
    patient = make_patient(northgate.id, now=now - DAY, device=False)
    register(as_patient(patient))

    assert answer(patient, now, channel=Channel.PUSH) == ("deny", {"no_consent"})
    assert remind(patient, now) == []


def test_a_yes_to_other_means_is_no_yes_to_push(northgate, as_patient, now):
    patient = make_patient(northgate.id, now=now - DAY, device=False)
    register(as_patient(patient))
    say(give_consent, patient, now, channels=[Channel.SMS, Channel.EMAIL])

    assert Channel.PUSH not in {message.channel for message in remind(patient, now)}


def test_a_phone_shows_nothing_of_whoever_used_it_before(northgate, as_patient, now):
    before, after = (make_patient(northgate.id, now=now - DAY, device=False) for _ in range(2))
    for patient in (before, after):
        consent(patient, purpose=REMINDER, channels=[Channel.PUSH], now=now - DAY)
        register(as_patient(patient))

    assert remind(before, now) == []
    assert [message.to for message in remind(after, now)] == [f"token:{TOKEN}"]
