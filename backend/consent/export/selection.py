"""Which consents an export holds, and in which forms."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from uuid import UUID

from backend.errors import InvalidInput


class Form(StrEnum):
    """How the same consents are written. `dpv`: ISO/IEC TS 27560 records in the Data Privacy Vocabulary."""

    CSV = "csv"
    XLSX = "xlsx"
    FHIR = "fhir"
    DPV = "dpv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Only what was recorded on these days (both included, in the clinic's calendar), of these purposes, this patient.

    What is left empty leaves nothing out.
    """

    first_day: date | None = None
    last_day: date | None = None
    purposes: tuple[str, ...] = ()
    patient_id: UUID | None = None

    def __post_init__(self) -> None:
        if self.first_day is not None and self.last_day is not None and self.last_day < self.first_day:
            raise InvalidInput("The last day lies before the first.", field="to")

    def period(self, zone: tzinfo) -> "Period":
        """The instants at which these days begin and end."""
        begins = None if self.first_day is None else _midnight(self.first_day, zone)
        ends = None if self.last_day is None else _midnight(self.last_day + timedelta(days=1), zone)
        return Period(begins, ends)


@dataclass(frozen=True, slots=True)
class Period:
    """From an instant on, and until before another; None where it has no bound."""

    begins: datetime | None
    ends: datetime | None

    @property
    def is_bounded(self) -> bool:
        """Does it leave anything out?"""
        return self.begins is not None or self.ends is not None

    def holds(self, moment: datetime) -> bool:
        """Does this instant lie in it?"""
        return (self.begins is None or self.begins <= moment) and (self.ends is None or moment < self.ends)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone)
