"""What is known of one purpose on one channel of one patient: plain facts, from which every standard is written.

No name, no telephone number and no address of a patient is among them: whoever holds a record holds a pseudonym.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Final
from uuid import UUID

from backend.audit.leaf import canonical_json
from backend.policy.vocabulary import (
    Audience,
    Channel,
    ConsentStatus,
    EventKind,
    Language,
    Method,
    Nature,
    RepresentationKind,
)

Json = dict[str, object]

OPENS: Final = frozenset(
    {
        EventKind.REQUESTED,
        EventKind.DEFERRED,
        EventKind.PENDING,
        EventKind.GIVEN,
        EventKind.RENEWED,
        EventKind.REFUSED,
        EventKind.OBJECTED,
    }
)
"""With these begins something that stands until the next of them, or until it is ended."""
A_YES: Final = frozenset({EventKind.PENDING, EventKind.GIVEN, EventKind.RENEWED})
ONLY_ASKED: Final = frozenset({EventKind.REQUESTED, EventKind.DEFERRED})
ENDS_A_YES: Final = frozenset(
    {
        EventKind.WITHDRAWN,
        EventKind.EXPIRED,
        EventKind.RECONSENT_REQUIRED,
        EventKind.ENDED,
        EventKind.REVOKED,
        EventKind.INVALIDATED,
    }
)


class Writer(StrEnum):
    """Who wrote an event down: the person themselves, somebody of the clinic, or Accord following a rule."""

    PATIENT = "patient"
    REPRESENTATIVE = "representative"
    STAFF = "staff"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """The clinic, who answers for it (GDPR Art. 4(7)). `site` is the address of this installation, no slash behind."""

    id: UUID
    slug: str
    name: str
    country: str
    address: str
    telephone: str
    time_zone: str
    site: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What for. `names` are what people call it, by language."""

    id: UUID
    slug: str
    names: dict[str, str]
    nature: Nature
    legal_basis: str
    health_data_condition: str
    validity_months: int

    def name(self, language: Language | str) -> str:
        """How people call it."""
        return self.names.get(language) or self.slug


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The exact words that were shown: a published notice, and the sentence of this purpose in it.

    `sha256` is taken over the whole notice in canonical JSON (RFC 8785), the sentences of other purposes included.
    """

    version: int
    language: Language
    title: str
    body: str
    statement: str
    sha256: str
    published_at: datetime
    audience: Audience = Audience.EVERYBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Who said it: the patient, or a representative, who is named by an id and by what right they act."""

    representative_id: UUID | None = None
    by_right: RepresentationKind | None = None

    @property
    def is_patient(self) -> bool:
        """Did the patient say it themselves?"""
        return self.representative_id is None


@dataclass(frozen=True, kw_only=True)
class RecordedEvent:
    """One thing that happened. `occurred_at` is when it was said, `recorded_at` when it was written down."""

    id: UUID
    number: int
    kind: EventKind
    method: Method
    occurred_at: datetime
    recorded_at: datetime
    valid_until: datetime | None
    about: UUID | None
    reason: str
    words: Words | None
    spoken_by: tuple[Speaker, ...]
    written_by: Writer
    pseudonym: str

    @cached_property
    def sha256(self) -> str:
        """A hash over this event in canonical JSON (RFC 8785): the same in every form it is exported in."""
        told: Json = {
            "id": str(self.id),
            "number": self.number,
            "kind": self.kind.value,
            "method": self.method.value,
            "occurred_at": instant(self.occurred_at),
            "recorded_at": instant(self.recorded_at),
            "valid_until": None if self.valid_until is None else instant(self.valid_until),
            "notice_sha256": "" if self.words is None else self.words.sha256,
            "spoken_by": [str(one.representative_id or "patient") for one in self.spoken_by],
            "written_by": self.written_by.value,
            "about": None if self.about is None else str(self.about),
            "reason": self.reason,
        }
        return hashlib.sha256(canonical_json(told)).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One thing that was said, and what came of it: the event that began it, and the one that ended it, if any did."""

    opening: RecordedEvent
    closing: RecordedEvent | None = None
    is_error: bool = False


@dataclass(frozen=True, kw_only=True)
class ConsentRecord:
    """Everything about one purpose on one channel of one patient, oldest event first; never without an event.

    `status` is where it stands at `as_of`, dates and material notices included; `holds_until` is when a yes that
    stands will end by itself, as far as is known.
    """

    id: UUID
    patient_id: UUID
    controller: Controller
    purpose: Purpose
    channel: Channel
    status: ConsentStatus
    since: datetime
    holds_until: datetime | None
    standing: RecordedEvent
    events: tuple[RecordedEvent, ...]
    as_of: datetime

    @property
    def words(self) -> Words | None:
        """The words to which the last yes or no was said."""
        if self.standing.words is not None:
            return self.standing.words
        return next((event.words for event in reversed(self.events) if event.words is not None), None)

    @cached_property
    def chapters(self) -> tuple[Chapter, ...]:
        """What was said, each with what ended it; the last is what stands."""
        chapters: list[Chapter] = []
        for event in self.events:
            _read_on(chapters, event)
        return tuple(chapters)


def instant(moment: datetime) -> str:
    """A moment as every standard here writes it: UTC, to the microsecond."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def notice_url(controller: Controller, words: Words) -> str:
    """Where the words can be read, for as long as the installation is there."""
    address = f"{controller.site}/notices/{controller.slug}/{words.version}/{words.language.value}"
    return address if words.audience is Audience.EVERYBODY else f"{address}/{words.audience.value}"


def _read_on(chapters: list[Chapter], event: RecordedEvent) -> None:
    last = chapters[-1] if chapters else None
    is_open = last is not None and last.closing is None and not last.is_error
    kind = event.kind
    if kind is EventKind.ENTERED_IN_ERROR:
        chapters[:] = [
            Chapter(opening=one.opening, closing=one.closing or event, is_error=True)
            if one.opening.id == event.about
            else one
            for one in chapters
        ]
    elif last is not None and is_open and last.opening.kind is EventKind.OBJECTED:
        # An objection stands until it is taken back, whatever else is said.
        if kind is EventKind.OBJECTION_LIFTED:
            chapters[-1] = Chapter(opening=last.opening, closing=event)
    elif kind in ONLY_ASKED and last is not None and (is_open and last.opening.kind not in ONLY_ASKED):
        # Where it stood, it stands.
        return
    elif kind in OPENS:
        if last is not None and is_open:
            chapters[-1] = Chapter(opening=last.opening, closing=event)
        chapters.append(Chapter(opening=event))
    elif kind in ENDS_A_YES and last is not None and is_open and last.opening.kind in A_YES:
        chapters[-1] = Chapter(opening=last.opening, closing=event)
    elif kind is EventKind.WITHDRAWN and (last is None or not _is_a_no(last)):
        # Nothing was there to withdraw: it is a no that stands.
        if last is not None and is_open:
            chapters[-1] = Chapter(opening=last.opening, closing=event)
        chapters.append(Chapter(opening=event))


def _is_a_no(chapter: Chapter) -> bool:
    if chapter.closing is not None:
        return chapter.closing.kind is EventKind.WITHDRAWN
    return chapter.opening.kind in {EventKind.REFUSED, EventKind.WITHDRAWN}
