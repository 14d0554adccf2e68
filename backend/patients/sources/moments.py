"""Dates and times as FHIR and clinics write them."""

import re
from calendar import monthrange
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from backend.patients.sources.lines import Unreadable
from backend.patients.sources.reasons import Why

# Outside of these, a date is a slip of the pen, and a time could not be turned into UTC.
FIRST_YEAR: Final = 1800
LAST_YEAR: Final = 2200

_DAY: Final = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII)
_INSTANT: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2})(?::(\d{2})(?:\.(\d+))?)?(Z|[+-]\d{2}:\d{2})?", re.ASCII
)
_LARGEST_OFFSET: Final = "14:00"
_LEAP_SECOND: Final = "60"

_CLINIC_DAY: Final = re.compile(r"(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4})", re.ASCII)
_CLINIC_TIME: Final = re.compile(r"(\d{1,2})\s*[:hH]\s*(\d{2})?(?::(\d{2}))?", re.ASCII)
_CLINIC_MOMENT: Final = re.compile(r"(\S+?)(?:[T\s]+(?:à\s+)?(\d{1,2}\s*[:hH].*))?")


def read_days(text: str) -> tuple[date, date]:
    """The first and the last day that a FHIR `date` may mean: `1980-05` is a month. Raises `Unreadable`."""
    match = _DAY.fullmatch(text)
    if match is None:
        raise Unreadable(Why.DATE_NOT_UNDERSTOOD)
    year, month, day = match.groups()
    _check_year(int(year))
    if day is not None:
        whole = _day(int(year), int(month), int(day))
        return whole, whole
    if month is not None:
        first = _day(int(year), int(month), 1)
        return first, first.replace(day=monthrange(first.year, first.month)[1])
    return date(int(year), 1, 1), date(int(year), 12, 31)


def read_instant(text: str) -> datetime:
    """A FHIR `instant`, or a `dateTime` that has a time: it has to carry its offset. Raises `Unreadable`."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise Unreadable(Why.DATE_NOT_UNDERSTOOD)
    day, clock, second, fraction, offset = match.groups()
    if offset is None:
        raise Unreadable(Why.OFFSET_MISSING)
    read_days(day)
    if offset[1:] > _LARGEST_OFFSET:
        raise Unreadable(Why.DATE_IMPOSSIBLE)
    # FHIR allows the leap second, Python knows none.
    second = "59" if second == _LEAP_SECOND else second or "00"
    try:
        return datetime.fromisoformat(f"{day}T{clock}:{second}.{(fraction or '0')[:6]:0<6}{offset}")
    except ValueError:
        raise Unreadable(Why.DATE_IMPOSSIBLE) from None


def read_clinic_days(text: str) -> tuple[date, date]:
    """Like `read_days`, and the day, month and year of a French form: `31/12/1980`. Raises `Unreadable`."""
    match = _CLINIC_DAY.fullmatch(text)
    if match is None:
        return read_days(text)
    day, month, year = (int(part) for part in match.groups())
    _check_year(year)
    whole = _day(year, month, day)
    return whole, whole


def read_clinic_moment(text: str, zone: ZoneInfo) -> datetime:
    """A day and a time on the clock of the clinic, `31/12/2026 14:30` or ISO 8601 with or without offset.

    Raises `Unreadable`; also for a time that the change of clocks leaves out.
    """
    if _INSTANT.fullmatch(text) and (text.endswith("Z") or text[-6] in "+-"):
        return read_instant(text)
    match = _CLINIC_MOMENT.fullmatch(text)
    if match is None:
        raise Unreadable(Why.DATE_NOT_UNDERSTOOD)
    day, clock = match.groups()
    first, last = read_clinic_days(day)
    if clock is None or first != last:
        raise Unreadable(Why.DATE_INCOMPLETE)
    return at_clinic(first, _clock(clock), zone)


def at_clinic(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """A time on the clock of the clinic; of one that exists twice, the first. Raises `Unreadable` if it never is."""
    moment = datetime.combine(day, clock, tzinfo=zone)
    if moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment.replace(tzinfo=None):
        raise Unreadable(Why.DATE_IMPOSSIBLE)
    return moment


def _clock(text: str) -> time:
    match = _CLINIC_TIME.fullmatch(text.strip())
    if match is None:
        raise Unreadable(Why.DATE_NOT_UNDERSTOOD)
    hour, minute, second = (int(part or 0) for part in match.groups())
    try:
        return time(hour, minute, second)
    except ValueError:
        raise Unreadable(Why.DATE_IMPOSSIBLE) from None


def _check_year(year: int) -> None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise Unreadable(Why.DATE_OUT_OF_RANGE)


def _day(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise Unreadable(Why.DATE_IMPOSSIBLE) from None
