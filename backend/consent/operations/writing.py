"""One event of the same kind for many streams of one patient, those that have no event yet included."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import Draft
from backend.consent.models import ConsentEvent, ConsentState
from backend.consent.operations.expressing import Expression
from backend.consent.operations.standing import apply_event
from backend.consent.queries import NoticeRow, PurposeRow
from backend.policy.vocabulary import Channel, EventKind, LegalBasis

Streams = Mapping[tuple[UUID, Channel], UUID]
"""The id of the event to be written, by purpose and channel."""


def drafts_for(
    action: Action,
    rows: Sequence[PurposeRow],
    events: Streams,
    *,
    clinic_id: UUID,
    patient_id: UUID,
) -> list[Draft]:
    """An entry for each purpose and channel."""
    return [
        Draft(
            action=action,
            clinic_id=clinic_id,
            about=(patient_id,),
            details={"purpose": row.slug, "channel": channel.value, "event": events[row.id, channel]},
        )
        for row in rows
        for channel in row.channels
        if (row.id, channel) in events
    ]


@dataclass(frozen=True, slots=True)
class Writing:
    """Who says it of whom, how and when."""

    clinic_id: UUID
    patient_id: UUID
    expression: Expression
    actor: Actor
    now: datetime
    notice: NoticeRow | None = None
    valid_until: datetime | None = None

    def write(self, rows: Sequence[PurposeRow], events: Streams, kind: EventKind) -> None:
        """An event for each purpose and channel, and the states that follow. Inside `record` only."""
        known = ConsentState.objects.filter(patient_id=self.patient_id, purpose_id__in=[row.id for row in rows])
        states = {(state.purpose_id, Channel(state.channel)): state for state in known.select_related("last_event")}
        for (purpose_id, channel), event_id in events.items():
            state = states.get((purpose_id, channel))
            event = ConsentEvent.objects.create(
                id=event_id,
                clinic_id=self.clinic_id,
                patient_id=self.patient_id,
                purpose_id=purpose_id,
                channel=channel,
                number=1 if state is None else state.last_event.number + 1,
                kind=kind,
                method=self.expression.method,
                legal_basis=LegalBasis.CONSENT,
                occurred_at=self.expression.occurred_at,
                recorded_at=self.now,
                valid_until=self.valid_until,
                notice_id=None if self.notice is None else self.notice.id,
                notice_sha256="" if self.notice is None else self.notice.sha256,
                language="" if self.notice is None else self.notice.language,
                expressed_by=self.expression.speakers(),
                recorded_by=self.actor.header,
                evidence=self.expression.evidence or None,
            )
            apply_event(state, event)
