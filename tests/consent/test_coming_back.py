"""An address comes off the suppression list by its owner's own new yes, once verified since; by nothing less."""

import pytest

from backend.consent.operations import give_consent
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.operations import plan_checks
from backend.patients.models import ContactKind, ContactPoint, SuppressedBy
from backend.patients.operations import CodeTooSoon, prepare_code, verify_contact_point
from backend.patients.suppression import suppress_contact, suppressed_points
from backend.policy.vocabulary import Channel, Method
from tests.conftest import DAY, HOUR
from tests.consent.test_deciding import say
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import make_patient
from tests.factories.programmes import offer_checks

NUMBER = "+33639985501"


@pytest.fixture
def stopped(northgate, manager, now):
    """Sent STOP yesterday, and had verified the number before."""
    offer_checks(northgate.id, actor=manager, now=now - 9 * DAY)
    patient = make_patient(northgate.id, now=now - 9 * DAY, phone=NUMBER)
    verify(patient, now - 8 * DAY)
    suppress_contact(
        clinic_id=northgate.id,
        kind=ContactKind.PHONE,
        value=NUMBER,
        channels=[Channel.SMS],
        source=SuppressedBy.STOP,
        actor=manager,
        now=now - DAY,
    )
    return patient


def point_of(patient):
    return ContactPoint.objects.get(patient_id=patient.id, kind="phone", ended_at=None)


def code_for(patient, now):
    these = {"clinic_id": patient.clinic_id, "patient_id": patient.id, "contact_point_id": point_of(patient).id}
    return these, prepare_code(**these, actor=patient.actor, now=now)


def verify(patient, now):
    these, code = code_for(patient, now)
    verify_contact_point(**these, code=code, actor=patient.actor, now=now)


def is_suppressed(patient):
    return bool(suppressed_points([point_of(patient).id]))


def test_a_code_reaches_whoever_sent_stop_and_wants_to_come_back(stopped, now):
    _these, code = code_for(stopped, now)
    plan_checks(now=now)

    deliver_due_messages(now=now, carriers=(carriers := carriers_in_test()))

    assert [(message.to, code in message.text) for message in given_to(carriers)] == [(NUMBER, True)]


def test_a_suppressed_address_gets_one_code_a_day(stopped, now):
    verify(stopped, now)

    with pytest.raises(CodeTooSoon):
        code_for(stopped, now + 23 * HOUR)
    code_for(stopped, now + DAY)


def test_verified_since_and_said_yes_to_they_are_back(stopped, now):
    verify(stopped, now)
    assert is_suppressed(stopped)

    say(give_consent, stopped, now + HOUR)

    assert not is_suppressed(stopped)


def test_what_was_verified_before_the_stop_proves_nothing(stopped, now):
    say(give_consent, stopped, now)

    assert is_suppressed(stopped)


def test_a_yes_that_staff_take_down_lifts_nothing(stopped, reception, now):
    verify(stopped, now)

    say(
        give_consent,
        stopped,
        now + HOUR,
        method=Method.PAPER_FORM,
        evidence={"form_reference": "F-1", "signed_on": "2026-10-14"},
        actor=reception,
    )

    assert is_suppressed(stopped)


def test_a_number_that_another_patient_has_too_stays(stopped, northgate, now):
    make_patient(northgate.id, now=now, phone=NUMBER)
    verify(stopped, now)

    say(give_consent, stopped, now + HOUR)

    assert is_suppressed(stopped)


def test_a_yes_to_another_channel_lifts_nothing(stopped, now):
    verify(stopped, now)

    say(give_consent, stopped, now + HOUR, channels=[Channel.EMAIL])

    assert is_suppressed(stopped)
