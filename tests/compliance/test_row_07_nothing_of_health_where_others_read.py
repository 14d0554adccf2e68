"""Row 7, GDPR 9(1), CJEU C-21/23: nothing of health on a lock screen, in an SMS or a subject, in an address.

Not yet: the name that a clinic gives itself is only warned about.
"""

import pytest

from backend.messaging.linting.exposure import health_words
from backend.messaging.rendering import Words, render
from backend.messaging.values import invented_values
from backend.policy.vocabulary import Channel, Language
from backend.programmes.library.catalogue import load_service_templates, load_templates
from backend.vault.identifiers import new_id
from tests.factories.programmes import REMINDER

LIBRARY = {**load_templates(), **load_service_templates()}
TEMPLATES = "/api/v1/clinics/northgate/templates"


@pytest.mark.parametrize("slug", LIBRARY)
@pytest.mark.parametrize("for_child", [False, True])
def test_what_ships_tells_nothing_where_others_read(slug, for_child):
    for variant in LIBRARY[slug].variants:
        words = Words(
            id=new_id(),
            channel=variant.channel,
            language=variant.language,
            subject=variant.subject,
            body=variant.body,
            discreet_subject=variant.discreet_subject,
            discreet_body=variant.discreet_body,
        )
        said = render(words, {**invented_values(variant.language), "for_child": for_child}, discreet=True)

        seen = [said.subject]
        if variant.channel in {Channel.PUSH, Channel.SMS}:
            seen.append(said.text)
        elif variant.channel is Channel.EMAIL:
            seen.append(said.text[:100])
        assert [health_words(text) for text in seen if health_words(text)] == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"discreet_body": "{{ clinic.discreet_name }} : cardiologie."}, "health_word_on_lock_screen"),
        ({"discreet_body": "{{ clinic.discreet_name }}, {{ appointment.practitioner }}"}, "telling_value"),
        ({"body": "{{ clinic.discreet_name }} : votre vaccin."}, "discreet_form_missing"),
        ({"channel": "email", "subject": "Votre scanner"}, "health_word_in_subject"),
        ({"channel": "email", "subject": "Un message", "body": "Votre grossesse avance."}, "health_word_in_preview"),
        (
            {"channel": "email", "subject": "Un message", "body": "Voyez http://localhost:8000/diabete."},
            "health_word_in_link",
        ),
    ],
)
def test_what_a_clinic_writes_itself_is_refused_where_it_tells(desk, changes, found):
    usual = {"channel": "sms", "language": "fr", "tone": "formal", "body": "{{ clinic.discreet_name }} : bonjour."}

    answer = desk.post(TEMPLATES, {"slug": "own", "purpose": REMINDER, "variants": [{**usual, **changes}]})

    assert answer.status_code == 409
    assert found in answer.json()["findings"]


@pytest.mark.parametrize("language", list(Language))
def test_the_words_of_specialities_are_known(language):
    told = {
        Language.FRENCH: "cardiologie oncologue psychiatre gynécologue dermatologue IRM dentiste chimiothérapie",
        Language.ENGLISH: "cardiology oncologist psychiatrist gynaecology dermatology MRI dentist chemotherapy",
    }[language]

    assert len(health_words(told)) >= len(told.split())
