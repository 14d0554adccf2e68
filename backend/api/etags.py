"""Read, change, write back: with If-Match, nobody overwrites what they have not seen (RFC 9110, section 13)."""

from http import HTTPStatus

from rest_framework import exceptions
from rest_framework.request import Request


class PreconditionRequired(exceptions.APIException):
    """A change must say which version it was made from (RFC 6585, section 3)."""

    status_code = HTTPStatus.PRECONDITION_REQUIRED
    default_code = "precondition_required"
    default_detail = "Read first, then send the ETag in If-Match."


def etag(version: int | str) -> str:
    """The strong tag of a version."""
    return f'"{version}"'


def matches(request: Request, tag: str, *, required: bool) -> bool:
    """Does If-Match name this version? Without the header: yes, or PreconditionRequired."""
    given = request.headers.get("If-Match")
    if given is None:
        if required:
            raise PreconditionRequired
        return True
    return given.strip() == "*" or tag in _tags(given)


def is_known(request: Request, tag: str) -> bool:
    """Does If-None-Match name this version, so that nothing needs to be sent again?"""
    given = request.headers.get("If-None-Match", "")
    return given.strip() == "*" or tag in {one.removeprefix("W/") for one in _tags(given)}


def _tags(given: str) -> set[str]:
    return {one.strip() for one in given.split(",")}
