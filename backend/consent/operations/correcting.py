"""A slip of the staff is put right by two of them: one reports it, another confirms it (four eyes)."""

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import record
from backend.consent.models import ConsentEvent, ConsentState, ErrorReport
from backend.consent.operations.ending import write_events
from backend.errors import InvalidInput, NotFound, SecondPersonNeeded
from backend.patients.queries import lock_patient, require_patient
from backend.policy.vocabulary import EventKind, Method

MAY_BE_A_SLIP: Final = frozenset(
    {EventKind.PENDING, EventKind.GIVEN, EventKind.RENEWED, EventKind.REFUSED, EventKind.WITHDRAWN}
)
TAKEN_DOWN_BY_STAFF: Final = frozenset({Method.PAPER_FORM, Method.VERBAL, Method.STAFF_WITHDRAWAL, Method.IMPORT})


def report_error(
    *, clinic_id: UUID, patient_id: UUID, event_id: UUID, reason: str, actor: Actor, now: datetime
) -> None:
    """Say that staff entered an event by mistake. It stands until somebody else confirms. Idempotent.

    Raises InvalidInput for what a patient said themselves, NotFound.
    """
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    event = _event(clinic_id, patient_id, event_id)
    if EventKind(event.kind) not in MAY_BE_A_SLIP or Method(event.method) not in TAKEN_DOWN_BY_STAFF:
        raise InvalidInput("Only what staff took down can be their slip.", field="event")
    with record(
        Action.CONSENT_ERROR_REPORTED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=patient_id,
        event=event_id,
        reason=reason,
    ):
        lock_patient(clinic_id=clinic_id, patient_id=patient_id)
        if not ErrorReport.objects.filter(event_id=event_id).exists():
            ErrorReport.objects.create(
                clinic_id=clinic_id,
                patient_id=patient_id,
                event_id=event_id,
                reason=reason,
                reported_by=actor.header,
                reported_at=now,
            )


def confirm_error(*, clinic_id: UUID, patient_id: UUID, event_id: UUID, actor: Actor, now: datetime) -> None:
    """A second person agrees: what was entered by mistake no longer counts, and silence is left, never a yes.

    Raises SecondPersonNeeded, NotFound.
    """
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    event = _event(clinic_id, patient_id, event_id)
    with transaction.atomic():
        lock_patient(clinic_id=clinic_id, patient_id=patient_id)
        report = ErrorReport.objects.filter(event_id=event_id).first()
        if report is None or ConsentEvent.objects.filter(about_id=event_id).exists():
            raise NotFound
        if report.reported_by == actor.header:
            raise SecondPersonNeeded
        state = ConsentState.objects.select_related("purpose", "last_event", "standing_event").get(
            patient_id=patient_id, purpose_id=event.purpose_id, channel=event.channel
        )
        write_events(
            [state],
            kind=EventKind.ENTERED_IN_ERROR,
            method=Method.SYSTEM,
            actor=actor,
            now=now,
            reason=report.reason,
            about=lambda _state: event_id,
            confirmed_by=report.reported_by,
        )


def _event(clinic_id: UUID, patient_id: UUID, event_id: UUID) -> ConsentEvent:
    event = ConsentEvent.objects.in_clinic(clinic_id).filter(patient_id=patient_id, id=event_id).defer("evidence")
    found: ConsentEvent | None = event.first()
    if found is None:
        raise NotFound
    return found
