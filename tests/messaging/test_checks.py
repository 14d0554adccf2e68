"""The check of a contact point: asked for, sent without consent, typed back."""

import re
from datetime import datetime, timedelta

import pytest

from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.messaging.operations import plan_checks
from backend.patients.models import ContactPoint
from backend.patients.operations import CodeRefused, verify_contact_point
from backend.patients.operations.contact_points import CodeTooSoon, prepare_code
from backend.policy.vocabulary import ContactStatus, MessageState
from backend.programmes.operations import plan_programmes
from tests.factories.patients import make_patient
from tests.factories.programmes import offer_checks


@pytest.fixture
def patient(northgate, manager, now):
    offer_checks(northgate.id, actor=manager, now=now)
    return make_patient(northgate.id, now=now, reachable=False)


def asked(patient, kind: str, now: datetime) -> ContactPoint:
    point = ContactPoint.objects.get(patient_id=patient.id, kind=kind)
    prepare_code(
        clinic_id=patient.clinic_id, patient_id=patient.id, contact_point_id=point.id, actor=patient.actor, now=now
    )
    return point


@pytest.mark.parametrize(("kind", "channel"), [("phone", "sms"), ("email", "email")])
def test_a_code_that_was_asked_for_arrives_without_consent_and_verifies(patient, carriers, sandbox, now, kind, channel):
    point = asked(patient, kind, now)

    plan_checks(now=now)
    deliver_due_messages(now=now, carriers=carriers)
    (received,) = sandbox.received()
    code = re.search(r"\b\d{6}\b", received.text).group()
    verify_contact_point(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        contact_point_id=point.id,
        code=code,
        actor=patient.actor,
        now=now,
    )

    assert received.channel == channel
    point.refresh_from_db()
    assert point.status == ContactStatus.VERIFIED
    assert point.code is None
    message = Message.objects.get()
    assert message.state == MessageState.SENT
    assert message.sent_text is None
    assert message.verdict["consent_event_id"] is None


def test_a_code_makes_one_message_however_often_the_tick_comes(patient, now):
    asked(patient, "phone", now)

    plan_checks(now=now)
    plan_checks(now=now + timedelta(seconds=5))

    assert Message.objects.count() == 1


def test_an_old_code_is_not_sent_any_more(patient, carriers, sandbox, now):
    asked(patient, "phone", now)
    plan_checks(now=now)

    deliver_due_messages(now=now + timedelta(minutes=16), carriers=carriers)

    assert sandbox.received() == ()
    assert Message.objects.get().state == MessageState.EXPIRED


def test_a_second_code_needs_a_moment(patient, now):
    asked(patient, "phone", now)

    with pytest.raises(CodeTooSoon):
        asked(patient, "phone", now + timedelta(seconds=29))
    asked(patient, "phone", now + timedelta(seconds=31))


def test_a_wrong_code_is_refused(patient, now):
    point = asked(patient, "phone", now)

    with pytest.raises(CodeRefused):
        verify_contact_point(
            clinic_id=patient.clinic_id,
            patient_id=patient.id,
            contact_point_id=point.id,
            code="not it",
            actor=patient.actor,
            now=now,
        )


def test_the_planning_of_programmes_cancels_no_code_that_waits(patient, now):
    """A code follows no occasion, so none that changes takes it away."""
    asked(patient, "phone", now)
    plan_checks(now=now)

    plan_programmes(now=now)

    assert Message.objects.get().state == MessageState.PLANNED
