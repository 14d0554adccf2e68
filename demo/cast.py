"""Who takes part: the clinic, those who work there, its patients with their tokens, and what the patients chose."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import yaml
from django.utils import timezone

from backend import clock
from backend.accounts.models import Role
from backend.accounts.operations import create_account, issue_account_token, issue_patient_token
from backend.accounts.queries import get_staff_actor
from backend.audit.actions import Action
from backend.audit.actors import Actor, system_actor
from backend.audit.recording import record
from backend.clinics.models import MembershipRole
from backend.clinics.operations import add_member, create_clinic
from backend.patients.queries import (
    patients_of_clinic,
    reveal_identifiers,
    reveal_profiles,
)
from backend.policy.ages import age_on
from demo.client import Client

SOURCE_ID: Final = "urn:accord:source-id"
ADULT: Final = 18
CLINIC_FOLDER: Final = Path(__file__).resolve().parent / "clinic"


@dataclass(slots=True)
class Person:
    """One patient of the story."""

    id: UUID
    source_id: str
    name: str
    age: int | None
    is_deceased: bool


@dataclass(slots=True)
class Cast:
    """The clinic and everybody in it."""

    clinic_id: UUID
    slug: str
    name: str
    staff: Actor
    staff_token: str
    dpo_token: str
    people: dict[str, Person] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def person(self, patient_id: UUID) -> Person:
        """Who this is."""
        return next(person for person in self.people.values() if person.id == patient_id)

    def app_of(self, source_id: str, base_url: str) -> Client:
        """The clinic's mobile app in this patient's hand."""
        if source_id not in self.tokens:
            self.tokens[source_id] = issue_patient_token(
                clinic_id=self.clinic_id,
                patient_id=self.people[source_id].id,
                actor=system_actor("demo"),
                now=clock.now(),
                life=token_life(),
            )
        return Client(base_url, self.tokens[source_id])


def token_life() -> timedelta:
    """Tokens outlive the story's day by a year from today, so that the served demo can be used afterwards."""
    return max(timezone.now() - clock.now(), timedelta(0)) + timedelta(days=365)


def set_up_clinic(*, is_own: bool) -> Cast:
    """The clinic, a doctor who answers for it, and its data protection officer."""
    now = clock.now()
    slug = "tilleuls" if is_own else "sandbox"
    name = "Cabinet médical des Tilleuls" if is_own else "Sandbox clinic"
    clinic_id = create_clinic(
        slug=slug,
        name=name,
        discreet_name="Les Tilleuls" if is_own else "Sandbox clinic",
        telephone="01 99 00 41 12",
        address="3 place des Tilleuls, Brévigny-sur-Orme" if is_own else "1 Sandbox Street",
        actor=system_actor("demo"),
        now=now,
    )
    doctor = _member(clinic_id, f"doctor@{slug}", MembershipRole.STAFF, is_health_professional=True)
    dpo = _member(clinic_id, f"dpo@{slug}", MembershipRole.DPO)
    return Cast(
        clinic_id=clinic_id,
        slug=slug,
        name=name,
        staff=get_staff_actor(doctor),
        staff_token=_token(clinic_id, doctor, Role.STAFF),
        dpo_token=_token(clinic_id, dpo, Role.DPO),
    )


def meet_patients(cast: Cast) -> None:
    """Learn who the imported patients are. Looking is recorded."""
    now = clock.now()
    today = now.astimezone(ZoneInfo("Europe/Paris")).date()
    facts = patients_of_clinic(clinic_id=cast.clinic_id, after=None, limit=10_000)
    with record(
        Action.PATIENTS_LISTED,
        by=system_actor("demo"),
        now=now,
        clinic_id=cast.clinic_id,
        whole_clinic=True,
        reason="demo",
        count=len(facts),
    ) as entry:
        profiles = reveal_profiles([one.id for one in facts], entry=entry)
        sources = reveal_identifiers([one.id for one in facts], system=SOURCE_ID, entry=entry)
    for one in facts:
        profile, source_id = profiles[one.id], sources.get(one.id, str(one.id))
        born = profile.birth_date
        given = profile.given_names[0] if profile.given_names else ""
        cast.people[source_id] = Person(
            id=one.id,
            source_id=source_id,
            name=f"{given} {profile.family_name}".strip(),
            age=None if born is None else age_on(born, today),
            is_deceased=one.is_deceased,
        )


def own_choices() -> dict[str, dict[str, Any]]:
    """What the patients of our own demo clinic chose."""
    chosen: dict[str, dict[str, Any]] = yaml.safe_load((CLINIC_FOLDER / "choices.yaml").read_text(encoding="utf-8"))
    return chosen


def sandbox_choices(cast: Cast) -> dict[str, dict[str, Any]]:
    """For files that are not ours: each living adult gets a sandbox device and says yes to both purposes in the app."""
    return {
        person.source_id: {
            "app": True,
            "consents": [
                {"purpose": purpose, "channels": ["push"], "method": "app"}
                for purpose in ("appointment_reminder", "vaccination_recall")
            ],
        }
        for person in cast.people.values()
        if not person.is_deceased and person.age is not None and person.age >= ADULT
    }


def _member(clinic_id: UUID, handle: str, role: MembershipRole, *, is_health_professional: bool = False) -> UUID:
    account_id = create_account(handle=handle, actor=system_actor("demo"), now=clock.now())
    add_member(
        clinic_id=clinic_id,
        account_id=account_id,
        role=role,
        is_health_professional=is_health_professional,
        actor=system_actor("demo"),
        now=clock.now(),
    )
    return account_id


def _token(clinic_id: UUID, account_id: UUID, role: Role) -> str:
    return issue_account_token(
        clinic_id=clinic_id,
        account_id=account_id,
        role=role,
        actor=system_actor("demo"),
        now=clock.now(),
        life=token_life(),
    )
