"""The FCM side, spoken to with the real SDK."""

import json
import time
from collections.abc import Callable
from typing import Any

import firebase_admin
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from firebase_admin import exceptions, messaging
from google.auth import crypt, jwt

from sandbox import Fault, Sandbox
from tests.sandbox.conftest import Reply

DEVICE = "device-7Q2f9cX"
GRANT = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion="
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def notice(to: str = DEVICE, **extra: object) -> messaging.Message:
    """A notification with the id of its message."""
    notification = messaging.Notification(title="Clinique des Tilleuls", body="Vous avez un rappel.")
    return messaging.Message(fid=to, notification=notification, data={"message_id": "m-1"}, **extra)


def test_a_notification_is_kept(sandbox: Sandbox, firebase: firebase_admin.App) -> None:
    name = messaging.send(notice(), app=firebase)

    assert name.startswith("projects/accord-sandbox/messages/")
    (received,) = sandbox.received()
    assert (received.channel, received.to, received.reference, received.message_id) == ("push", DEVICE, name, "m-1")
    assert (received.subject, received.text) == ("Clinique des Tilleuls", "Vous avez un rappel.")
    assert received.payload["message"]["notification"]["title"] == "Clinique des Tilleuls"
    assert json.loads(received.raw) == received.payload


def test_a_try_is_not_kept(sandbox: Sandbox, firebase: firebase_admin.App) -> None:
    messaging.send(notice(), dry_run=True, app=firebase)

    assert sandbox.received() == ()


def test_a_device_that_is_gone_is_unregistered(firebase: firebase_admin.App) -> None:
    with pytest.raises(messaging.UnregisteredError):
        messaging.send(notice(to="unregistered-1"), app=firebase)


@pytest.mark.parametrize(
    ("kind", "times", "error"),
    [
        ("rate_limited", 1, messaging.QuotaExceededError),
        ("refuse_address", 1, exceptions.InvalidArgumentError),
        ("unregistered", 1, messaging.UnregisteredError),
        ("auth", 9, exceptions.UnauthenticatedError),
        ("garbage", 1, exceptions.UnknownError),
        ("reset", 2, exceptions.UnavailableError),
    ],
)
def test_failures_speak_googles_language(
    sandbox: Sandbox, firebase: firebase_admin.App, kind: str, times: int, error: type[Exception]
) -> None:
    sandbox.faults.push(Fault(channel="push", kind=kind, times=times))  # type: ignore[arg-type] # one of the literals

    with pytest.raises(error):
        messaging.send(notice(), app=firebase)

    assert sandbox.received() == ()


@pytest.mark.parametrize(
    ("kind", "status", "code"), [("http_500", 500, "INTERNAL"), ("rate_limited", 429, "QUOTA_EXCEEDED")]
)
def test_failures_that_the_sdk_would_repeat(
    sandbox: Sandbox, browse: Callable[..., Reply], kind: str, status: int, code: str
) -> None:
    headers = {"Authorization": f"Bearer {_token(sandbox, browse)}"}
    sandbox.faults.push(Fault(channel="push", kind=kind, retry_after=30))  # type: ignore[arg-type] # one of the literals

    answer = browse("/fcm/v1/projects/accord-sandbox/messages:send", "POST", "{}", headers)

    assert answer.status == status
    assert json.loads(answer.text)["error"]["details"][0]["errorCode"] == code
    assert answer.headers.get("Retry-After") == ("30" if kind == "rate_limited" else None)


def test_a_token_refused_once_is_fetched_anew(sandbox: Sandbox, firebase: firebase_admin.App) -> None:
    sandbox.faults.push(Fault(channel="push", kind="auth"))

    messaging.send(notice(), app=firebase)

    assert len(sandbox.received()) == 1


@pytest.mark.parametrize(("kind", "kept"), [("hang", 0), ("accept_then_hang", 1)])
def test_an_answer_can_stay_away(sandbox: Sandbox, browse: Callable[..., Reply], kind: str, kept: int) -> None:
    bearer = _token(sandbox, browse)
    sandbox.faults.push(Fault(channel="push", kind=kind))  # type: ignore[arg-type] # one of the literals
    body = json.dumps({"message": {"token": DEVICE, "notification": {"title": "Hello"}}})

    with pytest.raises(TimeoutError):
        browse("/fcm/v1/projects/accord-sandbox/messages:send", "POST", body, {"Authorization": f"Bearer {bearer}"})

    assert len(sandbox.received()) == kept


def test_another_project_is_refused(sandbox: Sandbox, browse: Callable[..., Reply]) -> None:
    headers = {"Authorization": f"Bearer {_token(sandbox, browse)}"}

    answer = browse("/fcm/v1/projects/other/messages:send", "POST", "{}", headers)

    assert answer.status == 403
    assert json.loads(answer.text)["error"]["details"][0]["errorCode"] == "SENDER_ID_MISMATCH"


@pytest.mark.parametrize(
    "body", ["", "[]", '{"message": 1}', '{"message": {}}', '{"message": {"token": "a", "topic": "b"}}']
)
def test_what_is_not_a_message_is_refused(sandbox: Sandbox, browse: Callable[..., Reply], body: str) -> None:
    headers = {"Authorization": f"Bearer {_token(sandbox, browse)}"}

    answer = browse("/fcm/v1/projects/accord-sandbox/messages:send", "POST", body, headers)

    assert answer.status == 400
    assert json.loads(answer.text)["error"]["status"] == "INVALID_ARGUMENT"


def test_sending_takes_a_token_of_ours(browse: Callable[..., Reply]) -> None:
    answer = browse("/fcm/v1/projects/accord-sandbox/messages:send", "POST", "{}", {"Authorization": "Bearer made-up"})

    assert answer.status == 401
    assert json.loads(answer.text)["error"]["status"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("claims", "complaint"),
    [
        ({"aud": "https://oauth2.example/token"}, "Failed audience check"),
        ({"iss": "someone@else.example"}, "account not found"),
        ({"iat": 1_000_000_000, "exp": 1_000_003_600}, "short-lived"),
        ({"exp": time.time() + 90_000}, "short-lived"),
        ({"exp": None}, "iat and exp"),
        ({"scope": ""}, "scope"),
    ],
)
def test_an_assertion_is_read_closely(
    sandbox: Sandbox, browse: Callable[..., Reply], claims: dict[str, Any], complaint: str
) -> None:
    answer = browse("/fcm/token", "POST", GRANT + _assertion(sandbox, **claims), FORM)

    assert answer.status == 400
    assert complaint in json.loads(answer.text)["error_description"]


def test_an_assertion_signed_by_somebody_else_is_refused(sandbox: Sandbox, browse: Callable[..., Reply]) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = stranger.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    answer = browse("/fcm/token", "POST", GRANT + _assertion(sandbox, key=pem), FORM)

    assert answer.status == 400
    assert json.loads(answer.text) == {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}


@pytest.mark.parametrize("body", ["", "grant_type=password", f"{GRANT}a.b", f"{GRANT}a.b.c", f"{GRANT}e30.e30.e30"])
def test_what_is_not_an_assertion_is_refused(browse: Callable[..., Reply], body: str) -> None:
    assert browse("/fcm/token", "POST", body, FORM).status == 400


def test_the_token_endpoint_can_fail_by_itself(sandbox: Sandbox, browse: Callable[..., Reply]) -> None:
    sandbox.faults.push(Fault(channel="push", kind="http_500", on="token"))

    assert browse("/fcm/token", "POST", GRANT + _assertion(sandbox), FORM).status == 500
    assert browse("/fcm/token", "POST", GRANT + _assertion(sandbox), FORM).status == 200


def _assertion(sandbox: Sandbox, *, key: str = "", **changed: Any) -> str:
    account = json.loads(sandbox.fcm_credentials.read_text())
    now = int(time.time())
    claims = {
        "iss": account["client_email"],
        "aud": account["token_uri"],
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "iat": now,
        "exp": now + 3600,
        **changed,
    }
    signer: Any = crypt.RSASigner
    encode: Any = jwt.encode
    made: bytes = encode(signer.from_string(key or account["private_key"], account["private_key_id"]), claims)
    return made.decode("ascii")


def _token(sandbox: Sandbox, browse: Callable[..., Reply]) -> str:
    answer = browse("/fcm/token", "POST", GRANT + _assertion(sandbox), FORM)
    return str(json.loads(answer.text)["access_token"])
