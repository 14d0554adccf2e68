"""Every message that needs consent says how to stop such messages, and its link leads to that and to nothing else."""

import re
from datetime import timedelta

import pytest
from django.test import Client

from backend.audit.actions import Action
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message, UnsubscribeLink
from backend.messaging.operations.checks import plan_checks
from backend.patients.models import ContactPoint
from backend.patients.operations.contact_points import prepare_code
from backend.policy.vocabulary import Channel, Language
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.log import actions_recorded
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import REMINDER, offer_checks

TOMORROW = timedelta(days=1, hours=4)
PUBLIC = "https://accord.example"
LINK = re.compile(r"https://accord\.example(/u/[\w-]{22})(?![\w-])")


@pytest.fixture(autouse=True)
def _public(settings):
    settings.ACCORD_PUBLIC_URL = PUBLIC
    settings.SECURE_SSL_REDIRECT = False


def remind(patient, *, now):
    make_appointment(patient, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    carriers = carriers_in_test()
    deliver_due_messages(now=now, carriers=carriers)
    [message] = given_to(carriers)
    return message


def reachable_by(channel, northgate, now, language=Language.FRENCH):
    patient = make_patient(northgate.id, now=now - DAY, device=channel is Channel.PUSH, language=language)
    consent(patient, purpose=REMINDER, channels=[channel], now=now - DAY)
    return patient


def test_an_email_carries_the_link_in_sight_and_for_the_mail_program(northgate, now):
    patient = reachable_by(Channel.EMAIL, northgate, now)

    message = remind(patient, now=now)

    [path] = LINK.findall(message.text)
    assert message.text.endswith(f"Arrêter ces messages\N{NO-BREAK SPACE}: {PUBLIC}{path}")
    assert f'href="{PUBLIC}{path}">Arrêter ces messages</a>' in message.html
    assert message.headers == {
        "List-Unsubscribe": f"<{PUBLIC}{path}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    assert path[3:] not in str(Message.objects.values_list())


def test_the_link_that_was_sent_is_the_link_that_stops(northgate, now):
    patient = reachable_by(Channel.EMAIL, northgate, now)
    [path] = LINK.findall(remind(patient, now=now).text)

    answer = Client().post(path, data="List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded")

    assert (answer.status_code, answer.content) == (200, b"")
    make_appointment(patient, starts_at=now + 3 * DAY, now=now)
    plan_programmes(now=now)
    carriers = carriers_in_test()
    deliver_due_messages(now=now + 2 * DAY, carriers=carriers)
    assert given_to(carriers) == []


def test_an_sms_carries_the_link_and_no_word_that_makes_it_marketing(northgate, now):
    message = remind(reachable_by(Channel.SMS, northgate, now, Language.ENGLISH), now=now)

    [path] = LINK.findall(message.text)
    assert message.text.endswith(f"\nTo stop: {PUBLIC}{path}")
    assert "STOP" not in message.text
    assert message.headers == {}


def test_a_push_message_stays_as_it_is(northgate, now):
    message = remind(reachable_by(Channel.PUSH, northgate, now), now=now)

    assert "/u/" not in message.text
    assert not UnsubscribeLink.objects.exists()


def test_ten_messages_have_one_link(northgate, now):
    patient = reachable_by(Channel.EMAIL, northgate, now)

    links = {LINK.findall(remind(patient, now=now + days * DAY).text)[0] for days in range(3)}

    assert len(links) == UnsubscribeLink.objects.count() == 1
    assert actions_recorded(northgate.id)[Action.LINKS_MADE] == 1


def test_a_code_that_was_asked_for_has_nothing_to_leave(northgate, manager, now):
    offer_checks(northgate.id, actor=manager, now=now)
    patient = make_patient(northgate.id, now=now - DAY, reachable=False)
    point = ContactPoint.objects.get(patient_id=patient.id, kind="email")
    prepare_code(clinic_id=northgate.id, patient_id=patient.id, contact_point_id=point.id, actor=patient.actor, now=now)
    plan_checks(now=now)
    carriers = carriers_in_test()
    deliver_due_messages(now=now, carriers=carriers)

    [message] = given_to(carriers)

    assert message.headers == {}
    assert "/u/" not in message.text
