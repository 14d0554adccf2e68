"""The description of the API (OpenAPI 3.1), made from the code: what every operation shares is said here once."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from backend.consent.standards.facts import Writer
from backend.patients.models import OccasionKind
from backend.patients.suppression import Lifting
from backend.policy.contact import Remedy
from backend.policy.notices import NoticeElement
from backend.policy.vocabulary import (
    Audience,
    Channel,
    ConsentStatus,
    ContactStatus,
    Decided,
    Decision,
    ErasureGround,
    EventKind,
    Language,
    LiftingReason,
    Materiality,
    MessageState,
    Method,
    ObjectionScope,
    Reason,
    RepresentationKind,
    RepresentationScope,
    RestrictionGround,
    Stays,
    Tone,
)
from backend.privacy.portability import Part
from backend.programmes.models import ProgrammeState

PAGING: Final = [
    OpenApiParameter("cursor", str, description="`next` of the page before."),
    OpenApiParameter("limit", int, description="How many at most: 1 to 100, 50 if unsaid."),
]
LANGUAGE: Final = OpenApiParameter(
    "language", str, enum=["fr", "en"], description="Language of sentences; goes before Accept-Language."
)
IDEMPOTENCY_KEY: Final = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="The same request with the same key is done once; kept for 24 hours.",
)
IF_NONE_MATCH: Final = OpenApiParameter(
    "If-None-Match", str, OpenApiParameter.HEADER, description="The ETag that is known already."
)
IF_MATCH: Final = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The ETag that was read, or `*`."
)


def _choices(words: Iterable[Any]) -> list[tuple[str, str]]:
    return [(word.value, word.value) for word in words]


# The words of the wire, named once: the settings name these lists, so that a client's types have good names.
CHANNEL: Final = _choices(Channel)
TONE: Final = _choices(Tone)
LANGUAGES: Final = _choices(Language)
DECISION: Final = _choices(Decision)
DECIDED: Final = _choices(Decided)
METHOD: Final = _choices(Method)
STAFF_METHOD: Final = _choices([Method.PAPER_FORM, Method.VERBAL, Method.STAFF_WITHDRAWAL])
OBJECTING_METHOD: Final = _choices([Method.PAPER_FORM, Method.VERBAL])
EVENT_KIND: Final = _choices(EventKind)
OBJECTION_SCOPE: Final = _choices(ObjectionScope)
REPRESENTATION_KIND: Final = _choices(RepresentationKind)
REPRESENTATION_SCOPE: Final = _choices(RepresentationScope)
ASKING_KIND: Final = _choices([EventKind.REQUESTED, EventKind.DEFERRED])
RESTRICTION_GROUND: Final = _choices(RestrictionGround)
ERASURE_GROUND: Final = _choices(ErasureGround)
STAYS: Final = _choices(Stays)
LIFTING_REASON: Final = _choices(LiftingReason)
SUPPRESSION_LIFTING_REASON: Final = _choices(Lifting)
NOTICE_ELEMENT: Final = _choices(NoticeElement)
AUDIENCE: Final = _choices(Audience)
MATERIALITY: Final = _choices(Materiality)
CONSENT_STATE: Final = _choices(ConsentStatus)
OWN_DATA_PART: Final = _choices(Part)
WRITER: Final = _choices(Writer)
SPEAKER: Final = [("patient", "patient"), ("representative", "representative")]
MESSAGE_STATE: Final = _choices(MessageState)
PROGRAMME_STATE: Final = _choices(ProgrammeState)
CONTACT_STATUS: Final = _choices(ContactStatus)
REASON: Final = _choices(Reason)
REMEDY: Final = _choices(Remedy)
ADDRESS_KIND: Final = [("phone", "phone"), ("email", "email")]
DEVICE_KIND: Final = [("fid", "fid"), ("token", "token")]
OCCASION_KIND: Final = _choices(OccasionKind)
COUNTED_KIND: Final = [("appointment", "appointment"), ("immunisation", "immunisation")]
MEDIA_TYPE: Final = "application/problem+json"

ALWAYS: Final = {
    "401": "No access token, or one that is unknown, revoked or expired.",
    "403": "This token does not allow this. The refusal is recorded.",
    "406": "Answers are JSON.",
    "429": "Too many requests: wait for `Retry-After` seconds.",
}
WITH_INPUT: Final = {
    "400": "Something that was sent can not be used; `errors` names every field.",
}
WITH_PATH: Final = {"404": "There is nothing here, or not for this token: the two are not told apart."}
WITH_BODY: Final = {
    "413": "The body is too large.",
    "415": "The body must be JSON.",
}
WITH_CHANGE: Final = {"409": "This can not be done now; `code` says why. The refusal is recorded."}
WITH_CONDITION: Final = {"412": "Another version stands now: read again.", "428": "If-Match is missing."}
WITH_OPTIONAL_CONDITION: Final = {"412": "Another version stands now: read again."}
ON_IF_NONE_MATCH: Final = {"304": "Nothing has changed since the ETag that was sent."}
HEADERS: Final = {
    "401": {"WWW-Authenticate": "What to show (RFC 6750)."},
    "429": {"Retry-After": "Seconds to wait."},
}
WITH_KEY: Final = {"422": "The idempotency key was used for another request."}


class ProblemErrorOutput(serializers.Serializer[Any]):
    """What is wrong with one field."""

    field = serializers.CharField(help_text="As `variants[0].body`; empty where it is about the whole.")
    code = serializers.CharField()
    message = serializers.CharField()


class ProblemOutput(serializers.Serializer[Any]):
    """Problem details (RFC 9457). `code` is part of the contract; sentences may be reworded."""

    type = serializers.CharField(help_text="`urn:accord:problem:` and the code.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    errors = ProblemErrorOutput(many=True)  # type: ignore[assignment] # a field of ours
    request_id = serializers.CharField(help_text="Under which the log has the rest; also in `X-Request-ID`.")


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # registers itself by being defined
    """How to show a token."""

    target_class = "backend.api.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:  # noqa: ARG002 - its signature
        """RFC 6750."""
        return {"type": "http", "scheme": "bearer", "description": "A token of one patient, or of staff of one clinic."}


class Described(AutoSchema):
    """Adds what every operation shares: tags, problems, the language, and the headers that a method takes."""

    def get_tags(self) -> list[str]:
        """The view says."""
        return [getattr(self.view, "tag", "") or "other"]

    def get_operation_id(self) -> str:
        """Method and name of the route: `getMeConsents`."""
        name = str(getattr(self.view, "route_name", "") or self._name_of_route())
        return self.method.lower() + "".join(part.capitalize() for part in name.split("-"))

    def get_serializer_name(self, serializer: Any, direction: str) -> str:  # noqa: ARG002 - its signature
        """`PatientInput` is sent as `PatientRequest`, `PatientOutput` comes back as `Patient`."""
        name: str = type(getattr(serializer, "child", serializer)).__name__
        return name.removesuffix("Input").removesuffix("Output").removesuffix("Field")

    def get_override_parameters(self) -> list[Any]:
        """What the view says, and what every operation takes."""
        own = [*super().get_override_parameters(), LANGUAGE]
        method = getattr(self.view, self.method.lower())
        if getattr(method, "takes_idempotency_key", False):
            own.append(IDEMPOTENCY_KEY)
        if self.method == "PATCH" or getattr(self.view, "takes_if_match", False):
            own.append(IF_MATCH)
        if self._answers_if_none_match():
            own.append(IF_NONE_MATCH)
        return own

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        """Add the problems to the responses."""
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        problem = self.resolve_serializer(ProblemOutput, "response").ref
        operation["summary"], _, rest = operation.get("description", "").partition(". ")
        operation["summary"] = operation["summary"].rstrip(".")
        if not rest:
            operation.pop("description", None)
        responses = operation["responses"]
        for status, response in responses.items():
            response["description"] = response.get("description") or HTTPStatus(int(status)).phrase
            if getattr(self.view, "has_etag", False):
                response["headers"] = _headers({"ETag": "Of the version that stands."})
        for status, meaning in self._problems(operation).items():
            problem_response = {"description": meaning, "content": {MEDIA_TYPE: {"schema": problem}}}
            if status in HEADERS:
                problem_response["headers"] = _headers(HEADERS[status])
            responses.setdefault(status, problem_response)
        if self._answers_if_none_match():
            responses["304"] = {"description": ON_IF_NONE_MATCH["304"]}
        operation["responses"] = dict(sorted(responses.items()))
        return operation

    def _answers_if_none_match(self) -> bool:
        return self.method == "GET" and getattr(self.view, "has_etag", False)

    def _problems(self, operation: Mapping[str, Any]) -> dict[str, str]:
        found = {**ALWAYS, **WITH_INPUT, **WITH_PATH}
        if self.method != "GET":
            found |= WITH_CHANGE
        if "requestBody" in operation:
            found |= WITH_BODY
        if self.method == "PATCH":
            found |= WITH_CONDITION
        elif getattr(self.view, "takes_if_match", False) or getattr(self.view, "takes_revision", False):
            found |= WITH_OPTIONAL_CONDITION
        if getattr(getattr(self.view, self.method.lower()), "takes_idempotency_key", False):
            found |= WITH_KEY
        return found

    def _name_of_route(self) -> str:
        parts = [part for part in self.path.removeprefix("/api/v1").split("/") if part and not part.startswith("{")]
        ends_in_id = self.path.endswith("}")
        return "-".join([*parts, "item"] if ends_in_id else parts)


def _headers(meanings: Mapping[str, str]) -> dict[str, Any]:
    return {name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in meanings.items()}


def no_unknown_fields(result: dict[str, Any], **_context: Any) -> dict[str, Any]:
    """What is sent is read strictly: a field that is not named here is refused."""
    for name, schema in result["components"]["schemas"].items():
        if name.endswith("Request") and schema.get("type") == "object":
            schema.setdefault("additionalProperties", False)
    return result


def no_nullable(result: dict[str, Any], **_context: Any) -> dict[str, Any]:
    """OpenAPI 3.1 knows no `nullable`; whatever still writes it means a type that may also be null."""
    _without_nullable(result)
    return result


def _without_nullable(node: Any) -> None:
    if isinstance(node, dict):
        if node.pop("nullable", False) and isinstance(node.get("type"), str):
            node["type"] = [node["type"], "null"]
        for value in node.values():
            _without_nullable(value)
    elif isinstance(node, list):
        for value in node:
            _without_nullable(value)


__all__ = ["PAGING", "BearerScheme", "Described", "ProblemOutput", "no_nullable", "no_unknown_fields"]
