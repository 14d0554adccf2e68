"""Parts of a FHIR resource, read strictly: every value has its type and its limit, and every fault has its path."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from backend.patients.sources.reasons import Why

NAME_LIMIT: Final = 200
TEXT_LIMIT: Final = 1_000
# Control characters, and halves of surrogate pairs: no database and no carrier takes them (FHIR R4, `string`).
_BAD_CHARACTER: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Refused(Exception):
    """One line can not become a record; `field` is the path of what is wrong, `why` the code. Never leaves a source."""

    def __init__(self, why: Why, field: str) -> None:
        super().__init__(why)
        self.why = why
        self.field = field


def has_bad_character(text: str) -> bool:
    """Is there a control character in it, other than a line break or a tab?"""
    return _BAD_CHARACTER.search(text) is not None


def clean_text(text: str, *, field: str, limit: int) -> str:
    """Text in one Unicode form, each run of white space one space. Raises `Refused`."""
    text = text.strip()
    if len(text) > limit:
        raise Refused(Why.TOO_LONG, field)
    if has_bad_character(text):
        raise Refused(Why.BAD_CHARACTER, field)
    return " ".join(unicodedata.normalize("NFC", text).split())


class Element:
    """One object inside a resource, and the path that leads there. What is absent, null or empty reads as nothing."""

    __slots__ = ("_value", "path")

    def __init__(self, value: Mapping[str, object], path: str = "") -> None:
        self._value = value
        self.path = path

    def field(self, name: str) -> str:
        """The path of a part: `name[0].family`."""
        return f"{self.path}.{name}" if self.path else name

    def has(self, name: str) -> bool:
        """Is there anything under this name, be it of the wrong type?"""
        return self._value.get(name) not in (None, "", [], {})

    def text(self, name: str, *, limit: int = NAME_LIMIT) -> str:
        """A text; empty when there is none."""
        value = self._value.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise Refused(Why.WRONG_TYPE, self.field(name))
        return clean_text(value, field=self.field(name), limit=limit)

    def texts(self, name: str, *, most: int, limit: int = NAME_LIMIT) -> tuple[str, ...]:
        """A list of texts without the empty ones."""
        found: list[str] = []
        for place, value in enumerate(self._list(name, most=most)):
            field = f"{self.field(name)}[{place}]"
            # In a list of primitive values, null stands for one that has only extensions (FHIR R4, JSON format).
            if value is not None and not isinstance(value, str):
                raise Refused(Why.WRONG_TYPE, field)
            if text := clean_text(value or "", field=field, limit=limit):
                found.append(text)
        return tuple(found)

    def flag(self, name: str) -> bool | None:
        """True, false or nothing; `"true"` is a text."""
        value = self._value.get(name)
        if value is not None and not isinstance(value, bool):
            raise Refused(Why.WRONG_TYPE, self.field(name))
        return value

    def number(self, name: str, *, most: int = 2**31 - 1) -> int | None:
        """A whole number from 1 to `most`, or nothing."""
        value = self._value.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise Refused(Why.WRONG_TYPE, self.field(name))
        if not 0 < value <= most:
            raise Refused(Why.NUMBER_OUT_OF_RANGE, self.field(name))
        return value

    def child(self, name: str) -> "Element | None":
        """An object, or nothing."""
        value = self._value.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise Refused(Why.WRONG_TYPE, self.field(name))
        return Element(value, self.field(name))

    def children(self, name: str, *, most: int) -> "tuple[Element, ...]":
        """A list of objects."""
        found: list[Element] = []
        for place, value in enumerate(self._list(name, most=most)):
            field = f"{self.field(name)}[{place}]"
            if not isinstance(value, Mapping):
                raise Refused(Why.WRONG_TYPE, field)
            found.append(Element(value, field))
        return tuple(found)

    def _list(self, name: str, *, most: int) -> list[object]:
        value = self._value.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise Refused(Why.WRONG_TYPE, self.field(name))
        if len(value) > most:
            raise Refused(Why.TOO_MANY, self.field(name))
        return value
