"""A clinic, a patient, a guarded row, and a small app of its own whose tables can be rebuilt."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import pytest
from django.db import connection

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.recording import Entry, record
from backend.clinics.queries import ClinicFacts
from backend.patients.models import ImportRun
from backend.vault.identifiers import new_id
from backend.vault.keyring import SYSTEM
from tests.audit.scratch import Scratch
from tests.factories.clinics import make_clinic
from tests.factories.patients import PatientInTest, make_patient

DAY = timedelta(days=1)


@pytest.fixture
def clinic(db: None, now: datetime) -> ClinicFacts:
    """A clinic with nothing in it."""
    return make_clinic("lindens", now=now - DAY)


@pytest.fixture
def patient(clinic: ClinicFacts, now: datetime) -> PatientInTest:
    """A patient of that clinic."""
    return make_patient(clinic.id, now=now - DAY, reachable=False)


@pytest.fixture
def neighbour(clinic: ClinicFacts, now: datetime) -> PatientInTest:
    """Another patient of that clinic."""
    return make_patient(clinic.id, now=now - DAY, reachable=False, family_name="Voisin")


@pytest.fixture
def run(clinic: ClinicFacts, now: datetime) -> ImportRun:
    """A guarded row that nothing else points to."""
    run_id = new_id()
    with record(Action.IMPORT_STARTED, by=system_actor(), now=now, clinic_id=clinic.id, run=run_id, source="test"):
        return ImportRun.objects.create(id=run_id, clinic_id=clinic.id, source="test", started_at=now)


@pytest.fixture
def committed(transactional_db: None) -> None:
    """Transactions really end here. Whoever asks for it asks for it first."""


@pytest.fixture
def scratch(committed: None) -> Iterator[Scratch]:
    """An app that lives in the migration state only: real operations, the real schema editor, no installed model."""
    app = Scratch(connection)
    yield app
    app.drop_everything()


@pytest.fixture
def announced(now: datetime) -> Callable[[], AbstractContextManager[Entry]]:
    """Opens a block in which anything may be written."""
    return lambda: record(Action.CLINIC_CREATED, by=system_actor(), now=now, clinic_id=SYSTEM, clinic=new_id())
