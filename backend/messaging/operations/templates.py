"""Templates are published in versions; a published version never changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import record
from backend.clinics.slugs import checked_slug
from backend.consent.queries import get_purpose
from backend.errors import DomainError, InvalidInput
from backend.messaging.models import TemplateDraft, TemplateVariant, TemplateVersion
from backend.messaging.names import GROUPS
from backend.messaging.rendering import TemplateRefused, Words, check_template, render
from backend.messaging.values import invented_values
from backend.messaging.variants import VariantText
from backend.policy.vocabulary import Channel
from backend.vault.identifiers import new_id

OFFERED: Final = GROUPS


class NeedsApproval(DomainError):
    """Marketing goes out only after a health professional, other than its writer, approved exactly these words."""

    code = "template_not_approved"
    sentence = "A health professional other than the writer has not approved these words yet."


class DraftChanged(DomainError):
    """Another revision stands now than the one that was read."""

    code = "draft_changed"
    sentence = "The draft was changed meanwhile: read it again."
    status = 412


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftPin:
    """Exactly one revision of a draft, and whether it has to be approved."""

    slug: str
    revision: int
    needs_approval: bool


def publish_template(
    *,
    clinic_id: UUID,
    slug: str,
    purpose: str,
    variants: Sequence[VariantText],
    written_by: UUID | None = None,
    draft: DraftPin | None = None,
    actor: Actor,
    now: datetime,
) -> UUID:
    """Publish the next version of a template. Raises InvalidInput for words that can not be filled.

    It does not ask the linter: `drafting` does, and the words that Accord ships are read by its tests. With a draft it
    takes that draft's place, if it still stands as it was read. Raises DraftChanged, NeedsApproval.
    """
    checked_slug(slug)
    if not variants:
        raise InvalidInput("A template needs at least one variant.", field="variants")
    for place, variant in enumerate(variants):
        for name in ("subject", "body", "discreet_subject", "discreet_body"):
            try:
                check_template(getattr(variant, name), allowed=OFFERED)
            except TemplateRefused as error:
                raise InvalidInput(
                    f"These words can not be filled: {error}", field=f"variants[{place}].{name}"
                ) from None
        _refuse_unfillable(variant, place)
        if variant.channel in {Channel.EMAIL, Channel.PUSH} and not variant.subject:
            raise InvalidInput("An e-mail or push message needs a subject.", field=f"variants[{place}].subject")
    purpose_row = get_purpose(clinic_id=clinic_id, slug=purpose)
    versions = TemplateVersion.objects.in_clinic(clinic_id).filter(slug=slug)
    last = versions.order_by("-number").values_list("number", flat=True).first()
    version_id, number = new_id(), (last or 0) + 1
    with record(
        Action.TEMPLATE_PUBLISHED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        template=slug,
        version=number,
        variants=len(variants),
    ):
        taken = None if draft is None else _taken(clinic_id, draft)
        TemplateVersion.objects.create(
            id=version_id,
            clinic_id=clinic_id,
            slug=slug,
            number=number,
            purpose_id=purpose_row.id,
            published_at=now,
            written_by=written_by if taken is None else taken.edited_by,
            approved_by=None if taken is None else taken.approved_by,
            approved_at=None if taken is None else taken.approved_at,
        )
        TemplateVariant.objects.bulk_create(
            TemplateVariant(
                version_id=version_id,
                channel=variant.channel,
                language=variant.language,
                tone=variant.tone,
                subject=variant.subject,
                body=variant.body,
                discreet_subject=variant.discreet_subject,
                discreet_body=variant.discreet_body,
            )
            for variant in variants
        )
    return version_id


def _taken(clinic_id: UUID, pin: DraftPin) -> TemplateDraft:
    """The draft, out of the way of its version."""
    rows = TemplateDraft.objects.in_clinic(clinic_id).select_for_update()
    row: TemplateDraft | None = rows.filter(slug=pin.slug, revision=pin.revision).first()
    if row is None:
        raise DraftChanged
    if pin.needs_approval and row.approved_by is None:
        raise NeedsApproval
    row.delete()
    return row


def _refuse_unfillable(variant: VariantText, place: int) -> None:
    """Fill the words with an invented patient: a name that is not there is found now, and not at every patient."""
    words = Words(
        id=new_id(),
        channel=variant.channel,
        language=variant.language,
        subject=variant.subject,
        body=variant.body,
        discreet_subject=variant.discreet_subject,
        discreet_body=variant.discreet_body,
    )
    for for_child in (False, True):
        for discreet in (False, True):
            try:
                said = render(words, {**invented_values(variant.language), "for_child": for_child}, discreet=discreet)
            except TemplateRefused as error:
                raise InvalidInput(f"These words can not be filled: {error}", field=f"variants[{place}]") from None
            if not said.text:
                raise InvalidInput("A message without words is none.", field=f"variants[{place}].body")
