"""States can be rebuilt from the events at any time, and compared with those that stand."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import Draft, record
from backend.consent.models import ConsentEvent, ConsentState
from backend.consent.operations.standing import Standing, standing_after, standing_of, write_state
from backend.patients.entries import record_about_patients
from backend.patients.queries import lock_patient
from backend.policy.vocabulary import ConsentStatus

AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild found: how many states, and how many stood otherwise than their events say."""

    states: int
    different: int


def rebuild_states(
    *, clinic_id: UUID, actor: Actor, now: datetime, on_state: Callable[[], object] | None = None
) -> Rebuilt:
    """Make every state of a clinic anew from its events, and say how many stood otherwise.

    Streams: memory does not grow with the events. A state that differs is put right under an entry of its own, and one
    that no event ever made is removed. Patients may go on deciding meanwhile.
    """
    states = different = 0
    for last, expected in _streams(clinic_id):
        states += 1
        if not _agrees(_state_of(last), expected) and _put_right(last, actor=actor, now=now):
            different += 1
        if on_state is not None:
            on_state()
    for state in _without_events(clinic_id):
        different += 1
        with record_about_patients([_draft(clinic_id, state.patient_id)], by=actor, now=now):
            state.delete()
    with record(Action.STATES_REBUILT, by=actor, now=now, clinic_id=clinic_id, count=states, different=different):
        pass
    return Rebuilt(states, different)


def rebuild_states_of_an_earlier_version(*, actor: Actor, now: datetime) -> int:
    """Make the states anew that were written before a state named the event that it rests on; of how many clinics.

    Such a state permits nothing, although its events may. Safe to run again.
    """
    outdated = ConsentState.objects.filter(status=ConsentStatus.GIVEN, standing_event=None)
    clinic_ids = list(outdated.order_by("clinic_id").values_list("clinic_id", flat=True).distinct())
    for clinic_id in clinic_ids:
        rebuild_states(clinic_id=clinic_id, actor=actor, now=now)
    return len(clinic_ids)


def _put_right(one: ConsentEvent, *, actor: Actor, now: datetime) -> bool:
    """Look again behind the lock: the patient may just have said something. Was the state really wrong?"""
    with transaction.atomic():
        lock_patient(clinic_id=one.clinic_id, patient_id=one.patient_id)
        stream = (
            ConsentEvent.objects.filter(patient_id=one.patient_id, purpose_id=one.purpose_id, channel=one.channel)
            .order_by("number")
            .select_related("notice")
        )
        last, expected = _folded(stream.defer("evidence"))
        state = _state_of(last)
        if _agrees(state, expected):
            return False
        with record_about_patients([_draft(one.clinic_id, one.patient_id)], by=actor, now=now):
            write_state(state, last, expected)
    return True


def _draft(clinic_id: UUID, patient_id: UUID) -> Draft:
    details = {"count": 1, "different": 1}
    return Draft(action=Action.STATES_REBUILT, clinic_id=clinic_id, about=(patient_id,), details=details)


def _streams(clinic_id: UUID) -> Iterator[tuple[ConsentEvent, Standing]]:
    events = (
        ConsentEvent.objects.in_clinic(clinic_id)
        .order_by("patient_id", "purpose_id", "channel", "number")
        .select_related("notice")
        .defer("evidence")
        .iterator(chunk_size=AT_ONCE)
    )
    for _stream, group in groupby(events, key=lambda event: (event.patient_id, event.purpose_id, event.channel)):
        yield _folded(group)


def _folded(events: Iterable[ConsentEvent]) -> tuple[ConsentEvent, Standing]:
    """The last event of a stream, and where the stream stands after all of them."""
    told: tuple[ConsentEvent, Standing] | None = None
    for event in events:
        told = event, standing_after(None if told is None else told[1], event)
    if told is None:
        raise ValueError("A stream has at least one event.")
    return told


def _state_of(event: ConsentEvent) -> ConsentState | None:
    state: ConsentState | None = ConsentState.objects.filter(
        patient_id=event.patient_id, purpose_id=event.purpose_id, channel=event.channel
    ).first()
    return state


def _agrees(state: ConsentState | None, expected: Standing) -> bool:
    return state is not None and standing_of(state) == expected


def _without_events(clinic_id: UUID) -> list[ConsentState]:
    events = ConsentEvent.objects.filter(
        patient_id=OuterRef("patient_id"), purpose_id=OuterRef("purpose_id"), channel=OuterRef("channel")
    )
    return list(ConsentState.objects.in_clinic(clinic_id).filter(~Exists(events)))
