"""What happens to contact points. One may be used once it is verified by a code or attested by staff, who say how."""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import record
from backend.errors import DomainError, InvalidInput, NotFound
from backend.patients.models import ContactKind, ContactPoint, OfClinic
from backend.patients.sources.telecoms import normalise_email, normalise_phone
from backend.policy.vocabulary import ContactStatus
from backend.vault.blind import Indexed, blind_index
from backend.vault.identifiers import new_id

CODE_DIGITS: Final = 6
CODE_LIFE: Final = timedelta(minutes=15)
CODE_TRIES: Final = 5
HOWS: Final = frozenset(
    {"seen_in_person", "called_back", "identity_document", "signed_form", "known_for_years", "sandbox"}
)
INDEX_OF: Final = {
    ContactKind.PHONE: Indexed.PHONE,
    ContactKind.EMAIL: Indexed.EMAIL,
    ContactKind.PUSH: Indexed.DEVICE,
}


class CodeRefused(DomainError):
    """The code is wrong, too old, or was tried too often."""

    code = "code_refused"
    sentence = "This code is wrong or too old. Ask for a new one."


class ContactPointUnusable(DomainError):
    """A contact point that can not be used can not be attested either."""

    code = "contact_point_unusable"
    sentence = "This contact point can not be used: correct it first."


def add_contact_point(
    *, clinic_id: UUID, patient_id: UUID, kind: ContactKind, value: str, region: str, actor: Actor, now: datetime
) -> UUID:
    """Add a telephone number or an e-mail address. Raises InvalidInput where it can not be one."""
    normal = normalise_phone(value, region) if kind is ContactKind.PHONE else normalise_email(value)
    if not normal.usable:
        raise InvalidInput("This can not be reached: check it.", field="value", reason=normal.reason)
    index = blind_index(INDEX_OF[kind], normal.compare, clinic_id=clinic_id)
    there = _open_points(clinic_id, patient_id).filter(kind=kind, value_index=index).first()
    if there is not None:
        return UUID(str(there.id))
    point_id = new_id()
    with record(
        Action.CONTACT_POINT_ADDED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=patient_id,
        contact_point=point_id,
        kind=kind.value,
    ):
        ContactPoint.objects.create(
            id=point_id,
            clinic_id=clinic_id,
            patient_id=patient_id,
            kind=kind,
            value=normal.value,
            value_index=index,
            takes_sms=bool(normal.mobile),
            status=ContactStatus.UNVERIFIED,
            created_at=now,
        )
    return point_id


def prepare_code(*, clinic_id: UUID, patient_id: UUID, contact_point_id: UUID, actor: Actor, now: datetime) -> str:
    """Make a one-time code for a contact point, for whoever sends it. Only its hash is kept, for fifteen minutes."""
    code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"
    with record(
        Action.CONTACT_POINT_CODE_SENT,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=patient_id,
        contact_point=contact_point_id,
    ):
        point = _locked(clinic_id, patient_id, contact_point_id)
        if point.status == ContactStatus.UNUSABLE:
            raise ContactPointUnusable
        point.code_digest, point.code_expires_at, point.code_tries = _digest(point.id, code), now + CODE_LIFE, 0
        point.save(update_fields=["code_digest", "code_expires_at", "code_tries"])
    return code


def verify_contact_point(
    *, clinic_id: UUID, patient_id: UUID, contact_point_id: UUID, code: str, actor: Actor, now: datetime
) -> None:
    """The patient typed the code that was sent there. Raises CodeRefused; each wrong try counts."""
    try:
        with record(
            Action.CONTACT_POINT_VERIFIED,
            by=actor,
            now=now,
            clinic_id=clinic_id,
            about=patient_id,
            contact_point=contact_point_id,
            how="one_time_code",
        ):
            point = _locked(clinic_id, patient_id, contact_point_id)
            _refuse_wrong_code(point, code, now)
            point.status, point.how, point.confirmed_at = ContactStatus.VERIFIED, "one_time_code", now
            point.code_digest = point.code_expires_at = None
            point.save(update_fields=["status", "how", "confirmed_at", "code_digest", "code_expires_at"])
    except CodeRefused:
        _count_try(clinic_id, patient_id, contact_point_id, actor=actor, now=now)
        raise


def attest_contact_point(
    *, clinic_id: UUID, patient_id: UUID, contact_point_id: UUID, how: str, actor: Actor, now: datetime
) -> None:
    """Staff vouch for a contact point and say how they know. Raises InvalidInput, ContactPointUnusable."""
    if how not in HOWS:
        raise InvalidInput("Say how the contact point was checked.", field="how", allowed=sorted(HOWS))
    with record(
        Action.CONTACT_POINT_ATTESTED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=patient_id,
        contact_point=contact_point_id,
        how=how,
    ):
        point = _locked(clinic_id, patient_id, contact_point_id)
        if point.status == ContactStatus.UNUSABLE:
            raise ContactPointUnusable
        point.status, point.how, point.confirmed_at = ContactStatus.ATTESTED, how, now
        point.save(update_fields=["status", "how", "confirmed_at"])


def register_device(*, clinic_id: UUID, patient_id: UUID, token: str, actor: Actor, now: datetime) -> UUID:
    """The app tells where it can be reached. A device belongs to one patient at a time: the last who signed in."""
    if not token.strip() or len(token) > 4096:  # noqa: PLR2004 - no push service has longer tokens
        raise InvalidInput("A device token has 1 to 4096 characters.", field="token")
    index = blind_index(Indexed.DEVICE, token, clinic_id=clinic_id)
    devices = ContactPoint.objects.in_clinic(clinic_id).filter(kind=ContactKind.PUSH, value_index=index, ended_at=None)
    mine = devices.filter(patient_id=patient_id).first()
    if mine is not None:
        return UUID(str(mine.id))
    point_id = new_id()
    with record(
        Action.CONTACT_POINT_ADDED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=patient_id,
        contact_point=point_id,
        kind=ContactKind.PUSH.value,
    ):
        devices.update(ended_at=now)
        ContactPoint.objects.create(
            id=point_id,
            clinic_id=clinic_id,
            patient_id=patient_id,
            kind=ContactKind.PUSH,
            value=token,
            value_index=index,
            status=ContactStatus.VERIFIED,
            how="signed_in_app",
            confirmed_at=now,
            created_at=now,
        )
    return point_id


def remove_device(*, clinic_id: UUID, patient_id: UUID, contact_point_id: UUID, actor: Actor, now: datetime) -> None:
    """The patient signed out, or the device is gone."""
    remove_contact_point(
        clinic_id=clinic_id,
        patient_id=patient_id,
        contact_point_id=contact_point_id,
        reason="signed_out",
        actor=actor,
        now=now,
    )


def remove_contact_point(
    *, clinic_id: UUID, patient_id: UUID, contact_point_id: UUID, reason: str, actor: Actor, now: datetime
) -> None:
    """End a contact point: nothing is sent there any more. Raises NotFound."""
    with record(
        Action.CONTACT_POINT_REMOVED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=patient_id,
        contact_point=contact_point_id,
        reason=reason,
    ):
        point = _locked(clinic_id, patient_id, contact_point_id)
        point.ended_at = now
        point.save(update_fields=["ended_at"])


def _open_points(clinic_id: UUID, patient_id: UUID) -> OfClinic:
    return ContactPoint.objects.in_clinic(clinic_id).filter(patient_id=patient_id, ended_at=None)


def _locked(clinic_id: UUID, patient_id: UUID, contact_point_id: UUID) -> ContactPoint:
    point: ContactPoint | None = (
        _open_points(clinic_id, patient_id).select_for_update(of=("self",)).filter(id=contact_point_id).first()
    )
    if point is None:
        raise NotFound
    return point


def _refuse_wrong_code(point: ContactPoint, code: str, now: datetime) -> None:
    fits = (
        point.code_digest is not None
        and point.code_expires_at is not None
        and now < point.code_expires_at
        and point.code_tries < CODE_TRIES
        and hmac.compare_digest(bytes(point.code_digest), _digest(point.id, code))
    )
    if not fits:
        raise CodeRefused


def _digest(contact_point_id: UUID, code: str) -> bytes:
    return hashlib.sha256(contact_point_id.bytes + code.strip().encode()).digest()


def _count_try(clinic_id: UUID, patient_id: UUID, contact_point_id: UUID, *, actor: Actor, now: datetime) -> None:
    with record(
        Action.ACCESS_REFUSED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=patient_id,
        reason=CodeRefused.code,
        request="verify_contact_point",
    ):
        point = _locked(clinic_id, patient_id, contact_point_id)
        point.code_tries += 1
        point.save(update_fields=["code_tries"])
