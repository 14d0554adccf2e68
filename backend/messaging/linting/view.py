"""One field of one variant, as the rules look at it: as it was written, and as it reads once it is filled."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, Final

from backend.messaging.linting.findings import Code, Finding
from backend.messaging.names import NAMES, PATHS, example_values, longest_values
from backend.messaging.rendering import TemplateRefused, fill, names_used
from backend.messaging.variants import VariantText
from backend.policy.vocabulary import Language

TAG: Final = re.compile(r"\{%-?\s*comment\b.*?\{%-?\s*endcomment\s*-?%\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
LITERAL: Final = re.compile(r"\"[^\"]*\"|'[^']*'")
SPACE: Final = re.compile(r"\s+")
# Stands where a value is filled in: no letter, no space, in nobody's word list.
VALUE: Final = "\x00"
# One character of the private use area for each name: no filter can change or cut it.
MARK_OF: Final = {one.path: chr(0xE000 + place) for place, one in enumerate(NAMES)}
NAME_OF: Final = {mark: path for path, mark in MARK_OF.items()}
MARKED: Final = re.compile("[" + "".join(NAME_OF) + "]")
OPTIONAL: Final = frozenset(
    {
        "patient.first_name",
        "patient.family_name",
        "clinic.telephone",
        "appointment.place",
        "appointment.practitioner",
    }
)


@dataclass(frozen=True, slots=True)
class Hit:
    """What a pattern found. Without a place it was found only once the text was filled."""

    found: str
    start: int | None
    end: int | None


@dataclass(frozen=True)
class View:
    """One field."""

    variant: VariantText
    field: str

    @property
    def source(self) -> str:
        """As it was written."""
        return str(getattr(self.variant, self.field))

    @cached_property
    def masked(self) -> str:
        """As it was written, each place of the same length: tags are spaces, values are marks, quoted words stay."""
        return TAG.sub(_masked, self.source)

    @cached_property
    def marked(self) -> list[str]:
        """Filled in every way that matters, with marks that name what stands there."""
        return [self._filled(values) for values in MARKS]

    @cached_property
    def shown(self) -> list[str]:
        """Filled for the invented patient, and for the invented parent."""
        return [self._filled(_with(example_values(self.variant.language), for_child=one)) for one in (False, True)]

    @cached_property
    def longest(self) -> list[str]:
        """Filled with values as long as one has to reckon with."""
        return [self._filled(_with(longest_values(self.variant.language), for_child=one)) for one in (False, True)]

    @cached_property
    def names_shown(self) -> frozenset[str]:
        """The names whose values a reader sees, not those that a condition only looks at."""
        return frozenset().union(*map(names_in, self.marked))

    def names_within(self, length: int) -> frozenset[str]:
        """The names whose values begin among the first characters of the text."""
        return frozenset().union(*(names_in(text[:length]) for text in self.marked))

    def unknown_names(self) -> Iterator[Hit]:
        """The names it uses that nobody fills in. Raises TemplateRefused where it can not be read."""
        for path, at in names_used(self.source):
            if path not in PATHS:
                yield Hit(path, at, at + len(path))

    def search(self, pattern: re.Pattern[str]) -> Iterator[Hit]:
        """What a pattern finds, each word once: in what was written, else in what is read."""
        seen: set[str] = set()
        for match in pattern.finditer(self.masked):
            word = SPACE.sub(" ", match.group().replace(VALUE, "").strip())
            if word and word.lower() not in seen:
                seen.add(word.lower())
                yield Hit(word, match.start(), match.end())
        for text in self.marked:
            # A word put together out of pieces can not be pointed at, and is found all the same.
            for match in pattern.finditer(MARKED.sub(VALUE, text)):
                word = SPACE.sub(" ", match.group().replace(VALUE, "").strip())
                if word and word.lower() not in seen:
                    seen.add(word.lower())
                    yield Hit(word, None, None)

    def find(self, word: str) -> Hit:
        """Where a word stands in what was written, if it stands there as it is read."""
        at = self.masked.find(word)
        return Hit(word, at, at + len(word)) if at >= 0 else Hit(word, None, None)

    def find_name(self, path: str) -> Hit:
        """Where a name is filled in."""
        match = re.search(r"\{\{-?\s*" + re.escape(path) + r"\b.*?\}\}", self.source, re.DOTALL)
        return Hit(path, match.start(), match.end()) if match else Hit(path, None, None)

    def _filled(self, values: Mapping[str, Any]) -> str:
        try:
            return fill(self.source, values)
        except TemplateRefused:
            return ""


def names_in(marked: str) -> frozenset[str]:
    """The names whose values are seen in a text filled with marks."""
    return frozenset(NAME_OF[mark] for mark in MARKED.findall(marked))


def finding(view: View, code: Code, hit: Hit | None = None) -> Finding:
    """A finding in a field."""
    return Finding(
        code=code,
        channel=view.variant.channel,
        language=view.variant.language,
        tone=view.variant.tone,
        field=view.field,
        start=None if hit is None else hit.start,
        end=None if hit is None else hit.end,
        found="" if hit is None else hit.found,
    )


def _masked(match: re.Match[str]) -> str:
    tag = match.group()
    filler = VALUE if tag.startswith("{{") else " "
    if not tag.startswith("{{") and "endcomment" in tag:
        return " " * len(tag)
    pieces, at = [], 0
    for literal in LITERAL.finditer(tag):
        pieces += [filler * (literal.start() + 1 - at), literal.group()[1:-1], filler]
        at = literal.end()
    return "".join(pieces) + filler * (len(tag) - at)


def _with(values: dict[str, Any], *, for_child: bool) -> dict[str, Any]:
    return {**values, "for_child": for_child}


def _marks(*, for_child: bool, bare: bool) -> dict[str, Any]:
    values: dict[str, Any] = {"for_child": for_child}
    for name in NAMES:
        group, dot, key = name.path.partition(".")
        if isinstance(name.example[Language.FRENCH], bool):
            continue
        value = "" if bare and name.path in OPTIONAL else MARK_OF[name.path]
        if dot:
            values.setdefault(group, {})[key] = value
        else:
            values[group] = value
    return values


MARKS: Final = [_marks(for_child=child, bare=bare) for child, bare in product((False, True), repeat=2)]
