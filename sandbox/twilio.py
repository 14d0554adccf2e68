"""The Twilio messages API as far as Accord uses it: create, list and fetch messages of one account."""

import base64
import binascii
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import urlencode
from uuid import UUID

from sandbox.callbacks import BY_ITSELF, Callbacks
from sandbox.credentials import TwilioAccount
from sandbox.faults import Fault, Faults
from sandbox.segments import size_of
from sandbox.store import Received, Selection, Store
from sandbox.web import Answer, NoAnswer, Request, Response, broken_answer, delay_of, json_response, retry_after

API = "/2010-04-01"
BODY_LIMIT = 1600
PAGE_SIZE, PAGE_SIZE_LIMIT = 50, 1000
# The first prefix is the sandbox's own; the whole numbers are those that Twilio gives out for tests.
REFUSED_PREFIX = "+1555"
REFUSED_NUMBER = "+15005550001"
UNSUBSCRIBED_NUMBER = "+15005550004"
NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
UUID_IN_TEXT = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


class Refusal(Exception):
    """An error in Twilio's words; it holds what the answer says."""

    def __init__(self, status: int, code: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers or {}

    def response(self) -> Response:
        """The error as JSON."""
        more = f"https://www.twilio.com/docs/errors/{self.code}"
        body = {"code": self.code, "message": str(self), "more_info": more, "status": self.status}
        return json_response(body, status=self.status, headers=self.headers)


class TwilioApi:
    """Answers for one account. Paths come without the prefix under which the sandbox serves it."""

    def __init__(self, account: TwilioAccount, store: Store, faults: Faults, callbacks: Callbacks) -> None:
        self._account = account
        self._store = store
        self._faults = faults
        self._callbacks = callbacks

    def answer(self, request: Request) -> Answer:
        """Answer one request of a client."""
        try:
            self._check_credentials(request)
            messages = f"{API}/Accounts/{self._account.sid}/Messages"
            if request.path == f"{messages}.json":
                return self._create(request) if request.method == "POST" else self._list(request)
            if request.method == "GET" and (
                found := re.fullmatch(rf"{messages}/(SM[0-9a-f]{{32}})\.json", request.path)
            ):
                return self._fetch(found[1], request)
            raise _not_found(request)
        except Refusal as refusal:
            return refusal.response()

    def _check_credentials(self, request: Request) -> None:
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            given = b""
        expected = f"{self._account.sid}:{self._account.auth_token}".encode("ascii")
        if scheme.lower() != "basic" or not hmac.compare_digest(given, expected):
            raise _unauthorised()

    def _create(self, request: Request) -> Answer:
        fault = self._faults.take("sms")
        if (broken := broken_answer(fault, status=201)) is not None:
            return broken
        if fault is not None:
            _refuse(fault)
        form = request.form()
        _check(form)
        received = self._store.add(_received(request, form))
        if fault is not None and fault.kind == "report_first":
            for status in BY_ITSELF:
                self._callbacks.make(self._callbacks.report(received, status))
        else:
            self._callbacks.tell(received)
        if fault is not None and fault.kind == "accept_then_hang":
            return NoAnswer(reset=False)
        return json_response(self._resource(received, new=True), status=201, delay=delay_of(fault))

    def _list(self, request: Request) -> Answer:
        fault = self._faults.take("sms", on="find")
        if (broken := broken_answer(fault, status=200)) is not None:
            return broken
        if fault is not None:
            _refuse(fault)
        size = min(max(_number(request.query.get("PageSize", ""), PAGE_SIZE), 1), PAGE_SIZE_LIMIT)
        page = _number(request.query.get("Page", ""), 0)
        since, before = _bounds(request.query)
        selection = Selection(
            channel="sms",
            to=request.query.get("To", ""),
            sender=request.query.get("From", ""),
            sent_from=since,
            sent_before=before,
            # One more than the page, to know whether another follows.
            limit=size + 1,
            offset=page * size,
        )
        found = self._store.received(selection, newest_first=True)

        def uri(number: int) -> str:
            query = {**request.query, "PageSize": size, "Page": number}
            return f"{request.path}?{urlencode(query)}"

        shown = found[:size]
        body = {
            "first_page_uri": uri(0),
            "previous_page_uri": uri(page - 1) if page else None,
            "next_page_uri": uri(page + 1) if len(found) > size else None,
            "uri": uri(page),
            "page": page,
            "page_size": size,
            "start": page * size,
            "end": max(page * size + len(shown) - 1, 0),
            "messages": [self._resource(received, new=False) for received in shown],
        }
        return json_response(body, delay=delay_of(fault))

    def _fetch(self, sid: str, request: Request) -> Answer:
        fault = self._faults.take("sms", on="find")
        if (broken := broken_answer(fault, status=200)) is not None:
            return broken
        if fault is not None:
            _refuse(fault)
        found = self._store.received(Selection(channel="sms", reference=sid, limit=1))
        if not found:
            raise _not_found(request)
        return json_response(self._resource(found[0], new=False), delay=delay_of(fault))

    def _resource(self, received: Received, *, new: bool) -> dict[str, object]:
        uri = f"{API}/Accounts/{self._account.sid}/Messages/{received.reference}"
        moment = format_datetime(received.received_at)
        return {
            "account_sid": self._account.sid,
            "api_version": API.strip("/"),
            "body": received.text,
            "date_created": moment,
            "date_sent": None if new else moment,
            "date_updated": moment,
            "direction": "outbound-api",
            "error_code": None,
            "error_message": None,
            "from": received.payload.get("From"),
            "messaging_service_sid": received.payload.get("MessagingServiceSid"),
            "num_media": "0",
            "num_segments": str(size_of(received.text).segments),
            "price": None,
            "price_unit": "USD",
            "sid": received.reference,
            "status": "queued" if new else "delivered",
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": received.to,
            "uri": f"{uri}.json",
        }


def _refuse(fault: Fault) -> None:
    match fault.kind:
        case "http_500":
            raise Refusal(500, 20500, "An internal server error has occurred")
        case "rate_limited":
            raise Refusal(429, 20429, "Too Many Requests", retry_after(fault))
        case "refuse_address":
            raise Refusal(400, 21211, "The 'To' number is not a valid phone number.")
        case "unregistered":
            raise _unsubscribed()
        case "auth":
            raise _unauthorised()


def _check(form: Mapping[str, str]) -> None:
    to = form.get("To", "")
    if not to:
        raise Refusal(400, 21604, "A 'To' phone number is required.")
    if not form.get("From") and not form.get("MessagingServiceSid"):
        raise Refusal(400, 21603, "A 'From' phone number is required.")
    if not form.get("Body"):
        raise Refusal(400, 21602, "Message body is required.")
    if len(form["Body"]) > BODY_LIMIT:
        raise Refusal(400, 21617, f"The concatenated message body exceeds the {BODY_LIMIT} character limit.")
    if to == UNSUBSCRIBED_NUMBER:
        raise _unsubscribed()
    if to == REFUSED_NUMBER or to.startswith(REFUSED_PREFIX) or not NUMBER.fullmatch(to):
        # The real answer repeats the number, which is why a client must never pass this text on.
        raise Refusal(400, 21211, f"The 'To' number {to} is not a valid phone number.")


def _received(request: Request, form: Mapping[str, str]) -> Received:
    return Received(
        channel="sms",
        to=form["To"],
        sender=form.get("From") or form.get("MessagingServiceSid", ""),
        text=form["Body"],
        headers=request.headers,
        raw=request.body,
        reference=f"SM{secrets.token_hex(16)}",
        message_id=_message_id(form.get("StatusCallback", "")),
        received_at=datetime.now(UTC),
        monotonic=time.monotonic(),
        payload=form,
    )


def _message_id(callback: str) -> str:
    # The client names its message in the address that reports shall go to; the last id is the message's.
    found = UUID_IN_TEXT.findall(callback)
    return str(UUID(found[-1])) if found else callback


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() else otherwise


def _bounds(query: Mapping[str, str]) -> tuple[datetime | None, datetime | None]:
    """The time span that the filters leave: from the first moment on, and before the second.

    `DateSent` means the whole day in GMT, whatever hour the SDK writes behind it; `DateSent>` and `DateSent<` include
    the moment they name, and a day stands for its first midnight.
    """
    day = _moment(query.get("DateSent", ""))
    midnight = day and day.replace(hour=0, minute=0, second=0)
    since = [midnight, _moment(query.get("DateSent>", ""))]
    last = _moment(query.get("DateSent<", ""))
    before = [midnight and midnight + timedelta(days=1), last and last + timedelta(seconds=1)]
    return max(filter(None, since), default=None), min(filter(None, before), default=None)


def _moment(value: str) -> datetime | None:
    if not value:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise Refusal(400, 20001, "Invalid DateSent filter") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _unauthorised() -> Refusal:
    return Refusal(401, 20003, "Authenticate", {"WWW-Authenticate": 'Basic realm="Twilio API"'})


def _unsubscribed() -> Refusal:
    return Refusal(400, 21610, "Attempt to send to unsubscribed recipient")


def _not_found(request: Request) -> Refusal:
    return Refusal(404, 20404, f"The requested resource {request.path} was not found")
