"""Strict input: the JSON type that was asked for and no other, no field that is not known, times with their zone."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any, Final
from uuid import UUID

from django.utils.functional import lazy
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from backend.api.languages import said
from backend.patients.sources.elements import has_bad_character
from backend.policy.vocabulary import Channel, Language

FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2200
UUID_FORM: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
DATE_FORM: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
MOMENT_FORM: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
HOUR_FORM: Final = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?", re.ASCII)
CONTROLS: Final = frozenset({"Cc", "Zl", "Zp"})
SLUG_FORM: Final = r"^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$"


says: Final = lazy(said, str)


class Text(serializers.CharField):
    """A text; a number or a yes is none, and control characters are in none."""

    default_error_messages = {"invalid": says("text"), "bad_character": says("bad_character")}

    def to_internal_value(self, data: Any) -> str:
        """Refuse what is no text, and what no carrier takes."""
        if not isinstance(data, str):
            self.fail("invalid")
        if has_bad_character(data):
            self.fail("bad_character")
        return str(super().to_internal_value(data))


class Line(Text):
    """A text of one line: no control character, which could begin a header or a cell elsewhere."""

    default_error_messages = {"line": says("line")}

    def to_internal_value(self, data: Any) -> str:
        """Refuse line breaks and other control characters."""
        text = super().to_internal_value(data)
        if any(unicodedata.category(letter) in CONTROLS for letter in text):
            self.fail("line")
        return text


@extend_schema_field({"type": "string", "pattern": SLUG_FORM, "maxLength": 60})
class Slug(Text):
    """A short name of small letters, digits, `_` and `-`."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("max_length", 60)
        super().__init__(**options)
        self.validators.append(_SlugForm())


class _SlugForm:
    def __call__(self, value: str) -> None:
        if not re.fullmatch(SLUG_FORM, value):
            raise serializers.ValidationError(said("slug"), code="invalid_slug")


class Whole(serializers.IntegerField):
    """A whole number; neither a text nor 1.0 is one."""

    default_error_messages = {"invalid": says("whole")}

    def to_internal_value(self, data: Any) -> int:
        """Refuse what is no whole number."""
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return int(super().to_internal_value(data))


class YesNo(serializers.BooleanField):
    """true or false, and nothing that could be taken for either."""

    default_error_messages = {"invalid": says("yes_no")}

    def to_internal_value(self, data: Any) -> bool:
        """Refuse what is no truth value."""
        if not isinstance(data, bool):
            self.fail("invalid")
        return bool(data)


class Id(serializers.UUIDField):
    """An id as it is written everywhere: 36 characters."""

    default_error_messages = {"invalid": says("id")}

    def to_internal_value(self, data: Any) -> UUID:
        """Refuse other spellings."""
        if not isinstance(data, str) or not UUID_FORM.fullmatch(data):
            self.fail("invalid")
        return UUID(data)


class Choice(serializers.ChoiceField):
    """One of a few words."""

    def to_internal_value(self, data: Any) -> Any:
        """Refuse what is none of the words, and say which there are."""
        if data == "" and self.allow_blank:
            return ""
        if not isinstance(data, str) or data not in self.choice_strings_to_values:
            raise serializers.ValidationError(said("choice", self.choice_strings_to_values), code="invalid_choice")
        return super().to_internal_value(data)


def choice_of(words: Any, **options: Any) -> Choice:
    """A choice among the words of an enumeration; what is read is its value, as text."""
    return Choice(choices=[(word.value, word.value) for word in words], **options)


class ChannelList(serializers.ListField):
    """Some channels, each once."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=choice_of(Channel), max_length=len(Channel), **options)

    def to_internal_value(self, data: Any) -> tuple[Channel, ...]:  # type: ignore[override] # what is read is a tuple
        """The channels as the rest of Accord knows them."""
        return tuple(Channel(one) for one in super().to_internal_value(data))


class Moment(serializers.DateTimeField):
    """An instant, written with its offset (RFC 3339); in answers always in UTC."""

    default_error_messages = {
        "form": says("moment"),
        "range": says("range"),
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(default_timezone=UTC, **options)

    def to_internal_value(self, value: Any) -> datetime:
        """Refuse a time without its offset, and one that no calendar here goes to."""
        if not isinstance(value, str) or not MOMENT_FORM.fullmatch(value):
            self.fail("form")
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail("form")
        try:
            # What is stored is UTC, and may lie in another year than what was written.
            found = found.astimezone(UTC)
        except OverflowError:
            self.fail("range")
        if not FIRST_YEAR <= found.year < LAST_YEAR:
            self.fail("range")
        return found


class Day(serializers.DateField):
    """A day of the calendar."""

    default_error_messages = {"form": says("day"), "range": says("range")}

    def to_internal_value(self, value: Any) -> date:
        """Refuse other spellings and days that do not exist."""
        if not isinstance(value, str) or not DATE_FORM.fullmatch(value):
            self.fail("form")
        try:
            found = date.fromisoformat(value)
        except ValueError:
            self.fail("form")
        if not FIRST_YEAR <= found.year < LAST_YEAR:
            self.fail("range")
        return found


@extend_schema_field({"type": "string", "pattern": f"^{HOUR_FORM.pattern}$", "example": "21:00"})
class Hour(serializers.TimeField):
    """A time of a wall clock, without a zone."""

    default_error_messages = {"form": says("hour")}

    def to_internal_value(self, value: Any) -> time:
        """Refuse other spellings."""
        if not isinstance(value, str) or not HOUR_FORM.fullmatch(value):
            self.fail("form")
        try:
            return time.fromisoformat(value)
        except ValueError:
            self.fail("form")

    def to_representation(self, value: Any) -> Any:
        """Hours and minutes; seconds only where there are some."""
        return None if value is None else value.isoformat("minutes" if value.second == 0 else "seconds")


class Input(serializers.Serializer[Any]):
    """What is sent to us. A field that is not known is refused by name: ignored, it would be missed by nobody."""

    default_error_messages = {"invalid": says("not_a_dict")}

    def to_internal_value(self, data: Any) -> Any:
        """Refuse unknown fields together with all that is wrong with the others."""
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)
        foreign = [name for name in data if name not in self.fields]
        errors: dict[str, Any] = {}
        read: Any = {}
        try:
            read = super().to_internal_value(data)
        except serializers.ValidationError as error:
            errors = dict(error.detail) if isinstance(error.detail, dict) else {"non_field_errors": error.detail}
        for name in foreign:
            shown = name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,49}", str(name)) else "?"
            errors[shown] = [serializers.ErrorDetail(said("unknown_field"), code="unknown_field")]
        if errors:
            raise serializers.ValidationError(errors)
        return read

    @classmethod
    def read(cls, request: Request, **options: Any) -> dict[str, Any]:
        """What was sent, checked. Raises ValidationError, which becomes a problem that names every field."""
        reader = cls(data=request.data, **options)
        reader.is_valid(raise_exception=True)
        checked: dict[str, Any] = reader.validated_data
        return checked


class NothingInput(Input):
    """Nothing needs to be said."""


class Output(serializers.Serializer[Any]):
    """What we answer: declared, so that it can be documented and nothing else gets out."""


class Names(Input):
    """A name in every language."""

    fr = Line(max_length=120)
    en = Line(max_length=120)


def in_languages(given: Mapping[str, str]) -> dict[Language, str]:
    """Words by language, as the rest of Accord knows languages."""
    return {Language(code): words for code, words in given.items()}
