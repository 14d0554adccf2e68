"""Promise 1: no consent, no message. Silence, refusal and withdrawal all mean no, for care reminders too."""

from datetime import date, timedelta
from uuid import UUID

import pytest
from dateutil.relativedelta import relativedelta
from django.db import IntegrityError

from backend.audit.actions import Action
from backend.audit.recording import record
from backend.consent.models import ConsentEvent, ConsentState, Purpose
from backend.consent.operations import Expression, refuse_consent
from backend.consent.queries import latest_notices
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.policy.contact import RULES_VERSION
from backend.policy.vocabulary import Channel, Language, LegalBasis, MessageState, Method, Nature, Tone
from backend.preferences.operations import PreferenceChange, change_preferences
from backend.programmes.operations import plan_programmes
from backend.vault.identifiers import new_id
from tests.conftest import DAY
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import consent, make_appointment, make_immunisation, make_patient
from tests.factories.programmes import CHANNELS, RECALL, REMINDER

TOMORROW = timedelta(days=1, hours=4)


def remind(patient, now, *, actor=None):
    """An appointment tomorrow, everything that the product does around it, and what was handed over."""
    carriers = carriers_in_test()
    make_appointment(patient, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now, actor=actor)
    deliver_due_messages(now=now, carriers=carriers, actor=actor)
    return given_to(carriers)


def only_message(patient):
    return Message.objects.get(patient_id=patient.id)


def refuse(patient, *, purpose, channels, now):
    version = latest_notices(patient.clinic_id)[Language.FRENCH].version
    refuse_consent(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        purpose=purpose,
        channels=channels,
        notice_version=version,
        language=Language.FRENCH,
        expression=Expression(
            method=Method.APP, occurred_at=now, evidence={"notice_version": version, "initial_state": "off"}
        ),
        actor=patient.actor,
        now=now,
    )


def test_who_consented_is_reminded(consenting, now):
    assert [message.channel for message in remind(consenting, now)] == [Channel.PUSH]


def test_silence_is_no_for_a_care_reminder_too(silent, now):
    assert Purpose.objects.get(clinic_id=silent.clinic_id, slug=REMINDER).nature == Nature.CARE

    assert remind(silent, now) == []
    assert only_message(silent).verdict["reasons"] == ["no_consent"]


def test_a_refusal_is_no(silent, now):
    refuse(silent, purpose=REMINDER, channels=CHANNELS, now=now - DAY)

    assert remind(silent, now) == []
    assert only_message(silent).verdict["reasons"] == ["consent_refused"]


def test_a_withdrawal_is_no(withdrawn, now):
    assert remind(withdrawn, now) == []
    assert only_message(withdrawn).verdict["reasons"] == ["consent_withdrawn"]


def test_a_yes_to_one_channel_is_no_yes_to_another(silent, now):
    consent(silent, purpose=REMINDER, channels=[Channel.EMAIL], now=now - DAY)

    assert [message.channel for message in remind(silent, now)] == [Channel.EMAIL]
    considered = only_message(silent).verdict["considered"]
    assert considered["push"]["reasons"] == considered["sms"]["reasons"] == ["no_consent"]


def test_a_yes_to_one_purpose_is_no_yes_to_another(silent, now):
    consent(silent, purpose=RECALL, channels=CHANNELS, now=now - DAY)

    assert remind(silent, now) == []
    assert only_message(silent).verdict["reasons"] == ["no_consent"]


def test_a_consent_that_ran_out_is_no(silent, now):
    consent(silent, purpose=REMINDER, channels=CHANNELS, now=now - relativedelta(months=36))

    assert remind(silent, now) == []
    assert only_message(silent).verdict["reasons"] == ["consent_expired"]


def test_a_consent_holds_until_its_very_end(silent, now):
    consent(silent, purpose=REMINDER, channels=CHANNELS, now=now - relativedelta(months=36) + timedelta(microseconds=1))

    assert len(remind(silent, now)) == 1


def test_a_consent_that_is_withdrawn_and_given_again_is_a_yes(withdrawn, now):
    consent(withdrawn, purpose=REMINDER, channels=[Channel.SMS], now=now - DAY)

    assert [message.channel for message in remind(withdrawn, now)] == [Channel.SMS]


def test_the_yes_of_one_patient_is_nobody_elses(silent, consenting, now):
    twin = make_patient(silent.clinic_id, now=now - DAY, family_name="Oui")

    assert remind(twin, now) == []
    assert remind(silent, now) == []


def test_a_yes_in_one_clinic_is_none_in_another(northgate, southbank, consenting, now):
    there = make_patient(southbank.id, now=now - DAY, family_name="Oui")

    assert ConsentState.objects.filter(patient_id=there.id).count() == 0
    assert ConsentState.objects.in_clinic(southbank.id).count() == 0


def test_no_import_creates_a_consent(northgate, now):
    patient = make_patient(northgate.id, now=now - DAY, birth_date=date(1950, 1, 1))
    make_appointment(patient, starts_at=now + TOMORROW, now=now)
    make_immunisation(patient, at=now - timedelta(days=330), now=now)

    assert ConsentEvent.objects.count() == ConsentState.objects.count() == 0


@pytest.mark.parametrize(
    "change",
    [
        PreferenceChange(channel_order=tuple(Channel)),
        PreferenceChange(purposes={REMINDER: True, RECALL: True}),
        PreferenceChange(frequency=None, paused_until=None, discreet=False),
        PreferenceChange(tone=Tone.INFORMAL, language=Language.ENGLISH, digest=True),
    ],
    ids=["channels", "purposes", "no limits", "words"],
)
def test_no_preference_creates_a_consent(silent, now, change):
    change_preferences(
        clinic_id=silent.clinic_id, patient_id=silent.id, change=change, actor=silent.actor, now=now - DAY
    )

    assert remind(silent, now) == []
    assert ConsentEvent.objects.count() == 0


def test_no_role_overrides_a_missing_consent(silent, manager, now):
    assert remind(silent, now, actor=manager) == []


def test_no_purpose_can_be_made_to_need_no_consent(northgate, manager, now):
    purpose = Purpose.objects.get(clinic_id=northgate.id, slug=REMINDER)
    purpose.legal_basis = LegalBasis.LEGAL_OBLIGATION

    with (
        pytest.raises(IntegrityError, match="only_the_closed_list_goes_without_consent"),
        record(
            Action.PURPOSE_DEFINED, by=manager, now=now, clinic_id=northgate.id, purpose=REMINDER, nature="marketing"
        ),
    ):
        purpose.save()


def test_a_state_without_an_event_behind_it_can_not_exist(silent, manager, now):
    purpose = Purpose.objects.get(clinic_id=silent.clinic_id, slug=REMINDER)

    with (
        pytest.raises(IntegrityError),
        record(
            Action.CONSENT_GIVEN,
            by=manager,
            now=now,
            clinic_id=silent.clinic_id,
            about=silent.id,
            purpose=REMINDER,
            channel="sms",
            method="app",
            event=new_id(),
            notice_version=1,
        ),
    ):
        ConsentState.objects.create(
            clinic_id=silent.clinic_id,
            patient_id=silent.id,
            purpose=purpose,
            channel=Channel.SMS,
            status="given",
            since=now,
        )


def test_the_verdict_is_kept_with_what_was_sent_and_with_what_was_not(consenting, silent, now):
    remind(consenting, now)
    remind(silent, now)

    sent, withheld = only_message(consenting), only_message(silent)
    assert sent.state == MessageState.SENT
    assert sent.verdict["decided"] == "allow"
    assert sent.verdict["stage"] == "sending"
    relied_upon = ConsentEvent.objects.get(id=UUID(sent.verdict["consent_event_id"]))
    assert (relied_upon.patient_id, relied_upon.channel, relied_upon.kind) == (consenting.id, "push", "given")
    assert withheld.state == MessageState.WITHHELD
    assert withheld.verdict["decided"] == "deny"
    assert withheld.verdict["reasons"] == ["no_consent"]
    assert {row.verdict["rules_version"] for row in (sent, withheld)} == {RULES_VERSION}
