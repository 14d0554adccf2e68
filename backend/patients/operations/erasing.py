"""Erasing a patient: their keys are destroyed, what finds them by name or address is gone, nothing more leaves."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction

from backend.attempts.operations import drain_attempts
from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.keys import destroy_subject_keys
from backend.audit.recording import record
from backend.patients.models import ContactPoint, Patient, SuppressedBy
from backend.patients.queries import lock_patient, require_patient
from backend.patients.suppression import suppress_contact_points_of

REASON = "erasure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What came of it. `confirmed`: nothing more can leave; else what had left, and what is in doubt."""

    keys: tuple[UUID, ...]
    confirmed: bool
    already_left: tuple[UUID, ...]
    in_doubt: tuple[UUID, ...]


def erase_patient(*, clinic_id: UUID, patient_id: UUID, actor: Actor, now: datetime) -> Erased:
    """Make everything about a patient unreadable, for everybody and for good (GDPR Art. 17), in one transaction.

    Their own addresses go on the suppression list first. The keyed hashes by which they are found by name and by
    address are gone; those of their identifiers stay, so that the next file does not bring them back. Then it drains,
    as a withdrawal does. Raises NotFound.
    """
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    with transaction.atomic(durable=True):
        lock_patient(clinic_id=clinic_id, patient_id=patient_id)
        suppress_contact_points_of(
            clinic_id=clinic_id, patient_id=patient_id, source=SuppressedBy.ERASURE, actor=actor, now=now
        )
        points = list(ContactPoint.objects.in_clinic(clinic_id).filter(patient_id=patient_id))
        # In the clinic's part: the patient's own key is among those that end here.
        with record(Action.PATIENT_ERASED, by=actor, now=now, clinic_id=clinic_id, contact_points=len(points)):
            for point in points:
                point.value_index = secrets.token_bytes(len(point.value_index))
            ContactPoint.objects.bulk_update(points, ["value_index"])
            Patient.objects.filter(id=patient_id).update(
                family_name_index=None, source_digest=None, holiday_region="", erased_at=now, updated_at=now
            )
        keys = destroy_subject_keys(subject_id=patient_id, clinic_id=clinic_id, reason=REASON, actor=actor, now=now)
    drained = drain_attempts(patient_id=patient_id, lease=timedelta(seconds=settings.ACCORD_LEASE_SECONDS))
    return Erased(keys=keys, confirmed=drained.confirmed, already_left=drained.already_left, in_doubt=drained.in_doubt)
