"""The sequencer: gives every committed entry its place in its log's tree, and signs what the log has become.

Writers insert entries and lock nothing that they share. One sequencer at a time (an advisory lock; two places for one
leaf would be refused by the primary key) takes up what was committed, in the order of transactions: on PostgreSQL those
below the oldest one of this database that still runs, so that none that commits late is passed over; on SQLite, where
one writes at a time, in the order of rows. How far it came is told by the last leaves: there is no state to lose.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Exists, OuterRef
from django.db.transaction import TransactionManagementError

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.genuine import MOVED, REPLAYED, NotGenuine, genuine_entry, stored_bytes, stored_id
from backend.audit.growing import GrowingLog, alarm, grow, remember, sign
from backend.audit.models import AuditEntry, AuditLeaf, AuditLog, AuditRefusedEntry
from backend.audit.recording import record
from backend.audit.roles import sequencer_alias
from backend.errors import DomainError
from backend.vault.keyring import SYSTEM, Scope, keyring

AT_ONCE: Final = 5_000
LOOKED_UP_AT_ONCE: Final = 1_000
LOCK: Final = 0x4163636F7264  # "Accord"
PAUSE_SECONDS: Final = 0.05
WAIT_SECONDS: Final = 10.0


class NotSequenced(DomainError):
    """An entry did not get its place in the log in time: nobody sequences, or a transaction has been open for long."""

    code = "log_not_at_rest"
    sentence = "The log did not come to rest in time: try again in a moment."
    status = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round did. `is_busy`: another sequencer was at it; `is_complete`: nothing more was waiting."""

    sequenced: int = 0
    refused: int = 0
    is_busy: bool = False
    is_complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an entry stands: which log, which leaf, and the smallest signed size that holds it."""

    log_id: int
    index: int
    size: int


def sequence_entries(*, now: datetime, using: str | None = None, at_most: int = AT_ONCE) -> Round:
    """Give the entries that wait their place, and sign. Raises LogInconsistent, and then nothing was written."""
    alias = using or sequencer_alias()
    with transaction.atomic(using=alias):
        connection = connections[alias]
        if not _is_alone(connection):
            return Round(is_busy=True)
        rows = _waiting(connection, at_most)
        return _place(rows, now=now, using=alias, is_complete=len(rows) < at_most)


def sequence_leftovers(*, now: datetime, using: str | None = None, at_most: int = AT_ONCE) -> Round:
    """Place committed entries that the order of transactions passed over, as a restored database can have them."""
    alias = using or sequencer_alias()
    with transaction.atomic(using=alias):
        connection = connections[alias]
        if not _is_alone(connection):
            return Round(is_busy=True)
        rows = _passed_over(connection, at_most)
        return _place(rows, now=now, using=alias, is_complete=len(rows) < at_most)


def sequence_all(*, now: datetime, using: str | None = None) -> Round:
    """Rounds until nothing waits; what all of them did."""
    sequenced = refused = 0
    while True:
        done = sequence_entries(now=now, using=using)
        sequenced, refused = sequenced + done.sequenced, refused + done.refused
        if done.is_busy or done.is_complete:
            return Round(sequenced=sequenced, refused=refused, is_busy=done.is_busy, is_complete=done.is_complete)


def require_inclusion(
    entry_id: UUID, *, now: datetime, using: str = DEFAULT_DB_ALIAS, seconds: float = WAIT_SECONDS
) -> Place:
    """Wait until an entry has its place in a signed log; where nobody else sequences, do it.

    After its transaction was committed only. Raises NotSequenced after `seconds`, TransactionManagementError inside a
    transaction, LogInconsistent.
    """
    connection = connections[using]
    if connection.in_atomic_block and connection.vendor == "postgresql":
        raise TransactionManagementError("An entry can be in the log only once it was committed.")
    until = time.monotonic() + seconds
    while True:
        place = find_place(entry_id, using=using)
        if place is not None:
            return place
        done = sequence_entries(now=now)
        if not done.sequenced:
            if time.monotonic() > until:
                raise NotSequenced
            time.sleep(PAUSE_SECONDS)


def find_place(entry_id: UUID, *, using: str = DEFAULT_DB_ALIAS) -> Place | None:
    """Where an entry stands in its log; None where it has no place yet."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT l.log_id, l.idx, (SELECT min(c.size) FROM audit_checkpoint c "
            "WHERE c.log_id = l.log_id AND c.size > l.idx) "
            "FROM audit_entry e JOIN audit_leaf l ON l.entry_seq = e.seq WHERE e.id = %s",
            [entry_id if connections[using].vendor == "postgresql" else entry_id.hex],
        )
        row = cursor.fetchone()
    return None if row is None or row[2] is None else Place(log_id=row[0], index=row[1], size=row[2])


# ---------------------------------------------------------------------------------------------------- what waits


@dataclass(frozen=True, slots=True)
class _Row:
    seq: int
    log_id: int
    id: UUID | None
    leaf: bytes
    wmac: bytes


def _is_alone(connection: BaseDatabaseWrapper) -> bool:
    """Is this the one sequencer? Where another role writes the tree (see roles), it is for that one to do."""
    if connection.vendor != "postgresql":
        # A transaction that may write is the only one.
        return True
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT CASE WHEN has_table_privilege('audit_leaf', 'INSERT') THEN pg_try_advisory_xact_lock(%s) END",
            [LOCK],
        )
        return bool(cursor.fetchone()[0])


_COLUMNS: Final = "e.seq, e.log_id, e.id, e.leaf, e.wmac"
_REACHED: Final = (
    "SELECT e.ep, e.xid, e.seq FROM audit_log g JOIN audit_leaf l ON l.log_id = g.id "
    "AND l.idx = (SELECT max(m.idx) FROM audit_leaf m WHERE m.log_id = g.id) "
    "JOIN audit_entry e ON e.seq = l.entry_seq "
    "UNION ALL SELECT e.ep, e.xid, e.seq FROM audit_refused_entry r JOIN audit_entry e ON e.seq = r.entry_seq "
    "ORDER BY 1 DESC, 2 DESC, 3 DESC LIMIT 1"
)


# The oldest transaction that still runs, as `pg_snapshot_xmin` tells it, without those that are known to run in another
# database of the same server: they can write no entry here. One that ended since the snapshot can not be told from ours
# any more, nor one that was prepared: it counts as ours, and the last column says that looking again may help.
_OLDEST_RUNNING: Final = (
    "SELECT (SELECT max(ep) FROM audit_entry), "
    "coalesce(min(r.x) FILTER (WHERE a.datname IS NULL OR a.datname = current_database()), "
    "min(pg_snapshot_xmax(s.now)::text::bigint)), "
    "coalesce(bool_or(r.x IS NOT NULL AND a.pid IS NULL), false) "
    "FROM (SELECT pg_current_snapshot()) AS s (now) "
    "LEFT JOIN LATERAL (SELECT x::text::bigint FROM pg_snapshot_xip(s.now) AS x) AS r (x) ON true "
    "LEFT JOIN pg_stat_activity a ON a.backend_xid::text::bigint = r.x & 4294967295"
)
_LOOKS: Final = 3


@dataclass(frozen=True, slots=True)
class _Horizon:
    """What is settled: everything from before a restore; since then, what is below every transaction that runs."""

    condition: str = ""
    parameters: tuple[Any, ...] = ()


def _horizon(connection: BaseDatabaseWrapper) -> _Horizon:
    if connection.vendor != "postgresql":
        return _Horizon()
    with connection.cursor() as cursor:
        for _look in range(_LOOKS):
            # PostgreSQL shows a transaction the list of backends as it was at the first look, unless told otherwise.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(_OLDEST_RUNNING)
            epoch, oldest, may_have_ended = cursor.fetchone()
            if not may_have_ended:
                break
    return _Horizon("AND (e.ep < %s OR e.xid < %s::text::xid8) ", (epoch or 0, str(oldest)))


@dataclass(frozen=True, slots=True)
class Reached:
    """A condition on `audit_entry e`: what stands behind the last entry that has its place, in the log's order."""

    behind: str
    parameters: tuple[Any, ...]


def reached_so_far(connection: BaseDatabaseWrapper) -> Reached:
    """How far the sequencer came, as the last leaves tell."""
    is_postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(_REACHED)
        epoch, transaction_id, seq = cursor.fetchone() or (0, 0, 0)
    number = "%s::text::xid8" if is_postgresql else "%s"
    told = str(transaction_id) if is_postgresql else int(transaction_id)
    return Reached(f"(e.ep, e.xid, e.seq) > (%s, {number}, %s)", (epoch, told, seq))


def _waiting(connection: BaseDatabaseWrapper, at_most: int) -> list[_Row]:
    """Entries behind the last one that has its place, as far as no transaction that still runs could come between."""
    horizon, reached = _horizon(connection), reached_so_far(connection)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM audit_entry e WHERE {reached.behind} "  # noqa: S608 - our own words
            f"{horizon.condition}ORDER BY e.ep, e.xid, e.seq LIMIT %s",
            [*reached.parameters, *horizon.parameters, at_most],
        )
        return _rows(cursor)


def _passed_over(connection: BaseDatabaseWrapper, at_most: int) -> list[_Row]:
    horizon, reached = _horizon(connection), reached_so_far(connection)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM audit_entry e LEFT JOIN audit_leaf l ON l.entry_seq = e.seq "  # noqa: S608 - our own words
            "LEFT JOIN audit_refused_entry r ON r.entry_seq = e.seq "
            f"WHERE l.entry_seq IS NULL AND r.entry_seq IS NULL AND NOT ({reached.behind}) {horizon.condition}"
            "ORDER BY e.ep, e.xid, e.seq LIMIT %s",
            [*reached.parameters, *horizon.parameters, at_most],
        )
        return _rows(cursor)


def _rows(cursor: Any) -> list[_Row]:
    return [
        _Row(seq, log_id, stored_id(entry_id), stored_bytes(leaf), stored_bytes(wmac))
        for seq, log_id, entry_id, leaf, wmac in cursor.fetchall()
    ]


# ------------------------------------------------------------------------------------------------- what is placed


def _place(rows: Sequence[_Row], *, now: datetime, using: str, is_complete: bool) -> Round:
    if not rows:
        return Round()
    logs = {log.id: log for log in AuditLog.objects.using(using).filter(id__in={row.log_id for row in rows})}
    writer = keyring().current(clinic_id=SYSTEM, scope=Scope.WRITER_MAC).secret
    twins, placed = _twins(rows, using=using), set[UUID | None]()
    growing: dict[int, GrowingLog] = {}
    refused: list[tuple[_Row, str]] = []
    for row in rows:
        log = logs.get(row.log_id)
        if log is None:
            refused.append((row, MOVED))
            continue
        try:
            leaf = genuine_entry(row.leaf, row.wmac, entry_id=row.id, clinic_id=log.clinic_id, writer=writer)
        except NotGenuine as error:
            refused.append((row, str(error)))
            continue
        if row.seq in twins or row.id in placed:
            refused.append((row, REPLAYED))
            continue
        placed.add(row.id)
        if row.log_id not in growing:
            growing[row.log_id] = grow(log, using=using)
        grown = growing[row.log_id]
        index = grown.append(row.leaf, entry_seq=row.seq)
        grown.parts += [(key_id, row.log_id, index) for key_id in {part.key_id for part in leaf.parts}]
    _refuse(refused, now=now, using=using)
    notes = sign(list(growing.values()), now=now, using=using)
    transaction.on_commit(lambda: remember(notes), using=using)
    return Round(sequenced=len(rows) - len(refused), refused=len(refused), is_complete=is_complete)


def _twins(rows: Sequence[_Row], *, using: str) -> frozenset[int]:
    """Those whose id has its place already: whoever dropped the unique index could write an old entry once more."""
    placed = AuditLeaf.objects.using(using).filter(entry_seq=OuterRef("seq"))
    twin = AuditEntry.objects.using(using).filter(Exists(placed), id=OuterRef("id")).exclude(seq=OuterRef("seq"))
    found: set[int] = set()
    for start in range(0, len(rows), LOOKED_UP_AT_ONCE):
        piece = [row.seq for row in rows[start : start + LOOKED_UP_AT_ONCE]]
        ours = AuditEntry.objects.using(using).filter(Exists(twin), seq__in=piece)
        found.update(ours.values_list("seq", flat=True))
    return frozenset(found)


def _refuse(refused: Sequence[tuple[_Row, str]], *, now: datetime, using: str) -> None:
    if not refused:
        return
    AuditRefusedEntry.objects.using(using).bulk_create(
        AuditRefusedEntry(entry_seq=row.seq, reason=reason, at=now) for row, reason in refused
    )
    for reason in sorted({reason for _row, reason in refused}):
        count = sum(1 for _row, why in refused if why == reason)
        alarm.error("%d rows among the audit entries have no place in any log: %s", count, reason)
        with record(
            Action.ENTRIES_REFUSED,
            by=system_actor("sequencer"),
            now=now,
            clinic_id=SYSTEM,
            using=using,
            count=count,
            reason=reason,
        ):
            pass
