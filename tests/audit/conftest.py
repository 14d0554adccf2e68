"""A clinic, a patient, a guarded row, and a small app of its own whose tables can be rebuilt."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import pytest
from django.db import connection

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.keys import ensure_system_keys
from backend.audit.recording import Entry, forget_log_numbers, record
from backend.clinics.queries import ClinicFacts
from backend.patients.models import ImportRun
from backend.vault.identifiers import new_id
from backend.vault.keyring import SYSTEM, keyring
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
def committed(transactional_db: None, now: datetime) -> None:
    """Transactions really end here. Whoever asks for it asks for it first."""
    # The test before may have emptied the tables; what was remembered of them is gone as well.
    forget_log_numbers()
    keyring().clear()
    ensure_system_keys(now=now)


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


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Emptying the tables takes the system's keys along; the tests that follow find them again."""
    yield
    if nextitem is not None and "transactional_db" in getattr(item, "fixturenames", ()):
        with item.config.stash[_blocker()].unblock():
            forget_log_numbers()
            keyring().clear()
            ensure_system_keys(now=datetime.fromisoformat("2026-01-01T00:00:00+00:00"))


def _blocker():
    from pytest_django.plugin import blocking_manager_key  # noqa: PLC0415 - known once the plugin is

    return blocking_manager_key
