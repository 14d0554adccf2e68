"""Writes one e-mail as bytes.

The standard library's builder takes 30 times as long, which would make it the dearest step of a delivery; this one
writes only the shapes Accord sends, and the tests read each back with the standard library's parser.
"""

import binascii
import re
from base64 import b64encode
from collections.abc import Sequence
from email.utils import parseaddr
from functools import lru_cache
from typing import Final
from uuid import UUID

from backend.messaging.carriers.base import OutboundMessage
from backend.policy.vocabulary import Language

# RFC 5322: a line may have 998 characters, and should have 78; with encoded words, at most 76 (RFC 2047, section 2).
LONGEST_LINE: Final = 998
# RFC 5321, section 4.5.3.1.3, less the angle brackets.
LONGEST_ADDRESS: Final = 254
FOLD_AT: Final = 76
# Others see the name of a file.
CALENDAR_NAME: Final = {Language.FRENCH: "rendez-vous.ics", Language.ENGLISH: "appointment.ics"}

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HEADER_NAME = re.compile(r"[!-9;-~]+")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_ADDRESS = re.compile(r"[^\s\x00-\x1f\x7f@<>()\[\]\\,;:\"]+@[^\s\x00-\x1f\x7f@<>()\[\]\\,;:\"]+")
# Printable ASCII in short lines can travel as it stands; a line that could be taken for a boundary can not.
_NOT_PLAIN = re.compile(r"[^\t\r\n\x20-\x7e]|[^\n]{990}|=_accord")
_LINE_END = re.compile(r"\r\n|\r|\n")

# What this module writes itself, or what would change who a message goes to or how it is read.
_OURS = frozenset(
    {
        "auto-submitted",
        "bcc",
        "cc",
        "content-disposition",
        "content-language",
        "content-transfer-encoding",
        "content-type",
        "date",
        "from",
        "message-id",
        "mime-version",
        "received",
        "resent-bcc",
        "resent-cc",
        "resent-to",
        "return-path",
        "sender",
        "subject",
        "to",
        "x-accord-message",
    }
)


class UnsafeText(Exception):
    """A header would say more than it should: a line end, a control character, or a name that is not the caller's."""


class UnusableAddress(Exception):
    """Not one e-mail address."""


def read_sender(sender: str) -> tuple[str, str]:
    """Split `Name <address>` into name and address. Raises ValueError when there is no ASCII address in it."""
    name, address = parseaddr(sender)
    try:
        _refuse_control(sender)
        usable = read_address(address)
    except (UnsafeText, UnusableAddress):
        usable = ""
    if not usable or not usable.isascii():
        raise ValueError("The sender is an e-mail address in ASCII, or a name followed by one in angle brackets.")
    return name, usable


def read_address(address: str) -> str:
    """Check that this is one address and write its domain in ASCII (RFC 5891)."""
    if len(address) > LONGEST_ADDRESS or not _ADDRESS.fullmatch(address):
        raise UnusableAddress
    local, _at, domain = address.rpartition("@")
    try:
        return f"{local}@{domain if domain.isascii() else domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        raise UnusableAddress from None


def message_id_header(message_id: UUID, *, domain: str) -> str:
    """The Message-ID of this message: the same however often it is written."""
    return f"<{message_id}@{domain}>"


def write(message: OutboundMessage, *, to: str, sender_name: str, sender_address: str, domain: str, date: str) -> bytes:
    """Write the e-mail, ready for DATA but for the dots.

    Raises UnsafeText when a header can not be written as given, UnicodeEncodeError when a text is no Unicode.
    """
    lines = [
        f"From: {mailbox(message.sender_name or sender_name, sender_address)}",
        f"To: {to}",
        f"Subject: {_unstructured('Subject', message.subject)}",
        f"Date: {date}",
        f"Message-ID: {message_id_header(message.message_id, domain=domain)}",
        f"X-Accord-Message: {message.message_id}",
        "Auto-Submitted: auto-generated",
        f"Content-Language: {message.language}",
    ]
    for name, value in message.headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OURS:
            raise UnsafeText
        lines.append(f"{name}: {_unstructured(name, value)}")
    lines.append("MIME-Version: 1.0")
    head = "\r\n".join(lines).encode() + b"\r\n"
    body = _part("plain", message.text)
    if message.html:
        body = _several("alternative", message, [body, _part("html", message.html)])
    if message.calendar:
        disposition = f'Content-Disposition: attachment; filename="{CALENDAR_NAME[message.language]}"\r\n'
        entry = _part("calendar; method=PUBLISH", message.calendar, disposition)
        body = _several("mixed", message, [body, entry])
    return head + body


def _several(kind: str, message: OutboundMessage, parts: Sequence[bytes]) -> bytes:
    """Parts with a fence around each, which stands in none of them."""
    boundary = f"=_accord_{kind}_{message.message_id.hex}"
    fence = f"\r\n--{boundary}".encode()
    fenced = [piece for part in parts for piece in (fence, b"\r\n", part)]
    return b"".join(
        (f'Content-Type: multipart/{kind};\r\n boundary="{boundary}"\r\n'.encode(), *fenced, fence, b"--\r\n")
    )


@lru_cache(maxsize=512)
def mailbox(name: str, address: str) -> str:
    """Write a sender: a name that people read, and the address."""
    if not name:
        return address
    _refuse_control(name)
    if not name.isascii() or "=?" in name:
        shown = _encoded_words(name, indent=len("From: "))
    elif _ATOMS.fullmatch(name):
        shown = name
    else:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        shown = f'"{quoted}"'
    return (
        f"{shown}\r\n <{address}>" if len(shown) + len(address) + len("From:  <>") > FOLD_AT else f"{shown} <{address}>"
    )


def _unstructured(name: str, value: str) -> str:
    _refuse_control(value)
    room = FOLD_AT - len(name) - 2
    if not value.isascii() or "=?" in value:
        return _encoded_words(value, indent=len(name) + 2)
    if len(value) <= room:
        return value
    first, *words = value.split(" ")
    lines = [first]
    for word in words:
        # A line is never broken where it would leave one of nothing but spaces: for some readers that ends the headers.
        if word and lines[-1].strip() and len(lines[-1]) + 1 + len(word) > (room if len(lines) == 1 else FOLD_AT - 1):
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    if max(map(len, lines)) + len(name) + 2 > LONGEST_LINE:
        raise UnsafeText
    return "\r\n ".join(lines)


def _encoded_words(value: str, *, indent: int) -> str:
    """Write text that is not ASCII, in words that each decode on their own (RFC 2047)."""
    words: list[str] = []
    chunk = b""
    room = _bytes_in_word(FOLD_AT - indent)
    for character in value:
        encoded = character.encode()
        if chunk and len(chunk) + len(encoded) > room:
            words.append(_encoded_word(chunk))
            chunk = b""
            room = _bytes_in_word(FOLD_AT - 1)
        chunk += encoded
    words.append(_encoded_word(chunk))
    return "\r\n ".join(words)


def _bytes_in_word(line: int) -> int:
    # 12 characters of frame; a word has at most 75; base64 makes 4 of 3. One character (4 bytes) always fits.
    return max((min(line, 75) - len("=?utf-8?b??=")) // 4 * 3, 4)


def _encoded_word(chunk: bytes) -> str:
    return f"=?utf-8?b?{b64encode(chunk).decode('ascii')}?="


def _part(subtype: str, content: str, header: str = "") -> bytes:
    """Write one body with its headers, ending in a line end."""
    content = _LINE_END.sub("\r\n", content)
    if not content.endswith("\r\n"):
        content += "\r\n"
    if _NOT_PLAIN.search(content):
        body = binascii.b2a_qp(content.encode(), istext=True)
        encoding = b"quoted-printable"
    else:
        body = content.encode("ascii")
        encoding = b"7bit"
    return (
        b"Content-Type: text/"
        + subtype.encode("ascii")
        + b"; charset=utf-8\r\nContent-Transfer-Encoding: "
        + encoding
        + b"\r\n"
        + header.encode("ascii")
        + b"\r\n"
        + body
    )


def _refuse_control(value: str) -> None:
    if _CONTROL.search(value):
        raise UnsafeText
