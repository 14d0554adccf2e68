"""Notices: written, approved by the data protection officer, published; what was published is never changed."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import Draft, record, record_many
from backend.clinics.queries import get_clinic
from backend.consent.models import Notice, NoticeDraft, Purpose
from backend.consent.queries import purposes_of, words_shown
from backend.errors import DomainError, InvalidInput, NotFound
from backend.policy.notices import WHERE_IT_APPLIES, Controller, Missing, NoticeElement, what_is_missing
from backend.policy.vocabulary import Audience, Language, Materiality
from backend.vault.identifiers import new_id

NAME: Final = {Audience.EVERYBODY: "contact", Audience.CHILD: "contact_for_children"}
Texts = Mapping[Language, tuple[str, str]]
"""Title and body in each language."""


class NoticeNotApproved(DomainError):
    """A notice is approved by the data protection officer before it is shown to anybody."""

    code = "notice_not_approved"
    sentence = "The data protection officer has not approved this notice yet."


class NoticeAlreadyApproved(DomainError):
    """What was approved is not approved otherwise afterwards: write it anew."""

    code = "notice_already_approved"
    sentence = "This notice was approved already: write a new one."


class NoticeAlreadyPublished(DomainError):
    """A notice is published once."""

    code = "notice_already_published"
    sentence = "This notice was published already."


class NoticeIncomplete(DomainError):
    """A notice names what the law asks for before anybody is asked (GDPR Art. 13 and 14)."""

    code = "notice_incomplete"
    sentence = "This notice does not name everything that the law asks for."

    def __init__(self, missing: Iterable[Missing]) -> None:
        super().__init__(missing=[one.told for one in missing])


def publish_notice(
    *, clinic_id: UUID, texts: Texts, child_texts: Texts | None = None, actor: Actor, now: datetime
) -> int:
    """Publish the next version of the clinic's notice, in every language at once, as a rewording; its number.

    For setting a clinic up, and for whoever has the machine. `child_texts` are shown to a child in place of `texts`.
    Each row carries the hash of exactly what is shown: title, body, and the statement of every purpose, in canonical
    JSON (RFC 8785).
    """
    _refuse_missing_language(texts, child_texts)
    return _publish(
        clinic_id=clinic_id,
        texts=texts,
        child_texts=child_texts or {},
        materiality=Materiality.EDITORIAL,
        reason="",
        effective_from=None,
        approved_by="",
        draft_id=None,
        actor=actor,
        now=now,
    )


def draft_notice(
    *, clinic_id: UUID, texts: Texts, child_texts: Texts | None = None, actor: Actor, now: datetime
) -> UUID:
    """Write a notice, in every language at once. Nobody sees it until it was approved and published."""
    _refuse_missing_language(texts, child_texts)
    draft_id = new_id()
    with record(Action.NOTICE_DRAFTED, by=actor, now=now, clinic_id=clinic_id, notice=draft_id):
        NoticeDraft.objects.create(
            id=draft_id,
            clinic_id=clinic_id,
            texts={language.value: list(words) for language, words in texts.items()},
            child_texts={language.value: list(words) for language, words in (child_texts or {}).items()},
            written_by=actor.header,
            written_at=now,
        )
    return draft_id


def missing_in_draft(*, clinic_id: UUID, draft_id: UUID) -> tuple[Missing, ...]:
    """What the program misses in a notice that was written. Raises NotFound."""
    row = NoticeDraft.objects.in_clinic(clinic_id).filter(id=draft_id).first()
    if row is None:
        raise NotFound
    return _missing_in(row)


def approve_notice(
    *,
    clinic_id: UUID,
    draft_id: UUID,
    materiality: Materiality,
    reason: str,
    effective_from: datetime | None,
    not_applicable: Mapping[NoticeElement, str] | None = None,
    actor: Actor,
    now: datetime,
) -> None:
    """The data protection officer approves it, and says whether it only rewords or says something else, and why.

    A material notice names the instant from which on what was said to earlier ones no longer permits anything (new
    purpose, recipient, category of data, channel, longer retention: EDPB 05/2020). `not_applicable` says of what the
    law asks for only where it applies why it does not apply here; of nothing else can it be said. Raises
    NoticeIncomplete, NoticeAlreadyApproved, InvalidInput, NotFound.
    """
    excused = dict(not_applicable or {})
    if excused.keys() - WHERE_IT_APPLIES:
        raise InvalidInput("A notice can not do without this.", field="not_applicable")
    if not all(why.strip() for why in excused.values()):
        raise InvalidInput("Say why.", field="not_applicable")
    if not reason.strip():
        raise InvalidInput("Say why.", field="reason")
    if (materiality is Materiality.MATERIAL) != (effective_from is not None):
        raise InvalidInput("A material notice, and no other, says from when it holds.", field="effective_from")
    if effective_from is not None and effective_from < now:
        raise InvalidInput("This lies in the past.", field="effective_from")
    with record(
        Action.NOTICE_APPROVED, by=actor, now=now, clinic_id=clinic_id, notice=draft_id, materiality=materiality.value
    ):
        row = _locked(clinic_id, draft_id)
        if row.approved_at is not None:
            raise NoticeAlreadyApproved
        row.not_applicable = {element.value: why.strip() for element, why in excused.items()}
        _refuse_incomplete(row)
        row.materiality, row.materiality_reason, row.effective_from = materiality, reason, effective_from
        row.approved_by, row.approved_at = actor.header, now
        row.save()


def publish_draft(*, clinic_id: UUID, draft_id: UUID, actor: Actor, now: datetime) -> int:
    """Publish what was approved; the number of the version.

    It is read once more: a purpose without its sentence may have come since, or the clinic has moved. Raises
    NoticeNotApproved, NoticeIncomplete, NoticeAlreadyPublished, NotFound.

    A yes to the version before it is no longer taken from then on; those that were given stand, until the date of a
    material one.
    """
    row = NoticeDraft.objects.in_clinic(clinic_id).filter(id=draft_id).first()
    if row is None:
        raise NotFound
    if row.approved_at is None:
        raise NoticeNotApproved
    if row.version is None:
        _refuse_incomplete(row)
    return _publish(
        clinic_id=clinic_id,
        texts=_texts(row.texts),
        child_texts=_texts(row.child_texts),
        materiality=Materiality(row.materiality),
        reason=row.materiality_reason,
        effective_from=row.effective_from,
        approved_by=row.approved_by,
        draft_id=draft_id,
        actor=actor,
        now=now,
    )


def _refuse_incomplete(row: NoticeDraft) -> None:
    if missing := _missing_in(row):
        raise NoticeIncomplete(missing)


def _missing_in(row: NoticeDraft) -> tuple[Missing, ...]:
    clinic = get_clinic(row.clinic_id)
    controller = Controller(
        name=clinic.name, telephone=clinic.telephone, address=clinic.address, country=clinic.country
    )
    asked = [purpose for purpose in purposes_of(row.clinic_id).values() if purpose.requires_consent]
    return tuple(
        missing
        for language in Language
        for missing in what_is_missing(
            row.texts[language.value][1],
            language=language,
            controller=controller,
            child_text=" ".join(row.child_texts.get(language.value, [])),
            statements=[purpose.statements.get(language.value, "") for purpose in asked],
            not_applicable=[NoticeElement(one) for one in row.not_applicable],
        )
    )


def _texts(stored: Mapping[str, list[str]]) -> Texts:
    return {Language(language): (words[0], words[1]) for language, words in stored.items()}


def _refuse_missing_language(texts: Texts, child_texts: Texts | None) -> None:
    if set(texts) != set(Language) or (child_texts and set(child_texts) != set(Language)):
        raise InvalidInput("A notice is published in every language at once.", field="texts")


def _locked(clinic_id: UUID, draft_id: UUID) -> NoticeDraft:
    row: NoticeDraft | None = NoticeDraft.objects.in_clinic(clinic_id).filter(id=draft_id).select_for_update().first()
    if row is None:
        raise NotFound
    return row


def _publish(
    *,
    clinic_id: UUID,
    texts: Texts,
    child_texts: Texts,
    materiality: Materiality,
    reason: str,
    effective_from: datetime | None,
    approved_by: str,
    draft_id: UUID | None,
    actor: Actor,
    now: datetime,
) -> int:
    purposes = list(Purpose.objects.in_clinic(clinic_id).order_by("rank", "slug"))
    last = Notice.objects.in_clinic(clinic_id).order_by("-version").values_list("version", flat=True).first()
    version = (last or 0) + 1
    rows = []
    for audience, written in ((Audience.EVERYBODY, texts), (Audience.CHILD, child_texts)):
        for language, (title, body) in written.items():
            words: dict[str, Any] = {
                "version": version,
                "language": language,
                "title": title,
                "body": body,
                "statements": {purpose.slug: _statement(purpose, language, audience) for purpose in purposes},
                "audience": audience,
            }
            rows.append(
                Notice(
                    **words,
                    clinic_id=clinic_id,
                    sha256=hashlib.sha256(words_shown(**words)).hexdigest(),
                    published_at=now,
                    materiality=materiality,
                    materiality_reason=reason,
                    # Published after its date, it holds from its publication on.
                    effective_from=None if effective_from is None else max(effective_from, now),
                    approved_by=approved_by,
                )
            )
    drafts = [
        Draft(
            action=Action.NOTICE_PUBLISHED,
            clinic_id=clinic_id,
            details={
                "notice": NAME[Audience(row.audience)],
                "version": version,
                "language": str(row.language),
                "sha256": row.sha256,
            },
        )
        for row in rows
    ]
    with record_many(drafts, by=actor, now=now):
        if draft_id is not None:
            draft = _locked(clinic_id, draft_id)
            if draft.version is not None:
                raise NoticeAlreadyPublished
            draft.version = version
            draft.save()
        Notice.objects.bulk_create(rows)
    return version


def _statement(purpose: Purpose, language: Language, audience: Audience) -> str:
    own = purpose.child_statements.get(language.value, "") if audience is Audience.CHILD else ""
    return str(own or purpose.statements.get(language.value, ""))
