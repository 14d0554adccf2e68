"""What happens to clinics."""

from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.keys import create_clinic_keys
from backend.audit.recording import record
from backend.clinics.models import Clinic, Membership, MembershipRole
from backend.clinics.slugs import checked_slug
from backend.errors import DomainError, InvalidInput
from backend.vault.identifiers import new_id
from backend.vault.keyring import SYSTEM


class ClinicExists(DomainError):
    """There is a clinic with this short name already."""

    code = "clinic_exists"
    sentence = "There is a clinic with this short name already."


def create_clinic(
    *,
    slug: str,
    name: str,
    discreet_name: str = "",
    country: str = "FR",
    time_zone: str = "Europe/Paris",
    telephone: str = "",
    address: str = "",
    actor: Actor,
    now: datetime,
) -> UUID:
    """Set up a clinic with keys and a log of its own. `discreet_name` is what a lock screen may show."""
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InvalidInput("This time zone does not exist.", field="time_zone") from error
    checked_slug(slug)
    clinic_id = new_id()
    with record(Action.CLINIC_CREATED, by=actor, now=now, clinic_id=SYSTEM, clinic=clinic_id):
        if Clinic.objects.filter(slug=slug).exists():
            raise ClinicExists
        create_clinic_keys(clinic_id=clinic_id, actor=actor, now=now)
        Clinic.objects.create(
            id=clinic_id,
            slug=slug,
            name=name,
            discreet_name=discreet_name or name[:40],
            country=country,
            time_zone=time_zone,
            telephone=telephone,
            address=address,
            created_at=now,
        )
    return clinic_id


def add_member(
    *,
    clinic_id: UUID,
    account_id: UUID,
    role: MembershipRole,
    is_health_professional: bool = False,
    actor: Actor,
    now: datetime,
) -> None:
    """Say that somebody works in a clinic, and as what."""
    with record(Action.MEMBER_ADDED, by=actor, now=now, clinic_id=clinic_id, account=account_id, role=role.value):
        Membership.objects.create(
            clinic_id=clinic_id, account_id=account_id, role=role, is_health_professional=is_health_professional
        )
