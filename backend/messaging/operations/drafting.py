"""Staff write the next version of a template as a draft: linted, approved where four eyes have to, published."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import Draft, record
from backend.clinics.queries import find_membership, get_clinic
from backend.clinics.slugs import checked_slug
from backend.consent.queries import PurposeRow, get_purpose, purposes_by_id
from backend.errors import DomainError, InvalidInput, NotFound
from backend.messaging.links import TOKEN_LENGTH
from backend.messaging.linting import Around, Code, Finding, Severity, lint
from backend.messaging.models import Message, TemplateDraft, TemplateVersion
from backend.messaging.operations.templates import DraftChanged, DraftPin, NeedsApproval, publish_template
from backend.messaging.variants import VariantText
from backend.messaging.ways_out import SMS_LINE
from backend.patients.entries import record_about_patients
from backend.policy.vocabulary import Channel, Language, MessageState, Nature, Tone

MOST_VARIANTS: Final = len(Channel) * len(Language) * len(Tone)
AT_ONCE: Final = 500
CAN_NOT_BE_FILLED: Final = frozenset({Code.SYNTAX, Code.UNKNOWN_NAME, Code.UNFILLABLE, Code.SUBJECT_MISSING})


class WordsRefused(DomainError):
    """The linter refuses something in the words: they are kept as a draft, and can not be published."""

    code = "template_refused"
    sentence = "The linter refuses something in these words: read what it found."


class OwnWords(DomainError):
    """Nobody approves what they wrote themselves."""

    code = "own_words"
    sentence = "Somebody else has to approve the words that you wrote."
    status = 403


class ProfessionalOnly(DomainError):
    """Only a health professional of the clinic approves a template."""

    code = "template_needs_professional"
    sentence = "Only a health professional of this clinic can approve a template."
    status = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRow:
    """A draft, with what the linter finds in it."""

    slug: str
    purpose: str
    needs_approval: bool
    revision: int
    variants: tuple[VariantText, ...]
    findings: tuple[Finding, ...]
    edited_at: datetime
    approved_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A new version, and how many planned messages take their words from it."""

    version_id: UUID
    number: int
    reworded: int


def lint_words(*, clinic_id: UUID, purpose: str, variants: Sequence[VariantText]) -> list[Finding]:
    """What the linter finds in words for a purpose of this clinic. Raises NotFound."""
    return _lint(clinic_id, get_purpose(clinic_id=clinic_id, slug=purpose), variants)


def save_draft(
    *,
    clinic_id: UUID,
    slug: str,
    purpose: str,
    variants: Sequence[VariantText],
    expected_revision: int | None = None,
    actor: Actor,
    now: datetime,
) -> DraftRow:
    """Keep words as the draft of a template, whatever the linter finds. Raises InvalidInput, NotFound, DraftChanged.

    An approval of the words before falls.
    """
    checked_slug(slug)
    _refuse_shape(variants)
    writer = _person(actor)
    purpose_row = get_purpose(clinic_id=clinic_id, slug=purpose)
    _refuse_other_purpose(clinic_id, slug, purpose_row)
    found = _lint(clinic_id, purpose_row, variants)
    standing = TemplateDraft.objects.in_clinic(clinic_id).filter(slug=slug).first()
    revision = 1 if standing is None else standing.revision + 1
    if expected_revision is not None and expected_revision != revision - 1:
        raise DraftChanged
    with record(
        Action.TEMPLATE_DRAFTED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        template=slug,
        revision=revision,
        refused=len(refusals(found)),
    ):
        row = TemplateDraft.objects.in_clinic(clinic_id).select_for_update().filter(slug=slug).first()
        if (0 if row is None else row.revision) != revision - 1:
            raise DraftChanged
        row = row or TemplateDraft(clinic_id=clinic_id, slug=slug)
        row.purpose_id, row.revision = purpose_row.id, revision
        row.variants = [_as_stored(one) for one in variants]
        row.edited_at, row.edited_by, row.approved_by, row.approved_at = now, writer, None, None
        row.save()
    return _row(row, purpose_row, found)


def get_draft(*, clinic_id: UUID, slug: str) -> DraftRow:
    """The draft of a template, read by the linter again: its rules, or the clinic's name, may have changed."""
    row = _found(clinic_id, slug)
    purpose = purposes_by_id([row.purpose_id])[row.purpose_id]
    return _row(row, purpose, _lint(clinic_id, purpose, _variants(row)))


def discard_draft(*, clinic_id: UUID, slug: str, actor: Actor, now: datetime) -> None:
    """Throw a draft away; what is published stays. Raises NotFound."""
    row = _found(clinic_id, slug)
    with record(
        Action.TEMPLATE_DISCARDED, by=actor, now=now, clinic_id=clinic_id, template=slug, revision=row.revision
    ):
        TemplateDraft.objects.in_clinic(clinic_id).filter(id=row.id).delete()


def approve_draft(*, clinic_id: UUID, slug: str, revision: int, actor: Actor, now: datetime) -> None:
    """A health professional who did not write it says yes to exactly this revision (CSP R.4127-19-1; four eyes).

    Raises ProfessionalOnly, OwnWords, DraftChanged, WordsRefused, NotFound.
    """
    approver = _person(actor)
    member = find_membership(account_id=approver, clinic_id=clinic_id)
    if member is None or not member.is_health_professional:
        raise ProfessionalOnly
    draft = get_draft(clinic_id=clinic_id, slug=slug)
    if draft.revision != revision:
        raise DraftChanged
    if refusals(draft.findings):
        raise WordsRefused
    with record(Action.TEMPLATE_APPROVED, by=actor, now=now, clinic_id=clinic_id, template=slug, revision=revision):
        row = _locked(clinic_id, slug, revision)
        if row.edited_by == approver:
            raise OwnWords
        row.approved_by, row.approved_at = approver, now
        row.save(update_fields=["approved_by", "approved_at"])


def publish_draft(
    *, clinic_id: UUID, slug: str, revision: int, reword_planned: bool, actor: Actor, now: datetime
) -> Published:
    """Make a draft the next version. Messages planned from now on take it; planned ones only where that is said.

    Raises DraftChanged, WordsRefused, NeedsApproval, NotFound.
    """
    draft = get_draft(clinic_id=clinic_id, slug=slug)
    if draft.revision != revision:
        raise DraftChanged
    if refusals(draft.findings):
        raise WordsRefused
    version_id = publish_template(
        clinic_id=clinic_id,
        slug=slug,
        purpose=draft.purpose,
        variants=draft.variants,
        draft=DraftPin(slug=slug, revision=revision, needs_approval=draft.needs_approval),
        actor=actor,
        now=now,
    )
    number = TemplateVersion.objects.in_clinic(clinic_id).get(id=version_id).number
    reworded = (
        _reword(clinic_id, slug, version_id=version_id, number=number, variants=draft.variants, actor=actor, now=now)
        if reword_planned
        else 0
    )
    return Published(version_id=version_id, number=number, reworded=reworded)


def publish_words(
    *, clinic_id: UUID, slug: str, purpose: str, variants: Sequence[VariantText], actor: Actor, now: datetime
) -> UUID:
    """Publish words at once, as a program does that keeps its drafts itself. Raises what publishing a draft does."""
    checked_slug(slug)
    _refuse_shape(variants)
    purpose_row = get_purpose(clinic_id=clinic_id, slug=purpose)
    _refuse_other_purpose(clinic_id, slug, purpose_row)
    if needs_approval(purpose_row):
        raise NeedsApproval
    # What can not be filled is refused by publishing itself, with the field.
    refused = [one for one in refusals(_lint(clinic_id, purpose_row, variants)) if one.code not in CAN_NOT_BE_FILLED]
    if refused:
        raise WordsRefused(findings=sorted({one.code.slug for one in refused}))
    return publish_template(
        clinic_id=clinic_id,
        slug=slug,
        purpose=purpose,
        variants=variants,
        written_by=actor.id,
        actor=actor,
        now=now,
    )


def refusals(found: Sequence[Finding]) -> list[Finding]:
    """What keeps words from being published."""
    return [one for one in found if one.severity is Severity.REFUSE]


def needs_approval(purpose: PurposeRow) -> bool:
    """Marketing does (obligation row 41); what belongs to care is approved with its programme."""
    return purpose.nature is Nature.MARKETING


# ------------------------------------------------------------------------------------------------------------ inside


def _lint(clinic_id: UUID, purpose: PurposeRow, variants: Sequence[VariantText]) -> list[Finding]:
    clinic = get_clinic(clinic_id)
    public = str(settings.ACCORD_PUBLIC_URL)
    address = f"{public}/u/{'x' * TOKEN_LENGTH}"
    around = Around(
        nature=purpose.nature,
        channels=purpose.channels,
        hosts=frozenset(filter(None, {urlsplit(public).hostname})),
        way_out={language: f"\n{words} {address}" for language, words in SMS_LINE.items()},
        clinic_names=(clinic.discreet_name, clinic.name),
    )
    return lint(variants, around)


def _refuse_shape(variants: Sequence[VariantText]) -> None:
    keys = {(one.channel, one.language, one.tone) for one in variants}
    if not variants or len(variants) > MOST_VARIANTS or len(keys) < len(variants):
        raise InvalidInput("A template has at least one variant, and none twice.", field="variants")


def _refuse_other_purpose(clinic_id: UUID, slug: str, purpose: PurposeRow) -> None:
    """A template stays with its purpose: else words that nobody approved would go out under another consent."""
    standing = TemplateVersion.objects.in_clinic(clinic_id).filter(slug=slug).order_by("-number").first()
    if standing is not None and standing.purpose_id != purpose.id:
        raise InvalidInput("This template belongs to another purpose.", field="purpose")


def _person(actor: Actor) -> UUID:
    """Words are written and approved by somebody: a tick does neither."""
    if actor.id is None:
        raise ProfessionalOnly
    return actor.id


def _found(clinic_id: UUID, slug: str) -> TemplateDraft:
    row: TemplateDraft | None = TemplateDraft.objects.in_clinic(clinic_id).filter(slug=slug).first()
    if row is None:
        raise NotFound
    return row


def _locked(clinic_id: UUID, slug: str, revision: int) -> TemplateDraft:
    row: TemplateDraft | None = (
        TemplateDraft.objects.in_clinic(clinic_id).select_for_update().filter(slug=slug, revision=revision).first()
    )
    if row is None:
        raise DraftChanged
    return row


def _as_stored(one: VariantText) -> dict[str, str]:
    return {name: str(value) for name, value in asdict(one).items()}


def _variants(row: TemplateDraft) -> tuple[VariantText, ...]:
    stored: list[dict[str, Any]] = row.variants
    return tuple(
        VariantText(
            channel=Channel(one["channel"]),
            language=Language(one["language"]),
            tone=Tone(one["tone"]),
            body=one["body"],
            subject=one["subject"],
            discreet_subject=one["discreet_subject"],
            discreet_body=one["discreet_body"],
        )
        for one in stored
    )


def _row(row: TemplateDraft, purpose: PurposeRow, found: Sequence[Finding]) -> DraftRow:
    return DraftRow(
        slug=row.slug,
        purpose=purpose.slug,
        needs_approval=needs_approval(purpose),
        revision=row.revision,
        variants=_variants(row),
        findings=tuple(found),
        edited_at=row.edited_at,
        approved_at=row.approved_at,
    )


def _reword(
    clinic_id: UUID,
    slug: str,
    *,
    version_id: UUID,
    number: int,
    variants: Sequence[VariantText],
    actor: Actor,
    now: datetime,
) -> int:
    """Give planned messages the new words, each in the channel, language and tone it was planned in; how many.

    One whose variant is not in the new version keeps the version it has.
    """
    spoken = {(one.channel.value, one.language.value, one.tone.value) for one in variants}
    planned = list(
        Message.objects.in_clinic(clinic_id)
        .filter(
            template_version__slug=slug,
            template_version__clinic_id=clinic_id,
            state__in=[MessageState.PLANNED, MessageState.DEFERRED],
        )
        .exclude(template_version_id=version_id)
        .order_by("id")
        .values_list("id", "patient_id", "channel", "language", "tone")
    )
    fitting = [(message, patient) for message, patient, *key in planned if tuple(key) in spoken]
    done = 0
    for start in range(0, len(fitting), AT_ONCE):
        piece = fitting[start : start + AT_ONCE]
        drafts = [
            Draft(
                action=Action.MESSAGE_REWORDED,
                clinic_id=clinic_id,
                about=(patient,),
                details={"message": message, "template": slug, "version": number},
            )
            for message, patient in piece
        ]
        with record_about_patients(drafts, by=actor, now=now):
            # One that a worker took up meanwhile goes out in the words it was taken up with.
            done += Message.objects.filter(
                id__in=[message for message, _patient in piece],
                state__in=[MessageState.PLANNED, MessageState.DEFERRED],
            ).update(template_version_id=version_id)
    return done
