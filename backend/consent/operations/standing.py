"""Where one purpose on one channel stands after its events: one rule, for writing and for rebuilding."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from backend.consent.models import ConsentEvent, ConsentState
from backend.policy.vocabulary import ConsentStatus, EventKind

STATUS_AFTER: Final = {
    EventKind.PENDING: ConsentStatus.PENDING,
    EventKind.GIVEN: ConsentStatus.GIVEN,
    EventKind.RENEWED: ConsentStatus.GIVEN,
    EventKind.REFUSED: ConsentStatus.REFUSED,
    EventKind.WITHDRAWN: ConsentStatus.WITHDRAWN,
    EventKind.OBJECTED: ConsentStatus.OBJECTED,
    EventKind.OBJECTION_LIFTED: ConsentStatus.NONE,
    EventKind.EXPIRED: ConsentStatus.EXPIRED,
    EventKind.RECONSENT_REQUIRED: ConsentStatus.RECONSENT_REQUIRED,
    EventKind.ENDED: ConsentStatus.ENDED,
    EventKind.REVOKED: ConsentStatus.ENDED,
    EventKind.INVALIDATED: ConsentStatus.ENDED,
    EventKind.ENTERED_IN_ERROR: ConsentStatus.NONE,
}
ONLY_ASKED: Final = frozenset({EventKind.REQUESTED, EventKind.DEFERRED, EventKind.UNKNOWN})
"""These say that somebody was asked, or that nobody knows: where it stood, it stands."""
ENDS_A_YES: Final = frozenset(
    {
        EventKind.EXPIRED,
        EventKind.RECONSENT_REQUIRED,
        EventKind.ENDED,
        EventKind.REVOKED,
        EventKind.INVALIDATED,
        EventKind.OBJECTION_LIFTED,
    }
)
"""These end a yes, or one that waits to be confirmed, also one that came although an objection stood. A no stays a no.
"""
A_YES: Final = frozenset({ConsentStatus.GIVEN, ConsentStatus.PENDING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where one purpose on one channel stands. `standing_event_id` made the status, `last_event_id` came last."""

    status: ConsentStatus
    since: datetime
    valid_until: datetime | None
    guardian_until: datetime | None
    notice_version: int | None
    last_event_id: UUID
    standing_event_id: UUID | None


def standing_after(before: Standing | None, event: ConsentEvent) -> Standing:
    """Where it stands after one more event.

    Whoever withdraws again has withdrawn since the first time; a yes or no said again counts anew. An objection stands
    until it is taken back, whatever else is said; what then stands is silence, never the yes from before.
    """
    kind = EventKind(event.kind)
    if before is None:
        status = STATUS_AFTER.get(kind, ConsentStatus.NONE)
        return _made(ConsentStatus.NONE if kind in ENDS_A_YES else status, event, since=event.recorded_at)
    if kind is EventKind.AGE_CORRECTED and before.status in A_YES:
        # Only the day on which a guardian's word ends is another: what was said, and when, is what it was.
        return replace(before, guardian_until=event.guardian_until, last_event_id=event.id)
    if _changes_nothing(before, event, kind):
        return replace(before, last_event_id=event.id)
    status = STATUS_AFTER[kind]
    lasting = status is before.status and status in {ConsentStatus.WITHDRAWN, ConsentStatus.OBJECTED}
    return _made(status, event, since=before.since if lasting else event.recorded_at)


def standing_of(state: ConsentState) -> Standing:
    """Where a stored state says that its stream stands."""
    return Standing(
        status=ConsentStatus(state.status),
        since=state.since,
        valid_until=state.valid_until,
        guardian_until=state.guardian_until,
        notice_version=state.notice_version,
        last_event_id=state.last_event_id,
        standing_event_id=state.standing_event_id,
    )


def apply_event(state: ConsentState | None, event: ConsentEvent) -> ConsentState:
    """The state after one more event. Inside `record` only."""
    return write_state(state, event, standing_after(None if state is None else standing_of(state), event))


def write_state(state: ConsentState | None, event: ConsentEvent, standing: Standing) -> ConsentState:
    """Store where the stream of this event stands. Inside `record` only."""
    if state is None:
        state = ConsentState(
            clinic_id=event.clinic_id, patient_id=event.patient_id, purpose_id=event.purpose_id, channel=event.channel
        )
    state.status, state.since, state.valid_until = standing.status, standing.since, standing.valid_until
    state.guardian_until, state.notice_version = standing.guardian_until, standing.notice_version
    state.last_event_id, state.standing_event_id = standing.last_event_id, standing.standing_event_id
    state.save()
    return state


def _changes_nothing(before: Standing, event: ConsentEvent, kind: EventKind) -> bool:
    if kind in ONLY_ASKED or kind is EventKind.AGE_CORRECTED:
        return True
    if kind is EventKind.ENTERED_IN_ERROR:
        return event.about_id != before.standing_event_id
    if before.status is ConsentStatus.OBJECTED:
        return kind not in {EventKind.OBJECTED, EventKind.OBJECTION_LIFTED}
    return kind in ENDS_A_YES and before.status not in A_YES


def _made(status: ConsentStatus, event: ConsentEvent, *, since: datetime) -> Standing:
    is_yes = status in A_YES
    return Standing(
        status=status,
        since=since,
        valid_until=event.valid_until,
        guardian_until=event.guardian_until,
        notice_version=event.notice.version if is_yes and event.notice is not None else None,
        last_event_id=event.id,
        standing_event_id=event.id,
    )
