"""Public holidays in France, as the government publishes them."""

from datetime import date

import pytest

from backend.policy.holidays import closed_days_around, public_holidays


@pytest.mark.parametrize(
    ("year", "easter_monday", "ascension", "whit_monday"),
    [
        (2024, (4, 1), (5, 9), (5, 20)),
        (2025, (4, 21), (5, 29), (6, 9)),
        (2026, (4, 6), (5, 14), (5, 25)),
        (2027, (3, 29), (5, 6), (5, 17)),
    ],
)
def test_eleven_days_of_which_three_move(year, easter_monday, ascension, whit_monday):
    days = public_holidays("FR", year)

    assert len(days) == 11
    assert {date(year, *easter_monday), date(year, *ascension), date(year, *whit_monday)} <= days
    assert {(one.month, one.day) for one in days} >= {(1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11)}


def test_ascension_may_fall_on_a_holiday_that_does_not_move():
    assert len(public_holidays("FR", 2008)) == 10


def test_at_the_end_of_a_year_the_next_one_is_known():
    assert date(2027, 1, 1) in closed_days_around("RE", date(2026, 12, 31))


def test_of_another_country_none_is_known():
    assert closed_days_around("BE", date(2026, 7, 20)) == frozenset()
