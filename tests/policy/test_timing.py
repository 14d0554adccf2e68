"""Local times on ordinary days, on nights when clocks change, and months of every length."""

from datetime import UTC, date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.policy.timing import local_instant, months_after, zone_named


@pytest.mark.parametrize(
    ("day", "at", "zone", "instant"),
    [
        ("2026-10-12", "09:00", "Europe/Paris", "2026-10-12T07:00"),
        ("2026-12-12", "09:00", "Europe/Paris", "2026-12-12T08:00"),
        ("2026-10-12", "09:00", "America/Martinique", "2026-10-12T13:00"),
        ("2026-10-12", "09:00", "Europe/Lisbon", "2026-10-12T08:00"),
        # Skipped: half past two becomes half past three, half past one in Lisbon half past two.
        ("2026-03-29", "02:30", "Europe/Paris", "2026-03-29T01:30"),
        ("2026-03-29", "01:30", "Europe/Lisbon", "2026-03-29T01:30"),
        ("2026-03-29", "02:30", "America/Martinique", "2026-03-29T06:30"),
        # Shown twice: the first.
        ("2026-10-25", "02:30", "Europe/Paris", "2026-10-25T00:30"),
        ("2026-10-25", "01:30", "Europe/Lisbon", "2026-10-25T00:30"),
        ("2026-10-25", "02:30", "America/Martinique", "2026-10-25T06:30"),
    ],
)
def test_when_the_clock_shows_that(day: str, at: str, zone: str, instant: str) -> None:
    found = local_instant(date.fromisoformat(day), time.fromisoformat(at), zone)

    assert found == datetime.fromisoformat(instant).replace(tzinfo=UTC)
    assert found.tzinfo is UTC


def test_the_first_of_two_is_meant_even_when_the_second_is_asked_for() -> None:
    day = date(2026, 10, 25)

    assert local_instant(day, time(2, 30, fold=1), "Europe/Paris") == local_instant(day, time(2, 30), "Europe/Paris")


@given(st.dates(date(2000, 1, 1), date(2037, 12, 31)), st.times())
def test_the_wall_clock_shows_what_was_asked_or_later(day: date, at: time) -> None:
    zone = zone_named("Europe/Paris")

    shown = local_instant(day, at, "Europe/Paris").astimezone(zone)

    assert shown.date() == day
    assert shown.time() >= at


@pytest.mark.parametrize("name", ["", "Europe", "Paris", "/etc/localtime", "Europe/Paris\0"])
def test_a_zone_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no such time zone"):
        zone_named(name)


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        ("2025-11-12", 11, "2026-10-12"),
        ("2026-01-31", 1, "2026-02-28"),
        ("2024-01-31", 1, "2024-02-29"),
        ("2026-08-31", 1, "2026-09-30"),
        ("2026-12-15", 1, "2027-01-15"),
        ("2026-03-31", -1, "2026-02-28"),
        ("2026-01-15", -1, "2025-12-15"),
        ("2026-10-12", 0, "2026-10-12"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2026-10-12", -25, "2024-09-12"),
    ],
)
def test_the_same_day_some_months_later(day: str, months: int, later: str) -> None:
    assert months_after(date.fromisoformat(day), months) == date.fromisoformat(later)


@given(st.dates(date(1950, 1, 1), date(2100, 1, 1)), st.integers(-400, 400), st.integers(-400, 400))
def test_a_later_month_is_never_earlier(day: date, some: int, others: int) -> None:
    fewer, more = sorted((some, others))

    assert months_after(day, fewer) <= months_after(day, more)
