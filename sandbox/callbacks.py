"""What Twilio tells its customers: reports of what became of a message, and messages that people send. Signed."""

import base64
import hashlib
import hmac
import http.client
import ipaddress
import logging
import queue
import secrets
import threading
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit

from sandbox.credentials import TwilioAccount
from sandbox.store import Received

TIMEOUT = 10.0
STOP_SECONDS = 5.0
BY_ITSELF: Final = ("sent", "delivered")

log = logging.getLogger("sandbox")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call that Twilio makes; it can be made again, and to somewhere else."""

    url: str
    form: Mapping[str, str]
    signature: str


class Callbacks:
    """Calls the addresses that a client named, on this machine and on hosts that were named at the start; no others."""

    def __init__(self, account: TwilioAccount, *, hosts: Collection[str] = ()) -> None:
        self._account = account
        self._hosts = frozenset(hosts)
        self._waiting: queue.Queue[Call | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="sandbox-callbacks", daemon=True)
        self.by_itself = True

    def start(self) -> None:
        """Begin to make the calls that wait."""
        self._thread.start()

    def stop(self) -> None:
        """Make what waits, and end."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join(STOP_SECONDS)

    def wait(self) -> None:
        """Return when no call waits any more."""
        self._waiting.join()

    def report(self, received: Received, status: str, *, error_code: int | None = None) -> Call:
        """What Twilio says of a message that it took, to the address that came with it."""
        form = {
            "AccountSid": self._account.sid,
            "ApiVersion": "2010-04-01",
            "From": received.sender,
            "MessageSid": received.reference,
            "MessageStatus": status,
            "SmsSid": received.reference,
            "SmsStatus": status,
            "To": received.to,
        }
        if error_code is not None:
            form["ErrorCode"] = str(error_code)
        return self.sign(str(received.payload.get("StatusCallback", "")), form)

    def text(self, text: str, *, sender: str, to: str, url: str, opt_out: str = "") -> Call:
        """What Twilio says when somebody sends an SMS to a number of ours."""
        sid = f"SM{secrets.token_hex(16)}"
        form = {
            "AccountSid": self._account.sid,
            "ApiVersion": "2010-04-01",
            "Body": text,
            "From": sender,
            "MessageSid": sid,
            "NumMedia": "0",
            "NumSegments": "1",
            "SmsMessageSid": sid,
            "SmsSid": sid,
            "SmsStatus": "received",
            "To": to,
        }
        if opt_out:
            form["OptOutType"] = opt_out
        return self.sign(url, form)

    def tell(self, received: Received) -> None:
        """Queue the usual reports of a message, where its sender asked for any."""
        if self.by_itself and received.payload.get("StatusCallback"):
            for status in BY_ITSELF:
                self._waiting.put(self.report(received, status))

    def make(self, call: Call) -> int:
        """Make a call now; the status that was answered, 0 where nobody answered or the host is not ours to call."""
        parts = urlsplit(call.url)
        if parts.scheme != "http" or not self._may_call(parts.hostname or ""):
            return 0
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8", "User-Agent": "TwilioProxy/1.1"}
        if call.signature:
            headers["X-Twilio-Signature"] = call.signature
        with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)) as connection:
            try:
                target = f"{parts.path}?{parts.query}" if parts.query else parts.path
                connection.request("POST", target, urlencode(call.form), headers)
                return connection.getresponse().status
            except (OSError, http.client.HTTPException):
                log.debug("nobody took a callback")
                return 0

    def sign(self, url: str, form: Mapping[str, str]) -> Call:
        """Any call, as Twilio would sign it."""
        # https://www.twilio.com/docs/usage/security: the address, then each field's name and value in their order.
        text = url + "".join(f"{name}{form[name]}" for name in sorted(form))
        digest = hmac.new(self._account.auth_token.encode("ascii"), text.encode("utf-8"), hashlib.sha1).digest()
        return Call(url=url, form=form, signature=base64.b64encode(digest).decode("ascii"))

    def _may_call(self, host: str) -> bool:
        if host == "localhost" or host in self._hosts:
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def _work(self) -> None:
        while True:
            call = self._waiting.get()
            try:
                if call is None:
                    return
                self.make(call)
            finally:
                self._waiting.task_done()
