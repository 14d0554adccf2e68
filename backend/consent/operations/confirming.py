"""Double opt-in: asked for by a form or by staff, a yes counts once whoever is at the address presses the button."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from backend.audit.actions import Action
from backend.audit.actors import Actor, ActorKind
from backend.audit.recording import Draft, record_many
from backend.consent.links import Question, digest_of, find_question, token_of
from backend.consent.models import ConsentRequest, ConsentState
from backend.consent.operations.accompanying import Deciding
from backend.consent.operations.deciding import (
    checked_channels,
    current_notice,
    give_consent,
    notice_for,
    refuse_consent,
)
from backend.consent.operations.expressing import Expression, ObjectionStands, PatientHasDied
from backend.consent.operations.standing import A_YES
from backend.consent.operations.writing import Writing
from backend.consent.queries import get_purpose, is_objected
from backend.errors import DomainError, InvalidInput
from backend.patients.models import ContactKind
from backend.patients.operations.contact_points import verify_by_link
from backend.patients.queries import ContactPointRow, contact_points_by_id, lock_patient, require_patient
from backend.patients.suppression import suppressed_points
from backend.policy.vocabulary import (
    Audience,
    Channel,
    ConsentStatus,
    ContactStatus,
    Decision,
    EventKind,
    Language,
    Method,
    RequestSource,
)
from backend.vault.identifiers import new_id

LINK_LIFE: Final = timedelta(days=7)
A_DAY: Final = timedelta(days=1)
MOST_A_DAY: Final = 3
CHANNEL_OF: Final = {ContactKind.EMAIL: Channel.EMAIL, ContactKind.PHONE: Channel.SMS}


class AskedTooOften(DomainError):
    """Anybody can type somebody's address into a form: nobody is flooded by that."""

    code = "asked_too_often"
    sentence = "This address was asked several times today. Wait a day."
    status = 429


class AddressSuppressed(DomainError):
    """A form proves nothing about who filled it in: whoever stopped everything there is not asked there."""

    code = "address_suppressed"
    sentence = "This address is on the suppression list: nothing is asked there."


class ProcessingRestricted(DomainError):
    """Everything is frozen but storage and what patients ask for themselves (GDPR Art. 18): staff ask nothing."""

    code = "processing_restricted"
    sentence = "The processing of this patient's data is restricted: nothing is asked now."


class LinkTooOld(DomainError):
    """Seven days have passed: silence is no."""

    code = "link_too_old"
    sentence = "This link is too old."


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question that a link will ask. Nothing is permitted until it is answered."""

    id: UUID
    event_id: UUID
    purpose: str
    channel: Channel
    contact_point_id: UUID
    status: ConsentStatus
    asked_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a link was answered, now or before. `status` is where the consent stands after an answer given now."""

    question: Question
    status: ConsentStatus | None


def ask_by_link(
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
    """Leave a yes pending until the person behind an address of the patient's own confirms it, within seven days.

    A yes that stands goes on standing meanwhile. Raises NoticeOutdated, ObjectionStands, AgeUnknown, PatientHasDied,
    ProcessingRestricted, AddressSuppressed, AskedTooOften, InvalidInput, NotFound.
    """
    row = get_purpose(clinic_id=clinic_id, slug=purpose)
    notice = current_notice(clinic_id, notice_version, language)
    patient = require_patient(clinic_id=clinic_id, patient_id=patient_id)
    if patient.is_deceased:
        raise PatientHasDied
    if patient.is_restricted and source is RequestSource.STAFF:
        raise ProcessingRestricted
    point = _own_point(patient_id, contact_point_id)
    (channel,) = checked_channels(row, [CHANNEL_OF[point.kind]])
    if any(one.channel is channel for one in suppressed_points([point.id]).get(point.id, ())):
        raise AddressSuppressed
    evidence: dict[str, Any] = {
        "notice_version": notice.version,
        "initial_state": "off",
        "requested_at": now.isoformat(),
        "source": source.value,
    }
    request_id, event_id = new_id(), new_id()
    draft = Draft(
        action=Action.CONSENT_PENDING,
        clinic_id=clinic_id,
        about=(patient_id,),
        details={
            "purpose": row.slug,
            "channel": channel.value,
            "method": Method.DOUBLE_OPT_IN.value,
            "event": event_id,
            "notice_version": notice.version,
        },
    )
    with record_many([draft], by=actor, now=now) as entry:
        lock_patient(clinic_id=clinic_id, patient_id=patient_id)
        if ConsentRequest.objects.filter(contact_point_id=point.id, asked_at__gt=now - A_DAY).count() >= MOST_A_DAY:
            raise AskedTooOften
        if is_objected(patient_id=patient_id, purpose=row):
            raise ObjectionStands
        # Nobody has said anything yet, so there is no speaker; what they will say is said by the patient.
        asking = Expression(method=Method.DOUBLE_OPT_IN, occurred_at=now, evidence=evidence, by_patient=False)
        saying = Expression(method=Method.DOUBLE_OPT_IN, occurred_at=now)
        deciding = Deciding.of(clinic_id=clinic_id, patient_id=patient_id, expression=saying, entry=entry, now=now)
        shown = notice_for(notice, Audience.CHILD if deciding.needs_both else Audience.EVERYBODY, clinic_id=clinic_id)
        stands = ConsentState.objects.of(patient_id=patient_id, purpose_id=row.id, channel=channel).first()
        kind = EventKind.REQUESTED if stands is not None and stands.status in A_YES else EventKind.PENDING
        Writing(clinic_id, patient_id, asking, actor, now, shown, now + LINK_LIFE).write(
            [row], {(row.id, channel): event_id}, kind
        )
        ConsentRequest.objects.create(
            id=request_id,
            clinic_id=clinic_id,
            patient_id=patient_id,
            event_id=event_id,
            contact_point_id=point.id,
            source=source,
            token_digest=digest_of(token_of(request_id, clinic_id=clinic_id)),
            asked_at=now,
            expires_at=now + LINK_LIFE,
        )
    return Asked(
        id=request_id,
        event_id=event_id,
        purpose=row.slug,
        channel=channel,
        contact_point_id=point.id,
        status=ConsentStatus.PENDING if stands is None or kind is EventKind.PENDING else ConsentStatus(stands.status),
        asked_at=now,
        expires_at=now + LINK_LIFE,
    )


def answer_by_link(
    *, token: str, decision: Decision, notice_version: int, language: Language, now: datetime
) -> Answered | None:
    """The person behind the address pressed yes or no. None where the token leads nowhere; answered once, for good.

    A yes proves that the address is theirs, too. Raises LinkTooOld, and what giving a consent raises.
    """
    question = find_question(token)
    if question is None or question.decision is not None:
        return None if question is None else Answered(question=question, status=None)
    if question.expires_at <= now:
        raise LinkTooOld
    say = give_consent if decision is Decision.GIVEN else refuse_consent
    patient = Actor(kind=ActorKind.PATIENT, id=question.patient_id)
    expression = Expression(
        method=Method.DOUBLE_OPT_IN,
        occurred_at=now,
        evidence={
            "notice_version": notice_version,
            "initial_state": "off",
            "requested_at": question.asked_at.isoformat(),
            "confirmed_at": now.isoformat(),
        },
        answers=question.event_id,
        shown_to=question.audience,
    )
    with transaction.atomic():
        said = say(
            clinic_id=question.clinic_id,
            patient_id=question.patient_id,
            purpose=question.purpose.slug,
            channels=[question.channel],
            notice_version=notice_version,
            language=language,
            expression=expression,
            actor=patient,
            now=now,
        )
        if decision is Decision.GIVEN:
            verify_by_link(
                clinic_id=question.clinic_id,
                patient_id=question.patient_id,
                contact_point_id=question.contact_point_id,
                actor=patient,
                now=now,
            )
    return Answered(question=question, status=said.status)


def _own_point(patient_id: UUID, contact_point_id: UUID) -> ContactPointRow:
    """An address of the patient's own that a link can be sent to: a parent's press would be the parent's word."""
    point = contact_points_by_id([contact_point_id]).get(contact_point_id)
    if point is None or point.patient_id != patient_id:
        raise InvalidInput("This contact point does not exist here.", field="contact_point")
    channel = CHANNEL_OF.get(point.kind)
    if channel is None or point.representative_id is not None or point.status_for(channel) is ContactStatus.UNUSABLE:
        raise InvalidInput("A link goes to a number or address of the patient's own.", field="contact_point")
    return point
