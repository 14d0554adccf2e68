"""What `record` opens, for how long, and what is left when something goes wrong inside."""

# ruff: noqa: PT012 - what fails here is a whole block

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.keys import destroy_subject_keys, issue_subject_keys
from backend.audit.models import AuditEntry, AuditLog
from backend.audit.recording import (
    Draft,
    Entry,
    EntryLost,
    MarkLeftOpen,
    Outcome,
    log_number,
    microseconds,
    record,
    record_many,
    record_refusal,
)
from backend.patients.models import ImportRun
from backend.vault.identifiers import new_id
from backend.vault.keyring import Keyring, KeyUnavailable, Scope, install, keyring, keys_at_hand

on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's marker row")
on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's transaction ids")


class Unwell(Exception):
    """Something went wrong inside a block."""


def execute(sql: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def entries() -> int:
    return AuditEntry.objects.count()


def sources() -> list[str]:
    return sorted(ImportRun.objects.values_list("source", flat=True))


def write(source: str) -> None:
    ImportRun.objects.update(source=source)


@pytest.fixture
def recording(run: ImportRun, now: datetime):
    """Opens a block about the one run that is there."""
    return lambda **options: record(
        Action.IMPORT_STARTED, by=system_actor(), now=now, clinic_id=run.clinic_id, run=run.id, source="test", **options
    )


# ------------------------------------------------------------------------------------------------ how long it is open


def test_nothing_may_be_written_before_or_after_the_block(run, recording):
    with recording():
        write("inside")
    with pytest.raises(IntegrityError, match="unaudited"), transaction.atomic():
        write("after")

    assert sources() == ["inside"]


def test_the_rest_of_a_transaction_around_the_block_is_refused(committed, run, recording):
    with pytest.raises(IntegrityError, match="unaudited"), transaction.atomic():
        with recording():
            write("inside")
        write("the rest")

    assert sources() == ["test"]


def test_a_block_inside_a_block_leaves_the_outer_one_open(run, recording):
    before = entries()
    with recording():
        with recording():
            write("inner")
        write("outer")
    with pytest.raises(IntegrityError, match="unaudited"), transaction.atomic():
        write("after")

    assert sources() == ["outer"]
    assert entries() == before + 2


def test_an_inner_block_that_fails_takes_its_entry_along_and_the_outer_goes_on(run, recording):
    before = entries()
    with recording():
        write("outer")
        with pytest.raises(Unwell), recording():
            write("inner")
            raise Unwell
        assert sources() == ["outer"]
        write("outer still")

    assert sources() == ["outer still"]
    assert entries() == before + 1


def test_a_block_that_fails_leaves_neither_entry_nor_write(run, recording):
    before = entries()
    with pytest.raises(Unwell), recording():
        write("inside")
        raise Unwell

    assert sources() == ["test"]
    assert entries() == before


def test_a_savepoint_that_is_rolled_back_inside_leaves_the_block_open(run, recording):
    with recording():
        with pytest.raises(Unwell), transaction.atomic():
            write("in the savepoint")
            raise Unwell
        write("after the savepoint")

    assert sources() == ["after the savepoint"]


def test_a_database_error_inside_leaves_nothing_open(run, recording):
    with pytest.raises(IntegrityError), recording():
        write("inside")
        ImportRun.objects.create(id=run.id, clinic_id=run.clinic_id, source="twice", started_at=run.started_at)
    with pytest.raises(IntegrityError, match="unaudited"), transaction.atomic():
        write("after")

    assert sources() == ["test"]


def test_a_block_that_gives_up_quietly_leaves_neither_entry_nor_write(run, recording):
    before = entries()
    with recording() as entry:
        write("inside")
        transaction.set_rollback(True)

    assert sources() == ["test"]
    assert entries() == before
    assert entry.rolled_back


def test_a_transaction_around_that_is_rolled_back_takes_everything_along(run, recording):
    before = entries()
    with pytest.raises(Unwell), transaction.atomic():
        with recording():
            write("inside")
        raise Unwell

    assert sources() == ["test"]
    assert entries() == before


def test_what_runs_after_the_commit_runs_unannounced(committed, run, recording):
    def on_commit() -> None:
        with pytest.raises(IntegrityError, match="unaudited"), transaction.atomic():
            write("after the commit")
        with recording():
            write("announced")

    with recording():
        transaction.on_commit(on_commit)

    assert sources() == ["announced"]


def test_another_thread_is_not_let_in(committed, run, recording):
    if connection.vendor == "sqlite":
        execute("PRAGMA busy_timeout = 100")
    refusals: list[type[Exception]] = []

    def elsewhere() -> None:
        try:
            if connection.vendor == "sqlite":
                execute("PRAGMA busy_timeout = 100")
            write("from elsewhere")
        except DatabaseError as error:
            refusals.append(type(error))
        finally:
            connection.close()

    with recording():
        write("inside")
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()

    # SQLite has one writer: the other waits for its turn, and in vain.
    assert refusals == [OperationalError if connection.vendor == "sqlite" else IntegrityError]
    assert sources() == ["inside"]


def test_a_durable_block_refuses_a_transaction_around_it(committed, run, recording):
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic(), recording(durable=True):
        pass


# ----------------------------------------------------------------------------------------- when the body meddles


@on_sqlite
def test_a_raw_rollback_inside_the_block_closes_it(committed, run, recording):
    before = entries()
    with pytest.raises(IntegrityError, match="unaudited"), recording():
        execute("ROLLBACK")
        write("after the rollback")

    assert sources() == ["test"]
    assert entries() == before


@pytest.mark.parametrize("around", [False, True], ids=["alone", "inside another"])
def test_a_raw_rollback_inside_the_block_is_told(committed, run, recording, around):
    if connection.vendor == "postgresql" and not around:
        pytest.skip("the end of an outermost block asks PostgreSQL nothing; see the guard's own refusals")
    with pytest.raises((EntryLost, DatabaseError)):
        if around:
            with recording(), recording():
                execute("ROLLBACK")
        else:
            with recording():
                execute("ROLLBACK")
    if connection.vendor == "postgresql":
        connection.close()

    with pytest.raises(IntegrityError, match="unaudited"):
        write("after")


@on_sqlite
def test_a_transaction_that_still_holds_its_marker_can_not_be_committed(committed, run, recording):
    with pytest.raises(DatabaseError, match="FOREIGN KEY"), recording():
        write("inside")
        execute("COMMIT")

    assert sources() == ["test"]


@on_postgresql
def test_a_raw_commit_inside_the_block_closes_it(committed, run, recording):
    with pytest.raises(IntegrityError, match="unaudited"), recording():
        write("inside")
        execute("COMMIT")
        execute("BEGIN")
        write("after the commit")

    assert sources() == ["inside"]


@on_sqlite
def test_a_marker_that_was_left_open_is_met_with_a_refusal(run, recording):
    execute("INSERT INTO audit_open (entry_id) VALUES ('forged')")
    before = entries()

    with pytest.raises(MarkLeftOpen), recording():
        pass

    assert entries() == before
    execute("DELETE FROM audit_open")


@on_sqlite
def test_a_marker_left_by_another_programme_stops_the_next_recording(committed, run, recording):
    # With foreign keys off, as the sqlite3 command line has them, the marker can be committed.
    execute("PRAGMA foreign_keys = OFF")
    execute("INSERT INTO audit_open (entry_id) VALUES ('forged')")
    execute("PRAGMA foreign_keys = ON")
    try:
        with pytest.raises(MarkLeftOpen), recording():
            pass
        with pytest.raises(MarkLeftOpen), transaction.atomic(), recording():
            pass
    finally:
        execute("DELETE FROM audit_open")


# ------------------------------------------------------------------------------------------------- what is written


def test_the_entry_is_there_before_what_it_announces(run, recording):
    before = entries()
    with recording() as entry:
        assert entries() == before + 1
        assert AuditEntry.objects.filter(id=entry.id).exists()


def test_nothing_to_record_is_refused(db, now):
    with pytest.raises(ValueError, match="nothing"), record_many([], by=system_actor(), now=now):
        pass


def test_an_entry_stands_in_the_log_of_its_clinic(run, recording):
    with recording() as entry:
        pass

    log = AuditLog.objects.get(clinic_id=run.clinic_id)
    assert AuditEntry.objects.get(id=entry.id).log_id == log.id == log_number(run.clinic_id)


def test_a_log_that_was_rolled_back_is_not_remembered(committed, now):
    from backend.audit.keys import create_clinic_keys  # noqa: PLC0415 - beside its only use

    clinic_id = new_id()
    with pytest.raises(Unwell), transaction.atomic():
        create_clinic_keys(clinic_id=clinic_id, actor=system_actor(), now=now)
        raise Unwell
    # Another clinic's log may now take the number that was given out.
    other = AuditLog.objects.create(clinic_id=new_id())
    create_clinic_keys(clinic_id=clinic_id, actor=system_actor(), now=now)

    mine = AuditLog.objects.get(clinic_id=clinic_id)
    assert log_number(clinic_id) == mine.id != other.id


@on_postgresql
def test_every_entry_bears_the_transaction_that_inserted_it(run, recording):
    with recording() as first, transaction.atomic(), recording() as second:
        execute("SELECT pg_current_xact_id()::text")
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()::text")
            (current,) = cursor.fetchone()

    assert set(AuditEntry.objects.filter(id__in=[first.id, second.id]).values_list("xid", flat=True)) == {int(current)}


@on_sqlite
def test_entries_have_no_transaction_number_on_sqlite(run, recording):
    with recording() as entry:
        pass

    assert AuditEntry.objects.get(id=entry.id).xid == 0


def test_a_refusal_stands_on_its_own(committed, clinic, now):
    before = entries()
    record_refusal(
        by=system_actor(), now=now, clinic_id=clinic.id, reason="not_a_member", request="patient.read", about=None
    )

    assert entries() == before + 1


def test_an_entry_about_somebody_without_a_key_is_refused(clinic, now):
    before = entries()
    with (
        pytest.raises(KeyUnavailable),
        record(Action.PATIENT_READ, by=system_actor(), now=now, clinic_id=clinic.id, about=new_id(), reason="care"),
    ):
        pass

    assert entries() == before


def test_an_entry_about_another_clinics_patient_is_refused(patient, southbank, now):
    with (
        pytest.raises(KeyUnavailable),
        record(
            Action.PATIENT_READ, by=system_actor(), now=now, clinic_id=southbank.id, about=patient.id, reason="care"
        ),
    ):
        pass


@contextmanager
def another_process() -> Iterator[None]:
    """What happens inside is done by a process with a memory of its own."""
    mine = keyring()
    install(Keyring(provider=mine.provider, store=mine.store))
    try:
        yield
    finally:
        install(mine)


@pytest.mark.parametrize("others", [0, 1, 600], ids=["alone", "with another", "among many"])
def test_nothing_is_written_under_a_key_that_another_process_destroyed(clinic, patient, neighbour, now, others):
    def drafts() -> list[Draft]:
        subjects = [neighbour.id] * others + [patient.id]
        return [Draft(action=Action.CONSENTS_READ, clinic_id=clinic.id, about=(subject,)) for subject in subjects]

    with record_many(drafts(), by=system_actor(), now=now):
        pass
    assert keyring().remembered(clinic_id=clinic.id, scope=Scope.AUDIT, subject_id=patient.id)
    with another_process():
        destroy_subject_keys(
            subject_id=patient.id, clinic_id=clinic.id, reason="erasure", actor=system_actor(), now=now
        )
    before = entries()

    with pytest.raises(KeyUnavailable), record_many(drafts(), by=system_actor(), now=now):
        pass
    assert entries() == before
    assert keyring().remembered(clinic_id=clinic.id, scope=Scope.AUDIT, subject_id=patient.id) is None


def test_an_entry_about_two_of_whom_one_was_erased_elsewhere_is_refused(clinic, patient, neighbour, now):
    def both() -> AbstractContextManager[Entry]:
        about = (patient.id, neighbour.id)
        return record(Action.CONSENTS_READ, by=system_actor(), now=now, clinic_id=clinic.id, about=about)

    with both():
        pass
    with another_process():
        destroy_subject_keys(
            subject_id=neighbour.id, clinic_id=clinic.id, reason="erasure", actor=system_actor(), now=now
        )

    with pytest.raises(KeyUnavailable), both():
        pass


def test_a_key_that_was_never_committed_is_not_held_against_the_next(clinic, now):
    somebody = new_id()

    def welcome() -> None:
        issued = issue_subject_keys([somebody], clinic_id=clinic.id, now=now)
        with record_many([issued.draft(clinic.id)], by=system_actor(), now=now):
            issued.save()
        with record(Action.CONSENTS_READ, by=system_actor(), now=now, clinic_id=clinic.id, about=somebody):
            pass

    with pytest.raises(Unwell), transaction.atomic():
        welcome()
        raise Unwell
    welcome()
    before = entries()

    with record(Action.CONSENTS_READ, by=system_actor(), now=now, clinic_id=clinic.id, about=somebody):
        pass
    assert entries() == before + 1


def test_a_time_without_a_zone_is_refused(clinic, now):
    with (
        pytest.raises(ValueError, match="zone"),
        record(Action.CONSENTS_READ, by=system_actor(), now=now.replace(tzinfo=None), clinic_id=clinic.id),
    ):
        pass


def test_microseconds_are_exact():
    moment = datetime.fromisoformat("2026-10-14T10:00:00.123457+02:00")

    assert microseconds(moment) == 1_791_964_800_123_457
    assert microseconds(datetime.fromisoformat("1969-12-31T23:59:59.999999+00:00")) == -1


# --------------------------------------------------------------------------------------------- what an entry covers


def test_an_entry_covers_those_it_is_about(patient, neighbour, clinic, southbank, now):
    with record(
        Action.PATIENT_READ, by=system_actor(), now=now, clinic_id=clinic.id, about=patient.id, reason="care"
    ) as entry:
        assert entry.covers(clinic_id=clinic.id, subject_id=patient.id)
        assert entry.covers(clinic_id=clinic.id, subject_id=None)
        assert not entry.covers(clinic_id=clinic.id, subject_id=neighbour.id)
        assert not entry.covers(clinic_id=southbank.id, subject_id=patient.id)
        assert not entry.covers(clinic_id=southbank.id, subject_id=None)


def test_an_entry_about_a_whole_clinic_covers_its_patients_only(patient, clinic, southbank, now):
    with record(
        Action.PATIENTS_LISTED,
        by=system_actor(),
        now=now,
        clinic_id=clinic.id,
        whole_clinic=True,
        reason="care",
        count=1,
    ) as entry:
        assert entry.covers(clinic_id=clinic.id, subject_id=patient.id)
        assert not entry.covers(clinic_id=southbank.id, subject_id=patient.id)


def test_an_entry_covers_after_its_block_once_it_is_committed(committed, run, recording):
    with recording() as entry:
        pass

    assert entry.covers(clinic_id=run.clinic_id, subject_id=None)


def test_an_entry_covers_nothing_once_a_transaction_around_it_was_rolled_back(committed, run, recording):
    with pytest.raises(Unwell), transaction.atomic():
        with recording() as entry:
            pass
        assert entry.covers(clinic_id=run.clinic_id, subject_id=None)
        raise Unwell

    assert not entry.covers(clinic_id=run.clinic_id, subject_id=None)


def test_an_entry_covers_nothing_once_a_savepoint_around_it_was_rolled_back(run, recording):
    with transaction.atomic():
        with pytest.raises(Unwell), transaction.atomic():
            with recording() as entry:
                pass
            raise Unwell
        assert not entry.covers(clinic_id=run.clinic_id, subject_id=None)


def test_an_entry_that_will_be_rolled_back_covers_nothing(run, recording):
    with recording() as entry:
        transaction.set_rollback(True)
        assert not entry.covers(clinic_id=run.clinic_id, subject_id=None)


def test_an_entry_of_a_block_that_failed_covers_nothing(run, recording):
    with pytest.raises(Unwell), recording() as entry:
        raise Unwell

    assert not entry.covers(clinic_id=run.clinic_id, subject_id=None)


# ----------------------------------------------------------------------------------------------------- what it costs


def statements(captured: CaptureQueriesContext) -> list[str]:
    return [
        query["sql"]
        for query in captured
        if "SAVEPOINT" not in query["sql"] and query["sql"] not in {"BEGIN", "COMMIT"}
    ]


@on_postgresql
def test_recording_is_one_statement_on_postgresql(committed, run, recording):
    with recording():
        pass
    with CaptureQueriesContext(connection) as captured, recording():
        pass

    assert len(statements(captured)) == 1
    assert statements(captured)[0].startswith("INSERT INTO audit_entry")


@on_postgresql
def test_recording_about_a_patient_whose_key_was_seen_is_one_statement_too(committed, clinic, patient, now):
    def look() -> AbstractContextManager[Entry]:
        return record(Action.CONSENTS_READ, by=system_actor(), now=now, clinic_id=clinic.id, about=patient.id)

    with look():
        pass
    with CaptureQueriesContext(connection) as captured, look():
        pass

    assert len(statements(captured)) == 1


@pytest.mark.parametrize("shared", [False, True], ids=["each another patient", "all one patient"])
def test_a_batch_takes_the_same_number_of_statements_whatever_its_size(clinic, patient, now, shared):
    ring = keyring()
    ring.current(clinic_id=clinic.id, scope=Scope.CLINIC)
    subjects = [patient.id] * 500 if shared else [new_id() for _ in range(500)]
    fresh = [ring.new_data_key(clinic_id=clinic.id, scope=Scope.AUDIT, subject_id=subject)[1] for subject in subjects]

    def count(size: int) -> int:
        drafts = [
            Draft(action=Action.CONSENTS_READ, clinic_id=clinic.id, about=(subject,)) for subject in subjects[:size]
        ]
        with CaptureQueriesContext(connection) as captured, record_many(drafts, by=system_actor(), now=now):
            pass
        return len(statements(captured))

    with keys_at_hand([] if shared else fresh):
        assert count(500) == count(2)


def test_a_batch_is_written_whole(clinic, patient, neighbour, now):
    before = entries()
    drafts = [
        Draft(action=Action.PATIENT_READ, clinic_id=clinic.id, about=(subject,), details={"reason": "care"})
        for subject in (patient.id, neighbour.id)
    ] + [Draft(action=Action.CONSENTS_READ, clinic_id=clinic.id, outcome=Outcome.DENIED)]
    with record_many(drafts, by=system_actor(), now=now) as entry:
        write("covered by the batch")
        assert entry.covers(clinic_id=clinic.id, subject_id=neighbour.id)

    assert entries() == before + 3
