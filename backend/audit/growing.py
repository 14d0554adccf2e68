"""How a log grows: from the last signed checkpoint on, which is checked first, to the next one.

Nothing is signed that does not continue what was signed before: neither what the database holds, nor what this machine
remembers outside of it.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from backend.audit.memory import MemoryDamaged, SignedMemory
from backend.audit.merkle import HASH_BYTES, Frontier, leaf_hash
from backend.audit.models import META, AuditCheckpoint, AuditLeaf, AuditLog
from backend.audit.notes import Checkpoint, NoteRefused, SigningKey, origin_of, signing_key
from backend.audit.recording import log_number
from backend.audit.tree import TILE_HEIGHT, StoredTree, TreeBroken
from backend.errors import DomainError
from backend.vault.keyring import SYSTEM, Scope, keyring

alarm = logging.getLogger("accord.audit.alarm")


class LogInconsistent(DomainError):
    """The stored log does not continue what was signed before: nothing is signed. The sentence says which log."""

    code = "log_inconsistent"
    sentence = "The log does not continue what was signed before: nothing is signed any more."


@dataclass(slots=True)
class GrowingLog:
    """One log while a round adds to it."""

    log_id: int
    origin: str
    key: SigningKey
    frontier: Frontier
    leaves: list[tuple[int, int, int | None, int | None, bytes]] = field(default_factory=list)
    nodes: list[tuple[int, int, int, bytes]] = field(default_factory=list)
    parts: list[tuple[UUID, int, int]] = field(default_factory=list)

    def append(self, leaf: bytes, *, entry_seq: int | None = None, checkpoint_id: int | None = None) -> int:
        """Add a leaf, of an entry or of a checkpoint; its index."""
        index, digest = self.frontier.size, leaf_hash(leaf)
        self.leaves.append((self.log_id, index, entry_seq, checkpoint_id, digest))
        for height, number, root in self.frontier.append(digest):
            if height % TILE_HEIGHT == 0:
                self.nodes.append((self.log_id, height // TILE_HEIGHT, number, root))
        return index


def sequencer_memory() -> SignedMemory:
    """Where this machine remembers what it signed."""
    return SignedMemory(Path(settings.ACCORD_CHECKPOINT_DIR))


def remember(notes: Sequence[tuple[str, str]]) -> None:
    """Keep what was signed and committed outside of the database."""
    memory = sequencer_memory()
    for origin, note in notes:
        memory.keep(origin, note)


def log_key(origin: str) -> SigningKey:
    """The key that signs the checkpoints of one log."""
    return signing_key(origin, keyring().current(clinic_id=SYSTEM, scope=Scope.SIGNING).secret)


def grow(log: AuditLog, *, using: str) -> GrowingLog:
    """A log as it was signed last, from where it grows on. Raises LogInconsistent."""
    origin = origin_of(log.origin)
    key = log_key(origin)
    last = AuditCheckpoint.objects.using(using).filter(log_id=log.id).order_by("-size").first()
    leaves = AuditLeaf.objects.using(using).filter(log_id=log.id)
    highest = leaves.order_by("-idx").values_list("idx", flat=True).first()
    if last is None:
        frontier = Frontier()
    else:
        peaks = bytes(last.peaks)
        try:
            frontier = Frontier(last.size, [peaks[at : at + HASH_BYTES] for at in range(0, len(peaks), HASH_BYTES)])
            signed = Checkpoint.parse(key.verifying.verify(last.note))
        except (NoteRefused, ValueError) as error:
            raise _inconsistent(origin, "its last checkpoint is not as it was signed") from error
        stored = Checkpoint(origin=origin, size=last.size, root=bytes(last.root))
        if not signed == stored == Checkpoint(origin=origin, size=last.size, root=frontier.root()):
            raise _inconsistent(origin, "its last checkpoint is not as it was signed")
    if (highest is None and frontier.size) or (highest is not None and highest + 1 != frontier.size):
        raise _inconsistent(origin, "its leaves are not those that were signed")
    _continue_what_was_signed(origin, log.id, frontier, using=using)
    return GrowingLog(log.id, origin, key, frontier)


def _continue_what_was_signed(origin: str, log_id: int, frontier: Frontier, *, using: str) -> None:
    """Compare with what this machine remembers outside of the database. Raises LogInconsistent."""
    try:
        remembered = sequencer_memory().last(origin)
    except MemoryDamaged as error:
        raise _inconsistent(origin, str(error)) from error
    if remembered is None:
        return
    if remembered.size > frontier.size:
        raise _inconsistent(origin, "it is shorter than what was signed: if it was restored, run audit_restored")
    try:
        same = (
            frontier.root()
            if remembered.size == frontier.size
            else StoredTree(log_id, using=using).root(remembered.size)
        )
    except TreeBroken as error:
        raise _inconsistent(origin, "leaves are missing") from error
    if same != remembered.root:
        raise _inconsistent(origin, "it does not continue what was signed")


def _inconsistent(origin: str, why: str) -> LogInconsistent:
    sentence = f"The log {origin} is not signed any more: {why.removesuffix('.')}."
    alarm.error("%s", sentence)
    return LogInconsistent(sentence)


def sign(growing: Sequence[GrowingLog], *, now: datetime, using: str) -> list[tuple[str, str]]:
    """Store what the logs have become, and sign each; then the meta-log, whose leaves are these checkpoints."""
    if not growing:
        return []
    signed = [(grown, _checkpoint(grown, now=now, using=using)) for grown in growing]
    meta = grow(AuditLog.objects.using(using).get(id=log_number(META, using=using)), using=using)
    for grown, row in signed:
        text = Checkpoint(origin=grown.origin, size=row.size, root=bytes(row.root)).text
        meta.append(text.encode(), checkpoint_id=row.id)
    last = _checkpoint(meta, now=now, using=using)
    _store([*growing, meta], using=using)
    return [(grown.origin, row.note) for grown, row in [*signed, (meta, last)]]


def _checkpoint(grown: GrowingLog, *, now: datetime, using: str) -> AuditCheckpoint:
    frontier = grown.frontier
    checkpoint = Checkpoint(origin=grown.origin, size=frontier.size, root=frontier.root())
    return AuditCheckpoint.objects.using(using).create(
        log_id=grown.log_id,
        size=checkpoint.size,
        root=checkpoint.root,
        peaks=b"".join(frontier.peaks),
        note=grown.key.sign(checkpoint.text),
        at=now,
    )


def _store(growing: Sequence[GrowingLog], *, using: str) -> None:
    connection = connections[using]
    leaves = [leaf for grown in growing for leaf in grown.leaves]
    nodes = [node for grown in growing for node in grown.nodes]
    parts = [part for grown in growing for part in grown.parts]
    _insert(
        connection, "audit_leaf (log_id, idx, entry_seq, checkpoint_id, h)", ("int4", *("int8",) * 3, "bytea"), leaves
    )
    _insert(connection, "audit_node (log_id, lvl, n, h)", ("int4", "int2", "int8", "bytea"), nodes)
    _insert(connection, "audit_part (key_id, log_id, idx)", ("uuid", "int4", "int8"), parts)


def _insert(
    connection: BaseDatabaseWrapper, target: str, types: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Many rows at once: COPY on PostgreSQL, one prepared statement on SQLite."""
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {target} FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(types)
                for row in rows:
                    copy.write_row(row)
        else:
            values = ", ".join(["%s"] * len(types))
            plain = [[item.hex if isinstance(item, UUID) else item for item in row] for row in rows]
            cursor.executemany(f"INSERT INTO {target} VALUES ({values})", plain)  # noqa: S608 - our own words
