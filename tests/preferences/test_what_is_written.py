"""What a patient prefers shows in what is written to them: large print, no first name, nothing personal."""

import pytest

from backend.messaging.delivery import deliver_due_messages
from backend.messaging.operations import VariantText, publish_template
from backend.policy.vocabulary import Channel, Language, Tone
from backend.preferences.operations import PreferenceChange, change_preferences
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.factories.carriers import carriers_in_test, given_to, without_way_out
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import REMINDER

BODY = (
    "Bonjour {{ patient.first_name }} {{ patient.family_name }},\n\n"
    "Cher {{ patient.first_name }}, à bientôt. {{ patient.family_name }}"
)

FIRST_NAME = "Camille"


@pytest.fixture
def ada(northgate, manager, now):
    publish_template(
        clinic_id=northgate.id,
        slug=REMINDER,
        purpose=REMINDER,
        variants=[
            VariantText(
                channel=channel,
                language=Language.FRENCH,
                tone=Tone.FORMAL,
                subject="" if channel is Channel.SMS else "Pour {{ patient.first_name }}",
                body=BODY,
            )
            for channel in (Channel.EMAIL, Channel.SMS)
        ],
        actor=manager,
        now=now - 2 * DAY,
    )
    patient = make_patient(northgate.id, now=now - 2 * DAY, family_name="Exemple")
    consent(patient, purpose=REMINDER, channels=[Channel.EMAIL, Channel.SMS], now=now - 2 * DAY)
    return patient


def written(patient, now, *, channel=Channel.EMAIL, **wanted):
    change_preferences(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        change=PreferenceChange(channel_order=(channel,), **wanted),
        actor=patient.actor,
        now=now - DAY,
    )
    make_appointment(patient, starts_at=now + DAY + 4 * HOUR, now=now)
    carriers = carriers_in_test()
    plan_programmes(now=now)
    deliver_due_messages(now=now, carriers=carriers)
    (message,) = given_to(carriers)
    return without_way_out(message)


def test_nothing_said_means_the_name_and_the_usual_print(ada, now):
    message = written(ada, now)

    assert message.text.startswith("Bonjour Camille Exemple,\n")
    assert message.subject == "Pour Camille"
    assert "font:17px/1.5" in message.html


def test_large_print_is_large(ada, now):
    message = written(ada, now, large_print=True)

    assert "font:24px/1.6" in message.html
    assert message.text.startswith("Bonjour Camille Exemple,\n")


@pytest.mark.parametrize("channel", [Channel.EMAIL, Channel.SMS])
def test_no_first_name_leaves_no_first_name_and_no_hole(ada, now, channel):
    message = written(ada, now, channel=channel, no_first_name=True)

    assert message.text == "Bonjour Exemple,\n\nCher, à bientôt. Exemple"
    assert FIRST_NAME not in message.html + message.subject


def test_no_personalisation_keeps_the_generic_text(ada, now):
    message = written(ada, now, no_personalisation=True)

    assert message.text == "Bonjour,\n\nCher, à bientôt."
    assert message.subject == "Pour"
    assert "Exemple" not in message.html


def test_what_a_lock_screen_may_not_show_is_shown_only_to_who_asked_for_it(consenting, now):
    discreet = written(consenting, now, channel=Channel.PUSH)

    assert "discreet" in discreet.text


def test_a_lock_screen_shows_all_to_who_asked_for_it(consenting, now):
    open_to_all = written(consenting, now, channel=Channel.PUSH, discreet=False)

    assert "discreet" not in open_to_all.text


@pytest.mark.parametrize("tone", [Tone.FORMAL, Tone.INFORMAL])
@pytest.mark.parametrize("language", list(Language))
def test_the_tone_and_the_language_are_the_patients(consenting, now, tone, language):
    message = written(consenting, now, tone=tone, language=language)

    assert message.text.startswith(f"[{tone}]")
    assert message.language is language
