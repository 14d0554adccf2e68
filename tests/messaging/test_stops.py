"""STOP by SMS: obeyed at once, for everyone who has the number, and seen by staff. Nothing is ever started by SMS."""

from datetime import timedelta

import pytest

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.keys import destroy_subject_keys
from backend.consent.models import ConsentEvent
from backend.consent.queries import states_of
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.keywords import Keyword
from backend.messaging.models import ReceivedStop
from backend.messaging.operations.leaving import take_inbound_sms
from backend.messaging.queries import stops_of
from backend.patients.models import SuppressionEntry
from backend.policy.vocabulary import Channel, ConsentStatus
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.log import actions_recorded
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import RECALL, REMINDER

NUMBER = "+33639981111"
TOMORROW = timedelta(days=1, hours=4)


@pytest.fixture
def couple(northgate, now):
    """Two patients with one telephone, who both said yes to SMS; one of them to e-mail too."""
    both = [make_patient(northgate.id, now=now - DAY, phone=NUMBER, device=False) for _ in range(2)]
    for patient in both:
        for purpose in (REMINDER, RECALL):
            consent(patient, purpose=purpose, channels=[Channel.SMS], now=now - DAY)
    consent(both[0], purpose=REMINDER, channels=[Channel.EMAIL], now=now - DAY)
    return both


def said(patient):
    return {
        (state.purpose, state.channel): state.status
        for state in states_of(clinic_id=patient.clinic_id, patient_id=patient.id)
        if state.status is not ConsentStatus.NONE
    }


def test_stop_withdraws_every_purpose_by_sms_of_everyone_who_has_the_number(northgate, couple, now):
    heard = take_inbound_sms(clinic_id=northgate.id, sender="06 39 98 11 11", text="Stop svp !", now=now)

    assert (heard.keyword, heard.confirmed) == (Keyword.STOP, True)
    assert set(heard.patients) == {patient.id for patient in couple}
    gone = {(REMINDER, Channel.SMS): ConsentStatus.WITHDRAWN, (RECALL, Channel.SMS): ConsentStatus.WITHDRAWN}
    assert said(couple[0]) == {**gone, (REMINDER, Channel.EMAIL): ConsentStatus.GIVEN}
    assert said(couple[1]) == gone
    methods = ConsentEvent.objects.filter(notice=None).values_list("method", flat=True)
    assert list(methods) == ["sms_keyword"] * 4
    assert actions_recorded(northgate.id)[Action.CONSENT_WITHDRAWN] == 4


def test_after_a_stop_nothing_leaves_for_the_number_and_other_ways_stay(northgate, couple, now):
    for patient in couple:
        make_appointment(patient, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)

    take_inbound_sms(clinic_id=northgate.id, sender=NUMBER, text="STOP", now=now)
    carriers = carriers_in_test()
    plan_programmes(now=now)
    deliver_due_messages(now=now + HOUR, carriers=carriers)

    assert {message.channel for message in given_to(carriers)} <= {Channel.EMAIL}


def test_staff_see_who_shares_the_number(northgate, southbank, couple, now):
    take_inbound_sms(clinic_id=northgate.id, sender=NUMBER, text="ARRÊT", now=now)

    rows = stops_of(clinic_id=northgate.id, before=None, limit=10)

    assert {(row.patient_id, row.sharing, row.withdrawn) for row in rows} == {(one.id, 1, 2) for one in couple}
    assert len({row.received for row in rows}) == 1
    first = stops_of(clinic_id=northgate.id, before=None, limit=1)
    rest = stops_of(clinic_id=northgate.id, before=(first[0].received_at, first[0].id), limit=10)
    assert [*first, *rest] == rows
    assert stops_of(clinic_id=southbank.id, before=None, limit=10) == []


def test_a_stop_counts_in_the_clinic_it_was_sent_to(northgate, southbank, couple, now):
    elsewhere = make_patient(southbank.id, now=now - DAY, phone=NUMBER)
    consent(elsewhere, purpose=REMINDER, channels=[Channel.SMS], now=now - DAY)

    take_inbound_sms(clinic_id=northgate.id, sender=NUMBER, text="STOP", now=now)

    assert said(elsewhere) == {(REMINDER, Channel.SMS): ConsentStatus.GIVEN}


@pytest.mark.parametrize("text", ["START", "OUI", "UNSTOP", "yes"])
def test_nothing_is_started_by_sms(northgate, couple, now, text):
    take_inbound_sms(clinic_id=northgate.id, sender=NUMBER, text="STOP", now=now)
    before, events = [said(one) for one in couple], ConsentEvent.objects.count()

    heard = take_inbound_sms(clinic_id=northgate.id, sender=NUMBER, text=text, now=now + HOUR)

    assert heard.keyword is Keyword.START
    assert [said(one) for one in couple] == before
    assert ConsentEvent.objects.count() == events
    assert SuppressionEntry.objects.count() == 1


@pytest.mark.parametrize("text", ["don't stop", "Bonjour, à quelle heure ?", ""])
def test_what_is_no_stop_changes_nothing(northgate, couple, now, text):
    before = [said(one) for one in couple]

    assert take_inbound_sms(clinic_id=northgate.id, sender=NUMBER, text=text, now=now).patients == ()

    assert [said(one) for one in couple] == before
    assert not ReceivedStop.objects.exists()
    assert not SuppressionEntry.objects.exists()


def test_received_twice_it_withdraws_once(northgate, couple, now):
    for _delivery in range(2):
        take_inbound_sms(clinic_id=northgate.id, sender=NUMBER, text="STOP", now=now)

    assert ConsentEvent.objects.filter(notice=None).count() == 4
    assert SuppressionEntry.objects.count() == 1


def test_a_number_of_nobody_is_silenced_for_whoever_gets_it_later(northgate, now):
    heard = take_inbound_sms(clinic_id=northgate.id, sender=NUMBER, text="STOP", now=now)

    assert heard.patients == ()
    assert SuppressionEntry.objects.get().source_event == "stop"
    assert actions_recorded(northgate.id)[Action.STOP_RECEIVED] == 1


def test_a_sender_that_is_no_number_stops_nothing(northgate, couple, now):
    take_inbound_sms(clinic_id=northgate.id, sender="36111", text="STOP", now=now)

    assert not SuppressionEntry.objects.exists()


def test_an_erased_patient_with_the_same_number_is_left_in_peace(northgate, couple, now):
    erased, staying = couple
    destroy_subject_keys(subject_id=erased.id, clinic_id=northgate.id, reason="erasure", actor=system_actor(), now=now)

    heard = take_inbound_sms(clinic_id=northgate.id, sender=NUMBER, text="STOP", now=now)

    assert heard.patients == (staying.id,)
