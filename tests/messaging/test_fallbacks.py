"""The next channel within consent: a message of its own, made once, and never two where the first may have arrived."""

from datetime import timedelta

import pytest

from backend.audit.actors import system_actor
from backend.errors import InvalidInput
from backend.messaging.carriers.base import FailureCode, InDoubt, PermanentFailure, Receipt
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.policy.contact import FrequencyCap
from backend.policy.vocabulary import Channel, Language, MessageState
from backend.programmes.operations import approve_programme, plan_programmes, start_programme, write_programme
from backend.programmes.steps import Definition
from tests.conftest import DAY, HOUR
from tests.factories.background import all_at_once
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import CHANNELS, REMINDER
from tests.messaging.test_caps_and_hours import TOMORROW, change

SLUG = "careful_reminder"
GONE = PermanentFailure(FailureCode.ADDRESS_REFUSED)


def definition(fallback):
    step = {"key": "d1", "offset": {"days": -1}, "at": "09:00", "worth_for_hours": 22, "template": REMINDER}
    return {
        "occasion": {"kind": "appointment", "topic": ""},
        "steps": [step if fallback is None else {**step, "fallback": fallback}],
    }


@pytest.fixture
def following(northgate, manager, now):
    """A programme that falls back, at once where a message failed, and after four hours without a delivery."""
    run(northgate, manager, now, {"after_hours": 4})


def run(clinic, doctor, now, fallback):
    programme_id = write_programme(
        clinic_id=clinic.id,
        slug=SLUG,
        names=dict.fromkeys(Language, SLUG),
        purpose=REMINDER,
        definition=definition(fallback),
        actor=system_actor(),
        now=now,
    )
    approve_programme(clinic_id=clinic.id, programme_id=programme_id, actor=doctor, now=now)
    start_programme(clinic_id=clinic.id, programme_id=programme_id, actor=system_actor(), now=now)


def messages():
    """Those of the programme that falls back, in the order of their fallbacks."""
    return list(Message.objects.filter(programme__slug=SLUG).order_by("occurrence"))


def remind(patient, now):
    source = make_appointment(patient, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    return source


def failing(*channels):
    return carriers_in_test(lambda message: GONE if message.channel in channels else taken(message))


def taken(message):
    return Receipt(f"ref-{message.message_id}")


@pytest.mark.usefixtures("following")
def test_what_failed_by_one_channel_comes_by_the_next(consenting, now):
    remind(consenting, now)
    deliver_due_messages(now=now, carriers=failing(Channel.PUSH))
    plan_programmes(now=now + timedelta(minutes=5))
    deliver_due_messages(now=now + timedelta(minutes=5), carriers=failing(Channel.PUSH))

    first, second = messages()

    assert (first.channel, first.state) == ("push", "failed")
    assert (second.channel, second.state) == ("sms", "sent")
    assert second.occurrence == f"{first.occurrence}+1"
    assert second.verdict["decided"] == "allow"
    assert second.verdict["consent_event_id"] != first.verdict["consent_event_id"]


@pytest.mark.usefixtures("following")
def test_it_goes_on_to_the_last_channel_and_ends_there(consenting, now):
    remind(consenting, now)
    carriers = failing(*CHANNELS)

    for minutes in range(6):
        plan_programmes(now=now + timedelta(minutes=minutes))
        deliver_due_messages(now=now + timedelta(minutes=minutes), carriers=carriers)

    assert [(one.channel, one.state) for one in messages()] == [
        ("push", "failed"),
        ("sms", "failed"),
        ("email", "failed"),
    ]


@pytest.mark.usefixtures("following")
def test_only_a_channel_with_its_own_consent_is_taken(northgate, now):
    patient = make_patient(northgate.id, now=now - DAY)
    consent(patient, purpose=REMINDER, channels=[Channel.PUSH, Channel.EMAIL], now=now - DAY)
    remind(patient, now)

    deliver_due_messages(now=now, carriers=failing(Channel.PUSH))
    plan_programmes(now=now)

    assert [(one.channel, one.state) for one in messages()] == [("push", "failed"), ("email", "planned")]


@pytest.mark.usefixtures("following")
def test_where_no_other_channel_is_consented_to_it_is_withheld_and_says_why(northgate, now):
    patient = make_patient(northgate.id, now=now - DAY)
    consent(patient, purpose=REMINDER, channels=[Channel.PUSH], now=now - DAY)
    remind(patient, now)

    deliver_due_messages(now=now, carriers=failing(Channel.PUSH))
    plan_programmes(now=now)
    plan_programmes(now=now + HOUR)

    _first, second = messages()
    assert (second.state, second.verdict["reasons"]) == ("withheld", ["no_consent"])


@pytest.mark.usefixtures("following")
def test_without_a_report_of_delivery_it_is_tried_again_elsewhere_after_the_time_of_the_step(consenting, now):
    remind(consenting, now)
    carriers = carriers_in_test()
    deliver_due_messages(now=now, carriers=carriers)

    plan_programmes(now=now + 4 * HOUR - timedelta(seconds=1))
    assert len(messages()) == 1
    plan_programmes(now=now + 4 * HOUR)
    deliver_due_messages(now=now + 4 * HOUR, carriers=carriers)

    assert [(one.channel, one.state) for one in messages()] == [("push", "sent"), ("sms", "sent")]


@pytest.mark.usefixtures("following")
def test_both_may_have_arrived_so_both_count_under_a_cap(consenting, now):
    change(consenting, now - DAY, frequency=FrequencyCap(max=1, per="day"))
    source = make_appointment(consenting, starts_at=now + TOMORROW, now=now)
    assert source
    plan_programmes(now=now)
    carriers = carriers_in_test()
    deliver_due_messages(now=now, carriers=carriers)
    left = len(given_to(carriers))
    plan_programmes(now=now + 4 * HOUR)
    deliver_due_messages(now=now + 4 * HOUR, carriers=carriers)

    assert len(given_to(carriers)) == left == 1


def test_a_step_that_minds_no_silence_falls_back_on_failure_only(northgate, manager, consenting, now):
    run(northgate, manager, now, {})
    remind(consenting, now)
    deliver_due_messages(now=now, carriers=carriers_in_test())

    plan_programmes(now=now + 20 * HOUR)

    assert [one.state for one in messages()] == ["sent"]


@pytest.mark.parametrize("outcome", [InDoubt(), PermanentFailure(FailureCode.RECIPIENT_OPTED_OUT)])
@pytest.mark.usefixtures("following")
def test_what_may_have_arrived_and_who_said_no_is_not_passed_on(consenting, now, outcome):
    remind(consenting, now)
    deliver_due_messages(now=now, carriers=carriers_in_test(lambda _message: outcome))

    plan_programmes(now=now + 10 * HOUR)

    assert len(messages()) == 1


@pytest.mark.usefixtures("following")
@pytest.mark.parametrize("moved", ["moved", "cancelled"])
def test_not_after_the_appointment_was_moved_or_cancelled(consenting, now, moved):
    source = remind(consenting, now)
    deliver_due_messages(now=now, carriers=failing(Channel.PUSH))
    later = 30 * DAY if moved == "moved" else timedelta(0)
    status = "booked" if moved == "moved" else "cancelled"
    make_appointment(consenting, starts_at=now + TOMORROW + later, now=now, source_id=source, status=status)
    carriers = carriers_in_test()

    plan_programmes(now=now + HOUR)
    deliver_due_messages(now=now + HOUR, carriers=carriers)

    assert given_to(carriers) == []
    first, *others = messages()
    assert first.state == "failed"
    assert {one.state for one in others} <= {"withheld", "cancelled"}


@pytest.mark.usefixtures("following")
def test_not_when_it_is_of_no_more_use(consenting, now):
    remind(consenting, now)
    deliver_due_messages(now=now, carriers=failing(Channel.PUSH))

    plan_programmes(now=now + 23 * HOUR)

    assert len(messages()) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("following")
def test_planners_at_once_and_again_make_it_once(consenting, now):
    remind(consenting, now)
    deliver_due_messages(now=now, carriers=failing(Channel.PUSH))

    for _round in range(2):
        told = all_at_once(*[lambda: plan_programmes(now=now + HOUR)] * 3)
        assert not [one for one in told if isinstance(one, Exception)]

    assert [(one.channel, one.state) for one in messages()] == [("push", "failed"), ("sms", "planned")]
    assert Message.objects.filter(programme__slug=SLUG, state=MessageState.PLANNED).count() == 1


@pytest.mark.parametrize("fallback", [3, {"after_hours": 0}, {"after_hours": "4"}, {"after_hours": True}])
def test_what_can_not_be_meant_is_refused(fallback):
    with pytest.raises(InvalidInput):
        Definition.read(definition(fallback))
