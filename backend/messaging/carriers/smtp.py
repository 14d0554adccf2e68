"""Sends e-mail to one SMTP server."""

import functools
import re
import smtplib
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import ClassVar, Final, Literal, NoReturn, get_args
from urllib.parse import parse_qs, unquote, urlsplit

from backend.messaging.carriers import mime
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
from backend.messaging.carriers.returned import HEADER, envelope_sender, read_bounce_address, token_of
from backend.messaging.carriers.wire import Deadline, DeadlineSocket, Pool, connect
from backend.policy.vocabulary import Channel

Tls = Literal["none", "starttls", "implicit"]

_PORTS: Final[Mapping[Tls, int]] = {"none": 25, "starttls": 587, "implicit": 465}
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_THIS_MACHINE = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")
_ENHANCED = re.compile(rb"\s*[245]\.(\d{1,3})\.(\d{1,3})\b")

# RFC 5321, section 4.2; RFC 4954, section 6.
READY: Final = 220
GO_ON: Final = 354
CLOSING: Final = 421
AUTHENTICATION_NEEDED: Final = frozenset({530, 534, 535, 538})
ADDRESS_CODES: Final = frozenset({501, 550, 551, 553})
CONTENT_CODES: Final = frozenset({523, 552, 554})
MAILBOX_BUSY: Final = 450
# RFC 3463: the second and third figures of an enhanced code.
ADDRESSING: Final = 1
POLICY: Final = 7
GONE: Final = frozenset({(1, 6), (2, 1)})

GOODBYE_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """Where e-mail goes and how the connection is secured, read from one URL.

    `smtp://user:password@host:port?tls=none|starttls|implicit`, user and password percent-encoded. Without `tls`:
    `implicit` for smtps://, `none` for this machine itself, else `starttls`. Nothing is ever sent in clear because a
    server does not offer TLS. Certificates are checked against the system's list, or the file that SSL_CERT_FILE names.
    """

    host: str
    port: int
    tls: Tls
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def read(cls, url: str) -> "SmtpServer":
        """Read the URL. Raises ValueError, without quoting it, when it can not be used."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            # What urllib says quotes what it read as the port, which can be a password with a stroke in it.
            raise ValueError("The address of the e-mail server can not be read; is its password encoded?") from None
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise ValueError("The address of the e-mail server begins with smtp:// or smtps:// and names a host.")
        options = parse_qs(parts.query, keep_blank_values=True)
        usual = (
            "implicit" if parts.scheme == "smtps" else "none" if _THIS_MACHINE.fullmatch(parts.hostname) else "starttls"
        )
        asked = options.pop("tls", [usual])
        if options or len(asked) != 1:
            raise ValueError("The address of the e-mail server has one option: tls.")
        for tls in get_args(Tls):
            if asked == [tls]:
                break
        else:
            raise ValueError("tls is none, starttls or implicit.")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if not (user + password).isascii():
            raise ValueError("User and password of the e-mail server are ASCII.")
        return cls(host=parts.hostname, port=port or _PORTS[tls], tls=tls, user=user, password=password)


class SmtpCarrier:
    """Hands e-mail to one SMTP server, over connections that are kept open for the next message.

    The server has taken a message when it answers the final dot, and can not have taken it before the dot was written.
    So what goes wrong before is a failure, what goes wrong between dot and answer is in doubt. A connection that turns
    out to have died while it lay idle is replaced once, before anything of the message was asked for.
    """

    name: ClassVar[str] = "smtp"
    channel: ClassVar[Channel] = Channel.EMAIL
    can_find: ClassVar[bool] = False

    def __init__(self, *, url: str, sender: str, domain: str, bounces: str = "", bounce_key: str = "") -> None:
        self._server = SmtpServer.read(url)
        self._sender_name, self._sender_address = mime.read_sender(sender)
        self._bounces, self._bounce_key = read_bounce_address(bounces), bounce_key.encode()
        if self._bounces and not self._bounce_key:
            raise ValueError("What comes back is believed by a key only: an address for bounces needs one.")
        if not _HOST_NAME.fullmatch(domain):
            raise ValueError("The domain of the Message-ID is a host name.")
        self._domain = domain
        self._pool: Pool[_Session] = Pool(discard=_Session.leave)

    def __repr__(self) -> str:
        return f"SmtpCarrier(host={self._server.host!r}, port={self._server.port}, tls={self._server.tls!r})"

    def send(self, message: OutboundMessage, *, timeout: float) -> Outcome:
        """Hand one e-mail over; the receipt names its Message-ID."""
        deadline = Deadline(timeout)
        try:
            to = mime.read_address(message.to)
        except mime.UnusableAddress:
            return PermanentFailure(FailureCode.ADDRESS_REFUSED)
        try:
            body = self._write(message, to=to)
        except (mime.UnsafeText, UnicodeEncodeError):
            return PermanentFailure(FailureCode.CONTENT_REFUSED)
        reference = mime.message_id_header(message.message_id, domain=self._domain)
        try:
            return self._deliver(to, body, sender=self._returns_to(message), reference=reference, deadline=deadline)
        except _Refused as refusal:
            return refusal.outcome
        except OSError:  # smtplib's own exceptions are OSErrors too.
            return TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE)

    def find(self, message: OutboundMessage, *, timeout: float) -> Found | NotFound | Unknown:  # noqa: ARG002  # The protocol's signature.
        """SMTP has no way to ask what became of a message."""
        return Unknown()

    def verify(self, headers: Mapping[str, str], body: bytes, *, url: str) -> NoReturn:  # noqa: ARG002  # The protocol's signature.
        """An SMTP server signs no reports, so none is believed."""
        raise SignatureRefused

    def parse_events(self, body: bytes) -> Sequence[DeliveryReport]:  # noqa: ARG002  # The protocol's signature.
        """An SMTP server sends no reports."""
        return ()

    def close(self) -> None:
        """Take leave of the server on every idle connection."""
        self._pool.close()

    def _returns_to(self, message: OutboundMessage) -> str:
        """The envelope's sender: the address of this installation, or one by which a bounce names its message."""
        if not self._bounces:
            return self._sender_address
        return envelope_sender(self._bounces, message.message_id, key=self._bounce_key)

    def _write(self, message: OutboundMessage, *, to: str) -> bytes:
        if self._bounces:
            named = {**message.headers, HEADER: token_of(message.message_id, key=self._bounce_key)}
            message = replace(message, headers=named)
        date = format_datetime(datetime.fromtimestamp(time.time(), UTC))
        return mime.write(
            message,
            to=to,
            sender_name=self._sender_name,
            sender_address=self._sender_address,
            domain=self._domain,
            date=date,
        )

    def _deliver(self, to: str, body: bytes, *, sender: str, reference: str, deadline: Deadline) -> Outcome:
        session = self._pool.take()
        if session is not None:
            session.wire.renew(deadline)
            try:
                self._ask(session, sender=sender, to=to, size=len(body))
            except (_Gone, OSError):
                session.drop()
                session = None
        if session is None:
            session = self._open(deadline)
            try:
                self._ask(session, sender=sender, to=to, size=len(body))
            except (_Gone, OSError):
                session.drop()
                return TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE)
        return self._hand_over(session, body, reference=reference)

    def _open(self, deadline: Deadline) -> "_Session":
        try:
            return _Session(self._server, domain=self._domain, deadline=deadline, context=self._context)
        except smtplib.SMTPAuthenticationError as refusal:
            raise _Refused(_judge("AUTH", refusal.smtp_code, b"")) from None
        except smtplib.SMTPNotSupportedError:
            # STARTTLS or AUTH is what this server was said to offer.
            raise _Refused(TemporaryFailure(FailureCode.NOT_CONFIGURED)) from None

    @functools.cached_property
    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    def _ask(self, session: "_Session", *, sender: str, to: str, size: int) -> None:
        """Ask to send one message to one address, up to the server's go-ahead for its text.

        Where the server allows it, the three commands travel together (RFC 2920). Raises _Refused when the server says
        no, _Gone when it takes its leave; the session is then back in the pool, or closed.
        """
        commands = self._commands(session, sender=sender, to=to, size=size)
        together = session.has_extn("pipelining")
        if together:
            session.send("\r\n".join([*commands.values(), ""]))
        refused: Outcome | None = None
        for step, command in commands.items():
            if not together:
                session.send(f"{command}\r\n")
            code, text = session.getreply()
            if code == CLOSING:
                raise _Gone
            if refused is None and code not in (_GO_AHEAD if step == "DATA" else _DONE):
                refused = _judge(step, code, text)
                if not together:
                    break
            elif refused is not None and code == GO_ON:
                # It waits for a text that will never come; only a new connection says so without a doubt.
                session.drop()
                raise _Refused(refused)
        if refused is not None:
            self._reset(session)
            raise _Refused(refused)

    def _commands(self, session: "_Session", *, sender: str, to: str, size: int) -> Mapping["_Step", str]:
        options = [f"size={size}"] if session.has_extn("size") else []
        if not to.isascii():
            if not session.has_extn("smtputf8"):
                self._pool.put(session)
                raise _Refused(PermanentFailure(FailureCode.ADDRESS_REFUSED))
            options.append("SMTPUTF8")
        session.command_encoding = "ascii" if to.isascii() else "utf-8"
        return {
            "MAIL": " ".join([f"MAIL FROM:<{sender}>", *options]),
            "RCPT": f"RCPT TO:<{to}>",
            "DATA": "DATA",
        }

    def _hand_over(self, session: "_Session", body: bytes, *, reference: str) -> Outcome:
        """Write the text and the final dot, and hear what the server says to it."""
        try:
            session.send(body.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        except OSError:
            # The dot did not go out, and without it the server must not keep anything (RFC 5321, section 4.1.1.4).
            session.drop()
            return TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE)
        try:
            code, text = session.getreply()
        except OSError:
            session.drop()
            return InDoubt()
        if code in _DONE:
            self._pool.put(session)
            return Receipt(reference)
        if code in _REFUSALS and code != CLOSING:
            self._pool.put(session)
        else:
            session.drop()
        return _judge("TEXT", code, text) if code in _REFUSALS else InDoubt()

    def _reset(self, session: "_Session") -> None:
        try:
            code, _text = session.rset()
        except OSError:
            code = CLOSING
        if code in _DONE:
            self._pool.put(session)
        else:
            session.drop()


_Step = Literal["AUTH", "MAIL", "RCPT", "DATA", "TEXT"]
_DONE = range(200, 300)
_GO_AHEAD = range(GO_ON, GO_ON + 1)
_REFUSALS = range(400, 600)


class _Refused(Exception):
    """The server surely did not take the message; `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


class _Gone(Exception):
    """The server closes the connection; nothing of the message was kept."""


def _judge(  # noqa: PLR0911  # One line for each thing a server can say.
    step: _Step, code: int, text: bytes
) -> TemporaryFailure | PermanentFailure:
    """Map a refusal onto our words: by the code, and by the enhanced code where there is one (RFC 3463).

    `text` is read for that code only. Wrong credentials are temporary: nothing is wrong with the message.
    """
    found = _ENHANCED.match(text)
    subject, detail = (int(found[1]), int(found[2])) if found else (0, 0)
    if code in AUTHENTICATION_NEEDED or (step == "AUTH" and code in range(500, 600)):
        return TemporaryFailure(FailureCode.CREDENTIALS_REFUSED)
    if code in range(400, 500):
        # Before an address was named, "not now" is about us. 4.7 is how servers word grey lists and rates.
        pace = subject == POLICY or (code == MAILBOX_BUSY and step == "MAIL")
        return TemporaryFailure(FailureCode.RATE_LIMITED if pace else FailureCode.CARRIER_UNAVAILABLE)
    if code not in _REFUSALS:
        return TemporaryFailure(FailureCode.UNEXPECTED_ANSWER)
    if step == "MAIL" and code in ADDRESS_CODES:
        return TemporaryFailure(FailureCode.NOT_CONFIGURED)  # It is our own address that is not welcome.
    if (subject, detail) in GONE:
        return PermanentFailure(FailureCode.ADDRESS_GONE)
    if subject == ADDRESSING or (step == "RCPT" and code in ADDRESS_CODES and subject != POLICY):
        return PermanentFailure(FailureCode.ADDRESS_REFUSED)
    if code in CONTENT_CODES or (step in {"RCPT", "TEXT"} and code in ADDRESS_CODES):
        return PermanentFailure(FailureCode.CONTENT_REFUSED)
    return PermanentFailure(FailureCode.UNEXPECTED_ANSWER)


class _Session(smtplib.SMTP):
    """One connection, greeted, secured and signed in as the server's URL says."""

    def __init__(self, server: SmtpServer, *, domain: str, deadline: Deadline, context: ssl.SSLContext) -> None:
        self._server = server
        self._deadline = deadline
        self._context = context
        # Without a name of our own, smtplib asks the DNS for one, for as long as it takes.
        super().__init__(server.host, server.port, local_hostname=domain)
        try:
            self.ehlo_or_helo_if_needed()
            if server.tls == "starttls":
                self._secure()
            if server.user:
                self._sign_in()
        except OSError:
            self.drop()
            raise

    def _get_socket(self, host: str, port: int, timeout: float) -> DeadlineSocket:  # noqa: ARG002  # The deadline is the timeout.
        self.wire = connect(host, port, deadline=self._deadline)
        if self._server.tls == "implicit":
            try:
                self.wire = self.wire.over_tls(self._context, host=host)
            except OSError:
                self.wire.drop()
                raise
        return self.wire

    def _secure(self) -> None:
        code, _text = self.starttls(context=_Upgrade(self._context))  # type: ignore[call-overload]  # It asks only to wrap.
        if code != READY:
            raise smtplib.SMTPNotSupportedError
        self.wire = self.sock  # type: ignore[assignment]  # What _Upgrade returned.
        self.ehlo_or_helo_if_needed()

    def _sign_in(self) -> None:
        try:
            self.login(self._server.user, self._server.password)
        except (smtplib.SMTPAuthenticationError, smtplib.SMTPServerDisconnected, smtplib.SMTPHeloError):
            raise
        except smtplib.SMTPException:
            # The server offers no way of signing in that we know.
            raise smtplib.SMTPNotSupportedError from None

    def leave(self) -> None:
        """Say goodbye without waiting for an answer."""
        self.wire.renew(Deadline(GOODBYE_SECONDS))
        with suppress(OSError):
            self.send("QUIT\r\n")
        self.drop()

    def drop(self) -> None:
        """Close the connection as it stands."""
        self.close()
        self.wire.drop()


class _Upgrade:
    """Does for smtplib what it asks of an SSL context: wrap a socket, here one that keeps to a deadline."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def wrap_socket(self, wire: DeadlineSocket, *, server_hostname: str) -> DeadlineSocket:
        """Go on over TLS."""
        return wire.over_tls(self._context, host=server_hostname)
