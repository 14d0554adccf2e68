"""Row 25, GDPR Art. 25: before anybody chose anything, nothing is sent, nothing is tracked, and little is shown."""

from io import StringIO

import pytest
from django.core.management import call_command

from backend.clinics.models import Clinic
from backend.consent.models import ConsentEvent, ConsentState
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.mail import as_html
from backend.messaging.models import Message
from backend.policy.vocabulary import Channel, Decided, Language, MessageState
from backend.preferences.queries import PreferenceRow, get_preferences
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import make_appointment, make_patient

TOMORROW = DAY + 4 * HOUR


def deliver(now):
    carriers = carriers_in_test()
    plan_programmes(now=now)
    deliver_due_messages(now=now, carriers=carriers)
    return given_to(carriers)


def test_a_clinic_as_it_is_set_up_sends_nothing(db, now):
    call_command(
        "set_up_clinic",
        "lilas",
        name="Cabinet des Lilas",
        telephone="01 99 00 00 01",
        address="1 rue des Lilas",
        stdout=StringIO(),
    )
    patient = make_patient(Clinic.objects.get(slug="lilas").id, now=now)
    make_appointment(patient, starts_at=now + TOMORROW, now=now)

    assert deliver(now) == []
    assert Message.objects.count() == 0


def test_a_patient_who_said_nothing_consented_to_nothing(silent):
    assert not ConsentEvent.objects.filter(patient_id=silent.id).exists()
    assert not ConsentState.objects.filter(patient_id=silent.id).exists()


def test_even_where_programmes_run_nothing_is_sent_to_who_said_nothing(silent, now):
    make_appointment(silent, starts_at=now + TOMORROW, now=now)

    assert deliver(now) == []
    message = Message.objects.get()
    assert message.state == MessageState.WITHHELD
    assert {said["decided"] for said in message.verdict["considered"].values()} == {Decided.DENY}


def test_a_lock_screen_shows_the_discreet_form_until_the_patient_says_otherwise(consenting, now):
    assert get_preferences(clinic_id=consenting.clinic_id, patient_id=consenting.id) == PreferenceRow(discreet=True)
    make_appointment(consenting, starts_at=now + TOMORROW, now=now)

    (message,) = deliver(now)

    assert message.channel is Channel.PUSH
    assert message.text.startswith("[formal discreet]")


@pytest.mark.parametrize("large_print", [False, True])
def test_an_email_fetches_nothing_and_tells_nobody_that_it_was_opened(large_print):
    page = as_html("Bonjour,\n\nà demain.", language=Language.FRENCH, large_print=large_print).lower()

    for trace in ("<img", "<link", "<script", "<iframe", "src=", "url(", "http", "@import"):
        assert trace not in page
