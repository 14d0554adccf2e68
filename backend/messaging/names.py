"""The names that a template may say, with what stands for them in previews and where their length counts.

The reference of templates is made of this list, the linter reads it, and a test holds it against what is filled in.
"""

from dataclasses import dataclass
from typing import Any, Final

from backend.policy.vocabulary import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """One name. The examples are those of an invented patient; the longest is what a careful writer counts with.

    `tells` where the value may say what somebody is treated for, or who treats them; `costly` where values often hold a
    letter that makes an SMS cost double.
    """

    path: str
    means: dict[Language, str]
    example: dict[Language, Any]
    longest: dict[Language, Any]
    tells: bool = False
    costly: frozenset[Language] = frozenset()


def _same(value: Any) -> dict[Language, Any]:
    return dict.fromkeys(Language, value)


def _pair(french: Any, english: Any) -> dict[Language, Any]:
    return {Language.FRENCH: french, Language.ENGLISH: english}


BOTH: Final = frozenset(Language)
# "août" has a letter that the small SMS alphabet lacks.
IN_FRENCH: Final = frozenset({Language.FRENCH})

NAMES: Final = (
    Name(
        path="patient.first_name",
        means=_pair("le prénom, vide s’il est inconnu ou ne doit pas être dit", "first name; empty if not to be said"),
        example=_same("Camille"),
        longest=_same("Marie-Bernadette"),
        costly=BOTH,
    ),
    Name(
        path="patient.family_name",
        means=_pair("le nom de famille, vide s’il ne doit pas être dit", "family name; empty if not to be said"),
        example=_same("Exemple"),
        longest=_same("de La Rochefoucauld-Martin"),
        tells=True,
        costly=BOTH,
    ),
    Name(
        path="clinic.name",
        means=_pair("le nom complet de la clinique", "the clinic’s full name"),
        example=_same("Clinique X"),
        longest=_same("Centre de soins de la rue des Tilleuls 14"),
        tells=True,
    ),
    Name(
        path="clinic.discreet_name",
        means=_pair("son nom neutre, qui ne dit aucune spécialité", "its neutral name, which tells no speciality"),
        example=_same("Clinique X"),
        longest=_same("Cabinet des Quatre-Chemin"),
    ),
    Name(
        path="clinic.telephone",
        means=_pair("son téléphone, vide s’il n’y en a pas", "its telephone; empty if there is none"),
        example=_same("01 99 00 00 00"),
        longest=_same("01 99 00 00 00"),
    ),
    Name(
        path="appointment.date",
        means=_pair("le jour en toutes lettres", "the day in words"),
        example=_pair("jeudi 12 mars", "Thursday 12 March"),
        longest=_pair("mercredi 30 septembre", "Wednesday 30 September"),
        costly=IN_FRENCH,
    ),
    Name(
        path="appointment.short_date",
        means=_pair("le jour en court", "the day, short"),
        example=_pair("12/03", "12 Mar"),
        longest=_pair("30/09", "30 Sept"),
    ),
    Name(
        path="appointment.time",
        means=_pair("l’heure, à l’horloge de la clinique", "the time, by the clinic’s clock"),
        example=_pair("14h30", "14:30"),
        longest=_pair("14h30", "14:30"),
    ),
    Name(
        path="appointment.month",
        means=_pair("le mois et l’année", "month and year"),
        example=_pair("mars 2026", "March 2026"),
        longest=_pair("septembre 2026", "September 2026"),
        costly=IN_FRENCH,
    ),
    Name(
        path="appointment.place",
        means=_pair("le lieu, vide s’il est inconnu", "the place; empty if unknown"),
        example=_same(""),
        longest=_same("Accueil du 2e étage, porte de gauche"),
        tells=True,
    ),
    Name(
        path="appointment.practitioner",
        means=_pair("avec qui, vide si inconnu", "with whom; empty if unknown"),
        example=_same(""),
        longest=_same("Dominique Martin-Exemple"),
        tells=True,
    ),
    Name(
        path="vaccination.month",
        means=_pair("le mois et l’année du vaccin dont il s’agit", "month and year of the vaccination it is about"),
        example=_pair("mars 2026", "March 2026"),
        longest=_pair("septembre 2026", "September 2026"),
        tells=True,
        costly=IN_FRENCH,
    ),
    Name(
        path="renewal.date",
        means=_pair("le jour où un accord prend fin, en toutes lettres", "the day on which a consent ends, in words"),
        example=_pair("12 mars 2029", "12 March 2029"),
        longest=_pair("30 septembre 2029", "30 September 2029"),
        costly=IN_FRENCH,
    ),
    Name(
        path="renewal.short_date",
        means=_pair("le jour où un accord prend fin, en court", "the day on which a consent ends, short"),
        example=_pair("12/03/2029", "12 Mar 2029"),
        longest=_pair("30/09/2029", "30 Sept 2029"),
    ),
    Name(
        path="for_child",
        means=_pair("vrai si le message va au parent d’un enfant", "true if the message goes to a child’s parent"),
        example=_same(False),  # noqa: FBT003 - a value, not a switch
        longest=_same(True),  # noqa: FBT003 - a value, not a switch
    ),
    Name(
        path="code",
        means=_pair("le code à usage unique d’une vérification", "the one-time code of a check"),
        example=_same("123456"),
        longest=_same("123456"),
    ),
    Name(
        path="link",
        means=_pair("le lien de la page à ouvrir", "the link of the page to open"),
        example=_same("https://accord.example.org/c/AbCdEfGhIjKlMnOpQrStUv"),
        longest=_same("https://accord.example.org/c/AbCdEfGhIjKlMnOpQrStUv"),
    ),
)
PATHS: Final = frozenset(one.path for one in NAMES)
GROUPS: Final = frozenset(path.partition(".")[0] for path in PATHS)
TELLING: Final = frozenset(one.path for one in NAMES if one.tells)


def example_values(language: Language) -> dict[str, Any]:
    """An invented patient's values."""
    return _nested({one.path: one.example[language] for one in NAMES})


def longest_values(language: Language) -> dict[str, Any]:
    """Values as long as one has to reckon with."""
    return _nested({one.path: one.longest[language] for one in NAMES})


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for path, value in flat.items():
        group, _dot, name = path.partition(".")
        if name:
            nested.setdefault(group, {})[name] = value
        else:
            nested[group] = value
    return nested
