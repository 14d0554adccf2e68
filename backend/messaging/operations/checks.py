"""The check of a contact point: a one-time code, sent without consent because the person asked for it (closed list)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from backend.audit.actions import Action
from backend.audit.actors import Actor, system_actor
from backend.audit.recording import Draft
from backend.consent.queries import PurposeRow, purposes_of
from backend.messaging.gate import Candidate, decide_all
from backend.messaging.models import Message
from backend.messaging.queries import TemplateWords, latest_templates
from backend.patients.entries import record_about_patients
from backend.patients.models import ContactKind
from backend.patients.queries import WaitingCode, codes_waiting, patients_by_id
from backend.policy.contact import Verdict
from backend.policy.vocabulary import Channel, Decided, Language, MessageState, Tone
from backend.preferences.queries import PreferenceRow, preferences_of
from backend.vault.identifiers import new_id

CHECK_STEP: Final = "check"
CHECK: Final = "contact_point_check"
AT_ONCE: Final = 500
CHANNEL_OF: Final = {ContactKind.PHONE: Channel.SMS, ContactKind.EMAIL: Channel.EMAIL}


def plan_checks(*, now: datetime, actor: Actor | None = None) -> int:
    """Make a message of each one-time code that was asked for and has none yet; how many."""
    actor = actor or system_actor("checks")
    waiting = [one for one in codes_waiting(now=now, limit=AT_ONCE) if one.point.kind in CHANNEL_OF]
    planned = _planned([one.point.id for one in waiting])
    fresh = [one for one in waiting if (one.point.id, _occurrence(one)) not in planned]
    rows = [row for clinic_id in {one.clinic_id for one in fresh} for row in _rows(clinic_id, fresh, now=now)]
    if not rows:
        return 0
    with record_about_patients([_draft(row, verdict) for row, verdict in rows], by=actor, now=now):
        Message.objects.bulk_create([row for row, _verdict in rows], ignore_conflicts=True)
    return len(rows)


def _rows(clinic_id: UUID, waiting: Sequence[WaitingCode], *, now: datetime) -> list[tuple[Message, Verdict]]:
    own = [one for one in waiting if one.clinic_id == clinic_id]
    purpose = next((one for one in purposes_of(clinic_id).values() if one.slug == CHECK), None)
    template = latest_templates(clinic_id).get(CHECK)
    if purpose is None or template is None:
        return []
    patients = patients_by_id({one.point.patient_id for one in own})
    preferences = preferences_of(patients)
    made: list[Message] = []
    for one in own:
        patient, chosen = patients[one.point.patient_id], preferences.get(one.point.patient_id) or PreferenceRow()
        language = chosen.language or patient.language or Language.FRENCH
        made.append(_message(one, purpose, template, language=language, tone=chosen.tone or Tone.FORMAL, now=now))
    verdicts = decide_all([_candidate(row) for row in made], now=now)
    for row, verdict in zip(made, verdicts, strict=True):
        row.verdict = {**verdict.as_record(), "stage": "planning"}
        if verdict.decided is Decided.DENY:
            row.state, row.settled_at = MessageState.WITHHELD, now
    return list(zip(made, verdicts, strict=True))


def _message(
    one: WaitingCode, purpose: PurposeRow, template: TemplateWords, *, language: Language, tone: Tone, now: datetime
) -> Message:
    channel = CHANNEL_OF[one.point.kind]
    best = template.best(channel, language, tone)
    return Message(
        id=new_id(),
        clinic_id=one.clinic_id,
        patient_id=one.point.patient_id,
        step=CHECK_STEP,
        occurrence=_occurrence(one),
        purpose_id=purpose.id,
        channel=channel,
        contact_point_id=one.point.id,
        template_version_id=template.version_id if best else None,
        language=best[0] if best else language,
        tone=best[1] if best else tone,
        due_at=now,
        expires_at=one.expires_at,
        state=MessageState.PLANNED,
        planned_at=now,
    )


def _candidate(row: Message) -> Candidate:
    return Candidate(
        clinic_id=row.clinic_id,
        patient_id=row.patient_id,
        purpose_id=row.purpose_id,
        channel=Channel(row.channel),
        contact_point_id=row.contact_point_id,
        occasion_id=None,
        occasion_starts_at=None,
        programme_running=True,
        template_exists=row.template_version_id is not None,
        not_before=None,
        expires_at=row.expires_at,
    )


def _occurrence(one: WaitingCode) -> str:
    """Another code is another occurrence."""
    return one.expires_at.strftime("%Y%m%dT%H%M%S.%fZ")


def _planned(contact_point_ids: Sequence[UUID]) -> set[tuple[UUID | None, str]]:
    rows = Message.objects.filter(contact_point_id__in=contact_point_ids, step=CHECK_STEP)
    return set(rows.values_list("contact_point_id", "occurrence"))


def _draft(row: Message, verdict: Verdict) -> Draft:
    details: dict[str, object] = {"message": row.id, "purpose": CHECK, "channel": str(row.channel)}
    if verdict.decided is Decided.DENY:
        action = Action.MESSAGE_WITHHELD
        details |= {"reasons": [reason.value for reason in verdict.reasons], "rules": verdict.rules_version}
        details["consent_event"] = str(verdict.standing_event_id or "none")
    else:
        action = Action.MESSAGE_PLANNED
        details["step"] = CHECK_STEP
    return Draft(action=action, clinic_id=row.clinic_id, about=(row.patient_id,), details=details)
