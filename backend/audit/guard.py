"""No entry, no write: triggers carried as model constraints, so that migrations write them and rebuilds keep them.

PostgreSQL: a statement-level ENABLE ALWAYS trigger lets a write pass only where the transaction's setting names an
entry that this very transaction inserted. SQLite: a marker row in `audit_open`, whose deferred foreign key can never be
satisfied, so that a transaction which still holds it can not commit. SQLite's guard is against honest mistakes, no
more: whoever holds the file can do as they like, and only the log's tree tells.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement, Table
from django.db.models.constraints import BaseConstraint

GUARD_FUNCTION: Final = "audit_require_entry"
APPEND_ONLY_FUNCTION: Final = "audit_refuse_change"
TOMBSTONE_FUNCTION: Final = "audit_keep_tombstone"
SETTING: Final = "accord.entry"

# The bodies of the functions, by name: the check compares them with what the database really runs.
POSTGRESQL_BODIES: Final[Mapping[str, str]] = {
    GUARD_FUNCTION: f"""
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
END """,
    APPEND_ONLY_FUNCTION: """
BEGIN
  IF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
    RAISE EXCEPTION 'never emptied: % on %', TG_OP, TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RAISE EXCEPTION 'append-only: % on %', TG_OP, TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END """,
    TOMBSTONE_FUNCTION: """
BEGIN
  IF OLD.destroyed_at IS NOT NULL THEN
    RAISE EXCEPTION 'a tombstone stays: % on %', TG_OP, TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
    RETURN OLD;
  END IF;
  RETURN NEW;
END """,
}
POSTGRESQL_FUNCTIONS: Final = "".join(
    f"CREATE OR REPLACE FUNCTION public.{name}() RETURNS trigger LANGUAGE plpgsql AS $guard${body}$guard$;\n"
    for name, body in POSTGRESQL_BODIES.items()
)

# The triggers name only audit_open, never the entry table: SQLite re-parses every trigger at each rename.
SQLITE_TABLES: Final[Mapping[str, str]] = {
    "audit_never": "CREATE TABLE audit_never (id INTEGER PRIMARY KEY CHECK (id IS NULL))",
    "audit_open": (
        "CREATE TABLE audit_open (entry_id TEXT NOT NULL, "
        "never INTEGER NOT NULL DEFAULT 1 REFERENCES audit_never(id) DEFERRABLE INITIALLY DEFERRED)"
    ),
}


@dataclass(frozen=True, slots=True)
class PostgresqlTrigger:
    """One BEFORE trigger, for each statement or each row: what sets it off, and which function it calls."""

    events: tuple[str, ...]
    function: str
    for_each: str = "STATEMENT"

    BITS: ClassVar[Mapping[str, int]] = {"INSERT": 4, "DELETE": 8, "UPDATE": 16, "TRUNCATE": 32}
    BEFORE: ClassVar[int] = 2
    LEVELS: ClassVar[Mapping[str, int]] = {"STATEMENT": 0, "ROW": 1}

    @property
    def kind(self) -> int:
        """How `pg_trigger.tgtype` writes the moment and the events."""
        return self.LEVELS[self.for_each] + self.BEFORE + sum(self.BITS[event] for event in self.events)


class TriggerConstraint(BaseConstraint):
    """A trigger that a model carries like a constraint: part of the migration state, re-made at each table rebuild."""

    # By what is added to the name of the constraint.
    postgresql: ClassVar[Mapping[str, PostgresqlTrigger]] = {}

    def __init__(self, *, name: str) -> None:
        super().__init__(name=name)

    def sqlite(self, model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> Mapping[str, str]:
        """Each trigger on SQLite, by what is added to the name of the constraint; %(table)s and %(name)s are filled."""
        raise NotImplementedError

    def statements(self, model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> dict[str, Statement]:
        """The commands, by trigger, as Statements with a Table reference, which follow a table that SQLite renames."""
        table = Table(model._meta.db_table, editor.quote_name)  # noqa: SLF001 - Django's own API
        if editor.connection.vendor == "sqlite":
            commands = self.sqlite(model, editor)
        else:
            commands = {added: _postgresql_command(trigger) for added, trigger in self.postgresql.items()}
        return {
            self.name + added: Statement(command, table=table, name=editor.quote_name(self.name + added))
            for added, command in commands.items()
        }

    def constraint_sql(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> None:  # type: ignore[override] # nothing goes into CREATE TABLE
        """Make the triggers once the table is there."""
        schema_editor.deferred_sql.extend(self.statements(model, schema_editor).values())

    def create_sql(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> Statement | None:  # type: ignore[override] # may be None
        """Make the triggers on a table that is there already."""
        first, *others = self.statements(model, schema_editor).values()
        if schema_editor.connection.vendor == "sqlite":
            # Adding a constraint rebuilds the table, which makes the triggers through constraint_sql.
            return None
        for other in others:
            schema_editor.execute(other)
        return first

    def remove_sql(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> Statement | None:  # type: ignore[override] # may be None
        """Drop the triggers."""
        table = Table(model._meta.db_table, schema_editor.quote_name)  # noqa: SLF001 - Django's own API
        if schema_editor.connection.vendor == "sqlite":
            # Removing a constraint rebuilds the table, and the old one takes its triggers along.
            return None
        drops = (
            f"DROP TRIGGER IF EXISTS {schema_editor.quote_name(self.name + added)} ON %(table)s"
            for added in self.postgresql
        )
        return Statement("; ".join(drops), table=table)

    def validate(self, *_args: Any, **_options: Any) -> None:
        """Nothing to ask Python: the database refuses."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TriggerConstraint) and (type(other), other.name) == (type(self), self.name)

    def __hash__(self) -> int:
        return hash((type(self), self.name))


def _postgresql_command(trigger: PostgresqlTrigger) -> str:
    return (
        f"CREATE OR REPLACE TRIGGER %(name)s BEFORE {' OR '.join(trigger.events)} ON %(table)s "
        f"FOR EACH {trigger.for_each} EXECUTE FUNCTION public.{trigger.function}(); "
        "ALTER TABLE %(table)s ENABLE ALWAYS TRIGGER %(name)s"
    )


def _sqlite_command(kind: str, *, complaint: str, when: str = "") -> str:
    return f"CREATE TRIGGER %(name)s BEFORE {kind} ON %(table)s{when} BEGIN SELECT RAISE(ABORT, '{complaint}'); END"


class AuditGuard(TriggerConstraint):
    """Refuses every write that no audit entry of the same transaction announces."""

    postgresql = {
        "": PostgresqlTrigger(("INSERT", "UPDATE", "DELETE"), GUARD_FUNCTION),
        # No entry could say what was lost, so emptying is refused even inside `record`.
        "_truncate": PostgresqlTrigger(("TRUNCATE",), APPEND_ONLY_FUNCTION),
    }

    def sqlite(self, model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> Mapping[str, str]:  # noqa: ARG002 - the table is filled in
        """One trigger for each kind of write."""
        unannounced = " WHEN NOT EXISTS (SELECT 1 FROM audit_open)"
        return {
            f"_{kind.lower()}": _sqlite_command(kind, complaint=f"unaudited {kind}", when=unannounced)
            for kind in ("INSERT", "UPDATE", "DELETE")
        }


class AppendOnly(TriggerConstraint):
    """Refuses to change or delete a row, whoever asks and whatever is recorded."""

    postgresql = {"": PostgresqlTrigger(("UPDATE", "DELETE", "TRUNCATE"), APPEND_ONLY_FUNCTION)}

    def sqlite(self, model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> Mapping[str, str]:
        """One trigger for each kind of change; INSERT OR REPLACE deletes without setting off any DELETE trigger."""
        taken = " OR ".join(
            "(" + " AND ".join(f"{name} = NEW.{name}" for name in map(editor.quote_name, columns)) + ")"
            for columns in _unique_columns(model)
        )
        return {
            "_update": _sqlite_command("UPDATE", complaint="append-only: UPDATE"),
            "_delete": _sqlite_command("DELETE", complaint="append-only: DELETE"),
            "_replace": _sqlite_command(
                "INSERT",
                complaint="append-only: the row is there already",
                when=f" WHEN EXISTS (SELECT 1 FROM %(table)s WHERE {taken})",  # noqa: S608 - names of our columns
            ),
        }


class TombstoneStays(TriggerConstraint):
    """Refuses to change or delete a row whose `destroyed_at` is set: what was destroyed never lives again."""

    postgresql = {"": PostgresqlTrigger(("UPDATE", "DELETE"), TOMBSTONE_FUNCTION, for_each="ROW")}

    def sqlite(self, model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> Mapping[str, str]:  # noqa: ARG002 - the table is filled in
        """One trigger for each kind of change; INSERT OR REPLACE deletes without setting off any DELETE trigger."""
        destroyed = " WHEN OLD.destroyed_at IS NOT NULL"
        return {
            "_update": _sqlite_command("UPDATE", complaint="a tombstone stays: UPDATE", when=destroyed),
            "_delete": _sqlite_command("DELETE", complaint="a tombstone stays: DELETE", when=destroyed),
            "_replace": _sqlite_command(
                "INSERT",
                complaint="a tombstone stays: the row is there already",
                when=" WHEN EXISTS (SELECT 1 FROM %(table)s WHERE id = NEW.id AND destroyed_at IS NOT NULL)",
            ),
        }


def _unique_columns(model: type[models.Model]) -> Iterator[list[str]]:
    """The columns by which one row may push another out: the key, and whatever else must be unique."""
    options = model._meta  # noqa: SLF001 - Django's own API
    if len(options.pk_fields) > 1:
        yield [str(field.column) for field in options.pk_fields]
    for field in options.local_concrete_fields:
        if field.unique:
            yield [str(field.column)]
    for constraint in options.total_unique_constraints:
        yield [str(options.get_field(name).column) for name in constraint.fields]  # type: ignore[union-attr] # they are columns


class Guarded(models.Model):
    """A row that can only be written inside `record(...)`.

    A subclass that lists constraints of its own writes `constraints = [*Guarded.Meta.constraints, ...]`; the check
    audit.E001 finds those that forgot.
    """

    class Meta:
        abstract = True
        constraints = [AuditGuard(name="%(app_label)s_%(class)s_audited")]
