"""Who may act for a patient, for what and until when; and what an adolescent keeps from their parents."""

import secrets
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import record
from backend.clinics.queries import get_clinic
from backend.errors import InvalidInput, NotFound
from backend.patients.models import Representative
from backend.patients.queries import lock_patient, require_patient
from backend.policy.vocabulary import RepresentationKind, RepresentationScope
from backend.vault.identifiers import new_id


def add_representative(
    *,
    clinic_id: UUID,
    patient_id: UUID,
    family_name: str,
    given_names: Sequence[str],
    relationship: str,
    kind: RepresentationKind,
    scope: frozenset[RepresentationScope],
    starts_on: date | None,
    ends_on: date | None,
    proof: dict[str, Any],
    patient_agrees: bool,
    actor: Actor,
    now: datetime,
) -> UUID:
    """Enter somebody who acts for a patient, whom no file names, with the right that was shown; their id.

    Raises what `set_representation` raises.
    """
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    representative_id = new_id()
    with transaction.atomic():
        lock_patient(clinic_id=clinic_id, patient_id=patient_id)
        with record(
            Action.REPRESENTATIVE_RECORDED,
            by=actor,
            now=now,
            clinic_id=clinic_id,
            about=patient_id,
            representative=representative_id,
            relationship=relationship,
        ):
            Representative.objects.create(
                id=representative_id,
                clinic_id=clinic_id,
                patient_id=patient_id,
                # No file will name them by this.
                source_index=secrets.token_bytes(32),
                relationship=relationship,
                family_name=family_name,
                given_names=list(given_names),
            )
        set_representation(
            clinic_id=clinic_id,
            patient_id=patient_id,
            representative_id=representative_id,
            kind=kind,
            scope=scope,
            starts_on=starts_on,
            ends_on=ends_on,
            proof=proof,
            patient_agrees=patient_agrees,
            actor=actor,
            now=now,
        )
    return representative_id


def set_representation(
    *,
    clinic_id: UUID,
    patient_id: UUID,
    representative_id: UUID,
    kind: RepresentationKind,
    scope: frozenset[RepresentationScope],
    starts_on: date | None,
    ends_on: date | None,
    proof: dict[str, Any],
    patient_agrees: bool,
    actor: Actor,
    now: datetime,
) -> None:
    """Say by what right somebody acts for a patient, for what, and from when until when (both days included).

    A carer acts by the patient's own word, and by nothing else; any other right is shown by a proof, which is sealed.
    Raises InvalidInput, NotFound.
    """
    if starts_on is not None and ends_on is not None and ends_on < starts_on:
        raise InvalidInput("It ends before it begins.", field="ends_on")
    if kind is RepresentationKind.CARER and not patient_agrees:
        raise InvalidInput("A carer needs the patient's own agreement.", field="patient_agrees")
    if kind is not RepresentationKind.CARER and not proof:
        raise InvalidInput("Say what was shown.", field="proof")
    with record(
        Action.REPRESENTATION_CHANGED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=patient_id,
        representative=representative_id,
        fields=["kind", "scope", "starts_on", "ends_on", "proof"],
    ):
        row = _locked(clinic_id, patient_id, representative_id)
        row.kind, row.scope = kind, sorted(scope)
        row.starts_on, row.ends_on = starts_on, ends_on
        row.proof, row.proof_checked_by, row.proof_checked_at = proof or None, actor.header, now
        row.agreed_at = now if patient_agrees else None
        row.save()


def end_representation(
    *, clinic_id: UUID, patient_id: UUID, representative_id: UUID, actor: Actor, now: datetime
) -> None:
    """Somebody no longer acts for a patient, from now on. Idempotent. Raises NotFound."""
    today = now.astimezone(ZoneInfo(get_clinic(clinic_id).time_zone)).date()
    with record(
        Action.REPRESENTATION_CHANGED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=patient_id,
        representative=representative_id,
        fields=["ends_on"],
    ):
        row = _locked(clinic_id, patient_id, representative_id)
        # The last day is part of it, so the last one was yesterday.
        last = min(today - timedelta(days=1), row.ends_on or date.max)
        row.ends_on, row.starts_on = last, None if row.starts_on is None else min(row.starts_on, last)
        row.proof_checked_by, row.proof_checked_at = actor.header, now
        row.save()


def hide_purposes(
    *,
    clinic_id: UUID,
    patient_id: UUID,
    representative_id: UUID,
    purposes: Sequence[str],
    actor: Actor,
    now: datetime,
) -> None:
    """Keep these purposes (`*`: all) from a representative: no message about them goes there any more (CSP, L.1111-5).

    The patient's to decide; an empty list takes it back. Raises NotFound.
    """
    with record(
        Action.REPRESENTATION_CHANGED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=patient_id,
        representative=representative_id,
        fields=["hidden_purposes"],
    ):
        row = _locked(clinic_id, patient_id, representative_id)
        row.hidden_purposes = sorted(set(purposes))
        row.save()


def _locked(clinic_id: UUID, patient_id: UUID, representative_id: UUID) -> Representative:
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    lock_patient(clinic_id=clinic_id, patient_id=patient_id)
    found = Representative.objects.in_clinic(clinic_id).filter(id=representative_id, patient_id=patient_id)
    row: Representative | None = found.first()
    if row is None:
        raise NotFound
    return row
