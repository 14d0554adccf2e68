"""Row 36, CNIL on SMS and e-mail: each message names its sender and offers a free way out that stops it.

Texts that a clinic writes itself are read for it before they are published. Push messages are stopped in the app.
"""

import re

import pytest
from django.test import Client

from backend.messaging.delivery import deliver_due_messages
from backend.policy.vocabulary import Channel, ConsentStatus, Language, Tone
from backend.preferences.operations import PreferenceChange, change_preferences
from backend.programmes.operations import plan_programmes
from tests.compliance.test_row_24_no_personalisation import library  # noqa: F401 - a fixture
from tests.conftest import DAY, HOUR
from tests.consent.test_deciding import status
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import REMINDER


@pytest.mark.parametrize("tone", [Tone.FORMAL, Tone.INFORMAL, Tone.PLAIN])
@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("channel", [Channel.SMS, Channel.EMAIL])
def test_it_says_who_writes_and_its_link_stops_it(library, now, settings, channel, language, tone):  # noqa: F811 - fixture
    patient = make_patient(library.id, now=now - 2 * DAY, device=False, language=language)
    consent(patient, purpose=REMINDER, channels=[channel], now=now - DAY)
    change_preferences(
        clinic_id=library.id,
        patient_id=patient.id,
        change=PreferenceChange(tone=tone),
        actor=patient.actor,
        now=now - DAY,
    )
    make_appointment(patient, starts_at=now + DAY + 4 * HOUR, now=now)
    carriers = carriers_in_test()
    plan_programmes(now=now)
    deliver_due_messages(now=now, carriers=carriers)
    (message,) = given_to(carriers)

    assert "Northgate" in message.text
    (link,) = re.findall(rf"{re.escape(settings.ACCORD_PUBLIC_URL)}(/u/[\w-]+)", message.text)
    page = Client()
    assert page.get(link).status_code == 200
    assert status(patient, channel) == ConsentStatus.GIVEN
    page.post(link)
    assert status(patient, channel) == ConsentStatus.WITHDRAWN


def test_no_message_names_a_number_that_costs_more(library, now):  # noqa: F811 - fixture
    patient = make_patient(library.id, now=now - 2 * DAY, device=False)
    consent(patient, purpose=REMINDER, channels=[Channel.SMS, Channel.EMAIL], now=now - DAY)
    make_appointment(patient, starts_at=now + DAY + 4 * HOUR, now=now)
    carriers = carriers_in_test()
    plan_programmes(now=now)
    deliver_due_messages(now=now, carriers=carriers)

    # 08 9x and short numbers of four digits and more are those that cost more in France.
    assert [
        one for one in given_to(carriers) if re.search(r"(?<!\d)(08 ?9\d|3\d{3}(?!\d)|[4-8]\d{4}(?!\d))", one.text)
    ] == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("Nous vous attendons demain.", "sender_missing"),
        ("{{ clinic.discreet_name }} : appelez le 0 892 70 12 34.", "surcharge_number"),
        ("{{ clinic.discreet_name }} : STOP au 36111.", "stop_word"),
    ],
)
def test_what_a_clinic_writes_itself_is_not_published_without(desk, body, found):
    variant = {"channel": "sms", "language": "fr", "tone": "formal", "body": body}

    answer = desk.post(
        "/api/v1/clinics/northgate/templates", {"slug": "own", "purpose": REMINDER, "variants": [variant]}
    )

    assert answer.status_code == 409
    assert found in answer.json()["findings"]
