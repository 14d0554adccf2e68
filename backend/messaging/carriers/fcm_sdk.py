"""Google's SDK, set up to go where it is told, to keep to a deadline and to repeat nothing.

Importing this takes more than a second, so it is done by the first message (fcm.py), not at the start.
"""

import json
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

import firebase_admin
import requests
from firebase_admin import messaging
from google.auth import crypt, jwt
from google.auth.credentials import Credentials
from google.auth.exceptions import RefreshError, TransportError
from requests.adapters import BaseAdapter

from backend.messaging.carriers.web import Answer, Endpoint
from backend.messaging.carriers.wire import Deadline, Lost, NotWritten

FCM_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_LIFETIME = timedelta(minutes=10)


class Call(threading.local):
    """The call that this thread is making: its deadline, and what came of it.

    The SDK hands no context down to its transport, but works in the thread that called it.
    """

    deadline: Deadline
    answer: Answer | None = None
    lost: bool = False

    def begin(self, deadline: Deadline) -> None:
        """Forget the last call."""
        self.deadline = deadline
        self.answer = None
        self.lost = False


class Sdk:
    """One initialised app of the SDK, with a name of its own so that several can live in one process."""

    def __init__(self, *, endpoint: Endpoint, token_endpoint: Endpoint, service_account: Mapping[str, str]) -> None:
        self.call = Call()
        token = _AccessToken(service_account, endpoint=token_endpoint, call=self.call)
        self._app = firebase_admin.initialize_app(
            token, {"projectId": service_account["project_id"]}, name=f"accord-{uuid.uuid4()}"
        )
        # There is no setting for the host, nor one that turns off the repeats, which could send a message twice. The
        # SDK's session is private, its adapters are requests' own way of saying how to reach a host.
        session = messaging._get_messaging_service(self._app)._client.session  # noqa: SLF001  # See above.
        session.trust_env = False  # No proxy, no netrc.
        for adapter in session.adapters.values():
            adapter.close()
        session.adapters.clear()
        session.mount("https://", _Adapter(endpoint, call=self.call))

    def send(self, *, kind: str, device: str, title: str, text: str, message_id: str, category: str) -> object:
        """Send one notification and return the name that FCM gave it."""
        message = self._compose(
            kind=kind, device=device, title=title, text=text, message_id=message_id, category=category
        )
        return messaging.send(message, app=self._app)

    def close(self) -> None:
        """Take leave of the SDK."""
        firebase_admin.delete_app(self._app)

    def _compose(self, *, kind: str, device: str, title: str, text: str, message_id: str, category: str) -> Any:
        message = messaging.Message(
            notification=messaging.Notification(title=title or None, body=text),
            data={"message_id": message_id, "category": category},
            android=messaging.AndroidConfig(
                # The tag makes a repeat replace the first. A collapse key would do so on the way already, but a device
                # has four of them, and the fifth message would push out the first.
                # A channel that the app has not made yet is replaced by the one of its manifest.
                notification=messaging.AndroidNotification(tag=message_id, visibility="private", channel_id=category)
            ),
            apns=messaging.APNSConfig(
                headers={"apns-collapse-id": message_id},
                payload=messaging.APNSPayload(aps=messaging.Aps(category=category, thread_id=category)),
            ),
        )
        # Set rather than passed: the constructor warns whenever it is given a token, and devices still have them.
        setattr(message, kind, device)
        return message


class _AccessToken(Credentials):
    """The OAuth token of a service account (RFC 7523), fetched within the deadline of the message that needs it.

    Google's own class waits and repeats as it sees fit, and asks another host of Google for permissions meanwhile.
    """

    def __init__(self, service_account: Mapping[str, str], *, endpoint: Endpoint, call: Call) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # The library's types are not complete, here and below.
        self._email = service_account["client_email"]
        self._audience = service_account["token_uri"]
        self._signer = crypt.RSASigner.from_service_account_info(service_account)  # type: ignore[no-untyped-call]
        self._endpoint = endpoint
        self._call = call
        self._one_at_a_time = threading.Lock()

    def refresh(self, request: object) -> None:  # noqa: ARG002  # The SDK's transport, which keeps to no deadline.
        """Fetch a token, unless another thread just did."""
        known = self.token
        if not self._one_at_a_time.acquire(timeout=self._remaining()):
            raise TransportError
        try:
            if self.token == known or not self.valid:
                self._fetch()
        finally:
            self._one_at_a_time.release()

    def _remaining(self) -> float:
        try:
            return self._call.deadline.remaining()
        except TimeoutError:
            raise TransportError from None

    def _fetch(self) -> None:
        now = datetime.now(UTC)  # noqa: TID251  # The life of a token is no business time.
        claims = {
            "iss": self._email,
            "scope": FCM_SCOPE,
            "aud": self._audience,
            "iat": int(now.timestamp()),
            "exp": int((now + ASSERTION_LIFETIME).timestamp()),
        }
        assertion = jwt.encode(self._signer, claims)  # type: ignore[no-untyped-call]
        form = {"grant_type": GRANT_TYPE, "assertion": assertion}
        try:
            answer = self._endpoint.exchange(
                "POST",
                "",
                headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
                body=urlencode(form).encode("ascii"),
                deadline=self._call.deadline,
            )
        except (NotWritten, Lost):
            raise TransportError from None
        if answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise RefreshError
        try:
            granted = json.loads(answer.body)
            token = granted["access_token"]
            until = now + timedelta(seconds=float(granted["expires_in"]))
        except (ValueError, TypeError, KeyError, OverflowError):
            raise TransportError from None
        if answer.status != HTTPStatus.OK or not isinstance(token, str):
            raise TransportError
        self.expiry = until.replace(tzinfo=None)  # The library's clock is naive, in UTC.
        self.token = token


class _Adapter(BaseAdapter):
    """How the SDK's session reaches FCM: at our address, once, within the deadline of the call."""

    def __init__(self, endpoint: Endpoint, *, call: Call) -> None:
        super().__init__()
        self._endpoint = endpoint
        self._call = call

    def send(self, request: requests.PreparedRequest, *_args: object, **_options: object) -> requests.Response:
        """Send what the SDK composed and give it what came back."""
        parts = urlsplit(request.url or "")
        if not isinstance(request.body, bytes):
            raise requests.exceptions.InvalidJSONError  # The SDK sends JSON, which requests has made bytes of.
        headers = {name: str(value) for name, value in request.headers.items() if name.lower() != "accept-encoding"}
        self._call.answer = None
        try:
            answer = self._endpoint.exchange(
                request.method or "POST",
                str(parts.path),
                headers=headers,
                body=request.body,
                deadline=self._call.deadline,
            )
        except NotWritten:
            raise requests.exceptions.ConnectionError from None
        except Lost:
            self._call.lost = True
            raise requests.exceptions.ConnectionError from None
        self._call.answer = answer
        response = requests.Response()
        response.status_code = answer.status
        response.headers.update((name, value) for name, value in answer.headers.items() if name.lower() != "location")
        response._content = answer.body  # noqa: SLF001  # It is whole already; the public way reads it a second time.
        response.encoding = "utf-8"
        response.request = request
        response.url = request.url or ""
        return response

    def close(self) -> None:
        """Close the connections that lie idle."""
        self._endpoint.close()
