"""Models and migrations say the same, and no migration comes before the guard it needs."""

import ast
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations import RunPython, RunSQL
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.models import CreateModel

from backend.audit.checks import guarded_models
from backend.audit.guard import AuditGuard, TriggerConstraint

ROOT = Path(__file__).parents[2]
GUARD = ("audit", "0002_initial")
OURS = sorted({config.label for config in apps.get_app_configs() if config.name.startswith("backend.")})


@pytest.fixture(scope="module")
def loader() -> MigrationLoader:
    return MigrationLoader(None, ignore_no_migrations=True)


def all_of(app: str, loader: MigrationLoader):
    return {key: migration for key, migration in loader.disk_migrations.items() if key[0] == app}


def test_the_models_are_what_the_migrations_make(db):
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_each_app_has_one_last_migration(loader):
    assert {app: len(loader.graph.leaf_nodes(app)) for app in OURS if all_of(app, loader)} == {
        app: 1 for app in OURS if all_of(app, loader)
    }


@pytest.mark.parametrize("app", sorted({model._meta.app_label for model in guarded_models()} - {"audit"}))  # noqa: SLF001 - Django's API
def test_an_app_with_guarded_tables_waits_for_the_guard(app, loader):
    """Neither the functions nor the marker tables are a model: the autodetector does not see the dependency."""
    firsts = [
        migration for migration in all_of(app, loader).values() if migration.initial or migration.name[:4] == "0001"
    ]

    assert firsts
    for migration in firsts:
        assert GUARD in migration.dependencies


def test_the_tables_of_the_guard_come_before_the_first_guarded_table(loader):
    assert ("audit", "0001_guard") in loader.disk_migrations[GUARD].dependencies


@pytest.mark.parametrize("app", OURS)
def test_no_migration_writes_rows_beside_the_table_it_makes(app, loader):
    """Triggers are made at the end of a migration: a RunPython beside CreateModel would write unguarded."""
    for migration in all_of(app, loader).values():
        kinds = {type(operation) for operation in flat(migration.operations)}
        if kinds & {CreateModel}:
            assert not kinds & {RunPython, RunSQL}, migration


def flat(operations: list[Operation]) -> list[Operation]:
    """Every operation, those inside SeparateDatabaseAndState included."""
    return [
        inner
        for operation in operations
        for inner in (operation, *flat(list(getattr(operation, "database_operations", []))))
    ]


def test_every_guard_is_in_the_migrations(loader):
    state = loader.project_state()
    for model in guarded_models():
        options = state.apps.get_model(model._meta.label)._meta  # noqa: SLF001 - Django's API
        made = [constraint for constraint in options.constraints if isinstance(constraint, TriggerConstraint)]
        wanted = [c for c in model._meta.constraints if isinstance(c, TriggerConstraint)]  # noqa: SLF001 - Django's API
        assert any(isinstance(constraint, AuditGuard) for constraint in made), options.label
        assert set(made) == set(wanted)


def test_the_marker_tables_are_never_altered():
    """They are made once, by SQL, and no model knows them: SQLite looks at every trigger at each rename."""
    tables = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}  # noqa: SLF001 - Django's API

    assert not tables & {"audit_open", "audit_never"}


def test_every_migration_was_run_here(db):
    recorded = MigrationLoader(connection).applied_migrations

    assert set(recorded) >= {key for app in OURS for key in all_of(app, MigrationLoader(None))}


def test_no_migration_reads_the_clock_or_makes_up_a_user():
    for path in (ROOT / "backend").glob("*/migrations/*.py"):
        calls = {
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call)
        }
        assert not {call for call in calls if call.endswith((".now", "utcnow", "create_user"))}, path.name
