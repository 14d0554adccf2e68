"""A birth date that was put right: what was said before is judged by it, as if it had been known then.

It only narrows, or moves an end: nothing that was no yes becomes one because a date is another (docs/decisions/0014).
"""

import logging
from collections.abc import Iterable
from datetime import date, datetime
from typing import Final
from uuid import UUID

from django.db import OperationalError, transaction

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import Draft
from backend.clinics.queries import ClinicFacts, get_clinic
from backend.consent.models import ConsentState
from backend.consent.operations.accompanying import Deciding
from backend.consent.operations.ending import write_events
from backend.consent.operations.standing import A_YES
from backend.patients.entries import record_about_patients
from backend.patients.operations import note_age_judged
from backend.patients.queries import lock_patient, patients_of_another_age, representations_by_id, reveal_profiles
from backend.policy.vocabulary import ConsentStatus, EventKind, Method

log = logging.getLogger("accord.consent")

BIRTH_DATE_CORRECTED: Final = "birth_date_corrected"


def judge_ages_anew(*, actor: Actor, now: datetime, patient_ids: Iterable[UUID] | None = None) -> int:
    """Judge the yeses of these patients (of all) by a birth date that was put right; how many patients there were.

    Idempotent, each patient in a transaction of their own. Until it was here the gate takes no yes of theirs for one,
    and one patient who can not be read holds up nobody else.
    """
    judged = 0
    for clinic_id, patient_id in patients_of_another_age(patient_ids):
        try:
            _judge(clinic_id, patient_id, actor=actor, now=now)
        except OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to one patient, who is asked about again
            # The name only: the text of an exception may quote what it could not read.
            log.error("patient %s could not be judged by their age: %s", patient_id, type(error).__name__)  # noqa: TRY400 - a traceback may hold personal data
        else:
            judged += 1
    return judged


def _judge(clinic_id: UUID, patient_id: UUID, *, actor: Actor, now: datetime) -> None:
    clinic = get_clinic(clinic_id)
    draft = Draft(action=Action.AGES_JUDGED, clinic_id=clinic_id, about=(patient_id,), details={})
    with transaction.atomic():
        lock_patient(clinic_id=clinic_id, patient_id=patient_id)
        if not patients_of_another_age([patient_id]):
            return
        with record_about_patients([draft], by=actor, now=now) as entry:
            profile = reveal_profiles([patient_id], entry=entry).get(patient_id)
            note_age_judged(patient_id=patient_id)
        if profile is not None and profile.birth_date is not None:
            _judge_states(patient_id, profile.birth_date, clinic, actor=actor, now=now)


def _judge_states(patient_id: UUID, born: date, clinic: ClinicFacts, *, actor: Actor, now: datetime) -> None:
    """The yeses that somebody else had to say end; a guardian's end when they would have ended."""
    states = list(
        ConsentState.objects.filter(patient_id=patient_id, status__in=A_YES).select_related(
            "purpose", "last_event", "standing_event"
        )
    )
    moved: dict[UUID, datetime | None] = {}
    never: list[ConsentState] = []
    for state in states:
        said = state.standing_event or state.last_event
        deciding = Deciding.judged_anew(
            born,
            clinic=clinic,
            said_at=said.recorded_at,
            speakers=said.expressed_by,
            represent=representations_by_id(UUID(one["id"]) for one in said.expressed_by if "id" in one),
        )
        if deciding is None:
            # What waits for the other's word permits nothing, and goes on waiting.
            never += [state] if state.status == ConsentStatus.GIVEN else []
            continue
        ends = deciding.guardian_until(said.expressed_by, valid_until=state.valid_until)
        if ends != state.guardian_until:
            moved[state.id] = ends
    for kind, those in (
        (EventKind.INVALIDATED, never),
        (EventKind.AGE_CORRECTED, [state for state in states if state.id in moved]),
    ):
        if those:
            write_events(
                those,
                kind=kind,
                method=Method.SYSTEM,
                actor=actor,
                now=now,
                reason=BIRTH_DATE_CORRECTED,
                guardian_until=lambda state: moved.get(state.id),
            )
