"""What nobody said, and ends a consent all the same: its date, a new notice, a birthday, the clinic, an officer."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import Draft
from backend.clinics.queries import all_clinics
from backend.consent.models import ConsentEvent, ConsentState
from backend.consent.operations.standing import A_YES, apply_event
from backend.consent.queries import get_purpose, material_changes
from backend.errors import NotFound
from backend.patients.entries import record_about_patients
from backend.patients.queries import lock_patient, lock_patients, require_patient
from backend.policy.vocabulary import Channel, ConsentStatus, EventKind, LegalBasis, Method
from backend.vault.identifiers import new_id

AT_ONCE: Final = 200
ACTION_OF: Final = {
    EventKind.EXPIRED: Action.CONSENT_EXPIRED,
    EventKind.RECONSENT_REQUIRED: Action.CONSENT_RECONSENT_REQUIRED,
    EventKind.ENDED: Action.CONSENT_ENDED,
    EventKind.REVOKED: Action.CONSENT_REVOKED,
    EventKind.INVALIDATED: Action.CONSENT_INVALIDATED,
    EventKind.ENTERED_IN_ERROR: Action.CONSENT_ENTERED_IN_ERROR,
    EventKind.AGE_CORRECTED: Action.CONSENT_AGE_CORRECTED,
}


def end_consents(*, actor: Actor, now: datetime, at_once: int = AT_ONCE) -> int:
    """Turn into events what has ended by itself; how many there were. The gate has treated them as a no all along.

    Idempotent, in batches, each in a transaction of its own; patients about whom somebody is writing wait for the
    next call.
    """
    ended = 0
    for kind, due in _everything_due(now):
        while batch := _end_batch(kind, due, actor=actor, now=now, at_once=at_once):
            ended += batch
    return ended


def _everything_due(now: datetime) -> list[tuple[EventKind, Q]]:
    due = [
        # Of age first: what a guardian said did not run out, it ended.
        (EventKind.ENDED, Q(status__in=A_YES, guardian_until__lte=now)),
        (EventKind.EXPIRED, Q(status=ConsentStatus.GIVEN, valid_until__lte=now)),
        # Nobody confirmed it in time: silence.
        (EventKind.EXPIRED, Q(status=ConsentStatus.PENDING, valid_until__lte=now)),
    ]
    for clinic_id, changes in material_changes({clinic.id for clinic in all_clinics()}).items():
        newest = max((change.version for change in changes if change.effective_from <= now), default=0)
        if newest:
            due.append(
                (
                    EventKind.RECONSENT_REQUIRED,
                    Q(status__in=A_YES, clinic_id=clinic_id, notice_version__lt=newest),
                )
            )
    return due


def _end_batch(kind: EventKind, due: Q, *, actor: Actor, now: datetime, at_once: int) -> int:
    with transaction.atomic():
        found = ConsentState.objects.filter(due).order_by("patient_id")
        patients = lock_patients(list(found.values_list("patient_id", flat=True)[:at_once]))
        # Looked at again behind the locks: somebody may have said something.
        states = list(found.filter(patient_id__in=patients).select_related("purpose", "last_event", "standing_event"))
        if not states:
            return 0
        write_events(states, kind=kind, method=Method.SYSTEM, actor=actor, now=now)
    return len(states)


def write_events(
    states: Sequence[ConsentState],
    *,
    kind: EventKind,
    method: Method,
    actor: Actor,
    now: datetime,
    reason: str = "",
    about: Callable[[ConsentState], UUID | None] = lambda _state: None,
    confirmed_by: str = "",
    guardian_until: Callable[[ConsentState], datetime | None] = lambda _state: None,
) -> dict[UUID, UUID]:
    """One event of this kind for each of these streams, and the states that follow; the ids of events by state.

    Opens its own `record`. Behind the locks of the patients only.
    """
    ids = {state.id: new_id() for state in states}
    drafts = [
        Draft(
            action=ACTION_OF[kind],
            clinic_id=state.clinic_id,
            about=(state.patient_id,),
            details={"purpose": state.purpose.slug, "channel": state.channel, "event": ids[state.id]},
        )
        for state in states
    ]
    with record_about_patients(drafts, by=actor, now=now):
        for state in states:
            event = ConsentEvent.objects.create(
                id=ids[state.id],
                clinic_id=state.clinic_id,
                patient_id=state.patient_id,
                purpose_id=state.purpose_id,
                channel=state.channel,
                number=state.last_event.number + 1,
                kind=kind,
                method=method,
                legal_basis=LegalBasis.CONSENT,
                occurred_at=now,
                recorded_at=now,
                guardian_until=guardian_until(state),
                reason=reason,
                about_id=about(state),
                confirmed_by=confirmed_by,
                recorded_by=actor.header,
            )
            apply_event(state, event)
    return ids


def revoke_consents(
    *,
    clinic_id: UUID,
    patient_id: UUID,
    purpose: str,
    channels: Sequence[Channel],
    reason: str,
    actor: Actor,
    now: datetime,
) -> int:
    """The clinic no longer relies upon a yes (it gave the purpose up, say); how many ended."""
    return _end_for(
        EventKind.REVOKED,
        clinic_id=clinic_id,
        patient_id=patient_id,
        purpose=purpose,
        channels=channels,
        reason=reason,
        actor=actor,
        now=now,
    )


def invalidate_consents(
    *,
    clinic_id: UUID,
    patient_id: UUID,
    purpose: str,
    channels: Sequence[Channel],
    reason: str,
    actor: Actor,
    now: datetime,
) -> int:
    """The data protection officer finds that a yes was not properly collected; how many ended."""
    return _end_for(
        EventKind.INVALIDATED,
        clinic_id=clinic_id,
        patient_id=patient_id,
        purpose=purpose,
        channels=channels,
        reason=reason,
        actor=actor,
        now=now,
    )


def _end_for(
    kind: EventKind,
    *,
    clinic_id: UUID,
    patient_id: UUID,
    purpose: str,
    channels: Sequence[Channel],
    reason: str,
    actor: Actor,
    now: datetime,
) -> int:
    row = get_purpose(clinic_id=clinic_id, slug=purpose)
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    with transaction.atomic():
        lock_patient(clinic_id=clinic_id, patient_id=patient_id)
        states = list(
            ConsentState.objects.in_clinic(clinic_id)
            .filter(patient_id=patient_id, purpose_id=row.id, channel__in=list(channels), status__in=A_YES)
            .select_related("purpose", "last_event", "standing_event")
        )
        if not states:
            raise NotFound("There is no consent here that could end.", field="purpose")
        write_events(states, kind=kind, method=Method.SYSTEM, actor=actor, now=now, reason=reason)
    return len(states)
