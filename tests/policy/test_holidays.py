"""Public holidays in France and in its parts, as the government and the prefectures publish them."""

from datetime import date

import pytest

from backend.policy.ages import OVERSEAS_FRANCE
from backend.policy.holidays import (
    OF_COUNTRY,
    OF_TIME_ZONE,
    SUBDIVISIONS,
    HolidayRegion,
    closed_days_around,
    public_holidays,
    region_of,
    region_of_line,
    region_of_time_zone,
)
from backend.policy.timing import zone_named


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


@pytest.mark.parametrize(
    ("region", "days"),
    [
        (HolidayRegion.ALSACE_MOSELLE, {(4, 3), (12, 26)}),
        (HolidayRegion.MARTINIQUE, {(5, 22)}),
        (HolidayRegion.GUADELOUPE, {(5, 27)}),
        (HolidayRegion.GUYANE, {(6, 10)}),
        (HolidayRegion.REUNION, {(12, 20)}),
        (HolidayRegion.MAYOTTE, {(4, 27)}),
        (HolidayRegion.SAINT_MARTIN, {(5, 28)}),
        (HolidayRegion.SAINT_BARTHELEMY, {(10, 9)}),
        (HolidayRegion.NEW_CALEDONIA, {(9, 24)}),
    ],
)
def test_a_region_keeps_its_own_days_besides_those_of_the_country(region, days):
    own = public_holidays("FR", 2026, region)

    assert own > public_holidays("FR", 2026)
    assert {date(2026, *one) for one in days} <= own - public_holidays("FR", 2026)


def test_good_friday_moves_with_easter_in_alsace_and_moselle():
    moving = {(2024, 3, 29), (2025, 4, 18), (2026, 4, 3), (2027, 3, 26)}

    assert all(date(*one) in public_holidays("FR", one[0], HolidayRegion.ALSACE_MOSELLE) for one in moving)


@pytest.mark.parametrize(
    ("country", "postal_code", "region"),
    [
        ("FR", "67000", HolidayRegion.ALSACE_MOSELLE),
        ("FR", "68100", HolidayRegion.ALSACE_MOSELLE),
        ("", "57 000", HolidayRegion.ALSACE_MOSELLE),
        ("FR", "97110", HolidayRegion.GUADELOUPE),
        ("FR", "97133", HolidayRegion.SAINT_BARTHELEMY),
        ("FR", "97150", HolidayRegion.SAINT_MARTIN),
        ("FR", "97200", HolidayRegion.MARTINIQUE),
        ("FR", "97300", HolidayRegion.GUYANE),
        ("FR", "97400", HolidayRegion.REUNION),
        ("FR", "97600", HolidayRegion.MAYOTTE),
        ("RE", "", HolidayRegion.REUNION),
        ("MF", "97150", HolidayRegion.SAINT_MARTIN),
        ("FR", "75011", None),
        ("FR", "54000", None),
        # Places elsewhere whose codes begin alike.
        ("DE", "67059", None),
        ("PT", "6700", None),
        ("FR", "6700", None),
        ("FR", "", None),
    ],
)
def test_the_region_is_told_by_the_postal_code_or_the_country(country, postal_code, region):
    assert region_of(country=country, postal_code=postal_code) is region


def test_of_a_line_the_last_postal_code_counts():
    assert region_of_line(country="FR", address="57000 boxes, 1 quai des Bateliers, 75001 Paris") is None
    assert region_of_line(country="FR", address="1 quai, 67000 Strasbourg") is HolidayRegion.ALSACE_MOSELLE
    assert region_of_line(country="FR", address="") is None


def test_every_region_can_be_told_and_has_a_calendar():
    assert set(SUBDIVISIONS) == set(HolidayRegion)
    assert set(OF_COUNTRY) == set(OVERSEAS_FRANCE)
    assert {*OF_COUNTRY.values(), HolidayRegion.ALSACE_MOSELLE} == set(HolidayRegion)
    assert all(zone_named(zone) for zone in OF_TIME_ZONE)
    assert region_of_time_zone("Europe/Paris") is None


def test_of_several_regions_the_holidays_of_each_count():
    both = frozenset({HolidayRegion.ALSACE_MOSELLE, HolidayRegion.MARTINIQUE})

    assert {date(2026, 12, 26), date(2026, 5, 22)} <= closed_days_around("FR", date(2026, 1, 5), both)
