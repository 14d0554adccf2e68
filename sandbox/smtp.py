"""The mail server of the sandbox: takes every message, delivers none."""

import asyncio
import logging
import re
import socket
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from sandbox.faults import Fault, FaultKind, Faults
from sandbox.store import Headers, Received, Store
from sandbox.web import reset_on_close

SIZE_LIMIT = 10 * 1024 * 1024
MESSAGE_ID_HEADER = "X-Accord-Message"
AT_SIGN_IN: tuple[FaultKind, ...] = ("auth",)
AT_SENDER: tuple[FaultKind, ...] = ("auth", "rate_limited")
AT_RECIPIENT: tuple[FaultKind, ...] = ("refuse_address", "unregistered")
AT_DATA: tuple[FaultKind, ...] = ("http_500", "garbage", "reset", "hang", "slow", "accept_then_hang")


class MailServer(Controller):
    """aiosmtpd in a thread of its own, on a port that may be chosen by the system."""

    def __init__(self, address: tuple[str, int], store: Store, faults: Faults) -> None:
        # The library logs every command, and with it addresses.
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        # Bound here, because the library can not be told to take any free port.
        self._socket = socket.create_server(address, family=family, backlog=128)
        host, port = self._socket.getsockname()[:2]
        super().__init__(
            _Handler(store, faults),
            hostname=host,
            port=port,
            server_hostname="sandbox",
            ident="Accord sandbox: nothing is sent to anyone",
            data_size_limit=SIZE_LIMIT,
            enable_SMTPUTF8=True,
            auth_require_tls=False,
            authenticator=_Authenticator(faults),
        )

    def _create_server(self) -> Awaitable[asyncio.AbstractServer]:
        return self.loop.create_server(self._factory_invoker, sock=self._socket)


class _Authenticator:
    """Takes every name and password, as the sandbox takes every message."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def __call__(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        del server, session, envelope, mechanism
        refused = self._faults.take("email", kinds=AT_SIGN_IN) is not None
        return AuthResult(success=not refused and isinstance(data, LoginPassword), handled=False)


class _Handler:
    """What aiosmtpd asks at each step of a delivery. The names are the library's."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        del server, envelope
        session.host_name = hostname
        # True of this library: it answers command after command from one buffered reader (RFC 2920).
        return [*responses[:-1], "250-PIPELINING", "250-ENHANCEDSTATUSCODES", responses[-1]]

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session
        match self._faults.take("email", kinds=AT_SENDER):
            case Fault(kind="auth"):
                return "530 5.7.0 Authentication required"
            case Fault(kind="rate_limited"):
                return "450 4.7.1 Too many messages, try again later"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session
        match self._faults.take("email", kinds=AT_RECIPIENT):
            case Fault(kind="refuse_address"):
                return "550 5.1.1 No such user here"
            case Fault(kind="unregistered"):
                return "550 5.2.1 This mailbox is disabled"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        del session
        match self._faults.take("email", kinds=AT_DATA):
            case Fault(kind="http_500"):
                return "451 4.3.0 Local error in processing"
            case Fault(kind="garbage"):
                return "it works \x00 <html>"
            case Fault(kind="reset"):
                if isinstance(server.transport, asyncio.WriteTransport):
                    reset_on_close(server.transport.get_extra_info("socket"))
                    server.transport.abort()
                await _for_ever()
            case Fault(kind="hang"):
                await _for_ever()
            case Fault(kind="accept_then_hang"):
                self._keep(envelope)
                await _for_ever()
            case Fault(kind="slow", seconds=seconds):
                await asyncio.sleep(seconds)
        return f"250 2.0.0 OK: kept as {self._keep(envelope)}"

    async def handle_exception(self, error: Exception) -> str:
        """Answer without a word about the message."""
        logging.getLogger("sandbox").error("an e-mail could not be kept: %s", type(error).__name__)
        return "451 4.3.0 The sandbox could not keep this message"

    def _keep(self, envelope: Envelope) -> str:
        kept = [self._store.add(received) for received in received_from(envelope)]
        return ", ".join(str(received.number) for received in kept)


async def _for_ever() -> None:
    # Ends when the client hangs up or the server stops: the library cancels the task in both cases.
    await asyncio.Event().wait()


def received_from(envelope: Envelope) -> list[Received]:
    """One message for each recipient of an envelope."""
    raw = envelope.original_content or b""
    message = message_from_bytes(raw, policy=default)
    headers = Headers([(name, unfolded(value)) for name, value in message_from_bytes(raw).raw_items()])
    sender = _decoded(headers.get("From", "")) or envelope.mail_from or ""
    recipients = [str(recipient) for recipient in envelope.rcpt_tos]
    return [
        Received(
            channel="email",
            to=recipient,
            sender=sender,
            subject=_decoded(headers.get("Subject", "")),
            text=_part(message, "plain"),
            html=_part(message, "html"),
            headers=headers,
            raw=raw,
            reference=headers.get("Message-ID", "").strip(),
            message_id=headers.get(MESSAGE_ID_HEADER, "").strip(),
            received_at=datetime.now(UTC),
            monotonic=time.monotonic(),
            payload={
                "mail_from": envelope.mail_from or "",
                "rcpt_tos": recipients,
                "mail_options": [str(option) for option in envelope.mail_options],
            },
        )
        for recipient in recipients
    ]


def unfolded(value: object) -> str:
    """A header as one line (RFC 5322, 2.2.3): the line breaks go, the blanks behind them stay."""
    # Headers may be UTF-8 as they stand (RFC 6532), which the parser keeps as escaped bytes.
    text = str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return re.sub(r"\r?\n", "", text)


def _decoded(value: str) -> str:
    try:
        return str(make_header(decode_header(value)))
    except (LookupError, ValueError):
        return value


def _part(message: Message, subtype: str) -> str:
    part = message.get_body((subtype,)) if isinstance(message, EmailMessage) else None
    if part is None:
        return ""
    try:
        return str(part.get_content()).replace("\r\n", "\n")
    except (LookupError, ValueError):
        # A charset that does not exist, or bytes that are not of it: show what can be shown.
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
