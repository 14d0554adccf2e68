"""Whoever wants their messages together gets one, in which each keeps its row, its decision and its way out."""

from datetime import UTC, datetime, time, timedelta

import pytest

from backend.consent.operations import withdraw_consent
from backend.messaging.carriers.base import FailureCode, InDoubt, TemporaryFailure
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.held import Pace
from backend.messaging.models import Message
from backend.policy.contact import FrequencyCap, PreferenceFacts, QuietHours
from backend.policy.vocabulary import Channel, Decided, Method, Reason
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.factories.background import all_at_once
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import consent, make_appointment, make_immunisation, make_patient
from tests.factories.programmes import CHANNELS, RECALL, REMINDER
from tests.messaging.test_caps_and_hours import appointments, change, states
from tests.policy.facts import decide, paris

NINE = timedelta(hours=-1)
"""From ten, the hour of the cast, to nine: the digest's hour."""


@pytest.fixture
def gathering(consenting, now):
    change(consenting, now - DAY, digest=True, channel_order=(Channel.EMAIL,))
    return consenting


def wanting(**more):
    return PreferenceFacts(digest=True, **more)


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        ("2026-10-12 08:59+02:00", "2026-10-12 09:00+02:00"),
        ("2026-10-12 10:00+02:00", "2026-10-13 09:00+02:00"),
        ("2026-10-12 23:59+02:00", "2026-10-13 09:00+02:00"),
        # The night in which the clocks go back.
        ("2026-10-24 23:00+02:00", "2026-10-25 09:00+01:00"),
    ],
)
def test_it_waits_for_the_hour_of_the_digest(moment, until):
    verdict = decide(now=paris(moment), preference=wanting())

    assert (verdict.decided, verdict.reasons, verdict.until) == (Decided.DEFER, (Reason.DIGEST,), paris(until))


@pytest.mark.parametrize("moment", ["2026-10-12 09:00+02:00", "2026-10-12 09:59:59+02:00"])
def test_within_that_hour_it_leaves(moment):
    assert decide(now=paris(moment), preference=wanting()).decided is Decided.ALLOW


def test_what_would_be_of_no_more_use_by_then_does_not_wait():
    now = paris("2026-10-12 11:00+02:00")

    assert decide(now=now, preference=wanting(), expires_at=paris("2026-10-13 09:00+02:00")).decided is Decided.ALLOW
    assert decide(now=now, preference=wanting(), expires_at=paris("2026-10-13 09:01+02:00")).decided is Decided.DEFER


def test_who_sleeps_at_nine_gets_it_when_they_wake():
    quiet = QuietHours(starts=time(22), ends=time(12), time_zone="Europe/Paris")
    preference = wanting(quiet_hours=quiet)

    assert decide(now=paris("2026-10-12 09:30+02:00"), preference=preference).until == paris("2026-10-12 12:00+02:00")
    assert decide(now=paris("2026-10-12 12:30+02:00"), preference=preference).decided is Decided.ALLOW
    assert decide(now=paris("2026-10-12 13:30+02:00"), preference=preference).until == paris("2026-10-13 12:00+02:00")


def test_who_wants_nearly_no_hour_at_all_still_gets_it():
    """Wanting messages together is never a reason for none."""
    quiet = QuietHours(starts=time(1), ends=time(0, 59), time_zone="Europe/Paris")

    verdict = decide(now=paris("2026-10-12 10:00+02:00"), preference=wanting(quiet_hours=quiet))

    assert verdict.decided is Decided.DEFER
    assert verdict.until is not None
    assert decide(now=verdict.until, preference=wanting(quiet_hours=quiet)).decided is Decided.ALLOW


def test_two_reminders_come_as_one_message(gathering, now):
    appointments(gathering, now + NINE, how_many=2)
    carriers = carriers_in_test()

    deliver_due_messages(now=now + NINE, carriers=carriers)

    (sent,) = given_to(carriers)
    assert sent.subject == "2 messages de Northgate"
    assert "13h00" in sent.text
    assert "13h30" in sent.text
    assert sent.text.count("Arrêter ces messages") == 1
    assert sent.html.count("<html") == sent.html.count("</body>") == 1
    assert "13h30" in sent.html
    assert "List-Unsubscribe" in sent.headers
    first, second = Message.objects.order_by("sent_with")
    if first.sent_with is not None:
        first, second = second, first
    assert states() == ["sent", "sent"]
    assert second.sent_with == first.id
    assert first.verdict["decided"] == second.verdict["decided"] == "allow"
    assert first.sent_text is not None
    assert second.sent_text is not None


def test_of_two_purposes_each_keeps_its_way_out(gathering, now):
    make_immunisation(gathering, at=datetime(2025, 11, 14, 9, tzinfo=UTC), now=now)
    appointments(gathering, now + NINE, how_many=1)
    carriers = carriers_in_test()

    deliver_due_messages(now=now + NINE, carriers=carriers)

    (sent,) = given_to(carriers)
    assert sent.text.count("Arrêter ces messages") == 2
    # One click of a mail program could leave only one of them, and would not say which.
    assert sent.headers == {}


def test_each_is_decided_by_its_own_consent(gathering, now):
    make_immunisation(gathering, at=datetime(2025, 11, 14, 9, tzinfo=UTC), now=now)
    appointments(gathering, now + NINE, how_many=1)
    withdraw_consent(
        clinic_id=gathering.clinic_id,
        patient_id=gathering.id,
        purpose=RECALL,
        channels=CHANNELS,
        method=Method.APP,
        actor=gathering.actor,
        now=now + NINE,
    )
    carriers = carriers_in_test()

    deliver_due_messages(now=now + NINE, carriers=carriers)

    (sent,) = given_to(carriers)
    assert "messages de" not in sent.subject
    assert Message.objects.get(state="withheld").verdict["reasons"] == ["consent_withdrawn"]


@pytest.mark.parametrize("batch", [1, 50])
def test_they_come_together_whatever_the_batches_and_take_one_place_under_a_cap(gathering, now, batch):
    change(gathering, now - DAY, frequency=FrequencyCap(max=1, per="day"))
    appointments(gathering, now + NINE, how_many=3)
    carriers = carriers_in_test()

    deliver_due_messages(now=now + NINE, carriers=carriers, pace=Pace(batch=batch))

    assert len(given_to(carriers)) == 1
    assert states() == ["sent"] * 3
    appointments(gathering, now + NINE + HOUR / 2, how_many=1)
    deliver_due_messages(now=now + NINE + HOUR / 2, carriers=carriers)
    assert len(given_to(carriers)) == 1


def test_what_comes_later_in_the_day_waits_for_the_next_digest(gathering, now):
    # Due at nine, and known only at ten: its appointment is the day after tomorrow, so that it may wait.
    make_appointment(gathering, starts_at=now + timedelta(days=3, hours=5), now=now)
    plan_programmes(now=now)

    message = Message.objects.get()
    assert message.verdict["reasons"] == ["digest"]
    assert message.due_at == now + NINE + DAY


def test_a_failure_is_the_failure_of_all_and_all_come_again(gathering, now):
    appointments(gathering, now + NINE, how_many=2)
    deliver_due_messages(
        now=now + NINE, carriers=carriers_in_test(lambda _message: TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE))
    )
    assert states() == ["planned"] * 2
    carriers = carriers_in_test()

    deliver_due_messages(now=now + NINE + timedelta(minutes=5), carriers=carriers)

    assert len(given_to(carriers)) == 1
    assert states() == ["sent"] * 2


def test_a_doubt_is_the_doubt_of_all(gathering, now):
    appointments(gathering, now + NINE, how_many=2)

    deliver_due_messages(now=now + NINE, carriers=carriers_in_test(lambda _message: InDoubt()))

    assert states() == ["in_doubt"] * 2


def test_who_did_not_ask_for_it_gets_each_by_itself(consenting, now):
    appointments(consenting, now + NINE, how_many=2)
    carriers = carriers_in_test()

    deliver_due_messages(now=now + NINE, carriers=carriers)

    assert len(given_to(carriers)) == 2


@pytest.mark.django_db(transaction=True)
def test_workers_that_claim_at_once_send_one(northgate, now):
    patients = [make_patient(northgate.id, now=now - DAY) for _ in range(3)]
    for patient in patients:
        consent(patient, purpose=REMINDER, channels=CHANNELS, now=now - DAY)
        change(patient, now - DAY, digest=True, frequency=FrequencyCap(max=1, per="day"))
        appointments(patient, now + NINE, how_many=4)
    carriers = carriers_in_test()

    for _round in range(3):
        works = [lambda: deliver_due_messages(now=now + NINE, carriers=carriers, pace=Pace(batch=2))] * 3
        assert not [told for told in all_at_once(*works) if isinstance(told, Exception)]

    assert len(given_to(carriers)) == 3
    # A row that another worker was looking at in the very moment misses the sending, and is then one too many.
    assert set(states()) <= {"sent", "withheld"}
    assert states().count("sent") >= 3
    withheld = Message.objects.filter(state="withheld")
    assert all("frequency_cap" in row.verdict["reasons"] for row in withheld), [row.verdict for row in withheld]
