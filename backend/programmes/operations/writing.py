"""A programme is written, approved by a health professional, and only then started."""

import hashlib
from datetime import datetime
from typing import Any
from uuid import UUID

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.leaf import canonical_json
from backend.audit.recording import record
from backend.clinics.queries import find_membership
from backend.clinics.slugs import checked_slug
from backend.consent.queries import get_purpose, purposes_by_id
from backend.errors import DomainError, InvalidInput, NotFound
from backend.messaging.queries import latest_templates
from backend.policy.vocabulary import Language
from backend.programmes.models import Approval, Programme, ProgrammeState, ProgrammeVersion
from backend.programmes.steps import Definition
from backend.vault.identifiers import new_id


class ProgrammeExists(DomainError):
    """There is a programme with this short name already."""

    code = "programme_exists"
    sentence = "There is a programme with this short name already."


class NotApproved(DomainError):
    """A programme starts only once a health professional approved exactly this version."""

    code = "programme_not_approved"
    sentence = "A health professional has not approved this version yet."


class NotAssessed(DomainError):
    """What rests on health data starts only once its impact was assessed (GDPR Art. 35)."""

    code = "purpose_not_assessed"
    sentence = "The data protection officer has not noted the impact assessment of this purpose yet."


class NotAHealthProfessional(DomainError):
    """Only a health professional of the clinic approves a programme."""

    code = "not_a_health_professional"
    sentence = "Only a health professional of this clinic can approve a programme."
    status = 403


class VersionChanged(DomainError):
    """Another version stands now than the one that was read."""

    code = "programme_version_changed"
    sentence = "The programme was changed meanwhile: read it again."
    status = 412


def write_programme(
    *,
    clinic_id: UUID,
    slug: str,
    names: dict[Language, str],
    purpose: str,
    definition: dict[str, Any],
    actor: Actor,
    now: datetime,
) -> UUID:
    """Write a new programme, as a draft. Raises InvalidInput with the field, ProgrammeExists, NotFound."""
    checked_slug(slug)
    read = Definition.read(definition)
    purpose_row = get_purpose(clinic_id=clinic_id, slug=purpose)
    missing = {step.template for step in read.steps} - latest_templates(clinic_id).keys()
    if missing:
        raise InvalidInput("A step names a template that is not there.", field="steps", templates=sorted(missing))
    programme_id = new_id()
    with record(Action.PROGRAMME_CREATED, by=actor, now=now, clinic_id=clinic_id, programme=slug, version=1):
        if Programme.objects.in_clinic(clinic_id).filter(slug=slug).exists():
            raise ProgrammeExists
        programme = Programme.objects.create(
            id=programme_id,
            clinic_id=clinic_id,
            slug=slug,
            purpose_id=purpose_row.id,
            names={language.value: name for language, name in names.items()},
        )
        ProgrammeVersion.objects.create(
            programme=programme,
            number=1,
            definition=definition,
            sha256=hashlib.sha256(canonical_json(definition)).hexdigest(),
            written_at=now,
            written_by=actor.header,
        )
    return programme_id


def approve_programme(
    *, clinic_id: UUID, programme_id: UUID, expected_version: int | None = None, actor: Actor, now: datetime
) -> None:
    """A health professional approves the version that stands. Raises NotAHealthProfessional, VersionChanged."""
    programme = _found(clinic_id, programme_id)
    member = None if actor.id is None else find_membership(account_id=actor.id, clinic_id=clinic_id)
    if member is None or not member.is_health_professional:
        raise NotAHealthProfessional
    with record(
        Action.PROGRAMME_APPROVED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        programme=programme.slug,
        version=programme.version,
    ):
        row = _locked(clinic_id, programme_id)
        if row.version != programme.version or expected_version not in {None, row.version}:
            raise VersionChanged
        version = ProgrammeVersion.objects.get(programme=row, number=row.version)
        Approval.objects.get_or_create(version=version, defaults={"account_id": member.account_id, "approved_at": now})
        if row.state == ProgrammeState.DRAFT:
            row.state = ProgrammeState.APPROVED
            row.save(update_fields=["state"])


def start_programme(*, clinic_id: UUID, programme_id: UUID, actor: Actor, now: datetime) -> None:
    """Start sending, from now on. Raises NotApproved, NotAssessed."""
    programme = _found(clinic_id, programme_id)
    with record(Action.PROGRAMME_STARTED, by=actor, now=now, clinic_id=clinic_id, programme=programme.slug):
        row = _locked(clinic_id, programme_id)
        if not Approval.objects.filter(version__programme=row, version__number=row.version).exists():
            raise NotApproved
        if not purposes_by_id([row.purpose_id])[row.purpose_id].is_assessed:
            raise NotAssessed
        row.state, row.started_at = ProgrammeState.RUNNING, row.started_at or now
        row.save(update_fields=["state", "started_at"])


def pause_programme(*, clinic_id: UUID, programme_id: UUID, actor: Actor, now: datetime) -> None:
    """Stop sending: what comes due meanwhile is withheld, and decided again once it runs, while it is still of use."""
    programme = _found(clinic_id, programme_id)
    with record(Action.PROGRAMME_PAUSED, by=actor, now=now, clinic_id=clinic_id, programme=programme.slug):
        row = _locked(clinic_id, programme_id)
        if row.state == ProgrammeState.RUNNING:
            row.state = ProgrammeState.PAUSED
            row.save(update_fields=["state"])


def _found(clinic_id: UUID, programme_id: UUID) -> Programme:
    row: Programme | None = Programme.objects.in_clinic(clinic_id).filter(id=programme_id).first()
    if row is None:
        raise NotFound
    return row


def _locked(clinic_id: UUID, programme_id: UUID) -> Programme:
    row: Programme = Programme.objects.in_clinic(clinic_id).select_for_update(of=("self",)).get(id=programme_id)
    return row
