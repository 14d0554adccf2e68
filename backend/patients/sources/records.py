"""The records that every source is translated into, and the problems met on the way."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from backend.patients.sources.reasons import REASONS
from backend.policy.vocabulary import Language

OccasionKind = Literal["appointment", "immunisation", "encounter"]
OccasionStatus = Literal[
    "booked", "cancelled", "fulfilled", "missed", "done", "not_done", "entered_in_error", "pending"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The place in the import that something came from: a file name without its folder, and a line from 1."""

    file: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that was not taken over as it stood, where, and why; never the value itself.

    `refused`: nothing of this line becomes a record, and there is one such problem for the line. `unusable`: the record
    is there, and this one field of it is either kept but not usable, or left out.
    """

    where: Where
    field: str
    reason: str
    kind: Literal["refused", "unusable"]

    def sentence(self, language: Language) -> str:
        """Why, for a person."""
        return REASONS[self.reason][language]


class _Discreet:
    """Shows no personal data when it is printed: records end up in tracebacks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(•••)"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Identifier(_Discreet):
    """A number that somebody gave to a person or a record: the giver, and the number."""

    system: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Reference(_Discreet):
    """Which patient a record is about: by identifier, or by the id in the source. Exactly one of the two is there."""

    identifier: Identifier | None
    source_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Telecom(_Discreet):
    """One telephone number or e-mail address; an unusable one is kept as it was written, and says why.

    `value` is E.164 or a normalised address when usable, the text as it was written otherwise. `mobile` says whether
    the number can take SMS; it is None for an address and for an unusable number.
    """

    kind: Literal["phone", "email"]
    value: str
    raw: str
    usable: bool
    reason: str | None
    mobile: bool | None
    use: str | None
    rank: int | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PatientRecord(_Discreet):
    """One patient as the source knows them. Without identifiers, `source_id` is what recognises them again."""

    where: Where
    source_id: str | None
    identifiers: tuple[Identifier, ...]
    family_name: str
    given_names: tuple[str, ...]
    birth_date: date | None
    deceased: bool
    deceased_at: datetime | date | None
    gender: str | None
    language: Language | None
    telecoms: tuple[Telecom, ...]
    address_lines: tuple[str, ...]
    postal_code: str
    city: str
    country: str
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RelatedPersonRecord(_Discreet):
    """Somebody who stands by a patient: a parent, a guardian, a spouse."""

    where: Where
    source_id: str | None
    identifiers: tuple[Identifier, ...]
    patient: Reference
    relationship: str
    family_name: str
    given_names: tuple[str, ...]
    telecoms: tuple[Telecom, ...]
    active: bool
    starts_on: date | None
    ends_on: date | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OccasionRecord(_Discreet):
    """Something with a date that a message can count from: an appointment, a stay, a vaccination.

    `topic` is coarse enough to be no diagnosis. `label`, `place` and `practitioner` are words of the source: personal.
    """

    where: Where
    source_id: str | None
    identifiers: tuple[Identifier, ...]
    patient: Reference
    kind: OccasionKind
    topic: str
    status: OccasionStatus
    starts_at: datetime | None
    ends_at: datetime | None
    place: str
    practitioner: str
    label: str


Record = PatientRecord | RelatedPersonRecord | OccasionRecord
