"""The description of the API (OpenAPI 3.1), made from the code: what every operation shares is said here once."""

from collections.abc import Mapping
from typing import Any, Final

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

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
IF_MATCH: Final = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The ETag that was read, or `*`."
)
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

    def get_override_parameters(self) -> list[Any]:
        """What the view says, and what every operation takes."""
        own = [*super().get_override_parameters(), LANGUAGE]
        method = getattr(self.view, self.method.lower())
        if getattr(method, "takes_idempotency_key", False):
            own.append(IDEMPOTENCY_KEY)
        if self.method == "PATCH" or getattr(self.view, "takes_if_match", False):
            own.append(IF_MATCH)
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
        for status, meaning in self._problems(operation).items():
            operation["responses"].setdefault(
                status, {"description": meaning, "content": {MEDIA_TYPE: {"schema": problem}}}
            )
        operation["responses"] = dict(sorted(operation["responses"].items()))
        return operation

    def _problems(self, operation: Mapping[str, Any]) -> dict[str, str]:
        found = {**ALWAYS, **WITH_INPUT, **WITH_PATH}
        if self.method != "GET":
            found |= WITH_CHANGE
        if "requestBody" in operation:
            found |= WITH_BODY
        if self.method == "PATCH":
            found |= WITH_CONDITION
        elif getattr(self.view, "takes_if_match", False):
            found |= WITH_OPTIONAL_CONDITION
        if getattr(getattr(self.view, self.method.lower()), "takes_idempotency_key", False):
            found |= WITH_KEY
        return found

    def _name_of_route(self) -> str:
        parts = [part for part in self.path.removeprefix("/api/v1").split("/") if part and not part.startswith("{")]
        ends_in_id = self.path.endswith("}")
        return "-".join([*parts, "item"] if ends_in_id else parts)


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


__all__ = ["PAGING", "BearerScheme", "Described", "ProblemOutput", "no_nullable"]
