"""Signed notes and checkpoints (C2SP signed-note, tlog-checkpoint), signed with Ed25519 (RFC 8032)."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from backend.vault.ciphers import derive

ED25519: Final = b"\x01"
KEY_HASH_BYTES: Final = 4
DASH: Final = "\u2014 "
SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
NAME: Final = re.compile(r"[^\s+]+")
MOST_SIGNATURES: Final = 100


class NoteRefused(ValueError):
    """A text is no note signed by the key that it has to be signed by; the sentence says why."""


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """The public half of a key that signs notes, under its name."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise NoteRefused("The name of a key has neither spaces nor a plus sign.")

    @property
    def key_hash(self) -> bytes:
        """Four bytes that tell keys apart."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:KEY_HASH_BYTES]

    def __str__(self) -> str:
        """As C2SP writes a verifier key: `name+hash+key`."""
        return f"{self.name}+{self.key_hash.hex()}+{_encoded(ED25519 + self.public)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `name+hash+key`. Raises NoteRefused."""
        name, _, rest = text.partition("+")
        key_hash, _, encoded = rest.partition("+")
        data = _decoded(encoded)
        if data[:1] != ED25519 or len(data) != 33:  # noqa: PLR2004 - the type, and an Ed25519 key
            raise NoteRefused("The key is no Ed25519 key.")
        key = cls(name, data[1:])
        if key.key_hash.hex() != key_hash:
            raise NoteRefused("The key does not have the hash that stands beside it.")
        return key

    def verify(self, note: str) -> str:
        """The text of a note that this key signed; signatures by other keys are passed over. Raises NoteRefused."""
        text, signatures = _taken_apart(note)
        own = [signature for name, signature in signatures if self._made(name, signature)]
        if not own:
            raise NoteRefused(f"The note is not signed by {self.name}.")
        for signature in own:
            try:
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature[KEY_HASH_BYTES:], text.encode())
            except (InvalidSignature, ValueError) as error:
                raise NoteRefused(f"The signature by {self.name} is not right.") from error
        return text

    def _made(self, name: str, signature: bytes) -> bool:
        return name == self.name and signature[:KEY_HASH_BYTES] == self.key_hash


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs notes, under its name."""

    name: str
    seed: bytes

    @property
    def verifying(self) -> VerifyingKey:
        """The public half."""
        return VerifyingKey(self.name, _private(self.seed).public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """The note: the text, and a line with the signature. Raises NoteRefused for what can not be a note."""
        _require_text(text)
        signature = self.verifying.key_hash + _private(self.seed).sign(text.encode())
        return f"{text}\n{DASH}{self.name} {_encoded(signature)}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The size and root of a log at one moment."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """Three lines: origin, size, root."""
        return f"{self.origin}\n{self.size}\n{_encoded(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a checkpoint. Raises NoteRefused; extension lines are not known here."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3]:  # noqa: PLR2004 - three lines and the end of the last
            raise NoteRefused("A checkpoint has three lines.")
        origin, size, root = lines[:3]
        if not origin or not SIZE.fullmatch(size):
            raise NoteRefused("The size of a checkpoint is a number without leading zeros.")
        decoded = _decoded(root)
        if len(decoded) != hashlib.sha256().digest_size:
            raise NoteRefused("The root of a checkpoint has 32 bytes.")
        return cls(origin=origin, size=int(size), root=decoded)


def note_from(data: bytes) -> str:
    """The text of a file that is said to hold a note. Raises NoteRefused."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NoteRefused("A note is written in UTF-8.") from error


def origin_of(log: UUID) -> str:
    """The name of a log: the same for ever, whatever address the installation moves to."""
    return f"accord/audit/{log}"


def signing_key(origin: str, secret: bytes) -> SigningKey:
    """The key that signs the checkpoints of one log; the secret is the installation's."""
    return SigningKey(origin, derive(secret, purpose="audit-signing-v1"))


@lru_cache(maxsize=8)
def _private(seed: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed)


def _taken_apart(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    text, gap, block = note.rpartition("\n\n")
    text += "\n"
    if not gap or not block.endswith("\n"):
        raise NoteRefused("A note is a text, an empty line, and lines with signatures.")
    _require_text(text)
    lines = block[:-1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise NoteRefused("The note has more signatures than anybody needs.")
    return text, [_signature(line) for line in lines]


def _signature(line: str) -> tuple[str, bytes]:
    name, gap, encoded = line.removeprefix(DASH).partition(" ")
    signature = _decoded(encoded)
    if not line.startswith(DASH) or not gap or not NAME.fullmatch(name) or len(signature) <= KEY_HASH_BYTES:
        raise NoteRefused("A line with a signature is a dash, a name and Base64.")
    return name, signature


def _require_text(text: str) -> None:
    if not text.endswith("\n") or text == "\n" or any(ord(letter) < 0x20 and letter != "\n" for letter in text):  # noqa: PLR2004 - U+0020
        raise NoteRefused("The text of a note ends with a line and has no control characters.")


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decoded(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteRefused("That is no Base64.") from error
    if _encoded(data) != text:
        raise NoteRefused("That Base64 is not written the one way there is.")
    return data
