"""What is in doubt is found at its carrier, or settled by a person; it is never sent again."""

from datetime import timedelta

import pytest

from backend.attempts.models import Attempt
from backend.attempts.operations import MARGIN_SECONDS
from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.consent.operations import withdraw_consent
from backend.errors import NotFound
from backend.messaging.carriers.base import InDoubt
from backend.messaging.delivery import claim, deliver_due_messages, gate
from backend.messaging.doubts import LOOKS, NotInDoubt, look_into_doubts, settle_doubt
from backend.messaging.filling import fill
from backend.messaging.held import Delivered, Pace
from backend.messaging.models import Message
from backend.messaging.outcomes import FIRST_LOOK, reconcile_attempts
from backend.policy.vocabulary import Channel, MessageState, Method
from backend.programmes.operations import plan_programmes
from sandbox import Fault
from tests.conftest import DAY, HOUR
from tests.factories.carriers import Forgetful, carriers_in_test
from tests.factories.log import actions_recorded
from tests.factories.many import make_appointments, make_patients
from tests.factories.programmes import REMINDER

ACTOR = system_actor("delivery")
TOMORROW = timedelta(days=1, hours=4)
# Long enough for a busy machine to have been asked, so that it is the answer that is missed.
QUICK = Pace(call=1.5)
SENT, IN_DOUBT, FAILED = MessageState.SENT, MessageState.IN_DOUBT, MessageState.FAILED


@pytest.fixture
def patient(northgate, now):
    (made,) = make_patients(northgate.id, how_many=1, now=now - DAY, purpose=REMINDER, channels=[Channel.SMS])
    return made


@pytest.fixture
def queued(patient, now):
    """A reminder that is due, by SMS."""
    make_appointments([patient], starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    return Message.objects.get()


@pytest.fixture
def lost(queued, sandbox, carriers, now):
    """Twilio took it, and its answer was lost."""
    sandbox.faults.push(Fault(channel="sms", kind="accept_then_hang"))
    deliver_due_messages(now=now, carriers=carriers, pace=QUICK)
    queued.refresh_from_db()
    assert queued.state == IN_DOUBT
    return queued


def told(message):
    message.refresh_from_db()
    return message.state, Attempt.objects.get(message_id=message.id).outcome


def test_what_the_carrier_has_was_sent(lost, sandbox, carriers, now, northgate):
    assert look_into_doubts(now=now, carriers=carriers) == 0, "asked too early: it may not be listed yet"
    assert look_into_doubts(now=now + FIRST_LOOK, carriers=carriers) == 1

    assert told(lost) == (SENT, "sent")
    assert (lost.failure, lost.ask_at, lost.settled_at) == ("", None, now + FIRST_LOOK)
    assert lost.carrier_reference == sandbox.received()[0].reference
    assert len(sandbox.received()) == 1
    recorded = actions_recorded(northgate.id)
    assert recorded[Action.MESSAGE_SOUGHT] == recorded[Action.MESSAGE_DOUBT_SETTLED] == 1
    assert recorded[Action.MESSAGE_HANDED_OVER] == 1


def test_what_a_dead_worker_handed_over_is_found(queued, sandbox, carriers, now):
    """The carrier took it, and the worker died before it could say so: the words are made once more, and compared."""
    batch, entry = claim(now=now, limit=10, lease=timedelta(seconds=-MARGIN_SECONDS - 1), actor=ACTOR)
    assert entry is not None
    allowed = gate(batch, now=now, actor=ACTOR, done=Delivered())
    (held,) = fill(allowed, entry=entry, now=now, actor=ACTOR, done=Delivered())
    carriers[Channel.SMS].send(held.outbound, timeout=5)
    assert reconcile_attempts(now=now) == 1

    assert look_into_doubts(now=now + FIRST_LOOK, carriers=carriers) == 1

    assert told(queued) == (SENT, "sent")
    assert len(sandbox.received()) == 1


def test_what_the_carrier_does_not_list_stays_in_doubt_and_is_not_sent_again(queued, now):
    carrier = Forgetful()
    carriers = {**carriers_in_test(), Channel.SMS: carrier}
    deliver_due_messages(now=now, carriers=carriers)

    for minutes in range(0, 180, 1):
        moment = now + timedelta(minutes=minutes)
        assert look_into_doubts(now=moment, carriers=carriers) == 0
        reconcile_attempts(now=moment)
        deliver_due_messages(now=moment, carriers=carriers)

    assert told(queued) == (IN_DOUBT, "in_doubt")
    assert (carrier.asked, len(carrier.given), queued.ask_at) == (len(LOOKS), 1, None)


def test_the_same_words_that_went_before_are_not_taken_for_it(patient, queued, sandbox, carriers, now):
    """Two appointments at the same minute have the same words: what is listed is the first message's."""
    deliver_due_messages(now=now, carriers=carriers)
    make_appointments([patient], starts_at=now + TOMORROW, now=now + HOUR)
    plan_programmes(now=now + HOUR)
    twin = Message.objects.exclude(id=queued.id).get()
    deliver_due_messages(now=now + HOUR, carriers=carriers_in_test(lambda _message: InDoubt()))

    assert look_into_doubts(now=now + HOUR + FIRST_LOOK, carriers=carriers) == 0

    assert len(sandbox.received()) == 1
    assert told(twin) == (IN_DOUBT, "in_doubt")


def test_a_carrier_that_can_not_tell_is_not_asked_and_nothing_is_read(queued, now, northgate):
    carriers = carriers_in_test(lambda _message: InDoubt())
    deliver_due_messages(now=now, carriers=carriers)

    assert look_into_doubts(now=now + HOUR, carriers=carriers) == 0

    assert actions_recorded(northgate.id)[Action.MESSAGE_SOUGHT] == 0
    assert told(queued) == (IN_DOUBT, "in_doubt")


@pytest.mark.parametrize(("left", "state", "outcome"), [(True, SENT, "sent"), (False, FAILED, "failed")])
def test_a_person_says_what_became_of_it(lost, manager, carriers, now, left, state, outcome):
    of_it = {"clinic_id": lost.clinic_id, "message_id": lost.id, "actor": manager}

    assert settle_doubt(**of_it, left=left, now=now + HOUR) == state

    assert told(lost) == (state, outcome)
    with pytest.raises(NotInDoubt):
        settle_doubt(**of_it, left=not left, now=now + HOUR)
    assert look_into_doubts(now=now + DAY, carriers=carriers) == 0
    assert told(lost) == (state, outcome)


def test_another_clinics_message_is_not_there(lost, manager, now):
    with pytest.raises(NotFound):
        settle_doubt(clinic_id=lost.id, message_id=lost.id, left=True, actor=manager, now=now)


def test_a_withdrawal_is_confirmed_once_the_doubt_is_settled(lost, carriers, now):
    def withdraw(moment):
        return withdraw_consent(
            clinic_id=lost.clinic_id,
            patient_id=lost.patient_id,
            purpose=REMINDER,
            channels=[Channel.SMS],
            method=Method.APP,
            actor=system_actor("test"),
            now=moment,
        )

    assert withdraw(now).in_doubt == (lost.id,)
    look_into_doubts(now=now + FIRST_LOOK, carriers=carriers)

    said = withdraw(now + HOUR)

    assert (said.confirmed, said.in_doubt) == (True, ())
