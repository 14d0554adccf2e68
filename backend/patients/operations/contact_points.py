"""What happens to contact points. One may be used once it is verified by a code or attested by staff, who say how."""

import hmac
import secrets
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import Draft, Outcome, record
from backend.errors import DomainError, InvalidInput, NotFound
from backend.patients.entries import record_about_patients
from backend.patients.models import ContactKind, ContactPoint, OfClinic
from backend.patients.queries import IN_USE, require_patient
from backend.patients.sources.telecoms import normalise_email, normalise_phone
from backend.patients.suppression import suppressed_points
from backend.policy.vocabulary import ContactStatus
from backend.vault.blind import Indexed, blind_index
from backend.vault.identifiers import new_id

CODE_DIGITS: Final = 6
CODE_LIFE: Final = timedelta(minutes=15)
CODE_TRIES: Final = 5
CODE_PAUSE: Final = timedelta(seconds=30)
SUPPRESSED_PAUSE: Final = timedelta(days=1)
"""Between two codes to an address whose owner stopped everything there: whoever types it in may be somebody else."""
BOUNCED: Final = "bounced"
HOWS: Final = frozenset(
    {"seen_in_person", "called_back", "identity_document", "signed_form", "known_for_years", "sandbox"}
)
INDEX_OF: Final = {
    ContactKind.PHONE: Indexed.PHONE,
    ContactKind.EMAIL: Indexed.EMAIL,
}


class CodeRefused(DomainError):
    """The code is wrong, too old, or was tried too often."""

    code = "code_refused"
    sentence = "This code is wrong or too old. Ask for a new one."


class CodeTooSoon(DomainError):
    """A code was made for this contact point a moment ago."""

    code = "code_too_soon"
    sentence = "A code was sent a moment ago. Wait half a minute before you ask for another."
    status = 429


class ContactPointUnusable(DomainError):
    """A contact point that can not be used can not be attested either."""

    code = "contact_point_unusable"
    sentence = "This contact point can not be used: correct it first."


def add_contact_point(
    *, clinic_id: UUID, patient_id: UUID, kind: ContactKind, value: str, region: str, actor: Actor, now: datetime
) -> UUID:
    """Add a telephone number or an e-mail address. Raises InvalidInput where it can not be one."""
    if kind is ContactKind.POSTAL:
        raise InvalidInput("A postal address is written in lines.", field="kind")
    if kind is ContactKind.PUSH:
        raise InvalidInput("A device makes itself known by signing in.", field="kind")
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    normal = normalise_phone(value, region) if kind is ContactKind.PHONE else normalise_email(value)
    if not normal.usable:
        raise InvalidInput("This can not be reached: check it.", field="value", reason=normal.reason)
    index = blind_index(INDEX_OF[kind], normal.compare, clinic_id=clinic_id)
    there = _open_points(clinic_id, patient_id).filter(kind=kind, value_index=index)
    if (known := there.values_list("id", flat=True).first()) is not None:
        return UUID(str(known))
    point_id = new_id()
    try:
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
    except IntegrityError:
        # Said twice at once: the first one stands.
        return UUID(str(there.values_list("id", flat=True).get()))
    return point_id


def prepare_code(*, clinic_id: UUID, patient_id: UUID, contact_point_id: UUID, actor: Actor, now: datetime) -> str:
    """Make a one-time code for a contact point; messaging sends it at its next tick. Good for fifteen minutes.

    Raises CodeTooSoon where one was made within the last half minute, or the last day for an address on the suppression
    list (docs/decisions/0013); ContactPointUnusable, NotFound.
    """
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"
    pause = SUPPRESSED_PAUSE if suppressed_points([contact_point_id]) else CODE_PAUSE
    with record(
        Action.CONTACT_POINT_CODE_SENT,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=patient_id,
        contact_point=contact_point_id,
    ):
        point = _locked(clinic_id, patient_id, contact_point_id)
        if point.status == ContactStatus.UNUSABLE or point.kind == ContactKind.POSTAL:
            raise ContactPointUnusable
        if point.code_asked_at is not None and now < point.code_asked_at + pause:
            raise CodeTooSoon
        # Sealed for as long as it has to be sent; what the patient types is compared with a keyed hash.
        point.code, point.code_digest = code, _digest(point, code)
        point.code_asked_at, point.code_expires_at, point.code_tries = now, now + CODE_LIFE, 0
        point.save(update_fields=["code", "code_digest", "code_asked_at", "code_expires_at", "code_tries"])
    return code


def verify_contact_point(
    *, clinic_id: UUID, patient_id: UUID, contact_point_id: UUID, code: str, actor: Actor, now: datetime
) -> None:
    """The patient typed the code that was sent there. Raises CodeRefused; each wrong try counts."""
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    with transaction.atomic():
        # Looked at behind the lock, and a wrong try is counted before it is let go: guesses come one by one.
        point = _locked(clinic_id, patient_id, contact_point_id)
        fits = _is_right_code(point, code, now)
        if fits:
            _verify(point, how="one_time_code", clinic_id=clinic_id, patient_id=patient_id, actor=actor, now=now)
        else:
            _count_try(point, clinic_id=clinic_id, patient_id=patient_id, actor=actor, now=now)
    if not fits:
        raise CodeRefused


def verify_by_link(*, clinic_id: UUID, patient_id: UUID, contact_point_id: UUID, actor: Actor, now: datetime) -> None:
    """Whoever is behind an address pressed the button of a link that only went there. Nothing where it ended since."""
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    with transaction.atomic():
        found = _open_points(clinic_id, patient_id).select_for_update(of=("self",)).filter(id=contact_point_id)
        point = found.exclude(status=ContactStatus.UNUSABLE).first()
        if point is not None:
            _verify(point, how="confirmation_link", clinic_id=clinic_id, patient_id=patient_id, actor=actor, now=now)


def attest_contact_point(
    *, clinic_id: UUID, patient_id: UUID, contact_point_id: UUID, how: str, actor: Actor, now: datetime
) -> None:
    """Staff vouch for a contact point and say how they know. Raises InvalidInput, ContactPointUnusable."""
    if how not in HOWS:
        raise InvalidInput("Say how the contact point was checked.", field="how", allowed=sorted(HOWS))
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
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
        point.status, point.how, point.confirmed_at, point.reason = ContactStatus.ATTESTED, how, now, ""
        point.save(update_fields=["status", "how", "confirmed_at", "reason"])


def remove_contact_point(
    *, clinic_id: UUID, patient_id: UUID, contact_point_id: UUID, reason: str, actor: Actor, now: datetime
) -> None:
    """End a contact point: nothing is sent there any more. Raises NotFound."""
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
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


def note_bounced(
    *, clinic_id: UUID, patient_id: UUID, contact_point_id: UUID, reason: str, actor: Actor, now: datetime
) -> None:
    """A carrier says that an address is no more: used again once it was checked anew. A device ends. Idempotent.

    The same number or address brought again by a file is not checked by that.
    """
    found = _open_points(clinic_id, patient_id).filter(id=contact_point_id, status__in=IN_USE)
    kind = found.values_list("kind", flat=True).first()
    if kind is None:
        return
    if kind == ContactKind.PUSH:
        remove_contact_point(
            clinic_id=clinic_id,
            patient_id=patient_id,
            contact_point_id=contact_point_id,
            reason=reason,
            actor=actor,
            now=now,
        )
        return
    draft = Draft(
        action=Action.CONTACT_POINT_BOUNCED,
        clinic_id=clinic_id,
        about=(patient_id,),
        details={"contact_point": contact_point_id, "reason": reason},
    )
    with record_about_patients([draft], by=actor, now=now):
        found.update(status=ContactStatus.UNVERIFIED, how="", reason=reason, confirmed_at=None)


def _open_points(clinic_id: UUID, patient_id: UUID) -> OfClinic:
    return ContactPoint.objects.in_clinic(clinic_id).filter(patient_id=patient_id, ended_at=None)


def _locked(clinic_id: UUID, patient_id: UUID, contact_point_id: UUID) -> ContactPoint:
    point: ContactPoint | None = (
        _open_points(clinic_id, patient_id).select_for_update(of=("self",)).filter(id=contact_point_id).first()
    )
    if point is None:
        raise NotFound
    return point


def _is_right_code(point: ContactPoint, code: str, now: datetime) -> bool:
    return (
        point.code_digest is not None
        and point.code_expires_at is not None
        and now < point.code_expires_at
        and point.code_tries < CODE_TRIES
        and hmac.compare_digest(bytes(point.code_digest), _digest(point, code))
    )


def _digest(point: ContactPoint, code: str) -> bytes:
    """Keyed, since a million codes are quickly tried."""
    return blind_index(Indexed.CODE, f"{point.id}|{code.strip()}", clinic_id=point.clinic_id)


def _verify(point: ContactPoint, *, how: str, clinic_id: UUID, patient_id: UUID, actor: Actor, now: datetime) -> None:
    with record(
        Action.CONTACT_POINT_VERIFIED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=patient_id,
        contact_point=point.id,
        how=how,
    ):
        point.status, point.how, point.confirmed_at, point.reason = ContactStatus.VERIFIED, how, now, ""
        point.code = point.code_digest = point.code_expires_at = None
        point.save(update_fields=["status", "how", "confirmed_at", "reason", "code", "code_digest", "code_expires_at"])


def _count_try(point: ContactPoint, *, clinic_id: UUID, patient_id: UUID, actor: Actor, now: datetime) -> None:
    with record(
        Action.ACCESS_REFUSED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=patient_id,
        outcome=Outcome.DENIED,
        reason=CodeRefused.code,
        request="verify_contact_point",
    ):
        # No more than the column holds: whoever goes on guessing is refused all the same.
        point.code_tries = min(point.code_tries + 1, CODE_TRIES)
        point.save(update_fields=["code_tries"])
