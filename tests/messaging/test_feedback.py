"""A complaint is a withdrawal; a hard bounce is none, and the address has to be checked anew."""

import pytest

from backend.audit.actions import Action
from backend.consent.queries import states_of
from backend.errors import NotFound
from backend.messaging.carriers.base import FailureCode, PermanentFailure
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.messaging.operations.feedback import take_complaint, take_hard_bounce
from backend.patients.models import ContactPoint, SuppressionEntry
from backend.patients.operations import attest_contact_point
from backend.policy.vocabulary import Channel, ConsentStatus, ContactStatus, MessageState
from backend.preferences.operations import PreferenceChange, change_preferences
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.log import actions_recorded
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import CHANNELS, RECALL, REMINDER


@pytest.fixture
def by_email(northgate, now):
    """Said yes to everything, and wants e-mail first."""
    patient = make_patient(northgate.id, now=now - 9 * DAY, email="family@example.org")
    for purpose in (REMINDER, RECALL):
        consent(patient, purpose=purpose, channels=CHANNELS, now=now - 8 * DAY)
    prefer(patient, Channel.EMAIL, now)
    return patient


def prefer(patient, channel, now):
    change_preferences(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        change=PreferenceChange(channel_order=(channel,)),
        actor=patient.actor,
        now=now - 8 * DAY,
    )


def remind(patient, now, carriers=None):
    make_appointment(patient, starts_at=now + DAY + 4 * HOUR, now=now)
    plan_programmes(now=now)
    carriers = carriers or carriers_in_test()
    deliver_due_messages(now=now, carriers=carriers)
    return Message.objects.filter(patient_id=patient.id).latest("planned_at"), given_to(carriers)


def given(patient):
    return {
        (state.purpose, state.channel)
        for state in states_of(clinic_id=patient.clinic_id, patient_id=patient.id)
        if state.status is ConsentStatus.GIVEN
    }


def point_of(patient, kind="email"):
    return ContactPoint.objects.get(patient_id=patient.id, kind=kind, ended_at=None)


def test_a_complaint_withdraws_everything_by_that_channel_from_all_who_have_the_address(by_email, northgate, now):
    other = make_patient(northgate.id, now=now - DAY, email="family@example.org")
    consent(other, purpose=REMINDER, channels=CHANNELS, now=now - DAY)
    message, _sent = remind(by_email, now)

    for _again in range(2):
        complained = take_complaint(clinic_id=northgate.id, message_id=message.id, now=now + HOUR)
        assert complained.confirmed
        assert set(complained.patients) == {by_email.id, other.id}

    assert given(by_email) == {
        (purpose, channel) for purpose in (REMINDER, RECALL) for channel in (Channel.PUSH, Channel.SMS)
    }
    assert (REMINDER, Channel.EMAIL) not in given(other)
    assert [row.source_event for row in SuppressionEntry.objects.all()] == ["complaint"]
    assert actions_recorded(northgate.id)[Action.CONSENT_WITHDRAWN] == 3
    states = states_of(clinic_id=northgate.id, patient_id=by_email.id)
    assert {one.method for one in states if one.status is ConsentStatus.WITHDRAWN} == {"carrier_feedback"}
    assert point_of(by_email).status == ContactStatus.ATTESTED


def test_a_hard_bounce_is_no_withdrawal_and_nothing_more_goes_there_until_it_is_checked(
    by_email, northgate, reception, now
):
    message, _sent = remind(by_email, now)
    before = given(by_email)

    for _again in range(2):
        take_hard_bounce(clinic_id=northgate.id, message_id=message.id, now=now + HOUR)

    assert given(by_email) == before
    point = point_of(by_email)
    assert (point.status, point.reason, point.how) == (ContactStatus.UNVERIFIED, "bounced", "")
    assert actions_recorded(northgate.id)[Action.CONTACT_POINT_BOUNCED] == 1
    assert not SuppressionEntry.objects.exists()
    assert remind(by_email, now + 2 * HOUR)[1] == []

    attest_contact_point(
        clinic_id=northgate.id,
        patient_id=by_email.id,
        contact_point_id=point.id,
        how="called_back",
        actor=reception,
        now=now + 3 * HOUR,
    )
    assert point_of(by_email).reason == ""


def test_what_a_carrier_says_at_once_counts_too(by_email, now):
    gone = carriers_in_test(lambda _message: PermanentFailure(FailureCode.ADDRESS_GONE))

    message, _sent = remind(by_email, now, gone)

    assert (message.state, message.failure) == (MessageState.FAILED, "address_gone")
    assert point_of(by_email).status == ContactStatus.UNVERIFIED


def test_a_device_that_is_gone_ends(by_email, now):
    prefer(by_email, Channel.PUSH, now)

    remind(by_email, now, carriers_in_test(lambda _message: PermanentFailure(FailureCode.ADDRESS_GONE)))

    assert not ContactPoint.objects.filter(patient_id=by_email.id, kind="push", ended_at=None).exists()


def test_feedback_about_another_clinics_message_is_about_none(by_email, southbank, now):
    message, _sent = remind(by_email, now)

    for take in (take_complaint, take_hard_bounce):
        with pytest.raises(NotFound):
            take(clinic_id=southbank.id, message_id=message.id, now=now)
