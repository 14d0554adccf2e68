"""The link by which a yes is confirmed: one message of the closed list, planned together with the question."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import Draft, record_many
from backend.consent.links import address_of
from backend.consent.operations import Asked, ask_by_link
from backend.consent.queries import get_purpose
from backend.messaging.gate import candidate_of, decide_all
from backend.messaging.models import Message
from backend.messaging.queries import latest_templates
from backend.policy.vocabulary import Decided, Language, MessageState, RequestSource, Tone
from backend.preferences.queries import PreferenceRow, preferences_of
from backend.vault.identifiers import new_id

CONFIRM_STEP: Final = "confirm"
CONFIRMATION: Final = "consent_confirmation"
REQUEST: Final = "consent_request"
WORTH: Final = timedelta(days=1)
"""Whoever ticked a box yesterday no longer waits for the message."""


def ask_for_consent(
    *,
    clinic_id: UUID,
    patient_id: UUID,
    purpose: str,
    contact_point_id: UUID,
    notice_version: int,
    language: Language,
    source: RequestSource,
    actor: Actor,
    now: datetime,
) -> Asked:
    """Ask the person behind an address to confirm a yes: it is pending, and a link is on its way (closed list).

    Raises what `ask_by_link` raises.
    """
    with transaction.atomic():
        asked = ask_by_link(
            clinic_id=clinic_id,
            patient_id=patient_id,
            purpose=purpose,
            contact_point_id=contact_point_id,
            notice_version=notice_version,
            language=language,
            source=source,
            actor=actor,
            now=now,
        )
        _plan(asked, clinic_id=clinic_id, patient_id=patient_id, language=language, actor=actor, now=now)
    return asked


def link_in(message: Message) -> str:
    """The link that a message carries; none but a question's."""
    if message.step != CONFIRM_STEP:
        return ""
    return address_of(UUID(message.occurrence), clinic_id=message.clinic_id)


def _plan(asked: Asked, *, clinic_id: UUID, patient_id: UUID, language: Language, actor: Actor, now: datetime) -> None:
    template = latest_templates(clinic_id).get(REQUEST)
    tone = (preferences_of([patient_id]).get(patient_id) or PreferenceRow()).tone or Tone.FORMAL
    best = None if template is None else template.best(asked.channel, language, tone)
    row = Message(
        id=new_id(),
        clinic_id=clinic_id,
        patient_id=patient_id,
        step=CONFIRM_STEP,
        occurrence=asked.id.hex,
        purpose_id=get_purpose(clinic_id=clinic_id, slug=CONFIRMATION).id,
        channel=asked.channel,
        contact_point_id=asked.contact_point_id,
        template_version_id=template.version_id if template is not None and best is not None else None,
        language=language if best is None else best[0],
        tone=tone if best is None else best[1],
        due_at=now,
        expires_at=now + WORTH,
        state=MessageState.PLANNED,
        planned_at=now,
    )
    (verdict,) = decide_all([candidate_of(row, programme_state=None)], now=now)
    row.verdict = {**verdict.as_record(), "stage": "planning"}
    details: dict[str, object] = {"message": row.id, "purpose": CONFIRMATION, "channel": asked.channel.value}
    if verdict.decided is Decided.DENY:
        row.state, row.settled_at = MessageState.WITHHELD, now
        details |= {
            "reasons": [reason.value for reason in verdict.reasons],
            "rules": verdict.rules_version,
            "consent_event": str(verdict.standing_event_id or "none"),
        }
    else:
        details["step"] = CONFIRM_STEP
    action = Action.MESSAGE_WITHHELD if verdict.decided is Decided.DENY else Action.MESSAGE_PLANNED
    draft = Draft(action=action, clinic_id=clinic_id, about=(patient_id,), details=details)
    with record_many([draft], by=actor, now=now):
        row.save(force_insert=True)
