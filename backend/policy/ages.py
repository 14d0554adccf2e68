"""How old somebody is, and whether they decide for themselves."""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from types import MappingProxyType

ADULT_AGE = 18

OVERSEAS_FRANCE = ("BL", "GF", "GP", "MF", "MQ", "NC", "PF", "PM", "RE", "TF", "WF", "YT")
"""Parts of France with an ISO 3166 code of their own: Act 78-17 applies there, too (its Art. 125)."""

CONSENT_AGES: Mapping[str, int] = MappingProxyType(
    {
        "AT": 14,  # DSG, para. 4(4)
        "BE": 13,  # Act of 30 July 2018, Art. 7
        "CZ": 15,  # Act 110/2019, para. 7
        "DE": 16,  # no law of its own
        "ES": 14,  # LO 3/2018, Art. 7
        "FI": 13,  # Act 1050/2018, para. 5
        "FR": 15,  # Act 78-17, Art. 45
        **dict.fromkeys(OVERSEAS_FRANCE, 15),
        "GR": 15,  # Act 4624/2019, Art. 21
        "IE": 16,  # Data Protection Act 2018, s. 31
        "IT": 14,  # D.lgs. 196/2003, Art. 2-quinquies
        "LU": 16,  # no law of its own
        "NL": 16,  # UAVG, Art. 5
        "PL": 16,  # no law of its own
        "PT": 13,  # Act 58/2019, Art. 16
        "SE": 13,  # Act 2018:218, ch. 2, para. 4
    }
)
"""The age from which a minor consents alone to an online service, by ISO 3166 country (GDPR Art. 8(1)).

To be looked through every year, and by the data protection officer of a clinic outside France before its first day.
"""

CONSENT_AGE_ELSEWHERE = 16
"""GDPR Art. 8(1), where a country has not lowered it: also the answer for a country that is not in the table."""


class Capacity(StrEnum):
    """Who says yes or no, by the age of the patient."""

    JOINT = "joint"
    MINOR_ALONE = "minor_alone"
    ADULT = "adult"
    UNKNOWN = "unknown"


def capacity(birth_date: date | None, day: date, country: str) -> Capacity:
    """Who decides on this day: the child with a parent, the minor alone, or the adult.

    Without a birth date nobody is taken for an adult: `unknown` permits nothing by itself. Who is said to be born
    later than this day is a mistake of the source, and is treated as a child until it is put right.
    """
    if birth_date is None:
        return Capacity.UNKNOWN
    if birth_date > day or consent_needs_guardian(birth_date, day, country):
        return Capacity.JOINT
    return Capacity.MINOR_ALONE if day < adult_from(birth_date) else Capacity.ADULT


def age_on(birth_date: date, day: date) -> int:
    """How many years old a person is on this day: completed years, the birthday included.

    Who was born on 29 February turns a year older on 1 March of a common year: no French text says, and the later day
    is the one on which nobody can doubt it. Both days are days of the clinic's calendar. Raises ValueError when `day`
    is before birth: such a birth date is a mistake, and no age may be concluded from it.
    """
    if day < birth_date:
        raise ValueError("the birth date is after the day asked about")
    return day.year - birth_date.year - ((day.month, day.day) < (birth_date.month, birth_date.day))


def adult_from(birth_date: date) -> date:
    """The first day on which this person is an adult; from then on no guardian's consent stands (Civil Code, 414).

    Eighteen years after a 29 February is never a leap year, hence 1 March; see `age_on`.
    """
    year = birth_date.year + ADULT_AGE
    if (birth_date.month, birth_date.day) == (2, 29):
        return date(year, 3, 1)
    return birth_date.replace(year=year)


def consent_needs_guardian(birth_date: date, day: date, country: str) -> bool:
    """Must a holder of parental authority consent together with this person, on this day?

    `country` is the ISO 3166 code of where the clinic is. Below the age it is a joint consent in France: the child and
    the parent both say yes, and either no is a no (Act 78-17, Art. 45; CNIL recommendation 4 on minors).
    """
    return age_on(birth_date, day) < CONSENT_AGES.get(country, CONSENT_AGE_ELSEWHERE)
