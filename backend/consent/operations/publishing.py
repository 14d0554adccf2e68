"""Purposes are defined, notices are published: what a patient says yes to exists before they say it."""

import hashlib
from datetime import datetime
from uuid import UUID

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.leaf import canonical_json
from backend.audit.recording import Draft, record, record_many
from backend.clinics.slugs import checked_slug
from backend.consent.models import Notice, Purpose
from backend.errors import DomainError, InvalidInput
from backend.policy.vocabulary import Channel, Language, LegalBasis, Nature
from backend.vault.identifiers import new_id


class PurposeExists(DomainError):
    """There is a purpose with this slug already."""

    code = "purpose_exists"
    sentence = "There is a purpose with this short name already."


def define_purpose(
    *,
    clinic_id: UUID,
    slug: str,
    nature: Nature,
    channels: tuple[Channel, ...],
    names: dict[Language, str],
    statements: dict[Language, str],
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
    basis = LegalBasis.LEGAL_OBLIGATION if nature is Nature.CLOSED_LIST else LegalBasis.CONSENT
    with record(Action.PURPOSE_DEFINED, by=actor, now=now, clinic_id=clinic_id, purpose=slug, nature=nature.value):
        if Purpose.objects.in_clinic(clinic_id).filter(slug=slug).exists():
            raise PurposeExists
        Purpose.objects.create(
            id=purpose_id,
            clinic_id=clinic_id,
            slug=slug,
            nature=nature,
            legal_basis=basis,
            health_data_condition=health_data_condition,
            channels=[channel.value for channel in channels],
            names={language.value: name for language, name in names.items()},
            statements={language.value: text for language, text in statements.items()},
            validity_months=validity_months,
            rank=rank,
        )
    return purpose_id


def publish_notice(
    *,
    clinic_id: UUID,
    texts: dict[Language, tuple[str, str]],
    actor: Actor,
    now: datetime,
) -> int:
    """Publish the next version of the clinic's notice, in every language at once; its number.

    `texts` holds title and body per language. Each row carries the hash of exactly what is shown: title, body, and the
    statement of every purpose, in canonical JSON (RFC 8785).
    """
    if set(texts) != set(Language):
        raise InvalidInput("A notice is published in every language at once.", field="texts")
    purposes = list(Purpose.objects.in_clinic(clinic_id).order_by("rank", "slug"))
    last = Notice.objects.in_clinic(clinic_id).order_by("-version").values_list("version", flat=True).first()
    version = (last or 0) + 1
    rows = []
    for language, (title, body) in texts.items():
        statements = {purpose.slug: purpose.statements.get(language.value, "") for purpose in purposes}
        shown = {"version": version, "language": language.value, "title": title, "body": body, "statements": statements}
        rows.append(
            Notice(
                clinic_id=clinic_id,
                version=version,
                language=language,
                title=title,
                body=body,
                statements=statements,
                sha256=hashlib.sha256(canonical_json(shown)).hexdigest(),
                published_at=now,
            )
        )
    drafts = [
        Draft(
            action=Action.NOTICE_PUBLISHED,
            clinic_id=clinic_id,
            details={"notice": "contact", "version": version, "language": str(row.language), "sha256": row.sha256},
        )
        for row in rows
    ]
    with record_many(drafts, by=actor, now=now):
        Notice.objects.bulk_create(rows)
    return version
