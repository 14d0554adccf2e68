"""A small app of its own, known to the migration state only, so that its tables can be made, rebuilt and renamed."""

from typing import Any

from django.db import migrations, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from backend.audit.guard import AppendOnly, AuditGuard

APP = "scratch"


def guarded(
    name: str, *fields: tuple[str, "models.Field[Any, Any]"], options: dict[str, Any] | None = None
) -> Operation:
    """Makes a guarded table, written as makemigrations writes it."""
    constraint = AuditGuard(name=f"{APP}_{name.lower()}_audited")
    return _table(name, constraint, *fields, options=options)


def append_only(
    name: str, *fields: tuple[str, "models.Field[Any, Any]"], options: dict[str, Any] | None = None
) -> Operation:
    """Makes an append-only table."""
    constraint = AppendOnly(name=f"{APP}_{name.lower()}_append_only")
    return _table(name, constraint, *fields, options=options)


def unguarded(name: str, *fields: tuple[str, "models.Field[Any, Any]"]) -> Operation:
    """Makes a table like any other."""
    return _table(name, None, *fields)


def _table(
    name: str,
    constraint: models.BaseConstraint | None,
    *fields: tuple[str, "models.Field[Any, Any]"],
    options: dict[str, Any] | None = None,
) -> Operation:
    given = dict(options or {})
    constraints = [*([constraint] if constraint else []), *given.pop("constraints", [])]
    return migrations.CreateModel(
        name,
        fields=[("id", models.BigAutoField(primary_key=True)), *fields],
        options={**given, "constraints": constraints},
    )


class Scratch:
    """Applies operations one after another, and hands out the models as they then are."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.state = ProjectState()
        self._there_before = set(self._tables())

    def apply(self, *operations: Operation) -> None:
        """Each operation with a schema editor of its own, as one migration each."""
        for operation in operations:
            after = self.state.clone()
            operation.state_forwards(APP, after)
            with self.connection.schema_editor() as editor:
                operation.database_forwards(APP, editor, self.state, after)
            self.state = after

    def model(self, name: str) -> Any:
        """The model as it is after what was applied."""
        return self.state.apps.get_model(APP, name)

    def triggers(self, name: str) -> set[str]:
        """The triggers that stand on a model's table, on PostgreSQL only those that fire always."""
        table = self.model(name)._meta.db_table  # noqa: SLF001 - Django's API
        with self.connection.cursor() as cursor:
            if self.connection.vendor == "postgresql":
                cursor.execute(
                    "SELECT tgname FROM pg_trigger "
                    "WHERE tgrelid = %s::regclass AND NOT tgisinternal AND tgenabled = 'A'",
                    [table],
                )
            else:
                cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s", [table])
            return {found for (found,) in cursor.fetchall()}

    def drop_everything(self) -> None:
        """Leave the database as it was."""
        made = set(self._tables()) - self._there_before
        with self.connection.cursor() as cursor:
            if self.connection.vendor == "sqlite":
                cursor.execute("PRAGMA foreign_keys = OFF")
            for table in made:
                cascade = " CASCADE" if self.connection.vendor == "postgresql" else ""
                cursor.execute(f'DROP TABLE IF EXISTS "{table}"{cascade}')
            if self.connection.vendor == "sqlite":
                cursor.execute("PRAGMA foreign_keys = ON")

    def _tables(self) -> list[str]:
        with self.connection.cursor() as cursor:
            return self.connection.introspection.table_names(cursor)
