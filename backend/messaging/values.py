"""What templates may name, with the words of the patient's language for dates and times."""

from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time

from backend.clinics.queries import ClinicFacts
from backend.messaging.names import example_values
from backend.patients.queries import OccasionWords, PatientNames
from backend.policy.vocabulary import Language

LOCALE: Final = {Language.FRENCH: "fr_FR", Language.ENGLISH: "en_GB"}
DAY_FORMAT: Final = {Language.FRENCH: "EEEE d MMMM", Language.ENGLISH: "EEEE d MMMM"}
SHORT_DAY: Final = {Language.FRENCH: "dd/MM", Language.ENGLISH: "d MMM"}
SHORT_DAY_OF_YEAR: Final = {Language.FRENCH: "dd/MM/y", Language.ENGLISH: "d MMM y"}
HOUR_FORMAT: Final = {Language.FRENCH: "H'h'mm", Language.ENGLISH: "H:mm"}


# The appointments of one day are at the same few times. Times alone: whose they are is not remembered.
REMEMBERED_MOMENTS: Final = 2_000


class Named(Enum):
    """How much of the patient's name a message may say."""

    IN_FULL = "in_full"
    WITHOUT_FIRST_NAME = "without_first_name"
    NOT_AT_ALL = "not_at_all"


def template_values(
    *,
    patient: PatientNames,
    clinic: ClinicFacts,
    occasion: OccasionWords | None,
    language: Language,
    time_zone: str,
    for_child: bool,
    code: str = "",
    link: str = "",
    ends_at: datetime | None = None,
    named: Named = Named.IN_FULL,
) -> dict[str, Any]:
    """Everything a template may name. A name that is not to be said is empty, as where none is known."""
    given = patient.given_names[0] if patient.given_names and named is Named.IN_FULL else ""
    family = "" if named is Named.NOT_AT_ALL else patient.family_name
    values: dict[str, Any] = {
        "patient": {"first_name": given, "family_name": family},
        "clinic": {"name": clinic.name, "discreet_name": clinic.discreet_name, "telephone": clinic.telephone},
        "for_child": for_child,
        "code": code,
        "link": link,
        "appointment": {},
        "vaccination": {},
        "renewal": {} if ends_at is None else _day_of_year(ends_at, language=language, time_zone=time_zone),
    }
    if occasion is not None and occasion.starts_at is not None:
        words = _moment(occasion.starts_at, language=language, time_zone=time_zone)
        values["appointment"] = {**words, "place": occasion.place, "practitioner": occasion.practitioner}
        values["vaccination"] = {"month": words["month"]}
    return values


def invented_values(language: Language) -> dict[str, Any]:
    """Values of an invented patient, for previews and checks."""
    return example_values(language)


def _day_of_year(at: datetime, *, language: Language, time_zone: str) -> dict[str, str]:
    local = at.astimezone(ZoneInfo(time_zone))
    locale = LOCALE[language]
    date = format_date(local, "d MMMM y", locale=locale)
    if language is Language.FRENCH and local.day == 1:
        date = date.replace("1 ", "1er ", 1)
    return {"date": date, "short_date": format_date(local, SHORT_DAY_OF_YEAR[language], locale=locale)}


@lru_cache(maxsize=REMEMBERED_MOMENTS)
def _moment(at: datetime, *, language: Language, time_zone: str) -> dict[str, str]:
    local = at.astimezone(ZoneInfo(time_zone))
    locale = LOCALE[language]
    date = format_date(local, DAY_FORMAT[language], locale=locale)
    if language is Language.FRENCH and local.day == 1:
        date = date.replace(" 1 ", " 1er ", 1)
    return {
        "date": date,
        "short_date": format_date(local, SHORT_DAY[language], locale=locale),
        "time": format_time(local.replace(tzinfo=None), HOUR_FORMAT[language], locale=locale),
        "month": format_date(local, "MMMM y", locale=locale),
    }
