"""No entry, no write: triggers carried as model constraints, so that migrations write them and rebuilds keep them.

PostgreSQL: a statement-level ENABLE ALWAYS trigger lets a write pass only where the transaction's setting names an entry
that this very transaction inserted. SQLite: a marker row in `audit_open`, whose deferred foreign key can never be
satisfied, so that a transaction which still holds it can not commit. SQLite's guard is against honest mistakes, no more:
whoever holds the file can do as they like, and only the log's tree tells.
"""

from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement, Table
from django.db.models.constraints import BaseConstraint

GUARD_FUNCTION = "audit_require_entry"
APPEND_ONLY_FUNCTION = "audit_refuse_change"
SETTING = "accord.entry"

WRITES = ("INSERT", "UPDATE", "DELETE")

POSTGRESQL_FUNCTIONS = f"""
CREATE OR REPLACE FUNCTION public.{GUARD_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $guard$
DECLARE marked text := pg_catalog.current_setting('{SETTING}', true);
BEGIN
  IF marked IS NULL OR marked OPERATOR(pg_catalog.=) '' OR NOT EXISTS (
    SELECT FROM public.audit_entry
    WHERE id OPERATOR(pg_catalog.=) marked::pg_catalog.uuid
      AND xid OPERATOR(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned())
  THEN
    RAISE EXCEPTION 'unaudited % on %', TG_OP, TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $guard$;
CREATE OR REPLACE FUNCTION public.{APPEND_ONLY_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $guard$
BEGIN
  RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'integrity_constraint_violation';
END $guard$;
"""

# The triggers name only audit_open, never the entry table: SQLite re-parses every trigger at each rename.
SQLITE_TABLES = (
    "CREATE TABLE audit_never (id INTEGER PRIMARY KEY CHECK (id IS NULL))",
    "CREATE TABLE audit_open (entry_id TEXT NOT NULL, "
    "never INTEGER NOT NULL DEFAULT 1 REFERENCES audit_never(id) DEFERRABLE INITIALLY DEFERRED)",
)


class TriggerConstraint(BaseConstraint):
    """A trigger that a model carries like a constraint: part of the migration state, re-made at each table rebuild."""

    def __init__(self, *, name: str) -> None:
        super().__init__(name=name)

    def postgresql(self, table: str, name: str) -> str:
        """The commands that make the trigger on PostgreSQL; {table} is quoted by the schema editor."""
        raise NotImplementedError

    def sqlite(self, table: str) -> dict[str, str]:
        """Suffix to command, for each trigger on SQLite."""
        raise NotImplementedError

    def names(self, vendor: str) -> list[str]:
        """The names of the triggers in this database."""
        if vendor == "sqlite":
            return [f"{self.name}_{suffix}" for suffix in self.sqlite("")]
        return [self.name]

    def statements(self, model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> list[Statement]:
        """The commands as Statements with a Table reference, which follow a table that SQLite renames."""
        table = Table(model._meta.db_table, editor.quote_name)  # noqa: SLF001 - Django's own API
        if editor.connection.vendor == "sqlite":
            return [
                Statement(command, table=table, name=editor.quote_name(f"{self.name}_{suffix}"))
                for suffix, command in self.sqlite("%(table)s").items()
            ]
        return [Statement(self.postgresql("%(table)s", "%(name)s"), table=table, name=editor.quote_name(self.name))]

    def constraint_sql(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> None:  # type: ignore[override] # nothing goes into CREATE TABLE
        """Make the triggers once the table is there."""
        schema_editor.deferred_sql.extend(self.statements(model, schema_editor))

    def create_sql(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> Statement | None:  # type: ignore[override] # may be None
        """Make the triggers on a table that is there already."""
        made = self.statements(model, schema_editor)
        if schema_editor.connection.vendor == "sqlite":
            schema_editor.deferred_sql.extend(made)
            return None
        return made[0]

    def remove_sql(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> Statement | None:  # type: ignore[override] # may be None
        """Drop the triggers."""
        table = Table(model._meta.db_table, schema_editor.quote_name)  # noqa: SLF001 - Django's own API
        if schema_editor.connection.vendor == "sqlite":
            # Removing a constraint rebuilds the table, and the old one takes its triggers along.
            return None
        name = schema_editor.quote_name(self.name)
        return Statement("DROP TRIGGER IF EXISTS %(name)s ON %(table)s", table=table, name=name)

    def validate(self, *_args: Any, **_options: Any) -> None:
        """Nothing to ask Python: the database refuses."""

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, TriggerConstraint) and other.name == self.name

    def __hash__(self) -> int:
        return hash((type(self), self.name))


class AuditGuard(TriggerConstraint):
    """Refuses every write that no audit entry of the same transaction announces."""

    def postgresql(self, table: str, name: str) -> str:
        return (
            f"CREATE OR REPLACE TRIGGER {name} BEFORE INSERT OR UPDATE OR DELETE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION public.{GUARD_FUNCTION}(); "
            f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"
        )

    def sqlite(self, table: str) -> dict[str, str]:
        return {
            kind.lower(): (
                f"CREATE TRIGGER %(name)s BEFORE {kind} ON {table} WHEN NOT EXISTS (SELECT 1 FROM audit_open) "
                f"BEGIN SELECT RAISE(ABORT, 'unaudited {kind}'); END"
            )
            for kind in WRITES
        }


class AppendOnly(TriggerConstraint):
    """Refuses to change or delete a row, whoever asks and whatever is recorded."""

    def postgresql(self, table: str, name: str) -> str:
        return (
            f"CREATE OR REPLACE TRIGGER {name} BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION public.{APPEND_ONLY_FUNCTION}(); "
            f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"
        )

    def sqlite(self, table: str) -> dict[str, str]:
        return {
            kind.lower(): (
                f"CREATE TRIGGER %(name)s BEFORE {kind} ON {table} BEGIN SELECT RAISE(ABORT, 'append-only: {kind}'); END"
            )
            for kind in ("UPDATE", "DELETE")
        }


class Guarded(models.Model):
    """A row that can only be written inside `record(...)`.

    A subclass that lists constraints of its own writes `constraints = [*Guarded.Meta.constraints, ...]`; the check
    audit.E001 finds those that forgot.
    """

    class Meta:
        abstract = True
        constraints = [AuditGuard(name="%(app_label)s_%(class)s_audited")]  # noqa: RUF012 - Django's Meta
