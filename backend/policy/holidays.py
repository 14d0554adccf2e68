"""On which days marketing by SMS does not leave, besides Sundays: public holidays in France, those of a region too."""

import re
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType

from holidays import country_holidays

from backend.policy.ages import OVERSEAS_FRANCE

FRANCE = frozenset({"FR", *OVERSEAS_FRANCE})


class HolidayRegion(StrEnum):
    """A part of France with holidays of its own: as coarse as a calendar needs it, and no place of residence."""

    ALSACE_MOSELLE = "alsace_moselle"
    GUADELOUPE = "guadeloupe"
    MARTINIQUE = "martinique"
    GUYANE = "guyane"
    REUNION = "reunion"
    SAINT_PIERRE_AND_MIQUELON = "saint_pierre_and_miquelon"
    MAYOTTE = "mayotte"
    SAINT_BARTHELEMY = "saint_barthelemy"
    SAINT_MARTIN = "saint_martin"
    SOUTHERN_LANDS = "southern_lands"
    WALLIS_AND_FUTUNA = "wallis_and_futuna"
    POLYNESIA = "polynesia"
    NEW_CALEDONIA = "new_caledonia"


SUBDIVISIONS: Mapping[HolidayRegion, str] = MappingProxyType(
    {
        # Good Friday and 26 December, in all three departments (order of 16 August 1892; Labour Code, L.3134-13).
        HolidayRegion.ALSACE_MOSELLE: "57",
        # The abolition of slavery (Act 83-550, decree 83-1003), and what is kept besides.
        HolidayRegion.GUADELOUPE: "971",
        HolidayRegion.MARTINIQUE: "972",
        HolidayRegion.GUYANE: "973",
        HolidayRegion.REUNION: "974",
        HolidayRegion.MAYOTTE: "976",
        HolidayRegion.SAINT_BARTHELEMY: "BL",
        HolidayRegion.SAINT_MARTIN: "MF",
        HolidayRegion.NEW_CALEDONIA: "NC",
        HolidayRegion.POLYNESIA: "PF",
        HolidayRegion.SAINT_PIERRE_AND_MIQUELON: "PM",
        HolidayRegion.SOUTHERN_LANDS: "TF",
        HolidayRegion.WALLIS_AND_FUTUNA: "WF",
    }
)
"""How the library `holidays` names them."""

OF_COUNTRY: Mapping[str, HolidayRegion] = MappingProxyType(
    {
        "BL": HolidayRegion.SAINT_BARTHELEMY,
        "GF": HolidayRegion.GUYANE,
        "GP": HolidayRegion.GUADELOUPE,
        "MF": HolidayRegion.SAINT_MARTIN,
        "MQ": HolidayRegion.MARTINIQUE,
        "NC": HolidayRegion.NEW_CALEDONIA,
        "PF": HolidayRegion.POLYNESIA,
        "PM": HolidayRegion.SAINT_PIERRE_AND_MIQUELON,
        "RE": HolidayRegion.REUNION,
        "TF": HolidayRegion.SOUTHERN_LANDS,
        "WF": HolidayRegion.WALLIS_AND_FUTUNA,
        "YT": HolidayRegion.MAYOTTE,
    }
)
"""By ISO 3166 code."""

OF_POSTAL_CODE: tuple[tuple[str, HolidayRegion], ...] = (
    # Two islands kept the postal codes of Guadeloupe, to which they belonged until 2007.
    ("97133", HolidayRegion.SAINT_BARTHELEMY),
    ("97150", HolidayRegion.SAINT_MARTIN),
    ("57", HolidayRegion.ALSACE_MOSELLE),
    ("67", HolidayRegion.ALSACE_MOSELLE),
    ("68", HolidayRegion.ALSACE_MOSELLE),
    ("971", HolidayRegion.GUADELOUPE),
    ("972", HolidayRegion.MARTINIQUE),
    ("973", HolidayRegion.GUYANE),
    ("974", HolidayRegion.REUNION),
    ("975", HolidayRegion.SAINT_PIERRE_AND_MIQUELON),
    ("976", HolidayRegion.MAYOTTE),
    ("984", HolidayRegion.SOUTHERN_LANDS),
    ("986", HolidayRegion.WALLIS_AND_FUTUNA),
    ("987", HolidayRegion.POLYNESIA),
    ("988", HolidayRegion.NEW_CALEDONIA),
)
"""By how a postal code begins; the first that fits."""

OF_TIME_ZONE: Mapping[str, HolidayRegion] = MappingProxyType(
    {
        "America/Cayenne": HolidayRegion.GUYANE,
        "America/Guadeloupe": HolidayRegion.GUADELOUPE,
        "America/Marigot": HolidayRegion.SAINT_MARTIN,
        "America/Martinique": HolidayRegion.MARTINIQUE,
        "America/Miquelon": HolidayRegion.SAINT_PIERRE_AND_MIQUELON,
        "America/St_Barthelemy": HolidayRegion.SAINT_BARTHELEMY,
        "Indian/Kerguelen": HolidayRegion.SOUTHERN_LANDS,
        "Indian/Mayotte": HolidayRegion.MAYOTTE,
        "Indian/Reunion": HolidayRegion.REUNION,
        "Pacific/Gambier": HolidayRegion.POLYNESIA,
        "Pacific/Marquesas": HolidayRegion.POLYNESIA,
        "Pacific/Noumea": HolidayRegion.NEW_CALEDONIA,
        "Pacific/Tahiti": HolidayRegion.POLYNESIA,
        "Pacific/Wallis": HolidayRegion.WALLIS_AND_FUTUNA,
    }
)
"""By the zone whose clock is the patient's."""

POSTAL_CODE = re.compile(r"(?<![0-9])[0-9]{5}(?![0-9])")


def region_of(*, country: str, postal_code: str) -> HolidayRegion | None:
    """The region an address lies in, where it has holidays of its own. `country` is an ISO 3166 code, or empty."""
    if country in OF_COUNTRY:
        return OF_COUNTRY[country]
    plain = postal_code.replace(" ", "")
    if country not in {"", *FRANCE} or not POSTAL_CODE.fullmatch(plain):
        return None
    return next((region for begins, region in OF_POSTAL_CODE if plain.startswith(begins)), None)


def region_of_line(*, country: str, address: str) -> HolidayRegion | None:
    """The region of an address that is written in one line: what stands last and looks like a postal code counts."""
    found = POSTAL_CODE.findall(address)
    return region_of(country=country, postal_code=found[-1] if found else "")


def region_of_time_zone(time_zone: str) -> HolidayRegion | None:
    """The region whose clocks these are, where no other place has them."""
    return OF_TIME_ZONE.get(time_zone)


@lru_cache(maxsize=1024)
def public_holidays(country: str, year: int, region: HolidayRegion | None = None) -> frozenset[date]:
    """The days on which the whole country rests (Labour Code, L.3133-1), and those of one region.

    `country` is an ISO 3166 code; of others than France no day is known.
    """
    if country not in FRANCE:
        return frozenset()
    subdivision = None if region is None else SUBDIVISIONS[region]
    return frozenset(country_holidays("FR", subdiv=subdivision, years=year))


@lru_cache(maxsize=1024)
def closed_days_around(country: str, day: date, regions: frozenset[HolidayRegion] = frozenset()) -> frozenset[date]:
    """The public holidays of this year and of the next, so that what waits at its end does not leave on a holiday.

    Of several regions (where the clinic is, where the patient lives, whose clock they keep) the holidays of each count.
    """
    return frozenset().union(
        *(
            public_holidays(country, year, region)
            for year in (day.year, day.year + 1)
            for region in (None, *sorted(regions))
        )
    )
