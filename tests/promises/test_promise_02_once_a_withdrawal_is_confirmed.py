"""Promise 2: once a withdrawal is confirmed, nothing more leaves. Each seam of the protocol, then all of it at once."""

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from backend.attempts.models import Attempt
from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.consent.models import ConsentEvent
from backend.consent.operations import Expression, object_to, withdraw_consent
from backend.messaging.carriers.base import InDoubt
from backend.messaging.delivery import claim, deliver_due_messages, gate, hand_over
from backend.messaging.filling import fill
from backend.messaging.gate import candidate_of, decide_all
from backend.messaging.held import Delivered, Pace
from backend.messaging.models import Message
from backend.messaging.outcomes import reconcile_attempts, settle
from backend.patients.models import Patient
from backend.patients.operations import restrict_processing
from backend.policy.vocabulary import Channel, MessageState, Method, ObjectionScope, RestrictionGround
from backend.programmes.operations import plan_programmes
from sandbox import Fault
from tests.conftest import HOUR
from tests.factories.background import Background, wait_until
from tests.factories.carriers import carriers_in_test, given_to, settings_for
from tests.factories.log import actions_recorded
from tests.factories.many import make_appointments, make_patients, number_of
from tests.factories.patients import make_appointment
from tests.factories.programmes import CHANNELS, REMINDER
from tests.factories.workers import Workers

TOMORROW = timedelta(days=1, hours=4)
ACTOR = system_actor("delivery")
LEASE = timedelta(seconds=30)


@pytest.fixture
def queued(consenting, now):
    """A reminder that is due."""
    make_appointment(consenting, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    return Message.objects.get()


def withdraw(patient, now, channels=CHANNELS):
    return withdraw_consent(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        purpose=REMINDER,
        channels=channels,
        method=Method.APP,
        actor=patient.actor,
        now=now,
    )


def object_to_it(patient, now):
    return object_to(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        scope=ObjectionScope.PURPOSE,
        purpose=REMINDER,
        expression=Expression(method=Method.APP, occurred_at=now),
        actor=patient.actor,
        now=now,
    )


def restrict(patient, now):
    return restrict_processing(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        ground=RestrictionGround.ACCURACY_CONTESTED,
        actor=patient.actor,
        now=now,
    )


# Each way to say that nothing more may leave, and the reason that the message is withheld for.
FENCES = {withdraw: "consent_withdrawn", object_to_it: "objected", restrict: "restricted"}


def is_fenced(patient):
    said = ConsentEvent.objects.filter(patient_id=patient.id, kind__in=["withdrawn", "objected"])
    return said.exists() or Patient.objects.filter(id=patient.id, restricted_at__isnull=False).exists()


@dataclass
class Step:
    """A worker taken apart: the delivery's own functions, one at a time."""

    now: Any
    carriers: dict = field(default_factory=carriers_in_test)
    done: Delivered = field(default_factory=Delivered)
    batch: list = field(default_factory=list)
    entry: Any = None
    allowed: list = field(default_factory=list)
    ready: list = field(default_factory=list)

    def claim(self, lease=LEASE):
        self.batch, self.entry = claim(now=self.now, limit=10, lease=lease, actor=ACTOR)

    def gate(self):
        self.allowed = gate(self.batch, now=self.now, actor=ACTOR, done=self.done)

    def fill(self):
        self.ready = fill(self.allowed, entry=self.entry, now=self.now, actor=ACTOR, done=self.done)

    def hand_over(self):
        hand_over(
            self.ready,
            carriers=self.carriers,
            pace=Pace(),
            deadline=time.monotonic() + 25,
            now=self.now,
            actor=ACTOR,
            done=self.done,
        )

    @property
    def left(self):
        return len(given_to(self.carriers))


# ------------------------------------------------------------------------------------------------------ the seams


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("fence", "reason"), FENCES.items())
def test_what_is_said_between_claim_and_gate_withholds_and_is_confirmed(consenting, queued, now, fence, reason):
    worker = Step(now)
    worker.claim()

    withdrawal = Background(lambda: fence(consenting, now))
    wait_until(lambda: is_fenced(consenting))
    worker.gate()
    worker.fill()
    worker.hand_over()

    assert withdrawal.result().confirmed
    assert withdrawal.result().already_left == ()
    assert worker.left == 0
    queued.refresh_from_db()
    assert (queued.state, queued.verdict["reasons"]) == (MessageState.WITHHELD, [reason])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fence", FENCES)
def test_what_is_said_between_gate_and_send_waits_and_names_what_left(consenting, queued, now, fence):
    worker = Step(now)
    worker.claim()
    worker.gate()
    worker.fill()

    withdrawal = Background(lambda: fence(consenting, now))
    wait_until(lambda: is_fenced(consenting))
    time.sleep(0.15)
    assert withdrawal.is_going_on()
    worker.hand_over()

    answer = withdrawal.result()
    assert (answer.confirmed, answer.already_left, answer.in_doubt) == (True, (queued.id,), ())
    assert worker.left == 1


@pytest.mark.django_db(transaction=True)
def test_a_withdrawal_before_the_claim_waits_for_nothing(consenting, queued, now):
    answer = withdraw(consenting, now)
    worker = Step(now)
    worker.claim()
    worker.gate()
    worker.fill()
    worker.hand_over()

    assert (answer.confirmed, answer.already_left) == (True, ())
    assert worker.left == 0


def deliver_in_order(worker, pause):
    worker.claim()
    pause()
    worker.gate()
    worker.fill()
    worker.hand_over()


def deliver_swapped(worker, pause):
    """The mutant: it asks the gate first, and claims what it was allowed to send."""
    message = Message.objects.get()
    (verdict,) = decide_all([candidate_of(message, programme_state="running")], now=worker.now)
    pause()
    worker.claim()
    for held in worker.batch:
        held.verdict = verdict
    worker.allowed = worker.batch
    worker.fill()
    worker.hand_over()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("worker_does", "leave_after_the_answer"), [(deliver_in_order, 0), (deliver_swapped, 1)])
def test_the_seam_tells_the_right_order_from_the_swapped_one(
    consenting, queued, now, worker_does, leave_after_the_answer
):
    """Mutation test: load does not reliably catch a gate that is asked before the claim; this does."""
    worker = Step(now)
    withdrawals = []

    def withdraw_meanwhile():
        withdrawals.append(Background(lambda: withdraw(consenting, now)))
        wait_until(lambda: is_fenced(consenting))
        if worker_does is deliver_swapped:
            assert withdrawals[0].result().confirmed

    worker_does(worker, withdraw_meanwhile)

    answer = withdrawals[0].result()
    assert answer.confirmed
    assert worker.left - len(answer.already_left) == leave_after_the_answer


@pytest.mark.django_db(transaction=True)
def test_a_withdrawal_refuses_to_run_inside_a_transaction(consenting, now):
    with pytest.raises(RuntimeError), transaction.atomic():
        withdraw(consenting, now)

    assert not is_fenced(consenting)


# ----------------------------------------------------------------------------------------------------- in doubt


def test_a_message_in_doubt_is_named_and_nothing_is_confirmed(consenting, queued, now):
    deliver_due_messages(now=now, carriers=carriers_in_test(lambda _message: InDoubt()))

    answer = withdraw(consenting, now)

    assert (answer.confirmed, answer.in_doubt, answer.already_left) == (False, (queued.id,), ())


def test_what_is_in_doubt_on_another_channel_does_not_hold_up_this_one(consenting, queued, now):
    deliver_due_messages(now=now, carriers=carriers_in_test(lambda _message: InDoubt()))

    assert withdraw(consenting, now, channels=[Channel.EMAIL]).confirmed


def test_an_attempt_whose_lease_ran_out_is_named_as_in_doubt(consenting, queued, now):
    Step(now).claim(lease=timedelta(seconds=-10))
    assert reconcile_attempts(now=now) == 1

    answer = withdraw(consenting, now)

    assert (answer.confirmed, answer.in_doubt) == (False, (queued.id,))
    queued.refresh_from_db()
    assert (queued.state, queued.failure) == (MessageState.IN_DOUBT, "lease_ran_out")


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_never_answers_is_waited_for_no_longer_than_its_lease(consenting, queued, now, settings):
    settings.ACCORD_LEASE_SECONDS = 1
    Step(now).claim()

    began = time.monotonic()
    answer = withdraw(consenting, now)

    assert 2.5 < time.monotonic() - began < 6
    assert (answer.confirmed, answer.in_doubt) == (False, (queued.id,))


def test_an_owner_who_comes_too_late_overwrites_nothing_and_says_so_in_the_log(consenting, queued, now):
    worker = Step(now)
    worker.claim(lease=timedelta(seconds=-10))
    worker.gate()
    worker.fill()
    reconcile_attempts(now=now)

    worker.hand_over()

    queued.refresh_from_db()
    assert queued.state == MessageState.IN_DOUBT
    assert Attempt.objects.get().outcome == "in_doubt"
    assert worker.done.counts == {}
    assert actions_recorded(queued.clinic_id)[Action.MESSAGE_HANDED_OVER] == 1


def test_nothing_in_doubt_is_repeated_by_itself(consenting, queued, now):
    carriers = carriers_in_test(lambda _message: InDoubt())
    deliver_due_messages(now=now, carriers=carriers)

    for hours in range(1, 20):
        plan_programmes(now=now + hours * HOUR)
        deliver_due_messages(now=now + hours * HOUR, carriers=carriers)

    assert len(given_to(carriers)) == 1


def test_outcomes_are_settled_once(consenting, queued, now):
    worker = Step(now)
    worker.claim()
    worker.gate()
    worker.fill()
    worker.hand_over()

    settle([(worker.ready[0], InDoubt())], carriers=worker.carriers, now=now, actor=ACTOR, done=worker.done)

    queued.refresh_from_db()
    assert queued.state == MessageState.SENT


# ------------------------------------------------------------------------------------------------- under real load


@pytest.mark.django_db(transaction=True)
def test_under_load_nothing_arrives_after_a_confirmed_answer(northgate, sandbox, carriers, now):
    """Four worker processes, the real carrier, a sandbox that stamps each arrival, patients who withdraw meanwhile."""
    patients = make_patients(northgate.id, how_many=150, now=now - HOUR, purpose=REMINDER, channels=[Channel.SMS])
    make_appointments(patients, starts_at=now + TOMORROW, now=now)
    sandbox.faults.push(Fault(channel="sms", kind="slow", seconds=0.1, times=10_000))
    leaving = random.Random(2).sample(patients, 50)  # noqa: S311 - a seed makes the run repeatable
    answers = {}
    with Workers(
        how_many=4, carriers=settings_for(sandbox), now=now, pace=Pace(batch=4, lease=15, call=5, parallel=2)
    ) as workers:
        workers.wait_until_ready()
        plan_programmes(now=now)
        wait_until(lambda: len(sandbox.received()) > 5)
        for patient in leaving:
            answer = withdraw(patient, now, channels=[Channel.SMS])
            answers[number_of(patient)] = (time.monotonic(), answer)
        wait_until(lambda: not Message.objects.filter(state="planned", tries=0).exists())
    # What surely did not leave, because a busy machine did not answer in time, is tried again.
    sandbox.faults.clear()
    deliver_due_messages(now=now + HOUR, carriers=carriers)

    arrived = {received.to: received.monotonic for received in sandbox.received()}
    confirmed = {to: at for to, (at, answer) in answers.items() if answer.confirmed}
    assert [to for to, answered_at in confirmed.items() if arrived.get(to, 0.0) > answered_at] == []
    # On any machine most withdrawals are confirmed, and some come before their message.
    assert len(confirmed) > len(leaving) / 2
    states = Counter(Message.objects.values_list("state", flat=True))
    assert states[MessageState.WITHHELD] > 0
    assert set(states) <= {"sent", "withheld", "in_doubt"}
    assert states.total() == len(patients)
    assert states[MessageState.SENT] <= len(arrived) <= states[MessageState.SENT] + states[MessageState.IN_DOUBT]
