"""Four ways to make one entry of the log disappear, each tried on a copy, and whether it was found."""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID
from zipfile import ZipFile

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from backend.audit.actions import Action
from backend.audit.leaf import parse_leaf
from backend.audit.models import AuditEntry, AuditLog
from backend.audit.sequencing import Place, find_place
from backend.audit.tree_check import TreeCheck, check_trees
from backend.audit.verification import LogCheck, StoredEntry, check_entries
from demo.officer import INVALID, VALID, Officer, ask_verifier

COPY: Final = "copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """The entry that somebody would rather not have in the log, and where it stands."""

    seq: int
    id: UUID
    leaf: bytes
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What was tried, and what the check said; `found` only if it said the right thing."""

    tried: str
    found: bool
    told: str


def find_victim(clinic_id: UUID, action: Action) -> Victim:
    """The last entry of this kind in a clinic's log, which has its place already."""
    log = AuditLog.objects.get(clinic_id=clinic_id)
    for row in AuditEntry.objects.filter(log_id=log.id).order_by("-seq").iterator():
        leaf = bytes(row.leaf)
        if parse_leaf(leaf).header["a"] == action.spec.code:
            place = find_place(row.id)
            if place is not None:
                return Victim(seq=row.seq, id=row.id, leaf=leaf, place=place)
    raise LookupError(action)


def change_entry(victim: Victim) -> Attempt:
    """Change one bit of it in the database: its writer's mark no longer fits."""

    def change(copy: sqlite3.Connection) -> None:
        copy.execute("UPDATE audit_entry SET leaf = ? WHERE seq = ?", [_flipped(victim.leaf), victim.seq])

    with _copy_of_database(change) as path:
        entries = _check_entries(path)
    return Attempt(
        tried="one bit of it is changed in the database",
        found=[finding.seq for finding in entries.findings] == [victim.seq],
        told="; ".join(f"row {finding.seq} of audit_entry: {finding.what}" for finding in entries.findings),
    )


def delete_entry(victim: Victim) -> Attempt:
    """Delete it and close the gap: every entry that is left is genuine, but no signed root fits any more."""
    log_id, index = victim.place.log_id, victim.place.index

    def delete(copy: sqlite3.Connection) -> None:
        copy.execute("DELETE FROM audit_entry WHERE seq = ?", [victim.seq])
        copy.execute("DELETE FROM audit_leaf WHERE log_id = ? AND idx = ?", [log_id, index])
        copy.execute("UPDATE audit_leaf SET idx = -idx WHERE log_id = ? AND idx > ?", [log_id, index])
        copy.execute("UPDATE audit_leaf SET idx = -idx - 1 WHERE log_id = ? AND idx < 0", [log_id])

    with _copy_of_database(delete) as path:
        entries, trees = _check_entries(path), _check_tree(path, log_id)
    wrong = [finding.index + 1 for finding in trees.findings if finding.what == "root_wrong" and finding.index]
    return Attempt(
        tried="it is deleted from the database, and the gap closed",
        found=entries.holds and len(wrong) > 0 and min(wrong) > index,
        told=f"each entry left is genuine, but the root that was signed over the first {min(wrong)} is another."
        if wrong
        else "",
    )


def flip_bundle(victim: Victim, officer: Officer) -> Attempt:
    """Flip one bit of it in the bundle: the verifier names it."""
    with tempfile.TemporaryDirectory() as folder:
        flipped = Path(folder) / officer.bundle.name
        with ZipFile(officer.bundle) as original, ZipFile(flipped, "w") as copy:
            for member in original.infolist():
                # Packed anew, so that the zip's own checksum is right: it protects from accidents, not from people.
                copy.writestr(member, original.read(member).replace(victim.leaf, _flipped(victim.leaf)))
        verdict = ask_verifier(flipped)
    named = [finding for finding in verdict.document["findings"] if finding["entry"] is not None]
    return Attempt(
        tried="one bit of it is changed in the file that was handed over",
        found=verdict.exit_code == INVALID and {finding["entry"] for finding in named} == {victim.place.index},
        told=named[0]["sentence"] if named else verdict.first_finding,
    )


def roll_back(officer: Officer) -> Attempt:
    """Hand over the log as it was before: valid in itself, but shorter than the checkpoint that was kept."""
    alone = ask_verifier(officer.earlier_bundle)
    compared = ask_verifier(officer.earlier_bundle, "--checkpoint", officer.checkpoint)
    return Attempt(
        tried="the log is handed over as it was before",
        found=alone.exit_code == VALID
        and compared.exit_code == INVALID
        and [pin["ok"] for pin in compared.document["pinned"]] == [False],
        told=compared.first_finding,
    )


def _flipped(leaf: bytes) -> bytes:
    return leaf[:-1] + bytes([leaf[-1] ^ 1])


@contextmanager
def _copy_of_database(tamper: Callable[[sqlite3.Connection], None]) -> Iterator[Path]:
    """A copy that somebody who owns the file did this to."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "copy.sqlite3"
        with (
            closing(sqlite3.connect(str(settings.DATABASES[DEFAULT_DB_ALIAS]["NAME"]))) as original,
            closing(sqlite3.connect(path)) as copy,
        ):
            original.backup(copy)
            # Whoever owns the file can drop the triggers; that is why the log protects itself.
            for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                copy.execute(f'DROP TRIGGER "{name}"')
            tamper(copy)
            copy.commit()
        yield path


def _check_entries(path: Path) -> LogCheck:
    with closing(sqlite3.connect(path)) as copy:
        rows = copy.execute("SELECT seq, id, ts, leaf, wmac FROM audit_entry ORDER BY seq")
        return check_entries(
            StoredEntry(seq=seq, id=UUID(entry_id), ts=ts, leaf=bytes(leaf), wmac=bytes(wmac))
            for seq, entry_id, ts, leaf, wmac in rows
        )


def _check_tree(path: Path, log_id: int) -> TreeCheck:
    connections.databases[COPY] = {**connections.databases[DEFAULT_DB_ALIAS], "NAME": str(path)}
    try:
        return check_trees(list(AuditLog.objects.using(COPY).filter(id=log_id)), using=COPY)
    finally:
        connections[COPY].close()
        with suppress(AttributeError):
            del connections[COPY]
        del connections.databases[COPY]
