"""Devices on which a patient is signed in. A push token belongs to one patient of a clinic at a time, and grows old."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction

from backend.audit.actions import Action
from backend.audit.actors import Actor, system_actor
from backend.audit.recording import Draft, record
from backend.errors import InvalidInput
from backend.patients.entries import record_about_patients
from backend.patients.models import ContactKind, ContactPoint, OfClinic
from backend.patients.operations.contact_points import remove_contact_point
from backend.patients.queries import require_patient
from backend.policy.vocabulary import ContactStatus
from backend.vault.blind import Indexed, blind_index
from backend.vault.identifiers import new_id

LIFE: Final = timedelta(days=270)
"""After so long without the app, FCM itself calls a token expired and takes nothing for it any more.

https://firebase.google.com/docs/cloud-messaging/manage-tokens
"""
CONFIRMED_EVERY: Final = timedelta(days=1)
"""An app may sign in at each of its starts: it is written down once a day."""
SIGN_INS_AT_ONCE: Final = 3
LONGEST_TOKEN: Final = 4096
SIGNED_IN: Final = "signed_in_app"
SIGNED_OUT: Final = "signed_out"
ANOTHER_SIGNED_IN: Final = "another_patient_signed_in"
NOT_CONFIRMED: Final = "not_confirmed"


def register_device(*, clinic_id: UUID, patient_id: UUID, token: str, actor: Actor, now: datetime) -> UUID:
    """The app tells where it can be reached. A device belongs to one patient at a time: the last who signed in.

    The same patient again confirms it: one that is not confirmed for 270 days ends.
    """
    if not token.strip() or len(token) > LONGEST_TOKEN:
        raise InvalidInput("A device token has 1 to 4096 characters.", field="token")
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    index = blind_index(Indexed.DEVICE, token, clinic_id=clinic_id)
    device = _Device(clinic_id=clinic_id, patient_id=patient_id, token=token, index=index, actor=actor, now=now)
    for _again in range(SIGN_INS_AT_ONCE):
        with suppress(IntegrityError):
            return device.register()
    return device.register()


def remove_device(*, clinic_id: UUID, patient_id: UUID, contact_point_id: UUID, actor: Actor, now: datetime) -> None:
    """The patient signed out, or the device is gone."""
    remove_contact_point(
        clinic_id=clinic_id,
        patient_id=patient_id,
        contact_point_id=contact_point_id,
        reason=SIGNED_OUT,
        actor=actor,
        now=now,
    )


def end_old_devices(*, now: datetime, limit: int = 500, actor: Actor | None = None) -> int:
    """End the devices whose app has not signed in for 270 days; how many. Nothing is sent there any more."""
    actor = actor or system_actor("devices")
    with transaction.atomic():
        old = _devices().filter(confirmed_at__lt=now - LIFE).order_by("confirmed_at", "id")
        rows = list(
            old.select_for_update(skip_locked=True, of=("self",)).values_list("id", "clinic_id", "patient_id")[:limit]
        )
        if not rows:
            return 0
        drafts = [_removal(clinic_id, patient_id, point_id, NOT_CONFIRMED) for point_id, clinic_id, patient_id in rows]
        with record_about_patients(drafts, by=actor, now=now):
            ContactPoint.objects.filter(id__in=[row[0] for row in rows]).update(ended_at=now)
    return len(rows)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Device:
    """A device on which a patient signed in."""

    clinic_id: UUID
    patient_id: UUID
    token: str
    index: bytes
    actor: Actor
    now: datetime

    def register(self) -> UUID:
        """Make it this patient's. Raises IntegrityError where somebody else signs in on it at this very moment."""
        standing = _devices().in_clinic(self.clinic_id).filter(value_index=self.index)
        owners: dict[UUID, UUID] = dict(standing.values_list("patient_id", "id"))
        if (own := owners.get(self.patient_id)) is not None:
            self._confirm(own)
            return own
        with transaction.atomic():
            self._take_from(owners)
            return self._add()

    def _confirm(self, point_id: UUID) -> None:
        told = _devices().filter(id=point_id, confirmed_at__lt=self.now - CONFIRMED_EVERY)
        if told.exists():
            with record(
                Action.CONTACT_POINT_VERIFIED,
                by=self.actor,
                now=self.now,
                clinic_id=self.clinic_id,
                about=self.patient_id,
                contact_point=point_id,
                how=SIGNED_IN,
            ):
                told.update(confirmed_at=self.now)

    def _take_from(self, owners: dict[UUID, UUID]) -> None:
        """Whoever had it learns that somebody signed in there, and not who: the entry names no other patient."""
        drafts = [_removal(self.clinic_id, owner, old, ANOTHER_SIGNED_IN) for owner, old in owners.items()]
        if drafts:
            with record_about_patients(drafts, by=system_actor("devices"), now=self.now):
                _devices().filter(id__in=owners.values()).update(ended_at=self.now)

    def _add(self) -> UUID:
        point_id = new_id()
        with record(
            Action.CONTACT_POINT_ADDED,
            by=self.actor,
            now=self.now,
            clinic_id=self.clinic_id,
            about=self.patient_id,
            contact_point=point_id,
            kind=ContactKind.PUSH.value,
        ):
            ContactPoint.objects.create(
                id=point_id,
                clinic_id=self.clinic_id,
                patient_id=self.patient_id,
                kind=ContactKind.PUSH,
                value=self.token,
                value_index=self.index,
                status=ContactStatus.VERIFIED,
                how=SIGNED_IN,
                confirmed_at=self.now,
                created_at=self.now,
            )
        return point_id


def _devices() -> OfClinic:
    """Those that are signed in."""
    return ContactPoint.objects.filter(kind=ContactKind.PUSH, ended_at=None)


def _removal(clinic_id: UUID, patient_id: UUID, contact_point_id: UUID, reason: str) -> Draft:
    return Draft(
        action=Action.CONTACT_POINT_REMOVED,
        clinic_id=clinic_id,
        about=(patient_id,),
        details={"contact_point": contact_point_id, "reason": reason},
    )
