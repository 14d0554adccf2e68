"""Row 24, GDPR Art. 22 and 15(1)(h): who wants nothing personal gets the generic message."""

import pytest

from backend.messaging.delivery import deliver_due_messages
from backend.messaging.operations import VariantText, publish_template
from backend.policy.vocabulary import Channel
from backend.preferences.operations import PreferenceChange, change_preferences
from backend.programmes.library.catalogue import load_templates
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.factories.carriers import carriers_in_test, given_to, without_way_out
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import REMINDER


@pytest.fixture
def library(northgate, manager, now):
    """The texts that every clinic begins with."""
    template = load_templates()[REMINDER]
    publish_template(
        clinic_id=northgate.id,
        slug=template.slug,
        purpose=template.purpose,
        variants=[
            VariantText(channel=one.channel, language=one.language, tone=one.tone, subject=one.subject, body=one.body)
            for one in template.variants
        ],
        actor=manager,
        now=now - 2 * DAY,
    )
    return northgate


def received(patient, now, **wanted):
    consent(patient, purpose=REMINDER, channels=[Channel.EMAIL], now=now - DAY)
    if wanted:
        change_preferences(
            clinic_id=patient.clinic_id,
            patient_id=patient.id,
            change=PreferenceChange(**wanted),
            actor=patient.actor,
            now=now - DAY,
        )
    make_appointment(patient, starts_at=now + DAY + 4 * HOUR, now=now)
    carriers = carriers_in_test()
    plan_programmes(now=now)
    deliver_due_messages(now=now, carriers=carriers)
    (message,) = given_to(carriers)
    return without_way_out(message)


def test_two_people_who_opted_out_get_the_same_words(library, now):
    ada = make_patient(library.id, now=now - 2 * DAY, given_names=("Ada",), family_name="Premier")
    bob = make_patient(library.id, now=now - 2 * DAY, given_names=("Bob",), family_name="Second")

    first = received(ada, now, no_personalisation=True)
    second = received(bob, now, no_personalisation=True)

    assert (first.subject, first.text, first.html) == (second.subject, second.text, second.html)
    for name in ("Ada", "Premier", "Bob", "Second"):
        assert name not in first.text + first.html + first.subject


def test_opting_out_takes_away_nothing_but_what_is_personal(library, now):
    usual = received(make_patient(library.id, now=now - 2 * DAY, family_name="Premier"), now)
    generic = received(make_patient(library.id, now=now - 2 * DAY), now, no_personalisation=True)

    assert "Camille Premier" in usual.text
    assert generic.text == usual.text.replace(" Camille Premier", "")
