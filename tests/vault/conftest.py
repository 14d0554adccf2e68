"""A clinic and a patient whose data is sealed, and an entry under which it may be looked at."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.recording import Entry, record
from backend.clinics.queries import ClinicFacts
from backend.patients.models import Patient
from tests.factories.clinics import make_clinic
from tests.factories.patients import PatientInTest, make_patient

DAY = timedelta(days=1)


@pytest.fixture
def clinic(db: None, now: datetime) -> ClinicFacts:
    """A clinic with nothing in it."""
    return make_clinic("lindens", now=now - DAY)


@pytest.fixture
def elsewhere(db: None, now: datetime) -> ClinicFacts:
    """Another clinic."""
    return make_clinic("elms", now=now - DAY)


@pytest.fixture
def somebody(clinic: ClinicFacts, now: datetime) -> PatientInTest:
    """A patient of that clinic."""
    return make_patient(
        clinic.id, now=now - DAY, family_name="Quibbler", given_names=("Ottokar", "Maria"), reachable=False
    )


@pytest.fixture
def neighbour(clinic: ClinicFacts, now: datetime) -> PatientInTest:
    """Another patient of that clinic."""
    return make_patient(clinic.id, now=now - DAY, family_name="Voisin", reachable=False)


@pytest.fixture
def row(somebody: PatientInTest) -> Patient:
    """The patient's row, freshly loaded."""
    return Patient.objects.get(id=somebody.id)


@pytest.fixture
def looking(clinic: ClinicFacts, now: datetime) -> Callable[[UUID], AbstractContextManager[Entry]]:
    """Records that somebody's data is looked at."""
    return lambda subject: record(
        Action.PATIENT_READ, by=system_actor(), now=now, clinic_id=clinic.id, about=subject, reason="care"
    )
