"""After a backup was brought back: what was destroyed is destroyed again, and the log goes on where it can.

A backup may be older than an erasure. Three things outlive it and are believed together: the ledger of destroyed keys
(a file), the tombstones in the key tables (whose backup is newer than that of the data), and the entries of the log.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.growing import sequencer_memory
from backend.audit.keys import destroy_keys
from backend.audit.leaf import open_part, parse_leaf
from backend.audit.ledger import ledger
from backend.audit.memory import MemoryDamaged
from backend.audit.models import META, AuditEntry, AuditLeaf, AuditLog, DataKey
from backend.audit.notes import origin_of
from backend.audit.recording import Draft, Outcome, forget_log_numbers, record, record_many
from backend.vault.ciphers import Tampered
from backend.vault.keyring import SYSTEM, KeyDestroyed, Keyring, KeyUnavailable, Scope, keyring
from backend.vault.providers import KeysUnavailable

REASON: Final = "restored_backup"
AT_ONCE: Final = 500
# How the clear header of such an entry is written (RFC 8785).
DESTRUCTION: Final = b'"a":"key.destroyed"'


class KeysRevived(KeysUnavailable):
    """Keys that were destroyed live again: nothing may start before they are destroyed once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was found when the log took up again after a restore."""

    epoch: int
    entries: int
    lost: int
    entry: UUID
    # What was remembered and could not be read: how much of these logs is lost, nobody can tell.
    damaged: tuple[str, ...] = ()


def reconcile_ledger(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """Add to the ledger what it lacks; how many keys that were. Raises KeysRevived, LedgerUnusable.

    It lacks some where a process ended between the destruction and the line, or where the file was lost.
    """
    missing = add_tombstones(using=using)
    revived = list(_living(ledger().read() - tombstones(using=using).keys(), using=using))
    if revived:
        _see_that_it_opens()
        raise KeysRevived(
            f"{len(revived)} keys that were destroyed live again in this database: it comes from a backup that is "
            "older than their destruction. Nothing may start like this. Run manage.py replay_destroyed_keys, which "
            "destroys them again; and manage.py audit_restored if you restored by other means than manage.py restore."
        )
    return missing


def _see_that_it_opens() -> None:
    """Keys can be destroyed again only with an entry. Raises EpochDestroyed where a rotation left none to seal it."""
    fresh = Keyring(provider=keyring().provider, store=keyring().store)
    with suppress(Tampered, KeyDestroyed, KeyUnavailable):
        fresh.current(clinic_id=SYSTEM, scope=Scope.WRITER_MAC)


def add_tombstones(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """Add to the ledger the destroyed keys of a database that it lacks; how many that were. Raises LedgerUnusable."""
    ledger().see_that_it_can_be_kept()
    known = ledger().read()
    missing = {key_id: at for key_id, at in tombstones(using=using).items() if key_id not in known}
    ledger().add(missing)
    return len(missing)


def tombstones(*, using: str = DEFAULT_DB_ALIAS) -> dict[UUID, datetime]:
    """The keys that a database says were destroyed, and when."""
    rows = DataKey.objects.using(using).exclude(destroyed_at=None).order_by("id").values_list("id", "destroyed_at")
    return {key_id: at for key_id, at in rows if at is not None}


def replay_destroyed_keys(*, actor: Actor, now: datetime) -> int:
    """Destroy again whatever lives and was destroyed, by the ledger or by the log; how many keys that were."""
    wanted = ledger().read() | set(keys_destroyed_in_the_log())
    people: dict[tuple[UUID, UUID | None], list[UUID]] = {}
    for row in _living(wanted, using=DEFAULT_DB_ALIAS):
        people.setdefault((row.clinic_id, row.subject_id), []).append(row.id)
    for (clinic_id, subject_id), key_ids in people.items():
        with transaction.atomic():
            rows = DataKey.objects.filter(id__in=key_ids, destroyed_at=None).order_by("id").select_for_update()
            living = list(rows.values_list("id", flat=True))
            if living:
                destroy_keys(living, subject_id=subject_id, clinic_id=clinic_id, reason=REASON, actor=actor, now=now)
    reconcile_ledger()
    return sum(map(len, people.values()))


def keys_destroyed_in_the_log() -> Iterator[UUID]:
    """The keys whose destruction is an entry of a log that can be read."""
    connection = connections[DEFAULT_DB_ALIAS]
    holds = "position(%s::bytea in leaf) > 0" if connection.vendor == "postgresql" else "instr(leaf, %s) > 0"
    for entry in AuditEntry.objects.extra(where=[holds], params=[DESTRUCTION]).order_by("seq").iterator():  # noqa: S610 - our own words
        leaf = parse_leaf(bytes(entry.leaf))
        for index, part in enumerate(leaf.parts):
            try:
                details = open_part(leaf, index, keyring().by_id(part.key_id)).get("d")
            except (KeyDestroyed, KeyUnavailable, Tampered):
                continue
            keys = details.get("keys") if isinstance(details, dict) else None
            if isinstance(keys, list):
                yield from (UUID(str(key)) for key in keys)


def note_backup(contents: str, *, actor: Actor, now: datetime, outcome: Outcome = Outcome.OK) -> None:
    """Record that a backup was taken, `data` or `keys`; or that it failed."""
    with record(Action.BACKUP_TAKEN, by=actor, now=now, clinic_id=SYSTEM, outcome=outcome, contents=contents):
        pass


def note_restore(
    *, actor: Actor, now: datetime, using: str = DEFAULT_DB_ALIAS, bring: Callable[[], None] = lambda: None
) -> Restored:
    """The step after which a restored log goes on: a new epoch of transaction numbers, and an entry in every log.

    On PostgreSQL transaction numbers start over in another cluster, and the log's order goes by them: entries of the
    new epoch come after all earlier ones. Needs the owner of the tables there. What this machine remembers of
    checkpoints that the backup does not reach is set aside, not forgotten: the entry says how many entries are lost.
    `bring` writes, under these entries, what is still missing of the restored rows.
    """
    connection = connections[using]
    forget_log_numbers()
    # The meta-log has no keys, and takes no entries: its leaves are the checkpoints of the others.
    logs = list(AuditLog.objects.using(using).exclude(clinic_id=META).order_by("id"))
    sizes = {log.id: AuditEntry.objects.using(using).filter(log_id=log.id).count() for log in logs}
    lost = {log.id: _lost(log, using=using) for log in logs}
    with transaction.atomic(using=using):
        epoch = _next_epoch(using)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"ALTER TABLE audit_entry ALTER COLUMN ep SET DEFAULT {epoch:d}")
        drafts = [
            Draft(
                action=Action.LOG_RESTORED,
                clinic_id=log.clinic_id,
                details={"epoch": epoch, "size": sizes[log.id], "lost": lost[log.id]},
            )
            for log in logs
        ]
        with record_many(drafts, by=actor, now=now, using=using) as entry:
            bring()
    damaged = tuple(sequencer_memory().damaged())
    if damaged or any(_lost(log, using=using) for log in AuditLog.objects.using(using).all()):
        sequencer_memory().set_aside(now=now)
    return Restored(epoch=epoch, entries=sum(sizes.values()), lost=sum(lost.values()), entry=entry.id, damaged=damaged)


def transaction_numbers_started_over(*, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Are there entries from transactions that this PostgreSQL has yet to begin? Then it was restored elsewhere."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            # A snapshot ends behind the last transaction that is over: ours, which is not, may stand behind that.
            "SELECT coalesce(max(xid) >= pg_snapshot_xmax(pg_current_snapshot()) "
            "AND max(xid) > coalesce(pg_current_xact_id_if_assigned(), '0'::xid8), false) "
            "FROM audit_entry WHERE ep = %s",
            [_next_epoch(using) - 1],
        )
        return bool(cursor.fetchone()[0])


def _next_epoch(using: str) -> int:
    """One more than any entry has, or the database would give to the next."""
    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(ep), 0) FROM audit_entry")
        highest = int(cursor.fetchone()[0])
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d JOIN pg_attribute a "
                "ON a.attrelid = d.adrelid AND a.attnum = d.adnum "
                "WHERE d.adrelid = 'public.audit_entry'::regclass AND a.attname = 'ep'"
            )
            default = str(cursor.fetchone()[0]).strip("()'").partition("'")[0]
            highest = max(highest, int(default))
    return highest + 1


def _lost(log: AuditLog, *, using: str) -> int:
    try:
        remembered = sequencer_memory().last(origin_of(log.origin))
    except MemoryDamaged:
        return 0
    if remembered is None:
        return 0
    return max(0, remembered.size - AuditLeaf.objects.using(using).filter(log_id=log.id).count())


def _living(key_ids: Iterable[UUID], *, using: str) -> Iterator[DataKey]:
    wanted = sorted(key_ids)
    for start in range(0, len(wanted), AT_ONCE):
        piece = wanted[start : start + AT_ONCE]
        yield from DataKey.objects.using(using).filter(id__in=piece, destroyed_at=None).order_by("id")
