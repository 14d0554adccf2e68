"""Checks every entry by itself: written by us, not changed since, and readable or its key destroyed on purpose.

Whether entries are missing or were put in another order is what the tree and its signed checkpoints tell.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hmac import compare_digest
from uuid import UUID

from django.db import connection

from backend.audit.actions import BY_CODE
from backend.audit.genuine import stored_bytes, stored_id
from backend.audit.leaf import Leaf, open_part, parse_leaf
from backend.audit.models import AuditLog
from backend.vault.ciphers import Tampered, mac
from backend.vault.keyring import SYSTEM, KeyDestroyed, KeyUnavailable, Scope, keyring

AT_ONCE = 1_000
NOBODY = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """An entry as its row holds it; `clinic_id` is whose log the row stands in, None where that is not asked."""

    seq: int
    id: UUID
    ts: int
    leaf: bytes
    wmac: bytes
    clinic_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with one entry."""

    seq: int
    what: str


@dataclass(slots=True)
class LogCheck:
    """What a check found."""

    entries: int = 0
    unreadable: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Is every entry as it was written?"""
        return not self.findings


def stored_entries() -> Iterator[StoredEntry]:
    """Every entry of this database, in the order of its rows; streamed."""
    logs = dict(AuditLog.objects.values_list("id", "clinic_id"))
    at = -(1 << 63)
    while True:
        with connection.cursor() as cursor:
            # By hand: in a row that somebody else wrote may stand what no model can read.
            cursor.execute(
                "SELECT seq, log_id, id, ts, leaf, wmac FROM audit_entry WHERE seq > %s ORDER BY seq LIMIT %s",
                [at, AT_ONCE],
            )
            rows = cursor.fetchall()
        for seq, log_id, entry_id, ts, leaf, wmac in rows:
            yield StoredEntry(
                seq=seq,
                id=stored_id(entry_id) or NOBODY,
                ts=ts,
                leaf=stored_bytes(leaf),
                wmac=stored_bytes(wmac),
                # A log that is not there is nobody's: no header names it.
                clinic_id=logs.get(log_id, NOBODY),
            )
        if len(rows) < AT_ONCE:
            return
        at = rows[-1][0]


def check_entries(entries: Iterable[StoredEntry]) -> LogCheck:
    """Check the writer's mark, the framing, the header and the encrypted parts of every entry."""
    writer = keyring().current(clinic_id=SYSTEM, scope=Scope.WRITER_MAC)
    check = LogCheck()
    for entry in entries:
        check.entries += 1
        if not compare_digest(mac(writer.secret, entry.leaf), entry.wmac):
            check.findings.append(Finding(entry.seq, "not_written_by_us_or_changed"))
            continue
        try:
            leaf = parse_leaf(entry.leaf)
            _check_header(leaf, entry)
            readable = _check_parts(leaf)
        except Tampered:
            check.findings.append(Finding(entry.seq, "changed"))
        except KeyUnavailable:
            check.findings.append(Finding(entry.seq, "key_lost_without_record"))
        else:
            check.actions[str(leaf.header["a"])] += 1
            check.unreadable += not readable
    return check


def _check_header(leaf: Leaf, entry: StoredEntry) -> None:
    header = leaf.header
    if header.get("id") != str(entry.id) or header.get("t") != entry.ts or header.get("a") not in BY_CODE:
        raise Tampered
    if entry.clinic_id is not None and header.get("tn") != str(entry.clinic_id):
        raise Tampered


def _check_parts(leaf: Leaf) -> bool:
    readable = True
    for index, part in enumerate(leaf.parts):
        try:
            open_part(leaf, index, keyring().by_id(part.key_id))
        except KeyDestroyed:
            readable = False
    return readable
