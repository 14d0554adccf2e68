"""Checks that no guard is missing: in the models, and in the database as it really is."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's own name for it
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.migrations.executor import MigrationExecutor

from backend.audit.guard import POSTGRESQL_BODIES, SQLITE_TABLES, AuditGuard, Guarded, TriggerConstraint
from backend.audit.roles import (
    SEQUENCER_ALIAS,
    Role,
    Standing,
    difference,
    has_sequencer_alias,
    is_same_database,
    standing_of,
    summed_up,
)

ENTRIES = "audit_entry"


def guarded_models() -> Iterator[type[models.Model]]:
    """Every managed model that only `record` may write."""
    for model in apps.get_models(include_auto_created=True):
        if issubclass(model, Guarded) and not model._meta.proxy and model._meta.managed:  # noqa: SLF001 - Django's API
            yield model


@register(Tags.models)
def every_guarded_model_carries_its_guard(**_options: Any) -> list[CheckMessage]:
    """A `class Meta: constraints = [...]` drops the inherited guard without a word; this finds it."""
    return [error for model in guarded_models() for error in guard_errors(model)]


def guard_errors(model: type[models.Model]) -> Iterator[CheckMessage]:
    """What one model lacks: its guard, or the guard of a table that it makes on the side."""
    options = model._meta  # noqa: SLF001 - Django's API
    if not any(isinstance(constraint, AuditGuard) for constraint in options.constraints):
        yield Error(
            f"{options.label} has lost its audit guard.",
            hint="Write constraints = [*Guarded.Meta.constraints, ...].",
            obj=model,
            id="audit.E001",
        )
    for relation in options.local_many_to_many:
        if relation.remote_field.through._meta.auto_created:  # type: ignore[union-attr] # noqa: SLF001 - Django's API
            yield Error(f"{options.label}.{relation.name} makes a table without a guard.", obj=model, id="audit.E002")


@register(Tags.database)
def every_trigger_is_in_the_database(*, databases: Sequence[str] | None = None, **_options: Any) -> list[CheckMessage]:
    """Compare the triggers that should be there with those that are: missing, disabled, demoted or changed."""
    errors: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        if not is_up_to_date(connection):
            # `migrate` comes first, and `manage.py prepare` checks after it.
            continue
        on_postgresql = connection.vendor == "postgresql"
        found = _postgresql_triggers(connection) if on_postgresql else _sqlite_triggers(connection)
        for name, expected in _expected(connection).items():
            if name not in found:
                errors.append(Error(f"The trigger {name} is missing.", id="audit.E003"))
            elif found[name] != expected:
                errors.append(Error(f"The trigger {name} is disabled or was changed.", id="audit.E004"))
        errors += _postgresql_errors(connection) if on_postgresql else _sqlite_errors(connection)
    return errors


@register(Tags.database)
def every_entry_has_an_id_of_its_own(*, databases: Sequence[str] | None = None, **_options: Any) -> list[CheckMessage]:
    """The unique index over the ids of entries is there: without it an old entry could be written once more."""
    errors: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        if not is_up_to_date(connection):
            continue
        with connection.cursor() as cursor:
            there = connection.introspection.get_constraints(cursor, ENTRIES)
        if not any(one["unique"] and one["columns"] == ["id"] for one in there.values()):
            errors.append(Error(f"The unique index over the id of {ENTRIES} is missing.", id="audit.E012"))
    return errors


def is_up_to_date(connection: Any) -> bool:
    """Was every migration carried out on this database?"""
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


@register(Tags.database, deploy=True)
def every_role_has_what_it_needs_and_no_more(
    *, databases: Sequence[str] | None = None, **_options: Any
) -> list[CheckMessage]:
    """Compare what the connected roles may do with what they need: told, and refused with ACCORD_REQUIRE_ROLES.

    A small installation may run with one role that owns everything: then only the log's tree, beside a checkpoint that
    is kept elsewhere, tells of a change made through that role.
    """
    found: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        if connection.vendor == "postgresql" and is_up_to_date(connection):
            if alias == SEQUENCER_ALIAS and not is_same_database(connection, connections[DEFAULT_DB_ALIAS]):
                complaint = "ACCORD_SEQUENCER_DATABASE_URL is another database than ACCORD_DATABASE_URL."
                found.append(Error(complaint, id="audit.E010"))
            else:
                needs = Role.SEQUENCER if alias == SEQUENCER_ALIAS else Role.APP
                found += role_messages(connection, needs, app_sequences=not has_sequencer_alias())
    return found


def role_messages(connection: Any, needs: Role, *, app_sequences: bool) -> Iterator[CheckMessage]:
    """What is wrong with the role of one connection; of a role that may do everything only that is said."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        (name,) = cursor.fetchone()
    standing = standing_of(connection, name)
    told = list(standing_complaints(standing))
    if not (standing.powers or standing.owns_log):
        found = difference(connection, name, needs, app_sequences=app_sequences)
        if found.too_much:
            told.append((14, f"may do more than it needs: {summed_up(found.too_much)}"))
        if found.too_little:
            yield Error(
                f"The database role {name} lacks rights that it needs as {needs}: {summed_up(found.too_little)}.",
                hint="Run manage.py grant_roles as the owner after each migrate; see ACCORD_SEQUENCER_DATABASE_URL.",
                id="audit.E009",
            )
    required = settings.ACCORD_REQUIRE_ROLES
    for number, complaint in told:
        yield (Error if required else Warning)(
            f"The database role {name} {complaint}.",
            hint="Give each process a role of its own: docs/how-to/run-for-real.md, and manage.py grant_roles.",
            id=f"audit.{'E' if required else 'W'}{number:03}",
        )


def standing_complaints(standing: Standing) -> Iterator[tuple[int, str]]:
    """What a serving role must not be, each with its number."""
    if standing.powers:
        yield 11, f"has a power that ends in all rights: {', '.join(standing.powers)}"
        return
    if standing.owns_log:
        yield 12, "owns the log, or may become its owner: it can take the triggers away"
        return
    if standing.owns_other:
        yield 13, f"owns {', '.join(standing.owns_other[:5])}"
    if standing.may_create:
        yield 15, "may make tables and functions in the schema public"
    if standing.may_make_temporary:
        yield 16, "may make temporary tables, which stand before the real ones for whoever uses the session next"
    if standing.may_skip_triggers:
        yield 17, "may set session_replication_role"


def _expected(connection: Any) -> dict[str, object]:
    expected: dict[str, object] = {}
    # It is asked for names and statements only; entering it would switch SQLite's foreign keys off.
    editor = connection.schema_editor(collect_sql=True)
    for model in apps.get_models(include_auto_created=True):
        options = model._meta  # noqa: SLF001 - Django's API
        for constraint in options.constraints:
            if not isinstance(constraint, TriggerConstraint) or not options.managed or options.proxy:
                continue
            if connection.vendor == "postgresql":
                for added, trigger in constraint.postgresql.items():
                    place = f"public.{options.db_table}"
                    calls = f"public.{trigger.function}"
                    expected[constraint.name + added] = (place, "A", trigger.kind, calls, True)
            else:
                for name, statement in constraint.statements(model, editor).items():
                    expected[name] = _squeezed(str(statement))
    return expected


def _postgresql_triggers(connection: Any) -> dict[str, object]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.tgname, tn.nspname || '.' || c.relname, t.tgenabled::text, t.tgtype, "
            "pn.nspname || '.' || p.proname, t.tgqual IS NULL AND t.tgattr = ''::int2vector "
            "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace tn ON tn.oid = c.relnamespace "
            "JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace pn ON pn.oid = p.pronamespace "
            "WHERE NOT t.tgisinternal AND tn.nspname = 'public'"
        )
        return {name: tuple(rest) for name, *rest in cursor.fetchall()}


def _sqlite_triggers(connection: Any) -> dict[str, object]:
    return {name: _squeezed(sql) for name, sql in _sqlite_things(connection, "trigger").items()}


def _sqlite_things(connection: Any, kind: str) -> Mapping[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = %s AND sql IS NOT NULL", [kind])
        return dict(cursor.fetchall())


def _postgresql_errors(connection: Any) -> list[CheckMessage]:
    """A function with another body, and tables beside a guarded one through which its rows can be reached."""
    errors: list[CheckMessage] = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.proname, p.prosrc, l.lanname = 'plpgsql' AND p.proconfig IS NULL AND NOT p.prosecdef "
            "FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang "
            "WHERE n.nspname = 'public' AND p.proname = ANY(%s)",
            [list(POSTGRESQL_BODIES)],
        )
        found = {name: (body, is_plain) for name, body, is_plain in cursor.fetchall()}
        for name, body in POSTGRESQL_BODIES.items():
            if found.get(name) != (body, True):
                errors.append(Error(f"The function {name} is missing or was changed.", id="audit.E005"))
        # A statement on a partition or an inheriting table does not set off its parent's triggers.
        tables = [model._meta.db_table for model in guarded_models()]  # noqa: SLF001 - Django's API
        cursor.execute(
            "SELECT i.inhrelid::regclass::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent "
            "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relname = ANY(%s)",
            [[*tables, "audit_entry"]],
        )
        errors += [
            Error(f"The table {table} inherits from a guarded one, and has no guard.", id="audit.E008")
            for (table,) in cursor.fetchall()
        ]
    return errors


def _sqlite_errors(connection: Any) -> list[CheckMessage]:
    """The two small tables that the marker stands on, and a marker that was left there."""
    tables = _sqlite_things(connection, "table")
    for name, command in SQLITE_TABLES.items():
        if _squeezed(tables.get(name, "")) != _squeezed(command):
            return [Error(f"The table {name} is missing or was changed.", id="audit.E005")]
    with connection.cursor() as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM audit_open) + (SELECT count(*) FROM audit_never)")
        if cursor.fetchone()[0]:
            return [Error("A marker was left, or can be: the guard stands open.", id="audit.E006")]
        cursor.execute("PRAGMA foreign_keys")
        if not cursor.fetchone()[0]:
            return [Error("Foreign keys are off: a marker could be left in audit_open.", id="audit.E007")]
    return []


def _squeezed(sql: str) -> str:
    return " ".join(sql.replace('"', "").split())
