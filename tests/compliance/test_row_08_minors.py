"""Row 8, GDPR Art. 8 and Act 78-17 Art. 45: under fifteen the child and a parent; the reverse of either is a no."""

from datetime import UTC, date, datetime, timedelta

import pytest

from backend.consent.operations import give_consent, refuse_consent
from backend.policy.ages import Capacity, capacity
from tests.conftest import HOUR
from tests.consent.test_deciding import mother_of, say
from tests.consent.test_ending import answer
from tests.factories.patients import make_patient


@pytest.mark.parametrize(
    ("born", "expected"),
    [
        (date(2011, 10, 15), Capacity.JOINT),
        (date(2011, 10, 14), Capacity.MINOR_ALONE),
        (date(2008, 10, 15), Capacity.MINOR_ALONE),
        (date(2008, 10, 14), Capacity.ADULT),
        (None, Capacity.UNKNOWN),
        (date(2030, 1, 1), Capacity.JOINT),
    ],
)
def test_the_day_before_and_the_day_of_each_birthday(born, expected):
    assert capacity(born, date(2026, 10, 14), "FR") is expected


@pytest.mark.parametrize(
    ("day", "expected"), [(date(2026, 2, 28), Capacity.MINOR_ALONE), (date(2026, 3, 1), Capacity.ADULT)]
)
def test_born_on_29_february(day, expected):
    assert capacity(date(2008, 2, 29), day, "FR") is expected


@pytest.mark.parametrize("parent_first", [True, False])
def test_a_yes_of_one_and_a_no_of_the_other_is_no_consent(northgate, parent_first):
    now = datetime(2026, 10, 14, 8, 0, tzinfo=UTC)
    child = make_patient(northgate.id, now=now - timedelta(days=1), birth_date=date(2015, 1, 1))
    parent = {"representatives": (mother_of(child, now),), "by_patient": False}
    first, second = (parent, {}) if parent_first else ({}, parent)
    say(give_consent, child, now, **first)

    say(refuse_consent, child, now + HOUR, **second)

    assert answer(child, now + HOUR) == ("deny", {"consent_refused"})
