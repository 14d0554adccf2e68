"""A reminder leaves where consent exists, and only there: real carriers, a real sandbox."""

from datetime import datetime, timedelta

from backend.consent.operations import withdraw_consent
from backend.messaging.carriers.base import Carrier
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.policy.vocabulary import Channel, MessageState, Method
from backend.programmes.operations import plan_programmes
from sandbox import Sandbox
from tests.factories.patients import PatientInTest, make_appointment
from tests.factories.programmes import REMINDER


def test_a_reminder_leaves_where_consent_exists_and_only_there(
    consenting: PatientInTest,
    silent: PatientInTest,
    withdrawn: PatientInTest,
    carriers: dict[Channel, Carrier],
    sandbox: Sandbox,
    now: datetime,
) -> None:
    for patient in (consenting, silent, withdrawn):
        make_appointment(patient, starts_at=now + timedelta(days=1, hours=4), now=now)

    plan_programmes(now=now)
    deliver_due_messages(now=now, carriers=carriers)

    assert [one.channel for one in sandbox.received()] == ["push"]
    states = {message.patient_id: message.state for message in Message.objects.all()}
    assert states == {
        consenting.id: MessageState.SENT,
        silent.id: MessageState.WITHHELD,
        withdrawn.id: MessageState.WITHHELD,
    }


def test_a_withdrawal_silences_messages_already_queued(
    consenting: PatientInTest, carriers: dict[Channel, Carrier], sandbox: Sandbox, now: datetime
) -> None:
    make_appointment(consenting, starts_at=now + timedelta(days=1, hours=4), now=now)
    plan_programmes(now=now)

    withdrawal = withdraw_consent(
        clinic_id=consenting.clinic_id,
        patient_id=consenting.id,
        purpose=REMINDER,
        channels=[Channel.PUSH],
        method=Method.APP,
        actor=consenting.actor,
        now=now,
    )
    deliver_due_messages(now=now, carriers=carriers)

    assert withdrawal.confirmed
    assert sandbox.received() == ()
    assert Message.objects.get().state == MessageState.WITHHELD
    verdict = Message.objects.get().verdict
    assert verdict["reasons"] == ["consent_withdrawn"]
    assert verdict["standing_event_id"] == str(withdrawal.events[Channel.PUSH])
