"""Which steps come due, for whom. The dry run asks the same question and changes nothing."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import IntegrityError

from backend.audit.actions import Action
from backend.audit.actors import Actor, system_actor
from backend.audit.recording import Draft, record
from backend.clinics.queries import ClinicFacts, all_clinics, get_clinic
from backend.consent.operations import judge_ages_anew
from backend.messaging.fallbacks import fallbacks_due
from backend.messaging.operations import Choice, Planned, PlanRequest, cancel_changed_messages, choose, plan_messages
from backend.patients.entries import record_about_patients
from backend.patients.queries import OccasionRow, latest_occasions, occasions_between
from backend.policy.vocabulary import Channel, Reason
from backend.programmes.models import Enrolment, ProgrammeState
from backend.programmes.queries import ProgrammeRow, get_programme, programmes_of
from backend.programmes.steps import Definition, Step
from backend.vault.identifiers import new_id

AHEAD: Final = timedelta(hours=24)
AT_ONCE: Final = 500
PLANNERS_AT_ONCE: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachLine:
    """What the dry run says of one message to one patient."""

    patient_id: UUID
    step: str
    due_at: datetime
    channel: Channel
    would: bool
    reasons: tuple[Reason, ...]


@dataclass(slots=True)
class Reach:
    """Whom a programme would reach and whom not, and why; nothing is sent or planned."""

    would: int = 0
    would_not: int = 0
    channels: Counter[Channel] = field(default_factory=Counter)
    reasons: Counter[Reason] = field(default_factory=Counter)
    lines: list[ReachLine] = field(default_factory=list)


def plan_programmes(*, now: datetime, actor: Actor | None = None) -> dict[str, Planned]:
    """One planning tick: every running programme of every clinic."""
    actor = actor or system_actor("planning")
    done: dict[str, Planned] = {}
    failed: list[Exception] = []
    judge_ages_anew(actor=actor, now=now)
    for clinic in all_clinics():
        try:
            cancel_changed_messages(clinic_id=clinic.id, actor=actor, now=now)
            running = [one for one in programmes_of(clinic.id) if one.state is ProgrammeState.RUNNING]
        except Exception as error:  # noqa: BLE001 - raised below, once every other clinic had its turn
            failed.append(error)
            continue
        for programme in running:
            try:
                done[f"{clinic.slug}/{programme.slug}"] = _plan(programme, clinic, actor=actor, now=now)
            except Exception as error:  # noqa: BLE001 - as above: one programme stops no other
                failed.append(error)
    if failed:
        raise failed[0]
    return done


def plan_programme(*, clinic_id: UUID, programme_id: UUID, actor: Actor, now: datetime) -> Planned:
    """Plan one programme now."""
    programme = get_programme(clinic_id=clinic_id, programme_id=programme_id)
    return _plan(programme, get_clinic(clinic_id), actor=actor, now=now)


def compute_reach(
    *, clinic_id: UUID, programme_id: UUID, actor: Actor, now: datetime, ahead: timedelta = AHEAD
) -> Reach:
    """The dry run: whom it would reach until `now + ahead`, whom not, and why, as if it were running."""
    programme = get_programme(clinic_id=clinic_id, programme_id=programme_id)
    clinic = get_clinic(clinic_id)
    due = list(_due_steps(programme, clinic, now=now, ahead=ahead))
    reach = Reach()
    requests = [
        _request(programme, clinic, occasion, step, enrolment_id=new_id(), running=True) for occasion, step in due
    ]
    # Counted before it is known: the entry comes first, and says what is about to be computed.
    with record(
        Action.PLANNING_STARTED, by=actor, now=now, clinic_id=clinic_id, whole_clinic=True, candidates=len(requests)
    ) as entry:
        choices = choose(requests, clinic_id=clinic_id, entry=entry, now=now)
    for choice in choices:
        _count(reach, choice)
    with record(
        Action.REACH_COMPUTED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        programme=programme.slug,
        would=reach.would,
        would_not=reach.would_not,
    ):
        pass
    return reach


def _plan(programme: ProgrammeRow, clinic: ClinicFacts, *, actor: Actor, now: datetime) -> Planned:
    done = Planned()
    due = list(_due_steps(programme, clinic, now=now, ahead=AHEAD))
    for start in range(0, len(due), AT_ONCE):
        piece = due[start : start + AT_ONCE]
        enrolments = _enrol(programme, [occasion for occasion, _step in piece], actor=actor, now=now)
        requests = [
            _request(programme, clinic, occasion, step, enrolment_id=enrolments[occasion.id], running=True)
            for occasion, step in piece
        ]
        planned = plan_messages(clinic_id=clinic.id, requests=requests, actor=actor, now=now)
        done.planned += planned.planned
        done.withheld += planned.withheld
        done.reasons.update(planned.reasons)
    _plan_fallbacks(programme, clinic, done, actor=actor, now=now)
    return done


def _plan_fallbacks(
    programme: ProgrammeRow, clinic: ClinicFacts, done: Planned, *, actor: Actor, now: datetime
) -> None:
    """Try the next channel for what did not reach a patient, where the step says so."""
    waits = {step.key: step.falls_back_after for step in programme.read.steps if step.falls_back}
    if not waits:
        return
    requests = fallbacks_due(clinic_id=clinic.id, programme_id=programme.id, waits=waits, now=now)
    planned = plan_messages(clinic_id=clinic.id, requests=requests, actor=actor, now=now)
    done.planned += planned.planned
    done.withheld += planned.withheld
    done.reasons.update(planned.reasons)


def _due_steps(
    programme: ProgrammeRow, clinic: ClinicFacts, *, now: datetime, ahead: timedelta
) -> Iterator[tuple[OccasionRow, Step]]:
    """Every step that is due now or soon and still of use, whenever the programme was started."""
    definition = programme.read
    for step in definition.steps:
        for occasion in _occasions_around(definition, step, clinic, now=now, ahead=ahead):
            if occasion.starts_at is None:
                continue
            due_at = step.due_at(occasion.starts_at, clinic.time_zone)
            expires_at = step.expires_at(
                occasion.starts_at, clinic.time_zone, before_occasion=definition.counts_backwards
            )
            if due_at <= now + ahead and expires_at > now:
                yield occasion, step


def _occasions_around(
    definition: Definition, step: Step, clinic: ClinicFacts, *, now: datetime, ahead: timedelta
) -> list[OccasionRow]:
    # A window wide enough for any month length and change of clocks; the exact times are computed one by one.
    slack = timedelta(days=4)
    shift = timedelta(days=step.days) + timedelta(days=30.5) * step.months
    found = occasions_between(
        clinic_id=clinic.id,
        kind=definition.kind,
        topic=definition.topic,
        since=now - shift - step.worth_for - slack,
        until=now + ahead - shift + slack,
    )
    if definition.counts_backwards:
        return found
    last = latest_occasions(
        patient_ids={occasion.patient_id for occasion in found}, kind=definition.kind, topic=definition.topic
    )
    return [occasion for occasion in found if last.get(occasion.patient_id) == occasion.starts_at]


def _request(
    programme: ProgrammeRow,
    clinic: ClinicFacts,
    occasion: OccasionRow,
    step: Step,
    *,
    enrolment_id: UUID,
    running: bool,
) -> PlanRequest:
    if occasion.starts_at is None:
        raise ValueError("An occasion without a time has no steps.")
    return PlanRequest(
        enrolment_id=enrolment_id,
        programme_id=programme.id,
        programme_running=running,
        patient_id=occasion.patient_id,
        occasion_id=occasion.id,
        occasion_starts_at=occasion.starts_at,
        step=step.key,
        # A moved appointment is another occurrence: its steps come again, those of the old time are cancelled.
        occurrence=occasion.starts_at.strftime("%Y%m%dT%H%M%SZ"),
        purpose_id=programme.purpose_id,
        template=step.template,
        due_at=step.due_at(occasion.starts_at, clinic.time_zone),
        expires_at=step.expires_at(
            occasion.starts_at, clinic.time_zone, before_occasion=occasion.kind == "appointment"
        ),
    )


def _enrol(
    programme: ProgrammeRow, occasions: Sequence[OccasionRow], *, actor: Actor, now: datetime
) -> dict[UUID, UUID]:
    """Enrol the patients of these occasions; the enrolment of each occasion, made now or before."""
    for _again in range(PLANNERS_AT_ONCE):
        # Somebody else enrolled the same occasion at the same time: theirs stands.
        with suppress(IntegrityError):
            return _enrol_missing(programme, occasions, actor=actor, now=now)
    return _enrol_missing(programme, occasions, actor=actor, now=now)


def _enrol_missing(
    programme: ProgrammeRow, occasions: Sequence[OccasionRow], *, actor: Actor, now: datetime
) -> dict[UUID, UUID]:
    wanted = {occasion.id: occasion for occasion in occasions}
    rows = Enrolment.objects.filter(programme_id=programme.id, occasion_id__in=wanted)
    standing: dict[UUID, UUID] = dict(rows.values_list("occasion_id", "id"))
    fresh = [
        Enrolment(
            clinic_id=programme.clinic_id,
            patient_id=occasion.patient_id,
            programme_id=programme.id,
            occasion_id=occasion.id,
            enrolled_at=now,
        )
        for occasion in wanted.values()
        if occasion.id not in standing
    ]
    if fresh:
        drafts = [
            Draft(
                action=Action.PATIENT_ENROLLED,
                clinic_id=row.clinic_id,
                about=(row.patient_id,),
                details={"programme": programme.slug, "enrolment": row.id},
            )
            for row in fresh
        ]
        with record_about_patients(drafts, by=actor, now=now):
            Enrolment.objects.bulk_create(fresh)
    return {**standing, **{row.occasion_id: row.id for row in fresh}}


def _count(reach: Reach, choice: Choice) -> None:
    if choice.will_go:
        reach.would += 1
        reach.channels[choice.channel] += 1
    else:
        reach.would_not += 1
        reach.reasons.update(choice.verdict.reasons)
    reach.lines.append(
        ReachLine(
            patient_id=choice.request.patient_id,
            step=choice.request.step,
            due_at=choice.request.due_at,
            channel=choice.channel,
            would=choice.will_go,
            reasons=choice.verdict.reasons,
        )
    )
