"""What others may read: lock screens, SMS, subjects, the first words of an e-mail, addresses (obligation row 7)."""

import re
from collections.abc import Iterator
from typing import Final

from backend.messaging.linting import lists
from backend.messaging.linting.around import Around
from backend.messaging.linting.findings import Code, Finding
from backend.messaging.linting.view import Hit, View, finding
from backend.messaging.names import TELLING
from backend.messaging.variants import VariantText
from backend.policy.vocabulary import Channel, Language

ON_LOCK_SCREENS: Final = frozenset({Channel.PUSH, Channel.SMS})
DISCREET: Final = {"body": "discreet_body", "subject": "discreet_subject"}
# What a list of e-mails on a telephone shows before one is opened. The greeting may say the name.
PREVIEW: Final = 100
GREETED_BY: Final = frozenset({"patient.family_name"})


def lint_exposure(views: dict[str, View], variant: VariantText) -> Iterator[Finding]:
    """Words and values that tell of health, by where they can be read."""
    if variant.channel in ON_LOCK_SCREENS:
        yield from _on_lock_screen(views)
    elif variant.channel is Channel.EMAIL:
        yield from (finding(views["subject"], Code.HEALTH_WORD_IN_SUBJECT, hit) for hit in telling(views["subject"]))
        yield from _values(views["subject"], TELLING)
        yield from _in_preview(views["body"])


def telling(view: View) -> list[Hit]:
    """The words of a field that tell of somebody's health."""
    return [hit for pattern in _patterns(view.variant.language) for hit in view.search(pattern)]


def health_words(text: str) -> list[str]:
    """The words of a plain text that tell of health."""
    patterns = [pattern for language in Language for pattern in _patterns(language)]
    return [match.group() for pattern in patterns for match in pattern.finditer(text)]


def discreet_name_tells(around: Around) -> Iterator[Finding]:
    """A neutral name that is none: it stands in every discreet form."""
    words = dict.fromkeys(word for name in around.clinic_names[:1] for word in health_words(name))
    yield from (Finding(code=Code.DISCREET_NAME_TELLS, found=word) for word in words)


def _patterns(language: Language) -> tuple[re.Pattern[str], ...]:
    return lists.STEMS, lists.HEALTH[language], lists.HEALTH_LETTERS, lists.PRACTITIONER


def _on_lock_screen(views: dict[str, View]) -> Iterator[Finding]:
    for full, discreet in DISCREET.items():
        words = telling(views[full])
        values = sorted(views[full].names_shown & TELLING)
        if views[discreet].source:
            yield from (finding(views[full], Code.HEALTH_WORD_IN_FULL_FORM, hit) for hit in words)
            yield from (
                finding(views[discreet], Code.HEALTH_WORD_ON_LOCK_SCREEN, hit) for hit in telling(views[discreet])
            )
            yield from _values(views[discreet], TELLING)
        elif words or values:
            hit = words[0] if words else views[full].find_name(values[0])
            yield finding(views[full], Code.DISCREET_FORM_MISSING, hit)


def _in_preview(view: View) -> Iterator[Finding]:
    """The first words of an e-mail: what is told there, and which values."""
    seen: set[str] = set()
    for shown in view.shown:
        for pattern in _patterns(view.variant.language):
            for match in pattern.finditer(shown[:PREVIEW]):
                if (word := match.group().strip()).lower() not in seen:
                    seen.add(word.lower())
                    yield finding(view, Code.HEALTH_WORD_IN_PREVIEW, view.find(word))
    yield from _values(view, TELLING - GREETED_BY, within=PREVIEW)


def _values(view: View, names: frozenset[str], *, within: int | None = None) -> Iterator[Finding]:
    shown = view.names_shown if within is None else view.names_within(within)
    yield from (finding(view, Code.TELLING_VALUE, view.find_name(name)) for name in sorted(shown & names))
