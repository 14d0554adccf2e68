"""Questions about clinics."""

from dataclasses import dataclass
from uuid import UUID

from backend.clinics.models import Clinic, Membership, MembershipRole
from backend.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicFacts:
    """What the rest of Accord needs to know of a clinic."""

    id: UUID
    slug: str
    name: str
    discreet_name: str
    country: str
    time_zone: str
    telephone: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipFacts:
    """What somebody is in a clinic."""

    account_id: UUID
    clinic_id: UUID
    role: MembershipRole
    is_health_professional: bool


def get_clinic(clinic_id: UUID) -> ClinicFacts:
    """One clinic. Raises NotFound."""
    return _facts(Clinic.objects.filter(id=clinic_id).first())


def get_clinic_by_slug(slug: str) -> ClinicFacts:
    """One clinic by its short name. Raises NotFound."""
    return _facts(Clinic.objects.filter(slug=slug).first())


def all_clinics() -> list[ClinicFacts]:
    """Every clinic of this installation; for the ticks, never for a page."""
    return [_facts(row) for row in Clinic.objects.order_by("slug")]


def find_membership(*, account_id: UUID, clinic_id: UUID) -> MembershipFacts | None:
    """What somebody is in a clinic, if anything."""
    row = Membership.objects.filter(account_id=account_id, clinic_id=clinic_id, account__is_active=True).first()
    if row is None:
        return None
    return MembershipFacts(
        account_id=row.account_id,
        clinic_id=row.clinic_id,
        role=MembershipRole(row.role),
        is_health_professional=row.is_health_professional,
    )


def _facts(row: Clinic | None) -> ClinicFacts:
    if row is None:
        raise NotFound
    return ClinicFacts(
        id=row.id,
        slug=row.slug,
        name=row.name,
        discreet_name=row.discreet_name,
        country=row.country,
        time_zone=row.time_zone,
        telephone=row.telephone,
        address=row.address,
    )
