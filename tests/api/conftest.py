"""Clients that show the tokens of the cast."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from uuid import UUID

import pytest
from django.core.cache import cache
from django.utils import timezone, translation
from rest_framework.test import APIClient

from backend.accounts.models import Role
from backend.accounts.operations import issue_account_token, issue_patient_token, issue_representative_token
from backend.audit.actors import Actor, system_actor
from backend.clinics.queries import ClinicFacts
from tests.conftest import DAY
from tests.consent.test_deciding import mother_of
from tests.factories.patients import PatientInTest, make_patient

LIFE = timedelta(days=30)


class Client(APIClient):
    """Speaks JSON and English unless told otherwise, and shows one token."""

    def __init__(self, token: str = "") -> None:
        super().__init__(headers={"accept-language": "en"})
        if token:
            self.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        self.token = token


@pytest.fixture(autouse=True)
def _nothing_counted_yet() -> Iterator[None]:
    """Rate limits count in the process, languages stay with the thread."""
    cache.clear()
    yield
    cache.clear()
    translation.deactivate()


@pytest.fixture(autouse=True)
def _the_clock_shows_now(settings, now: datetime) -> None:
    """Requests read the clock; it shows the day of the cast."""
    settings.ACCORD_CLOCK_OFFSET = (now - timezone.now()).total_seconds()


@pytest.fixture
def patient_token(db: None, now: datetime) -> Callable[[PatientInTest], str]:
    return lambda patient: issue_patient_token(
        clinic_id=patient.clinic_id, patient_id=patient.id, actor=system_actor(), now=now, life=LIFE
    )


@pytest.fixture
def as_patient(patient_token: Callable[[PatientInTest], str]) -> Callable[[PatientInTest], Client]:
    return lambda patient: Client(patient_token(patient))


@pytest.fixture
def as_member(db: None, now: datetime) -> Callable[..., Client]:
    def client(actor: Actor, clinic: ClinicFacts, role: Role = Role.STAFF) -> Client:
        assert actor.id is not None
        return Client(
            issue_account_token(
                clinic_id=clinic.id,
                account_id=actor.id,
                role=role,
                actor=system_actor(),
                now=now,
                life=LIFE,
            )
        )

    return client


@pytest.fixture
def me(consenting: PatientInTest, as_patient: Callable[[PatientInTest], Client]) -> Client:
    """The consenting patient's app."""
    return as_patient(consenting)


@pytest.fixture
def desk(reception: Actor, northgate: ClinicFacts, as_member: Callable[..., Client]) -> Client:
    """Northgate's reception."""
    return as_member(reception, northgate)


@pytest.fixture
def doctor(manager: Actor, northgate: ClinicFacts, as_member: Callable[..., Client]) -> Client:
    """Northgate's manager, a health professional."""
    return as_member(manager, northgate)


@pytest.fixture
def officer(dpo: Actor, northgate: ClinicFacts, as_member: Callable[..., Client]) -> Client:
    """Northgate's data protection officer."""
    return as_member(dpo, northgate, Role.DPO)


@pytest.fixture
def stranger(outsider: Actor, southbank: ClinicFacts, as_member: Callable[..., Client]) -> Client:
    """Southbank's reception."""
    return as_member(outsider, southbank)


@pytest.fixture
def nobody(db: None) -> Client:
    """Shows no token."""
    return Client()


def born(now: datetime, years: int, days: int = 5) -> date:
    """The birth date of somebody who turned so old a few days ago."""
    today = now.date()
    return today.replace(year=today.year - years) - timedelta(days=days)


@pytest.fixture
def child(northgate: ClinicFacts, now: datetime) -> PatientInTest:
    """Ten years old."""
    return make_patient(northgate.id, now=now - DAY, birth_date=born(now, 10))


@pytest.fixture
def teenager(northgate: ClinicFacts, now: datetime) -> PatientInTest:
    """Sixteen years old."""
    return make_patient(northgate.id, now=now - DAY, birth_date=born(now, 16))


@pytest.fixture
def mother(now: datetime) -> Callable[[PatientInTest], tuple[Client, UUID]]:
    """The token of the mother of a patient, and who she is."""

    def of_patient(patient: PatientInTest) -> tuple[Client, UUID]:
        representative_id = mother_of(patient, now - DAY)
        token = issue_representative_token(
            clinic_id=patient.clinic_id,
            patient_id=patient.id,
            representative_id=representative_id,
            actor=system_actor(),
            now=now - DAY,
        )
        return Client(token), representative_id

    return of_patient
