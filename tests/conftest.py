"""The standing cast and the fixed `now`; what the suite needs of the database. Nothing else."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import connections, transaction
from django.db.backends.base.operations import BaseDatabaseOperations

from backend.accounts.operations import create_account
from backend.accounts.queries import get_staff_actor
from backend.audit.actors import Actor, ActorKind, system_actor
from backend.audit.models import AuditEntry
from backend.clinics.models import MembershipRole
from backend.clinics.operations import add_member, create_clinic
from backend.config.starting import prepare_keys

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

    def flush(self: BaseDatabaseOperations, sql_list: Sequence[str]) -> None:
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

    BaseDatabaseOperations.execute_sql_flush = flush  # type: ignore[method-assign]
    yield
    BaseDatabaseOperations.execute_sql_flush = original  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """The system's keys are there before the first test, as `manage.py prepare` makes them."""
    with django_db_blocker.unblock():
        prepare_keys(now=datetime(2026, 1, 1, tzinfo=UTC))
