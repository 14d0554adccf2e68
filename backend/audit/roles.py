"""Who may do what in the database: three roles beside the owner, and for each table the least that each needs.

The owner owns every table and runs the migrations; `app` serves; `sequencer` writes the log's tree; `dpo` reads the log
to verify it alone. PostgreSQL only: SQLite has no roles. The triggers refuse what nobody may do; these rights also keep
whoever took over a serving process from taking the triggers away.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, models

from backend.audit.guard import AppendOnly, Guarded

SEQUENCER_ALIAS: Final = "sequencer"
SCHEMA: Final = "public"
SUPERUSER: Final = "SUPERUSER"


class Role(StrEnum):
    """What a connection is for."""

    APP = "app"
    SEQUENCER = "sequencer"
    DPO = "dpo"


class Privilege(StrEnum):
    """What PostgreSQL lets a role do with a table that we ever grant."""

    SELECT = "SELECT"
    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


@dataclass(frozen=True, slots=True)
class Right:
    """One privilege on one table; with columns, on those alone."""

    privilege: Privilege
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoleNames:
    """The names of the roles in one database. Without a sequencer of its own, the app writes the tree."""

    app: str
    sequencer: str | None = None
    dpo: str | None = None

    def given(self) -> dict[Role, str]:
        """The roles that were named."""
        named = {Role.APP: self.app, Role.SEQUENCER: self.sequencer, Role.DPO: self.dpo}
        return {role: name for role, name in named.items() if name}


class UnplacedTable(LookupError):
    """A table that no rule places: say in backend/audit/roles.py who may do what with it."""


# ------------------------------------------------------------------------------------------------------- the rules

Rights = Mapping[Role, tuple[Right, ...]]

READ: Final = (Right(Privilege.SELECT),)
CHANGE: Final = (*READ, Right(Privilege.INSERT), Right(Privilege.UPDATE))

# What recording.py writes of an entry. Its number, transaction and epoch are the database's to say.
ENTRY_COLUMNS: Final = ("log_id", "id", "ts", "leaf", "wmac")
KEYS: Final = frozenset({"audit_clinic_key", "audit_data_key"})
TREE: Final = frozenset({"audit_leaf", "audit_node", "audit_checkpoint", "audit_part", "audit_refused_entry"})

# Rows of ours that code deletes, all of them as part of an ordinary action. (An architecture test knows the places.)
DELETED_FROM: Final[Mapping[str, str]] = {
    "consent_state": "rebuilding takes away a state that no event stands behind",
    "api_idempotency_key": "an answer is remembered for a day, and a failed attempt not at all",
    "messaging_template_draft": "a draft goes when it is published, or thrown away",
    "patients_suppression": "an address comes off the suppression list by its owner's new consent, or by the officer",
}
# No guard, and still the app's: each with its reason.
UNGUARDED: Final[Mapping[str, str]] = {
    "api_idempotency_key": "what was answered to a request, not data about anybody",
}
# Django's own, which no code of ours reads: only `migrate`, as the owner, writes there.
UNUSED: Final = frozenset({"django_content_type", "auth_permission", "auth_group", "auth_group_permissions"})
# Whoever starts asks whether the database is up to date.
WITHOUT_MODEL: Final[Mapping[str, Rights]] = {"django_migrations": {Role.APP: READ, Role.SEQUENCER: READ}}


def rights_on(model: type[models.Model], *, app_sequences: bool) -> Rights:
    """What each role needs of a model's table. Raises UnplacedTable."""
    options = model._meta  # noqa: SLF001 - Django's own API
    table = options.db_table
    if options.app_label == "audit":
        return _rights_on_the_log(model, app_sequences=app_sequences)
    if table in UNUSED:
        return {}
    if not issubclass(model, Guarded) and table not in UNGUARDED:
        raise UnplacedTable(table)
    if any(isinstance(constraint, AppendOnly) for constraint in options.constraints):
        return {Role.APP: _add(model)}
    deleted = (Right(Privilege.DELETE),) if table in DELETED_FROM else ()
    return {Role.APP: (*CHANGE, *deleted)}


def _rights_on_the_log(model: type[models.Model], *, app_sequences: bool) -> Rights:
    """The log and the keys are placed one by one: a new table there is nobody's until somebody thought about it."""
    table = model._meta.db_table  # noqa: SLF001 - Django's own API
    if table == "audit_entry":
        write = (*READ, Right(Privilege.INSERT, ENTRY_COLUMNS))
        return {Role.APP: write, Role.SEQUENCER: write, Role.DPO: READ}
    if table == "audit_log":
        return {Role.APP: _add(model), Role.SEQUENCER: _add(model), Role.DPO: READ}
    if table in TREE:
        return {Role.APP: _add(model) if app_sequences else READ, Role.SEQUENCER: _add(model), Role.DPO: READ}
    if table in KEYS:
        # No key is ever deleted: destroyed, its row stays as a tombstone. The sequencer opens the keys it signs with.
        return {Role.APP: CHANGE, Role.SEQUENCER: READ}
    if table == "audit_anchor":
        return {Role.APP: _add(model)}
    raise UnplacedTable(table)


def _add(model: type[models.Model]) -> tuple[Right, ...]:
    """Read and add; a number that the database counts is not for whoever adds to choose."""
    fields = model._meta.local_concrete_fields  # noqa: SLF001 - Django's own API
    chosen = tuple(str(field.column) for field in fields if not isinstance(field, models.AutoField) and field.column)
    counted = any(isinstance(field, models.AutoField) for field in fields)
    return (*READ, Right(Privilege.INSERT, chosen if counted else ()))


def all_rights(*, app_sequences: bool) -> dict[str, Rights]:
    """What each role needs of each table, by the name of the table. Raises UnplacedTable."""
    tables: dict[str, Rights] = {
        model._meta.db_table: rights_on(model, app_sequences=app_sequences)  # noqa: SLF001 - Django's own API
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy  # noqa: SLF001 - Django's own API
    }
    return dict(sorted({**tables, **WITHOUT_MODEL}.items()))


def has_sequencer_alias() -> bool:
    """Has the sequencer a connection of its own?"""
    return SEQUENCER_ALIAS in settings.DATABASES


def sequencer_alias() -> str:
    """The connection that writes the log's tree: the sequencer's own, where there is one."""
    return SEQUENCER_ALIAS if has_sequencer_alias() else DEFAULT_DB_ALIAS


# ------------------------------------------------------------------------------------------------- what is there now


@dataclass(frozen=True, slots=True, order=True)
class Held:
    """One privilege that a role has, or may take: on a column, on a whole table, on a sequence."""

    relation: str
    privilege: str
    column: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the connected role is, beside its rights on tables."""

    name: str
    powers: tuple[str, ...]
    owns_log: bool
    owns_other: tuple[str, ...]
    may_create: bool
    may_make_temporary: bool
    may_skip_triggers: bool


# Everything that a role is, or can become by SET ROLE.
_REACHABLE: Final = "(SELECT oid, rolname FROM pg_roles WHERE pg_has_role(%(role)s::name, oid, 'MEMBER'))"
# The owner's relations in our schema; an extension's own are not ours to judge.
_RELATIONS: Final = (
    "(SELECT c.oid, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relowner = "
    "(SELECT relowner FROM pg_class WHERE oid = 'public.audit_entry'::regclass) AND NOT EXISTS "
    "(SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'))"
)
# Each of these ends in all rights: by making oneself a member, by reading the files, by copying the whole server.
_POWERS: Final = (
    "SELECT DISTINCT p.power FROM pg_roles r CROSS JOIN LATERAL (VALUES ('SUPERUSER', r.rolsuper), "
    "('CREATEROLE', r.rolcreaterole), ('REPLICATION', r.rolreplication), (r.rolname::text, r.rolname IN "
    "('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'))) p (power, has) "
    "WHERE p.has AND pg_has_role(%(role)s::name, r.oid, 'MEMBER') ORDER BY 1"
)


def standing_of(connection: Any, role: str) -> Standing:
    """What a role is; what it is a member of counts as what it is, since SET ROLE makes it so."""
    with connection.cursor() as cursor:
        cursor.execute(_POWERS, {"role": role})
        powers = tuple(power for (power,) in cursor.fetchall())
        if SUPERUSER in powers:
            # All the others follow from it.
            powers = (SUPERUSER,)
        cursor.execute(
            f"SELECT relname FROM pg_class c, {_REACHABLE} r WHERE c.relowner = r.oid AND c.relkind <> 'i' "  # noqa: S608 - our own words
            "AND c.relnamespace = 'public'::regnamespace ORDER BY 1",
            {"role": role},
        )
        owned = tuple(name for (name,) in cursor.fetchall())
        cursor.execute(
            "SELECT bool_or(has_schema_privilege(r.oid, 'public', 'CREATE')), "  # noqa: S608 - our own words
            "bool_or(has_database_privilege(r.oid, current_database(), 'TEMPORARY')), "
            "bool_or(has_parameter_privilege(r.oid, 'session_replication_role', 'SET')) "
            f"FROM {_REACHABLE} r",
            {"role": role},
        )
        may_create, may_make_temporary, may_skip_triggers = cursor.fetchone()
    return Standing(
        name=role,
        powers=powers,
        owns_log="audit_entry" in owned,
        owns_other=tuple(name for name in owned if name != "audit_entry"),
        may_create=may_create,
        may_make_temporary=may_make_temporary,
        may_skip_triggers=may_skip_triggers,
    )


def held_by(connection: Any, role: str) -> set[Held]:
    """Every privilege on the owner's tables and sequences that a role has, inherits, or may take by SET ROLE."""
    by_column = (
        f"SELECT t.relname, p.privilege, a.attname::text FROM {_RELATIONS} t "  # noqa: S608 - our own words
        "JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped AND t.relkind <> 'S' "
        "CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('REFERENCES')) p (privilege) WHERE EXISTS "
        f"(SELECT FROM {_REACHABLE} r WHERE has_column_privilege(r.oid, t.oid, a.attnum, p.privilege))"
    )
    by_table = (
        f"SELECT t.relname, p.privilege, '' FROM {_RELATIONS} t "  # noqa: S608 - our own words
        "CROSS JOIN (VALUES ('DELETE'), ('TRUNCATE'), ('TRIGGER')) p (privilege) WHERE t.relkind <> 'S' AND EXISTS "
        f"(SELECT FROM {_REACHABLE} r WHERE has_table_privilege(r.oid, t.oid, p.privilege))"
    )
    by_sequence = (
        f"SELECT t.relname, p.privilege, '' FROM {_RELATIONS} t "  # noqa: S608 - our own words
        # A CASE, since PostgreSQL may ask about the privilege before it has sorted out what is no sequence.
        "CROSS JOIN (VALUES ('USAGE'), ('UPDATE')) p (privilege) WHERE CASE WHEN t.relkind = 'S' THEN EXISTS "
        f"(SELECT FROM {_REACHABLE} r WHERE has_sequence_privilege(r.oid, t.oid, p.privilege)) ELSE false END"
    )
    with connection.cursor() as cursor:
        cursor.execute(f"{by_column} UNION ALL {by_table} UNION ALL {by_sequence}", {"role": role})
        return {Held(*row) for row in cursor.fetchall()}


def owner_of_log(connection: Any) -> str:
    """The role that owns the entries; every table of ours is expected to be its."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'public.audit_entry'::regclass")
        return str(cursor.fetchone()[0])


def may_migrate(connection: Any) -> bool:
    """May this connection change the tables? On PostgreSQL as their owner, or as whoever makes the first one."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce((SELECT pg_has_role(relowner, 'USAGE') FROM pg_class "
            "WHERE oid = to_regclass('public.audit_entry')), has_schema_privilege('public', 'CREATE'))"
        )
        return bool(cursor.fetchone()[0])


def is_same_database(one: Any, other: Any) -> bool:
    """Do two connections reach the same database of the same server, by whatever address?"""
    told = []
    for connection in (one, other):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT oid, pg_postmaster_start_time()::text FROM pg_database WHERE datname = current_database()"
            )
            told.append(cursor.fetchone())
    return bool(told[0] == told[1])


def others_with_rights(connection: Any, names: Iterable[str]) -> list[str]:
    """Roles that were granted something on the owner's tables by other means, as an operator's backup role may be."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT r.rolname FROM pg_class c CROSS JOIN aclexplode(c.relacl) g "  # noqa: S608 - our own words
            f"JOIN pg_roles r ON r.oid = g.grantee JOIN {_RELATIONS} t ON t.oid = c.oid "
            "WHERE g.grantee <> c.relowner AND NOT r.rolname = ANY(%s) ORDER BY 1",
            [list(names)],
        )
        return [name for (name,) in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Difference:
    """How what a role has differs from what it needs."""

    too_much: tuple[Held, ...]
    too_little: tuple[Held, ...]


def difference(connection: Any, role: str, needs: Role, *, app_sequences: bool) -> Difference:
    """Compare what a role has with what the rules say; a column that the models do not know follows its table."""
    held = held_by(connection, role)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid "
            "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND attnum > 0 AND NOT attisdropped"
        )
        columns: dict[str, list[str]] = defaultdict(list)
        for table, column in cursor.fetchall():
            columns[table].append(column)
    needed = {
        Held(table, right.privilege, column)
        for table, rights in all_rights(app_sequences=app_sequences).items()
        for right in rights.get(needs, ())
        for column in ([""] if right.privilege is Privilege.DELETE else right.columns or columns[table])
    }
    return Difference(too_much=tuple(sorted(held - needed)), too_little=tuple(sorted(needed - held)))


def summed_up(rights: Iterable[Held], *, tables: int = 5) -> str:
    """A few words for a person: the tables with the privileges on each, at most `tables` of them by name."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for right in rights:
        found[right.relation][right.privilege].append(right.column)
    said = [f"{relation} ({', '.join(sorted(privileges))})" for relation, privileges in sorted(found.items())[:tables]]
    more = len(found) - len(said)
    return ", ".join(said) + (f" and {more} more" if more > 0 else "")


# ------------------------------------------------------------------------------------------------------- the commands


def creation(names: Iterable[str]) -> Iterator[str]:
    """Makes roles that can do nothing yet, and that nobody can sign in as before a password is given."""
    for name in names:
        yield f"CREATE ROLE {quoted(name)} NOLOGIN"


def revocation(connection: Any, names: Iterable[str]) -> Iterator[str]:
    """Takes everything away from these roles and from everybody (PUBLIC), so that the grants stand alone."""
    owner = owner_of_log(connection)
    roles = ", ".join(map(quoted, names))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT relname, relkind = 'S' FROM {_RELATIONS} t ORDER BY 1")  # noqa: S608 - our own words
        found = cursor.fetchall()
        cursor.execute(
            "SELECT rolname FROM pg_roles JOIN pg_class ON relowner = pg_roles.oid WHERE relname = %s "
            "AND relnamespace = 'public'::regnamespace",
            ["audit_entry"],
        )
        (owner,) = cursor.fetchone()
        cursor.execute(
            "SELECT current_database(), pg_has_role(d.datdba, 'USAGE'), pg_has_role(n.nspowner, 'USAGE') "
            "FROM pg_database d, pg_namespace n WHERE d.datname = current_database() AND n.nspname = 'public'"
        )
        database, is_of_database, is_of_schema = cursor.fetchone()
    for kind, is_sequence in (("TABLE", False), ("SEQUENCE", True)):
        relations = ", ".join(f"{SCHEMA}.{quoted(name)}" for name, sequence in found if sequence is is_sequence)
        if relations:
            yield f"REVOKE ALL ON {kind} {relations} FROM PUBLIC, {roles}"
        for place in ("", f" IN SCHEMA {SCHEMA}"):
            yield f"ALTER DEFAULT PRIVILEGES FOR ROLE {quoted(owner)}{place} REVOKE ALL ON {kind}S FROM PUBLIC, {roles}"
    if is_of_schema:
        yield f"REVOKE CREATE ON SCHEMA {SCHEMA} FROM PUBLIC, {roles}"
        yield f"GRANT USAGE ON SCHEMA {SCHEMA} TO {roles}"
    if is_of_database:
        # A table of one's own in pg_temp stands before the real one of that name for whoever uses the session next.
        yield f"REVOKE TEMPORARY ON DATABASE {quoted(database)} FROM PUBLIC, {roles}"
        yield f"GRANT CONNECT ON DATABASE {quoted(database)} TO {roles}"


def grants(names: RoleNames) -> Iterator[str]:
    """Gives each role what it needs, table by table. Raises UnplacedTable."""
    given = names.given()
    for table, rights in all_rights(app_sequences=names.sequencer is None).items():
        for role, name in given.items():
            if wanted := rights.get(role):
                said = ", ".join(
                    f"{right.privilege} ({', '.join(map(quoted, right.columns))})" if right.columns else right.privilege
                    for right in wanted
                )
                yield f"GRANT {said} ON TABLE {SCHEMA}.{quoted(table)} TO {quoted(name)}"


def quoted(name: str) -> str:
    """A name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'
