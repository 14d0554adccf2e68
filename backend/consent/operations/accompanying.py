"""Who decides for this patient: alone, together with a parent, or somebody in their place."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Self
from uuid import UUID
from zoneinfo import ZoneInfo

from backend.audit.recording import Entry
from backend.clinics.queries import ClinicFacts, get_clinic
from backend.consent.operations.expressing import AGE_ATTESTED, AgeUnknown, Expression
from backend.errors import InvalidInput
from backend.patients.queries import RepresentationRow, reveal_profiles, standing_representations
from backend.policy.ages import Capacity, adult_from, capacity
from backend.policy.timing import local_instant
from backend.policy.vocabulary import RepresentationKind, RepresentationScope

IN_PLACE_OF_AN_ADULT = frozenset(
    {
        RepresentationKind.GUARDIANSHIP,
        RepresentationKind.FAMILY_AUTHORISATION,
        RepresentationKind.FUTURE_PROTECTION_MANDATE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deciding:
    """By whom a yes must be said, and until when one that a guardian said can stand."""

    needs_both: bool = False
    of_age_at: datetime | None = None

    @classmethod
    def freely(cls) -> Self:
        """Whoever says no, or no longer, says it alone."""
        return cls()

    @classmethod
    def of(cls, *, clinic_id: UUID, patient_id: UUID, expression: Expression, entry: Entry, now: datetime) -> Self:
        """Looks at the birth date, under an entry that covers the patient. Raises AgeUnknown, InvalidInput."""
        clinic = get_clinic(clinic_id)
        today = now.astimezone(ZoneInfo(clinic.time_zone)).date()
        kinds = _kinds_of(expression.representatives, patient_id=patient_id, today=today)
        profile = reveal_profiles([patient_id], entry=entry).get(patient_id)
        born = None if profile is None else profile.birth_date
        decides = capacity(born, today, clinic.country)
        if decides is Capacity.UNKNOWN:
            if expression.evidence.get(AGE_ATTESTED) is not True:
                raise AgeUnknown(field="birth_date")
            decides = Capacity.ADULT
        if decides is Capacity.ADULT or born is None:
            if not expression.by_patient and not IN_PLACE_OF_AN_ADULT.intersection(kinds.values()):
                raise InvalidInput("At this age nobody consents in place of the patient.", field="representatives")
            return cls()
        if decides is Capacity.MINOR_ALONE and not expression.by_patient:
            raise InvalidInput("At this age nobody consents in place of the patient.", field="representatives")
        return cls._of_minor(born, decides, clinic)

    @classmethod
    def _of_minor(cls, born: date, decides: Capacity, clinic: ClinicFacts) -> Self:
        of_age_at = local_instant(adult_from(born), time(0), clinic.time_zone)
        return cls(needs_both=decides is Capacity.JOINT, of_age_at=of_age_at)

    @classmethod
    def judged_anew(
        cls,
        born: date,
        *,
        clinic: ClinicFacts,
        said_at: datetime,
        speakers: Collection[Mapping[str, str]],
        represent: Mapping[UUID, RepresentationRow],
    ) -> Self | None:
        """By whom it had to be said, had this birth date been known; None where they were not the ones who said it."""
        by_patient = any(one["role"] == "patient" for one in speakers)
        decides = capacity(born, said_at.astimezone(ZoneInfo(clinic.time_zone)).date(), clinic.country)
        if decides is Capacity.ADULT:
            rights = {
                represent[UUID(one["id"])].kind for one in speakers if "id" in one and UUID(one["id"]) in represent
            }
            return cls() if by_patient or IN_PLACE_OF_AN_ADULT & rights else None
        deciding = cls._of_minor(born, decides, clinic)
        return deciding if deciding.is_complete(speakers) and by_patient else None

    def is_complete(self, speakers: Iterable[Mapping[str, str]]) -> bool:
        """Has everybody said yes who must?"""
        roles = {one["role"] for one in speakers}
        return not self.needs_both or {"patient", "representative"} <= roles

    def guardian_until(self, speakers: Iterable[Mapping[str, str]], *, valid_until: datetime | None) -> datetime | None:
        """When a guardian's word ends because the patient is of age: kept only where it would not have ended before.

        Most of the time it has: a birthday is not written down where it makes no difference.
        """
        if self.of_age_at is None or all(one["role"] != "representative" for one in speakers):
            return None
        return self.of_age_at if valid_until is None or self.of_age_at < valid_until else None


def is_child(*, clinic_id: UUID, patient_id: UUID, entry: Entry, now: datetime) -> bool:
    """Does this patient decide together with a parent, today? Looks at the birth date, under an entry."""
    clinic = get_clinic(clinic_id)
    today = now.astimezone(ZoneInfo(clinic.time_zone)).date()
    profile = reveal_profiles([patient_id], entry=entry).get(patient_id)
    return capacity(None if profile is None else profile.birth_date, today, clinic.country) is Capacity.JOINT


def _kinds_of(representatives: tuple[UUID, ...], *, patient_id: UUID, today: date) -> dict[UUID, RepresentationKind]:
    standing = {
        one.id: one.kind
        for one in standing_representations([patient_id], on=today).get(patient_id, ())
        if RepresentationScope.CONSENTS in one.scope
    }
    unknown = set(representatives) - standing.keys()
    if unknown:
        raise InvalidInput("This person does not represent the patient.", field="representatives")
    return {one: standing[one] for one in representatives}
