"""One message never holds up the others: poisoned rows, broken carriers, stopped workers, erased patients."""

import time
from collections import Counter
from datetime import timedelta

import pytest

from backend.attempts.models import Attempt
from backend.attempts.operations import MARGIN_SECONDS
from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.keys import destroy_subject_keys
from backend.audit.recording import record
from backend.messaging.carriers.base import (
    FailureCode,
    InDoubt,
    PermanentFailure,
    Receipt,
    TemporaryFailure,
)
from backend.messaging.delivery import claim, deliver_due_messages, gate, hand_over
from backend.messaging.filling import fill
from backend.messaging.held import Delivered, Pace
from backend.messaging.models import Message
from backend.messaging.outcomes import reconcile_attempts
from backend.patients.models import ContactPoint
from backend.policy.vocabulary import Channel, MessageState
from backend.programmes.operations import plan_programmes
from backend.vault.fields import Blob
from tests.conftest import DAY, HOUR
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.log import actions_recorded
from tests.factories.many import make_appointments, make_patients, number_of
from tests.factories.programmes import REMINDER

TOMORROW = timedelta(days=1, hours=4)
ACTOR = system_actor("delivery")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def three(northgate, now):
    """Three patients with a reminder that is due, by SMS."""
    patients = make_patients(northgate.id, how_many=3, now=now - DAY, purpose=REMINDER, channels=[Channel.SMS])
    make_appointments(patients, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    return patients


def taken_up(now, *, lease=timedelta(seconds=30)):
    batch, entry = claim(now=now, limit=10, lease=lease, actor=ACTOR)
    assert entry is not None
    return batch, entry


def state_of(patient):
    return Message.objects.get(patient_id=patient.id).state


def spoil(row, now, **columns):
    """Change a row as no operation would, under an entry that says so."""
    with record(
        Action.PATIENT_UPDATED,
        by=ACTOR,
        now=now,
        clinic_id=row.clinic_id,
        about=row.patient_id,
        source="test",
        fields=["x"],
    ):
        type(row).objects.filter(id=row.id).update(**columns)


# ------------------------------------------------------------------------------------------------ broken carriers


def answers(first, rest=None):
    """The first message gets one answer, all others are taken."""
    begun = []

    def behave(message):
        begun.append(message)
        if len(begun) == 1:
            if isinstance(first, BaseException):
                raise first
            return first
        return rest or Receipt(f"r-{message.message_id}")

    return behave


class Broken(Exception):
    """What a careless carrier might raise, with personal data in it."""


def test_a_carrier_that_breaks_off_leaves_its_message_in_doubt_and_the_others_sent(three, now, caplog):
    deliver_due_messages(now=now, carriers=carriers_in_test(answers(Broken("+33639800001"))), pace=Pace(parallel=1))

    assert sorted(map(state_of, three)) == ["in_doubt", "sent", "sent"]
    assert "+336" not in caplog.text
    assert "Broken" in caplog.text


@pytest.mark.parametrize(
    ("answer", "state", "failure", "put_off"),
    [
        (TemporaryFailure(FailureCode.RATE_LIMITED), "planned", "rate_limited", MINUTE),
        (TemporaryFailure(FailureCode.RATE_LIMITED, retry_after=600), "planned", "rate_limited", 10 * MINUTE),
        (TemporaryFailure(FailureCode.RATE_LIMITED, retry_after=float("inf")), "planned", "rate_limited", DAY),
        (TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE, retry_after=-5), "planned", "carrier_unavailable", MINUTE),
        (PermanentFailure(FailureCode.ADDRESS_REFUSED), "failed", "address_refused", None),
        (InDoubt(), "in_doubt", "no_answer", None),
    ],
)
def test_what_a_carrier_answers_is_what_is_stored(three, now, answer, state, failure, put_off):
    deliver_due_messages(now=now, carriers=carriers_in_test(answers(answer)), pace=Pace(parallel=1))

    (message,) = Message.objects.exclude(state="sent")
    assert (message.state, message.failure) == (state, failure)
    if put_off is not None:
        assert message.due_at == now + put_off
        assert message.claimed_at is None


def test_a_try_that_fails_is_repeated_later_each_time_and_then_no_more(three, now):
    carriers = carriers_in_test(lambda _message: TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE))
    waits, at = [], now
    for _try in range(4):
        deliver_due_messages(now=at, carriers=carriers)
        due = Message.objects.values_list("due_at", flat=True).distinct().get()
        waits.append(due - at)
        at = due
    deliver_due_messages(now=at, carriers=carriers)

    assert waits == [MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE]
    assert set(map(state_of, three)) == {MessageState.FAILED}
    assert len(given_to(carriers)) == 5 * 3
    deliver_due_messages(now=at + HOUR, carriers=carriers)
    assert len(given_to(carriers)) == 5 * 3


def test_a_message_that_fails_until_it_is_of_no_use_expires(three, now):
    carriers = carriers_in_test(lambda _message: TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE))
    deliver_due_messages(now=now, carriers=carriers)

    deliver_due_messages(now=now + DAY, carriers=carriers_in_test())

    assert set(map(state_of, three)) == {MessageState.EXPIRED}


def test_a_channel_without_a_carrier_fails_and_says_so(three, now):
    carriers = carriers_in_test()
    del carriers[Channel.SMS]

    deliver_due_messages(now=now, carriers=carriers)

    assert set(Message.objects.values_list("state", "failure", "carrier")) == {("failed", "not_configured", "none")}


def test_a_reference_that_can_not_be_stored_loses_nothing(three, now):
    deliver_due_messages(now=now, carriers=carriers_in_test(lambda _message: Receipt("a\x00b\n" + "x" * 400)))

    assert set(map(state_of, three)) == {MessageState.SENT}
    assert set(Message.objects.values_list("carrier_reference", flat=True)) == {"ab" + "x" * 198}


# -------------------------------------------------------------------------------------------------- poisoned rows


def test_a_value_that_can_not_be_opened_holds_up_nobody_else(three, now):
    point = ContactPoint.objects.get(patient_id=three[0].id, kind="phone")
    spoil(point, now, value=Blob(bytes(point.value._blob[:-1]) + b"!"))  # noqa: SLF001 - a bit flips on a disk
    carriers = carriers_in_test()

    deliver_due_messages(now=now, carriers=carriers)

    assert [state_of(patient) for patient in three] == ["planned", "sent", "sent"]
    assert Message.objects.get(patient_id=three[0].id).failure == "not_prepared"
    assert {message.to for message in given_to(carriers)} == {number_of(patient) for patient in three[1:]}


def test_a_message_in_a_language_that_does_not_exist_holds_up_nobody_else(three, now):
    spoil(Message.objects.get(patient_id=three[1].id), now, language="xx")

    deliver_due_messages(now=now, carriers=carriers_in_test())

    assert [state_of(patient) for patient in three] == ["sent", "planned", "sent"]


def test_a_message_that_can_never_be_prepared_is_given_up(three, now):
    spoil(Message.objects.get(patient_id=three[1].id), now, language="xx")
    for hours in range(6):
        deliver_due_messages(now=now + hours * HOUR, carriers=carriers_in_test())

    message = Message.objects.get(patient_id=three[1].id)
    assert (message.state, message.failure, message.tries) == ("failed", "not_prepared", 5)


def test_words_that_can_not_be_filled_fail_for_good(three, now):
    spoil(Message.objects.get(patient_id=three[0].id), now, tone="plain")

    deliver_due_messages(now=now, carriers=carriers_in_test())

    assert [state_of(patient) for patient in three] == ["failed", "sent", "sent"]
    assert Message.objects.get(patient_id=three[0].id).failure == "content_refused"


# ------------------------------------------------------------------------------------------------ erased patients


def erase(patient, now):
    destroy_subject_keys(subject_id=patient.id, clinic_id=patient.clinic_id, reason="erasure", actor=ACTOR, now=now)


def test_a_patient_without_a_key_is_denied_and_the_others_are_served(three, now):
    erase(three[1], now)
    carriers = carriers_in_test()

    deliver_due_messages(now=now, carriers=carriers)

    assert [state_of(patient) for patient in three] == ["sent", "withheld", "sent"]
    assert Message.objects.get(patient_id=three[1].id).verdict["reasons"] == ["erased"]
    assert actions_recorded(three[1].clinic_id)[Action.MESSAGE_WITHHELD] == 1


@pytest.mark.parametrize("moment", ["after the claim", "after the gate", "after the words"])
def test_a_key_that_is_destroyed_in_the_middle_of_a_batch_stops_nobody_else(three, now, moment):
    carriers, done = carriers_in_test(), Delivered()
    batch, entry = taken_up(now)
    if moment == "after the claim":
        erase(three[1], now)
    allowed = gate(batch, now=now, actor=ACTOR, done=done)
    if moment == "after the gate":
        erase(three[1], now)
    ready = fill(allowed, entry=entry, now=now, actor=ACTOR, done=done)
    if moment == "after the words":
        erase(three[1], now)
    hand_over(ready, carriers=carriers, pace=Pace(), deadline=time.monotonic() + 25, now=now, actor=ACTOR, done=done)

    assert [state_of(three[0]), state_of(three[2])] == ["sent", "sent"]
    assert Attempt.objects.filter(outcome=None).count() == 0
    if moment == "after the words":
        # It left before: that is what must not be forgotten, although its words can no longer be kept.
        message = Message.objects.get(patient_id=three[1].id)
        assert (message.state, message.sent_text) == ("sent", None)
    else:
        assert number_of(three[1]) not in {message.to for message in given_to(carriers)}


def test_planning_goes_on_around_an_erased_patient(northgate, now):
    patients = make_patients(northgate.id, how_many=3, now=now - DAY, purpose=REMINDER, channels=[Channel.SMS])
    make_appointments(patients, starts_at=now + TOMORROW, now=now)
    erase(patients[0], now)

    plan_programmes(now=now)

    assert [state_of(patient) for patient in patients] == ["withheld", "planned", "planned"]


def test_reconciliation_goes_on_around_an_erased_patient(three, now):
    claim(now=now, limit=10, lease=timedelta(seconds=-10), actor=ACTOR)
    erase(three[0], now)

    assert reconcile_attempts(now=now) == 3
    assert set(map(state_of, three)) == {MessageState.IN_DOUBT}


# ------------------------------------------------------------------------------------------------ leases and stops


def ready_batch(now):
    done = Delivered()
    batch, entry = taken_up(now)
    return fill(gate(batch, now=now, actor=ACTOR, done=done), entry=entry, now=now, actor=ACTOR, done=done), done


def test_with_too_little_of_the_lease_left_nothing_is_begun(three, now):
    carriers = carriers_in_test()
    ready, done = ready_batch(now)

    hand_over(ready, carriers=carriers, pace=Pace(), deadline=time.monotonic() + 9, now=now, actor=ACTOR, done=done)

    assert given_to(carriers) == []
    assert set(Message.objects.values_list("state", "failure", "tries")) == {("planned", "", 0)}
    assert set(Attempt.objects.values_list("outcome", flat=True)) == {"released"}


def test_what_was_released_goes_out_soon_after_and_not_in_the_same_run(three, now):
    ready, done = ready_batch(now)
    hand_over(
        ready, carriers=carriers_in_test(), pace=Pace(), deadline=time.monotonic(), now=now, actor=ACTOR, done=done
    )
    carriers = carriers_in_test()

    deliver_due_messages(now=now, carriers=carriers)
    assert given_to(carriers) == []
    deliver_due_messages(now=now + MINUTE, carriers=carriers)
    assert len(given_to(carriers)) == 3


@pytest.mark.parametrize("call", [10, 28])
def test_a_lease_must_outlast_a_call_its_outcome_and_the_margin(call):
    with pytest.raises(ValueError, match="outlast"):
        Pace(lease=call + MARGIN_SECONDS, call=call)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_worker_that_is_told_to_stop_answers_for_what_it_began_and_gives_back_the_rest(three, now, stop):
    """As when Ctrl-C or a supervisor comes while the main thread waits for its carriers."""

    ready, _done = ready_batch(now)
    carriers = carriers_in_test(slowly)
    # Interrupts the main thread when it counts the first outcome, behind its commit.
    done = Delivered(counts=InterruptedCounter(stop))
    with pytest.raises(stop):
        hand_over(
            ready,
            carriers=carriers,
            pace=Pace(parallel=1),
            deadline=time.monotonic() + 25,
            now=now,
            actor=ACTOR,
            done=done,
        )

    sent = len(given_to(carriers))
    assert 1 <= sent < 3
    assert sorted(map(state_of, three)) == ["planned"] * (3 - sent) + ["sent"] * sent
    assert Attempt.objects.filter(outcome=None).count() == 0


def slowly(message):
    time.sleep(0.1)
    return Receipt(f"r-{message.message_id}")


class InterruptedCounter(Counter[MessageState]):
    """Raises once, where a signal handler could."""

    def __init__(self, stop):
        self._stop = None
        super().__init__()
        self._stop = stop

    def update(self, *_args, **_more):
        if self._stop is not None:
            stop, self._stop = self._stop, None
            raise stop
