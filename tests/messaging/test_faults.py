"""What the sandbox does wrong on request, through the product's own carriers, ends in the right state."""

from datetime import timedelta

import pytest

from backend.messaging.delivery import deliver_due_messages
from backend.messaging.held import Pace
from backend.messaging.models import Message
from backend.policy.vocabulary import Channel
from backend.programmes.operations import plan_programmes
from sandbox import Fault
from tests.conftest import DAY, HOUR
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import REMINDER

TOMORROW = timedelta(days=1, hours=4)
QUICK = Pace(call=1, lease=10)


@pytest.fixture
def queued(northgate, now):
    """A reminder by SMS that is due."""
    patient = make_patient(northgate.id, now=now - DAY, device=False)
    consent(patient, purpose=REMINDER, channels=[Channel.SMS], now=now - DAY)
    make_appointment(patient, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    return Message.objects.get()


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        # Surely not taken: again later, or never.
        ("rate_limited", "planned"),
        ("refuse_address", "failed"),
        ("unregistered", "failed"),
        # Perhaps taken: nobody repeats it.
        ("http_500", "in_doubt"),
        ("garbage", "in_doubt"),
        ("reset", "in_doubt"),
        ("hang", "in_doubt"),
        ("accept_then_hang", "in_doubt"),
    ],
)
def test_a_fault_ends_in_the_right_state(queued, sandbox, carriers, now, kind, state):
    sandbox.faults.push(Fault(channel="sms", kind=kind))

    deliver_due_messages(now=now, carriers=carriers, pace=QUICK)

    queued.refresh_from_db()
    assert queued.state == state
    assert queued.failure


@pytest.mark.parametrize("kind", ["http_500", "garbage", "reset", "hang", "accept_then_hang"])
def test_what_may_have_arrived_is_not_sent_again(queued, sandbox, carriers, now, kind):
    sandbox.faults.push(Fault(channel="sms", kind=kind))

    for hours in range(4):
        plan_programmes(now=now + hours * HOUR)
        deliver_due_messages(now=now + hours * HOUR, carriers=carriers, pace=QUICK)

    assert len(sandbox.received()) <= 1


def test_what_surely_did_not_arrive_is_sent_later(queued, sandbox, carriers, now):
    sandbox.faults.push(Fault(channel="sms", kind="rate_limited", retry_after=120))
    deliver_due_messages(now=now, carriers=carriers, pace=QUICK)
    queued.refresh_from_db()
    assert queued.due_at == now + timedelta(seconds=120)

    deliver_due_messages(now=now + timedelta(seconds=119), carriers=carriers, pace=QUICK)
    assert sandbox.received() == ()
    deliver_due_messages(now=now + timedelta(seconds=120), carriers=carriers, pace=QUICK)
    assert len(sandbox.received()) == 1


def test_a_sandbox_that_is_gone_is_tried_again(queued, sandbox, carriers, now):
    sandbox.stop()

    deliver_due_messages(now=now, carriers=carriers, pace=QUICK)

    queued.refresh_from_db()
    assert (queued.state, queued.failure) == ("planned", "carrier_unavailable")
