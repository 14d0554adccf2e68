"""`with record(...)`: the only way to change anything. The entry is written first, then what it announces."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, Final
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from backend.audit.actions import Action
from backend.audit.actors import Actor, ActorKind
from backend.audit.guard import SETTING
from backend.audit.leaf import Canonical, seal_parts, write_header
from backend.audit.models import AuditLog
from backend.vault.ciphers import mac
from backend.vault.identifiers import new_id
from backend.vault.keyring import SYSTEM, DataKey, KeyUnavailable, Scope, keyring

request_id: ContextVar[str] = ContextVar("request_id", default="")

ROWS_PER_STATEMENT: Final = 500


class MarkLeftOpen(Exception):
    """SQLite holds a marker although no recording is open: the file was changed by other means. Nothing is written."""


class EntryLost(Exception):
    """A block ended the transaction of its own recording: its entry is gone, and so may be what it wrote."""


class Outcome(StrEnum):
    """How an action ended."""

    OK = "ok"
    DENIED = "denied"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One entry to be written. `about`: the patients concerned, each of whom gets a part under a key of their own."""

    action: Action
    clinic_id: UUID
    about: tuple[UUID, ...] = ()
    details: Mapping[str, object] = field(default_factory=dict)
    outcome: Outcome = Outcome.OK


class _Standing:
    """Whether what a transaction wrote stands: it was committed, or nothing took it back so far."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._is_committed = False
        # Django drops the hook together with the savepoint or transaction in which it was placed.
        connection.on_commit(self._commit)

    def __bool__(self) -> bool:
        if self._is_committed:
            return True
        hooks = (hook[1] for hook in self._connection.run_on_commit)
        return not self._connection.needs_rollback and self._commit in hooks

    def _commit(self) -> None:
        self._is_committed = True


@dataclass(eq=False, slots=True)
class Entry:
    """What `record` hands out: the proof that an action, or a look at sealed data, is on record.

    It is good after its block, too, once it was committed; not when any transaction around it was rolled back.
    """

    id: UUID
    clinic_ids: frozenset[UUID]
    subjects: frozenset[UUID]
    whole_clinic: bool
    rolled_back: bool = False
    _standing: _Standing | None = field(default=None, repr=False)

    def covers(self, *, clinic_id: UUID, subject_id: UUID | None) -> bool:
        """Does this entry say that this patient's data (None: the clinic's own) is looked at?"""
        if self.rolled_back or not self._standing or clinic_id not in self.clinic_ids:
            return False
        return subject_id is None or self.whole_clinic or subject_id in self.subjects


def record(
    action: Action,
    *,
    by: Actor,
    now: datetime,
    clinic_id: UUID,
    about: UUID | Iterable[UUID] = (),
    whole_clinic: bool = False,
    outcome: Outcome = Outcome.OK,
    durable: bool = False,
    using: str = DEFAULT_DB_ALIAS,
    **details: object,
) -> AbstractContextManager[Entry]:
    """Record one action and open what it may do: guarded writes, and looking at the sealed data of those concerned.

    `whole_clinic` says that the data of every patient of the clinic is looked at. `durable` refuses to run inside an
    outer transaction. Raises DetailRefused, KeyUnavailable, MarkLeftOpen, EntryLost; whatever the block raises rolls
    the entry back with it.
    """
    subjects = (about,) if isinstance(about, UUID) else tuple(about)
    draft = Draft(action=action, clinic_id=clinic_id, about=subjects, details=details, outcome=outcome)
    return record_many([draft], by=by, now=now, whole_clinic=whole_clinic, durable=durable, using=using)


@contextmanager
def record_many(
    drafts: Sequence[Draft],
    *,
    by: Actor,
    now: datetime,
    whole_clinic: bool = False,
    durable: bool = False,
    using: str = DEFAULT_DB_ALIAS,
) -> Iterator[Entry]:
    """Record a batch of actions in one transaction. The entry that is handed out covers all of them."""
    if not drafts:
        raise ValueError("There is nothing to record.")
    connection = connections[using]
    with transaction.atomic(using=using, durable=durable):
        mark = _PostgresqlMark(connection) if connection.vendor == "postgresql" else _SqliteMark(connection)
        rows = _written(mark, drafts, by=by, now=now, using=using)
        entry = Entry(
            id=rows[0].id,
            clinic_ids=frozenset([draft.clinic_id for draft in drafts]),
            subjects=frozenset([subject for draft in drafts for subject in draft.about]),
            whole_clinic=whole_clinic,
            _standing=_Standing(connection),
        )
        try:
            yield entry
        except BaseException:
            # Nothing to undo: the savepoint takes entry, mark and writes back together.
            entry.rolled_back = True
            mark.forget()
            raise
        if connection.needs_rollback:
            entry.rolled_back = True
            mark.forget()
        else:
            mark.restore()


def record_refusal(*, by: Actor, now: datetime, clinic_id: UUID, reason: str, request: str, about: UUID | None) -> None:
    """Record, in a transaction of its own, that something was asked for and refused."""
    subjects = () if about is None else (about,)
    with record(
        Action.ACCESS_REFUSED,
        by=by,
        now=now,
        clinic_id=clinic_id,
        about=subjects,
        outcome=Outcome.DENIED,
        reason=reason,
        request=request,
    ):
        pass


@dataclass(frozen=True, slots=True)
class _Row:
    log_id: int
    id: UUID
    ts: int
    leaf: bytes
    wmac: bytes


def _written(
    mark: "_PostgresqlMark | _SqliteMark", drafts: Sequence[Draft], *, by: Actor, now: datetime, using: str
) -> list[_Row]:
    """Seal and insert the entries, and mark the transaction."""
    keys = _audit_keys(drafts, from_memory=True)
    rows = _sealed(drafts, keys.found, by=by, now=now, using=using)
    if not mark.insert_and_set(rows, only_if_living=keys.from_memory):
        # Somebody destroyed a key since this process last saw it: look again, as if none had been remembered.
        keyring().forget(keys.from_memory)
        keys = _audit_keys(drafts, from_memory=False)
        rows = _sealed(drafts, keys.found, by=by, now=now, using=using)
        mark.insert_and_set(rows, only_if_living=())
    return rows


def _sealed(
    drafts: Sequence[Draft], keys: Sequence[Sequence[DataKey]], *, by: Actor, now: datetime, using: str
) -> list[_Row]:
    writer = keyring().current(clinic_id=SYSTEM, scope=_WRITER).secret
    moment, actor, request = microseconds(now), by.header, request_id.get()
    numbers = {clinic_id: log_number(clinic_id, using=using) for clinic_id in {draft.clinic_id for draft in drafts}}
    rows = []
    for draft, draft_keys in zip(drafts, keys, strict=True):
        entry_id, spec = new_id(), draft.action.spec
        header = write_header(
            entry_id=entry_id,
            clinic_id=draft.clinic_id,
            action=spec.code,
            happens_to=spec.happens_to,
            outcome=draft.outcome,
            actor=actor,
            moment=moment,
            request=request,
        )
        leaf = seal_parts(header, _parts(draft, by, draft_keys))
        rows.append(_Row(numbers[draft.clinic_id], entry_id, moment, leaf, mac(writer, leaf)))
    return rows


_WRITER: Final = Scope.WRITER_MAC
_AUDIT: Final = Scope.AUDIT
_NAMED_INSIDE: Final = frozenset({ActorKind.PATIENT, ActorKind.REPRESENTATIVE})


@dataclass(frozen=True, slots=True)
class _AuditKeys:
    """For each draft the keys of those concerned; and of which of them it is only remembered that they lived."""

    found: list[list[DataKey]]
    from_memory: list[UUID]


def _audit_keys(drafts: Sequence[Draft], *, from_memory: bool) -> _AuditKeys:
    """Find them with one query for each clinic, or none at all where every key is at hand or remembered."""
    ring = keyring()
    found: dict[tuple[UUID, UUID], DataKey] = {}
    remembered: list[UUID] = []
    wanted: dict[UUID, set[UUID]] = {}
    for clinic_id, subject in {(draft.clinic_id, subject) for draft in drafts for subject in draft.about}:
        key = ring.at_hand(clinic_id=clinic_id, scope=_AUDIT, subject_id=subject)
        if key is None and from_memory:
            key = ring.remembered(clinic_id=clinic_id, scope=_AUDIT, subject_id=subject)
            if key is not None:
                remembered.append(key.key_id)
        if key is None:
            wanted.setdefault(clinic_id, set()).add(subject)
        else:
            found[clinic_id, subject] = key
    for clinic_id, subjects in wanted.items():
        for key in ring.current_of(clinic_id=clinic_id, scope=_AUDIT, subject_ids=subjects):
            if key.subject_id is not None:
                found[clinic_id, key.subject_id] = key
    try:
        keys = [[found[draft.clinic_id, subject] for subject in draft.about] for draft in drafts]
    except KeyError as error:
        raise KeyUnavailable from error
    return _AuditKeys(keys, remembered)


def _parts(draft: Draft, by: Actor, keys: Sequence[DataKey]) -> list[tuple[DataKey, dict[str, Canonical]]]:
    details: Any = draft.action.checked(draft.details)
    content: dict[str, Canonical] = {"d": details}
    if by.kind in _NAMED_INSIDE and by.id is not None:
        content["by"] = str(by.id)
    if not draft.about:
        return [(keyring().current(clinic_id=draft.clinic_id, scope=Scope.CLINIC), content)]
    return [(key, {**content, "s": str(key.subject_id)}) for key in keys]


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 in UTC, exactly. Raises ValueError for a time without a zone."""
    if moment.tzinfo is None:
        raise ValueError("A time needs its zone.")
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_log_numbers: dict[tuple[str, UUID], int] = {}


def log_number(clinic_id: UUID, *, using: str = DEFAULT_DB_ALIAS) -> int:
    """The number of a clinic's log, which is made when it is first needed."""
    known = _log_numbers.get((using, clinic_id))
    if known is not None:
        return known
    log, _made = AuditLog.objects.using(using).get_or_create(clinic_id=clinic_id)
    number = log.id
    transaction.on_commit(lambda: _log_numbers.__setitem__((using, clinic_id), number), using=using)
    return number


def forget_log_numbers() -> None:
    """Look the numbers of logs up again: after a restore, and between tests."""
    _log_numbers.clear()


_COLUMNS: Final = "audit_entry (log_id, id, ts, leaf, wmac)"
_LIVES: Final = "EXISTS (SELECT 1 FROM audit_data_key WHERE id = %s AND destroyed_at IS NULL)"
_SWAP: Final = f"current_setting('{SETTING}', true), set_config('{SETTING}', %s, true)"


@cache
def _insert_one(keys: int) -> str:
    """One entry, and none at all where one of so many keys was destroyed."""
    only = f" WHERE {' AND '.join([_LIVES] * keys)}" if keys else ""
    return f"INSERT INTO {_COLUMNS} SELECT %s, %s, %s, %s, %s{only}"


def _is_watched(connection: BaseDatabaseWrapper) -> bool:
    """Does somebody count or change the statements that Django sends?"""
    return connection.queries_logged or bool(connection.execute_wrappers)


def _all_live(cursor: CursorWrapper, keys: Sequence[Any]) -> bool:
    for start in range(0, len(keys), ROWS_PER_STATEMENT):
        piece = keys[start : start + ROWS_PER_STATEMENT]
        places = ",".join(["%s"] * len(piece))
        cursor.execute(
            f"SELECT count(*) FROM audit_data_key WHERE id IN ({places}) AND destroyed_at IS NULL",  # noqa: S608 - our own words
            piece,
        )
        if cursor.fetchone() != (len(piece),):
            return False
    return True


class _PostgresqlMark:
    """The transaction's own setting names the entry; the guard checks that this transaction inserted it."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._is_watched = _is_watched(connection)
        # The setting ends with the transaction; only inside another one is there something to go back to.
        self._is_nested = bool(connection.savepoint_ids)
        self._entry_id = self._before = ""

    def insert_and_set(self, rows: Sequence[_Row], *, only_if_living: Sequence[UUID]) -> bool:
        """False, and nothing done, where one of these keys was destroyed."""
        self._connection.validate_no_broken_transaction()
        self._entry_id = str(rows[0].id)
        if len(rows) == 1:
            row = rows[0]
            before = self._first_row(
                f"{_insert_one(len(only_if_living))} RETURNING {_SWAP}",
                [row.log_id, row.id, row.ts, row.leaf, row.wmac, *only_if_living, self._entry_id],
            )
            if before is None:
                return False
        else:
            with self._connection.cursor() as cursor:
                if not _all_live(cursor, only_if_living):
                    return False
                # Three times as fast as handing over arrays, which the driver would first write out as text.
                statement = f"COPY {_COLUMNS} FROM STDIN (FORMAT BINARY)"
                with self._connection.wrap_database_errors, cursor.copy(statement) as copy:
                    copy.set_types(["int4", "uuid", "int8", "bytea", "bytea"])
                    for row in rows:
                        copy.write_row((row.log_id, row.id, row.ts, row.leaf, row.wmac))
            before = self._first_row(f"SELECT {_SWAP}", [self._entry_id])
        self._before = (before[0] if before else "") or ""
        return True

    def restore(self) -> None:
        if not self._is_nested:
            return
        standing = self._first_row(f"SELECT {_SWAP}", [self._before])
        if not standing or standing[0] != self._entry_id:
            raise EntryLost

    def _first_row(self, statement: str, values: Sequence[Any]) -> tuple[Any, ...] | None:
        """Run a statement, and hand out the row it gives back.

        Prepared: the server takes longer to plan it than to carry it out. Django's cursor can not, so this goes to the
        driver, unless somebody listens.
        """
        connection = self._connection
        if self._is_watched:
            with connection.cursor() as watched:
                watched.execute(statement, values)
                heard: tuple[Any, ...] | None = watched.fetchone()
                return heard
        from psycopg import Cursor  # noqa: PLC0415 - slow to load, and SQLite never needs it

        with connection.wrap_database_errors, Cursor(connection.connection) as cursor:
            return cursor.execute(statement, values, prepare=True).fetchone()

    def forget(self) -> None:
        """The database takes the setting back."""


# The markers that each connection has open, innermost last.
_open_marks: WeakKeyDictionary[BaseDatabaseWrapper, list[str]] = WeakKeyDictionary()


class _SqliteMark:
    """A row that can not be committed: as long as it stands, this transaction may write, and no other sees it."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._is_watched = _is_watched(connection)
        self._open = _open_marks.setdefault(connection, [])
        self._entry_id = ""

    def insert_and_set(self, rows: Sequence[_Row], *, only_if_living: Sequence[UUID]) -> bool:
        """False, and nothing done, where one of these keys was destroyed."""
        self._connection.validate_no_broken_transaction()
        self._entry_id = rows[0].id.hex
        keys = [key_id.hex for key_id in only_if_living]
        if len(rows) == 1:
            row = rows[0]
            values = [row.log_id, self._entry_id, row.ts, row.leaf, row.wmac, *keys]
            if self._changed(_insert_one(len(keys)), values) != 1:
                return False
        else:
            with self._connection.cursor() as cursor:
                if not _all_live(cursor, keys):
                    return False
                cursor.executemany(
                    f"INSERT INTO {_COLUMNS} VALUES (%s, %s, %s, %s, %s)",  # noqa: S608 - our own words
                    [(row.log_id, row.id.hex, row.ts, row.leaf, row.wmac) for row in rows],
                )
        # Nobody else's marker may stand beside those that this connection has open.
        if self._changed(_open_mark(len(self._open)), [self._entry_id, *self._open]) != 1:
            raise MarkLeftOpen
        self._open.append(self._entry_id)
        return True

    def restore(self) -> None:
        self.forget()
        if self._changed("DELETE FROM audit_open WHERE entry_id = %s", [self._entry_id]) != 1:
            raise EntryLost

    def forget(self) -> None:
        """The database takes the row back; here it is struck off the list."""
        self._open.remove(self._entry_id)

    def _changed(self, statement: str, values: Sequence[Any]) -> int:
        """Run a statement, and tell how many rows it changed.

        Django's cursor costs more than these statements do, so they go to the driver, unless somebody listens.
        """
        connection = self._connection
        if self._is_watched:
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return int(cursor.rowcount)
        with connection.wrap_database_errors:
            return int(connection.connection.execute(statement.replace("%s", "?"), values).rowcount)


@cache
def _open_mark(already_open: int) -> str:
    places = ",".join(["%s"] * already_open)
    return (
        "INSERT INTO audit_open (entry_id) SELECT %s "  # noqa: S608 - our own words
        f"WHERE NOT EXISTS (SELECT 1 FROM audit_open WHERE entry_id NOT IN ({places}))"
    )
