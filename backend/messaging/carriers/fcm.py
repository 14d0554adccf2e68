"""Sends push notifications through Firebase Cloud Messaging."""

import json
import re
import threading
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from backend.messaging.carriers.base import (
    DeliveryReport,
    FailureCode,
    Found,
    InDoubt,
    NotFound,
    OutboundMessage,
    Outcome,
    PermanentFailure,
    Receipt,
    SignatureRefused,
    TemporaryFailure,
    Unknown,
)
from backend.messaging.carriers.web import NOTHING_DONE, Answer, Endpoint
from backend.messaging.carriers.wire import Deadline
from backend.policy.vocabulary import Channel

if TYPE_CHECKING:
    from backend.messaging.carriers.fcm_sdk import Sdk

# What a service-account file holds that we use.
CREDENTIALS: Final = ("client_email", "private_key", "project_id", "token_uri")

# How an address says which of the two names of a device it is; a bare one is a registration token.
_KINDS = re.compile(r"(?:(fid|token):)?+([!-~]+)")
# FCM says in English, or in the name of a field, that it was the device it did not understand.
_ABOUT_DEVICE = re.compile(r"registration[ _]token|installation[ _]id|message\.(token|fid)\b", re.IGNORECASE)


class FcmCarrier:
    """Hands push notifications to FCM, or to whatever speaks its API at `api_url`.

    An address is `fid:` and a Firebase installation ID, or `token:` and a registration token, which FCM is giving up; a
    bare one is a token. On the lock screen a phone shows that there is a message and not what it says. A repeat
    replaces the first one on the phone.

    FCM answers 503 when it takes on no more work, so that is a failure; what 500, 502 and 504 leave behind is unknown,
    so the message is in doubt. The file at `credentials_path` is read at once, Google's SDK with the first message of a
    process: that takes one to two seconds, and if the time is over then, the message is not sent.
    """

    name: ClassVar[str] = "fcm"
    channel: ClassVar[Channel] = Channel.PUSH
    can_find: ClassVar[bool] = False

    def __init__(self, *, api_url: str, credentials_path: Path) -> None:
        self._endpoint = Endpoint(api_url)
        self._service_account = _read_credentials(credentials_path)
        self._token_endpoint = Endpoint(self._service_account["token_uri"])
        self._lock = threading.Lock()
        self._opened: Sdk | None = None

    def __repr__(self) -> str:
        return "FcmCarrier()"

    def send(self, message: OutboundMessage, *, timeout: float) -> Outcome:
        """Hand one notification over; the receipt holds FCM's name for it."""
        deadline = Deadline(timeout)
        device = _KINDS.fullmatch(message.to)
        if device is None:
            return PermanentFailure(FailureCode.ADDRESS_REFUSED)
        sdk = self._sdk()
        sdk.call.begin(deadline)
        try:
            name = sdk.send(
                kind=device[1] or "token",
                device=device[2],
                title=message.subject,
                text=message.text,
                message_id=str(message.message_id),
                category=message.category.value,
            )
        except UnicodeEncodeError:
            return PermanentFailure(FailureCode.CONTENT_REFUSED)
        except Exception as failure:
            if sdk.call.lost:
                return InDoubt()
            outcome = _judge(failure, answer=sdk.call.answer)
            if outcome is None:
                raise
            return outcome
        return Receipt(name) if name and isinstance(name, str) else InDoubt()

    def find(self, message: OutboundMessage, *, timeout: float) -> Found | NotFound | Unknown:  # noqa: ARG002  # The protocol's signature.
        """FCM has no way to ask what became of a message."""
        return Unknown()

    def verify(self, headers: Mapping[str, str], body: bytes, *, url: str) -> NoReturn:  # noqa: ARG002  # The protocol's signature.
        """FCM sends no reports, so none is believed."""
        raise SignatureRefused

    def parse_events(self, body: bytes) -> Sequence[DeliveryReport]:  # noqa: ARG002  # The protocol's signature.
        """FCM sends no reports."""
        return ()

    def close(self) -> None:
        """Take leave of the SDK and close the connections that lie idle."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()
        self._endpoint.close()
        self._token_endpoint.close()

    def _sdk(self) -> "Sdk":
        with self._lock:
            if self._opened is None:
                from backend.messaging.carriers.fcm_sdk import Sdk  # noqa: PLC0415  # It takes a second.

                self._opened = Sdk(
                    endpoint=self._endpoint,
                    token_endpoint=self._token_endpoint,
                    service_account=self._service_account,
                )
            return self._opened


def _read_credentials(path: Path) -> Mapping[str, str]:
    """Read a service-account file. Raises ValueError, without quoting it, when it is none."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        used = {name: value for name, value in kept.items() if isinstance(value, str)}
        usable = all(used.get(name) for name in CREDENTIALS)
        load_pem_private_key(used["private_key"].encode(), password=None)
    except (ValueError, AttributeError, KeyError, TypeError, UnsupportedAlgorithm):
        usable = False
    if not usable:
        raise ValueError("The FCM credentials are a service-account file, as the Firebase console gives it.")
    return used


def _judge(failure: Exception, *, answer: Answer | None) -> Outcome | None:
    """Map what the SDK raised onto our words; None for what neither network nor FCM can have caused."""
    from firebase_admin.exceptions import FirebaseError  # noqa: PLC0415  # Imported by now.
    from google.auth.exceptions import RefreshError, TransportError  # noqa: PLC0415

    if isinstance(failure, RefreshError):
        return TemporaryFailure(FailureCode.CREDENTIALS_REFUSED)
    if isinstance(failure, TransportError) or (answer is None and isinstance(failure, FirebaseError)):
        return TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE)
    if answer is None:
        return None
    if answer.status in range(400, 500) or answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return _judge_refusal(failure, answer=answer)
    return TemporaryFailure(FailureCode.UNEXPECTED_ANSWER) if answer.status in NOTHING_DONE else InDoubt()


def _judge_refusal(failure: Exception, *, answer: Answer) -> Outcome:  # noqa: PLR0911  # One line for each thing FCM says.
    from firebase_admin import exceptions, messaging  # noqa: PLC0415  # Imported by now.

    match failure:
        case messaging.UnregisteredError():
            return PermanentFailure(FailureCode.ADDRESS_GONE)
        case messaging.QuotaExceededError() | exceptions.ResourceExhaustedError():
            return TemporaryFailure(FailureCode.RATE_LIMITED, retry_after=answer.retry_after)
        case messaging.SenderIdMismatchError():
            # The token was made for another project: for this one there is no such device, and never will be.
            return PermanentFailure(FailureCode.ADDRESS_GONE)
        case messaging.ThirdPartyAuthError() | exceptions.UnauthenticatedError() | exceptions.PermissionDeniedError():
            return TemporaryFailure(FailureCode.CREDENTIALS_REFUSED)
        case exceptions.InvalidArgumentError() if _is_google(answer):
            about_device = _ABOUT_DEVICE.search(answer.body.decode("utf-8", errors="replace"))
            return PermanentFailure(FailureCode.ADDRESS_REFUSED if about_device else FailureCode.CONTENT_REFUSED)
        case exceptions.NotFoundError() if _is_google(answer):
            return TemporaryFailure(FailureCode.NOT_CONFIGURED)
        case exceptions.UnavailableError():
            return TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE, retry_after=answer.retry_after)
    return TemporaryFailure(FailureCode.UNEXPECTED_ANSWER, retry_after=answer.retry_after)


def _is_google(answer: Answer) -> bool:
    """Tell an error in Google's form from one that something on the way made up."""
    try:
        said = json.loads(answer.body)
    except ValueError:
        return False
    return isinstance(said, dict) and isinstance(said.get("error"), dict)
