"""The page behind a link, and a message that carries one."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone, translation

from backend.audit.actors import Actor, system_actor
from backend.clinics.queries import ClinicFacts
from backend.consent.links import token_of
from backend.consent.queries import get_purpose
from backend.messaging.links import Way
from backend.messaging.operations.confirming import ask_for_consent
from backend.messaging.operations.leaving import make_links
from backend.patients.models import ContactPoint
from backend.policy.vocabulary import Channel, Language, RequestSource
from tests.factories.patients import PatientInTest, make_patient
from tests.factories.programmes import RECALL, REMINDER, offer_confirmations


@pytest.fixture(autouse=True)
def _nothing_counted_yet() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()
    translation.deactivate()


@pytest.fixture(autouse=True)
def _the_clock_shows_now(settings, now: datetime) -> None:
    settings.ACCORD_CLOCK_OFFSET = (now - timezone.now()).total_seconds()


@pytest.fixture
def browser_without_cookies() -> Client:
    return Client(enforce_csrf_checks=True, headers={"accept-language": "en"})


@pytest.fixture
def link(consenting: PatientInTest, now: datetime) -> str:
    """Where the consenting patient stops recalls by e-mail."""
    purpose = get_purpose(clinic_id=consenting.clinic_id, slug=RECALL)
    way = Way(clinic_id=consenting.clinic_id, patient_id=consenting.id, purpose_id=purpose.id, channel=Channel.EMAIL)
    make_links([way], actor=system_actor(), now=now - timedelta(days=9))
    return f"/u/{way.token()}"


@pytest.fixture
def visitor(northgate: ClinicFacts, manager: Actor, now: datetime) -> PatientInTest:
    """Entered from a form: nobody has checked the address yet."""
    offer_confirmations(northgate.id, actor=manager, now=now - timedelta(days=1))
    return make_patient(northgate.id, now=now - timedelta(days=1), family_name="Visite", reachable=False)


@pytest.fixture
def question(visitor: PatientInTest, reception: Actor, now: datetime) -> str:
    """Where the visitor confirms reminders by e-mail."""
    asked = ask_for_consent(
        clinic_id=visitor.clinic_id,
        patient_id=visitor.id,
        purpose=REMINDER,
        contact_point_id=ContactPoint.objects.get(patient_id=visitor.id, kind="email").id,
        notice_version=1,
        language=Language.FRENCH,
        source=RequestSource.WEB_FORM,
        actor=reception,
        now=now,
    )
    return f"/c/{token_of(asked.id, clinic_id=visitor.clinic_id)}"
