"""Pages of a list: a cursor that says nothing to whoever holds it, and stays right while rows are added."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from uuid import UUID

import orjson
from rest_framework import serializers
from rest_framework.request import Request

from backend.api.fields import FIRST_YEAR, LAST_YEAR, UUID_FORM, Moment
from backend.api.languages import said

DEFAULT_LIMIT: Final = 50
LARGEST_LIMIT: Final = 100
LIMIT_FORM: Final = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
LONGEST_CURSOR: Final = 300
LONGEST_NAME: Final = 50
LARGEST_NUMBER: Final = 2**62

Row = TypeVar("Row")


def cursor_of(*place: object) -> str:
    """The place after which the next page begins."""
    parts = [one.astimezone(UTC).isoformat() if isinstance(one, datetime) else one for one in place]
    raw = orjson.dumps([str(part) if isinstance(part, UUID) else part for part in parts])
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def read_cursor(request: Request, *kinds: type) -> tuple[Any, ...] | None:
    """The place that the cursor of this request names, or None for the first page. Raises ValidationError."""
    given = request.query_params.get("cursor")
    if given is None:
        return None
    try:
        parts = orjson.loads(base64.b64decode(_padded(given), altchars=b"-_", validate=True))
        return tuple(_part(part, kind) for part, kind in zip(parts, kinds, strict=True))
    except (ValueError, TypeError, OverflowError, binascii.Error):
        raise serializers.ValidationError(
            {"cursor": [serializers.ErrorDetail(said("cursor"), code="invalid_cursor")]}
        ) from None


def read_limit(request: Request) -> int:
    """How many rows a page holds. Raises ValidationError."""
    given = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if LIMIT_FORM.fullmatch(given) is None or int(given) > LARGEST_LIMIT:
        raise serializers.ValidationError({"limit": [serializers.ErrorDetail(said("limit"), code="invalid_limit")]})
    return int(given)


def next_page(rows: list[Row], limit: int, place: Callable[[Row], tuple[object, ...]]) -> tuple[list[Row], str | None]:
    """The rows of this page, and the cursor of the next where there is one: one row more was asked for."""
    shown = rows[:limit]
    return shown, cursor_of(*place(shown[-1])) if len(rows) > limit else None


def read_id(request: Request, name: str) -> UUID | None:
    """An id in the query. Raises ValidationError."""
    given = request.query_params.get(name)
    if given is None:
        return None
    if not UUID_FORM.fullmatch(given):
        raise serializers.ValidationError({name: [serializers.ErrorDetail(said("id"), code="invalid")]})
    return UUID(given)


def read_moment(request: Request, name: str) -> datetime | None:
    """An instant in the query, with its offset. Raises ValidationError."""
    given = request.query_params.get(name)
    if given is None:
        return None
    try:
        return Moment().to_internal_value(given)
    except serializers.ValidationError as error:
        raise serializers.ValidationError({name: error.detail}) from None


def read_words(request: Request, name: str, among: Mapping[str, Any]) -> list[Any]:
    """Some words in the query, separated by commas. Raises ValidationError."""
    given = request.query_params.get(name)
    if given is None:
        return []
    words = [word for word in given.split(",") if word]
    if any(word not in among for word in words):
        raise serializers.ValidationError(
            {name: [serializers.ErrorDetail(said("choice", among), code="invalid_choice")]}
        )
    return [among[word] for word in words]


def refuse_unknown(request: Request, *known: str) -> None:
    """A filter that is misspelt would answer with everything. Raises ValidationError."""
    foreign = [name for name in request.query_params if name not in {*known, "language"}]
    if foreign:
        shown = [
            name if name.isidentifier() and name.isascii() and len(name) <= LONGEST_NAME else "?" for name in foreign
        ]
        detail = serializers.ErrorDetail(said("unknown_parameter", [*known, "language"]), code="unknown_parameter")
        raise serializers.ValidationError({name: [detail] for name in shown})


def _padded(given: str) -> str:
    if len(given) > LONGEST_CURSOR:
        raise ValueError("too long")
    return given + "=" * (-len(given) % 4)


def _part(part: object, kind: type) -> object:
    if kind is UUID and isinstance(part, str) and UUID_FORM.fullmatch(part):
        return UUID(part)
    if kind is datetime and isinstance(part, str):
        found = datetime.fromisoformat(part)
        if found.tzinfo is not None and FIRST_YEAR <= found.astimezone(UTC).year < LAST_YEAR:
            return found.astimezone(UTC)
    if kind is int and type(part) is int and 0 <= part < LARGEST_NUMBER:
        return part
    raise ValueError(kind)
