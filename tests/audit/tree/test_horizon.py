"""Whom the sequencer waits for, and what nobody can find: an entry that was taken away before it had its place."""

from datetime import timedelta

import psycopg
import pytest
from django.db import connection

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.models import AuditEntry
from backend.audit.recording import record
from backend.audit.sequencing import find_place, sequence_all
from backend.audit.tree_check import check_trees
from tests.factories.clinics import make_clinic
from tests.factories.tampering import tamper
from tests.services import database_url, postgres_url

only_where_transactions_overlap = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="on SQLite one transaction writes at a time"
)


@pytest.fixture
def clinic(committed, now):
    return make_clinic("lindens", now=now - timedelta(days=1))


def look(clinic, now):
    with record(Action.LOG_READ, by=system_actor("test"), now=now, clinic_id=clinic.id, count=1) as entry:
        pass
    return entry.id


def writing_in(address):
    """A transaction that has written, or is about to, and does not end."""
    opened = psycopg.connect(address, autocommit=False)
    opened.execute("SELECT pg_current_xact_id()")
    return opened


@only_where_transactions_overlap
def test_a_transaction_in_another_database_of_the_same_server_holds_nobody_up(clinic, now):
    with writing_in(postgres_url()):
        entry_id = look(clinic, now)
        sequence_all(now=now)

        assert find_place(entry_id) is not None


@only_where_transactions_overlap
def test_a_transaction_in_this_database_is_waited_for(clinic, now):
    with writing_in(database_url()):
        entry_id = look(clinic, now)
        sequence_all(now=now)

        assert find_place(entry_id) is None
    sequence_all(now=now)
    assert find_place(entry_id) is not None


def test_an_entry_that_is_taken_away_before_it_has_its_place_leaves_no_trace(clinic, now):
    """Not a promise but a limit, told in docs/explanation/the-log.md. Whoever closes it changes this test."""
    sequence_all(now=now)
    entry_id = look(clinic, now)
    told = entry_id.hex if connection.vendor == "sqlite" else entry_id
    tamper(f"DELETE FROM audit_entry WHERE id = '{told}'")  # noqa: S608 - an id of ours
    look(clinic, now)
    sequence_all(now=now)

    assert not AuditEntry.objects.filter(id=entry_id).exists()
    assert check_trees().holds
