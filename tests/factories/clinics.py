"""Clinics, and those who work there."""

from datetime import datetime
from uuid import UUID

from backend.accounts.operations import create_account
from backend.accounts.queries import get_staff_actor
from backend.audit.actors import Actor, ActorKind, system_actor
from backend.clinics.models import MembershipRole
from backend.clinics.operations import add_member, create_clinic
from backend.clinics.queries import ClinicFacts, get_clinic


def make_clinic(
    slug: str,
    *,
    now: datetime,
    address: str = "1 rue des Tilleuls, 00000 Exempleville",
    country: str = "FR",
    time_zone: str = "Europe/Paris",
) -> ClinicFacts:
    clinic_id = create_clinic(
        slug=slug,
        name=f"Clinique {slug.title()}",
        discreet_name=slug.title(),
        telephone="01 99 00 12 34",
        address=address,
        country=country,
        time_zone=time_zone,
        actor=system_actor(),
        now=now,
    )
    return get_clinic(clinic_id)


def make_member(
    clinic_id: UUID,
    handle: str,
    *,
    now: datetime,
    role: MembershipRole = MembershipRole.STAFF,
    is_health_professional: bool = False,
) -> Actor:
    account_id = create_account(handle=handle, actor=system_actor(), now=now)
    add_member(
        clinic_id=clinic_id,
        account_id=account_id,
        role=role,
        is_health_professional=is_health_professional,
        actor=system_actor(),
        now=now,
    )
    actor = get_staff_actor(account_id)
    if role is MembershipRole.DPO:
        return Actor(kind=ActorKind.DPO, id=actor.id, pseudonym=actor.pseudonym)
    return actor
