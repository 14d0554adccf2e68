"""Checks that no guard is missing: in the models, and in the database as it really is."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections, models
from django.db.migrations.executor import MigrationExecutor

from backend.audit.guard import (
    APPEND_ONLY_FUNCTION,
    GUARD_FUNCTION,
    POSTGRESQL_FUNCTIONS,
    AuditGuard,
    Guarded,
    TriggerConstraint,
)


def guarded_models() -> Iterator[type[models.Model]]:
    """Every managed model that only `record` may write."""
    for model in apps.get_models(include_auto_created=True):
        if issubclass(model, Guarded) and not model._meta.proxy and model._meta.managed:  # noqa: SLF001 - Django's API
            yield model


@register(Tags.models)
def every_guarded_model_carries_its_guard(**_options: Any) -> list[CheckMessage]:
    """A `class Meta: constraints = [...]` drops the inherited guard without a word; this finds it."""
    errors: list[CheckMessage] = []
    for model in guarded_models():
        options = model._meta  # noqa: SLF001 - Django's API
        if not any(isinstance(constraint, AuditGuard) for constraint in options.constraints):
            errors.append(
                Error(
                    f"{options.label} has lost its audit guard.",
                    hint="Write constraints = [*Guarded.Meta.constraints, ...].",
                    obj=model,
                    id="audit.E001",
                )
            )
        for relation in options.local_many_to_many:
            if relation.remote_field.through._meta.auto_created:  # type: ignore[union-attr] # noqa: SLF001 - Django's API
                errors.append(
                    Error(f"{options.label}.{relation.name} makes a table without a guard.", obj=model, id="audit.E002")
                )
    return errors


@register(Tags.database)
def every_trigger_is_in_the_database(*, databases: Sequence[str] | None = None, **_options: Any) -> list[CheckMessage]:
    """Compare the triggers that should be there with those that are: missing, disabled, demoted or changed."""
    errors: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            continue
        found = _postgresql_triggers(connection) if connection.vendor == "postgresql" else _sqlite_triggers(connection)
        for name, expected in _expected(connection).items():
            if name not in found:
                errors.append(Error(f"The trigger {name} is missing.", id="audit.E003"))
            elif found[name] != expected:
                errors.append(Error(f"The trigger {name} is disabled or was changed.", id="audit.E004"))
        errors += _engine_errors(connection)
    return errors


def _expected(connection: Any) -> dict[str, object]:
    expected: dict[str, object] = {}
    for model in apps.get_models(include_auto_created=True):
        options = model._meta  # noqa: SLF001 - Django's API
        for constraint in options.constraints:
            if not isinstance(constraint, TriggerConstraint) or not options.managed or options.proxy:
                continue
            if connection.vendor == "postgresql":
                function = GUARD_FUNCTION if isinstance(constraint, AuditGuard) else APPEND_ONLY_FUNCTION
                expected[constraint.name] = (options.db_table, "A", function)
            else:
                with connection.schema_editor(collect_sql=True) as editor:
                    for statement, name in zip(
                        constraint.statements(model, editor), constraint.names("sqlite"), strict=True
                    ):
                        expected[name] = _squeezed(str(statement))
    return expected


def _postgresql_triggers(connection: Any) -> dict[str, object]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.tgname, c.relname, t.tgenabled, p.proname FROM pg_trigger t "
            "JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid WHERE NOT t.tgisinternal"
        )
        return {
            name: (table, enabled if isinstance(enabled, str) else enabled.decode(), function)
            for name, table, enabled, function in cursor.fetchall()
        }


def _sqlite_triggers(connection: Any) -> dict[str, object]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        return {name: _squeezed(sql) for name, sql in cursor.fetchall()}


def _engine_errors(connection: Any) -> list[CheckMessage]:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT proname, prosrc FROM pg_proc WHERE proname = ANY(%s)", [[GUARD_FUNCTION, APPEND_ONLY_FUNCTION]]
            )
            return [
                Error(f"The function {name} was changed.", id="audit.E005")
                for name, source in cursor.fetchall()
                if source not in POSTGRESQL_FUNCTIONS
            ]
        cursor.execute("SELECT count(*) FROM audit_open")
        if cursor.fetchone()[0]:
            return [Error("A marker was left in audit_open: the guard stands open.", id="audit.E006")]
    return []


def _squeezed(sql: str) -> str:
    return " ".join(sql.replace('"', "").split())
