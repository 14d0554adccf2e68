"""What stands in the tables of an export: the headings, and the cells of each row. CSV and XLSX hold the same."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from hashlib import sha256
from typing import Final
from uuid import UUID

import orjson

from backend.consent.export.reading import ToldConsent, ToldEvent
from backend.consent.models import ConsentEvent
from backend.consent.queries import NoticeRow
from backend.policy.vocabulary import Audience, Language

Cells = tuple[str, ...]

YES: Final[Mapping[Language, str]] = {Language.FRENCH: "oui", Language.ENGLISH: "yes"}
NO: Final[Mapping[Language, str]] = {Language.FRENCH: "non", Language.ENGLISH: "no"}
TABLES: Final[Mapping[str, Mapping[Language, str]]] = {
    "consents": {Language.FRENCH: "Consentements", Language.ENGLISH: "Consents"},
    "events": {Language.FRENCH: "Événements", Language.ENGLISH: "Events"},
    "notices": {Language.FRENCH: "Notices", Language.ENGLISH: "Notices"},
}
HEADINGS: Final[Mapping[str, Mapping[Language, Cells]]] = {
    "consents": {
        Language.FRENCH: (
            "patient",
            "effacé",
            "finalité",
            "canal",
            "état",
            "depuis",
            "valable jusqu’à",
            "fin de la représentation",
            "événement qui fait foi",
            "genre d’événement",
            "recueilli par",
            "exprimé le",
            "enregistré le",
            "exprimé par",
            "enregistré par",
            "base légale",
            "version de la notice",
            "langue",
            "empreinte de la notice",
            "mots conformes à l’empreinte",
            "titre de la notice",
            "phrase de la finalité",
            "texte de la notice (fichier)",
        ),
        Language.ENGLISH: (
            "patient",
            "erased",
            "purpose",
            "channel",
            "status",
            "since",
            "valid until",
            "guardian until",
            "event it rests on",
            "kind of event",
            "method",
            "said at",
            "recorded at",
            "said by",
            "recorded by",
            "legal basis",
            "notice version",
            "language",
            "notice hash",
            "words fit the hash",
            "notice title",
            "sentence of the purpose",
            "notice text (file)",
        ),
    },
    "events": {
        Language.FRENCH: (
            "événement",
            "patient",
            "effacé",
            "finalité",
            "canal",
            "numéro",
            "genre",
            "recueilli par",
            "exprimé le",
            "enregistré le",
            "valable jusqu’à",
            "fin de la représentation",
            "exprimé par",
            "enregistré par",
            "confirmé par",
            "à propos de l’événement",
            "motif",
            "base légale",
            "version de la notice",
            "langue",
            "empreinte de la notice",
            "preuve",
            "preuve lisible",
        ),
        Language.ENGLISH: (
            "event",
            "patient",
            "erased",
            "purpose",
            "channel",
            "number",
            "kind",
            "method",
            "said at",
            "recorded at",
            "valid until",
            "guardian until",
            "said by",
            "recorded by",
            "confirmed by",
            "about event",
            "reason",
            "legal basis",
            "notice version",
            "language",
            "notice hash",
            "evidence",
            "evidence readable",
        ),
    },
    "notices": {
        Language.FRENCH: (
            "version",
            "langue",
            "publiée le",
            "empreinte",
            "conforme",
            "fichier",
            "titre",
            "partie",
            "texte",
        ),
        Language.ENGLISH: ("version", "language", "published at", "hash", "fits", "file", "title", "part", "text"),
    },
}
# A cell of a spreadsheet holds 32,767 letters.
PART: Final = 30_000


def notice_file(notice: NoticeRow) -> str:
    """Under which name an export holds the exact bytes of a notice."""
    own = "" if notice.audience is Audience.EVERYBODY else f"-{notice.audience.value}"
    return f"notices/{notice.version}-{notice.language.value}{own}.json"


@dataclass(frozen=True, slots=True)
class Notices:
    """The notices of a clinic, each with whether its words still have the hash that was taken of them."""

    by_id: Mapping[UUID, NoticeRow]
    hashes: Mapping[UUID, str]

    @classmethod
    def of(cls, by_id: Mapping[UUID, NoticeRow]) -> "Notices":
        """Hash the words of each anew."""
        return cls(by_id, {notice_id: sha256(notice.shown).hexdigest() for notice_id, notice in by_id.items()})

    def of_event(self, event: ConsentEvent | None) -> NoticeRow | None:
        """The notice that an event answers to."""
        return None if event is None or event.notice_id is None else self.by_id[event.notice_id]

    def fits(self, notice: NoticeRow, expected: str) -> bool:
        """Are the words those of which this hash was taken?"""
        return self.hashes[notice.id] == expected


@dataclass(frozen=True, slots=True)
class Writing:
    """In which language the tables are, on whose clock, and with which notices."""

    language: Language
    zone: tzinfo
    notices: Notices

    def headings(self, table: str) -> Cells:
        """The first row of a table."""
        return HEADINGS[table][self.language]

    def name(self, table: str) -> str:
        """What a table is called."""
        return TABLES[table][self.language]

    def consent(self, told: ToldConsent) -> Cells | None:
        """Where one purpose on one channel stands, and the words that were agreed to; None where no state was kept."""
        state = told.state
        if state is None:
            return None
        event = state.standing_event or state.last_event
        notice = self.notices.of_event(event)
        return (
            str(told.patient_id),
            self._yes(told.is_erased),
            told.purpose.slug,
            told.channel.value,
            state.status,
            self._at(state.since),
            self._at(state.valid_until),
            self._at(state.guardian_until),
            str(event.id),
            event.kind,
            event.method,
            self._at(event.occurred_at),
            self._at(event.recorded_at),
            _speakers(event),
            event.recorded_by,
            event.legal_basis,
            "" if notice is None else str(notice.version),
            event.language,
            event.notice_sha256,
            "" if notice is None else self._yes(self.notices.fits(notice, event.notice_sha256)),
            "" if notice is None else notice.title,
            "" if notice is None else notice.statements.get(told.purpose.slug, ""),
            "" if notice is None else notice_file(notice),
        )

    def event(self, consent: ToldConsent, told: ToldEvent) -> Cells:
        """One thing that happened, with its evidence."""
        row = told.row
        notice = self.notices.of_event(row)
        readable = told.unreadable_because or ("" if told.evidence is None else YES[self.language])
        return (
            str(row.id),
            str(row.patient_id),
            self._yes(consent.is_erased),
            consent.purpose.slug,
            row.channel,
            str(row.number),
            row.kind,
            row.method,
            self._at(row.occurred_at),
            self._at(row.recorded_at),
            self._at(row.valid_until),
            self._at(row.guardian_until),
            _speakers(row),
            row.recorded_by,
            row.confirmed_by,
            str(row.about_id or ""),
            row.reason,
            row.legal_basis,
            "" if notice is None else str(notice.version),
            row.language,
            row.notice_sha256,
            "" if told.evidence is None else orjson.dumps(told.evidence, option=orjson.OPT_SORT_KEYS).decode(),
            readable,
        )

    def notice(self, notice: NoticeRow) -> Iterator[Cells]:
        """The words of a notice, in as many rows as it takes."""
        parts = [notice.body[at : at + PART] for at in range(0, len(notice.body), PART)] or [""]
        for number, part in enumerate(parts, start=1):
            yield (
                str(notice.version),
                notice.language.value,
                self._at(notice.published_at),
                notice.sha256,
                self._yes(self.notices.fits(notice, notice.sha256)),
                notice_file(notice),
                notice.title,
                str(number),
                part,
            )

    def _at(self, moment: datetime | None) -> str:
        return "" if moment is None else moment.astimezone(self.zone).isoformat(timespec="microseconds")

    def _yes(self, is_so: bool) -> str:  # noqa: FBT001 - a cell
        return (YES if is_so else NO)[self.language]


def _speakers(event: ConsentEvent) -> str:
    """Who said it: `patient`, or a representative by their id."""
    return " ".join(f"{one['role']}:{one['id']}" if "id" in one else one["role"] for one in event.expressed_by)
