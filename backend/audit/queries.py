"""Questions about the log. What an entry says is opened under an entry of its own: looking at the log is logged."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, cast
from uuid import UUID

from django.db import connection

from backend.audit.actions import BY_CODE
from backend.audit.leaf import Canonical, Leaf, open_part, parse_leaf
from backend.audit.models import AuditEntry, AuditLog, DataKey
from backend.audit.recording import Entry, Outcome
from backend.policy.vocabulary import Language
from backend.vault.ciphers import Tampered
from backend.vault.fields import NotRecorded
from backend.vault.keyring import KeyDestroyed, KeyUnavailable, Scope, keyring

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LOOKED_UP_AT_ONCE: Final = 500
LAST_SEQ: Final = 2**63 - 1
KINDS: Final = {"u": "staff", "p": "patient", "r": "representative", "svc": "system", "sys": "system"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """An entry as it stands in the log, nothing decrypted."""

    seq: int
    id: UUID
    clinic_id: UUID
    leaf: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedPart:
    """What an entry says about one of those concerned; or why that can not be read."""

    subject_id: UUID | None = None
    actor_id: UUID | None = None
    details: dict[str, object] = field(default_factory=dict)
    unreadable_because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedEntry:
    """An entry, decrypted as far as keys are there."""

    seq: int
    id: UUID
    at: datetime
    code: str
    outcome: Outcome
    happened_to: str
    actor_kind: str
    pseudonym: str
    request_id: str
    parts: tuple[OpenedPart, ...]

    def sentence(self, part: OpenedPart, language: Language) -> str:
        """What happened, for people; `•••` stands for what can not be read."""
        action = BY_CODE.get(self.code)
        return self.code if action is None else action.sentence(language, part.details)


def entries_of(*, clinic_id: UUID, before: int | None, limit: int) -> list[StoredEntry]:
    """A page of a clinic's log, the newest first."""
    number = AuditLog.objects.filter(clinic_id=clinic_id).values_list("id", flat=True).first()
    if number is None:
        return []
    rows = AuditEntry.objects.filter(log_id=number).order_by("-seq")
    if before is not None:
        rows = rows.filter(seq__lt=before)
    return [
        StoredEntry(seq=seq, id=entry_id, clinic_id=clinic_id, leaf=bytes(leaf))
        for seq, entry_id, leaf in rows.values_list("seq", "id", "leaf")[:limit]
    ]


def entries_about(*, clinic_id: UUID, patient_id: UUID, before: int | None, limit: int) -> list[StoredEntry]:
    """A page of what a clinic's log says about one patient, the newest first: who saw the record, and what was done.

    Entries have their place within seconds; one that has none yet is not found. Nothing is found of a patient whose
    keys were destroyed: nobody can tell any more which entries were about them.
    """
    keys = DataKey.objects.filter(clinic_id=clinic_id, subject_id=patient_id, scope=Scope.AUDIT)
    number = AuditLog.objects.filter(clinic_id=clinic_id).values_list("id", flat=True).first()
    key = keys.values_list("id", flat=True).first()
    if key is None or number is None:
        return []
    with connection.cursor() as cursor:
        # From the patient's key on, in one go: an entry of a long log is never looked at for its absence.
        cursor.execute(
            "SELECT e.seq, e.id, e.leaf FROM audit_part p "
            "JOIN audit_leaf l ON l.log_id = p.log_id AND l.idx = p.idx JOIN audit_entry e ON e.seq = l.entry_seq "
            "WHERE p.key_id = %s AND p.log_id = %s AND e.seq < %s ORDER BY e.seq DESC LIMIT %s",
            [
                key if connection.vendor == "postgresql" else key.hex,
                number,
                LAST_SEQ if before is None else before,
                limit,
            ],
        )
        return [
            StoredEntry(seq=seq, id=UUID(str(entry_id)), clinic_id=clinic_id, leaf=bytes(leaf))
            for seq, entry_id, leaf in cursor.fetchall()
        ]


def forget_destroyed(key_ids: Iterable[UUID]) -> None:
    """Drop from this process's memory those of these keys that were destroyed, also by another process a moment ago."""
    wanted = list(key_ids)
    for start in range(0, len(wanted), LOOKED_UP_AT_ONCE):
        piece = wanted[start : start + LOOKED_UP_AT_ONCE]
        gone = DataKey.objects.filter(id__in=piece, destroyed_at__isnull=False).values_list("id", flat=True)
        keyring().forget(gone)


def open_entries(stored: Sequence[StoredEntry], *, entry: Entry) -> list[OpenedEntry]:
    """Decrypt entries under an entry that says that this clinic's log is looked at. Raises NotRecorded.

    A part whose key was destroyed, is missing, or does not fit shows as unreadable; no entry hides the others.
    """
    if not all(entry.covers(clinic_id=one.clinic_id, subject_id=None) for one in stored):
        raise NotRecorded
    leaves = [(one, _leaf(one)) for one in stored]
    needed = {part.key_id for _, leaf in leaves if leaf is not None for part in leaf.parts}
    forget_destroyed(needed)
    keyring().prefetch(needed)
    return [_opened(one, leaf) if leaf is not None else _illegible(one) for one, leaf in leaves]


def _leaf(stored: StoredEntry) -> Leaf | None:
    try:
        leaf = parse_leaf(stored.leaf)
    except Tampered:
        return None
    # A row that was moved into this log from another clinic's is not opened for whoever looks at this one.
    is_its_own = (leaf.header["id"], leaf.header["tn"]) == (str(stored.id), str(stored.clinic_id))
    return leaf if is_its_own else None


def _opened(stored: StoredEntry, leaf: Leaf) -> OpenedEntry:
    header = leaf.header
    kind, _, pseudonym = str(header["ac"]).partition(":")
    return OpenedEntry(
        seq=stored.seq,
        id=UUID(str(header["id"])),
        at=EPOCH + timedelta(microseconds=cast("int", header["t"])),
        code=str(header["a"]),
        outcome=Outcome(str(header["o"])),
        happened_to=str(header["ot"]),
        actor_kind=KINDS.get(kind, kind),
        pseudonym=pseudonym,
        request_id=str(header.get("cid", "")),
        parts=tuple(_opened_parts(leaf)),
    )


def _opened_parts(leaf: Leaf) -> Iterable[OpenedPart]:
    for index, part in enumerate(leaf.parts):
        try:
            content = open_part(leaf, index, keyring().by_id(part.key_id))
        except KeyDestroyed:
            yield OpenedPart(unreadable_because="key_destroyed")
        except KeyUnavailable:
            yield OpenedPart(unreadable_because="key_missing")
        except Tampered:
            yield OpenedPart(unreadable_because="tampered")
        else:
            yield OpenedPart(
                subject_id=_id(content.get("s")),
                actor_id=_id(content.get("by")),
                details=dict(cast("dict[str, object]", content.get("d", {}))),
            )


def _illegible(stored: StoredEntry) -> OpenedEntry:
    return OpenedEntry(
        seq=stored.seq,
        id=stored.id,
        at=EPOCH,
        code="unreadable",
        outcome=Outcome.ERROR,
        happened_to="log",
        actor_kind="",
        pseudonym="",
        request_id="",
        parts=(OpenedPart(unreadable_because="tampered"),),
    )


def _id(value: Canonical) -> UUID | None:
    return None if value is None else UUID(str(value))
