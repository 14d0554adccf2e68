"""Somebody was asked, or put the question off, or a file claims what nobody can show: none of it permits anything."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import record, record_many
from backend.consent.models import NoticeServed
from backend.consent.operations.expressing import Expression
from backend.consent.operations.writing import Writing, drafts_for
from backend.consent.queries import get_notice, get_purpose
from backend.errors import InvalidInput
from backend.patients.queries import lock_patient, require_patient
from backend.policy.vocabulary import Audience, Channel, EventKind, Language, Method
from backend.vault.identifiers import new_id

ACTION_OF: Final = {
    EventKind.REQUESTED: Action.CONSENT_REQUESTED,
    EventKind.DEFERRED: Action.CONSENT_DEFERRED,
    EventKind.UNKNOWN: Action.CONSENT_UNKNOWN,
}


def note_asked(
    kind: EventKind,
    *,
    clinic_id: UUID,
    patient_id: UUID,
    purpose: str,
    channels: Sequence[Channel],
    method: Method,
    evidence: dict[str, Any] | None = None,
    actor: Actor,
    now: datetime,
) -> dict[Channel, UUID]:
    """Note that the patient was asked, said "later", or that a file says yes without proof; the events by channel.

    Where it stood, it stands: a yes without proof is silence. Raises InvalidInput, NotFound.
    """
    row = get_purpose(clinic_id=clinic_id, slug=purpose)
    wanted = tuple(dict.fromkeys(channels))
    if kind not in ACTION_OF or not wanted or not row.requires_consent or set(wanted) - set(row.channels):
        raise InvalidInput("This purpose is not asked for on this channel.", field="channels")
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    events = {(row.id, channel): new_id() for channel in wanted}
    drafts = drafts_for(ACTION_OF[kind], [row], events, clinic_id=clinic_id, patient_id=patient_id)
    # Nobody said it: a question has no speaker.
    expression = Expression(
        method=method, occurred_at=now, evidence=evidence or {}, by_patient=kind is EventKind.DEFERRED
    )
    with record_many(drafts, by=actor, now=now):
        lock_patient(clinic_id=clinic_id, patient_id=patient_id)
        Writing(clinic_id, patient_id, expression, actor, now).write([row], events, kind)
    return {channel: event_id for (_purpose, channel), event_id in events.items()}


def note_notice_served(
    *,
    clinic_id: UUID,
    patient_id: UUID,
    version: int,
    language: Language,
    audience: Audience = Audience.EVERYBODY,
    surface: dict[str, Any],
    actor: Actor,
    now: datetime,
) -> UUID:
    """Note which notice was shown, when and on what screen; `surface` is sealed. Raises NotFound."""
    notice = get_notice(clinic_id=clinic_id, version=version, language=language, audience=audience)
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    served_id = new_id()
    with record(
        Action.NOTICE_SERVED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=patient_id,
        served=served_id,
        version=version,
        language=language.value,
    ):
        NoticeServed.objects.create(
            id=served_id,
            clinic_id=clinic_id,
            patient_id=patient_id,
            notice_id=notice.id,
            served_at=now,
            surface=surface or None,
        )
    return served_id
