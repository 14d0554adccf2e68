"""`with record(...)`: the only way to change anything. The entry is written first, then what it announces."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from backend.audit.actions import Action
from backend.audit.actors import Actor, ActorKind
from backend.audit.guard import SETTING
from backend.audit.leaf import KEY_SUITE, SCHEMA_VERSION, Canonical, seal_leaf
from backend.audit.models import AuditLog
from backend.vault.ciphers import mac
from backend.vault.identifiers import new_id
from backend.vault.keyring import SYSTEM, DataKey, Scope, keyring, keys_at_hand

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

    def __init__(self, using: str) -> None:
        self._connection = connections[using]
        self._is_committed = False
        # Django drops the hook together with the savepoint or transaction in which it was placed.
        transaction.on_commit(self._commit, using=using)

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


@contextmanager
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
) -> Iterator[Entry]:
    """Record one action and open what it may do: guarded writes, and looking at the sealed data of those concerned.

    `whole_clinic` says that the data of every patient of the clinic is looked at. `durable` refuses to run inside an
    outer transaction. Raises DetailRefused, KeyUnavailable, MarkLeftOpen, EntryLost; whatever the block raises rolls
    the entry back with it.
    """
    subjects = (about,) if isinstance(about, UUID) else tuple(about)
    draft = Draft(action=action, clinic_id=clinic_id, about=subjects, details=details, outcome=outcome)
    with record_many([draft], by=by, now=now, whole_clinic=whole_clinic, durable=durable, using=using) as entry:
        yield entry


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
        rows = _sealed(drafts, by=by, now=now, using=using)
        entry = Entry(
            id=rows[0].id,
            clinic_ids=frozenset(draft.clinic_id for draft in drafts),
            subjects=frozenset(subject for draft in drafts for subject in draft.about),
            whole_clinic=whole_clinic,
            _standing=_Standing(using),
        )
        mark = _PostgresqlMark(connection) if connection.vendor == "postgresql" else _SqliteMark(connection)
        mark.insert_and_set(rows)
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


def _sealed(drafts: Sequence[Draft], *, by: Actor, now: datetime, using: str) -> list[_Row]:
    ring = keyring()
    writer = ring.current(clinic_id=SYSTEM, scope=Scope.WRITER_MAC)
    moment = microseconds(now)
    numbers = {clinic_id: log_number(clinic_id, using=using) for clinic_id in {draft.clinic_id for draft in drafts}}
    rows = []
    with keys_at_hand(_missing_audit_keys(drafts)):
        for draft in drafts:
            entry_id = new_id()
            leaf = seal_leaf(_header(entry_id, draft, by, moment), _parts(draft, by))
            rows.append(_Row(numbers[draft.clinic_id], entry_id, moment, leaf, mac(writer.secret, leaf)))
    return rows


def _missing_audit_keys(drafts: Sequence[Draft]) -> list[DataKey]:
    """The keys of all those concerned that are not at hand yet, with one query for each clinic."""
    ring = keyring()
    wanted: dict[UUID, set[UUID]] = {}
    for draft in drafts:
        for subject in draft.about:
            if not ring.is_at_hand(clinic_id=draft.clinic_id, scope=Scope.AUDIT, subject_id=subject):
                wanted.setdefault(draft.clinic_id, set()).add(subject)
    return [
        key
        for clinic_id, subjects in wanted.items()
        for key in ring.current_of(clinic_id=clinic_id, scope=Scope.AUDIT, subject_ids=subjects)
    ]


def _header(entry_id: UUID, draft: Draft, by: Actor, moment: int) -> dict[str, Canonical]:
    header: dict[str, Canonical] = {
        "v": SCHEMA_VERSION,
        "id": str(entry_id),
        "t": moment,
        "tn": str(draft.clinic_id),
        "a": draft.action.spec.code,
        "o": draft.outcome.value,
        "ac": by.header,
        "ot": draft.action.spec.happens_to,
        "ks": KEY_SUITE,
    }
    if cid := request_id.get():
        header["cid"] = cid
    return header


def _parts(draft: Draft, by: Actor) -> list[tuple[DataKey, dict[str, Canonical]]]:
    details: Any = draft.action.checked(draft.details)
    content: dict[str, Canonical] = {"d": details}
    if by.kind in {ActorKind.PATIENT, ActorKind.REPRESENTATIVE} and by.id is not None:
        content["by"] = str(by.id)
    ring = keyring()
    if not draft.about:
        return [(ring.current(clinic_id=draft.clinic_id, scope=Scope.CLINIC), content)]
    return [
        (
            ring.current(clinic_id=draft.clinic_id, scope=Scope.AUDIT, subject_id=subject),
            {**content, "s": str(subject)},
        )
        for subject in draft.about
    ]


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


class _PostgresqlMark:
    """The transaction's own setting names the entry; the guard checks that this transaction inserted it."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        # The setting ends with the transaction; only inside another one is there something to go back to.
        self._is_nested = bool(connection.savepoint_ids)
        self._entry_id = self._before = ""

    def insert_and_set(self, rows: Sequence[_Row]) -> None:
        self._entry_id = str(rows[0].id)
        columns = "audit_entry (log_id, id, ts, leaf, wmac)"
        swap = f"current_setting('{SETTING}', true), set_config('{SETTING}', %s, true)"
        with self._connection.cursor() as cursor:
            if len(rows) == 1:
                row = rows[0]
                cursor.execute(
                    f"INSERT INTO {columns} VALUES (%s, %s, %s, %s, %s) RETURNING {swap}",  # noqa: S608 - our own words
                    [row.log_id, row.id, row.ts, row.leaf, row.wmac, self._entry_id],
                )
            else:
                for start in range(0, len(rows), ROWS_PER_STATEMENT):
                    piece = rows[start : start + ROWS_PER_STATEMENT]
                    cursor.execute(
                        f"INSERT INTO {columns} "  # noqa: S608 - our own words
                        "SELECT * FROM unnest(%s::int[], %s::uuid[], %s::bigint[], %s::bytea[], %s::bytea[])",
                        [
                            [row.log_id for row in piece],
                            [row.id for row in piece],
                            [row.ts for row in piece],
                            [row.leaf for row in piece],
                            [row.wmac for row in piece],
                        ],
                    )
                cursor.execute(f"SELECT {swap}", [self._entry_id])
            before = cursor.fetchone()
            self._before = (before[0] if before else "") or ""

    def restore(self) -> None:
        if not self._is_nested:
            return
        with self._connection.cursor() as cursor:
            cursor.execute(
                f"SELECT current_setting('{SETTING}', true), set_config('{SETTING}', %s, true)", [self._before]
            )
            standing = cursor.fetchone()
            if not standing or standing[0] != self._entry_id:
                raise EntryLost

    def forget(self) -> None:
        """The database takes the setting back."""


# The markers that each connection has open, innermost last.
_open_marks: WeakKeyDictionary[BaseDatabaseWrapper, list[str]] = WeakKeyDictionary()


class _SqliteMark:
    """A row that can not be committed: as long as it stands, this transaction may write, and no other sees it."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._open = _open_marks.setdefault(connection, [])
        self._entry_id = ""

    def insert_and_set(self, rows: Sequence[_Row]) -> None:
        self._entry_id = rows[0].id.hex
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT entry_id FROM audit_open")
            if not {entry_id for (entry_id,) in cursor.fetchall()} <= set(self._open):
                raise MarkLeftOpen
            cursor.executemany(
                "INSERT INTO audit_entry (log_id, id, ts, leaf, wmac) VALUES (%s, %s, %s, %s, %s)",
                [(row.log_id, row.id.hex, row.ts, row.leaf, row.wmac) for row in rows],
            )
            cursor.execute("INSERT INTO audit_open (entry_id) VALUES (%s)", [self._entry_id])
        self._open.append(self._entry_id)

    def restore(self) -> None:
        self.forget()
        with self._connection.cursor() as cursor:
            cursor.execute("DELETE FROM audit_open WHERE entry_id = %s", [self._entry_id])
            if cursor.rowcount != 1:
                raise EntryLost

    def forget(self) -> None:
        """The database takes the row back; here it is struck off the list."""
        self._open.remove(self._entry_id)
