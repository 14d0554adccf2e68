"""Objections (GDPR Art. 21): they end what was given, stand against whatever comes, and only the patient ends them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from backend.attempts.operations import drain_attempts
from backend.audit.actions import Action
from backend.audit.actors import Actor, ActorKind
from backend.audit.recording import Draft, record_many
from backend.consent.models import Objection
from backend.consent.operations.expressing import Expression, refuse_missing_evidence
from backend.consent.operations.writing import Writing, drafts_for
from backend.consent.queries import PurposeRow, get_purpose, purposes_of
from backend.errors import InvalidInput, NotFound
from backend.patients.models import OfClinic
from backend.patients.queries import lock_patient, require_patient
from backend.policy.vocabulary import (
    EventKind,
    Method,
    Nature,
    ObjectionScope,
)
from backend.vault.identifiers import new_id

ALL: Final = "all"
ABOUT_THEMSELVES: Final = frozenset({ActorKind.PATIENT, ActorKind.REPRESENTATIVE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Objected:
    """Recorded at once. `confirmed` says that nothing more leaves; else the messages in doubt are named."""

    id: UUID
    confirmed: bool
    already_left: tuple[UUID, ...]
    in_doubt: tuple[UUID, ...]


def object_to(
    *,
    clinic_id: UUID,
    patient_id: UUID,
    scope: ObjectionScope,
    purpose: str | None,
    expression: Expression,
    actor: Actor,
    now: datetime,
) -> Objected:
    """When this returns confirmed, nothing that the patient objects to leaves any more (GDPR Art. 21(2), (3)).

    Needs no reason and no proof, is idempotent, and drains again each time, as a withdrawal does. An objection to all
    direct marketing holds against purposes that are defined later too. Raises InvalidInput, NotFound.
    """
    rows = _objects_of(clinic_id, scope, purpose)
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    events = {(row.id, channel): new_id() for row in rows for channel in row.channels}
    one = rows[0] if scope is ObjectionScope.PURPOSE else None
    objection_id = new_id()
    drafts = [
        Draft(
            action=Action.OBJECTION_MADE,
            clinic_id=clinic_id,
            about=(patient_id,),
            details={"objection": objection_id, "purpose": ALL if one is None else one.slug, "scope": scope.value},
        ),
        *drafts_for(Action.CONSENT_OBJECTED, rows, events, clinic_id=clinic_id, patient_id=patient_id),
    ]
    with record_many(drafts, by=actor, now=now, durable=True):
        lock_patient(clinic_id=clinic_id, patient_id=patient_id)
        standing = _standing(clinic_id, patient_id).filter(scope=scope, purpose_id=None if one is None else one.id)
        if (known := standing.first()) is not None:
            objection_id = known.id
        else:
            Objection.objects.create(
                id=objection_id,
                clinic_id=clinic_id,
                patient_id=patient_id,
                scope=scope,
                purpose_id=None if one is None else one.id,
                method=expression.method,
                expressed_by=expression.speakers(),
                recorded_by=actor.header,
                objected_at=now,
            )
        writing = Writing(clinic_id, patient_id, expression, actor, now)
        writing.write(rows, events, EventKind.OBJECTED)
    # One wait for all of them: however many purposes there are, the answer comes within a lease.
    drained = drain_attempts(
        patient_id=patient_id,
        purposes=[row.slug for row in rows],
        lease=timedelta(seconds=settings.ACCORD_LEASE_SECONDS),
    )
    return Objected(
        id=objection_id,
        confirmed=drained.confirmed,
        already_left=drained.already_left,
        in_doubt=drained.in_doubt,
    )


def take_back_objection(
    *, clinic_id: UUID, patient_id: UUID, objection_id: UUID, expression: Expression, actor: Actor, now: datetime
) -> None:
    """The patient takes an objection back: silence is left, and what they once gave does not come back.

    Staff only take it down with the evidence that a consent would need: nobody but the patient ends an objection.
    Raises EvidenceMissing, InvalidInput, NotFound.
    """
    if actor.kind not in ABOUT_THEMSELVES:
        if expression.method not in {Method.PAPER_FORM, Method.VERBAL}:
            raise InvalidInput("Staff take this down on paper or aloud.", field="method")
        refuse_missing_evidence(expression)
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    found = _standing(clinic_id, patient_id).filter(id=objection_id).select_related("purpose").first()
    if found is None:
        raise NotFound
    slug = None if found.purpose is None else found.purpose.slug
    rows = _objects_of(clinic_id, ObjectionScope(found.scope), slug)
    others = _standing(clinic_id, patient_id).exclude(id=objection_id)
    still = {row.id for row in rows if _covered(others, row)}
    free = [row for row in rows if row.id not in still]
    events = {(row.id, channel): new_id() for row in free for channel in row.channels}
    drafts = [
        Draft(
            action=Action.OBJECTION_TAKEN_BACK,
            clinic_id=clinic_id,
            about=(patient_id,),
            details={"objection": objection_id, "purpose": slug or ALL, "scope": found.scope},
        ),
        *drafts_for(Action.CONSENT_OBJECTION_LIFTED, free, events, clinic_id=clinic_id, patient_id=patient_id),
    ]
    with record_many(drafts, by=actor, now=now):
        lock_patient(clinic_id=clinic_id, patient_id=patient_id)
        row = _standing(clinic_id, patient_id).filter(id=objection_id).first()
        if row is None:
            raise NotFound
        row.lifted_at, row.lifted_by, row.lifted_evidence = now, actor.header, expression.evidence or None
        row.save()
        writing = Writing(clinic_id, patient_id, expression, actor, now)
        writing.write(free, events, EventKind.OBJECTION_LIFTED)


def _standing(clinic_id: UUID, patient_id: UUID) -> OfClinic:
    return Objection.objects.in_clinic(clinic_id).filter(patient_id=patient_id, lifted_at=None)


def _covered(objections: OfClinic, row: PurposeRow) -> bool:
    against = Q(purpose_id=row.id)
    if row.nature is Nature.MARKETING:
        against |= Q(scope=ObjectionScope.DIRECT_MARKETING)
    return bool(objections.filter(against).exists())


def _objects_of(clinic_id: UUID, scope: ObjectionScope, purpose: str | None) -> list[PurposeRow]:
    if scope is ObjectionScope.DIRECT_MARKETING:
        if purpose is not None:
            raise InvalidInput("An objection to all direct marketing names no purpose.", field="purpose")
        return [row for row in purposes_of(clinic_id).values() if row.nature is Nature.MARKETING]
    if purpose is None:
        raise InvalidInput("Name the purpose.", field="purpose")
    row = get_purpose(clinic_id=clinic_id, slug=purpose)
    if not row.requires_consent:
        raise InvalidInput("This is sent only because the person asked for it.", field="purpose")
    return [row]
