"""What carriers tell afterwards: a complaint withdraws, a hard bounce does not."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from backend.audit.actors import Actor, system_actor
from backend.errors import NotFound
from backend.messaging.models import Message
from backend.messaging.operations.leaving import AT_A_HOOK, withdraw_everything
from backend.patients.models import SuppressedBy
from backend.patients.operations.contact_points import BOUNCED, note_bounced
from backend.patients.queries import patients_by_id
from backend.patients.suppression import suppress_contact_point
from backend.policy.vocabulary import Channel, Method


@dataclass(frozen=True, slots=True, kw_only=True)
class Complained:
    """What came of a complaint: whose messages it stopped, and whether something may still arrive."""

    patients: tuple[UUID, ...]
    confirmed: bool


def take_complaint(*, clinic_id: UUID, message_id: UUID, now: datetime, actor: Actor | None = None) -> Complained:
    """Somebody reported a message of ours as unwanted: a withdrawal of everything by that channel. Idempotent.

    The address is suppressed first, so that nothing leaves for it from then on; then every patient who has it withdraws
    whatever needs consent there: who it was can not be known. Raises NotFound.
    """
    return _leave(clinic_id, message_id, because=SuppressedBy.COMPLAINT, now=now, actor=actor)


def take_carrier_stop(*, clinic_id: UUID, message_id: UUID, now: datetime, actor: Actor | None = None) -> Complained:
    """The recipient said STOP to the carrier itself, which tells us when it refuses: as if they had said it to us.

    Idempotent. Raises NotFound.
    """
    return _leave(clinic_id, message_id, because=SuppressedBy.STOP, now=now, actor=actor)


def _leave(
    clinic_id: UUID, message_id: UUID, *, because: SuppressedBy, now: datetime, actor: Actor | None
) -> Complained:
    actor = actor or system_actor("carrier_feedback")
    message, contact_point_id = _message(clinic_id, message_id)
    channel = Channel(message.channel)
    owners = suppress_contact_point(
        clinic_id=clinic_id,
        contact_point_id=contact_point_id,
        channel=channel,
        source=because,
        actor=actor,
        now=now,
    )
    # A device forgets its token when its owner signs out: what is known then is whom the message was for.
    patients = [one for one, facts in patients_by_id(owners or (message.patient_id,)).items() if not facts.is_erased]
    confirmed = True
    for patient_id in sorted(patients):
        done = withdraw_everything(
            clinic_id=clinic_id,
            patient_id=patient_id,
            channel=channel,
            method=Method.CARRIER_FEEDBACK,
            actor=actor,
            now=now,
            patience=AT_A_HOOK,
        )
        confirmed = confirmed and done.confirmed
    return Complained(patients=tuple(sorted(patients)), confirmed=confirmed)


def take_hard_bounce(*, clinic_id: UUID, message_id: UUID, now: datetime, actor: Actor | None = None) -> None:
    """The carrier says that the address is no more: it is used again once it was verified anew. No consent ends by it.

    Idempotent. Raises NotFound.
    """
    message, contact_point_id = _message(clinic_id, message_id)
    note_bounced(
        clinic_id=clinic_id,
        patient_id=message.patient_id,
        contact_point_id=contact_point_id,
        reason=BOUNCED,
        actor=actor or system_actor("carrier_feedback"),
        now=now,
    )


def _message(clinic_id: UUID, message_id: UUID) -> tuple[Message, UUID]:
    message: Message | None = Message.objects.in_clinic(clinic_id).filter(id=message_id).defer("sent_text").first()
    if message is None or message.contact_point_id is None:
        raise NotFound
    return message, message.contact_point_id
