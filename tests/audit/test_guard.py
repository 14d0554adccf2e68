"""A write that no entry announces is refused by the database, whichever way it is made."""

# ruff: noqa: PT012, S608, SLF001 - a whole block is refused, SQL is put together here, and the ORM's own ways are tried

from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, connection, models, transaction

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.recording import record
from backend.clinics.models import Clinic
from backend.patients.models import ImportRun
from backend.vault.identifiers import new_id
from tests.audit.scratch import guarded, unguarded

TABLE = "patients_import_run"
COPIED = "clinic_id, source, started_at, created, updated, unchanged, refused, unusable"


def execute(sql: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def parameter(identifier: Any) -> str:
    """An id as this database keeps it."""
    return str(identifier) if connection.vendor == "postgresql" else identifier.hex


def another(run: ImportRun, **changes: Any) -> ImportRun:
    return ImportRun(**{"clinic_id": run.clinic_id, "source": "more", "started_at": run.started_at, **changes})


def save(run: ImportRun, **options: Any) -> None:
    run.source = "other"
    run.save(**options)


def upsert(run: ImportRun) -> None:
    ImportRun.objects.bulk_create(
        [another(run, id=run.id)], update_conflicts=True, unique_fields=["id"], update_fields=["source"]
    )


def bulk_update(run: ImportRun) -> None:
    run.source = "other"
    ImportRun.objects.bulk_update([run], ["source"])


def raw_insert(run: ImportRun, *, words: str = "INSERT", ending: str = "") -> None:
    execute(
        f"{words} INTO {TABLE} (id, {COPIED}) SELECT %s, {COPIED} FROM {TABLE} WHERE true {ending}", parameter(new_id())
    )


def many(run: ImportRun) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(f"UPDATE {TABLE} SET source = %s", [("one",), ("two",)])


WRITES: dict[str, Callable[[ImportRun], object]] = {
    "create": lambda run: ImportRun.objects.create(clinic_id=run.clinic_id, source="x", started_at=run.started_at),
    "save a new row": lambda run: another(run).save(),
    "save": save,
    "save some fields": lambda run: save(run, update_fields=["source"]),
    "get_or_create": lambda run: ImportRun.objects.get_or_create(
        source="new", defaults={"clinic_id": run.clinic_id, "started_at": run.started_at}
    ),
    "update_or_create": lambda _run: ImportRun.objects.update_or_create(source="test", defaults={"created": 1}),
    "bulk_create": lambda run: ImportRun.objects.bulk_create([another(run), another(run)]),
    "bulk_create, conflicts ignored": lambda run: ImportRun.objects.bulk_create([another(run)], ignore_conflicts=True),
    "upsert": upsert,
    "bulk_update": bulk_update,
    "update of a queryset": lambda _run: ImportRun.objects.update(source="other"),
    "delete": lambda run: run.delete(),
    "delete of a queryset": lambda _run: ImportRun.objects.all().delete(),
    "delete without looking": lambda _run: ImportRun.objects.all()._raw_delete("default"),
    "raw INSERT": raw_insert,
    "raw INSERT, conflicts ignored": lambda run: raw_insert(run, ending="ON CONFLICT DO NOTHING"),
    "raw upsert": lambda run: raw_insert(run, ending="ON CONFLICT (id) DO UPDATE SET source = 'other'"),
    "raw UPDATE": lambda _run: execute(f"UPDATE {TABLE} SET source = 'other'"),
    "raw DELETE": lambda _run: execute(f"DELETE FROM {TABLE}"),
    "executemany": many,
}
SQLITE_WRITES: dict[str, Callable[[ImportRun], object]] = {
    f"{kind} OR {otherwise}": call
    for otherwise in ("IGNORE", "REPLACE", "FAIL", "ROLLBACK")
    for kind, call in {
        "INSERT": lambda run, words=f"INSERT OR {otherwise}": raw_insert(run, words=words),
        "UPDATE": lambda _run, words=f"UPDATE OR {otherwise}": execute(f"{words} {TABLE} SET source = 'other'"),
    }.items()
}
POSTGRESQL_WRITES: dict[str, str] = {
    "writable CTE": f"WITH gone AS (DELETE FROM {TABLE} RETURNING id) SELECT count(*) FROM gone",
    "UPDATE FROM unnest": f"UPDATE {TABLE} SET source = v FROM unnest(ARRAY['a']) AS v",
    "MERGE": f"MERGE INTO {TABLE} t USING (SELECT 1) s ON true WHEN MATCHED THEN UPDATE SET source = 'other'",
    "inside DO": f"DO $$ BEGIN UPDATE {TABLE} SET source = 'other'; END $$",
    "as a replica": f"SET LOCAL session_replication_role = replica; UPDATE {TABLE} SET source = 'other'",
    "EXPLAIN ANALYZE": f"EXPLAIN ANALYZE DELETE FROM {TABLE}",
}

on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's own words")
on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's own words")


def sources() -> list[str]:
    return sorted(ImportRun.objects.values_list("source", flat=True))


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_write_without_an_entry_is_refused(run, write):
    with pytest.raises(IntegrityError, match="unaudited"), transaction.atomic():
        write(run)

    assert sources() == ["test"]


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_the_same_write_passes_under_an_entry(run, clinic, now, write):
    with record(Action.IMPORT_STARTED, by=system_actor(), now=now, clinic_id=clinic.id, run=run.id, source="test"):
        write(run)

    # get_or_create leaves the old row as it was, the others change it or add another.
    assert ImportRun.objects.count() != 1 or sources() != ["test"] or ImportRun.objects.get().created == 1


@on_sqlite
@pytest.mark.parametrize("write", SQLITE_WRITES.values(), ids=SQLITE_WRITES.keys())
def test_sqlites_own_ways_to_write_are_refused(run, write):
    with pytest.raises(IntegrityError, match="unaudited"), transaction.atomic():
        write(run)

    assert sources() == ["test"]


@on_postgresql
@pytest.mark.parametrize("sql", POSTGRESQL_WRITES.values(), ids=POSTGRESQL_WRITES.keys())
def test_postgresqls_own_ways_to_write_are_refused(run, sql):
    with pytest.raises(IntegrityError, match="unaudited"), transaction.atomic():
        execute(sql)

    assert sources() == ["test"]


@on_postgresql
@pytest.mark.parametrize("sql", POSTGRESQL_WRITES.values(), ids=POSTGRESQL_WRITES.keys())
def test_postgresqls_own_ways_to_write_pass_under_an_entry(run, clinic, now, sql):
    with record(Action.IMPORT_STARTED, by=system_actor(), now=now, clinic_id=clinic.id, run=run.id, source="test"):
        execute(sql)

    assert sources() != ["test"]


@on_postgresql
def test_copy_passes_under_an_entry(run, clinic, now):
    with (
        record(Action.IMPORT_STARTED, by=system_actor(), now=now, clinic_id=clinic.id, run=run.id, source="test"),
        connection.cursor() as cursor,
        cursor.copy(f"COPY {TABLE} (id, {COPIED}) FROM STDIN") as copy,
    ):
        copy.write_row([str(new_id()), str(run.clinic_id), "copied", now.isoformat(), 0, 0, 0, 0, 0])

    assert sources() == ["copied", "test"]


@on_postgresql
def test_copy_is_refused(run, now):
    # COPY goes past Django, which would have given the error its own name.
    with (
        pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="unaudited"),
        transaction.atomic(),
        connection.cursor() as cursor,
        cursor.copy(f"COPY {TABLE} (id, {COPIED}) FROM STDIN") as copy,
    ):
        copy.write_row([str(new_id()), str(run.clinic_id), "copied", now.isoformat(), 0, 0, 0, 0, 0])

    assert sources() == ["test"]


@on_postgresql
def test_a_guarded_table_is_never_emptied_at_once(run, clinic, now):
    execute("SET CONSTRAINTS ALL IMMEDIATE")

    with pytest.raises(IntegrityError, match="never emptied"), transaction.atomic():
        execute(f"TRUNCATE {TABLE}")
    with (
        pytest.raises(IntegrityError, match="never emptied"),
        record(Action.IMPORT_STARTED, by=system_actor(), now=now, clinic_id=clinic.id, run=run.id, source="test"),
    ):
        execute("TRUNCATE patients_patient CASCADE")

    assert sources() == ["test"]


@on_postgresql
def test_a_table_of_the_same_name_in_pg_temp_opens_nothing(run):
    entry = new_id()
    with pytest.raises(IntegrityError, match="unaudited"), transaction.atomic():
        execute("CREATE TEMP TABLE audit_entry (id uuid, xid xid8) ON COMMIT DROP")
        execute("INSERT INTO pg_temp.audit_entry VALUES (%s, pg_current_xact_id())", entry)
        execute("SELECT set_config('accord.entry', %s, true)", str(entry))
        ImportRun.objects.update(source="other")


@on_postgresql
@pytest.mark.parametrize("marked", ["", "garbage", str(UUID(int=0)), "01890a5d-ac96-774b-bcce-b302099a8057"])
def test_a_made_up_entry_opens_nothing(run, marked):
    with pytest.raises(DatabaseError), transaction.atomic():
        execute("SELECT set_config('accord.entry', %s, true)", marked)
        ImportRun.objects.update(source="other")

    assert sources() == ["test"]


@on_postgresql
@pytest.mark.parametrize("lasts", ["true", "false"], ids=["for the transaction", "for the session"])
def test_the_entry_of_an_earlier_transaction_opens_nothing(committed, run, clinic, now, lasts):
    with record(
        Action.IMPORT_STARTED, by=system_actor(), now=now, clinic_id=clinic.id, run=run.id, source="test"
    ) as old:
        pass

    with pytest.raises(IntegrityError, match="unaudited"), transaction.atomic():
        execute(f"SELECT set_config('accord.entry', %s, {lasts})", str(old.id))
        ImportRun.objects.update(source="other")

    assert sources() == ["test"]


def test_locking_a_row_changes_nothing_and_passes(run):
    with transaction.atomic():
        assert ImportRun.objects.select_for_update().get() == run


def test_reading_passes(run):
    assert ImportRun.objects.get().source == "test"


def test_a_cascade_from_an_unguarded_parent_is_refused(scratch, announced):
    parent = models.ForeignKey("scratch.Shelf", on_delete=models.CASCADE)
    scratch.apply(unguarded("Shelf"), guarded("Book", ("shelf", parent)))
    shelf = scratch.model("Shelf").objects.create()
    with announced():
        scratch.model("Book").objects.create(shelf=shelf)

    with pytest.raises(IntegrityError, match="unaudited"), transaction.atomic():
        shelf.delete()

    assert scratch.model("Book").objects.count() == 1


def test_a_cascade_that_the_database_makes_is_refused(scratch, announced):
    scratch.apply(unguarded("Shelf"), guarded("Book", ("shelf_id", models.BigIntegerField())))
    cascading = "scratch_book (shelf_id bigint REFERENCES scratch_shelf (id) ON DELETE CASCADE)"
    if connection.vendor == "sqlite":
        # SQLite can not add a foreign key to a table that is there: the old one makes room and its triggers move.
        with connection.cursor() as cursor:
            cursor.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'scratch_book'")
            triggers = [sql for (sql,) in cursor.fetchall()]
        for statement in ("DROP TABLE scratch_book", f"CREATE TABLE {cascading}", *triggers):
            execute(statement)
    else:
        execute("ALTER TABLE scratch_book ADD FOREIGN KEY (shelf_id) REFERENCES scratch_shelf (id) ON DELETE CASCADE")
    shelf = scratch.model("Shelf").objects.create()
    with announced():
        execute("INSERT INTO scratch_book (shelf_id) SELECT id FROM scratch_shelf")

    with pytest.raises(IntegrityError, match="unaudited"), transaction.atomic():
        execute("DELETE FROM scratch_shelf WHERE id = %s", shelf.pk)

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM scratch_book")
        assert cursor.fetchone() == (1,)


def test_a_clinic_is_guarded_too(clinic):
    with pytest.raises(IntegrityError, match="unaudited"), transaction.atomic():
        Clinic.objects.update(name="Another name")
