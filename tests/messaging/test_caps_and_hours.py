"""Frequency caps are reserved by the claim, and quiet hours put off what then goes out."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.recording import record
from backend.messaging.carriers.base import InDoubt
from backend.messaging.delivery import claim, deliver_due_messages, gate, hand_over
from backend.messaging.filling import fill
from backend.messaging.held import Delivered, Pace
from backend.messaging.models import Message
from backend.policy.contact import FrequencyCap
from backend.policy.vocabulary import Channel, MessageState
from backend.preferences.operations import PreferenceChange, change_preferences
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.factories.background import all_at_once
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import CHANNELS, REMINDER

TOMORROW = timedelta(days=1, hours=4)
ACTOR = system_actor("delivery")
PARIS = ZoneInfo("Europe/Paris")


def change(patient, now, **said):
    change_preferences(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        change=PreferenceChange(**said),
        actor=patient.actor,
        now=now,
    )


def appointments(patient, now, *, how_many):
    for place in range(how_many):
        make_appointment(patient, starts_at=now + TOMORROW + place * timedelta(minutes=30), now=now)
    plan_programmes(now=now)


def states():
    return sorted(Message.objects.values_list("state", flat=True))


def test_of_two_due_messages_under_a_cap_of_one_one_goes_out(consenting, now):
    change(consenting, now - DAY, frequency=FrequencyCap(max=1, per="day"))
    appointments(consenting, now, how_many=2)
    carriers = carriers_in_test()

    deliver_due_messages(now=now, carriers=carriers)

    assert len(given_to(carriers)) == 1
    # The other would have to wait a day, and by then it is of no use.
    assert states() == ["sent", "withheld"]
    assert Message.objects.get(state="withheld").verdict["reasons"] == ["too_late", "frequency_cap"]


@pytest.mark.parametrize("batch", [1, 2, 50])
def test_the_cap_holds_whatever_the_batches(consenting, now, batch):
    change(consenting, now - DAY, frequency=FrequencyCap(max=2, per="week"))
    appointments(consenting, now, how_many=4)
    carriers = carriers_in_test()

    for minutes in range(4):
        deliver_due_messages(now=now + timedelta(minutes=minutes), carriers=carriers, pace=Pace(batch=batch))

    assert len(given_to(carriers)) == 2


@pytest.mark.django_db(transaction=True)
def test_the_cap_holds_when_several_workers_claim_at_once(consenting, now):
    change(consenting, now - DAY, frequency=FrequencyCap(max=1, per="day"))
    appointments(consenting, now, how_many=6)
    carriers = carriers_in_test()

    for _round in range(3):
        works = [lambda: deliver_due_messages(now=now, carriers=carriers, pace=Pace(batch=1))] * 3
        assert not [told for told in all_at_once(*works) if isinstance(told, Exception)]

    assert len(given_to(carriers)) == 1
    assert states() == ["sent"] + ["withheld"] * 5


@pytest.mark.django_db(transaction=True)
def test_a_patient_in_the_hands_of_one_worker_is_not_taken_up_by_another(consenting, now):
    """Or each would count without the other, and both would send."""
    change(consenting, now - DAY, frequency=FrequencyCap(max=1, per="day"))
    appointments(consenting, now, how_many=2)
    lease = timedelta(seconds=30)
    first, entry = claim(now=now, limit=1, lease=lease, actor=ACTOR)
    assert entry is not None

    assert claim(now=now, limit=10, lease=lease, actor=ACTOR) == ([], None)

    carriers, done = carriers_in_test(), Delivered()
    ready = fill(gate(first, now=now, actor=ACTOR, done=done), entry=entry, now=now, actor=ACTOR, done=done)
    hand_over(ready, carriers=carriers, pace=Pace(), deadline=1e12, now=now, actor=ACTOR, done=done)
    deliver_due_messages(now=now, carriers=carriers)
    assert len(given_to(carriers)) == 1


def test_a_message_that_is_refused_takes_nobodys_place(northgate, now):
    """The first of two is for a channel whose consent is gone; the second may still go."""
    patient = make_patient(northgate.id, now=now - DAY)
    consent(patient, purpose=REMINDER, channels=CHANNELS, now=now - DAY)
    change(patient, now - DAY, frequency=FrequencyCap(max=1, per="day"))
    moved = make_appointment(patient, starts_at=now + TOMORROW, now=now)
    make_appointment(patient, starts_at=now + TOMORROW + HOUR, now=now)
    plan_programmes(now=now)
    make_appointment(patient, starts_at=now + TOMORROW + 3 * HOUR, now=now, source_id=moved)
    first = Message.objects.get(occasion_starts_at=now + TOMORROW)
    with record(
        Action.PATIENT_UPDATED, by=ACTOR, now=now, clinic_id=northgate.id, about=patient.id, source="test", fields=["x"]
    ):
        Message.objects.filter(id=first.id).update(due_at=first.due_at - HOUR)
    carriers = carriers_in_test()

    deliver_due_messages(now=now, carriers=carriers)

    assert len(given_to(carriers)) == 1
    assert Message.objects.get(state="withheld").verdict["reasons"] == ["occasion_changed"]


def test_what_may_have_left_counts(consenting, now):
    change(consenting, now - DAY, frequency=FrequencyCap(max=1, per="week"))
    appointments(consenting, now, how_many=2)
    carriers = carriers_in_test(lambda _message: InDoubt())

    deliver_due_messages(now=now, carriers=carriers)

    assert len(given_to(carriers)) == 1
    assert states() == ["in_doubt", "withheld"]


def test_what_surely_did_not_leave_does_not_count(consenting, now):
    change(consenting, now - DAY, frequency=FrequencyCap(max=1, per="week"))
    appointments(consenting, now, how_many=1)
    deliver_due_messages(now=now, carriers={})
    assert states() == ["failed"]

    appointments(consenting, now + HOUR, how_many=1)
    carriers = carriers_in_test()
    deliver_due_messages(now=now + HOUR, carriers=carriers)
    assert len(given_to(carriers)) == 1


def test_quiet_hours_put_off_what_then_goes_out(consenting, now):
    """Ten in the morning in Paris, and the patient sleeps until noon."""
    change(consenting, now - DAY, quiet_from=time(22), quiet_to=time(12))
    appointments(consenting, now, how_many=1)
    carriers = carriers_in_test()
    message = Message.objects.get()
    assert message.due_at == datetime(2026, 10, 14, 12, 0, tzinfo=PARIS)

    deliver_due_messages(now=now, carriers=carriers)
    assert given_to(carriers) == []
    deliver_due_messages(now=now + 2 * HOUR, carriers=carriers)
    assert len(given_to(carriers)) == 1


def test_quiet_hours_that_begin_after_planning_defer_at_the_gate(consenting, now):
    appointments(consenting, now, how_many=1)
    change(consenting, now, quiet_from=time(9), quiet_to=time(12))
    carriers = carriers_in_test()

    deliver_due_messages(now=now, carriers=carriers)

    message = Message.objects.get()
    assert given_to(carriers) == []
    assert (message.state, message.verdict["reasons"]) == (MessageState.DEFERRED, ["quiet_hours"])
    assert (message.due_at, message.tries) == (datetime(2026, 10, 14, 12, 0, tzinfo=PARIS), 0)
    deliver_due_messages(now=message.due_at, carriers=carriers)
    assert len(given_to(carriers)) == 1


def test_quiet_hours_are_those_of_the_patients_own_clock(consenting, now):
    change(consenting, now - DAY, quiet_from=time(12), quiet_to=time(14), time_zone="Indian/Reunion")
    appointments(consenting, now, how_many=1)

    # 10:00 in Paris is 12:00 on Réunion.
    assert Message.objects.get().due_at == datetime(2026, 10, 14, 14, 0, tzinfo=ZoneInfo("Indian/Reunion"))


def test_the_place_under_a_cap_is_free_again_after_its_window(consenting, now):
    change(consenting, now - DAY, frequency=FrequencyCap(max=1, per="day"))
    appointments(consenting, now, how_many=1)
    carriers = carriers_in_test()
    deliver_due_messages(now=now, carriers=carriers)
    appointments(consenting, now + DAY, how_many=1)

    deliver_due_messages(now=now + DAY, carriers=carriers)

    assert len(given_to(carriers)) == 2
    assert {message.channel for message in given_to(carriers)} == {Channel.PUSH}
