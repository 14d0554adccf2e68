"""Reminders that a yes ends soon: once, by its own channel, for its own purpose, while it still stands.

A reminder is a message for the purpose whose consent ends: the gate asks for that consent, as for any other, and a way
out is in it. So none goes to whoever withdrew, objected, or let it run out. It is planned where the officer switched it
on for the purpose and there are words for it, and stands aside once something else was said. Silence is expiry.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from backend.audit.actions import Action
from backend.audit.actors import Actor, system_actor
from backend.audit.recording import Draft, record
from backend.clinics.queries import ClinicFacts, all_clinics
from backend.consent.queries import ConsentToRenew, PurposeRow, consents_to_renew, purposes_of
from backend.messaging.gate import candidate_of, decide_all
from backend.messaging.models import Message
from backend.messaging.operations.planning import PLANNING, Around
from backend.messaging.queries import RENEW_STEP, latest_templates
from backend.patients.entries import record_about_patients
from backend.policy.contact import Verdict
from backend.policy.timing import local_instant
from backend.policy.vocabulary import Decided, MessageState
from backend.vault.identifiers import new_id

AT_ONCE: Final = 500
OPENS, CLOSES = time(9), time(19)
"""Nobody is woken for this: it leaves by day, on the clinic's clock."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked for: for whom, and in which words."""

    patient_id: UUID
    purpose_id: UUID
    template: str


def template_of(purpose: str) -> str:
    """The short name of the template that says that a yes to this purpose ends soon."""
    return f"{purpose}_renewal"


def plan_renewals(*, now: datetime, actor: Actor | None = None) -> int:
    """Plan the reminders of every clinic that came due; how many. Once for each consent, ever."""
    actor = actor or system_actor("renewals")
    return sum(_plan_clinic(clinic, actor=actor, now=now) for clinic in all_clinics())


def _plan_clinic(clinic: ClinicFacts, *, actor: Actor, now: datetime) -> int:
    templates = latest_templates(clinic.id)
    reminding = {
        row.id: row
        for row in purposes_of(clinic.id).values()
        if row.renewal_reminders and template_of(row.slug) in templates
    }
    if not reminding:
        return 0
    made = 0
    for page in _pages(clinic.id, list(reminding), now=now):
        known = set(
            Message.objects.filter(step=RENEW_STEP, occurrence__in=[one.event_id.hex for one in page]).values_list(
                "occurrence", flat=True
            )
        )
        fresh = [one for one in page if one.event_id.hex not in known]
        if fresh:
            made += _plan(fresh, reminding, clinic, actor=actor, now=now)
    return made


def _pages(clinic_id: UUID, purpose_ids: Sequence[UUID], *, now: datetime) -> Iterator[list[ConsentToRenew]]:
    after: UUID | None = None
    while page := consents_to_renew(clinic_id=clinic_id, purpose_ids=purpose_ids, now=now, after=after, limit=AT_ONCE):
        yield page
        after = page[-1].state_id


def _plan(
    ending: Sequence[ConsentToRenew],
    purposes: dict[UUID, PurposeRow],
    clinic: ClinicFacts,
    *,
    actor: Actor,
    now: datetime,
) -> int:
    wanted = [_Wanted(one.patient_id, one.purpose_id, template_of(purposes[one.purpose_id].slug)) for one in ending]
    # Birth dates are looked at: it is the parents of a child who are written to.
    with record(
        Action.PLANNING_STARTED, by=actor, now=now, clinic_id=clinic.id, whole_clinic=True, candidates=len(ending)
    ) as entry:
        around = Around.gathered(wanted, clinic_id=clinic.id, entry=entry, now=now)
    due_at = _by_day(now, clinic.time_zone)
    rows = [
        _message(one, around, what, clinic_id=clinic.id, due_at=due_at, now=now)
        for one, what in zip(ending, wanted, strict=True)
        if due_at < one.ends_at
    ]
    verdicts = decide_all([candidate_of(row, programme_state=None) for row in rows], now=now)
    for row, verdict in zip(rows, verdicts, strict=True):
        _decide(row, verdict, now=now)
    drafts = [_draft(row, verdict, purposes[row.purpose_id].slug) for row, verdict in zip(rows, verdicts, strict=True)]
    if drafts:
        with record_about_patients(drafts, by=actor, now=now):
            # Planned by somebody else meanwhile: theirs stands.
            Message.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def _message(
    one: ConsentToRenew, around: Around, wanted: _Wanted, *, clinic_id: UUID, due_at: datetime, now: datetime
) -> Message:
    option = around.option(wanted, one.channel)
    return Message(
        id=new_id(),
        clinic_id=clinic_id,
        patient_id=one.patient_id,
        step=RENEW_STEP,
        occurrence=one.event_id.hex,
        purpose_id=one.purpose_id,
        channel=one.channel,
        contact_point_id=None if option.point is None else option.point.id,
        template_version_id=option.template_version_id,
        language=option.language,
        tone=option.tone,
        due_at=due_at,
        expires_at=one.ends_at,
        state=MessageState.PLANNED,
        planned_at=now,
    )


def _decide(row: Message, verdict: Verdict, *, now: datetime) -> None:
    row.verdict = {**verdict.as_record(), "stage": PLANNING}
    if verdict.decided is Decided.DENY:
        row.state, row.settled_at = MessageState.WITHHELD, now
    elif verdict.until is not None:
        row.due_at = max(row.due_at, verdict.until)


def _by_day(now: datetime, zone: str) -> datetime:
    """Now, or when the next day begins for whoever is asleep."""
    local = now.astimezone(ZoneInfo(zone))
    if OPENS <= local.time() < CLOSES:
        return now
    day = local.date() if local.time() < OPENS else local.date() + timedelta(days=1)
    return local_instant(day, OPENS, zone)


def _draft(row: Message, verdict: Verdict, purpose: str) -> Draft:
    details: dict[str, object] = {"message": row.id, "purpose": purpose, "channel": str(row.channel)}
    if verdict.decided is Decided.DENY:
        action = Action.MESSAGE_WITHHELD
        details |= {"reasons": [reason.value for reason in verdict.reasons], "rules": verdict.rules_version}
        details["consent_event"] = str(verdict.standing_event_id or "none")
    else:
        action = Action.MESSAGE_PLANNED
        details["step"] = RENEW_STEP
    return Draft(action=action, clinic_id=row.clinic_id, about=(row.patient_id,), details=details)
