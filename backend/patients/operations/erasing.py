"""Erasing a patient: their keys are destroyed, what finds them by name or address is gone, nothing more leaves."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction

from backend.attempts.operations import drain_attempts
from backend.audit.actions import Action
from backend.audit.actors import Actor, ActorKind
from backend.audit.keys import destroy_subject_keys
from backend.audit.recording import record
from backend.errors import DomainError, NotFound, SecondPersonNeeded
from backend.patients.models import ContactPoint, ErasureRequest, Patient, SuppressedBy
from backend.patients.queries import ErasureRow, find_erasure_request, lock_patient, require_patient
from backend.patients.suppression import suppress_contact_points_of
from backend.policy.vocabulary import ErasureGround
from backend.vault.identifiers import new_id

REASON = "erasure"


class OfficerNeeded(DomainError):
    """What can not be undone for a patient is not done without the data protection officer."""

    code = "officer_needed"
    sentence = "The data protection officer has to confirm this."


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What came of it. `confirmed`: nothing more can leave; else what had left, and what is in doubt.

    `suppressed`: on how many channels of their addresses nothing is sent any more that was before.
    """

    keys: tuple[UUID, ...]
    suppressed: int
    confirmed: bool
    already_left: tuple[UUID, ...]
    in_doubt: tuple[UUID, ...]


def ask_for_erasure(
    *, clinic_id: UUID, patient_id: UUID, ground: ErasureGround, actor: Actor, now: datetime
) -> ErasureRow:
    """Say that a patient is to be erased, and why: nothing happens before somebody else confirms. Idempotent.

    Raises NotFound.
    """
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    request_id = new_id()
    with transaction.atomic():
        lock_patient(clinic_id=clinic_id, patient_id=patient_id)
        standing = find_erasure_request(clinic_id=clinic_id, patient_id=patient_id)
        if standing is not None:
            return standing
        with record(
            Action.PATIENT_ERASURE_ASKED,
            by=actor,
            now=now,
            clinic_id=clinic_id,
            about=patient_id,
            request=request_id,
            ground=ground.value,
        ):
            ErasureRequest.objects.create(
                id=request_id,
                clinic_id=clinic_id,
                patient_id=patient_id,
                ground=ground,
                asked_by=actor.header,
                asked_as=actor.kind,
                asked_at=now,
            )
    return ErasureRow(id=request_id, ground=ground, asked_at=now, asked_by=actor.header, asked_as=actor.kind)


def take_back_erasure(*, clinic_id: UUID, patient_id: UUID, actor: Actor, now: datetime) -> None:
    """The patient is to stay after all; anybody of the clinic may say so. Raises NotFound where nobody asked."""
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    with transaction.atomic():
        lock_patient(clinic_id=clinic_id, patient_id=patient_id)
        standing = find_erasure_request(clinic_id=clinic_id, patient_id=patient_id)
        if standing is None:
            raise NotFound
        with record(
            Action.PATIENT_ERASURE_TAKEN_BACK,
            by=actor,
            now=now,
            clinic_id=clinic_id,
            about=patient_id,
            request=standing.id,
        ):
            ErasureRequest.objects.filter(id=standing.id).update(taken_back_by=actor.header, taken_back_at=now)


def confirm_erasure(*, clinic_id: UUID, patient_id: UUID, request_id: UUID, actor: Actor, now: datetime) -> Erased:
    """A second person agrees, and the patient is erased. One of the two is the data protection officer.

    `request_id` is the request that was read: what was asked anew meanwhile is not confirmed by it. Raises
    SecondPersonNeeded, OfficerNeeded, NotFound.
    """
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    return _erase(clinic_id=clinic_id, patient_id=patient_id, confirming=request_id, actor=actor, now=now)


def erase_patient(*, clinic_id: UUID, patient_id: UUID, actor: Actor, now: datetime) -> Erased:
    """Make everything about a patient unreadable, for everybody and for good (GDPR Art. 17), in one transaction.

    Their own addresses go on the suppression list first. The keyed hashes by which they are found by name and by
    address are gone; those of their identifiers stay, so that the next file does not bring them back. Then it drains,
    as a withdrawal does. Raises NotFound.
    """
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    return _erase(clinic_id=clinic_id, patient_id=patient_id, confirming=None, actor=actor, now=now)


def _erase(*, clinic_id: UUID, patient_id: UUID, confirming: UUID | None, actor: Actor, now: datetime) -> Erased:
    with transaction.atomic(durable=True):
        lock_patient(clinic_id=clinic_id, patient_id=patient_id)
        if confirming is not None:
            _refuse_alone(clinic_id, patient_id, confirming, actor)
        suppressed = suppress_contact_points_of(
            clinic_id=clinic_id, patient_id=patient_id, source=SuppressedBy.ERASURE, actor=actor, now=now
        )
        points = list(ContactPoint.objects.in_clinic(clinic_id).filter(patient_id=patient_id))
        # In the clinic's part: the patient's own key is among those that end here.
        with record(Action.PATIENT_ERASED, by=actor, now=now, clinic_id=clinic_id, contact_points=len(points)):
            for point in points:
                point.value_index = secrets.token_bytes(len(point.value_index))
            ContactPoint.objects.bulk_update(points, ["value_index"])
            if confirming is not None:
                ErasureRequest.objects.filter(id=confirming).update(confirmed_by=actor.header, confirmed_at=now)
            Patient.objects.filter(id=patient_id).update(
                family_name_index=None, source_digest=None, holiday_region="", erased_at=now, updated_at=now
            )
        keys = destroy_subject_keys(subject_id=patient_id, clinic_id=clinic_id, reason=REASON, actor=actor, now=now)
    drained = drain_attempts(patient_id=patient_id, lease=timedelta(seconds=settings.ACCORD_LEASE_SECONDS))
    return Erased(
        keys=keys,
        suppressed=suppressed,
        confirmed=drained.confirmed,
        already_left=drained.already_left,
        in_doubt=drained.in_doubt,
    )


def _refuse_alone(clinic_id: UUID, patient_id: UUID, request_id: UUID, actor: Actor) -> None:
    standing = find_erasure_request(clinic_id=clinic_id, patient_id=patient_id)
    if standing is None or standing.id != request_id:
        raise NotFound
    if standing.asked_by == actor.header:
        raise SecondPersonNeeded
    if ActorKind.DPO not in {standing.asked_as, actor.kind}:
        raise OfficerNeeded
