"""Birthdays, and who decides for whom."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.policy.ages import CONSENT_AGES, adult_from, age_on, consent_needs_guardian

births = st.dates(date(1900, 1, 1), date(2100, 1, 1))


@pytest.mark.parametrize(
    ("birth", "day", "age"),
    [
        ("2010-06-15", "2025-06-14", 14),
        ("2010-06-15", "2025-06-15", 15),
        ("2010-06-15", "2010-06-15", 0),
        ("2008-02-29", "2026-02-28", 17),
        ("2008-02-29", "2026-03-01", 18),
        ("2008-02-29", "2024-02-28", 15),
        ("2008-02-29", "2024-02-29", 16),
        ("1920-10-13", "2026-10-12", 105),
    ],
)
def test_a_year_older_on_the_birthday(birth: str, day: str, age: int) -> None:
    assert age_on(date.fromisoformat(birth), date.fromisoformat(day)) == age


def test_an_age_before_birth_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="birth date"):
        age_on(date(2026, 1, 2), date(2026, 1, 1))


@pytest.mark.parametrize(
    ("birth", "day"), [("2008-10-12", "2026-10-12"), ("2008-02-29", "2026-03-01"), ("2000-02-29", "2018-03-01")]
)
def test_an_adult_from_the_eighteenth_birthday_on(birth: str, day: str) -> None:
    assert adult_from(date.fromisoformat(birth)) == date.fromisoformat(day)


@given(births)
def test_the_day_before_being_an_adult_is_a_minors_last(birth: date) -> None:
    assert age_on(birth, adult_from(birth)) == 18
    assert age_on(birth, adult_from(birth) - timedelta(days=1)) == 17


@given(births, st.integers(0, 40000), st.integers(0, 400))
def test_nobody_grows_younger(birth: date, days: int, more: int) -> None:
    assert age_on(birth, birth + timedelta(days=days)) <= age_on(birth, birth + timedelta(days=days + more))


def test_in_france_a_guardian_consents_too_until_fifteen() -> None:
    born = date(2011, 10, 13)

    assert CONSENT_AGES["FR"] == 15
    assert consent_needs_guardian(born, date(2026, 10, 12), "FR")
    assert not consent_needs_guardian(born, date(2026, 10, 13), "FR")


@pytest.mark.parametrize("country", ["MQ", "RE", "GP"])
def test_what_holds_in_france_holds_overseas(country: str) -> None:
    born = date(2011, 10, 13)

    assert consent_needs_guardian(born, date(2026, 10, 12), country)
    assert not consent_needs_guardian(born, date(2026, 10, 13), country)


def test_no_country_is_outside_what_the_gdpr_lets_it_choose() -> None:
    assert {age for age in CONSENT_AGES.values() if not 13 <= age <= 16} == set()
    assert all(len(country) == 2 and country.isupper() for country in CONSENT_AGES)


def test_the_table_is_what_decides() -> None:
    born = date(2012, 10, 13)

    assert not consent_needs_guardian(born, date(2026, 10, 13), "IT")
    assert consent_needs_guardian(born, date(2026, 10, 12), "IT")
    assert consent_needs_guardian(born, date(2026, 10, 13), "DE")


def test_where_the_age_is_not_known_it_is_the_one_of_the_gdpr() -> None:
    born = date(2011, 10, 12)

    assert consent_needs_guardian(born, date(2026, 10, 12), "ZZ")
    assert not consent_needs_guardian(born, date(2027, 10, 12), "ZZ")
