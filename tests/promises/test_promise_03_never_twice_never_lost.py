"""Promise 3: never twice, never lost. Workers are killed, stalled and doubled; nobody hears the same thing again."""

import random
import signal
import subprocess
import time
from collections import Counter
from datetime import timedelta

import pytest
from django.db import IntegrityError

from backend.attempts.models import Attempt
from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.recording import record
from backend.messaging.delivery import claim, deliver_due_messages
from backend.messaging.held import Pace
from backend.messaging.models import Message
from backend.messaging.outcomes import reconcile_attempts
from backend.policy.vocabulary import Channel, MessageState
from backend.programmes.operations import plan_programmes
from backend.vault.identifiers import new_id
from sandbox import Fault
from tests.conftest import HOUR
from tests.factories.background import all_at_once, wait_until
from tests.factories.carriers import carriers_in_test, given_to, settings_for
from tests.factories.many import make_appointments, make_patients, number_of
from tests.factories.patients import make_appointment
from tests.factories.programmes import REMINDER
from tests.factories.workers import Workers

TOMORROW = timedelta(days=1, hours=4)
ACTOR = system_actor("delivery")


@pytest.fixture
def crowd(northgate, now):
    """Patients who said yes to SMS, each with a reminder that is due."""
    patients = make_patients(northgate.id, how_many=120, now=now - HOUR, purpose=REMINDER, channels=[Channel.SMS])
    make_appointments(patients, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    return patients


@pytest.mark.django_db(transaction=True)
def test_killed_workers_send_nothing_twice_and_lose_nothing(crowd, sandbox, carriers, now):
    """SIGKILL at random moments; what was in the air is in doubt, and everything else arrives exactly once."""
    pace = Pace(batch=6, lease=5, call=1, parallel=6)
    sandbox.faults.push(Fault(channel="sms", kind="slow", seconds=0.03, times=10_000))
    chance = random.Random(3)  # noqa: S311 - a seed makes the run repeatable
    kills = 0
    with Workers(how_many=3, carriers=settings_for(sandbox), now=now, pace=pace) as workers:
        workers.wait_until_ready()
        for place in (0, 1, 2, 0):
            time.sleep(chance.uniform(0.05, 0.25))
            kills += Message.objects.filter(state="planned").exists()
            workers.kill(place)
            workers.replace(place)
            if place == 2:
                workers.wait_until_ready()
        wait_until(lambda: not Message.objects.filter(state="planned", tries=0).exists())
    # The dead hold what they had taken up until their leases are over.
    wait_until(lambda: _reconciled(now) and not Message.objects.filter(state="handing_over").exists(), seconds=20)
    # What surely did not leave, because a busy machine did not answer in time, is tried again.
    sandbox.faults.clear()
    deliver_due_messages(now=now + HOUR, carriers=carriers)

    arrivals = Counter(received.to for received in sandbox.received())
    states = Counter(Message.objects.values_list("state", flat=True))
    assert max(arrivals.values()) == 1
    assert kills > 0
    assert set(states) <= {MessageState.SENT, MessageState.IN_DOUBT}
    assert sum(states.values()) == len(crowd)
    # In doubt is what the dead held, be it that the test killed them or that a busy machine stalled them too long.
    dead = 4 + sum(process.returncode == -signal.SIGALRM for process in workers.processes)
    assert Message.objects.filter(state="in_doubt", failure="lease_ran_out").count() <= dead * pace.batch
    numbers = {patient.id: number_of(patient) for patient in crowd}
    sent = {numbers[one] for one in Message.objects.filter(state="sent").values_list("patient_id", flat=True)}
    assert sent <= set(arrivals)
    assert Attempt.objects.filter(outcome=None).count() == 0


def _reconciled(now):
    reconcile_attempts(now=now)
    return True


@pytest.mark.django_db(transaction=True)
def test_a_stalled_worker_is_dead_before_it_can_go_on(crowd, sandbox, now):
    """SIGSTOP between the last look at the lease and the call, past the lease, then SIGCONT."""
    pace = Pace(batch=5, lease=4, call=0.4)
    with Workers(how_many=1, carriers=settings_for(sandbox), now=now, pace=pace, stalls=True) as workers:
        (process,) = workers.processes
        wait_until(lambda: _is_stopped(process))
        time.sleep(2.2)
        process.send_signal(signal.SIGCONT)
        process.wait(10)

    assert process.returncode == -signal.SIGALRM
    assert sandbox.received() == ()
    wait_until(lambda: reconcile_attempts(now=now) > 0)
    assert Counter(Message.objects.values_list("state", flat=True)) == {"planned": len(crowd) - 5, "in_doubt": 5}


def _is_stopped(process: "subprocess.Popen[bytes]") -> bool:
    with open(f"/proc/{process.pid}/stat", encoding="ascii", errors="replace") as stat:  # noqa: PTH123 - not a file
        return stat.read().rpartition(")")[2].split()[0] == "T"


@pytest.mark.django_db(transaction=True)
def test_workers_on_the_same_rows_share_them(northgate, now):
    patients = make_patients(northgate.id, how_many=24, now=now - HOUR, purpose=REMINDER, channels=[Channel.SMS])
    make_appointments(patients, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)

    def take():
        batch, _entry = claim(now=now, limit=10, lease=timedelta(seconds=30), actor=ACTOR)
        return [held.message.id for held in batch]

    taken = all_at_once(*[take] * 4)

    assert all(isinstance(batch, list) for batch in taken), taken
    ids = [one for batch in taken for one in batch]
    assert len(ids) == len(set(ids))
    assert Attempt.objects.filter(outcome=None).count() == len(ids)


@pytest.mark.django_db(transaction=True)
def test_several_deliveries_at_once_send_each_message_once(northgate, now):
    patients = make_patients(northgate.id, how_many=40, now=now - HOUR, purpose=REMINDER, channels=[Channel.SMS])
    make_appointments(patients, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    carriers = carriers_in_test()

    done = all_at_once(*[lambda: deliver_due_messages(now=now, carriers=carriers, pace=Pace(batch=5))] * 3)
    deliver_due_messages(now=now, carriers=carriers)

    assert not [one for one in done if isinstance(one, Exception)]
    assert Counter(message.to for message in given_to(carriers)) == {number_of(patient): 1 for patient in patients}
    assert set(Message.objects.values_list("state", flat=True)) == {"sent"}


@pytest.mark.django_db(transaction=True)
def test_planners_at_once_make_each_message_once(northgate, now):
    patients = make_patients(northgate.id, how_many=20, now=now - HOUR, purpose=REMINDER, channels=[Channel.SMS])
    make_appointments(patients, starts_at=now + TOMORROW, now=now)

    told = all_at_once(*[lambda: plan_programmes(now=now)] * 3)

    plans = [one["northgate/appointment_reminder"] for one in told if not isinstance(one, Exception)]
    assert len(plans) == 3, told
    assert sum(plan.planned for plan in plans) == len(patients)
    assert Message.objects.count() == len(patients)


def test_planning_again_makes_nothing_again(consenting, now):
    make_appointment(consenting, starts_at=now + TOMORROW, now=now)

    for minutes in range(5):
        plan_programmes(now=now + timedelta(minutes=minutes))

    assert Message.objects.count() == 1


def test_one_step_of_one_occurrence_makes_one_message_whoever_asks(consenting, reception, now):
    make_appointment(consenting, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    message = Message.objects.get()
    message.id = new_id()

    with (
        pytest.raises(IntegrityError),
        record(
            Action.MESSAGE_PLANNED,
            by=reception,
            now=now,
            clinic_id=consenting.clinic_id,
            about=consenting.id,
            message=message.id,
            purpose=REMINDER,
            channel="push",
            step="d1",
        ),
    ):
        message.save(force_insert=True)


def test_delivering_again_sends_nothing_again(consenting, now):
    carriers = carriers_in_test()
    make_appointment(consenting, starts_at=now + TOMORROW, now=now)

    for minutes in range(5):
        plan_programmes(now=now + timedelta(minutes=minutes))
        deliver_due_messages(now=now + timedelta(minutes=minutes), carriers=carriers)

    assert len(given_to(carriers)) == 1


def test_the_same_import_again_sends_nothing_again(consenting, now):
    carriers = carriers_in_test()
    source_id = make_appointment(consenting, starts_at=now + TOMORROW, now=now)
    for _again in range(3):
        make_appointment(consenting, starts_at=now + TOMORROW, now=now, source_id=source_id)
        plan_programmes(now=now)
        deliver_due_messages(now=now, carriers=carriers)

    assert len(given_to(carriers)) == 1
