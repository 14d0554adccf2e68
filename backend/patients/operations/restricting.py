"""Restriction (GDPR Art. 18): everything but storage is frozen, from the moment at which this returns."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.conf import settings

from backend.attempts.operations import drain_attempts
from backend.audit.actions import Action
from backend.audit.actors import Actor, ActorKind
from backend.audit.recording import record
from backend.errors import InvalidInput, NotFound
from backend.patients.models import Patient, Restriction
from backend.patients.queries import find_restriction, lock_patient, require_patient
from backend.policy.vocabulary import LiftingReason, RestrictionGround
from backend.vault.identifiers import new_id

ABOUT_THEMSELVES = frozenset({ActorKind.PATIENT, ActorKind.REPRESENTATIVE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Restricted:
    """Recorded at once. `confirmed` says that nothing more leaves; else the messages in doubt are named."""

    id: UUID
    confirmed: bool
    already_left: tuple[UUID, ...]
    in_doubt: tuple[UUID, ...]


def restrict_processing(
    *, clinic_id: UUID, patient_id: UUID, ground: RestrictionGround, actor: Actor, now: datetime
) -> Restricted:
    """When this returns confirmed, nothing leaves for this patient any more but what they ask for themselves.

    Idempotent, and drains again each time, as a withdrawal does. Raises NotFound.
    """
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    restriction_id = new_id()
    with record(
        Action.PATIENT_RESTRICTED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=patient_id,
        durable=True,
        restriction=restriction_id,
        ground=ground.value,
    ):
        lock_patient(clinic_id=clinic_id, patient_id=patient_id)
        standing = find_restriction(clinic_id=clinic_id, patient_id=patient_id)
        if standing is not None:
            restriction_id = standing.id
        else:
            Restriction.objects.create(
                id=restriction_id,
                clinic_id=clinic_id,
                patient_id=patient_id,
                ground=ground,
                recorded_by=actor.header,
                restricted_at=now,
            )
            Patient.objects.filter(id=patient_id).update(restricted_at=now)
    drained = drain_attempts(patient_id=patient_id, lease=timedelta(seconds=settings.ACCORD_LEASE_SECONDS))
    return Restricted(
        id=restriction_id,
        confirmed=drained.confirmed,
        already_left=drained.already_left,
        in_doubt=drained.in_doubt,
    )


def lift_restriction(
    *,
    clinic_id: UUID,
    patient_id: UUID,
    because: LiftingReason,
    informed_on: date | None,
    actor: Actor,
    now: datetime,
) -> None:
    """Let processing go on as before: what the patient had said stands as it stood.

    Where its ground is gone, the patient was told beforehand, on the day that is named (Art. 18(3)). Raises
    InvalidInput, NotFound where there is no restriction.
    """
    if because is LiftingReason.GROUND_ENDED:
        if actor.kind in ABOUT_THEMSELVES:
            raise InvalidInput("Whether the ground is gone is for the clinic to say.", field="because")
        if informed_on is None or informed_on > now.date():
            raise InvalidInput("Say on which day the patient was told.", field="informed_on")
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    with record(
        Action.PATIENT_RESTRICTION_LIFTED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=patient_id,
        because=because.value,
    ):
        lock_patient(clinic_id=clinic_id, patient_id=patient_id)
        row = find_restriction(clinic_id=clinic_id, patient_id=patient_id)
        if row is None:
            raise NotFound
        row.lifted_at, row.lifted_by, row.lifted_because = now, actor.header, because
        row.informed_on = informed_on
        row.save()
        Patient.objects.filter(id=patient_id).update(restricted_at=None)
