"""Checks the stored log against its tree and its signatures: what is missing, out of place or signed otherwise.

Every entry is hashed anew. For somebody who does not trust this installation there is the bundle and its verifier.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections

from backend.audit.genuine import NotGenuine, genuine_entry, stored_bytes, stored_id
from backend.audit.growing import log_key, sequencer_memory
from backend.audit.leaf import parse_leaf
from backend.audit.memory import MemoryDamaged
from backend.audit.merkle import Frontier, leaf_hash
from backend.audit.models import (
    META,
    AuditCheckpoint,
    AuditLog,
    AuditNode,
    AuditPart,
)
from backend.audit.notes import Checkpoint, NoteRefused, origin_of
from backend.audit.tree import TILE_HEIGHT
from backend.vault.ciphers import Tampered
from backend.vault.keyring import SYSTEM, Scope, keyring

AT_ONCE: Final = 4_096
MOST_FINDINGS: Final = 100


@dataclass(frozen=True, slots=True)
class TreeFinding:
    """Something that is wrong with a log; `index` names the entry where there is one."""

    origin: str
    index: int | None
    what: str


@dataclass(slots=True)
class TreeCheck:
    """What a check found. `waiting`: entries that have no place yet."""

    logs: int = 0
    entries: int = 0
    waiting: int = 0
    refused: int = 0
    findings: list[TreeFinding] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Is every log as it was signed?"""
        return not self.findings

    def add(self, origin: str, index: int | None, what: str) -> None:
        """One finding more; a log that is wrong everywhere need not say so a million times."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(TreeFinding(origin, index, what))


def check_trees(
    logs: "list[AuditLog] | None" = None,
    *,
    progress: Callable[[int], object] = lambda _leaves: None,
    using: str = DEFAULT_DB_ALIAS,
) -> TreeCheck:
    """Hash every entry of these logs (None: of all), and compare with leaves, nodes, checkpoints and what was kept."""
    check = TreeCheck()
    every = list(AuditLog.objects.using(using).order_by("id")) if logs is None else logs
    for log in every:
        check.logs += 1
        _check_log(log, check, progress=progress, using=using)
    _count_without_place(every, check, using=using)
    return check


def _check_log(log: AuditLog, check: TreeCheck, *, progress: Callable[[int], object], using: str) -> None:
    origin = origin_of(log.origin)
    signed = _Signed(log, check, using=using)
    nodes = {
        (lvl, n): bytes(h)
        for lvl, n, h in AuditNode.objects.using(using).filter(log_id=log.id).values_list("lvl", "n", "h")
    }
    frontier, mentions = Frontier(), 0
    for index, stored, content in _leaves(log, progress, using=using):
        if index != frontier.size:
            check.add(origin, frontier.size, "missing")
            return
        digest = stored if content is None else leaf_hash(content)
        mentions += _mentions(content)
        if content is None:
            check.add(origin, index, "entry_missing")
        elif digest != stored:
            check.add(origin, index, "changed")
        for height, number, root in frontier.append(digest):
            level, rest = divmod(height, TILE_HEIGHT)
            if not rest and nodes.pop((level, number), None) != root:
                check.add(origin, index, "node_wrong")
        signed.compare(frontier)
        check.entries += log.clinic_id != META
    for level, number in nodes:
        check.add(origin, number << (level * TILE_HEIGHT), "node_without_leaves")
    signed.finish(frontier)
    _name_twins(log, check, using=using)
    if log.clinic_id != META and AuditPart.objects.using(using).filter(log_id=log.id).count() != mentions:
        # Not part of the tree, and what "who saw my record" is answered from.
        check.add(origin, None, "index_of_keys_wrong")


def _mentions(content: bytes | None) -> int:
    """How many keys an entry mentions."""
    try:
        return 0 if content is None else len({part.key_id for part in parse_leaf(content).parts})
    except Tampered:
        return 0


def _checkpoints(log: AuditLog, *, using: str) -> Iterator[AuditCheckpoint]:
    """In pieces of their own, so that whoever stops before the end leaves no cursor open."""
    at = -1
    while rows := AuditCheckpoint.objects.using(using).filter(log_id=log.id, size__gt=at).order_by("size")[:AT_ONCE]:
        yield from rows
        at = rows[len(rows) - 1].size


# Index, stored hash, and the bytes of which it should be the hash; None where they are gone.
_Place = tuple[int, bytes, bytes | None]


class _Signed:
    """The signed checkpoints of one log, and what this machine keeps of them elsewhere, met as the tree grows."""

    def __init__(self, log: AuditLog, check: TreeCheck, *, using: str) -> None:
        self._origin, self._check = origin_of(log.origin), check
        self._key = log_key(self._origin).verifying
        self._rows = _checkpoints(log, using=using)
        self._next = next(self._rows, None)
        self._last_size = 0
        self._kept = self._remembered()

    def _remembered(self) -> Checkpoint | None:
        try:
            return sequencer_memory().last(self._origin)
        except MemoryDamaged:
            self._check.add(self._origin, None, "what_was_kept_is_damaged")
            return None

    def compare(self, frontier: Frontier) -> None:
        row = self._next
        if row is not None and row.size == frontier.size:
            self._compare_row(row, frontier)
            self._last_size = row.size
            self._next = next(self._rows, None)
        kept = self._kept
        if kept is not None and kept.size == frontier.size and kept.root != frontier.root():
            self._check.add(self._origin, None, "not_what_was_signed")

    def _compare_row(self, row: AuditCheckpoint, frontier: Frontier) -> None:
        try:
            signed = Checkpoint.parse(self._key.verify(row.note))
        except NoteRefused:
            self._check.add(self._origin, None, "signature_wrong")
            return
        found = Checkpoint(origin=self._origin, size=frontier.size, root=frontier.root())
        if signed != found or bytes(row.root) != found.root or bytes(row.peaks) != b"".join(frontier.peaks):
            self._check.add(self._origin, row.size - 1, "root_wrong")

    def finish(self, frontier: Frontier) -> None:
        if self._next is not None or self._last_size != frontier.size:
            self._check.add(self._origin, None, "not_signed_to_its_end")
        if self._kept is not None and self._kept.size > frontier.size:
            self._check.add(self._origin, None, "shorter_than_signed")


def _leaves(log: AuditLog, progress: Callable[[int], object], *, using: str) -> Iterator[_Place]:
    at = -1
    while True:
        with connections[using].cursor() as cursor:
            cursor.execute(
                "SELECT l.idx, l.h, e.leaf, c.size, c.root, g.origin FROM audit_leaf l "
                "LEFT JOIN audit_entry e ON e.seq = l.entry_seq AND e.log_id = l.log_id "
                "LEFT JOIN audit_checkpoint c ON c.id = l.checkpoint_id LEFT JOIN audit_log g ON g.id = c.log_id "
                "WHERE l.log_id = %s AND l.idx > %s ORDER BY l.idx LIMIT %s",
                [log.id, at, AT_ONCE],
            )
            rows = cursor.fetchall()
        for index, stored, leaf, size, root, origin in rows:
            yield index, bytes(stored), _content(leaf, size, root, origin)
            at = index
        progress(len(rows))
        if len(rows) < AT_ONCE:
            return


def _content(leaf: Any, size: int | None, root: Any, origin: Any) -> bytes | None:
    if leaf is not None:
        return bytes(leaf)
    if size is None or origin is None:
        return None
    named = origin_of(origin if isinstance(origin, UUID) else UUID(origin))
    return Checkpoint(origin=named, size=size, root=bytes(root)).text.encode()


def _count_without_place(logs: list[AuditLog], check: TreeCheck, *, using: str) -> None:
    numbers = [log.id for log in logs]
    marks = ", ".join(["%s"] * len(numbers)) or "NULL"
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(r.entry_seq) FROM audit_entry e "  # noqa: S608 - our own words
            "LEFT JOIN audit_leaf l ON l.entry_seq = e.seq LEFT JOIN audit_refused_entry r ON r.entry_seq = e.seq "
            f"WHERE l.entry_seq IS NULL AND e.log_id IN ({marks})",
            numbers,
        )
        without_place, refused = cursor.fetchone()
    check.refused, check.waiting = refused, without_place - refused
    _examine_refused(logs, check, using=using)


def _examine_refused(logs: list[AuditLog], check: TreeCheck, *, using: str) -> None:
    """One row among the refused, and a genuine entry never gets its place: so each has to deserve to be there."""
    writer = keyring().current(clinic_id=SYSTEM, scope=Scope.WRITER_MAC).secret
    by_id = {log.id: log for log in logs}
    at = -(1 << 63)
    while True:
        with connections[using].cursor() as cursor:
            cursor.execute(_REFUSED_WITHOUT_PLACE, [at, AT_ONCE])
            rows = cursor.fetchall()
        for _seq, log_id, entry_id, leaf, mark in rows:
            log, ours = by_id.get(log_id), (stored_bytes(leaf), stored_bytes(mark), stored_id(entry_id))
            if log is not None and _is_genuine(*ours, log, writer):
                check.add(origin_of(log.origin), None, "refused_without_reason")
        if len(rows) < AT_ONCE:
            return
        at = rows[-1][0]


# By hand: in a row that somebody else wrote may stand what no model can read. A copy of what has its place needs none.
_REFUSED_WITHOUT_PLACE: Final = (
    "SELECT e.seq, e.log_id, e.id, e.leaf, e.wmac FROM audit_entry e JOIN audit_refused_entry r ON r.entry_seq = e.seq "
    "WHERE e.seq > %s AND NOT EXISTS (SELECT 1 FROM audit_leaf l WHERE l.entry_seq = e.seq) "
    "AND NOT EXISTS (SELECT 1 FROM audit_entry o JOIN audit_leaf p ON p.entry_seq = o.seq "
    "WHERE o.id = e.id AND o.seq <> e.seq) ORDER BY e.seq LIMIT %s"
)


def _is_genuine(content: bytes, mark: bytes, entry_id: UUID | None, log: AuditLog, writer: bytes) -> bool:
    try:
        genuine_entry(content, mark, entry_id=entry_id, clinic_id=log.clinic_id, writer=writer)
    except NotGenuine:
        return False
    return True


def _name_twins(log: AuditLog, check: TreeCheck, *, using: str) -> None:
    """No entry has two places: the same bytes twice are the same entry, copied."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT max(idx) FROM audit_leaf WHERE log_id = %s AND entry_seq IS NOT NULL "
            "GROUP BY h HAVING count(*) > 1 ORDER BY 1 LIMIT %s",
            [log.id, MOST_FINDINGS],
        )
        for (index,) in cursor.fetchall():
            check.add(origin_of(log.origin), index, "written_twice")
