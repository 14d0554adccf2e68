"""The FCM v1 API as far as Accord uses it: a token for a signed assertion, and one message at a time."""

import base64
import json
import re
import secrets
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from sandbox.credentials import CLIENT_EMAIL, PROJECT_ID, public_key_of
from sandbox.faults import Fault, Faults
from sandbox.store import Received, Store
from sandbox.web import Answer, NoAnswer, Request, Response, broken_answer, delay_of, json_response, retry_after

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
# Google's own library writes this audience whatever token_uri the service account names.
GOOGLE_AUDIENCE = "https://oauth2.googleapis.com/token"
TOKEN_SECONDS = 3600
CLOCK_SKEW_SECONDS = 300
JWT_PARTS = 3
UNREGISTERED_PREFIX = "unregistered"
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
SEND_PATH = re.compile(r"/v1/projects/([^/]+)/messages:send")
TARGETS = ("token", "fid", "topic", "condition")


class TokenRefusal(Exception):
    """An assertion that does not earn a token; the text says why, in OAuth's words."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code


class FcmError(Exception):
    """An error in Google's shape; it holds what the answer says."""

    def __init__(
        self, code: int, status: str, error_code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.error_code = error_code
        self.headers = headers or {}

    def response(self) -> Response:
        """The error as JSON."""
        error: dict[str, object] = {"code": self.code, "message": str(self), "status": self.status}
        if self.error_code:
            error["details"] = [{"@type": FCM_ERROR, "errorCode": self.error_code}]
        return json_response({"error": error}, status=self.code, headers=self.headers)


class FcmApi:
    """Answers for one project. Paths come without the prefix under which the sandbox serves it."""

    def __init__(self, credentials: Path, token_uri: str, store: Store, faults: Faults) -> None:
        self._public_key = public_key_of(credentials)
        self._token_uri = token_uri
        self._store = store
        self._faults = faults
        self._lock = threading.Lock()
        self._tokens: dict[str, float] = {}

    def answer(self, request: Request) -> Answer:
        """Answer one request of a client."""
        try:
            if request.method == "POST" and request.path == "/token":
                return self._token(request)
            if request.method == "POST" and (found := SEND_PATH.fullmatch(request.path)):
                return self._send(request, project=found[1])
            return FcmError(404, "NOT_FOUND", "", "Requested entity was not found.").response()
        except FcmError as error:
            return error.response()
        except TokenRefusal as refusal:
            return json_response({"error": refusal.code, "error_description": str(refusal)}, status=400)

    def _token(self, request: Request) -> Answer:
        fault = self._faults.take("push", on="token")
        match fault:
            case Fault(kind="rate_limited"):
                return json_response({"error": "rate_limit_exceeded"}, status=429, headers=retry_after(fault))
            case Fault(kind="http_500"):
                return json_response({"error": "internal_failure"}, status=500)
            case Fault(kind="auth"):
                raise TokenRefusal("invalid_grant", "Invalid grant: account not found")
        if (broken := broken_answer(fault, status=200)) is not None:
            return broken
        self._check_grant(request.form())
        token = f"sandbox.{secrets.token_urlsafe(32)}"
        now = time.monotonic()
        with self._lock:
            self._tokens = {known: end for known, end in self._tokens.items() if end > now}
            self._tokens[token] = now + TOKEN_SECONDS
        body = {"access_token": token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"}
        return json_response(body, delay=delay_of(fault))

    def _check_grant(self, form: Mapping[str, str]) -> None:
        """Raise TokenRefusal unless the form holds an assertion as RFC 7523 asks, signed with our key."""
        if form.get("grant_type") != GRANT:
            raise TokenRefusal("unsupported_grant_type", "Invalid grant_type")
        parts = form.get("assertion", "").split(".")
        if len(parts) != JWT_PARTS:
            raise TokenRefusal("invalid_grant", "Bad Request: not an assertion")
        try:
            header, claims = (json.loads(_unpadded(part)) for part in parts[:2])
            signature = _unpadded(parts[2])
        except ValueError as error:
            raise TokenRefusal("invalid_grant", "Bad Request: not an assertion") from error
        if not isinstance(header, dict) or not isinstance(claims, dict) or header.get("alg") != "RS256":
            raise TokenRefusal("invalid_grant", "Bad Request: RS256 is asked for")
        try:
            self._public_key.verify(signature, f"{parts[0]}.{parts[1]}".encode(), padding.PKCS1v15(), SHA256())
        except InvalidSignature as error:
            raise TokenRefusal("invalid_grant", "Invalid JWT Signature.") from error
        self._check_claims(claims)

    def _check_claims(self, claims: Mapping[str, Any]) -> None:
        now = time.time()
        issued, expires = claims.get("iat"), claims.get("exp")
        if claims.get("iss") != CLIENT_EMAIL:
            raise TokenRefusal("invalid_grant", "Invalid grant: account not found")
        if claims.get("aud") not in (self._token_uri, GOOGLE_AUDIENCE):
            raise TokenRefusal("invalid_grant", "Invalid JWT: Failed audience check.")
        if not isinstance(issued, int | float) or not isinstance(expires, int | float):
            raise TokenRefusal("invalid_grant", "Invalid JWT: iat and exp are required.")
        in_time = issued - CLOCK_SKEW_SECONDS <= now < expires + CLOCK_SKEW_SECONDS
        if not in_time or expires - issued > TOKEN_SECONDS:
            raise TokenRefusal(
                "invalid_grant", "Invalid JWT: Token must be a short-lived token in a reasonable timeframe."
            )
        if not claims.get("scope"):
            raise TokenRefusal("invalid_scope", "Empty or missing scope not allowed.")

    def _send(self, request: Request, *, project: str) -> Answer:
        self._check_bearer(request)
        if project != PROJECT_ID:
            raise FcmError(
                403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", "This account may not send for this project."
            )
        fault = self._faults.take("push")
        if (broken := broken_answer(fault, status=200)) is not None:
            return broken
        if fault is not None:
            _fail(fault)
        envelope, target = _read(request.body)
        name = f"projects/{PROJECT_ID}/messages/{secrets.token_hex(16)}"
        if not envelope.get("validate_only", envelope.get("validateOnly", False)):
            self._store.add(_received(request, envelope, target=target, name=name))
        if fault is not None and fault.kind == "accept_then_hang":
            return NoAnswer(reset=False)
        return json_response({"name": name}, delay=delay_of(fault))

    def _check_bearer(self, request: Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        with self._lock:
            known = self._tokens.get(token, 0.0) > time.monotonic()
        if scheme.lower() != "bearer" or not known:
            raise _unauthenticated()


def _read(body: bytes) -> tuple[dict[str, Any], str]:
    """The request as JSON, and which of the four ways to name a recipient it uses."""
    try:
        envelope = json.loads(body)
    except ValueError as error:
        raise _invalid("Invalid JSON payload received.") from error
    message = envelope.get("message") if isinstance(envelope, dict) else None
    if not isinstance(message, dict):
        raise _invalid("Invalid value at 'message'.")
    targets = [name for name in TARGETS if isinstance(message.get(name), str) and message[name]]
    if len(targets) != 1:
        raise _invalid("Exactly one of token, fid, topic or condition is required.")
    if message[targets[0]].startswith(UNREGISTERED_PREFIX):
        raise _unregistered()
    return envelope, targets[0]


def _received(request: Request, envelope: Mapping[str, Any], *, target: str, name: str) -> Received:
    message = envelope["message"]
    # As a phone does: the platform's own wording wins over the common one.
    android = _mapping(_mapping(message.get("android")).get("notification"))
    notification = {**_mapping(message.get("notification")), **android}
    data = _mapping(message.get("data"))
    to = str(message[target])
    return Received(
        channel="push",
        to=f"/topics/{to}" if target == "topic" else to,
        sender=PROJECT_ID,
        subject=str(notification.get("title") or data.get("title") or ""),
        text=str(notification.get("body") or data.get("body") or ""),
        headers=request.headers,
        raw=request.body,
        reference=name,
        message_id=str(data.get("message_id", "")),
        received_at=datetime.now(UTC),
        monotonic=time.monotonic(),
        payload=envelope,
    )


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _unpadded(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def _fail(fault: Fault) -> None:
    match fault.kind:
        case "http_500":
            raise FcmError(500, "INTERNAL", "INTERNAL", "Internal error encountered.")
        case "rate_limited":
            raise FcmError(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "Quota exceeded.", retry_after(fault))
        case "refuse_address":
            raise _invalid("The registration token is not a valid FCM registration token")
        case "unregistered":
            raise _unregistered()
        case "wrong_sender":
            raise FcmError(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", "SenderId mismatch")
        case "auth":
            raise _unauthenticated()


def _invalid(message: str) -> FcmError:
    return FcmError(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", message)


def _unregistered() -> FcmError:
    return FcmError(404, "NOT_FOUND", "UNREGISTERED", "Requested entity was not found.")


def _unauthenticated() -> FcmError:
    message = "Request had invalid authentication credentials. Expected OAuth 2 access token."
    return FcmError(401, "UNAUTHENTICATED", "", message, {"WWW-Authenticate": 'Bearer realm="sandbox"'})
