"""Questions about templates and messages."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, Q

from backend.audit.recording import Entry
from backend.errors import NotFound
from backend.messaging.models import Message, ReceivedStop, TemplateVariant, TemplateVersion
from backend.messaging.rendering import Words
from backend.policy.contact import EVERY_PURPOSE, Verdict
from backend.policy.vocabulary import Channel, Language, MessageState, Reason, Tone
from backend.vault.fields import ValueShredded

RENEW_STEP: Final = "renew"
"""The step of a message that says that a yes ends soon; its occurrence is the event of that yes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateWords:
    """The newest version of a template, with all its variants."""

    version_id: UUID
    slug: str
    number: int
    variants: dict[tuple[Channel, Language, Tone], Words]

    @property
    def channels(self) -> frozenset[Channel]:
        """The channels it has words for."""
        return frozenset(channel for channel, _language, _tone in self.variants)

    def best(self, channel: Channel, language: Language, tone: Tone) -> tuple[Language, Tone] | None:
        """The variant that comes closest: the language first, then the tone, then formal."""
        for spoken in dict.fromkeys((language, Language.FRENCH, Language.ENGLISH)):
            for mood in dict.fromkeys((tone, Tone.FORMAL, *Tone)):
                if (channel, spoken, mood) in self.variants:
                    return spoken, mood
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRow:
    """A message without its words."""

    id: UUID
    patient_id: UUID
    programme: str
    step: str
    purpose: str
    channel: Channel
    language: Language
    tone: Tone
    state: MessageState
    due_at: datetime
    expires_at: datetime | None
    planned_at: datetime
    settled_at: datetime | None
    verdict: Verdict | None
    considered: dict[str, Any]
    carrier: str
    failure: str
    occasion_id: UUID | None
    template: str
    template_number: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """One version of a template, without its words."""

    version_id: UUID
    number: int
    published_at: datetime
    written_by: UUID | None
    approved_by: UUID | None
    approved_at: datetime | None


def template_history(*, clinic_id: UUID, slug: str) -> list[VersionRow]:
    """The versions of a template, the newest first. Raises NotFound."""
    rows = TemplateVersion.objects.in_clinic(clinic_id).filter(slug=slug).order_by("-number")
    found = [
        VersionRow(
            version_id=row.id,
            number=row.number,
            published_at=row.published_at,
            written_by=row.written_by,
            approved_by=row.approved_by,
            approved_at=row.approved_at,
        )
        for row in rows
    ]
    if not found:
        raise NotFound
    return found


def latest_templates(clinic_id: UUID) -> dict[str, TemplateWords]:
    """The newest version of every template of a clinic."""
    newest: dict[str, TemplateVersion] = {}
    for version in TemplateVersion.objects.in_clinic(clinic_id).order_by("number"):
        newest[version.slug] = version
    words = words_of([version.id for version in newest.values()])
    return {
        slug: TemplateWords(version_id=version.id, slug=slug, number=version.number, variants=words[version.id])
        for slug, version in newest.items()
    }


def words_of(version_ids: Iterable[UUID]) -> dict[UUID, dict[tuple[Channel, Language, Tone], Words]]:
    """The variants of some versions, with one query."""
    found: defaultdict[UUID, dict[tuple[Channel, Language, Tone], Words]] = defaultdict(dict)
    for row in TemplateVariant.objects.filter(version_id__in=set(version_ids)):
        key = (Channel(row.channel), Language(row.language), Tone(row.tone))
        found[row.version_id][key] = Words(
            id=row.id,
            channel=key[0],
            language=key[1],
            subject=row.subject,
            body=row.body,
            discreet_subject=row.discreet_subject,
            discreet_body=row.discreet_body,
        )
    return found


def messages_of(
    *,
    clinic_id: UUID,
    patient_id: UUID | None = None,
    states: Iterable[MessageState] = (),
    reasons: Iterable[Reason] = (),
    before: tuple[datetime, UUID] | None = None,
    hidden: frozenset[str] = frozenset(),
    limit: int = 50,
) -> list[MessageRow]:
    """A page of messages, the newest first; without those for the purposes that are hidden from whoever asks."""
    rows = Message.objects.in_clinic(clinic_id).order_by("-due_at", "-id")
    if patient_id is not None:
        rows = rows.filter(patient_id=patient_id)
    if EVERY_PURPOSE in hidden:
        return []
    if hidden:
        rows = rows.exclude(purpose__slug__in=hidden)
    if wanted := list(states):
        rows = rows.filter(state__in=wanted)
    if held_by := [Q(verdict__reasons__icontains=f'"{reason.value}"') for reason in reasons]:
        rows = rows.filter(reduce(or_, held_by))
    if before is not None:
        due_at, message_id = before
        rows = rows.filter(due_at__lte=due_at).exclude(due_at=due_at, id__gte=message_id)
    return [_row(row) for row in rows.select_related(*AROUND).defer("sent_text")[:limit]]


def get_message(*, clinic_id: UUID, message_id: UUID, patient_id: UUID | None = None) -> MessageRow:
    """One message of a clinic, and of one patient where that is said. Raises NotFound."""
    rows = Message.objects.in_clinic(clinic_id).filter(id=message_id)
    if patient_id is not None:
        rows = rows.filter(patient_id=patient_id)
    row = rows.select_related(*AROUND).defer("sent_text").first()
    if row is None:
        raise NotFound
    return _row(row)


def reveal_sent_texts(message_ids: Iterable[UUID], *, entry: Entry) -> dict[UUID, dict[str, str]]:
    """What was sent, word for word, under an entry that covers whose messages they are."""
    texts: dict[UUID, dict[str, str]] = {}
    for row in Message.objects.filter(id__in=set(message_ids)).exclude(sent_text=None):
        if row.sent_text is None:
            continue
        try:
            texts[row.id] = row.sent_text.reveal_data(entry)
        except ValueShredded:
            continue
    return texts


def count_by_state(clinic_id: UUID) -> dict[MessageState, int]:
    """How many messages stand where."""
    rows = Message.objects.in_clinic(clinic_id).values_list("state").annotate(count=Count("id")).order_by()
    return {MessageState(state): count for state, count in rows}


AROUND: Final = ("purpose", "programme", "template_version")


def _row(row: Message) -> MessageRow:
    stored: dict[str, Any] = row.verdict
    return MessageRow(
        id=row.id,
        patient_id=row.patient_id,
        programme="" if row.programme is None else row.programme.slug,
        step=row.step,
        purpose=row.purpose.slug,
        channel=Channel(row.channel),
        language=Language(row.language),
        tone=Tone(row.tone),
        state=MessageState(row.state),
        due_at=row.due_at,
        expires_at=row.expires_at,
        planned_at=row.planned_at,
        settled_at=row.settled_at,
        verdict=Verdict.from_record(stored) if "decided" in stored else None,
        considered=stored.get("considered", {}),
        carrier=row.carrier,
        failure=row.failure,
        occasion_id=row.occasion_id,
        template="" if row.template_version is None else row.template_version.slug,
        template_number=None if row.template_version is None else row.template_version.number,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRow:
    """A STOP by SMS, and one of the patients who have the number it came from."""

    id: UUID
    received: UUID
    received_at: datetime
    patient_id: UUID
    sharing: int
    withdrawn: int


def stops_of(*, clinic_id: UUID, before: tuple[datetime, UUID] | None, limit: int) -> list[StopRow]:
    """A page of the STOPs of a clinic, the newest first."""
    rows = ReceivedStop.objects.in_clinic(clinic_id).order_by("-received_at", "-id")
    if before is not None:
        at, row_id = before
        rows = rows.filter(received_at__lte=at).exclude(received_at=at, id__gte=row_id)
    return [
        StopRow(
            id=row.id,
            received=row.received,
            received_at=row.received_at,
            patient_id=row.patient_id,
            sharing=row.sharing,
            withdrawn=row.withdrawn,
        )
        for row in rows[:limit]
    ]
