"""What a notice has to name before anybody is asked (GDPR Art. 13 and 14), and whether its words name it.

This reads words, and does not understand them: it finds what was forgotten, and believes what is said. Whether it is
true is for the data protection officer, who reads the notice after it.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from backend.policy.ages import OVERSEAS_FRANCE
from backend.policy.vocabulary import Language


class NoticeElement(StrEnum):
    """One thing that a notice names."""

    CONTROLLER = "controller"
    CONTACT = "contact"
    OFFICER = "officer"
    PURPOSES = "purposes"
    BASIS = "basis"
    CATEGORIES = "categories"
    SOURCE = "source"
    RECIPIENTS = "recipients"
    TRANSFERS = "transfers"
    RETENTION = "retention"
    ACCESS = "access"
    RECTIFICATION = "rectification"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    OBJECTION = "objection"
    PORTABILITY = "portability"
    WITHDRAWAL = "withdrawal"
    AUTHORITY = "authority"
    CONSEQUENCE = "consequence"
    AUTOMATED = "automated"
    CHILDREN = "children"


WHERE_IT_APPLIES: Final = frozenset(
    {NoticeElement.TRANSFERS, NoticeElement.CONSEQUENCE, NoticeElement.AUTOMATED, NoticeElement.CHILDREN}
)
"""The law asks for these where there is something to say (Art. 12(1), 13(1)(f), (2)(e), (f)): the officer may say that
it does not apply, and why. All others a notice can not do without, and nobody can say otherwise."""

ARTICLES: Final[Mapping[NoticeElement, str]] = {
    NoticeElement.CONTROLLER: "13(1)(a)",
    NoticeElement.CONTACT: "13(1)(a)",
    NoticeElement.OFFICER: "13(1)(b)",
    NoticeElement.PURPOSES: "13(1)(c)",
    NoticeElement.BASIS: "13(1)(c)",
    NoticeElement.CATEGORIES: "14(1)(d)",
    NoticeElement.SOURCE: "14(2)(f)",
    NoticeElement.RECIPIENTS: "13(1)(e)",
    NoticeElement.TRANSFERS: "13(1)(f)",
    NoticeElement.RETENTION: "13(2)(a)",
    NoticeElement.ACCESS: "13(2)(b)",
    NoticeElement.RECTIFICATION: "13(2)(b)",
    NoticeElement.ERASURE: "13(2)(b)",
    NoticeElement.RESTRICTION: "13(2)(b)",
    NoticeElement.OBJECTION: "13(2)(b)",
    NoticeElement.PORTABILITY: "13(2)(b)",
    NoticeElement.WITHDRAWAL: "13(2)(c)",
    NoticeElement.AUTHORITY: "13(2)(d)",
    NoticeElement.CONSEQUENCE: "13(2)(e)",
    NoticeElement.AUTOMATED: "13(2)(f)",
    NoticeElement.CHILDREN: "12(1)",
}

_FRENCH_NUMBER: Final = r"(?:\d+|une?|deux|trois|quatre|cinq|six|sept|huit|neuf|dix|douze|quinze|vingt|trente)"
_ENGLISH_NUMBER: Final = r"(?:\d+|an?|one|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|thirty)"
# Each with words that are found, to be told to whoever has to write them.
WORDS: Final[Mapping[Language, Mapping[NoticeElement, tuple[str, str]]]] = {
    Language.FRENCH: {
        NoticeElement.OFFICER: (
            r"délégué\S* à la protection des données|\bdpo\b|\bdpd\b",
            "délégué à la protection des données",
        ),
        NoticeElement.BASIS: (
            r"(?:accord|consentement) explicite|base (?:légale|juridique)|\barticles? 6\b",
            "accord explicite, base légale, article 6",
        ),
        NoticeElement.CATEGORIES: (
            r"données de santé|coordonnées|date de naissance|catégories (?:de|particulières)",
            "coordonnées, date de naissance, données de santé",
        ),
        NoticeElement.SOURCE: (
            r"\b(?:viennent|proviennent|provenant|provenance|issues?) d|\breçues? d|\bsources?\b",
            "viennent de, proviennent de, source",
        ),
        NoticeElement.RECIPIENTS: (
            r"destinataire|opérateur|prestataire|sous-traitant|fournisseur|entreprises? qui",
            "destinataires, opérateur, prestataire, sous-traitant",
        ),
        NoticeElement.TRANSFERS: (
            r"(?:hors|dehors) de l'(?:union|espace)|hors (?:ue|eee|d'europe)\b|pays tiers",
            "hors de l’Union européenne, pays tiers",
        ),
        NoticeElement.RETENTION: (
            rf"\b{_FRENCH_NUMBER} (?:ans?|années?|mois|semaines?|jours?)\b|durée de conservation",
            "cinq ans, durée de conservation",
        ),
        NoticeElement.ACCESS: (r"\baccès\b|\baccéder\b|\bcopie\b", "accès, copie"),
        NoticeElement.RECTIFICATION: (r"\brectifi|\bcorrig", "rectification, corriger"),
        NoticeElement.ERASURE: (r"\beffac|\bsupprim|\bsuppression", "effacement, supprimer"),
        NoticeElement.RESTRICTION: (r"\blimitation|\blimiter\b", "limitation"),
        NoticeElement.OBJECTION: (r"\bopposition|\bopposer\b|\bopposez\b", "opposition, vous opposer"),
        NoticeElement.PORTABILITY: (r"\bportabilité|\bemporter\b", "portabilité, emporter"),
        NoticeElement.WITHDRAWAL: (
            r"\b(?:retirer|retirez|retrait|révoquer)\b|revenir sur",
            "retirer votre accord",
        ),
        NoticeElement.AUTHORITY: (
            r"autorité (?:\S+ ){0,3}(?:contrôle|protection|protège|surveillance)",
            "autorité de protection des données",
        ),
        NoticeElement.CONSEQUENCE: (
            r"rien ne change|conséquence|facultati|pas obligatoire|n'êtes pas obligé",
            "rien ne change, facultatif, sans conséquence",
        ),
        NoticeElement.AUTOMATED: (
            r"ordinateur|automati|algorithme|profilage|intelligence artificielle",
            "ordinateur, automatique, profilage",
        ),
    },
    Language.ENGLISH: {
        NoticeElement.OFFICER: (r"data protection officer|\bdpo\b", "data protection officer"),
        NoticeElement.BASIS: (
            r"explicit consent|(?:legal|lawful) basis|\barticles? 6\b",
            "explicit consent, legal basis, Article 6",
        ),
        NoticeElement.CATEGORIES: (
            r"health data|contact details|date of birth|(?:categories|kinds) of (?:personal )?data",
            "contact details, date of birth, health data",
        ),
        NoticeElement.SOURCE: (
            r"\b(?:comes?|came|collected|obtained|received|taken) from\b|\bsources?\b",
            "come from, source",
        ),
        NoticeElement.RECIPIENTS: (
            r"recipient|operator|processor|provider|supplier|compan(?:y|ies) (?:that|which|who)",
            "recipients, operator, provider, processor",
        ),
        NoticeElement.TRANSFERS: (
            r"outside (?:of )?(?:the )?(?:european|eu\b|eea\b|union|europe)|third countr",
            "outside the European Union, third country",
        ),
        NoticeElement.RETENTION: (
            rf"\b{_ENGLISH_NUMBER} (?:years?|months?|weeks?|days?)\b|retention period",
            "five years, retention period",
        ),
        NoticeElement.ACCESS: (r"\baccess\b|\bcopy\b", "access, copy"),
        NoticeElement.RECTIFICATION: (r"\brectif|\bcorrect", "rectification, corrected"),
        NoticeElement.ERASURE: (r"\beras|\bdelet", "erasure, deleted"),
        NoticeElement.RESTRICTION: (r"\brestrict", "restriction"),
        NoticeElement.OBJECTION: (r"\bobject(?:ion|\b)", "objection, object to"),
        NoticeElement.PORTABILITY: (r"\bportability|take (?:them|it|your data) elsewhere", "portability"),
        NoticeElement.WITHDRAWAL: (r"\bwithdraw", "withdraw your consent"),
        NoticeElement.AUTHORITY: (
            r"(?:supervisory|protection) authority|authority (?:\S+ ){0,3}protects?|commissioner",
            "supervisory authority",
        ),
        NoticeElement.CONSEQUENCE: (
            r"nothing changes|consequence|optional|not obliged|do not have to",
            "nothing changes, optional, no consequence",
        ),
        NoticeElement.AUTOMATED: (
            r"computer|automat|algorithm|profiling|artificial intelligence",
            "a computer, automated, profiling",
        ),
    },
}
_CNIL: Final = (r"\bcnil\b|commission nationale de l'informatique", "CNIL")
AUTHORITIES: Final[Mapping[str, tuple[str, str]]] = dict.fromkeys(("FR", *OVERSEAS_FRANCE), _CNIL)
"""Where the authority has a name that everybody knows, the name is asked for."""
_ADDRESS: Final = re.compile(r"\b[\w.+-]+@[\w-]+\.[\w.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """Who answers for the notice."""

    name: str
    telephone: str
    address: str
    country: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What a notice does not name in one language. `looks_for`: words by which it would have been found."""

    language: Language
    element: NoticeElement
    looks_for: str

    @property
    def told(self) -> dict[str, str | bool]:
        """As it is answered; `article` is where the General Data Protection Regulation asks for it."""
        return {
            "language": self.language.value,
            "element": self.element.value,
            "article": ARTICLES[self.element],
            "looks_for": self.looks_for,
            "only_where_it_applies": self.element in WHERE_IT_APPLIES,
        }


def what_is_missing(
    body: str,
    *,
    language: Language,
    controller: Controller,
    statements: Collection[str],
    child_text: str,
    not_applicable: Collection[NoticeElement] = (),
) -> tuple[Missing, ...]:
    """What this text does not name, in the order of the law.

    `statements` are the sentences of its purposes, `child_text` is what a child is shown in its place.
    What the law asks for only where it applies is not missed where the officer says that it does not.
    """
    text = _plain(body)
    excused = WHERE_IT_APPLIES.intersection(not_applicable)
    return tuple(
        Missing(language=language, element=element, looks_for=looks_for)
        for element in NoticeElement
        if element not in excused
        for looks_for in [_looked_for(element, _Read(text, language, controller, statements, child_text))]
        if looks_for is not None
    )


@dataclass(frozen=True, slots=True)
class _Read:
    """What is read, without the differences that writing machines make."""

    text: str
    language: Language
    controller: Controller
    statements: Collection[str]
    child_text: str


def _looked_for(element: NoticeElement, read: _Read) -> str | None:
    """None where it is named; else the words that were looked for."""
    controller = read.controller
    if element is NoticeElement.CONTROLLER:
        return None if _plain(controller.name) in read.text else controller.name
    if element is NoticeElement.CONTACT:
        return None if _reaches(read.text, controller) else controller.telephone or controller.address
    if element is NoticeElement.PURPOSES:
        return None if read.statements and all(one.strip() for one in read.statements) else "statements"
    if element is NoticeElement.CHILDREN:
        return None if read.child_text.strip() else "children"
    pattern, words = WORDS[read.language][element]
    if element is NoticeElement.AUTHORITY:
        pattern, words = AUTHORITIES.get(controller.country, (pattern, words))
    return None if re.search(pattern, read.text) else words


def _reaches(text: str, controller: Controller) -> bool:
    """An address, the clinic's telephone however it is spaced, or where the clinic is."""
    number = _digits(controller.telephone)
    return bool(
        _ADDRESS.search(text)
        or (number and number in _digits(text))
        or (controller.address.strip() and _plain(controller.address) in text)
    )


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _plain(text: str) -> str:
    """Without the differences that writing machines make: apostrophes, spaces, capitals."""
    return " ".join(unicodedata.normalize("NFKC", text).replace("’", "'").casefold().split())
