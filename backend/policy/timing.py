"""Days and local times, turned into instants: when nine in the morning is, and which day comes eleven months later."""

from calendar import monthrange
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

MONTHS_PER_YEAR = 12


def zone_named(name: str) -> ZoneInfo:
    """The time zone of this IANA name, such as `Europe/Paris`.

    Raises ValueError when there is none, so that nobody is ever contacted by the clock of another place.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as unknown:
        raise ValueError("there is no such time zone") from unknown


def local_instant(day: date, at: time, zone: str) -> datetime:
    """The instant, in UTC, at which clocks in `zone` show `at` on `day`.

    A local time that the clocks skip moves forward by as much as they do (02:30 becomes 03:30); of one that they show
    twice, the first is meant. This is what RFC 5545, section 3.3.5, does with both.
    """
    return datetime.combine(day, at.replace(fold=0), tzinfo=zone_named(zone)).astimezone(UTC)


def months_after(day: date, n: int) -> date:
    """The same day of the month `n` calendar months later; 31 January plus one month is the last day of February.

    `n` may be negative. Deadlines counted in months are calendar months, not thirty days (Reg. 1182/71, Art. 3(2)(c)).
    """
    years, month = divmod(day.month - 1 + n, MONTHS_PER_YEAR)
    year, month = day.year + years, month + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))
