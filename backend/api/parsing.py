"""Bodies, read strictly: no key twice, no number that is none, nothing that no database could hold, not too much."""

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import IO, Any, Final

from django.conf import settings
from rest_framework import exceptions
from rest_framework.parsers import BaseParser

from backend.patients.sources.lines import Unreadable, parse_object
from backend.patients.sources.reasons import REASONS

MAX_BODY: Final = 1024 * 1024
DEEPEST: Final = 64


class Malformed(exceptions.ParseError):
    """The body is no JSON; where it stops being some is told, never what stands there."""

    default_code = "malformed"

    def __init__(self, **extra: object) -> None:
        super().__init__()
        self.extra = extra


class TooLarge(exceptions.APIException):
    """The body is larger than what is taken here."""

    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"
    default_detail = "The body is too large."

    def __init__(self, *, most: int) -> None:
        super().__init__()
        self.extra = {"most_bytes": most}


class StrictJSONParser(BaseParser):
    """JSON as RFC 8259 has it, and a little stricter (I-JSON, RFC 7493)."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002 - DRF's signature
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002 - DRF's signature
    ) -> Any:
        """What was sent. Raises Malformed, TooLarge."""
        content = read_at_most(stream, MAX_BODY)
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed(reason="bad_utf8") from None
        try:
            found = json.loads(
                text,
                object_pairs_hook=_each_key_once,
                parse_constant=_no_constant,
                parse_float=_finite,
                parse_int=_whole,
            )
        except json.JSONDecodeError as error:
            raise Malformed(reason="not_json", line=error.lineno, column=error.colno) from None
        except RecursionError:
            raise Malformed(reason="nested_too_deep") from None
        _refuse_unstorable(found)
        return found


class FhirParser(BaseParser):
    """One FHIR resource, as bytes: it is read by the same strict reader as an import from files."""

    media_type = "application/fhir+json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002 - DRF's signature
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002 - DRF's signature
    ) -> Mapping[str, object]:
        """The resource. Raises Malformed, TooLarge."""
        content = read_at_most(stream, settings.ACCORD_BUNDLE_MAX_BYTES)
        try:
            return parse_object(content)
        except Unreadable as error:
            raise Malformed(reason=error.why.value, sentences=REASONS[error.why], field=error.field) from None


class PlainFhirParser(FhirParser):
    """The same for clients that call FHIR plain JSON."""

    media_type = "application/json"


def read_at_most(stream: IO[Any], most: int) -> bytes:
    """The whole body, if it is not too large; no more of it than that is ever in memory."""
    content: bytes = stream.read(most + 1)
    if len(content) > most:
        raise TooLarge(most=most)
    return content


def _each_key_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed(reason="duplicate_key")
    return found


def _no_constant(_name: str) -> object:
    raise Malformed(reason="number_not_finite")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise Malformed(reason="number_not_finite")
    return number


def _whole(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:
        raise Malformed(reason="number_not_finite") from None


def _refuse_unstorable(found: object) -> None:
    """NUL and lone surrogates are JSON, but no text that a database takes."""
    waiting: list[tuple[object, int]] = [(found, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > DEEPEST:
            raise Malformed(reason="nested_too_deep")
        if isinstance(value, str):
            if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
                raise Malformed(reason="bad_character")
        elif isinstance(value, Mapping):
            waiting += [(one, depth + 1) for pair in value.items() for one in pair]
        elif isinstance(value, list):
            waiting += [(one, depth + 1) for one in value]
