"""Every refusal has one form: RFC 9457 problem details, with a code that never changes and a sentence that may."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.http import Http404, HttpRequest, JsonResponse
from django.utils import translation
from drf_standardized_errors.formatter import flatten_errors
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.accounts.queries import Bearer
from backend.api.languages import said, spoken_language
from backend.api.sentences import OURS_BY_CODE, named_sentence, problem_sentence
from backend.audit.recording import record_refusal, request_id
from backend.errors import DomainError, NotFound
from backend.policy.vocabulary import Language
from backend.vault.keyring import KeyUnavailable

MEDIA_TYPE: Final = "application/problem+json"
TYPE: Final = "urn:accord:problem:"
RECORDED: Final = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT})
# The operation that counts wrong codes has recorded the refusal itself.
RECORDED_ELSEWHERE: Final = frozenset({"code_refused"})
UNIQUE_VIOLATION: Final = "23505"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is answered instead of what was asked for. `errors` name the fields, `extra` holds codes, ids and counts."""

    status: int
    code: str
    detail: str = ""
    errors: tuple[Mapping[str, str], ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, language: Language) -> dict[str, object]:
        """As it is sent (RFC 9457, section 3), in one language."""
        title = problem_sentence(self.code, language) or HTTPStatus(self.status).phrase
        own: dict[str, object] = {
            "type": TYPE + self.code,
            "title": title,
            "status": self.status,
            "detail": self.detail or title,
            "code": self.code,
            "errors": [dict(error) for error in self.errors],
            "request_id": request_id.get(),
        }
        return {**{name: _plain(value) for name, value in self.extra.items()}, **own}


class RecordedNotFound(exceptions.NotFound):
    """Another clinic was asked for: it looks like a missing one, and the attempt is recorded."""


def handle(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler: errors that are meant become problems, any other goes on and ends as a plain 500."""
    request: Request = context["request"]
    language = spoken_language()
    problem = as_problem(error, language)
    if problem is None:
        return None
    if problem.status in RECORDED or isinstance(error, RecordedNotFound):
        _record(problem, request, context.get("view"))
    # A problem is JSON also where the view answers with something else, and where what was asked for can not be given.
    request.accepted_renderer, request.accepted_media_type = JSONRenderer(), "application/json"
    return Response(problem.body(language), problem.status, headers=dict(problem.headers), content_type=MEDIA_TYPE)


def as_problem(error: Exception, language: Language) -> Problem | None:
    """The problem that an error is, if it is one that is meant."""
    if isinstance(error, DomainError):
        return _of_domain(error, language)
    if isinstance(error, Http404):
        return Problem(status=HTTPStatus.NOT_FOUND, code="not_found")
    if isinstance(error, PermissionDenied):
        return Problem(status=HTTPStatus.FORBIDDEN, code="permission_denied")
    if isinstance(error, exceptions.APIException):
        return _of_framework(error)
    if isinstance(error, IntegrityError) and _is_about_uniqueness(error):
        # Two requests did the same at the same moment, and the database let one of them through.
        return Problem(status=HTTPStatus.CONFLICT, code="conflict")
    return None


def _of_domain(error: DomainError, language: Language) -> Problem:
    if isinstance(error, NotFound) and error.field is not None:
        # The address is right: it is the body that names something which is not there.
        sentence = named_sentence(error.field, language)
        errors: tuple[Mapping[str, str], ...] = ({"field": error.field, "code": error.code, "message": sentence},)
        return Problem(status=HTTPStatus.BAD_REQUEST, code="invalid", detail=sentence, errors=errors, extra=error.extra)
    # What an operation says is English; in French the sentence of its code has to do.
    detail = str(error) if language is Language.ENGLISH else problem_sentence(error.code, language) or str(error)
    errors = () if error.field is None else ({"field": error.field, "code": error.code, "message": detail},)
    return Problem(status=error.status, code=error.code, detail=detail, errors=errors, extra=error.extra)


def _of_framework(error: exceptions.APIException) -> Problem:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(max(1, int(wait)))
    extra = getattr(error, "extra", {})
    if isinstance(error, exceptions.ValidationError):
        errors = tuple(
            {"field": _path(each.attr), "code": each.code, "message": _sentence(each.code, each.detail)}
            for each in flatten_errors(error.detail)
        )
        return Problem(status=error.status_code, code="invalid", errors=errors, headers=headers)
    codes = error.get_codes()
    code = codes if isinstance(codes, str) else str(error.default_code)
    if code == "error":
        code = "server_error"
    return Problem(
        status=error.status_code, code=code, detail=getattr(error, "sentence", ""), extra=extra, headers=headers
    )


def _sentence(code: str, detail: str) -> str:
    return said(code) if code in OURS_BY_CODE else detail


def _path(attribute: str | None) -> str:
    """`variants.0.body` as the rest of Accord writes it: `variants[0].body`."""
    if attribute is None or attribute == "non_field_errors":
        return ""
    return re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", attribute.removesuffix(".non_field_errors"))


def _is_about_uniqueness(error: IntegrityError) -> bool:
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) == UNIQUE_VIOLATION or str(cause).startswith("UNIQUE constraint")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, Iterable):
        return [_plain(one) for one in value]
    return str(value)


def _record(problem: Problem, request: Request, view: object) -> None:
    bearer = getattr(request, "_auth", None)
    if not isinstance(bearer, Bearer) or problem.code in RECORDED_ELSEWHERE:
        return
    match = request._request.resolver_match  # noqa: SLF001 - DRF hands the name of the route out no other way
    name = match.url_name if match is not None and match.url_name else "unknown"
    asked = f"{str(request.method).lower()}:{name}"
    patient_id = bearer.patient_id or getattr(view, "patient_id_found", None)
    now = clock.now()
    try:
        record_refusal(
            by=bearer.actor,
            now=now,
            clinic_id=bearer.clinic_id,
            reason=problem.code,
            request=asked,
            about=patient_id,
        )
    except KeyUnavailable:
        # The patient was erased meanwhile: nothing can be written under their key, but that it happened can.
        record_refusal(
            by=bearer.actor, now=now, clinic_id=bearer.clinic_id, reason=problem.code, request=asked, about=None
        )


# ------------------------------------------------------------------------------------ where no view answers


def answer(request: HttpRequest, status: HTTPStatus, code: str) -> JsonResponse:  # noqa: ARG001 - Django's signature
    """A problem from outside of any view."""
    response = JsonResponse(Problem(status=status, code=code).body(spoken_language()), status=status)
    response["Content-Type"] = MEDIA_TYPE
    response["Cache-Control"] = "no-store"
    return response


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:  # noqa: ARG001 - Django's signature
    """Django's handler400."""
    return answer(request, HTTPStatus.BAD_REQUEST, "bad_request")


def permission_denied(request: HttpRequest, exception: Exception) -> JsonResponse:  # noqa: ARG001 - Django's signature
    """Django's handler403."""
    return answer(request, HTTPStatus.FORBIDDEN, "permission_denied")


def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:  # noqa: ARG001 - Django's signature
    """Django's handler404."""
    return answer(request, HTTPStatus.NOT_FOUND, "not_found")


def server_error(request: HttpRequest) -> JsonResponse:
    """Django's handler500: a code and the id under which the log has the rest."""
    # The error may have been one of language or of the database: nothing here depends on either.
    with translation.override("en"):
        return answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, "server_error")
