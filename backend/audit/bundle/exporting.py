"""Exports one log as a bundle: everything that somebody else needs to verify it, and to read it if they may."""

import logging
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import IO, Final, cast
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.bundle.archive import Archive
from backend.audit.bundle.releasing import KeyRelease
from backend.audit.bundle.tiles import hash_tiles, tiles
from backend.audit.growing import LogInconsistent, log_key
from backend.audit.leaf import open_part, parse_leaf
from backend.audit.merkle import Frontier, leaf_hash
from backend.audit.models import META, AuditCheckpoint, AuditLeaf, AuditLog, DataKey
from backend.audit.notes import Checkpoint, NoteRefused, SigningKey, origin_of
from backend.audit.queries import OpenedEntry, StoredEntry, open_entries
from backend.audit.recording import Entry, Outcome, microseconds, record
from backend.audit.sequencing import NotSequenced, require_inclusion, sequence_all
from backend.audit.snapshots import one_snapshot
from backend.audit.views.fhir import audit_event_lines
from backend.audit.views.table import table_lines
from backend.policy.vocabulary import Language
from backend.vault import keyring as rings
from backend.vault.ciphers import Tampered
from backend.vault.identifiers import new_id
from backend.vault.keyring import KeyUnavailable, Scope, keyring
from backend.vault.providers import KeysUnavailable

alarm = logging.getLogger("accord.audit.alarm")

AT_ONCE: Final = 4_096
KEYS_AT_ONCE: Final = 500
TRIES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """The entries in clear, beside the proof: in which language, and on whose clock."""

    language: Language
    zone: tzinfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What a bundle holds."""

    origin: str
    size: int
    checkpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedLog:
    """One log as it stood at its checkpoint."""

    id: int
    clinic_id: UUID
    size: int
    note: str
    key: SigningKey
    using: str

    @property
    def origin(self) -> str:
        """The name of the log."""
        return self.key.name


def export_log(
    file: IO[bytes],
    *,
    clinic_id: UUID,
    actor: Actor,
    now: datetime,
    recipient: X25519PublicKey | None = None,
    views: Views | None = None,
    progress: Callable[[int], object] = lambda _entries: None,
    using: str = DEFAULT_DB_ALIAS,
) -> Exported:
    """Write the bundle of a clinic's log to a file that can be wound back; memory does not grow with the log.

    The export's own entry is the last thing that has to be in it; where the export fails, a second one says so.
    `progress` is told how many entries came in since it was told last. Raises NotSequenced, and LogInconsistent where
    the log is not what was signed; then, and whenever it is broken off, the file is left empty.
    """
    contents = ["proof", *(["keys"] if recipient else []), *(["views"] if views else [])]
    export = new_id()
    with record(
        Action.LOG_EXPORTED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        whole_clinic=True,
        using=using,
        export=export,
        contents=contents,
    ) as entry:
        pass
    try:
        return _exported(
            file, entry, clinic_id=clinic_id, now=now, recipient=recipient, views=views, progress=progress, using=using
        )
    except BaseException:
        # The full disk may be the database's, too: what went wrong first is what is told.
        with (
            suppress(DatabaseError, KeysUnavailable, KeyUnavailable),
            record(
                Action.LOG_EXPORTED,
                by=actor,
                now=now,
                clinic_id=clinic_id,
                outcome=Outcome.ERROR,
                using=using,
                export=export,
                contents=contents,
            ),
        ):
            pass
        raise


def _exported(
    file: IO[bytes],
    entry: Entry,
    *,
    clinic_id: UUID,
    now: datetime,
    recipient: X25519PublicKey | None,
    views: Views | None,
    progress: Callable[[int], object],
    using: str,
) -> Exported:
    require_inclusion(entry.id, now=now, using=using)
    with _one_moment(clinic_id, now=now, using=using) as log, Archive(file) as archive:
        _add_proof(archive, log, progress)
        if recipient is not None:
            release = KeyRelease(recipient, origin=log.origin)
            archive.add("keys/recipient", release.recipient())
            archive.add_stream("keys/keys.ndjson", release.lines(_living_keys(log, besides=unannounced_keys(log))))
        if views is not None:
            table = table_lines(_opened(log, entry), language=views.language, zone=views.zone)
            archive.add_stream("views/entries.csv", table)
            events = audit_event_lines(_opened(log, entry), clinic_id=clinic_id, origin=log.origin)
            archive.add_stream("views/audit_event.ndjson", events)
        facts = (
            f"origin {log.origin}",
            f"clinic {clinic_id}",
            f"size {log.size}",
            f"made-at {microseconds(now)}",
        )
        archive.close(log.key.sign(archive.manifest(facts)))
    return Exported(origin=log.origin, size=log.size, checkpoint=log.note)


# ------------------------------------------------------------------------------------------------- one moment


@contextmanager
def _one_moment(clinic_id: UUID, *, now: datetime, using: str) -> Iterator[SignedLog]:
    """The database as it is at one moment, in which the log tells of every key that is destroyed.

    A key may be destroyed while its entry still waits for its place: such a moment would look as if the key had been
    lost. Then another moment is taken. Raises NotSequenced where none comes.
    """
    for _ in range(TRIES):
        sequence_all(now=now)
        with one_snapshot(using):
            log = signed_log(clinic_id, using=using)
            if not _destruction_waits(log):
                yield log
                return
    raise NotSequenced


def signed_log(clinic_id: UUID, *, using: str = DEFAULT_DB_ALIAS) -> SignedLog:
    """A clinic's log as it was signed last."""
    row = AuditLog.objects.using(using).get(clinic_id=clinic_id)
    last = AuditCheckpoint.objects.using(using).filter(log_id=row.id).latest("size")
    key = log_key(origin_of(row.origin))
    return SignedLog(id=row.id, clinic_id=clinic_id, size=last.size, note=last.note, key=key, using=using)


def _destruction_waits(log: SignedLog) -> bool:
    return any(_code(leaf) == Action.KEY_DESTROYED.spec.code for leaf in _waiting(log))


def unannounced_keys(log: SignedLog) -> set[UUID]:
    """Keys that are there while the entry that announces them still waits for its place: not for this bundle."""
    keys: set[UUID] = set()
    for content in _waiting(log):
        if _code(content) == Action.KEYS_CREATED.spec.code:
            leaf = parse_leaf(content)
            details = open_part(leaf, 0, keyring().by_id(leaf.parts[0].key_id))["d"]
            keys.update(UUID(str(key)) for key in cast("dict[str, list[str]]", details)["keys"])
    return keys


def _waiting(log: SignedLog) -> list[bytes]:
    with connections[log.using].cursor() as cursor:
        cursor.execute(
            "SELECT e.leaf FROM audit_entry e LEFT JOIN audit_leaf l ON l.entry_seq = e.seq "
            "LEFT JOIN audit_refused_entry r ON r.entry_seq = e.seq "
            "WHERE e.log_id = %s AND l.entry_seq IS NULL AND r.entry_seq IS NULL",
            [log.id],
        )
        return [bytes(leaf) for (leaf,) in cursor.fetchall()]


def _code(leaf: bytes) -> str:
    try:
        return str(parse_leaf(leaf).header["a"])
    except Tampered:
        return ""


# --------------------------------------------------------------------------------------------------- what is in it


def _add_proof(archive: Archive, log: SignedLog, progress: Callable[[int], object]) -> None:
    meta = _meta(log)
    archive.add("policy", policy_of(log))
    archive.add("checkpoint", log.note.encode())
    for name, content in tiles(_as_signed(log, progress)):
        archive.add(name, content)
    if meta:
        archive.add("meta/checkpoint", meta.note.encode())
        for name, content in hash_tiles("meta/tile/0", _hashes(meta)):
            archive.add(name, content)
        archive.add_stream("meta/own", _own_checkpoints(meta, log))


def policy_of(log: SignedLog) -> bytes:
    """The member `policy`: the keys that have signed, the log's own and that of the log of checkpoints."""
    meta = _meta(log)
    lines = [f"log {log.key.verifying}", *([f"log {meta.key.verifying}"] if meta else []), "quorum none"]
    return "".join(f"{line}\n" for line in lines).encode()


def _meta(log: SignedLog) -> SignedLog | None:
    """The log of checkpoints, as it was signed last; a log that is itself the meta-log has none above it."""
    if log.clinic_id == META:
        return None
    return signed_log(META, using=log.using)


def _as_signed(log: SignedLog, progress: Callable[[int], object]) -> Iterator[bytes]:
    """The bytes of every entry, seen to be those that were signed as this clinic's. Raises LogInconsistent."""
    try:
        signed = Checkpoint.parse(log.key.verifying.verify(log.note))
    except NoteRefused as error:
        raise _not_exported(log, "its last checkpoint is not as it was signed") from error
    frontier, stored = Frontier(), _hashes(log)
    for index, _seq, _id, leaf in _entries(log, progress):
        digest = leaf_hash(leaf)
        if index != frontier.size:
            raise _not_exported(log, f"entry {frontier.size} is missing")
        if digest != next(stored, None):
            raise _not_exported(log, f"entry {index} is not as it was signed")
        if _clinic(leaf) != str(log.clinic_id):
            raise _not_exported(log, f"entry {index} is not of this clinic")
        frontier.append(digest)
        yield leaf
    if frontier.size != log.size:
        raise _not_exported(log, f"entry {frontier.size} is missing")
    if signed != Checkpoint(origin=log.origin, size=frontier.size, root=frontier.root()):
        raise _not_exported(log, f"from entry {_first_unsigned(log)} on it is not as it was signed")


def _clinic(leaf: bytes) -> str:
    try:
        return str(parse_leaf(leaf).header["tn"])
    except Tampered:
        return ""


def _first_unsigned(log: SignedLog) -> int:
    """The first entry behind the last checkpoint that still fits: it, or one soon after it, was changed."""
    rows = AuditCheckpoint.objects.using(log.using).filter(log_id=log.id)
    roots = dict(rows.values_list("size", "root"))
    frontier, fits = Frontier(), 0
    for digest in _hashes(log):
        frontier.append(digest)
        if frontier.size in roots:
            if bytes(roots[frontier.size]) != frontier.root():
                break
            fits = frontier.size
    return fits


def _not_exported(log: SignedLog, why: str) -> LogInconsistent:
    sentence = f"The log {log.origin} is not exported: {why}. check_log tells more."
    alarm.error("%s", sentence)
    return LogInconsistent(sentence)


def _entries(log: SignedLog, progress: Callable[[int], object]) -> Iterator[tuple[int, int, UUID, bytes]]:
    """Index, row, id and bytes of every entry up to the checkpoint, in the log's order."""
    connection = connections[log.using]
    for start in range(0, log.size, AT_ONCE):
        end = min(start + AT_ONCE, log.size)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT l.idx, e.seq, e.id, e.leaf FROM audit_leaf l JOIN audit_entry e ON e.seq = l.entry_seq "
                "WHERE l.log_id = %s AND l.idx >= %s AND l.idx < %s ORDER BY l.idx",
                [log.id, start, end],
            )
            rows = cursor.fetchall()
        for index, seq, entry_id, leaf in rows:
            yield index, seq, entry_id if isinstance(entry_id, UUID) else UUID(entry_id), bytes(leaf)
        progress(len(rows))


def _hashes(log: SignedLog) -> Iterator[bytes]:
    """In pieces of their own, so that whoever stops before the end leaves no cursor open."""
    rows = AuditLeaf.objects.using(log.using).filter(log_id=log.id).order_by("idx").values_list("h", flat=True)
    for start in range(0, log.size, AT_ONCE):
        for value in rows.filter(idx__gte=start, idx__lt=min(start + AT_ONCE, log.size)):
            yield bytes(value)


def _own_checkpoints(meta: SignedLog, log: SignedLog) -> Iterator[bytes]:
    """Lines of `meta/own`: where this log's checkpoints stand in the meta-log."""
    with connections[log.using].cursor() as cursor:
        cursor.execute(
            "SELECT l.idx, c.size, c.root FROM audit_checkpoint c JOIN audit_leaf l ON l.checkpoint_id = c.id "
            "WHERE c.log_id = %s AND l.log_id = %s AND l.idx < %s ORDER BY l.idx",
            [log.id, meta.id, meta.size],
        )
        while rows := cursor.fetchmany(AT_ONCE):
            for index, size, root in rows:
                yield f"{index} {size} {b64encode(bytes(root)).decode()}\n".encode()


def _living_keys(log: SignedLog, *, besides: set[UUID]) -> Iterator[rings.DataKey]:
    """The keys of this log's parts: of patients, and of the clinic itself. Those destroyed are nobody's to release."""
    rows = DataKey.objects.using(log.using).filter(
        clinic_id=log.clinic_id, scope__in=[Scope.AUDIT, Scope.CLINIC], destroyed_at=None
    )
    waiting: list[UUID] = []
    for key_id in rows.order_by("id").values_list("id", flat=True).iterator(chunk_size=KEYS_AT_ONCE):
        if key_id not in besides:
            waiting.append(key_id)
        if len(waiting) == KEYS_AT_ONCE:
            yield from _unwrapped(waiting)
            waiting = []
    yield from _unwrapped(waiting)


def _unwrapped(key_ids: list[UUID]) -> Iterator[rings.DataKey]:
    keyring().prefetch(key_ids)
    for key_id in key_ids:
        yield keyring().by_id(key_id)


def _opened(log: SignedLog, entry: Entry) -> Iterator[tuple[int | None, OpenedEntry]]:
    waiting: list[tuple[int, StoredEntry]] = []
    for index, seq, entry_id, leaf in _entries(log, lambda _count: None):
        waiting.append((index, StoredEntry(seq=seq, id=entry_id, clinic_id=log.clinic_id, leaf=leaf)))
        if len(waiting) == KEYS_AT_ONCE:
            yield from _opened_at_once(waiting, entry)
            waiting = []
    yield from _opened_at_once(waiting, entry)


def _opened_at_once(waiting: list[tuple[int, StoredEntry]], entry: Entry) -> Iterator[tuple[int, OpenedEntry]]:
    opened = open_entries([stored for _index, stored in waiting], entry=entry)
    yield from zip([index for index, _stored in waiting], opened, strict=True)
