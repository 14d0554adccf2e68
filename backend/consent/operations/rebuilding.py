"""States can be rebuilt from the events at any time, and compared with those that stand."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from uuid import UUID

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import record
from backend.consent.models import ConsentEvent, ConsentState
from backend.consent.operations.deciding import apply_event

AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild found: how many states, and how many stood otherwise than their events say."""

    states: int
    different: int


def rebuild_states(
    *, clinic_id: UUID, actor: Actor, now: datetime, on_state: Callable[[], None] | None = None
) -> Rebuilt:
    """Make every state of a clinic anew from its events, and say how many stood otherwise.

    Streams: memory does not grow with the events. A state that differs is put right under an entry of its own.
    """
    states = different = 0
    for last in _last_events(clinic_id):
        state = ConsentState.objects.filter(
            patient_id=last.patient_id, purpose_id=last.purpose_id, channel=last.channel
        ).first()
        states += 1
        if state is None or state.last_event_id != last.id:
            different += 1
            with record(
                Action.STATES_REBUILT,
                by=actor,
                now=now,
                clinic_id=clinic_id,
                about=last.patient_id,
                count=1,
                different=1,
            ):
                apply_event(state, last)
        if on_state is not None:
            on_state()
    with record(Action.STATES_REBUILT, by=actor, now=now, clinic_id=clinic_id, count=states, different=different):
        pass
    return Rebuilt(states, different)


def _last_events(clinic_id: UUID) -> Iterator[ConsentEvent]:
    events = (
        ConsentEvent.objects.in_clinic(clinic_id)
        .order_by("patient_id", "purpose_id", "channel", "number")
        .defer("evidence")
        .iterator(chunk_size=AT_ONCE)
    )
    for _stream, group in groupby(events, key=lambda event: (event.patient_id, event.purpose_id, event.channel)):
        *_before, last = group
        yield last
