"""`check --database` finds a guard that is missing, disabled, demoted or changed; and nothing where all is well."""

# ruff: noqa: ISC004 - a statement goes on in the next line

from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, models

from backend.audit.checks import (
    every_guarded_model_carries_its_guard,
    every_trigger_is_in_the_database,
    guard_errors,
    guarded_models,
)
from backend.audit.guard import POSTGRESQL_FUNCTIONS, AuditGuard, Guarded
from backend.patients.models import ImportRun

on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's own words")
on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's own words")

TABLE = "patients_import_run"
GUARD = "patients_importrun_audited"


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def found() -> list[str | None]:
    return [error.id for error in every_trigger_is_in_the_database(databases=["default"])]


def test_all_is_well_after_the_migrations(db):
    assert every_guarded_model_carries_its_guard() == []
    assert found() == []


def test_all_is_well_after_the_tables_were_emptied(committed):
    """The test before this one may have been any; the emptying itself is tried here, as the suite does it."""
    call_command("flush", interactive=False, verbosity=0)

    assert found() == []


def test_nothing_is_asked_of_a_database_that_was_not_named(db):
    assert every_trigger_is_in_the_database() == []


# ------------------------------------------------------------------------------------------------- PostgreSQL

POSTGRESQL_DRIFT = {
    "dropped": ([f"DROP TRIGGER {GUARD} ON {TABLE}"], "audit.E003"),
    "disabled": ([f"ALTER TABLE {TABLE} DISABLE TRIGGER {GUARD}"], "audit.E004"),
    "demoted by ENABLE TRIGGER": ([f"ALTER TABLE {TABLE} ENABLE TRIGGER {GUARD}"], "audit.E004"),
    "for replicas only": ([f"ALTER TABLE {TABLE} ENABLE REPLICA TRIGGER {GUARD}"], "audit.E004"),
    "disabled as a restore of data does": (
        [f"ALTER TABLE {TABLE} DISABLE TRIGGER USER", f"ALTER TABLE {TABLE} ENABLE TRIGGER USER"],
        "audit.E004",
    ),
    "fewer events": (
        [
            f"CREATE OR REPLACE TRIGGER {GUARD} BEFORE INSERT ON {TABLE} FOR EACH STATEMENT "
            "EXECUTE FUNCTION audit_require_entry()",
            f"ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER {GUARD}",
        ],
        "audit.E004",
    ),
    "for one column only": (
        [
            f"CREATE OR REPLACE TRIGGER {GUARD} BEFORE INSERT OR UPDATE OF source OR DELETE ON {TABLE} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_require_entry()",
            f"ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER {GUARD}",
        ],
        "audit.E004",
    ),
    "with a condition": (
        [
            f"CREATE OR REPLACE TRIGGER {GUARD} BEFORE INSERT OR UPDATE OR DELETE ON {TABLE} "
            "FOR EACH STATEMENT WHEN (false) EXECUTE FUNCTION audit_require_entry()",
            f"ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER {GUARD}",
        ],
        "audit.E004",
    ),
    "another function": (
        [
            "CREATE FUNCTION harmless() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            f"CREATE OR REPLACE TRIGGER {GUARD} BEFORE INSERT OR UPDATE OR DELETE ON {TABLE} "
            "FOR EACH STATEMENT EXECUTE FUNCTION harmless()",
            f"ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER {GUARD}",
        ],
        "audit.E004",
    ),
    "a function of that name in another schema": (
        [
            "CREATE SCHEMA elsewhere",
            "CREATE FUNCTION elsewhere.audit_require_entry() RETURNS trigger LANGUAGE plpgsql "
            "AS 'BEGIN RETURN NULL; END'",
            f"CREATE OR REPLACE TRIGGER {GUARD} BEFORE INSERT OR UPDATE OR DELETE ON {TABLE} "
            "FOR EACH STATEMENT EXECUTE FUNCTION elsewhere.audit_require_entry()",
            f"ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER {GUARD}",
        ],
        "audit.E004",
    ),
    "the guard's function emptied": (
        [
            "CREATE OR REPLACE FUNCTION audit_require_entry() RETURNS trigger LANGUAGE plpgsql "
            "AS 'BEGIN RETURN NULL; END'"
        ],
        "audit.E005",
    ),
    "the functions exchanged": (
        [
            POSTGRESQL_FUNCTIONS.replace("audit_require_entry()", "other()")
            .replace("audit_refuse_change()", "audit_require_entry()")
            .replace("other()", "audit_refuse_change()")
        ],
        "audit.E005",
    ),
    "a search path of its own": (
        ["ALTER FUNCTION audit_require_entry() SET session_replication_role = replica"],
        "audit.E005",
    ),
    "the log itself": (["ALTER TABLE audit_entry ENABLE TRIGGER audit_entry_append_only"], "audit.E004"),
    "a table that inherits": (["CREATE TABLE beside () INHERITS (patients_import_run)"], "audit.E008"),
}


@on_postgresql
@pytest.mark.parametrize(("statements", "error"), POSTGRESQL_DRIFT.values(), ids=POSTGRESQL_DRIFT.keys())
def test_drift_is_found_on_postgresql(db, statements, error):
    execute(*statements)

    assert set(found()) == {error}


# ----------------------------------------------------------------------------------------------------- SQLite

SQLITE_DRIFT = {
    "dropped": ([f"DROP TRIGGER {GUARD}_update"], "audit.E003"),
    "weakened": (
        [
            f"DROP TRIGGER {GUARD}_update",
            f"CREATE TRIGGER {GUARD}_update BEFORE UPDATE ON {TABLE} WHEN false "
            "BEGIN SELECT RAISE(ABORT, 'unaudited UPDATE'); END",
        ],
        "audit.E004",
    ),
    "the log itself": (["DROP TRIGGER audit_entry_append_only_replace"], "audit.E003"),
    "a marker left open": (["INSERT INTO audit_open (entry_id) VALUES ('forged')"], "audit.E006"),
    "a marker that could be left open": (
        ["PRAGMA ignore_check_constraints = ON", "INSERT INTO audit_never (id) VALUES (1)"],
        "audit.E006",
    ),
}


@pytest.fixture
def undone(db: None) -> Iterator[None]:
    """The test's own transaction takes back whatever is changed here, the schema included."""
    yield
    if connection.vendor == "sqlite":
        execute("DELETE FROM audit_open", "DELETE FROM audit_never", "PRAGMA ignore_check_constraints = OFF")


@on_sqlite
@pytest.mark.parametrize(("statements", "error"), SQLITE_DRIFT.values(), ids=SQLITE_DRIFT.keys())
def test_drift_is_found_on_sqlite(undone, statements, error):
    execute(*statements)

    assert found() == [error]


@on_sqlite
def test_a_marker_table_that_can_be_committed_is_found(db):
    execute("DROP TABLE audit_open", "CREATE TABLE audit_open (entry_id TEXT NOT NULL)")

    assert found() == ["audit.E005"]


@on_sqlite
def test_foreign_keys_that_are_off_are_found(committed):
    execute("PRAGMA foreign_keys = OFF")
    try:
        assert found() == ["audit.E007"]
    finally:
        execute("PRAGMA foreign_keys = ON")


@on_sqlite
def test_the_check_leaves_foreign_keys_on(committed):
    found()
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA foreign_keys")
        assert cursor.fetchone() == (1,)


def test_the_command_fails_where_a_trigger_is_missing(db):
    execute(f"DROP TRIGGER {GUARD}_update" if connection.vendor == "sqlite" else f"DROP TRIGGER {GUARD} ON {TABLE}")

    with pytest.raises(CommandError, match=rf"audit\.E003.*{GUARD}"):
        call_command("check", databases=["default"], stdout=StringIO(), stderr=StringIO())


def test_a_table_that_was_dropped_is_found(db):
    execute(f"DROP TABLE {TABLE}")

    assert set(found()) == {"audit.E003"}


# ----------------------------------------------------------------------------------------------------- models


def test_a_model_that_lists_constraints_of_its_own_and_forgot_the_guard_is_found():
    class Forgetful(Guarded):
        class Meta:
            app_label = "scratch"
            constraints = [models.CheckConstraint(condition=models.Q(id__gt=0), name="forgetful_check")]

    assert [error.id for error in guard_errors(Forgetful)] == ["audit.E001"]


def test_a_relation_that_makes_a_table_on_the_side_is_found():
    class Sided(Guarded):
        others = models.ManyToManyField("self")

        class Meta(Guarded.Meta):
            app_label = "scratch"

    assert [error.id for error in guard_errors(Sided)] == ["audit.E002"]


def test_a_model_that_inherits_the_guard_has_one_of_its_own_name():
    class Plain(Guarded):
        class Meta(Guarded.Meta):
            app_label = "scratch"

    assert Plain._meta.constraints == [AuditGuard(name="scratch_plain_audited")]  # noqa: SLF001 - Django's API
    assert list(guard_errors(Plain)) == []


def test_the_checks_look_at_the_models_of_the_product():
    assert ImportRun in set(guarded_models())
