"""What Firebase says of a device that is no more ends it at once, on the wire; nothing is tried again."""

from datetime import timedelta

import pytest

from backend.audit.actions import Action
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.patients.models import ContactPoint
from backend.patients.operations import register_device
from backend.policy.vocabulary import Channel, MessageState
from backend.programmes.operations import plan_programmes
from sandbox import Fault
from tests.conftest import DAY, HOUR
from tests.factories.log import actions_recorded
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import REMINDER


@pytest.fixture
def patient(northgate, now):
    """Signed in on a telephone and on a tablet, and said yes to push."""
    made = make_patient(northgate.id, now=now - 2 * DAY, device=False)
    for token in ("token:telephone", "token:tablet"):
        register_device(clinic_id=northgate.id, patient_id=made.id, token=token, actor=made.actor, now=now - DAY)
    consent(made, purpose=REMINDER, channels=[Channel.PUSH], now=now - DAY)
    return made


def remind(patient, now, carriers):
    make_appointment(patient, starts_at=now + timedelta(days=1, hours=4), now=now)
    plan_programmes(now=now)
    deliver_due_messages(now=now, carriers=carriers)
    return Message.objects.latest("planned_at")


def devices(patient):
    return set(
        ContactPoint.objects.filter(patient_id=patient.id, kind="push", ended_at=None).values_list("id", flat=True)
    )


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("unregistered", "address_gone"),
        ("refuse_address", "address_refused"),
        ("wrong_sender", "address_gone"),
    ],
    ids=["UNREGISTERED", "INVALID_ARGUMENT", "SENDER_ID_MISMATCH"],
)
def test_a_device_that_is_no_more_ends_at_once_and_is_not_tried_again(
    patient, carriers, sandbox, northgate, now, fault, code
):
    sandbox.faults.push(Fault(channel="push", kind=fault))
    before = devices(patient)

    message = remind(patient, now, carriers)

    assert (message.state, message.failure, message.tries) == (MessageState.FAILED, code, 1)
    assert devices(patient) == before - {message.contact_point_id}
    assert actions_recorded(northgate.id)[Action.CONTACT_POINT_REMOVED] == 1
    deliver_due_messages(now=now + DAY, carriers=carriers)
    assert sandbox.received() == ()

    other = remind(patient, now + 2 * HOUR, carriers)

    assert other.state == MessageState.SENT
    assert {other.contact_point_id} == devices(patient)


@pytest.mark.parametrize("fault", ["auth", "rate_limited", "garbage"])
def test_what_says_nothing_of_the_device_leaves_it(patient, carriers, sandbox, now, fault):
    # Google's SDK asks for a new token and comes again by itself.
    sandbox.faults.push(Fault(channel="push", kind=fault, times=10))
    before = devices(patient)

    message = remind(patient, now, carriers)

    assert message.state != MessageState.SENT
    assert devices(patient) == before
