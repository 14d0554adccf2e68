"""States can be rebuilt from the events at any time, and compared with those that stand."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final
from uuid import UUID

from django.db import transaction

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import Draft, record
from backend.consent.models import ConsentEvent, ConsentState, Notice
from backend.consent.operations.standing import Standing, standing_after, standing_of, write_state
from backend.patients.entries import record_about_patients
from backend.patients.queries import lock_patient, patient_ids_in_pages
from backend.policy.vocabulary import ConsentStatus

PATIENTS_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild found: how many states, and how many stood otherwise than their events say."""

    states: int
    different: int


def rebuild_states(
    *, clinic_id: UUID, actor: Actor, now: datetime, on_state: Callable[[], object] | None = None
) -> Rebuilt:
    """Make every state of a clinic anew from its events, and say how many stood otherwise.

    Patient by patient, a few at a time: memory does not grow with the events, and no query is open while something is
    written. A state that differs is put right under an entry of its own, and one that no event ever made is removed.
    Patients may go on deciding meanwhile.
    """
    states = different = 0
    notices = Notice.objects.in_clinic(clinic_id).only("id", "version").in_bulk()
    for patients in patient_ids_in_pages(clinic_id=clinic_id, size=PATIENTS_AT_ONCE):
        # States before events: whatever is said between the two looks is among the events, and looked at again.
        standing = {_place(state): state for state in ConsentState.objects.filter(patient_id__in=patients)}
        for last, expected in _streams(patients, notices):
            states += 1
            if not _agrees(standing.pop(_place(last), None), expected) and _put_right(last, actor=actor, now=now):
                different += 1
            if on_state is not None:
                on_state()
        for state in standing.values():
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


def _streams(patients: Sequence[UUID], notices: Mapping[UUID, Notice]) -> Iterator[tuple[ConsentEvent, Standing]]:
    events = (
        ConsentEvent.objects.filter(patient_id__in=patients)
        .order_by("patient_id", "purpose_id", "channel", "number")
        .defer("evidence")
    )
    for _stream, group in groupby(_with_notices(events, notices), key=_place):
        yield _folded(group)


def _with_notices(events: Iterable[ConsentEvent], notices: Mapping[UUID, Notice]) -> Iterator[ConsentEvent]:
    """The same events; the notice of each is there without a query, and without its words."""
    for event in events:
        if event.notice_id is not None and event.notice_id in notices:
            event.notice = notices[event.notice_id]
        yield event


def _place(row: ConsentEvent | ConsentState) -> tuple[UUID, UUID, str]:
    return row.patient_id, row.purpose_id, row.channel


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
