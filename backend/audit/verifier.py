"""Is this audit bundle what was logged, all of it and nothing else? One file, for any machine with Python 3.11.

    python verifier.py BUNDLE [--checkpoint FILE ...] [--keys FILE] [--messages] [--json]
    python verifier.py --receipt FILE --jwks FILE [--json]

What proves integrity needs the standard library alone. `--checkpoint` names a checkpoint that somebody kept elsewhere:
without one, whoever holds the log's key could have written another history. `--keys` names the private key of the data
protection officer (X25519, PEM) and needs the package `cryptography`: the entries are then opened, what was erased is
accounted for, and each message that was handed over is held against the consent that permitted it.

`--receipt` checks a consent receipt (`docs/reference/receipts.md`) instead: is it as a key of `--jwks` signed it? The
key set is what the installation publishes under /receipts/keys; whoever doubts the installation keeps a copy of it.

Exit code 0: valid. 1: invalid. 2: unusable (no bundle, not readable, a wrong file of keys or checkpoints).

BUNDLE may also be an export of consents (`docs/reference/consent-export.md`): then every file in it is held against the
signed manifest, and the key that signed it against the checkpoints.

The format is `docs/reference/audit-bundle.md`, version 1. Memory does not grow with the log, but for what the replay
keeps: about 200 bytes for each patient, purpose and channel, and for each message taken up and not handed over; and 21
bytes for each entry, for its id.
"""

import argparse
import base64
import binascii
import contextlib
import hashlib
import heapq
import hmac
import json
import os
import re
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Final, TextIO
from uuid import UUID

VALID, INVALID, UNUSABLE = 0, 1, 2

BUNDLE_WIDTH: Final = 256
MOST_LEAF_BYTES: Final = 60_000
MOST_ENTRY_BUNDLE_BYTES: Final = BUNDLE_WIDTH * (2 + MOST_LEAF_BYTES)
MOST_NOTE_BYTES: Final = 1 << 16
MOST_SIGNATURES: Final = 100
MOST_LINE_BYTES: Final = 1 << 12
MOST_NAME_BYTES: Final = 200
CHUNK_BYTES: Final = 1 << 20
MOST_FINDINGS: Final = 1_000
MAX_SAFE_INTEGER: Final = 2**53 - 1
HASH_BYTES: Final = 32
ZIP64_ABOVE: Final = 2**31 - 1
MOST_MEMBERS_WITHOUT_ZIP64: Final = 2**16 - 1
LONG_LOG: Final = 50_000
SHOWN_FINDINGS: Final = 20
EXPORT_FORM: Final = "accord-consent-export/v1"
EXPORT_HEAD: Final = ("about", "policy", "checkpoint", "entry", "proof")
EXPORT_ACTION: Final = "consent.exported"

_ID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_ORIGIN: Final = rf"accord/audit/{_ID}"
# 0 to 2^53 - 1, without leading zeros: a prefix of the largest, a smaller digit, and any digits behind it.
_LARGEST: Final = "9007199254740991"
_NUMBER: Final = "|".join(
    [r"[1-8][0-9]{15}", r"[1-9][0-9]{0,14}", "0", _LARGEST]
    + [
        rf"{_LARGEST[:at]}[0-{int(digit) - 1}][0-9]{{{15 - at}}}"
        for at, digit in enumerate(_LARGEST)
        if at and digit != "0"
    ]
)
_ROOT: Final = r"[A-Za-z0-9+/]{43}="
_VKEY: Final = r"[^ \n+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+={0,2}"


class Unusable(Exception):
    """Nothing can be said about this bundle: it is none, or what was handed over with it can not be used."""


class Broken(Exception):
    """Something is wrong, and what stands behind it can not be read on its account."""

    def __init__(self, code: str, sentence: str, *, entry: int | None = None) -> None:
        super().__init__(sentence)
        self.code, self.sentence, self.entry = code, sentence, entry


class Malformed(ValueError):
    """Bytes that do not have the form they need to have."""


# ------------------------------------------------------------------------------------- Ed25519 (RFC 8032), verifying

P: Final = 2**255 - 19
L: Final = 2**252 + 27742317777372353535851937790883648493
D: Final = -121665 * pow(121666, -1, P) % P
SQRT_MINUS_ONE: Final = pow(2, (P - 1) // 4, P)
BASE_Y: Final = 4 * pow(5, -1, P) % P

Point = tuple[int, int, int, int]
# An addend is kept as (Y - X, Y + X, 2dT, 2Z): what every addition of it would compute again.
Addend = tuple[int, int, int, int]
IDENTITY: Final[Point] = (0, 1, 1, 0)


def _decompress(encoded: bytes) -> Point | None:
    """The point of 32 bytes; None where they are not the one encoding of a point on the curve (RFC 8032, 5.1.3)."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P != u:
        x = x * SQRT_MINUS_ONE % P
        if v * x * x % P != u:
            return None
    if x == 0 and sign:
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def _compress(point: Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _double(point: Point) -> Point:
    x, y, z, _ = point
    a, b = x * x % P, y * y % P
    h, g = a + b, a - b
    e, f = h - (x + y) * (x + y), 2 * z * z + g
    return e * f % P, g * h % P, f * g % P, e * h % P


def _addend(point: Point) -> Addend:
    x, y, z, t = point
    return (y - x) % P, (y + x) % P, 2 * D * t % P, 2 * z % P


def _add(point: Point, other: Addend) -> Point:
    x, y, z, t = point
    a, b = (y - x) * other[0] % P, (y + x) * other[1] % P
    c, d = t * other[2] % P, z * other[3] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _subtract(point: Point, other: Addend) -> Point:
    less, more, t, z = other
    return _add(point, (more, less, P - t, z))


def _odd_multiples(point: Point, count: int) -> list[Addend]:
    """The point times 1, 3, 5, ..."""
    twice = _addend(_double(point))
    multiples = [point]
    for _ in range(count - 1):
        multiples.append(_add(multiples[-1], twice))
    return [_addend(multiple) for multiple in multiples]


@cache
def _base_multiples() -> list[Addend]:
    base = _decompress(BASE_Y.to_bytes(32, "little"))
    assert base is not None  # noqa: S101 - a constant of the standard
    return _odd_multiples(base, 32)


def _sparse_digits(number: int, width: int) -> list[int]:
    """The number in signed binary, odd digits below 2^width, most of them zero; lowest first."""
    digits = []
    while number:
        digit = 0
        if number & 1:
            digit = number & ((2 << width) - 1)
            if digit >> width:
                digit -= 2 << width
            number -= digit
        digits.append(digit)
        number >>= 1
    return digits


def _combine(first: int, table: list[Addend], second: int) -> Point:
    """`first` times the point of the table plus `second` times the base point."""
    tables = (table, _base_multiples())
    columns = [_sparse_digits(first, 4), _sparse_digits(second, 6)]
    length = max(map(len, columns))
    rows = list(zip(*(digits + [0] * (length - len(digits)) for digits in columns), strict=True))
    total = IDENTITY
    for row in reversed(rows):
        total = _double(total)
        for digit, multiples in zip(row, tables, strict=True):
            if digit > 0:
                total = _add(total, multiples[digit >> 1])
            elif digit:
                total = _subtract(total, multiples[-digit >> 1])
    return total


@lru_cache(maxsize=64)
def _negative_multiples(public: bytes) -> list[Addend] | None:
    """What verifying needs of a public key; None where it is none that anybody may use."""
    point = _decompress(public)
    if point is None or _has_small_order(point):
        return None
    x, y, z, t = point
    return _odd_multiples((P - x, y, z, P - t), 8)


def _has_small_order(point: Point) -> bool:
    x, y, z, _ = _double(_double(_double(point)))
    return x == 0 and y == z


def ed25519_verify(public: bytes, signature: bytes, message: Iterable[bytes]) -> bool:
    """Did the holder of this key sign this message (in pieces)? Strict: S below L, canonical points, no small order."""
    if len(public) != 32 or len(signature) != 64:  # noqa: PLR2004 - RFC 8032, 5.1.5 and 5.1.6
        return False
    digest = hashlib.sha512(signature[:32] + public)
    for piece in message:
        digest.update(piece)
    return _holds(public, signature, digest.digest())


# A checkpoint that was kept is often the one that stands in the bundle.
@lru_cache(maxsize=64)
def _holds(public: bytes, signature: bytes, digest: bytes) -> bool:
    multiples = _negative_multiples(public)
    s = int.from_bytes(signature[32:], "little")
    if multiples is None or s >= L:
        return False
    # R is computed and compared as bytes, so that no other encoding of it is taken.
    computed = _combine(int.from_bytes(digest, "little") % L, multiples, s)
    return _compress(computed) == signature[:32] and not _has_small_order(computed)


# ---------------------------------------------------------------- signed notes and checkpoints (C2SP signed-note, tlog)


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A key that signs notes, as a vkey names it."""

    name: str
    key_id: bytes
    public: bytes
    vkey: str


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line of a note."""

    name: str
    key_id: bytes
    blob: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A note taken apart, its signatures not looked at yet."""

    text: bytes
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint says."""

    origin: str
    size: int
    root: bytes


def strict_base64(text: str) -> bytes:
    """Decode the one Base64 form of some bytes. Raises Malformed."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("not Base64") from error
    if base64.b64encode(decoded).decode() != text:
        raise Malformed("not the usual Base64")
    return decoded


def parse_vkey(vkey: str) -> NoteKey:
    """Read `name+key id+key`. Raises Malformed."""
    if not re.fullmatch(_VKEY, vkey):
        raise Malformed("not a verifier key")
    name, key_id, encoded = vkey.split("+", 2)
    material = strict_base64(encoded)
    if not _is_key_name(name) or len(material) != 1 + HASH_BYTES or material[0] != 1:
        raise Malformed("not an Ed25519 verifier key")
    if hashlib.sha256(name.encode() + b"\n" + material).hexdigest()[:8] != key_id:
        raise Malformed("a verifier key whose id is not its own")
    return NoteKey(name, bytes.fromhex(key_id), material[1:], vkey)


def _is_key_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(character.isspace() for character in name)


def parse_note(data: bytes) -> Note:
    """Take a note apart. Raises Malformed."""
    text, blank, block = data.rpartition(b"\n\n")
    if not blank or len(data) > MOST_NOTE_BYTES:
        raise Malformed("not a signed note")
    text += b"\n"
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise Malformed("not a note in UTF-8") from error
    if any(character < 0x20 and character != 0x0A for character in text):  # noqa: PLR2004 - the first printable one
        raise Malformed("a note with control characters")
    return Note(text, parse_signatures(block))


def parse_signatures(block: bytes) -> tuple[Signature, ...]:
    """Read the signature lines of a note. Raises Malformed."""
    if not block.endswith(b"\n"):
        raise Malformed("a note without a last line end")
    lines = block[:-1].split(b"\n")
    if len(lines) > MOST_SIGNATURES:
        raise Malformed("a note with more than 100 signatures")
    return tuple(_parse_signature(line) for line in lines)


def _parse_signature(line: bytes) -> Signature:
    try:
        dash, name, encoded = line.decode().split(" ")
    except ValueError as error:
        raise Malformed("a note whose signature line can not be read") from error
    if dash != "—" or not _is_key_name(name):
        raise Malformed("a note whose signature line is none")
    blob = strict_base64(encoded)
    if len(blob) <= 4:  # noqa: PLR2004 - bytes of the key id
        raise Malformed("a note with an empty signature")
    return Signature(name, blob[:4], blob[4:])


def signature_problem(signatures: Iterable[Signature], key: NoteKey, text: Callable[[], Iterable[bytes]]) -> str | None:
    """What is wrong with the signature of this key: None where it is there and right. Other keys are ignored."""
    ours = {one.blob for one in signatures if (one.name, one.key_id) == (key.name, key.key_id)}
    if not ours:
        return "is not signed by the log's key"
    if not all(ed25519_verify(key.public, blob, text()) for blob in ours):
        return "has a wrong signature"
    return None


def note_problem(note: Note, key: NoteKey) -> str | None:
    """What is wrong with the signature of this key under a note."""
    return signature_problem(note.signatures, key, lambda: (note.text,))


def parse_checkpoint(text: bytes) -> Checkpoint:
    """Read the three lines of a checkpoint. Raises Malformed."""
    found = re.fullmatch(rf"([^\n]+)\n({_NUMBER})\n({_ROOT})\n".encode(), text)
    if not found:
        raise Malformed("not a checkpoint of three lines: origin, size, root")
    return Checkpoint(found[1].decode(), int(found[2]), strict_base64(found[3].decode()))


# ------------------------------------------------------------------------------------------ the tree (RFC 6962, 2.1)

EMPTY_ROOT: Final = hashlib.sha256().digest()


def leaf_hash(leaf: bytes) -> bytes:
    """The hash under which a leaf stands in the tree."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash above two others."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _levels(hashes: bytes) -> list[bytes]:
    """All complete nodes above up to 256 hashes, level by level; each level in one piece."""
    levels = [hashes]
    sha256 = hashlib.sha256
    while len(levels[-1]) >= 2 * HASH_BYTES:
        below = levels[-1]
        starts = range(0, len(below) - HASH_BYTES, 2 * HASH_BYTES)
        levels.append(b"".join([sha256(b"\x01" + below[start : start + 64]).digest() for start in starts]))
    return levels


@dataclass(slots=True)
class Tree:
    """A Merkle tree that is handed its leaf hashes tile by tile and keeps the last tile and the peaks before it."""

    size: int = 0
    _before: int = 0
    _levels: list[bytes] = field(default_factory=lambda: [b""])
    _peaks: list[tuple[int, bytes]] = field(default_factory=list)

    def extend(self, tile: bytes) -> None:
        """Add up to 256 leaf hashes; only the last tile may be incomplete."""
        if self.size:
            self._close_tile()
        self._before = self.size
        self._levels = _levels(tile)
        self.size += len(tile) // HASH_BYTES

    def tile_root(self) -> bytes:
        """The root of the complete tile that was added last."""
        return self._levels[8]

    def _close_tile(self) -> None:
        height, node = 0, self.tile_root()
        while self._peaks and self._peaks[-1][0] == height:
            height, node = height + 1, node_hash(self._peaks.pop()[1], node)
        self._peaks.append((height, node))

    def root_at(self, size: int) -> bytes:
        """The root at a size that lies in the last tile, or at its beginning."""
        inside = size - self._before
        node: bytes | None = None
        for height in range(9):
            if inside >> height & 1:
                end = (inside >> height) * HASH_BYTES
                peak = self._levels[height][end - HASH_BYTES : end]
                node = peak if node is None else node_hash(peak, node)
        for _, peak in reversed(self._peaks):
            node = peak if node is None else node_hash(peak, node)
        return EMPTY_ROOT if node is None else node


@dataclass(frozen=True, slots=True)
class Tile:
    """A member of the archive that holds entries (level None) or hashes."""

    level: int | None
    number: int
    width: int

    def name(self, prefix: str = "") -> str:
        """Where it stands in the archive (C2SP tlog-tiles)."""
        groups = [f"{self.number % 1000:03d}"]
        rest = self.number // 1000
        while rest:
            groups.append(f"x{rest % 1000:03d}")
            rest //= 1000
        partial = "" if self.width == BUNDLE_WIDTH else f".p/{self.width}"
        level = "entries" if self.level is None else str(self.level)
        return f"{prefix}tile/{level}/{'/'.join(reversed(groups))}{partial}"


def tile_order(size: int) -> Iterator[Tile]:
    """All entry bundles and hash tiles of a log, in the order in which they become complete."""
    whole, rest = divmod(size, BUNDLE_WIDTH)
    for number in range(whole):
        yield Tile(None, number, BUNDLE_WIDTH)
        yield Tile(0, number, BUNDLE_WIDTH)
        level, done = 1, number + 1
        while done % BUNDLE_WIDTH == 0:
            done //= BUNDLE_WIDTH
            yield Tile(level, done - 1, BUNDLE_WIDTH)
            level += 1
    if rest:
        yield Tile(None, whole, rest)
        yield Tile(0, whole, rest)
    level, done = 1, whole
    while done:
        number, rest = divmod(done, BUNDLE_WIDTH)
        if rest:
            yield Tile(level, number, rest)
        level, done = level + 1, number


def meta_tile_order(size: int) -> Iterator[Tile]:
    """The tiles that hold all leaf hashes of the meta-log."""
    return (tile for tile in tile_order(size) if tile.level == 0)


# ------------------------------------------------------------------------------------------------ the archive (zip)

DOS_DATE: Final = 0x0021
LOCAL: Final = struct.Struct("<4s5H3I2H")
CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
END: Final = struct.Struct("<4s4H2IH")
END64: Final = struct.Struct("<4sQ2H2I4Q")
LOCATOR64: Final = struct.Struct("<4sIQI")
ATTRIBUTES: Final = 0o100644 << 16
STORED: Final = 0
VIEWS: Final = ("views/entries.csv", "views/audit_event.ndjson")


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the archive."""

    name: str
    crc: int
    packed: int
    size: int
    at: int

    @property
    def content_at(self) -> int:
        """Where its content begins."""
        return self.at + LOCAL.size + len(self.name) + (20 if self._sizes64 else 0)

    @property
    def _sizes64(self) -> tuple[int, ...]:
        return (self.size, self.packed) if max(self.size, self.packed) > ZIP64_ABOVE else ()

    def local_header(self) -> bytes:
        """The bytes that have to stand before its content."""
        extra = _zip64_field(self._sizes64)
        sizes = (0xFFFFFFFF, 0xFFFFFFFF) if extra else (self.packed, self.size)
        name, version = self.name.encode(), 45 if extra else 20
        start = LOCAL.pack(b"PK\x03\x04", version, 0, STORED, 0, DOS_DATE, self.crc, *sizes, len(name), len(extra))
        return start + name + extra

    def central_header(self) -> bytes:
        """The bytes that have to stand in the directory."""
        far = (self.at,) if self.at > ZIP64_ABOVE else ()
        extra = _zip64_field(self._sizes64 + far)
        sizes = (0xFFFFFFFF, 0xFFFFFFFF) if self._sizes64 else (self.packed, self.size)
        name, version = self.name.encode(), 45 if extra else 20
        start = CENTRAL.pack(
            b"PK\x01\x02",
            3 << 8 | version,
            version,
            0,
            STORED,
            0,
            DOS_DATE,
            self.crc,
            *sizes,
            len(name),
            len(extra),
            0,
            0,
            0,
            ATTRIBUTES,
            0xFFFFFFFF if far else self.at,
        )
        return start + name + extra


def _zip64_field(numbers: tuple[int, ...]) -> bytes:
    return struct.pack(f"<2H{len(numbers)}Q", 1, 8 * len(numbers), *numbers) if numbers else b""


def _not_canonical(what: str) -> Broken:
    return Broken("archive", f"The archive is not canonical: {what}.")


def shown(text: str | bytes) -> str:
    """Foreign text, harmless on a terminal and not too long."""
    readable = ascii(text.decode("utf-8", "replace") if isinstance(text, bytes) else text)
    return readable if len(readable) <= 80 else f"{readable[:77]}..."  # noqa: PLR2004 - a line of a terminal


class Archive:
    """A zip whose every byte is as the format says; whatever it can not account for is Broken."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.bytes = file.seek(0, os.SEEK_END)
        self._directory_at = 0
        self._directory_end = 0
        self._count = 0

    def looks_like_a_bundle(self) -> bool:
        """Is it a bundle at all, whole or not?"""
        start = self.read_up_to(0, 36)
        if start.startswith(b"PK\x03\x04") and start[30:] == b"policy":
            return True
        if self.looks_like_an_export():
            return True
        tail = self.read_up_to(max(self.bytes - 2 * MOST_NOTE_BYTES, 0), 2 * MOST_NOTE_BYTES)
        return b"PK\x05\x06" in tail and b"manifest" in tail

    def looks_like_an_export(self) -> bool:
        """Is it an export of consents, whole or not?"""
        start = self.read_up_to(0, 35)
        return start.startswith(b"PK\x03\x04") and start[30:] == b"about"

    def read_up_to(self, at: int, count: int) -> bytes:
        """Bytes from a place in the file, fewer at its end."""
        count = min(count, self.bytes - at)
        if count <= 0:
            return b""
        self._file.seek(at)
        pieces = []
        while count and (piece := self._file.read(count)):
            pieces.append(piece)
            count -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read(self, at: int, count: int) -> bytes:
        """Bytes from a place in the file. Raises Broken where it is too short."""
        piece = self.read_up_to(at, count)
        if len(piece) != count:
            raise Broken("archive", "The archive is cut short.")
        return piece

    def open_directory(self) -> None:
        """Find the directory at the end of the file. Raises Broken."""
        at = self.bytes - END.size
        if at < 0:
            raise Broken("archive", "The archive is cut short.")
        signature, *_, entries, length, start, _comment = END.unpack(self.read(at, END.size))
        if signature != b"PK\x05\x06":
            raise Broken("archive", "The archive is cut short, or something was added at its end.")
        end = at
        locator_at = at - LOCATOR64.size
        if locator_at >= END64.size and self.read(locator_at, 4) == b"PK\x06\x07":
            end = locator_at - END64.size
            *_, entries, length, start = END64.unpack(self.read(end, END64.size))
        self._count, self._directory_at, self._directory_end = entries, start, end
        if start + length != end or self.read(end, self.bytes - end) != self._expected_end(length):
            raise _not_canonical("its end is not as it has to be")

    def _expected_end(self, length: int) -> bytes:
        start, count = self._directory_at, self._count
        record = b""
        if count > MOST_MEMBERS_WITHOUT_ZIP64 or max(start, length) > ZIP64_ABOVE:
            record = END64.pack(b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, start)
            record += LOCATOR64.pack(b"PK\x06\x07", 0, start + length, 1)
        few = min(count, 0xFFFF)
        return record + END.pack(b"PK\x05\x06", 0, 0, few, few, min(length, 0xFFFFFFFF), min(start, 0xFFFFFFFF), 0)

    def members(self, *, again: bool = False) -> Iterator[Member]:
        """All members as they stand in the directory and in the file, one behind the other. Raises Broken.

        `again` does not look once more whether every byte that describes them is as it has to be.
        """
        at, place, window, start = 0, self._directory_at, b"", self._directory_at
        most = CENTRAL.size + 2 * MOST_NAME_BYTES
        for _ in range(self._count):
            if at >= self._directory_at:
                raise _not_canonical("its directory names more than it holds")
            if place - start + most > len(window) and start + len(window) < self._directory_end:
                window, start = self.read(place, min(MOST_NOTE_BYTES, self._directory_end - place)), place
            header = window[place - start : place - start + most]
            member, length = self._member(header, at)
            if not again:
                self._check_headers(member, header[:length])
            yield member
            place, at = place + length, member.content_at + member.packed
        if place != self._directory_end or at != self._directory_at:
            raise _not_canonical("something stands between its members, or before its directory")

    def _member(self, header: bytes, at: int) -> tuple[Member, int]:
        if len(header) < CENTRAL.size:
            raise _not_canonical("its directory is cut short")
        fields = CENTRAL.unpack_from(header)
        crc, packed, size, name_bytes, extra_bytes = fields[7:12]
        name = header[CENTRAL.size : CENTRAL.size + name_bytes]
        length = CENTRAL.size + name_bytes + extra_bytes
        if not name.isascii() or name_bytes > MOST_NAME_BYTES:
            raise _not_canonical(f"it has a member named {shown(name)}")
        if packed == size == 0xFFFFFFFF and extra_bytes >= 20:  # noqa: PLR2004 - a ZIP64 field with two sizes
            if len(header) < length:
                raise _not_canonical("its directory is cut short")
            size, packed = struct.unpack_from("<2Q", header, CENTRAL.size + name_bytes + 4)
        return Member(name.decode(), crc, packed, size, at), length

    def _check_headers(self, member: Member, central: bytes) -> None:
        if central != member.central_header():
            raise _not_canonical(f"the member {shown(member.name)} is not described as it has to be")
        local = member.local_header()
        if self.read(member.at, len(local)) != local:
            raise _not_canonical(f"before the member {shown(member.name)} stands something else than its header")

    def content(self, member: Member) -> Iterator[bytes]:
        """The content of a member in pieces. Raises Broken."""
        crc = 0
        for piece in self._pieces(member.content_at, member.packed):
            crc = zlib.crc32(piece, crc)
            yield piece
        if crc != member.crc:
            raise Broken("archive", f"The checksum of {member.name} is wrong.")

    def _pieces(self, at: int, count: int) -> Iterator[bytes]:
        while count:
            piece = self.read(at, min(count, CHUNK_BYTES))
            yield piece
            at, count = at + len(piece), count - len(piece)

    def whole(self, member: Member) -> bytes:
        """The content of a member in one piece, its checksum not looked at. Raises Broken."""
        return self.read(member.content_at, member.packed)

    def lines(self, member: Member, *, end: int | None = None) -> Iterator[bytes]:
        """The lines of a member up to a place in it, without their ends. Raises Broken."""
        rest = b""
        count = member.size if end is None else end
        for piece in self._pieces(member.content_at, count):
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
            if len(rest) > MOST_LINE_BYTES:
                break
        if rest:
            raise Broken("archive", f"A line of {member.name} has no end.")


# ------------------------------------------------------------------------------------------------------- what was found


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, in a sentence; with the entry where it can be named."""

    code: str
    sentence: str
    entry: int | None = None
    id: str | None = None


@dataclass(slots=True)
class Pin:
    """A checkpoint that somebody kept elsewhere."""

    file: str
    note: Note
    checkpoint: Checkpoint
    ok: bool = False


@dataclass(slots=True)
class Messages:
    """What the replay says of the messages that were handed over."""

    handed_over: int = 0
    with_consent: int = 0
    unreadable: int = 0
    closed_list: Counter[str] = field(default_factory=Counter)
    without_consent: list[dict[str, object]] = field(default_factory=list)
    without_consent_count: int = 0
    permitted: list[dict[str, object]] | None = None


@dataclass(slots=True)
class Export:
    """What an export of consents says of itself: its facts, and its files with the hash that each has."""

    facts: list[str] = field(default_factory=list)
    files: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """Everything there is to say about a bundle."""

    origin: str | None = None
    clinic: str | None = None
    size: int | None = None
    root: bytes | None = None
    key: str | None = None
    entries: int = 0
    parts: int = 0
    erased: int = 0
    unreadable: int | None = None
    pins: Sequence[Pin] = ()
    messages: Messages | None = None
    export: "Export | None" = None
    findings: list[Finding] = field(default_factory=list)
    more_findings: int = 0
    warnings: list[str] = field(default_factory=list)
    first_entry: Finding | None = None

    def add(self, code: str, sentence: str, *, entry: int | None = None, identity: str | None = None) -> None:
        """Note something that is wrong; the first thousand are kept."""
        finding = Finding(code, sentence, entry, identity)
        if finding in self.findings[-8:]:
            return
        if entry is not None and (self.first_entry is None or entry < (self.first_entry.entry or 0)):
            self.first_entry = finding
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)
        else:
            self.more_findings += 1

    def note(self, broken: Broken) -> None:
        """Note what kept us from reading on."""
        self.add(broken.code, broken.sentence, entry=broken.entry)

    @property
    def valid(self) -> bool:
        """Is there nothing wrong?"""
        return not self.findings

    def document(self) -> dict[str, object]:
        """For `--json`."""
        messages = self.messages
        return {
            "valid": self.valid,
            "origin": self.origin,
            "clinic": self.clinic,
            "size": self.size,
            "root": None if self.root is None else base64.b64encode(self.root).decode(),
            "key": self.key,
            "entries": self.entries,
            "parts": self.parts,
            "unreadable": self.unreadable,
            "erased": self.erased,
            "pinned": [
                {"file": pin.file, "origin": pin.checkpoint.origin, "size": pin.checkpoint.size, "ok": pin.ok}
                for pin in self.pins
            ],
            "findings": [
                {"code": one.code, "entry": one.entry, "id": one.id, "sentence": one.sentence} for one in self.findings
            ],
            "more_findings": self.more_findings,
            "messages": None
            if messages is None
            else {
                "handed_over": messages.handed_over,
                "with_consent": messages.with_consent,
                "closed_list": dict(sorted(messages.closed_list.items())),
                "without_consent": messages.without_consent,
                "without_consent_count": messages.without_consent_count,
                "unreadable": messages.unreadable,
                **({} if messages.permitted is None else {"permitted": messages.permitted}),
            },
            "warnings": self.warnings,
            **(
                {}
                if self.export is None
                else {
                    "export": {
                        "facts": self.export.facts,
                        "files": [{"name": name, "sha256": digest} for name, digest in self.export.files],
                    }
                }
            ),
        }


# ------------------------------------------------------------------------------------------ what the archive holds


@dataclass(slots=True)
class Contents:
    """Where everything stands, and what the notes say."""

    log: NoteKey
    meta: NoteKey
    note: Note
    checkpoint: Checkpoint
    meta_note: Note | None = None
    meta_checkpoint: Checkpoint | None = None
    members: dict[str, Member] = field(default_factory=dict)


@dataclass(slots=True)
class _Survey:
    """Goes through the directory and finds each member where it is due."""

    archive: Archive
    members: Iterator[Member]
    ahead: Member | None = None

    @classmethod
    def of(cls, archive: Archive) -> "_Survey":
        members = archive.members()
        return cls(archive, members, next(members, None))

    def next_is(self, *names: str) -> bool:
        return self.ahead is not None and self.ahead.name in names

    def take(self, name: str, *, most: int | None = None, exactly: int | None = None, about: str = "") -> Member:
        """The next member, which has to be this one. Raises Broken."""
        member = self.ahead
        if member is None or member.name != name:
            found = "ends" if member is None else f"holds {shown(member.name)}"
            raise Broken("members", f"The archive {found} where {name} is due{about}.")
        if (exactly is not None and member.size != exactly) or (most is not None and member.size > most):
            raise Broken("members", f"{name} does not have the size it has to have{about}.")
        if member.size != member.packed:
            raise _not_canonical(f"{name} does not have the size it says")
        self.ahead = next(self.members, None)
        return member

    def note(self, name: str) -> tuple[Member, Note, Checkpoint]:
        member = self.take(name, most=MOST_NOTE_BYTES)
        try:
            note = parse_note(self.archive.whole(member))
            return member, note, parse_checkpoint(note.text)
        except Malformed as error:
            raise Broken("checkpoint", f"{name} can not be read: it is {error}.") from error


def survey(archive: Archive) -> Contents:
    """Find every member in its place. Raises Broken."""
    archive.open_directory()
    hunt = _Survey.of(archive)
    policy = hunt.take("policy", most=MOST_LINE_BYTES)
    log, meta = _read_policy(archive.whole(policy))
    member, note, checkpoint = hunt.note("checkpoint")
    if checkpoint.origin != log.name:
        raise Broken("checkpoint", "The checkpoint is of another log than the policy.")
    contents = Contents(log, meta, note, checkpoint, members={"policy": policy, "checkpoint": member})
    for tile in tile_order(checkpoint.size):
        _take_tile(hunt, tile)
    if hunt.next_is("meta/checkpoint"):
        _survey_meta(hunt, contents)
    if hunt.next_is("keys/recipient"):
        contents.members["keys/recipient"] = hunt.take("keys/recipient", most=MOST_LINE_BYTES)
        contents.members["keys/keys.ndjson"] = hunt.take("keys/keys.ndjson")
    for name in VIEWS:
        if hunt.next_is(name):
            contents.members[name] = hunt.take(name)
    contents.members["manifest"] = hunt.take("manifest")
    if hunt.ahead is not None:
        raise Broken("members", f"The archive holds {shown(hunt.ahead.name)} behind the manifest.")
    return contents


def _take_tile(hunt: _Survey, tile: Tile, prefix: str = "") -> Member:
    about = ""
    if not prefix:
        first = tile.number * BUNDLE_WIDTH ** ((tile.level or 0) + 1)
        about = f" (it is about the entries from {first} on)"
    if tile.level is None:
        return hunt.take(tile.name(), most=MOST_ENTRY_BUNDLE_BYTES, about=about)
    return hunt.take(tile.name(prefix), exactly=tile.width * HASH_BYTES, about=about)


def _survey_meta(hunt: _Survey, contents: Contents) -> None:
    member, contents.meta_note, contents.meta_checkpoint = hunt.note("meta/checkpoint")
    contents.members["meta/checkpoint"] = member
    if contents.meta_checkpoint.origin != contents.meta.name:
        raise Broken("meta_checkpoint", "The checkpoint of the meta-log is of another log than the policy says.")
    for tile in meta_tile_order(contents.meta_checkpoint.size):
        member = _take_tile(hunt, tile, "meta/")
        contents.members.setdefault("meta/tile", member)
    contents.members["meta/own"] = hunt.take("meta/own")


def _read_policy(text: bytes) -> tuple[NoteKey, NoteKey]:
    found = re.fullmatch(rf"log ({_VKEY})\nlog ({_VKEY})\nquorum none\n".encode(), text)
    try:
        if not found:
            raise Malformed("not a policy of two logs")
        log, meta = parse_vkey(found[1].decode()), parse_vkey(found[2].decode())
        if log.name == meta.name or not all(re.fullmatch(_ORIGIN, key.name) for key in (log, meta)):
            raise Malformed("a policy whose logs have other names than ours")
    except ValueError as error:
        reason = error if isinstance(error, Malformed) else "not text"
        raise Broken("policy", f"The policy can not be read: it is {reason}.") from error
    return log, meta


# -------------------------------------------------------------------------------------------------------- the manifest


class Manifest:
    """The signed list of all members, read along while they are hashed."""

    def __init__(self, archive: Archive, contents: Contents, report: Report) -> None:
        self._archive, self._report = archive, report
        self._member = contents.members["manifest"]
        self._check_signature(contents.log)
        self._lines: Iterator[bytes] | None = archive.lines(self._member, end=self._text_bytes)
        self.clinic = self._read_head(contents.checkpoint)

    def _check_signature(self, key: NoteKey) -> None:
        at = self._member.content_at
        tail_bytes = min(self._member.size, MOST_NOTE_BYTES)
        tail = self._archive.read(at + self._member.size - tail_bytes, tail_bytes)
        text, _, block = tail.rpartition(b"\n\n")
        try:
            signatures = parse_signatures(block)
        except Malformed as error:
            raise Broken("manifest", f"The manifest can not be read: it is {error}.") from error
        self._text_bytes = self._member.size - tail_bytes + len(text) + 1
        problem = signature_problem(signatures, key, lambda: self._archive._pieces(at, self._text_bytes))  # noqa: SLF001 - one module
        if problem:
            self._report.add("manifest_signature", f"The manifest {problem}.")

    def _read_head(self, checkpoint: Checkpoint) -> str:
        lines = self._lines or iter(())
        head = b"".join(line + b"\n" for _, line in zip(range(5), lines, strict=False))
        found = re.fullmatch(
            rf"accord-audit-bundle/v1\norigin ([^\n]+)\nclinic ({_ID})\n"
            rf"size ({_NUMBER})\nmade-at (?:{_NUMBER})\n".encode(),
            head,
        )
        if not found:
            raise Broken("manifest", "The head of the manifest is not as it has to be.")
        if found[1] != checkpoint.origin.encode() or int(found[3]) != checkpoint.size:
            raise Broken("manifest", "The manifest is about another log, or another size of it, than the checkpoint.")
        return found[2].decode()

    def expect(self, member: Member, digest: bytes) -> None:
        """The next line has to be this member's."""
        if self._lines is None:
            return
        line = next(self._lines, b"")
        if line == f"{digest.hex()} {member.size} {member.name}".encode():
            return
        if line.endswith(f" {member.name}".encode()):
            self._report.add("member_changed", f"{member.name} is not as the manifest describes it.")
        else:
            self._report.add("manifest", f"The manifest does not name {member.name} where it is due.")
            self._lines = None

    def wrong_checksum(self, member: Member) -> None:
        """Note that a member is not even what its own archive says it is."""
        self._report.add("archive", f"The checksum of {member.name} is wrong.")

    def finish(self) -> None:
        """No line may be left."""
        if self._lines is not None and next(self._lines, None) is not None:
            self._report.add("manifest", "The manifest names more than the archive holds.")


# ---------------------------------------------------------------------------------------------------------- the leaf


def leaf_pattern(clinic: str) -> re.Pattern[bytes]:
    """Version, length, header and number of parts of a leaf of this clinic.

    The header's keys and forms leave one canonical way to write it: what matches is canonical, and nothing else is.
    """
    code = "[a-z][a-z0-9_.]{0,59}"
    actor = "u:[A-Za-z0-9_-]{1,32}|svc:[a-z][a-z0-9_-]{0,31}|sys|p|r"
    header = (
        rf'\{{"a":"({code})","ac":"(?:{actor})"(?:,"cid":"[0-9a-f]{{32}}")?,"id":"({_ID})","ks":1,'
        rf'"o":"(ok|denied|error)","ot":"{code}","t":({_NUMBER}),"tn":"{clinic}","v":1\}}'
    )
    return re.compile(rf"\x01....{header}.".encode(), re.DOTALL)


def parts_fit(leaf: bytes, at: int, count: int) -> bool:
    """Does a leaf have parts that fill it exactly, each a nonce, whole blocks of 64 bytes and a tag?"""
    for _ in range(count):
        length = int.from_bytes(leaf[at + 28 : at + 32], "big")
        at += 32 + length
        if length < 80 or length & 63 != 16:  # noqa: PLR2004 - 64 bytes of padded text, 16 of tag
            return False
    # Without a part it would say nothing to the replay, whatever its header says.
    return count > 0 and at == len(leaf)


# The four bytes of every length that a header, or the ciphertext of an only part, can have.
_LENGTHS: Final = [length.to_bytes(4, "big") for length in range(1_000)]
_ONE_PART: Final = {length: length.to_bytes(4, "big") for length in range(80, MOST_LEAF_BYTES, 64)}


def leaf_problem(leaf: bytes, clinic: str) -> str:
    """Why a leaf is not well-formed, for people; slow, and asked only where the pattern refused."""
    if len(leaf) > MOST_LEAF_BYTES:
        return "is longer than 60,000 bytes"
    if problem := _header_problem(leaf, clinic):
        return problem
    is_bare = leaf[5 + int.from_bytes(leaf[1:5], "big")] == 0
    return "has no part: what it says can not be accounted for" if is_bare else "has parts that do not fill it exactly"


def _header_problem(leaf: bytes, clinic: str) -> str:
    length = int.from_bytes(leaf[1:5], "big")
    header = leaf[5 : 5 + length]
    if leaf[:1] != b"\x01" or len(header) != length:
        return "does not begin as an entry has to"
    try:
        content = canonical_json(header)
    except Malformed as error:
        return f"has a header that is {error}"
    if isinstance(content, dict) and _is_id(content.get("tn")) and content["tn"] != clinic:
        return "is in the name of another clinic"
    found = leaf_pattern(clinic).match(leaf)
    is_good = found is not None and found.end() == length + 6
    return "" if is_good else "has a header with other keys or other forms than those of the closed list"


def entry_id(leaf: bytes) -> str | None:
    """The id in the header of an entry, as far as it can be read."""
    found = re.search(rf'"id":"({_ID})"'.encode(), leaf[:600])
    return found[1].decode() if found else None


# ---------------------------------------------------------------------------------------------------- canonical JSON


def _whole_number(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > MAX_SAFE_INTEGER:  # noqa: PLR2004 - digits and a sign
        raise Malformed("not canonical JSON: it holds too large a number")
    return int(text)


def _no_number(text: str) -> float:
    raise Malformed(f"not canonical JSON: it holds the number {text[:20]}")


_DECODER: Final = json.JSONDecoder(parse_int=_whole_number, parse_float=_no_number, parse_constant=_no_number)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical_json(raw: bytes) -> object:
    """Read canonical JSON (RFC 8785, restricted profile). Raises Malformed for every other way to write it."""
    try:
        text = raw.decode()
        value: object = _DECODER.decode(text)
        is_canonical = _ENCODER.encode(value) == text and (raw.isascii() or _has_ascii_keys(value))
    except Malformed:
        raise
    except (ValueError, RecursionError) as error:
        raise Malformed("not canonical JSON") from error
    if not is_canonical:
        raise Malformed("not canonical JSON")
    return value


def _has_ascii_keys(value: object) -> bool:
    if isinstance(value, dict):
        return all(key.isascii() and _has_ascii_keys(item) for key, item in value.items())
    return not isinstance(value, list) or all(map(_has_ascii_keys, value))


# ------------------------------------------------------------------------------- roots that must have been at some size


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A root that the tree must have had at a size: by a pinned checkpoint, or by the log's own in the meta-log."""

    size: int
    root: bytes
    pin: int = -1
    own: int = -1


class Marks:
    """All marks of one tree, compared while it grows."""

    def __init__(self, pins: Sequence[Pin], own: Iterator[Mark], report: Report, noun: str) -> None:
        self._pins, self._report, self._noun = pins, report, noun
        kept = sorted(Mark(pin.checkpoint.size, pin.checkpoint.root, pin=at) for at, pin in enumerate(pins))
        self._merged = heapq.merge(kept, own)
        self._next = next(self._merged, None)
        self.fits: dict[bool, int] = {True: 0, False: 0}
        self.misfits: dict[bool, int] = {}

    def compare(self, tree: Tree) -> None:
        """Compare all marks up to the size the tree has now."""
        while self._next is not None and self._next.size <= tree.size:
            self._compare(self._next, tree)
            self._next = next(self._merged, None)

    def _compare(self, mark: Mark, tree: Tree) -> None:
        is_pin = mark.pin >= 0
        if tree.root_at(mark.size) == mark.root:
            if is_pin:
                self._pins[mark.pin].ok = True
            if is_pin not in self.misfits:
                self.fits[is_pin] = mark.size
            return
        self.misfits.setdefault(is_pin, mark.size)
        if is_pin:
            file = shown(self._pins[mark.pin].file)
            self._report.add(
                "pinned_root",
                f"The first {mark.size} {self._noun} are not those that {file} signs: something was changed, left out, "
                f"added or moved.{self._vouched(mark.size)}",
            )
        else:
            self._report.add(
                "own_checkpoint",
                f"The log did not have the root at size {mark.size} that the meta-log has for it at {mark.own}.",
            )

    def _vouched(self, wrong_at: int) -> str:
        """Up to where the kept checkpoints that fit vouch for the entries."""
        first = self.fits[True]
        if not first:
            return f" No kept checkpoint vouches for any of these {self._noun}."
        good = f" The {self._noun} 0 to {first - 1} are vouched for by the largest kept checkpoint that fits"
        return f"{good}; the first wrong one is among {first} to {wrong_at - 1}." if wrong_at > first else f"{good}."

    def finish(self, size: int) -> None:
        """What is left is about a larger log than this."""
        while self._next is not None:
            mark, self._next = self._next, next(self._merged, None)
            if mark.pin < 0:
                self._report.add(
                    "own_larger",
                    f"The meta-log knows this log with {mark.size} entries, and the bundle has only {size}.",
                )
                continue
            file = shown(self._pins[mark.pin].file)
            vouched = self._vouched(0) if self.fits[True] else ""
            self._report.add(
                "pinned_larger",
                f"{file} signs {mark.size} {self._noun}, and this bundle has only {size}: the end was cut off, or an "
                f"older state was put back.{vouched}",
            )


# -------------------------------------------------------------------------------------------------------------- the log

Opener = Callable[[int, bytes, "re.Match[bytes]"], None]
Take = Callable[[str], bytes]


class Identities:
    """The ids of all entries: none stands there twice. 21 bytes for each, however long the log."""

    def __init__(self) -> None:
        # By the last byte, which is random: so that only a small part is sorted at a time.
        self._parts = [bytearray() for _ in range(256)]

    def add(self, first: int, ids: Sequence[bytes]) -> None:
        """The ids of entries that follow each other; an empty one for an entry without."""
        packed = bytes.fromhex(b"".join(one or _NO_ID for one in ids).replace(b"-", b"").decode())
        parts = self._parts
        for at in range(0, len(packed), 16):
            parts[packed[at + 15]] += packed[at : at + 16] + (first + (at >> 4)).to_bytes(5, "big")

    def twice(self) -> Iterator[tuple[bytes, int, int]]:
        """Each id that comes again, where it stood first, and where it stands again."""
        for part in self._parts:
            before = b""
            for one in sorted(bytes(part[at : at + 21]) for at in range(0, len(part), 21)):
                if one[:16] == before[:16] and any(one[:16]):
                    yield one[:16], int.from_bytes(before[16:], "big"), int.from_bytes(one[16:], "big")
                else:
                    before = one


_NO_ID: Final = b"0" * 32


class LogCheck:
    """Every entry, every tile, and the root."""

    def __init__(self, clinic: str, marks: Marks, report: Report, opener: Opener | None) -> None:
        self.tree = Tree()
        self._marks, self._report, self._opener, self._clinic = marks, report, opener, clinic
        self._prefix = leaf_pattern(clinic).match
        self._above: list[list[bytes]] = [[]]
        self._identities = Identities()

    def run(self, checkpoint: Checkpoint, take: Take, progress: Callable[[int], None]) -> None:
        """Go through all entry bundles and tiles of the log."""
        entries = b""
        for tile in tile_order(checkpoint.size):
            data = take(tile.name())
            if tile.level is None:
                entries = data
            elif tile.level == 0:
                self._check_bundle(entries, data, tile)
                progress(self.tree.size)
            else:
                self._check_tile(data, tile)
        self._marks.compare(self.tree)
        self._marks.finish(checkpoint.size)
        for identity, entry, again in sorted(self._identities.twice(), key=lambda found: found[2]):
            sentence = f"Entry {again} is entry {entry} once more: what was done once is written once."
            self._report.add("entry_twice", sentence, entry=again, identity=str(UUID(bytes=identity)))
        if self.tree.root_at(checkpoint.size) != checkpoint.root:
            self._report.add("root", f"The entries do not have the root that the checkpoint signs. {self._where()}")
        elif self._report.first_entry and self._report.first_entry.code == "entry_changed":
            self._report.warnings.append(
                "The hash tiles have the signed root: entries that do not stand in them were changed, the others not."
            )

    def _where(self) -> str:
        first, last = self._marks.fits[False], self._marks.misfits.get(False)
        if last is None or last <= first:
            return "Something was changed, left out, added or moved, and the hash tiles with it."
        return f"By the log's own checkpoints in the meta-log, the first wrong entry is among {first} to {last - 1}."

    def _check_bundle(self, data: bytes, hashes: bytes, tile: Tile) -> None:
        first = tile.number * BUNDLE_WIDTH
        found, malformed, ids = self._read_bundle(data, tile.width)
        self._identities.add(first, ids)
        wrong = set() if b"".join(found) == hashes else self._name_changed(data, found, hashes, tile)
        for place, leaf in self._split(data, tile.width) if malformed else ():
            if place in malformed and place not in wrong:
                sentence = f"Entry {first + place} {leaf_problem(leaf, self._clinic)}."
                self._report.add("entry_malformed", sentence, entry=first + place, identity=entry_id(leaf))
        self._report.entries += len(found)
        if b'"a":"key.destroyed",' in data or self._opener:
            self._open_all(data, tile, wrong.union(malformed))
        self.tree.extend(hashes)
        self._marks.compare(self.tree)
        if tile.width == BUNDLE_WIDTH:
            self._raise(1, self.tree.tile_root())

    def _read_bundle(self, data: bytes, width: int) -> tuple[list[bytes], set[int], list[bytes]]:
        """The hash and id of each entry, and the places of those not well-formed. All time goes here: be fast."""
        found: list[bytes] = []
        ids: list[bytes] = []
        malformed: set[int] = set()
        at, end, parts = 0, len(data), 0
        sha256, prefix, lengths, one_part = hashlib.sha256, self._prefix, _LENGTHS, _ONE_PART.get
        for place in range(width):
            start = at + 2
            if start > end:
                break
            at = start + (data[at] << 8 | data[at + 1])
            if at > end:
                break
            leaf = data[start:at]
            found.append(sha256(b"\x00" + leaf).digest())
            header = prefix(leaf)
            if header is None:
                malformed.add(place)
                ids.append(b"")
                continue
            ids.append(header[2])
            behind = header.end()
            count = leaf[behind - 1]
            parts += count
            if leaf[1:5] != lengths[behind - 6] or at - start > MOST_LEAF_BYTES:
                malformed.add(place)
            elif count == 1:
                if leaf[behind + 28 : behind + 32] != one_part(at - start - behind - 32):
                    malformed.add(place)
            elif not parts_fit(leaf, behind, count):
                malformed.add(place)
        if at < end and len(found) == width:
            # It belongs to no entry, and no hash of the tree covers it.
            self._report.add("entry_bundle", "An entry bundle holds more than its entries.")
        self._report.parts += parts
        return found, malformed, ids

    @staticmethod
    def _split(data: bytes, width: int) -> Iterator[tuple[int, bytes]]:
        """The entries of a bundle as far as they can be told apart, with their places."""
        at = 0
        for place in range(width):
            start = at + 2
            at = start + int.from_bytes(data[at:start], "big")
            if at > len(data) or start > len(data):
                return
            yield place, data[start:at]

    def _name_changed(self, data: bytes, found: Sequence[bytes], hashes: bytes, tile: Tile) -> set[int]:
        """The places whose entries are not those of the hash tile; a finding names the first."""
        due = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
        wrong = {place for place in range(tile.width) if place >= len(found) or found[place] != due[place]}
        place = min(wrong)
        entry = tile.number * BUNDLE_WIDTH + place
        leaf = dict(self._split(data, tile.width)).get(place)
        others = f" So are {len(wrong) - 1} beside it." if len(wrong) > 1 else ""
        what = "is missing or can not be told from the next" if leaf is None else "was changed, moved or put in"
        sentence = f"Entry {entry} is not the one whose hash stands in the tree: it {what}.{others}"
        self._report.add("entry_changed", sentence, entry=entry, identity=None if leaf is None else entry_id(leaf))
        return wrong

    def _open_all(self, data: bytes, tile: Tile, without: set[int]) -> None:
        for place, leaf in self._split(data, tile.width):
            header = None if place in without else self._prefix(leaf)
            if header is None:
                continue
            self._report.erased += header[1] == b"key.destroyed"
            if self._opener:
                self._opener(tile.number * BUNDLE_WIDTH + place, leaf, header)

    def _check_tile(self, data: bytes, tile: Tile) -> None:
        level = tile.level or 0
        hashes = b"".join(self._above[level])
        if data != hashes:
            span = BUNDLE_WIDTH**level
            start = tile.number * BUNDLE_WIDTH * span
            self._report.add(
                "tile", f"{tile.name()}, over the entries from {start} on, does not hold the hashes of the tiles below."
            )
        if tile.width == BUNDLE_WIDTH:
            self._above[level] = []
            self._raise(level + 1, _levels(hashes)[8])

    def _raise(self, level: int, node: bytes) -> None:
        while len(self._above) <= level:
            self._above.append([])
        self._above[level].append(node)


# --------------------------------------------------------------------------------------------------------- the meta-log

_OWN_LINE: Final = re.compile(rf"({_NUMBER}) ({_NUMBER}) ({_ROOT})".encode())


def own_checkpoints(archive: Archive, member: Member) -> Iterator[Mark]:
    """The log's own checkpoints in the meta-log, by index. Raises Broken."""
    before = (-1, 0)
    for line in archive.lines(member):
        found = _OWN_LINE.fullmatch(line)
        try:
            root = strict_base64(found[3].decode()) if found else None
        except Malformed:
            root = None
        if not found or root is None:
            raise Broken("meta_own", "A line of meta/own can not be read.")
        index, size = int(found[1]), int(found[2])
        if index <= before[0] or size < before[1]:
            raise Broken("meta_own", "The lines of meta/own do not stand in their order: a log never shrinks.")
        before = (index, size)
        yield Mark(size, root, own=index)


def quietly(marks: Iterator[Mark]) -> Iterator[Mark]:
    """Stop where a line can not be read: the meta-log's own check says so."""
    with contextlib.suppress(Broken):
        yield from marks


def check_meta(contents: Contents, pins: Sequence[Pin], report: Report, take: Take, own: Iterator[Mark]) -> None:
    """The tree of the meta-log, and that this log's own checkpoints stand in it."""
    checkpoint, note = contents.meta_checkpoint, contents.meta_note
    tree, marks = Tree(), Marks(pins, iter(()), report, "leaves of the meta-log")
    if checkpoint is None or note is None:
        marks.compare(tree)
        marks.finish(0)
        return
    if problem := note_problem(note, contents.meta):
        report.add("meta_signature", f"The checkpoint of the meta-log {problem}.")
    mark = next(own, None)
    for tile in meta_tile_order(checkpoint.size):
        hashes = take(tile.name("meta/"))
        first = tree.size
        tree.extend(hashes)
        while mark is not None and mark.own < tree.size:
            text = f"{contents.log.name}\n{mark.size}\n{base64.b64encode(mark.root).decode()}\n"
            at = (mark.own - first) * HASH_BYTES
            if leaf_hash(text.encode()) != hashes[at : at + HASH_BYTES]:
                report.add("meta_own", f"Leaf {mark.own} of the meta-log is not the checkpoint that meta/own shows.")
            mark = next(own, None)
        marks.compare(tree)
    marks.compare(tree)
    marks.finish(checkpoint.size)
    if mark is not None:
        report.add("meta_own", f"meta/own shows leaf {mark.own}, and the meta-log has only {checkpoint.size}.")
    if tree.root_at(checkpoint.size) != checkpoint.root:
        report.add("meta_root", "The leaves of the meta-log do not have the root that its checkpoint signs.")


# -------------------------------------------------------------------------------------------------- keys and the parts

_RECIPIENT: Final = re.compile(
    rb'\{"recipient":"([0-9a-f]{64})","sealed":"([A-Za-z0-9+/]{107}=)",'
    rb'"suite":"hpke-x25519-hkdf-sha256-aes-256-gcm","v":1\}'
)
_KEY_LINE: Final = re.compile(rf'\{{"id":"({_ID})","sealed":"([A-Za-z0-9+/]{{80}})"\}}'.encode())


def length_prefixed(*items: bytes) -> bytes:
    """Each item behind its length, 32 bits big endian."""
    return b"".join(len(item).to_bytes(4, "big") + item for item in items)


def key_commitment(secret: bytes) -> bytes:
    """What `key.created` announced of a key: HKDF-SHA256 (RFC 5869), no salt, `commit-v1`, its first 16 bytes."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, b"commit-v1\x01", "sha256")[:16]


@dataclass(frozen=True, slots=True)
class Cryptography:
    """What the package `cryptography` does for us."""

    private_key: Any
    public: bytes
    open_hpke: Callable[[bytes, bytes], bytes]
    cipher: Callable[[bytes], Any]
    not_opened: tuple[type[Exception], ...]


def load_private_key(file: str) -> Cryptography:
    """The data protection officer's private key. Raises Unusable."""
    try:
        # Only to open entries; everything else here works without it.
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415
        from cryptography.hazmat.primitives import hpke  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
    except ImportError as error:
        raise Unusable("To open the entries, the Python package cryptography 47 or newer is needed.") from error
    try:
        key = load_pem_private_key(read_small_file(file), password=None)
    except (ValueError, TypeError) as error:
        raise Unusable(f"{shown(file)} is not a private key in PEM form without a password.") from error
    except Exception as error:  # an algorithm that it does not know
        raise Unusable(f"{shown(file)} holds a private key that can not be used.") from error
    if not isinstance(key, X25519PrivateKey):
        raise Unusable(f"{shown(file)} does not hold an X25519 key.")
    suite = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
    return Cryptography(
        private_key=key,
        public=key.public_key().public_bytes_raw(),
        open_hpke=lambda sealed, info: suite.decrypt(sealed, key, info=info),
        cipher=AESGCM,
        not_opened=(InvalidTag, ValueError),
    )


def check_key_members(archive: Archive, contents: Contents) -> None:
    """Are the members with keys well-formed? Raises Broken."""
    _read_recipient(archive, contents)
    for line in archive.lines(contents.members["keys/keys.ndjson"]):
        if not _KEY_LINE.fullmatch(line):
            raise Broken("keys", "A line of keys/keys.ndjson can not be read.")


def _read_recipient(archive: Archive, contents: Contents) -> tuple[str, bytes]:
    """For whom the keys are sealed (the hash of a public key), and the sealed bundle key. Raises Broken."""
    found = _RECIPIENT.fullmatch(archive.whole(contents.members["keys/recipient"]))
    try:
        if found:
            return found[1].decode(), strict_base64(found[2].decode())
    except Malformed:
        pass
    raise Broken("keys", "keys/recipient can not be read.")


def open_released_keys(archive: Archive, contents: Contents, crypto: Cryptography) -> dict[bytes, bytes]:
    """The keys that the bundle hands over, by their ids. Raises Unusable, Broken."""
    if "keys/recipient" not in contents.members:
        raise Unusable("This bundle holds no keys: it was made without a data protection officer's key.")
    check_key_members(archive, contents)
    recipient, sealed = _read_recipient(archive, contents)
    if recipient != hashlib.sha256(crypto.public).hexdigest():
        raise Unusable("The keys in this bundle were sealed for another private key than this one.")
    info = f"accord-audit-bundle/v1 keys {contents.log.name}".encode()
    released: dict[bytes, bytes] = {}
    try:
        bundle_key = crypto.cipher(crypto.open_hpke(sealed, info))
        for line in archive.lines(contents.members["keys/keys.ndjson"]):
            key_id, secret = _open_key(line, bundle_key)
            if key_id in released:
                raise Broken("keys", f"keys/keys.ndjson holds the key {UUID(bytes=key_id)} twice.")
            released[key_id] = secret
    except crypto.not_opened as error:
        raise Broken("keys", "The keys in this bundle can not be opened with this private key.") from error
    return released


def _open_key(line: bytes, bundle_key: Any) -> tuple[bytes, bytes]:
    found = _KEY_LINE.fullmatch(line)
    if not found:
        raise Malformed("no line with a key")
    key_id, sealed = _packed(found[1].decode()), strict_base64(found[2].decode())
    return key_id, bundle_key.decrypt(sealed[:12], sealed[12:], length_prefixed(b"bundle-key-v1", key_id))


@dataclass(frozen=True, slots=True)
class Opened:
    """A part of an entry in clear."""

    entry: int
    id: str
    action: str
    outcome: str
    time: int
    subject: bytes | None
    details: Mapping[str, Any]


HANDED_OVER: Final = "message.handed_over"
REMEMBERED_CIPHERS: Final = 8_192


class Accounting:
    """Opens the parts, and knows which keys were announced, released and destroyed."""

    def __init__(self, released: dict[bytes, bytes], crypto: Cryptography, replay: "Replay", report: Report) -> None:
        self._released, self._crypto, self._replay, self._report = released, crypto, replay, report
        self._ciphers: dict[bytes, Any] = {}
        self._announced: set[bytes] = set()
        self._destroyed: set[bytes] = set()
        self._missing: dict[bytes, tuple[int, str]] = {}
        self._late = 0
        report.unreadable = 0

    def open(self, entry: int, leaf: bytes, header: "re.Match[bytes]") -> None:
        """Open all parts of a well-formed entry."""
        at = header.end()
        framed = leaf[: at - 1]
        for index in range(leaf[at - 1]):
            key_id, body = leaf[at : at + 16], at + 32
            at = body + int.from_bytes(leaf[body - 4 : body], "big")
            cipher = self._cipher(key_id)
            if cipher is None:
                self._note_unreadable(key_id, entry, header)
                continue
            bound = length_prefixed(b"audit-part-v1", framed, bytes([index]), key_id)
            try:
                plain = cipher.decrypt(leaf[body - 16 : body - 4], leaf[body:at], bound)
                opened = _read_part(plain, entry, header)
            except self._crypto.not_opened as error:
                what = (
                    f"can not be read: it is {error}" if isinstance(error, Malformed) else "does not open under its key"
                )
                self._wrong("part", f"Part {index + 1} of entry {entry} {what}.", entry, header)
                continue
            self._take_in(opened)

    def _cipher(self, key_id: bytes) -> Any:
        cipher = self._ciphers.get(key_id)
        if cipher is None and (secret := self._released.get(key_id)) is not None:
            if len(self._ciphers) >= REMEMBERED_CIPHERS:
                self._ciphers.clear()
            cipher = self._ciphers[key_id] = self._crypto.cipher(secret)
        return cipher

    def _note_unreadable(self, key_id: bytes, entry: int, header: "re.Match[bytes]") -> None:
        self._report.unreadable = (self._report.unreadable or 0) + 1
        self._replay.messages.unreadable += header[1] == HANDED_OVER.encode()
        if key_id in self._destroyed:
            self._late += 1
        else:
            self._missing.setdefault(key_id, (entry, header[2].decode()))

    def _wrong(self, code: str, sentence: str, entry: int, header: "re.Match[bytes]") -> None:
        self._report.add(code, sentence, entry=entry, identity=header[2].decode())

    def _take_in(self, opened: Opened) -> None:
        try:
            if opened.action == "key.created":
                self._announce(opened)
            elif opened.action == "key.destroyed":
                self._destroy(opened)
            else:
                self._replay.take_in(opened)
        except Malformed as error:
            sentence = f"The details of entry {opened.entry} ({opened.action}) can not be read: {error}."
            self._report.add("details", sentence, entry=opened.entry, identity=opened.id)

    def _announce(self, opened: Opened) -> None:
        keys, commitments = _ids(opened.details, "keys"), _texts(opened.details, "commitments")
        if len(keys) != len(commitments):
            raise Malformed("it does not name a commitment for each key")
        for key_id, announced in zip(keys, commitments, strict=True):
            secret = self._released.get(key_id)
            if secret is None or opened.outcome != OK:
                continue
            self._announced.add(key_id)
            if key_commitment(secret).hex() != announced:
                self._report.add(
                    "commitment",
                    f"The key {UUID(bytes=key_id)} in this bundle is not the one that entry {opened.entry} announced.",
                    entry=opened.entry,
                    identity=opened.id,
                )

    def _destroy(self, opened: Opened) -> None:
        for key_id in _ids(opened.details, "keys") if opened.outcome == OK else ():
            self._destroyed.add(key_id)
            self._missing.pop(key_id, None)
            if key_id in self._released:
                self._report.add(
                    "destroyed_key_released",
                    f"Entry {opened.entry} says that the key {UUID(bytes=key_id)} was destroyed, and here it is.",
                    entry=opened.entry,
                    identity=opened.id,
                )

    def finish(self) -> None:
        """What can be said only at the end: keys that nobody destroyed and nobody hands over, or nobody announced."""
        for key_id, (entry, identity) in self._missing.items():
            sentence = (
                f"Entry {entry} can not be opened: its key {UUID(bytes=key_id)} is not in the bundle, "
                f"and no entry says that it was destroyed."
            )
            self._report.add("key_missing", sentence, entry=entry, identity=identity)
        for key_id in self._released.keys() - self._announced:
            self._report.add(
                "key_unannounced", f"No entry announces the key {UUID(bytes=key_id)} that is in the bundle."
            )
        if self._late:
            self._report.warnings.append(
                f"{self._late} parts were written under keys that the log already called destroyed: "
                f"nobody can read them."
            )


def _read_part(plain: bytes, entry: int, header: "re.Match[bytes]") -> Opened:
    text = plain.rstrip(b"\x00")
    if len(plain) % 64 or not text.endswith(b"\x80") or len(plain) - len(text) >= 64:  # noqa: PLR2004 - ISO/IEC 7816-4
        raise Malformed("not padded as it has to be")
    content = canonical_json(text[:-1])
    if not isinstance(content, dict) or not {"d"} <= content.keys() <= {"d", "s", "by"}:
        raise Malformed("not an object with the keys of a part")
    details, subject = content["d"], content.get("s")
    if not isinstance(details, dict) or not all(_is_id(content[name]) for name in ("s", "by") if name in content):
        raise Malformed("not a part whose values have the form they need")
    return Opened(
        entry=entry,
        id=header[2].decode(),
        action=header[1].decode(),
        outcome=header[3].decode(),
        time=int(header[4]),
        subject=None if subject is None else _packed(subject),
        details=details,
    )


_IS_ID: Final = re.compile(_ID).fullmatch


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _IS_ID(value) is not None


def _packed(identity: str) -> bytes:
    """The 16 bytes of an id; many times faster than the class UUID."""
    return bytes.fromhex(identity.replace("-", ""))


def _texts(details: Mapping[str, Any], name: str) -> list[str]:
    found = details.get(name)
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise Malformed(f"it has no list of {name}")
    return found


def _ids(details: Mapping[str, Any], name: str) -> list[bytes]:
    found = _texts(details, name)
    if not all(map(_is_id, found)):
        raise Malformed(f"what it names as {name} are no ids")
    return [_packed(one) for one in found]


def _id(details: Mapping[str, Any], name: str) -> bytes:
    found = details.get(name)
    if not isinstance(found, str) or not _is_id(found):
        raise Malformed(f"it names no {name}")
    return _packed(found)


# ------------------------------------------------------------------------------------------------ consents, replayed

OK: Final = "ok"
NONE: Final = "none"
GIVES: Final = frozenset({"consent.given", "consent.renewed"})
SPEAKS_OF_CONSENT: Final = GIVES | {
    f"consent.{what}"
    for what in (
        "refused",
        "withdrawn",
        "pending",
        "objected",
        "expired",
        "reconsent_required",
        "ended",
        "revoked",
        "invalidated",
        "entered_in_error",
    )
}
_WORD: Final = re.compile(r"[a-z0-9][a-z0-9_.:+-]{0,79}")
_EVENT: Final = struct.Struct(">16s2Q")
_CLAIM: Final = struct.Struct(">20s16s2Q?")
NOT_YET: Final = 2**64 - 1


def _word(details: Mapping[str, Any], name: str) -> str:
    found = details.get(name)
    if not isinstance(found, str) or not _WORD.fullmatch(found):
        raise Malformed(f"it names no {name}")
    return found


class Replay:
    """What every patient had said when a message was taken up.

    Kept small: each patient, purpose and channel is a key of 20 bytes; its events are packed one behind the other.
    """

    def __init__(self, messages: Messages, report: Report) -> None:
        self.messages, self._report = messages, report
        self._words: dict[tuple[str, str], int] = {}
        self._events: dict[bytes, bytes] = {}
        self._claims: dict[bytes, bytes] = {}
        self._is_closed: dict[str, bool] = {}
        self._frozen: dict[bytes, int] = {}

    def take_in(self, opened: Opened) -> None:
        """Follow one entry. Raises Malformed."""
        match opened.action:
            case "purpose.defined":
                self._define(opened)
            case action if action in SPEAKS_OF_CONSENT:
                self._hear(opened)
            case "patient.restricted":
                self._frozen.setdefault(self._who(opened), opened.entry)
            case "patient.restriction_lifted":
                self._frozen.pop(self._who(opened), None)
            case "message.claimed":
                if opened.outcome != OK:
                    return
                attempt, message = _id(opened.details, "attempt"), _id(opened.details, "message")
                whose, frozen = self._whose(opened), self._frozen.get(self._who(opened), NOT_YET)
                is_closed = self._is_closed.get(_word(opened.details, "purpose"), False)
                self._claims[attempt] = _CLAIM.pack(whose, message, opened.entry, frozen, is_closed)
            case "message.handed_over":
                self._judge(opened)

    def _define(self, opened: Opened) -> None:
        purpose, nature = _word(opened.details, "purpose"), _word(opened.details, "nature")
        # One definition that asks for consent is enough to ask for it: nobody defines it away later.
        self._is_closed[purpose] = (
            nature == "closed_list" and opened.outcome == OK and self._is_closed.get(purpose, True)
        )

    def _who(self, opened: Opened) -> bytes:
        if opened.subject is None:
            raise Malformed("it names no patient")
        return opened.subject

    def _whose(self, opened: Opened) -> bytes:
        words = _word(opened.details, "purpose"), _word(opened.details, "channel")
        return self._who(opened) + self._words.setdefault(words, len(self._words)).to_bytes(4, "big")

    def _hear(self, opened: Opened) -> None:
        whose, event = self._whose(opened), _id(opened.details, "event")
        packed = self._events.get(whose, b"")
        if packed:
            last, given, ended = _EVENT.unpack(packed[-_EVENT.size :])
            if ended == NOT_YET:
                packed = packed[: -_EVENT.size] + _EVENT.pack(last, given, opened.entry)
        if opened.action in GIVES and opened.outcome == OK:
            packed += _EVENT.pack(event, opened.entry, NOT_YET)
        if packed:
            self._events[whose] = packed

    def _judge(self, opened: Opened) -> None:
        self.messages.handed_over += 1
        whose, message = self._whose(opened), _id(opened.details, "message")
        claim = self._claims.pop(_id(opened.details, "attempt"), None)
        purpose, named = _word(opened.details, "purpose"), opened.details.get("consent_event")
        if named != NONE and not _is_id(named):
            raise Malformed("it names no consent_event")
        reason, consent_entry = self._permission(whose, message, claim, purpose, str(named))
        if reason:
            self._refuse(opened, reason)
        elif consent_entry is None:
            self.messages.closed_list[purpose] += 1
        else:
            self.messages.with_consent += 1
        if not reason and self.messages.permitted is not None:
            self.messages.permitted.append(
                {
                    "entry": opened.entry,
                    "id": opened.id,
                    "time": opened.time,
                    "message": opened.details["message"],
                    "patient": str(UUID(bytes=opened.subject)),
                    "purpose": purpose,
                    "channel": opened.details["channel"],
                    "consent_event": None if consent_entry is None else named,
                    "consent_entry": consent_entry,
                }
            )

    def _permission(
        self, whose: bytes, message: bytes, claim: bytes | None, purpose: str, named: str
    ) -> tuple[str, int | None]:
        """Why it was not permitted (empty where it was), and the entry with the consent, if it took one."""
        if claim is None:
            return "no entry before it says that this attempt was taken up, or another used it up", None
        claimed_by, claimed_message, claimed, frozen, was_closed = _CLAIM.unpack(claim)
        if (claimed_by, claimed_message) != (whose, message):
            return f"entry {claimed} took this attempt up for something else", None
        if named == NONE:
            is_closed = was_closed and self._is_closed.get(purpose, False)
            return (
                ""
                if is_closed
                else f"it names no consent, and {purpose} was not on the closed list before entry {claimed}",
                None,
            )
        if frozen != NOT_YET:
            return f"entry {frozen} restricted the use of the patient's data, before entry {claimed}", None
        return self._standing(whose, _packed(named), claimed)

    def _standing(self, whose: bytes, wanted: bytes, claimed: int) -> tuple[str, int | None]:
        for event, given, ended in _EVENT.iter_unpack(self._events.get(whose, b"")):
            if event == wanted and ended >= claimed:
                return "", given
            if event == wanted:
                return f"the consent of entry {given} ended with entry {ended}, before entry {claimed}", given
        return "no entry before it gives the consent that it names, for this patient, purpose and channel", None

    def _refuse(self, opened: Opened, reason: str) -> None:
        what = f"{opened.details['purpose']}, {opened.details['channel']}"
        sentence = f"Entry {opened.entry}: a message was handed over without consent ({what}): {reason}."
        self._report.add("message_without_consent", sentence, entry=opened.entry, identity=opened.id)
        self.messages.without_consent_count += 1
        if len(self.messages.without_consent) < MOST_FINDINGS:
            self.messages.without_consent.append(
                {"entry": opened.entry, "id": opened.id, "message": opened.details["message"], "reason": reason}
            )


# ---------------------------------------------------------------------------------------------------- one by one


class Reader:
    """Hands out the members once more, in their order, each held against the manifest."""

    def __init__(self, archive: Archive, manifest: Manifest) -> None:
        self._archive, self._manifest, self._members = archive, manifest, archive.members(again=True)

    def take(self, name: str) -> bytes:
        """The next member in one piece. Raises Broken."""
        member = self._next(name)
        data = self._archive.whole(member)
        if zlib.crc32(data) != member.crc:
            # Read on: which entry it is, its hash tells.
            self._manifest.wrong_checksum(member)
        self._manifest.expect(member, hashlib.sha256(data).digest())
        return data

    def pass_by(self, name: str) -> None:
        """Only hash the next member. Raises Broken."""
        member = self._next(name)
        digest = hashlib.sha256()
        for piece in self._archive.content(member):
            digest.update(piece)
        if name != "manifest":
            self._manifest.expect(member, digest.digest())

    def _next(self, name: str) -> Member:
        member = next(self._members, None)
        if member is None or member.name != name:
            raise Broken("archive", "The file changed while it was read.")
        return member


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was asked of the verifier."""

    pins: Sequence[Pin] = ()
    crypto: Cryptography | None = None
    lists_messages: bool = False
    progress: Callable[[int, int], None] = lambda _done, _size: None


def verify(archive: Archive, asked: Question, report: Report) -> None:
    """Find everything that is wrong with a bundle. Raises Unusable; Broken where nothing more can be read."""
    contents = survey(archive)
    report.origin, report.key = contents.log.name, contents.log.vkey
    report.size, report.root = contents.checkpoint.size, contents.checkpoint.root
    report.pins = asked.pins
    log_pins, meta_pins = _sort_pins(contents, asked.pins, report)
    if problem := note_problem(contents.note, contents.log):
        report.add("checkpoint_signature", f"The checkpoint {problem}.")
    manifest = Manifest(archive, contents, report)
    report.clinic = manifest.clinic
    accounting = _accounting(archive, contents, asked, report)
    reader = Reader(archive, manifest)
    for name in ("policy", "checkpoint"):
        reader.take(name)
    own = contents.members.get("meta/own")
    marks = Marks(log_pins, quietly(own_checkpoints(archive, own)) if own else iter(()), report, "entries")
    check = LogCheck(manifest.clinic, marks, report, accounting.open if accounting else None)
    size = contents.checkpoint.size
    check.run(contents.checkpoint, reader.take, lambda done: asked.progress(done, size))
    if own:
        reader.take("meta/checkpoint")
    check_meta(contents, meta_pins, report, reader.take, own_checkpoints(archive, own) if own else iter(()))
    for name in ("meta/own", "keys/recipient", "keys/keys.ndjson", *VIEWS, "manifest"):
        if name in contents.members:
            reader.pass_by(name)
    manifest.finish()
    if accounting:
        accounting.finish()
    _warn(contents, asked, report, has_pin=any(pin.ok for pin in log_pins))


def _sort_pins(contents: Contents, pins: Sequence[Pin], report: Report) -> tuple[list[Pin], list[Pin]]:
    """The pinned checkpoints of the log and of the meta-log that their keys signed. Raises Unusable."""
    keys = {key.name: key for key in (contents.log, contents.meta)}
    good: dict[str, list[Pin]] = {name: [] for name in keys}
    for pin in pins:
        key = keys.get(pin.checkpoint.origin)
        if key is None:
            raise Unusable(
                f"{shown(pin.file)} is a checkpoint of another log ({shown(pin.checkpoint.origin)}) than this bundle."
            )
        if problem := note_problem(pin.note, key):
            sentence = f"{shown(pin.file)} {problem}: it, or the key that this bundle names, is not genuine."
            report.add("pinned_signature", sentence)
        else:
            good[key.name].append(pin)
    return good[contents.log.name], good[contents.meta.name]


def _accounting(archive: Archive, contents: Contents, asked: Question, report: Report) -> Accounting | None:
    try:
        if asked.crypto is None:
            if "keys/recipient" in contents.members:
                check_key_members(archive, contents)
            return None
        released = open_released_keys(archive, contents, asked.crypto)
    except Broken as broken:
        report.note(broken)
        return None
    report.messages = Messages(permitted=[] if asked.lists_messages else None)
    return Accounting(released, asked.crypto, Replay(report.messages, report), report)


def _warn(contents: Contents, asked: Question, report: Report, *, has_pin: bool) -> None:
    # One of the meta-log does not do: whoever holds the key can leave this log's last lines out of meta/own.
    if not has_pin:
        report.warnings.append(
            "Nothing that was kept elsewhere was compared with this log itself: whoever holds the log's key could have "
            "written another history, or left out its end. Name a checkpoint of this log that you kept (--checkpoint)."
        )
    if asked.crypto is None:
        report.warnings.append(
            "Only the outside of the entries was checked: to open them, name the private key (--keys)."
        )
    if any(name in contents.members for name in VIEWS):
        report.warnings.append(
            "The tables under views/ are as they were signed; they were not compared with the entries."
        )


# ------------------------------------------------------------------------------------------------ exports of consents


def verify_export(archive: Archive, asked: Question, report: Report) -> None:
    """Find everything that is wrong with an export of consents. Raises Unusable; Broken where no more can be read."""
    archive.open_directory()
    members = list(archive.members())
    names = [member.name for member in members]
    if names[: len(EXPORT_HEAD)] != list(EXPORT_HEAD) or names[-1] != "manifest" or len(set(names)) != len(names):
        raise Broken("members", "The archive does not hold what an export of consents holds, in its order.")
    small = dict(zip(names, members, strict=True))
    if any(small[name].size > MOST_NOTE_BYTES for name in (*EXPORT_HEAD, "manifest")):
        raise Broken("members", "The archive does not hold what an export of consents holds: something is too large.")
    if archive.whole(small["about"]) != f"{EXPORT_FORM}\n".encode():
        raise Broken("members", "This export has a form that this verifier does not know.")
    log, meta = _read_policy(archive.whole(small["policy"]))
    try:
        note = parse_note(archive.whole(small["checkpoint"]))
        contents = Contents(log, meta, note, parse_checkpoint(note.text))
        manifest = parse_note(archive.whole(small["manifest"]))
    except Malformed as error:
        raise Broken("manifest", f"The checkpoint or the manifest can not be read: it is {error}.") from error
    report.origin, report.key, report.pins = log.name, log.vkey, asked.pins
    report.size, report.root = contents.checkpoint.size, contents.checkpoint.root
    for code, signed, name in (
        ("checkpoint_signature", note, "checkpoint"),
        ("manifest_signature", manifest, "manifest"),
    ):
        if problem := note_problem(signed, log):
            report.add(code, f"The {name} {problem}.")
    log_pins, _meta_pins = _sort_pins(contents, asked.pins, report)
    for pin in log_pins:
        _hold_against(pin, contents.checkpoint, report)
    if not log_pins:
        report.warnings.append(
            "The key that signed this export is the one that the export itself names. Name a checkpoint of this log "
            "that you kept (--checkpoint): it is signed with the same key."
        )
    report.export = _read_manifest(manifest, log, report)
    _look_for_entry(archive.whole(small["entry"]), archive.whole(small["proof"]), contents.checkpoint, report)
    _hold_files_against(archive, members[:-1], report.export, report)


def _hold_against(pin: Pin, checkpoint: Checkpoint, report: Report) -> None:
    """The key is the same, and two checkpoints over as many entries say the same."""
    pin.ok = pin.checkpoint.size != checkpoint.size or pin.checkpoint.root == checkpoint.root
    if not pin.ok:
        report.add("pinned", f"{shown(pin.file)} is of another history of this log than the export.")


def _read_manifest(manifest: Note, log: NoteKey, report: Report) -> Export:
    """The facts and the files that were signed. Raises Broken."""
    form, *lines = manifest.text.decode().splitlines()
    if form != EXPORT_FORM or lines[:1] != [f"origin {log.name}"]:
        raise Broken("manifest", "The manifest is not that of an export of consents of this log.")
    export = Export()
    for line in lines:
        if found := re.fullmatch(rf"([0-9a-f]{{64}}) ({_NUMBER}) ([!-~]+)", line):
            export.files.append((found[3], found[1]))
        else:
            export.facts.append(line)
    found = re.search(rf"^clinic ({_ID})$", "\n".join(export.facts), re.MULTILINE)
    report.clinic = found[1] if found else None
    return export


def _look_for_entry(leaf: bytes, proof: bytes, checkpoint: Checkpoint, report: Report) -> None:
    """The entry about this export has to be that of this clinic, and in the log that was signed."""
    facts = report.export.facts if report.export is not None else []
    if _header_problem(leaf, report.clinic or "") or f"entry {entry_id(leaf)}" not in facts:
        report.add("entry", "The entry that is in the export is not the one about it.")
    elif f'"a":"{EXPORT_ACTION}"'.encode() not in leaf[:600]:
        report.add("entry", "The entry that is in the export is not about an export of consents.")
    found = re.fullmatch(rf"index ({_NUMBER})\n((?:{_ROOT}\n)*)".encode(), proof)
    if not found:
        raise Broken("proof", "The proof is none.")
    try:
        path = [strict_base64(line) for line in found[2].decode().split()]
        root = root_by_proof(leaf_hash(leaf), int(found[1]), checkpoint.size, path)
    except Malformed as error:
        raise Broken("proof", f"The proof can not be read: it is {error}.") from error
    if root != checkpoint.root:
        report.add("proof", "The entry about this export is not in the log that was signed.")


def root_by_proof(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """To which root a proof of inclusion leads (RFC 9162, 2.1.3.2); None where it is not as long as it has to be."""
    if index >= size:
        return None
    place, last, root = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if place & 1 or place == last:
            root = node_hash(sibling, root)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        place, last = place >> 1, last >> 1
    return root if last == 0 else None


def _hold_files_against(archive: Archive, members: Sequence[Member], export: Export, report: Report) -> None:
    if [name for name, _digest in export.files] != [member.name for member in members]:
        report.add("manifest", "The manifest names other files than the archive holds, or in another order.")
    signed = dict(export.files)
    for member in members:
        digest = hashlib.sha256()
        for piece in archive.content(member):
            digest.update(piece)
        if signed.get(member.name, digest.hexdigest()) != digest.hexdigest():
            report.add("member_changed", f"{member.name} is not as the manifest describes it.")


def _export_sentences(report: Report, export: Export) -> Iterator[str]:
    yield f"Export of consents, signed by the log {report.origin}" + (
        f" of the clinic {report.clinic}" if report.clinic else ""
    )
    yield f"Key {report.key}"
    for fact in export.facts:
        yield f"  {shown(fact)}"
    for pin in report.pins:
        fits = "is signed with the same key" if pin.ok else "DOES NOT FIT"
        yield f"Checkpoint {shown(pin.file)} over {pin.checkpoint.size} of {pin.checkpoint.origin}: {fits}."


# ------------------------------------------------------------------------------------------------------- command line


def open_file(file: str) -> BinaryIO:
    """A file to read, without a buffer of its own. Raises Unusable."""
    if not file:
        # It would be the folder that we are in.
        raise Unusable("A file with an empty name can not be read.")
    try:
        return Path(file).open("rb", buffering=0)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it has no usable name"
        raise Unusable(f"{shown(file)} can not be read: {reason}.") from error


def read_small_file(file: str, *, at_most: int = MOST_NOTE_BYTES) -> bytes:
    """The bytes of a file that is not too large, or of a pipe in which they arrive in pieces. Raises Unusable."""
    data = b""
    try:
        with open_file(file) as opened:
            while len(data) <= at_most and (piece := opened.read(at_most + 1 - len(data))):
                data += piece
    except OSError as error:
        raise Unusable(f"{shown(file)} can not be read: {error.strerror}.") from error
    if len(data) > at_most:
        raise Unusable(f"{shown(file)} is too large to be what it should be.")
    return data


def _as_written(text: bytes) -> bytes:
    """A checkpoint as it was signed, where programs for mail and text changed its line ends, its start or its end."""
    text = text.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    return text.rstrip(b"\n") + b"\n" if text.endswith(b"\n\n") else text


def load_pin(file: str) -> Pin:
    """A checkpoint that somebody kept. Raises Unusable."""
    try:
        note = parse_note(_as_written(read_small_file(file)))
        return Pin(file, note, parse_checkpoint(note.text))
    except Malformed as error:
        raise Unusable(f"{shown(file)} is no checkpoint: it is {error}.") from error


class Progress:
    """How far we are, on a terminal, where the log is long."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream, self._next = stream, 0.0
        self._is_shown = stream is not None and stream.isatty()

    def __call__(self, done: int, size: int) -> None:
        """Say so, at most twice a second."""
        if self._stream is None or not self._is_shown or size < LONG_LOG:
            return
        if done >= size or time.monotonic() >= self._next:
            self._next = time.monotonic() + 0.5
            self._stream.write(f"\r{done:,} of {size:,} entries" + ("\n" if done >= size else ""))
            self._stream.flush()


# ----------------------------------------------------------------------------------------------------------- receipts

RECEIPT_ALGORITHMS: Final = ("Ed25519",)
RECEIPT_TYPE: Final = "consent-receipt+jws"
RECEIPT_CONTENT: Final = "application/ld+json"
RECEIPT_FORM: Final = "https://w3id.org/dpv/schema/dpv-27560#receipt-eu-gdpr"
MOST_RECEIPT_BYTES: Final = 1 << 20
# Two machines need not agree on the second at which a key was retired.
RETIRING: Final = timedelta(minutes=5)
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class ReceiptKey:
    """A key that signs receipts, or did until it was retired."""

    kid: str
    public: bytes
    retired_at: datetime | None


@dataclass(slots=True)
class ReceiptReport:
    """Everything there is to say about a receipt. What it tells is known only once its signature holds."""

    kid: str | None = None
    id: str | None = None
    created: str | None = None
    clinic: str | None = None
    patient: str | None = None
    records: list[dict[str, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        """Is nothing wrong?"""
        return not self.findings

    def document(self) -> dict[str, object]:
        """As `--json` says it."""
        return {
            "valid": self.valid,
            "key": self.kid,
            "receipt": self.id,
            "created": self.created,
            "clinic": self.clinic,
            "patient": self.patient,
            "records": self.records,
            "findings": [{"code": one.code, "sentence": one.sentence} for one in self.findings],
        }


def base64url(text: str) -> bytes:
    """Base64url without padding, written the one way there is (RFC 7515 section 2). Raises Malformed."""
    if not _BASE64URL.fullmatch(text):
        raise Malformed("not Base64url")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise Malformed("not Base64url") from error
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise Malformed("not Base64url written the one way there is")
    return data


def jwk_thumbprint(public: bytes) -> str:
    """The name that a key has by its own bytes (RFC 7638, RFC 8037 appendix A.3)."""
    x = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
    told = f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'
    return base64.urlsafe_b64encode(hashlib.sha256(told.encode()).digest()).rstrip(b"=").decode()


def load_key_set(file: str) -> dict[str, ReceiptKey]:
    """The Ed25519 keys of a JWK set (RFC 7517) by their names; keys of other kinds are passed over. Raises Unusable."""
    try:
        told = json.loads(read_small_file(file, at_most=MOST_RECEIPT_BYTES).decode())
        keys = [_receipt_key(one) for one in told["keys"] if one.get("kty") == "OKP" and one.get("crv") == "Ed25519"]
    except (Malformed, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unusable(f"{shown(file)} is no set of keys that receipts can be checked with.") from error
    if not keys:
        raise Unusable(f"{shown(file)} holds no Ed25519 key.")
    return {key.kid: key for key in keys}


def _receipt_key(told: Mapping[str, Any]) -> ReceiptKey:
    public = base64url(told["x"])
    kid, retired = jwk_thumbprint(public), told.get("retired_at")
    # A key goes by what it is: a set that calls one by the name of another is not to be trusted.
    if len(public) != 32 or told.get("kid") != kid or told.get("alg", "Ed25519") not in RECEIPT_ALGORITHMS:  # noqa: PLR2004 - RFC 8032
        raise Malformed("a key that is not named by its thumbprint")
    return ReceiptKey(kid, public, None if retired is None else _moment(retired))


def _moment(text: object) -> datetime:
    if not isinstance(text, str):
        raise Malformed("no moment")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise Malformed("a moment without its zone")
    return moment


def verify_receipt(compact: bytes, keys: Mapping[str, ReceiptKey], report: ReceiptReport) -> None:
    """Check a compact JWS (RFC 7515) and read what it tells; what is wrong is noted in the report. Raises Unusable."""
    text = compact.decode("ascii", "replace").strip()
    if text.count(".") != 2:  # noqa: PLR2004 - header, payload, signature
        raise Unusable("The file is no signed receipt: those have three parts, with a dot between them.")
    try:
        payload = _signed_payload(text, keys, report)
        _read_receipt(payload, report)
    except Broken as broken:
        report.findings.append(Finding(broken.code, broken.sentence, None, None))


def _signed_payload(text: str, keys: Mapping[str, ReceiptKey], report: ReceiptReport) -> Mapping[str, Any]:
    header_text, payload_text, signature_text = text.split(".")
    try:
        header = canonical_json(base64url(header_text))
        signature = base64url(signature_text)
        raw = base64url(payload_text)
    except Malformed as error:
        raise Broken("form", f"A part of the receipt is {error}.") from error
    key = _key_of(header, keys)
    report.kid = key.kid
    if not ed25519_verify(key.public, signature, [f"{header_text}.{payload_text}".encode()]):
        raise Broken("signature", "The receipt is not as it was signed, or was not signed by this key.")
    try:
        payload = canonical_json(raw)
    except Malformed as error:
        raise Broken("form", f"What was signed is {error}.") from error
    if not isinstance(payload, dict) or payload.get("dct:conformsTo") != RECEIPT_FORM:
        raise Broken("form", "What was signed is no consent receipt.")
    created = payload.get("dct:created")
    try:
        is_late = key.retired_at is not None and _moment(created) > key.retired_at + RETIRING
    except ValueError as error:
        raise Broken("form", "The receipt does not say when it was made.") from error
    if is_late:
        raise Broken("retired", "The receipt says that it was made after its key was retired.")
    return payload


def _key_of(header: object, keys: Mapping[str, ReceiptKey]) -> ReceiptKey:
    """The key that a header names. Which algorithm is used is said here, never by the receipt."""
    if not isinstance(header, dict) or header.keys() != {"alg", "cty", "kid", "typ"}:
        raise Broken("header", "The header of the receipt does not hold what it has to, and nothing else.")
    if header["alg"] not in RECEIPT_ALGORITHMS:
        raise Broken("algorithm", f"The receipt says that it is signed with {shown(str(header['alg']))}, not Ed25519.")
    if header["typ"] != RECEIPT_TYPE or header["cty"] != RECEIPT_CONTENT:
        raise Broken("type", "Something was signed that says of itself that it is no consent receipt.")
    key = keys.get(header["kid"]) if isinstance(header["kid"], str) else None
    if key is None:
        raise Broken("key", "The receipt is signed with a key that is not in the key set.")
    return key


def _read_receipt(payload: Mapping[str, Any], report: ReceiptReport) -> None:
    """What a receipt whose signature holds says. Raises Broken."""
    try:
        records = payload["dpv:hasRecordOfActivity"]
        report.id, report.created = str(payload["dct:identifier"]), str(payload["dct:created"])
        report.clinic = str(records[0]["dpv:hasDataController"]["schema:name"])
        report.patient = str(records[0]["dpv:hasDataSubject"]["@id"])
        report.records = [
            {
                "purpose": str(one["dpv:hasProcess"][0]["dct:identifier"]),
                "channel": str(one["dpv:hasProcess"][0]["accord:channel"]),
                "state": str(one["accord:state"]),
                "at": str(one["accord:stateAt"]),
                "words": str(one.get("dpv:hasNotice", {}).get("accord:statement", "")),
            }
            for one in records
        ]
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise Broken("form", "What was signed does not say what a consent receipt has to.") from error


def receipt_sentences(report: ReceiptReport) -> Iterator[str]:
    """The report for people."""
    if report.id:
        yield f"Receipt {shown(report.id)}, made {shown(report.created or '')} by {shown(report.clinic or '')}"
        yield f"Key {report.kid}"
    for one in report.records:
        yield f"{shown(one['purpose'])} by {shown(one['channel'])}: {shown(one['state'])} at {shown(one['at'])}"
    for finding in report.findings:
        yield f"WRONG: {finding.sentence}"
    yield "VALID: the receipt is as it was signed." if report.valid else "INVALID: nothing it says is proved."


def _check_receipt(options: argparse.Namespace) -> int:
    report = ReceiptReport()
    keys = load_key_set(options.jwks)
    verify_receipt(read_small_file(options.receipt, at_most=MOST_RECEIPT_BYTES), keys, report)
    if options.json:
        print(json.dumps(report.document(), indent=2))
    else:
        for line in receipt_sentences(report):
            print(line)
    return VALID if report.valid else INVALID


# ---------------------------------------------------------------------------------------------------------- the command


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="verifier.py",
        description="Check an audit bundle, or a consent receipt: 0 valid, 1 invalid, 2 unusable.",
    )
    parser.add_argument("bundle", nargs="?", help="the file that was exported")
    parser.add_argument("--receipt", metavar="FILE", help="check this consent receipt instead of a bundle")
    parser.add_argument("--jwks", metavar="FILE", help="with --receipt: the published keys (JWK set)")
    parser.add_argument(
        "--checkpoint",
        action="append",
        default=[],
        metavar="FILE",
        help="a checkpoint that was kept elsewhere; repeatable",
    )
    parser.add_argument("--keys", metavar="FILE", help="the data protection officer's private key (X25519, PEM)")
    parser.add_argument("--messages", action="store_true", help="with --keys: show each message and its consent")
    parser.add_argument("--json", action="store_true", help="answer with one JSON document")
    options = parser.parse_args(argv)
    is_receipt = options.receipt is not None
    if is_receipt == (options.bundle is not None) or is_receipt != (options.jwks is not None):
        parser.error("name a bundle, or --receipt and --jwks")
    if is_receipt and (options.checkpoint or options.keys is not None or options.messages):
        parser.error("--checkpoint, --keys and --messages are for bundles")
    return options


def examine(options: argparse.Namespace, report: Report) -> None:
    """Read everything that was named and verify the bundle. Raises Unusable."""
    if options.messages and options.keys is None:
        raise Unusable("The messages can only be shown with the private key (--keys).")
    pins = [load_pin(file) for file in options.checkpoint]
    crypto = None if options.keys is None else load_private_key(options.keys)
    asked = Question(pins=pins, crypto=crypto, lists_messages=options.messages, progress=Progress(sys.stderr))
    with open_file(options.bundle) as file:
        try:
            archive = Archive(file)
            if not archive.looks_like_a_bundle():
                raise Unusable(f"{shown(options.bundle)} is no audit bundle, and no export of consents.")
            (verify_export if archive.looks_like_an_export() else verify)(archive, asked, report)
        except Broken as broken:
            report.note(broken)
        except OSError as error:
            raise Unusable(f"{shown(options.bundle)} can not be read: {error.strerror}.") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Verify a bundle and say what was found; the exit code."""
    options = _options(argv)
    report = Report()
    try:
        if options.receipt is not None:
            return _check_receipt(options)
        examine(options, report)
    except Unusable as error:
        if options.json:
            report.add("unusable", str(error))
            _print_json(report)
        with contextlib.suppress(OSError, ValueError):
            _complain(f"UNUSABLE: {error}\n")
        return UNUSABLE
    if options.json:
        _print_json(report)
    else:
        for line in sentences(report):
            print(line)
    return VALID if report.valid else INVALID


def _print_json(report: Report) -> None:
    print(json.dumps(report.document(), indent=2))


def sentences(report: Report) -> Iterator[str]:
    """The report for people."""
    if report.export is not None:
        yield from _export_sentences(report, report.export)
    elif report.origin:
        yield f"Log {report.origin}" + (f" of the clinic {report.clinic}" if report.clinic else "")
        yield f"Key {report.key}"
        yield f"{report.size} entries are signed; {report.entries} entries with {report.parts} parts were read."
    for pin in report.pins if report.export is None else ():
        fits = "fits" if pin.ok else "DOES NOT FIT"
        yield f"Checkpoint {shown(pin.file)} over {pin.checkpoint.size} of {pin.checkpoint.origin}: {fits}."
    if report.unreadable is not None:
        yield f"{report.erased} times keys were destroyed; {report.unreadable} parts nobody can read any more."
    if report.messages is not None:
        yield from _message_sentences(report.messages)
    for warning in report.warnings:
        yield f"Note: {warning}"
    for finding in report.findings[:SHOWN_FINDINGS]:
        yield f"WRONG: {finding.sentence}" + (f" (id {finding.id})" if finding.id else "")
    hidden = len(report.findings) - SHOWN_FINDINGS + report.more_findings
    if hidden > 0:
        yield f"... and {hidden} more; --json lists the first {MOST_FINDINGS}."
    yield _verdict(report)


def _message_sentences(messages: Messages) -> Iterator[str]:
    for one in messages.permitted or ():
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(str(one["time"])))
        consent = one["consent_event"]
        why = f"consent {consent} of entry {one['consent_entry']}" if consent else "the purpose is on the closed list"
        yield (
            f"Entry {one['entry']}, {moment:%Y-%m-%d %H:%M:%S} UTC: message {one['message']} to {one['patient']} "
            f"({one['purpose']}, {one['channel']}): {why}."
        )
    yield (
        f"{messages.handed_over} messages were handed over: {messages.with_consent} with a consent that stood at a "
        f"moment between being taken up and leaving, {messages.closed_list.total()} for purposes on the closed list, "
        f"{messages.without_consent_count} WITHOUT."
    )
    for purpose, count in sorted(messages.closed_list.items()):
        yield f"  on the closed list: {purpose}, {count}"
    if messages.unreadable:
        yield f"  besides, {messages.unreadable} to people whose keys were destroyed since: nobody can read those."


def _verdict(report: Report) -> str:
    if report.valid and report.export is not None:
        return f"VALID: all {len(report.export.files)} files are as they were signed; the log holds the entry."
    if report.valid:
        kept = max((pin.checkpoint.size for pin in report.pins if pin.checkpoint.origin == report.origin), default=0)
        since = f" The first {kept} are those that were there when a kept checkpoint was signed." if kept else ""
        return f"VALID: all {report.size} entries are there, in their order, each as it was signed.{since}"
    count = len(report.findings) + report.more_findings
    first = report.first_entry
    where = ""
    if first is not None:
        where = f" The first wrong entry that can be named is {first.entry}" + (
            f" (id {first.id})." if first.id else "."
        )
    return f"INVALID: {count} {'things are' if count > 1 else 'thing is'} wrong.{where}"


def run() -> int:
    """The command: stopped half-way, or talking to nobody, it has found nothing valid."""
    try:
        code = main()
        # Started without a standard output, Python has none.
        if sys.stdout is None:
            code = _gave_up("the answer can not be written: there is nobody to answer")
        else:
            sys.stdout.flush()
    except KeyboardInterrupt:
        code = _gave_up("it was stopped before it had an answer")
    except BrokenPipeError:
        code = UNUSABLE
    except OSError as error:
        code = _gave_up(f"the answer can not be written: {error.strerror or error}")
    except Exception as error:  # noqa: BLE001 - exit code 1 would call the bundle invalid
        code = _gave_up(f"something unexpected happened: {type(error).__name__}")
    # Python flushes both once more at its end, and would complain once more, with a code of its own.
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code


def _gave_up(reason: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        _complain(f"\nUNUSABLE: {reason}.\n")
    return UNUSABLE


def _complain(text: str) -> None:
    # Started without a standard error, Python has none.
    if sys.stderr is not None:
        sys.stderr.write(text)


if __name__ == "__main__":
    sys.exit(run())
