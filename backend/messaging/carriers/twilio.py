"""Sends text messages through Twilio."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from backend.messaging.carriers.base import (
    DeliveryReport,
    DeliveryState,
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
from backend.messaging.carriers.wire import Deadline, Lost, NotWritten
from backend.policy.vocabulary import Channel

# What Twilio's error codes mean to us, whether in an answer or in a report; a code that is not here is unexpected.
# https://www.twilio.com/docs/api/errors
ERRORS: Final[Mapping[int, FailureCode]] = {
    14107: FailureCode.RATE_LIMITED,
    20003: FailureCode.CREDENTIALS_REFUSED,
    20005: FailureCode.CREDENTIALS_REFUSED,
    20404: FailureCode.NOT_CONFIGURED,
    20429: FailureCode.RATE_LIMITED,
    20503: FailureCode.CARRIER_UNAVAILABLE,
    21211: FailureCode.ADDRESS_REFUSED,
    21212: FailureCode.NOT_CONFIGURED,
    21214: FailureCode.ADDRESS_REFUSED,
    21217: FailureCode.ADDRESS_REFUSED,
    21219: FailureCode.NOT_CONFIGURED,
    21408: FailureCode.NOT_CONFIGURED,
    21601: FailureCode.NOT_CONFIGURED,
    21602: FailureCode.CONTENT_REFUSED,
    21603: FailureCode.NOT_CONFIGURED,
    21604: FailureCode.ADDRESS_REFUSED,
    21605: FailureCode.CONTENT_REFUSED,
    21606: FailureCode.NOT_CONFIGURED,
    21608: FailureCode.NOT_CONFIGURED,
    21610: FailureCode.RECIPIENT_OPTED_OUT,
    21611: FailureCode.RATE_LIMITED,
    21612: FailureCode.ADDRESS_REFUSED,
    21614: FailureCode.ADDRESS_REFUSED,
    21617: FailureCode.CONTENT_REFUSED,
    21659: FailureCode.NOT_CONFIGURED,
    30001: FailureCode.RATE_LIMITED,
    30002: FailureCode.CREDENTIALS_REFUSED,
    30003: FailureCode.RECIPIENT_UNREACHABLE,
    30004: FailureCode.ADDRESS_REFUSED,
    30005: FailureCode.ADDRESS_GONE,
    30006: FailureCode.ADDRESS_REFUSED,
    30007: FailureCode.CONTENT_REFUSED,
    30008: FailureCode.CARRIER_UNAVAILABLE,
    30410: FailureCode.CARRIER_UNAVAILABLE,
}

# Nothing is wrong with the message itself: once the cause is gone, a later try may succeed.
PASSING: Final = frozenset(
    {
        FailureCode.CARRIER_UNAVAILABLE,
        FailureCode.CREDENTIALS_REFUSED,
        FailureCode.NOT_CONFIGURED,
        FailureCode.RATE_LIMITED,
        FailureCode.RECIPIENT_UNREACHABLE,
    }
)

# What a report's status means; queued, sending and the like say nothing that we did not know.
STATES: Final[Mapping[str, DeliveryState]] = {
    "sent": DeliveryState.SENT,
    "delivered": DeliveryState.DELIVERED,
    "read": DeliveryState.DELIVERED,
    "undelivered": DeliveryState.FAILED,
    "failed": DeliveryState.FAILED,
    "canceled": DeliveryState.FAILED,
}

PAGE: Final = 100
MOST_LOOKED_THROUGH: Final = 500

_MESSAGE_SID = re.compile(r"(SM|MM)[0-9a-fA-F]{32}")
_SERVICE_SID = re.compile(r"MG[0-9a-fA-F]{32}")


class TwilioCarrier:
    """Hands text messages to Twilio, or to whatever speaks its API at `api_url`.

    `sender` is a number, an alphanumeric name, or the SID of a messaging service (MG...). With `status_callback_base`
    and `status_callback_key`, Twilio is asked to report to `{base}/hooks/twilio/{key}/{message id}`.

    What an answer of the 5xx family means. The request was written whole, and Twilio creates the message before it
    answers. 500, 502 and 504 can come from behind that moment (a fault or a proxy that gave up waiting), so whether the
    message exists is in doubt. 503 is different when it is said on purpose: with a Retry-After, or with Twilio's own
    error body, it is a server that declines work it did not begin, so the message was surely not taken. A bare 503 may
    be any proxy's and is in doubt like the others.
    """

    name: ClassVar[str] = "twilio"
    channel: ClassVar[Channel] = Channel.SMS
    can_find: ClassVar[bool] = True

    def __init__(
        self,
        *,
        api_url: str,
        account_sid: str,
        auth_token: str,
        sender: str,
        status_callback_base: str | None = None,
        status_callback_key: str | None = None,
        look_back: timedelta = timedelta(hours=24),
    ) -> None:
        self._endpoint = Endpoint(api_url)
        self._account_sid = account_sid
        self._auth_token = auth_token
        self._sender = {"messaging_service_sid": sender} if _SERVICE_SID.fullmatch(sender) else {"from_": sender}
        self._hook = (
            f"{status_callback_base.rstrip('/')}/hooks/{self.name}/{status_callback_key}"
            if status_callback_base and status_callback_key
            else None
        )
        self._look_back = look_back

    def __repr__(self) -> str:
        return "TwilioCarrier()"

    def send(self, message: OutboundMessage, *, timeout: float) -> Outcome:
        """Hand one text message over; the receipt names its SID."""
        transport = _Transport(self._endpoint, deadline=Deadline(timeout))
        options = dict(self._sender)
        if self._hook is not None:
            options["status_callback"] = f"{self._hook}/{message.message_id}"
        try:
            sid = self._client(transport).messages.create(to=message.to, body=message.text, **options).sid
        except NotWritten:
            return TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE)
        except Lost:
            return InDoubt()
        except UnicodeEncodeError:
            return PermanentFailure(FailureCode.CONTENT_REFUSED)
        except Exception as failure:
            if transport.answer is None:
                raise
            # The SDK has an exception for every refusal, and stumbles in its own ways over an answer that is none.
            return _judge(transport.answer, error_code=getattr(failure, "code", None))
        return Receipt(sid) if isinstance(sid, str) and _MESSAGE_SID.fullmatch(sid) else InDoubt()

    def find(self, message: OutboundMessage, *, timeout: float) -> Found | NotFound | Unknown:
        """Ask Twilio for this message: by SID where `reference` is one, else by recipient, sender, time and text.

        The text is all there is to tell two messages to the same number apart, so only those that Twilio made within
        `look_back`, by its own clock, are looked at. One that was made a moment ago may not be listed yet.
        """
        transport = _Transport(self._endpoint, deadline=Deadline(timeout))
        try:
            messages = self._client(transport).messages
            if _MESSAGE_SID.fullmatch(message.reference):
                return Found(messages(message.reference).fetch().sid)
            sender = {"from_": self._sender["from_"]} if "from_" in self._sender else {}
            # No filter on the date of sending: a message that still queues has none.
            for candidate in messages.stream(to=message.to, **sender, page_size=PAGE, limit=MOST_LOOKED_THROUGH):
                now = transport.told_time()
                if now is None or candidate.date_created is None:
                    return Unknown()
                if now - candidate.date_created.replace(tzinfo=UTC) > self._look_back:
                    return NotFound()  # Newest first: all that follow are older.
                if candidate.body == message.text:
                    return Found(candidate.sid)
        except Exception:  # noqa: BLE001  # Nothing is changed by asking, so whatever goes wrong means the same.
            missing = transport.answer is not None and transport.answer.status == HTTPStatus.NOT_FOUND
            return NotFound() if missing and _MESSAGE_SID.fullmatch(message.reference) else Unknown()
        return NotFound()

    def verify(self, headers: Mapping[str, str], body: bytes, *, url: str) -> None:
        """Raise SignatureRefused unless Twilio signed this report with our token; `url` is the whole one it called."""
        from twilio.request_validator import RequestValidator  # noqa: PLC0415  # Only who needs the SDK pays for it.

        signature = next((value for name, value in headers.items() if name.lower() == "x-twilio-signature"), "")
        try:
            signed = RequestValidator(self._auth_token).validate(url, _Form(body), signature)
        except ValueError:
            signed = False
        if not signature or not signed:
            raise SignatureRefused

    def parse_events(self, body: bytes) -> Sequence[DeliveryReport]:
        """Translate a verified report. Which message it is about stands in the address it came to, not in here."""
        form = dict(parse_qsl(body.decode("utf-8", errors="replace")))
        reference = form.get("MessageSid") or form.get("SmsSid") or ""
        state = STATES.get(form.get("MessageStatus") or form.get("SmsStatus") or "")
        if not reference or state is None:
            return ()
        code = None
        if state is DeliveryState.FAILED:
            error = form.get("ErrorCode", "")
            code = ERRORS.get(int(error) if error.isdecimal() else 0, FailureCode.UNEXPECTED_ANSWER)
        return (DeliveryReport(message_id=None, reference=reference, state=state, code=code),)

    def close(self) -> None:
        """Close the connections that lie idle."""
        self._endpoint.close()

    def _client(self, transport: "_Transport") -> Any:
        """Make the SDK's client. It is cheap, and one per call shares nothing with other threads."""
        from twilio.rest import Client  # noqa: PLC0415  # 0.4 s that a process without text messages need not spend.

        return Client(self._account_sid, self._auth_token, http_client=transport)


def _judge(answer: Answer, *, error_code: object) -> Outcome:  # noqa: PLR0911  # One line for each kind of answer.
    """Map an answer other than success onto our words."""
    known = ERRORS.get(error_code) if isinstance(error_code, int) else None
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return TemporaryFailure(FailureCode.CREDENTIALS_REFUSED)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return TemporaryFailure(FailureCode.RATE_LIMITED, retry_after=answer.retry_after)
    if answer.status == HTTPStatus.SERVICE_UNAVAILABLE and (known or answer.retry_after is not None):
        return TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE, retry_after=answer.retry_after)
    if answer.status in range(400, 500):
        if known is None:
            # Twilio itself always gives a code: with one it understood and said no, without one it was not Twilio.
            named = isinstance(error_code, int) and error_code != answer.status
            unexpected = FailureCode.UNEXPECTED_ANSWER
            return PermanentFailure(unexpected) if named else TemporaryFailure(unexpected)
        if known in PASSING:
            return TemporaryFailure(known, retry_after=answer.retry_after)
        return PermanentFailure(known)
    if answer.status in NOTHING_DONE:
        return TemporaryFailure(FailureCode.UNEXPECTED_ANSWER)
    return InDoubt()


class _Transport:
    """What the SDK calls in place of its own HTTP client, for the length of one call.

    The SDK knows one host; the request goes to ours instead. `answer` is the last one, for who must judge it.
    """

    is_async = False
    timeout = None

    def __init__(self, endpoint: Endpoint, *, deadline: Deadline) -> None:
        self._endpoint = endpoint
        self._deadline = deadline
        self.answer: Answer | None = None

    def request(  # noqa: PLR0917  # The SDK's signature.
        self,
        method: str,
        url: str,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002  # The deadline is the timeout.
        allow_redirects: bool = False,  # noqa: ARG002, FBT001, FBT002  # The SDK's signature; none is followed.
    ) -> Any:
        """Send what the SDK composed and give it what came back."""
        from twilio.http.response import Response  # noqa: PLC0415  # Imported by now.

        parts = urlsplit(url)
        query = "&".join(filter(None, (parts.query, urlencode(params or {}, doseq=True))))
        sent = dict(headers or {})
        if auth is not None:
            sent["Authorization"] = f"Basic {b64encode(':'.join(auth).encode()).decode('ascii')}"
        self.answer = None
        self.answer = self._endpoint.exchange(
            method,
            f"{parts.path}?{query}" if query else parts.path,
            headers=sent,
            body=urlencode(data, doseq=True).encode("ascii") if data else None,
            deadline=self._deadline,
        )
        return Response(self.answer.status, self.answer.body.decode("utf-8", errors="replace"), self.answer.headers)

    def told_time(self) -> datetime | None:
        """What time it is by the server's clock."""
        if self.answer is None:
            return None
        try:
            return parsedate_to_datetime(self.answer.headers.find("Date")).astimezone(UTC)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class InboundSms:
    """An SMS that somebody sent to our number. It holds personal data: never log it, never store it."""

    reference: str
    sender: str
    text: str


def parse_inbound(body: bytes) -> InboundSms | None:
    """Translate a verified SMS; None where it is none. What Twilio itself took for a STOP is one, whatever was said."""
    form = dict(parse_qsl(body.decode("utf-8", errors="replace"), keep_blank_values=True))
    reference, sender = form.get("MessageSid") or form.get("SmsSid") or "", form.get("From", "")
    if not reference or not sender:
        return None
    text = "STOP" if form.get("OptOutType", "").upper() == "STOP" else form.get("Body", "")
    return InboundSms(reference=reference, sender=sender, text=text)


class _Form(dict[str, list[str]]):
    """A form in which a field may stand more than once, as the SDK's validator wants it."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        for name, value in parse_qsl(body.decode("utf-8", errors="replace"), keep_blank_values=True):
            self.setdefault(name, []).append(value)

    def getlist(self, name: str) -> list[str]:
        """Every value of a field."""
        return self[name]
