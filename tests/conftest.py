"""The standing cast and the fixed `now`; what the suite needs of the database. Nothing else."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.backends.base.operations import BaseDatabaseOperations

from backend.audit import recording
from backend.audit.actors import Actor, system_actor
from backend.clinics.models import MembershipRole
from backend.clinics.queries import ClinicFacts
from backend.config.starting import prepare_keys
from backend.consent.operations import withdraw_consent
from backend.policy.vocabulary import Method
from backend.vault.keyring import keyring
from tests.factories.clinics import make_clinic, make_member
from tests.factories.patients import PatientInTest, consent, make_patient
from tests.factories.programmes import CHANNELS, RECALL, REMINDER, define_words, run_programme

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def now() -> datetime:
    """Wednesday 14 October 2026, 10:00 in Paris."""
    return datetime(2026, 10, 14, 8, 0, tzinfo=UTC)


@pytest.fixture(autouse=True, scope="session")
def _flush_knows_the_guards() -> Iterator[None]:
    """Emptying tables after a test of several transactions is the one write that no entry announces."""
    original = BaseDatabaseOperations.execute_sql_flush

    def flush(self: BaseDatabaseOperations, sql_list: Iterable[str]) -> None:
        connection = self.connection
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute(
                    "SELECT t.tgname, c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
                    "WHERE t.tgfoid = 'public.audit_refuse_change'::regproc"
                )
                triggers = cursor.fetchall()
                for name, table in triggers:
                    cursor.execute(f'ALTER TABLE "{table}" DISABLE TRIGGER "{name}"')
                for statement in sql_list:
                    cursor.execute(statement)
                for name, table in triggers:
                    cursor.execute(f'ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER "{name}"')
            else:
                cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
                triggers = cursor.fetchall()
                for name, _sql in triggers:
                    cursor.execute(f'DROP TRIGGER "{name}"')
                for statement in sql_list:
                    cursor.execute(statement)
                for _name, sql in triggers:
                    cursor.execute(sql)
        # The system's keys went with the rest: make new ones, and forget what this process remembers of the old.
        keyring().clear()
        recording.forget_log_numbers()
        prepare_keys(now=datetime(2026, 1, 1, tzinfo=UTC), using=connection.alias)

    BaseDatabaseOperations.execute_sql_flush = flush  # type: ignore[method-assign]
    yield
    BaseDatabaseOperations.execute_sql_flush = original  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """The system's keys are there before the first test, as `manage.py prepare` makes them."""
    with django_db_blocker.unblock():
        prepare_keys(now=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def northgate(db: None, now: datetime) -> ClinicFacts:
    """A clinic with its purposes, notice, templates and two running programmes."""
    clinic = make_clinic("northgate", now=now - 30 * DAY)
    manager = make_member(clinic.id, "set-up@northgate", now=now - 30 * DAY)
    doctor = make_member(clinic.id, "doctor@northgate", now=now - 30 * DAY, is_health_professional=True)
    define_words(clinic.id, actor=manager, now=now - 30 * DAY)
    for slug in (REMINDER, RECALL):
        run_programme(clinic.id, slug, manager=manager, doctor=doctor, now=now - 30 * DAY)
    return clinic


@pytest.fixture
def southbank(db: None, now: datetime) -> ClinicFacts:
    """Another clinic on the same installation."""
    clinic = make_clinic("southbank", now=now - 30 * DAY)
    define_words(clinic.id, actor=system_actor(), now=now - 30 * DAY)
    return clinic


@pytest.fixture
def manager(northgate: ClinicFacts, now: datetime) -> Actor:
    """Runs Northgate, and is a health professional there."""
    return make_member(northgate.id, "manager@northgate", now=now, is_health_professional=True)


@pytest.fixture
def reception(northgate: ClinicFacts, now: datetime) -> Actor:
    """Works at Northgate's desk."""
    return make_member(northgate.id, "reception@northgate", now=now)


@pytest.fixture
def dpo(northgate: ClinicFacts, now: datetime) -> Actor:
    """Northgate's data protection officer."""
    return make_member(northgate.id, "dpo@northgate", now=now, role=MembershipRole.DPO)


@pytest.fixture
def outsider(southbank: ClinicFacts, now: datetime) -> Actor:
    """Works at Southbank and must never see Northgate."""
    return make_member(southbank.id, "outsider@southbank", now=now)


@pytest.fixture
def silent(northgate: ClinicFacts, now: datetime) -> PatientInTest:
    """Can be reached by every channel, and never said anything."""
    return make_patient(northgate.id, now=now - 20 * DAY, family_name="Silence")


@pytest.fixture
def consenting(northgate: ClinicFacts, now: datetime) -> PatientInTest:
    """Said yes to reminders and recalls by push, SMS and e-mail."""
    patient = make_patient(northgate.id, now=now - 20 * DAY, family_name="Oui")
    for purpose in (REMINDER, RECALL):
        consent(patient, purpose=purpose, channels=CHANNELS, now=now - 10 * DAY)
    return patient


@pytest.fixture
def withdrawn(northgate: ClinicFacts, now: datetime) -> PatientInTest:
    """Said yes once, and withdrew everything since."""
    patient = make_patient(northgate.id, now=now - 20 * DAY, family_name="Plusjamais")
    for purpose in (REMINDER, RECALL):
        consent(patient, purpose=purpose, channels=CHANNELS, now=now - 10 * DAY)
        withdraw_consent(
            clinic_id=northgate.id,
            patient_id=patient.id,
            purpose=purpose,
            channels=CHANNELS,
            method=Method.APP,
            actor=patient.actor,
            now=now - 5 * DAY,
        )
    return patient
