"""Verifies one clinic's log on the spot, and compares it with a checkpoint that somebody kept."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.growing import log_key
from backend.audit.models import AuditCheckpoint, AuditLog
from backend.audit.notes import Checkpoint, NoteRefused, VerifyingKey, origin_of
from backend.audit.recording import record
from backend.audit.tree import StoredTree, TreeBroken
from backend.audit.tree_check import TreeFinding, check_trees
from backend.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedLog:
    """A clinic's log as it was signed last, and the key that tells so."""

    log_id: int
    checkpoint: Checkpoint
    note: str
    at: datetime
    key: VerifyingKey


class Fit(StrEnum):
    """How a checkpoint that was kept fits the log."""

    FITS = "fits"
    NOT_A_CHECKPOINT = "not_a_checkpoint"
    OTHER_LOG = "other_log"
    NOT_SIGNED_BY_US = "not_signed_by_us"
    LARGER_THAN_THE_LOG = "larger_than_the_log"
    OTHER_HISTORY = "other_history"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came of comparing; `proof` shows, where it fits, that the log of today begins with that of then."""

    fit: Fit
    size: int | None = None
    proof: tuple[bytes, ...] = ()


# Anybody can send such a text; one that we signed for this log, and that does not fit, says something against the log.
NOT_OF_THIS_LOG: Final = frozenset({Fit.NOT_A_CHECKPOINT, Fit.OTHER_LOG, Fit.NOT_SIGNED_BY_US})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What came of verifying a log."""

    log: SignedLog
    entries: int
    waiting: int
    findings: tuple[TreeFinding, ...]
    comparison: Comparison | None

    @property
    def holds(self) -> bool:
        """Is the log as it was signed, and does it fit what was kept?"""
        return not self.findings and (self.comparison is None or self.comparison.fit is Fit.FITS)

    @property
    def only_met_another(self) -> bool:
        """Is nothing wrong but that what was kept is no checkpoint of this log?"""
        return not self.findings and self.comparison is not None and self.comparison.fit in NOT_OF_THIS_LOG


def get_signed_log(clinic_id: UUID) -> SignedLog:
    """A clinic's log as it was signed last. Raises NotFound where nothing was signed yet."""
    log = AuditLog.objects.filter(clinic_id=clinic_id).first()
    row = AuditCheckpoint.objects.filter(log_id=log.id).order_by("-size").first() if log else None
    if log is None or row is None:
        raise NotFound
    origin = origin_of(log.origin)
    checkpoint = Checkpoint(origin=origin, size=row.size, root=bytes(row.root))
    return SignedLog(log_id=log.id, checkpoint=checkpoint, note=row.note, at=row.at, key=log_key(origin).verifying)


def verify_log(*, clinic_id: UUID, kept: str | None, actor: Actor, now: datetime) -> Verified:
    """Hash every entry anew, and compare with the signed checkpoints and with `kept`, a note. Raises NotFound."""
    log = get_signed_log(clinic_id)
    check = check_trees(list(AuditLog.objects.filter(id=log.log_id)))
    comparison = None if kept is None else _compared(kept, log)
    verified = Verified(
        log=log,
        entries=check.entries,
        waiting=check.waiting,
        findings=tuple(check.findings),
        comparison=comparison,
    )
    result = "holds" if verified.holds else "other_checkpoint" if verified.only_met_another else "does_not_hold"
    with record(Action.LOG_VERIFIED, by=actor, now=now, clinic_id=clinic_id, count=check.entries, result=result):
        pass
    return verified


def _compared(kept: str, log: SignedLog) -> Comparison:
    # As a mail program or an editor may have saved it.
    kept = kept.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}").replace("\r\n", "\n")
    try:
        told = Checkpoint.parse(kept.rpartition("\n\n")[0] + "\n")
    except NoteRefused:
        return Comparison(fit=Fit.NOT_A_CHECKPOINT)
    if told.origin != log.checkpoint.origin:
        return Comparison(fit=Fit.OTHER_LOG, size=told.size)
    try:
        log.key.verify(kept)
    except NoteRefused:
        return Comparison(fit=Fit.NOT_SIGNED_BY_US, size=told.size)
    return _compared_trees(told, log)


def _compared_trees(told: Checkpoint, log: SignedLog) -> Comparison:
    if told.size > log.checkpoint.size:
        return Comparison(fit=Fit.LARGER_THAN_THE_LOG, size=told.size)
    tree = StoredTree(log.log_id, using=DEFAULT_DB_ALIAS)
    try:
        fits = tree.root(told.size) == told.root
        proof = tuple(tree.consistency_proof(told.size, log.checkpoint.size)) if fits else ()
    except TreeBroken:
        fits, proof = False, ()
    return Comparison(fit=Fit.FITS if fits else Fit.OTHER_HISTORY, size=told.size, proof=proof)
