"""The page behind a link, and a message that carries one."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone, translation

from backend.audit.actors import system_actor
from backend.consent.queries import get_purpose
from backend.messaging.links import Way
from backend.messaging.operations.leaving import make_links
from backend.policy.vocabulary import Channel
from tests.factories.patients import PatientInTest
from tests.factories.programmes import RECALL


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
