"""On which days of a country marketing by SMS does not leave, besides Sundays."""

from datetime import date, timedelta
from functools import lru_cache

from dateutil.easter import easter

from backend.policy.ages import OVERSEAS_FRANCE

FRANCE = frozenset({"FR", *OVERSEAS_FRANCE})

EVERY_YEAR = ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25))
"""Month and day of the holidays that do not move (Labour Code, L.3133-1)."""

DAYS_AFTER_EASTER = (1, 39, 50)
"""Easter Monday, Ascension, Whit Monday (Labour Code, L.3133-1)."""


@lru_cache(maxsize=256)
def public_holidays(country: str, year: int) -> frozenset[date]:
    """The days on which the whole country rests. `country` is an ISO 3166 code; of others than France none is known.

    Holidays of one region only (Good Friday and 26 December in Alsace-Moselle, the abolition of slavery overseas) are
    not among them.
    """
    if country not in FRANCE:
        return frozenset()
    sunday = easter(year)
    moving = (sunday + timedelta(days=days) for days in DAYS_AFTER_EASTER)
    return frozenset({*(date(year, month, day) for month, day in EVERY_YEAR), *moving})


def closed_days_around(country: str, day: date) -> frozenset[date]:
    """The public holidays of this year and of the next, so that what waits at its end does not leave on a holiday."""
    return public_holidays(country, day.year) | public_holidays(country, day.year + 1)
