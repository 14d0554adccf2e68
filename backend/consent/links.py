"""Links by which a yes is confirmed: what their token says, how it is found, and where the question stands."""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

from django.conf import settings

from backend.consent.models import ConsentEvent, ConsentRequest
from backend.consent.queries import DECISION_OF, PurposeRow, purposes_by_id
from backend.patients.queries import patients_by_id
from backend.policy.vocabulary import Audience, Channel, Decision, EventKind
from backend.vault.blind import Indexed, blind_index
from backend.vault.ciphers import derive, mac
from backend.vault.keyring import SYSTEM, Scope, keyring

TOKEN_LENGTH: Final = 22
MOST_SHOWN: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a link asks, of whom, until when; and what was answered, if it was."""

    id: UUID
    clinic_id: UUID
    patient_id: UUID
    contact_point_id: UUID
    event_id: UUID
    purpose: PurposeRow
    channel: Channel
    asked_at: datetime
    expires_at: datetime
    decision: Decision | None
    answered_at: datetime | None
    is_complete: bool
    audience: Audience


def token_of(request_id: UUID, *, clinic_id: UUID) -> str:
    """128 bits under the clinic's own key: nobody who reads the tables can make it."""
    index = blind_index(Indexed.QUESTION, str(request_id), clinic_id=clinic_id)
    return urlsafe_b64encode(index).rstrip(b"=").decode("ascii")


def address_of(request_id: UUID, *, clinic_id: UUID) -> str:
    """Where the link leads."""
    return f"{settings.ACCORD_PUBLIC_URL.rstrip('/')}/c/{token_of(request_id, clinic_id=clinic_id)}"


def digest_of(token: str) -> bytes:
    """By which a token is found. Keyed for the whole installation: a link does not say whose it is."""
    system = keyring().current(clinic_id=SYSTEM, scope=Scope.WRITER_MAC)
    return mac(_key(system.secret), token.encode())


@lru_cache(maxsize=4)
def _key(secret: bytes) -> bytes:
    return derive(secret, purpose="confirmation-link-v1")


def find_question(token: str) -> Question | None:
    """What a token asks. None for one that is unknown or malformed, and for that of an erased patient: all alike."""
    if len(token) != TOKEN_LENGTH or not token.isascii():
        return None
    row = ConsentRequest.objects.select_related("event__notice").filter(token_digest=digest_of(token)).first()
    if row is None:
        return None
    patient = patients_by_id([row.patient_id]).get(row.patient_id)
    if patient is None or patient.is_erased:
        return None
    answer = ConsentEvent.objects.filter(about_id=row.event_id).defer("evidence").first()
    return _question(row, answer, purposes_by_id([row.event.purpose_id]))


def questions_of(*, clinic_id: UUID, patient_id: UUID) -> list[Question]:
    """What one patient was asked by links, the newest first; the last hundred."""
    rows = ConsentRequest.objects.in_clinic(clinic_id).filter(patient_id=patient_id).select_related("event__notice")
    shown = list(rows.order_by("-asked_at", "-id")[:MOST_SHOWN])
    answers = ConsentEvent.objects.filter(about_id__in=[row.event_id for row in shown]).defer("evidence")
    by_event = {answer.about_id: answer for answer in answers}
    purposes = purposes_by_id({row.event.purpose_id for row in shown})
    return [_question(row, by_event.get(row.event_id), purposes) for row in shown]


def _question(row: ConsentRequest, answer: ConsentEvent | None, purposes: dict[UUID, PurposeRow]) -> Question:
    return Question(
        id=row.id,
        clinic_id=row.clinic_id,
        patient_id=row.patient_id,
        contact_point_id=row.contact_point_id,
        event_id=row.event_id,
        purpose=purposes[row.event.purpose_id],
        channel=Channel(row.event.channel),
        asked_at=row.asked_at,
        expires_at=row.expires_at,
        decision=None if answer is None else DECISION_OF.get(EventKind(answer.kind)),
        answered_at=None if answer is None else answer.recorded_at,
        is_complete=answer is not None and answer.kind != EventKind.PENDING,
        audience=Audience.EVERYBODY if row.event.notice is None else Audience(row.event.notice.audience),
    )
