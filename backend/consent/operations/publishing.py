"""Purposes are defined: what a patient is asked for exists before they are asked."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import Draft, record, record_many
from backend.clinics.slugs import checked_slug
from backend.consent.models import Purpose
from backend.consent.queries import get_purpose
from backend.errors import DomainError, InvalidInput
from backend.policy.vocabulary import Channel, Language, LegalBasis, Nature
from backend.vault.identifiers import new_id


class PurposeExists(DomainError):
    """There is a purpose with this slug already."""

    code = "purpose_exists"
    sentence = "There is a purpose with this short name already."


def basis_of(nature: Nature) -> LegalBasis:
    """Why messages of this nature are lawful (GDPR Art. 6(1)).

    What is on the closed list answers a request of the person themselves (a code, the confirmation of their own answer)
    and is part of the service they use: point (b). No law obliges a clinic to send it. See docs/decisions/0008.
    """
    return LegalBasis.CONTRACT if nature is Nature.CLOSED_LIST else LegalBasis.CONSENT


def define_purpose(
    *,
    clinic_id: UUID,
    slug: str,
    nature: Nature,
    channels: tuple[Channel, ...],
    names: dict[Language, str],
    statements: dict[Language, str],
    child_statements: dict[Language, str] | None = None,
    health_data_condition: str = "",
    validity_months: int = 36,
    rank: int = 0,
    actor: Actor,
    now: datetime,
) -> UUID:
    """Say what a clinic wants to contact patients for. The legal basis follows from the nature; nobody chooses it."""
    checked_slug(slug, field="slug")
    if not channels:
        raise InvalidInput("A purpose needs at least one channel.", field="channels")
    purpose_id = new_id()
    with record(Action.PURPOSE_DEFINED, by=actor, now=now, clinic_id=clinic_id, purpose=slug, nature=nature.value):
        if Purpose.objects.in_clinic(clinic_id).filter(slug=slug).exists():
            raise PurposeExists
        Purpose.objects.create(
            id=purpose_id,
            clinic_id=clinic_id,
            slug=slug,
            nature=nature,
            legal_basis=basis_of(nature),
            health_data_condition=health_data_condition,
            channels=[channel.value for channel in channels],
            names={language.value: name for language, name in names.items()},
            statements={language.value: text for language, text in statements.items()},
            child_statements={language.value: text for language, text in (child_statements or {}).items()},
            validity_months=validity_months,
            rank=rank,
        )
    return purpose_id


def note_impact_assessment(*, clinic_id: UUID, purpose: str, reference: str, actor: Actor, now: datetime) -> None:
    """Say where the impact assessment of a purpose is, or why none is needed; said again, the newest stands.

    What rests on health data is not started without it (GDPR Art. 35). The reference is the officer's own text, and
    names no patient. Raises InvalidInput, NotFound.
    """
    if not reference.strip():
        raise InvalidInput("Say where the assessment is, or why none is needed.", field="reference")
    row = get_purpose(clinic_id=clinic_id, slug=purpose)
    with record(Action.PURPOSE_ASSESSED, by=actor, now=now, clinic_id=clinic_id, purpose=row.slug):
        Purpose.objects.filter(id=row.id).update(impact_assessment=reference.strip())


def remind_of_renewal(*, clinic_id: UUID, purpose: str, reminds: bool, actor: Actor, now: datetime) -> None:
    """Switch on or off that a message says, once, that a yes to this purpose ends soon. Raises InvalidInput, NotFound.

    It is sent for the purpose itself, and so only where that yes still stands.
    """
    row = get_purpose(clinic_id=clinic_id, slug=purpose)
    if not row.requires_consent:
        raise InvalidInput("This is sent only because the person asked for it.", field="purpose")
    with record(
        Action.PURPOSE_REMINDS,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        purpose=row.slug,
        switched="on" if reminds else "off",
    ):
        Purpose.objects.filter(id=row.id).update(renewal_reminders=reminds)


def correct_legal_bases(*, actor: Actor, now: datetime) -> int:
    """Give every purpose, of every clinic, the legal basis that follows from its nature; how many had another.

    Only those of the closed list can have another: the database holds all others to consent.
    """
    basis = basis_of(Nature.CLOSED_LIST)
    with transaction.atomic():
        wrong = list(
            Purpose.objects.filter(nature=Nature.CLOSED_LIST)
            .exclude(legal_basis=basis)
            .order_by("id")
            .select_for_update()
        )
        if not wrong:
            return 0
        drafts = [
            Draft(
                action=Action.PURPOSE_BASIS_CORRECTED,
                clinic_id=purpose.clinic_id,
                details={"purpose": purpose.slug, "basis": basis.value},
            )
            for purpose in wrong
        ]
        with record_many(drafts, by=actor, now=now):
            Purpose.objects.filter(id__in=[purpose.id for purpose in wrong]).update(legal_basis=basis)
    return len(wrong)
