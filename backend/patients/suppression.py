"""The suppression list: addresses that a clinic must not use, known by a keyed hash only, whatever becomes of patients.

Whoever complained, sent STOP or was erased stays on it, also when a file brings their address again. It is asked when
an address comes in, when a message is planned, and at the gate, and is used for nothing else (CNIL, 27 January 2022).
The hash is keyed, because there are few telephone numbers: a plain one is quickly guessed (CNIL, SAN-2020-003).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from backend.audit.actions import Action
from backend.audit.actors import Actor, ActorKind
from backend.audit.recording import Draft, record
from backend.errors import DomainError, NotFound
from backend.patients.entries import record_about_patients
from backend.patients.models import ContactKind, ContactPoint, SuppressedBy, SuppressionEntry
from backend.policy.vocabulary import Channel, ContactStatus
from backend.vault.blind import Indexed, blind_index
from backend.vault.identifiers import new_id

CHANNELS_OF: Final = {
    ContactKind.PHONE: (Channel.SMS, Channel.CALL),
    ContactKind.EMAIL: (Channel.EMAIL,),
    ContactKind.POSTAL: (Channel.LETTER,),
    # A device forgets its token when its owner signs out; the next one who signs in there is somebody else.
    ContactKind.PUSH: (),
}
INDEX_OF: Final = {
    ContactKind.PHONE: Indexed.PHONE,
    ContactKind.EMAIL: Indexed.EMAIL,
    ContactKind.POSTAL: Indexed.POSTAL,
}


class Lifting(StrEnum):
    """Why the data protection officer takes an address off the list."""

    PUT_BY_MISTAKE = "put_by_mistake"
    OWNER_CHANGED = "owner_changed"
    OWNER_ASKED = "owner_asked"


class LiftingRefused(DomainError):
    """An address comes off the list by its owner's new consent, or by the officer who says why; by nothing else."""

    code = "lifting_refused"
    sentence = "Only a new consent of the patient, or the data protection officer, takes an address off the list."


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressed:
    """One address on one channel that may not be used, and since when."""

    channel: Channel
    source: SuppressedBy
    since: datetime


def digest_of(kind: ContactKind, value_index: bytes, *, clinic_id: UUID) -> bytes:
    """What the list holds of an address: a keyed hash of its blind index, so that nothing need be opened to compare.

    Under a key of its own: without it, nobody can tell which contact point a row of the list stands for.
    """
    return blind_index(Indexed.SUPPRESSED, f"{kind.value}|{value_index.hex()}", clinic_id=clinic_id)


def digest_of_value(kind: ContactKind, value: str, *, clinic_id: UUID) -> bytes:
    """The same, of an address in its normal form."""
    return digest_of(kind, blind_index(INDEX_OF[kind], value, clinic_id=clinic_id), clinic_id=clinic_id)


# ------------------------------------------------------------------------------------------------------- questions


def suppressed_points(contact_point_ids: Iterable[UUID]) -> dict[UUID, tuple[Suppressed, ...]]:
    """Which of these contact points may not be used, and on which channels; two queries, however many there are."""
    wanted = set(contact_point_ids)
    if not wanted:
        return {}
    rows = ContactPoint.objects.filter(id__in=wanted).exclude(kind=ContactKind.PUSH)
    points: defaultdict[tuple[UUID, bytes], list[UUID]] = defaultdict(list)
    for point_id, clinic_id, kind, index in rows.values_list("id", "clinic_id", "kind", "value_index"):
        points[clinic_id, digest_of(ContactKind(kind), bytes(index), clinic_id=clinic_id)].append(point_id)
    found: defaultdict[UUID, list[Suppressed]] = defaultdict(list)
    for clinic_id, digest, one in _on_the_list(points):
        for point_id in points[clinic_id, digest]:
            found[point_id].append(one)
    return {point_id: tuple(own) for point_id, own in found.items()}


def suppressed_digests(digests: Iterable[bytes], *, clinic_id: UUID) -> frozenset[bytes]:
    """Which of these are on a clinic's list, on any channel."""
    return frozenset(digest for _clinic, digest, _one in _on_the_list({(clinic_id, digest) for digest in digests}))


def _on_the_list(wanted: Collection[tuple[UUID, bytes]]) -> list[tuple[UUID, bytes, Suppressed]]:
    if not wanted:
        return []
    rows = SuppressionEntry.objects.filter(
        clinic_id__in={clinic_id for clinic_id, _digest in wanted}, digest__in=[digest for _clinic, digest in wanted]
    ).order_by("created_at", "id")
    return [
        (
            row.clinic_id,
            bytes(row.digest),
            Suppressed(channel=Channel(row.channel), source=SuppressedBy(row.source_event), since=row.created_at),
        )
        for row in rows
    ]


# ------------------------------------------------------------------------------------------------------ operations


def suppress_contact(
    *,
    clinic_id: UUID,
    kind: ContactKind,
    value: str,
    channels: Sequence[Channel],
    source: SuppressedBy,
    actor: Actor,
    now: datetime,
) -> tuple[UUID, ...]:
    """Put an address, in its normal form, on the list; the patients of this clinic who have it. Idempotent.

    From when this is committed nothing leaves for it by these channels, whoever the message is for.
    """
    index = blind_index(INDEX_OF[kind], value, clinic_id=clinic_id)
    owners = owners_of_address(kind, index, clinic_id=clinic_id)
    digest = digest_of(kind, index, clinic_id=clinic_id)
    rows = [_row(clinic_id, digest, channel, source, now) for channel in dict.fromkeys(channels)]
    _put(rows, clinic_id=clinic_id, about=owners, source=source, actor=actor, now=now)
    return owners


def suppress_contact_point(
    *,
    clinic_id: UUID,
    contact_point_id: UUID,
    channel: Channel,
    source: SuppressedBy,
    actor: Actor,
    now: datetime,
) -> tuple[UUID, ...]:
    """Put the address of a contact point on the list, also of one that ended since; the patients who have it now.

    Nobody where the list knows no such address: a device forgets its token. Raises NotFound.
    """
    rows = ContactPoint.objects.in_clinic(clinic_id).filter(id=contact_point_id).values_list("kind", "value_index")
    point = rows.first()
    if point is None:
        raise NotFound
    kind, index = ContactKind(point[0]), bytes(point[1])
    if channel not in CHANNELS_OF[kind]:
        return ()
    owners = owners_of_address(kind, index, clinic_id=clinic_id)
    row = _row(clinic_id, digest_of(kind, index, clinic_id=clinic_id), channel, source, now)
    _put([row], clinic_id=clinic_id, about=owners, source=source, actor=actor, now=now)
    return owners


def suppress_contact_points_of(
    *, clinic_id: UUID, patient_id: UUID, source: SuppressedBy, actor: Actor, now: datetime
) -> int:
    """Put a patient's own addresses on the list, in the transaction around; how many rows it had not held before.

    For the erasure of a patient: call it where the keys are destroyed, before the contact points go. Left out is what
    belongs to a representative, and what another patient of the clinic uses too: that person's yes is not ours to
    undo, and the erased patient has no row left that anything could be sent for.
    """
    own = ContactPoint.objects.in_clinic(clinic_id).filter(patient_id=patient_id, representative=None)
    found = {(ContactKind(kind), bytes(index)) for kind, index in own.values_list("kind", "value_index")}
    rows = [
        _row(clinic_id, digest_of(kind, index, clinic_id=clinic_id), channel, source, now)
        for kind, index in sorted(found)
        if set(owners_of_address(kind, index, clinic_id=clinic_id)) <= {patient_id}
        for channel in CHANNELS_OF[kind]
    ]
    wanted = {(clinic_id, bytes(row.digest)) for row in rows}
    before = {(digest, one.channel) for _clinic, digest, one in _on_the_list(wanted)}
    _put(rows, clinic_id=clinic_id, about=(patient_id,), source=source, actor=actor, now=now)
    return len({(bytes(row.digest), Channel(row.channel)) for row in rows} - before)


def lift_suppression(
    *,
    clinic_id: UUID,
    patient_id: UUID,
    contact_point_id: UUID,
    channel: Channel,
    reason: Lifting,
    actor: Actor,
    now: datetime,
) -> None:
    """The data protection officer takes an address off the list, and says why. Raises LiftingRefused, NotFound."""
    if actor.kind is not ActorKind.DPO:
        raise LiftingRefused
    _lift(
        clinic_id=clinic_id,
        patient_id=patient_id,
        contact_point_id=contact_point_id,
        channel=channel,
        reason=reason.value,
        actor=actor,
        now=now,
    )


def lift_for_consent(
    *, clinic_id: UUID, patient_id: UUID, contact_point_id: UUID, channel: Channel, actor: Actor, now: datetime
) -> None:
    """Take an address off the list because its owner said yes anew, themselves, after it was verified once more.

    Raises NotFound where the address is not on the list.
    """
    _lift(
        clinic_id=clinic_id,
        patient_id=patient_id,
        contact_point_id=contact_point_id,
        channel=channel,
        reason="new_consent",
        actor=actor,
        now=now,
    )


def liftable_points(*, patient_id: UUID, channel: Channel) -> tuple[UUID, ...]:
    """A patient's own addresses that a new yes takes off the list: verified by a code since, and nobody else's too.

    What was verified before does not count: whoever sent STOP since may be the next owner of the number.
    """
    rows = ContactPoint.objects.filter(
        patient_id=patient_id,
        ended_at=None,
        representative=None,
        status=ContactStatus.VERIFIED,
        kind__in=[kind for kind, channels in CHANNELS_OF.items() if channel in channels],
    )
    verified = {row.id: row for row in rows.defer("value", "code")}
    return tuple(
        sorted(
            point_id
            for point_id, found in suppressed_points(verified).items()
            for one in found
            if one.channel is channel
            and (at := verified[point_id].confirmed_at) is not None
            and at >= one.since
            and owners_of_address(
                ContactKind(verified[point_id].kind),
                bytes(verified[point_id].value_index),
                clinic_id=verified[point_id].clinic_id,
            )
            == (patient_id,)
        )
    )


def owners_of_address(kind: ContactKind, value_index: bytes, *, clinic_id: UUID) -> tuple[UUID, ...]:
    """The patients of a clinic who are reached there, themselves or through a representative, in a fixed order."""
    rows = ContactPoint.objects.in_clinic(clinic_id).filter(kind=kind, value_index=value_index, ended_at=None)
    return tuple(sorted(set(rows.values_list("patient_id", flat=True))))


def _row(clinic_id: UUID, digest: bytes, channel: Channel, source: SuppressedBy, now: datetime) -> SuppressionEntry:
    return SuppressionEntry(
        id=new_id(), clinic_id=clinic_id, channel=channel, digest=digest, source_event=source, created_at=now
    )


def _put(
    rows: Sequence[SuppressionEntry],
    *,
    clinic_id: UUID,
    about: tuple[UUID, ...],
    source: SuppressedBy,
    actor: Actor,
    now: datetime,
) -> None:
    if not rows:
        return
    draft = Draft(
        action=Action.CONTACT_SUPPRESSED,
        clinic_id=clinic_id,
        about=about,
        details={"channels": sorted({str(row.channel) for row in rows}), "source": source.value},
    )
    with record_about_patients([draft], by=actor, now=now):
        # What stands there already stays as it is: since when, and why first.
        SuppressionEntry.objects.bulk_create(rows, ignore_conflicts=True)


def _lift(
    *,
    clinic_id: UUID,
    patient_id: UUID,
    contact_point_id: UUID,
    channel: Channel,
    reason: str,
    actor: Actor,
    now: datetime,
) -> None:
    point = (
        ContactPoint.objects.in_clinic(clinic_id)
        .filter(id=contact_point_id, patient_id=patient_id, ended_at=None)
        .values_list("kind", "value_index")
        .first()
    )
    if point is None or point[0] == ContactKind.PUSH:
        raise NotFound
    digest = digest_of(ContactKind(point[0]), bytes(point[1]), clinic_id=clinic_id)
    with record(
        Action.SUPPRESSION_LIFTED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=patient_id,
        contact_point=contact_point_id,
        channel=channel.value,
        reason=reason,
    ):
        gone, _by_table = SuppressionEntry.objects.in_clinic(clinic_id).filter(digest=digest, channel=channel).delete()
        if not gone:
            raise NotFound
