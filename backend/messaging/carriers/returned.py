"""Reads what mail servers send back: a message that could not be delivered (RFC 3464), a complaint (RFC 5965).

Anybody can write to the address that bounces come to, so nothing in them is believed but a token that we put into the
message ourselves: into its envelope (VERP) and into a header, both of which come back. Input is hostile: it is read
once from front to back, only at its first level, and never more of it than the limits below say.
"""

import base64
import binascii
import hashlib
import hmac
import quopri
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import compat32
from enum import StrEnum
from typing import Final
from uuid import UUID

from backend.messaging.carriers.base import FailureCode

HEADER: Final = "X-Accord-Return"

LONGEST_MAIL: Final = 1024 * 1024
"""Of a longer one this much is read: what a mail server has to say stands ahead of what it sends back."""
LONGEST_HEAD: Final = 64 * 1024
LONGEST_VALUE: Final = 2_000
MOST_PARTS: Final = 10
MOST_TOKENS: Final = 20
TOKEN_BYTES: Final = 16 + 10

# RFC 5321, section 4.5.3.1.1: 64 characters, less the token and the plus before it.
_BOUNCE_ADDRESS = re.compile(r"[A-Za-z0-9._-]{1,21}@[A-Za-z0-9]([A-Za-z0-9.-]{0,200}[A-Za-z0-9])?", re.ASCII)
_TOKEN = re.compile(r"(?<![a-z0-9])[a-z2-7]{42}(?![a-z0-9])")
_HEAD_ENDS = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(r"\s*([245])\.(\d{1,3})\.(\d{1,3})\b")
_WHERE_IT_CAME: Final = ("Delivered-To", "X-Original-To", "Envelope-To", "To")
_WHAT_CAME_BACK: Final = (HEADER, "Return-Path")

# RFC 3463: the second and third figures of a status, and what a permanent failure with them says.
GONE: Final = frozenset({(1, 1), (1, 2), (1, 3), (1, 6), (1, 10), (2, 1)})
FULL_OR_SLOW: Final = frozenset({2, 4})
POLICY: Final = frozenset({6, 7})
# RFC 5965, section 7.3; RFC 6650. `not-spam` takes something back that we never act upon by itself.
COMPLAINTS: Final = frozenset({"abuse", "fraud", "opt-out", "opt-out-list"})


class Said(StrEnum):
    """What a mail that came back says."""

    FAILED = "failed"
    DELIVERED = "delivered"
    COMPLAINED = "complained"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Returned:
    """What came back, and about which message; `message_id` is None where nothing in it is from us."""

    said: Said
    message_id: UUID | None
    code: FailureCode | None = None


def token_of(message_id: UUID, *, key: bytes) -> str:
    """What names a message in an envelope and a header, and nobody else can make: 42 letters and digits."""
    return base64.b32encode(message_id.bytes + _mac(message_id, key)).decode("ascii").rstrip("=").lower()


def envelope_sender(address: str, message_id: UUID, *, key: bytes) -> str:
    """The address to which a mail server returns this message: `bounces+TOKEN@example.org`."""
    local, _at, domain = address.rpartition("@")
    return f"{local}+{token_of(message_id, key=key)}@{domain}"


def read_bounce_address(address: str) -> str:
    """Check that bounces can come to this address with a token in it. Raises ValueError."""
    if address and not _BOUNCE_ADDRESS.fullmatch(address):
        raise ValueError("The address for bounces is one ASCII address, with at most 21 characters before the @.")
    return address


def read_returned(mail: bytes, *, key: bytes, recipient: str = "") -> Returned:
    """What a mail that came back says. `recipient` is the address that it came to, where the mail server tells it."""
    try:
        return _read(mail[:LONGEST_MAIL], key=key, recipient=recipient)
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError):
        # The standard library's way of saying that no standard was followed.
        return Returned(Said.NOTHING, None)


def _read(mail: bytes, *, key: bytes, recipient: str) -> Returned:
    head, body = _split(mail)
    outer = _headers(head)
    said, code = Said.NOTHING, None
    # The address that it came to first: that is what our own mail server says.
    seen = [recipient, *_values(outer, _WHERE_IT_CAME)]
    if outer.get_content_type() == "multipart/report":
        for part in _parts(body, _boundary(outer)):
            inner, content = _split(part)
            headers = _headers(inner)
            kind = headers.get_content_type()
            if kind in {"message/delivery-status", "message/global-delivery-status"}:
                said, code = _delivery(_decoded(headers, content))
            elif kind == "message/feedback-report":
                report = _headers(_decoded(headers, content))
                complained = _text(report.get("Feedback-Type")).strip().lower() in COMPLAINTS
                said = Said.COMPLAINED if complained else Said.NOTHING
                seen += _values(report, ("Original-Mail-From",))
            elif kind in {"message/rfc822", "message/global", "message/global-headers", "text/rfc822-headers"}:
                seen += _values(_headers(_split(_decoded(headers, content).lstrip(b"\r\n"))[0]), _WHAT_CAME_BACK)
    return Returned(said, _message_in(seen, key), code)


def _delivery(status: bytes) -> tuple[Said, FailureCode | None]:
    """What a delivery status says of its recipient; each of our messages has one."""
    for group in _HEAD_ENDS.split(status[:LONGEST_HEAD])[: MOST_PARTS + 1]:
        fields = _headers(group.lstrip(b"\r\n"))
        match _text(fields.get("Action")).strip().lower():
            case "failed":
                return Said.FAILED, _code(_text(fields.get("Status")))
            case "delivered":
                return Said.DELIVERED, None
    return Said.NOTHING, None


def _code(status: str) -> FailureCode:
    found = _STATUS.match(status)
    if found is None:
        return FailureCode.UNEXPECTED_ANSWER
    permanent, subject, detail = found[1] == "5", int(found[2]), int(found[3])
    if permanent and (subject, detail) in GONE:
        return FailureCode.ADDRESS_GONE
    if subject in POLICY:
        return FailureCode.CONTENT_REFUSED
    # It gave up trying, or the mailbox is full: the address may be good.
    return (
        FailureCode.RECIPIENT_UNREACHABLE if subject in FULL_OR_SLOW or not permanent else FailureCode.ADDRESS_REFUSED
    )


def _message_in(texts: Iterable[str], key: bytes) -> UUID | None:
    """The message of the first token that is ours."""
    looked_at = 0
    for text in texts:
        for found in _TOKEN.finditer(text[:LONGEST_VALUE].lower()):
            looked_at += 1
            if looked_at > MOST_TOKENS:
                return None
            if (message_id := _checked(found[0], key)) is not None:
                return message_id
    return None


def _checked(token: str, key: bytes) -> UUID | None:
    try:
        told = base64.b32decode(token.upper() + "=" * (-len(token) % 8))
    except binascii.Error:
        return None
    if len(told) != TOKEN_BYTES:
        return None
    message_id = UUID(bytes=told[:16])
    return message_id if hmac.compare_digest(told[16:], _mac(message_id, key)) else None


def _mac(message_id: UUID, key: bytes) -> bytes:
    return hmac.new(key, b"returned|" + message_id.bytes, hashlib.sha256).digest()[:10]


def _split(mail: bytes) -> tuple[bytes, bytes]:
    """Head and body. A part may begin with its body at once, after an empty line."""
    if mail[:1] == b"\n" or mail[:2] == b"\r\n":
        return b"", mail.lstrip(b"\r\n")
    found = _HEAD_ENDS.search(mail)
    return (mail, b"") if found is None else (mail[: found.start()], mail[found.end() :])


def _headers(head: bytes) -> Message:
    parsed: Message = BytesHeaderParser(policy=compat32).parsebytes(head[:LONGEST_HEAD])
    return parsed


def _values(headers: Message, names: Sequence[str]) -> list[str]:
    return [_text(value) for name in names for value in headers.get_all(name, [])[:MOST_PARTS]]


def _raw(value: object) -> str:
    return "" if value is None else str(value)


def _text(value: object) -> str:
    return _raw(value)[:LONGEST_VALUE]


def _boundary(headers: Message) -> str:
    # The standard library takes very long over a very long list of parameters.
    if len(_raw(headers.get("Content-Type"))) > LONGEST_VALUE:
        return ""
    return _text(headers.get_boundary())


def _parts(body: bytes, boundary: str) -> Iterator[bytes]:
    """The parts of a multipart body, the first few, without looking into them."""
    fence = boundary.encode("ascii", "replace")
    if not fence:
        return
    part: bytes | None = None
    for piece in (b"\n" + body).split(b"\n--" + fence, MOST_PARTS + 1)[1:]:
        ends = piece[:2] == b"--"
        if not ends and piece[:1] not in b"\r\n \t":
            # A longer boundary that only begins like ours: it belongs to what is inside.
            part = None if part is None else part + b"\n--" + fence + piece
            continue
        if part is not None:
            yield part.rstrip(b"\r")
        if ends:
            return
        part = piece.partition(b"\n")[2]
    if part is not None:
        yield part


def _decoded(headers: Message, content: bytes) -> bytes:
    """What a part says, where it was encoded on its way."""
    match _text(headers.get("Content-Transfer-Encoding")).strip().lower():
        case "base64":
            return base64.b64decode(re.sub(rb"[^A-Za-z0-9+/]", b"", content[: 2 * LONGEST_HEAD]) + b"===")
        case "quoted-printable":
            return quopri.decodestring(content[: 2 * LONGEST_HEAD])
    return content
