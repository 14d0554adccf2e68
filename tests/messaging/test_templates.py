"""Templates are published in versions, and only if every patient's words can be filled."""

import pytest
from django.db import IntegrityError

from backend.audit.actions import Action
from backend.audit.recording import record
from backend.errors import InvalidInput, NotFound
from backend.messaging.models import TemplateVariant, TemplateVersion
from backend.messaging.operations import VariantText, publish_template
from backend.messaging.queries import latest_templates
from backend.policy.vocabulary import Channel, Language, Tone
from tests.factories.programmes import REMINDER


def variant(**changes):
    return VariantText(
        **{
            "channel": Channel.SMS,
            "language": Language.FRENCH,
            "tone": Tone.FORMAL,
            "body": "Bonjour {{ patient.first_name }}",
            **changes,
        }
    )


@pytest.fixture
def publish(northgate, reception, now):
    def publish(*variants, slug="words", purpose=REMINDER):
        return publish_template(
            clinic_id=northgate.id, slug=slug, purpose=purpose, variants=variants, actor=reception, now=now
        )

    return publish


def test_a_template_is_published_again_as_its_next_version(publish, northgate):
    first = publish(variant())
    second = publish(variant(body="Bonsoir"))

    newest = latest_templates(northgate.id)["words"]
    assert (newest.version_id, newest.number) == (second, 2)
    assert TemplateVariant.objects.get(version_id=first).body == "Bonjour {{ patient.first_name }}"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"body": ""}, "variants[0].body"),
        ({"body": "{{ nobody }}"}, "variants[0].body"),
        ({"body": "{{ patient.diagnosis }}"}, "variants[0]"),
        ({"body": "{% if for_child %}{{ child.name }}{% endif %}"}, "variants[0].body"),
        ({"body": "{% if for_child %}{{ patient.mother }}{% else %}x{% endif %}"}, "variants[0]"),
        ({"body": "{% unless for_child %}x{% endunless %}"}, "variants[0].body"),
        ({"discreet_body": "{{ appointment.reason }}"}, "variants[0]"),
        ({"channel": Channel.EMAIL}, "variants[0].subject"),
        ({"channel": Channel.PUSH}, "variants[0].subject"),
    ],
)
def test_words_that_could_fail_for_somebody_are_refused_at_once(publish, changes, field):
    with pytest.raises(InvalidInput) as refused:
        publish(variant(**changes))

    assert refused.value.field == field
    assert TemplateVersion.objects.filter(slug="words").count() == 0


def test_a_template_needs_words_and_a_purpose(publish):
    with pytest.raises(InvalidInput):
        publish()
    with pytest.raises(NotFound):
        publish(variant(), purpose="nothing_known")


@pytest.mark.parametrize("slug", ["", "Majuscule", "deux mots", "é", "x" * 61, "-x"])
def test_a_short_name_that_the_log_can_not_hold_is_refused(publish, slug):
    with pytest.raises(InvalidInput) as refused:
        publish(variant(), slug=slug)

    assert refused.value.field == "slug"


def test_a_published_version_is_never_changed(publish, northgate, reception, now):
    version_id = publish(variant())

    for rows in (TemplateVersion.objects.filter(id=version_id), TemplateVariant.objects.filter(version_id=version_id)):
        entry = record(
            Action.TEMPLATE_PUBLISHED,
            by=reception,
            now=now,
            clinic_id=northgate.id,
            template="words",
            version=1,
            variants=1,
        )
        with pytest.raises(IntegrityError, match="append-only"), entry:
            rows.update(id=version_id)


def test_the_closest_variant_is_found_language_first(publish, northgate):
    publish(
        variant(),
        variant(tone=Tone.PLAIN, body="Plain"),
        variant(language=Language.ENGLISH, tone=Tone.INFORMAL, body="Hello"),
    )
    words = latest_templates(northgate.id)["words"]

    assert words.best(Channel.SMS, Language.FRENCH, Tone.PLAIN) == (Language.FRENCH, Tone.PLAIN)
    assert words.best(Channel.SMS, Language.FRENCH, Tone.INFORMAL) == (Language.FRENCH, Tone.FORMAL)
    assert words.best(Channel.SMS, Language.ENGLISH, Tone.FORMAL) == (Language.ENGLISH, Tone.INFORMAL)
    assert words.best(Channel.EMAIL, Language.FRENCH, Tone.FORMAL) is None
