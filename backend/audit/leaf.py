"""The bytes of one audit entry: a clear header from a closed list, and parts encrypted for those concerned.

    leaf = 0x01 | u32 len(H) | H | u8 number of parts | part*
    part = key id (16) | nonce (12) | u32 len(C) | C                C = AES-256-GCM ciphertext and tag
    AAD  = lp("audit-part-v1", 0x01 | u32 len(H) | H, u8 index, key id)

H is canonical JSON (RFC 8785, restricted profile). What a part holds is canonical JSON padded to 64 bytes. The leaf
hash (RFC 6962) is taken over these bytes, so destroying a key changes none of them. Format version 1.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import orjson

from backend.vault.ciphers import (
    NONCE_BYTES,
    Tampered,
    decrypt,
    encrypt,
    length_prefixed,
    pad,
    unpad,
)
from backend.vault.keyring import DataKey

FORMAT: Final = b"\x01"
SCHEMA_VERSION: Final = 1
KEY_SUITE: Final = 1
_ID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_CODE: Final = r"[a-z][a-z0-9_.]{0,59}"
# What may stand in clear, and in which form: numbers where there is none. No form has room for a name or an address.
HEADER: Final[Mapping[str, re.Pattern[str] | None]] = {
    "v": None,
    "id": re.compile(_ID),
    "t": None,
    "tn": re.compile(_ID),
    "a": re.compile(_CODE),
    "o": re.compile(r"ok|denied|error"),
    "ac": re.compile(r"u:[A-Za-z0-9_-]{1,32}|svc:[a-z][a-z0-9_-]{0,31}|sys|p|r"),
    "ot": re.compile(_CODE),
    "cid": re.compile(r"[0-9a-f]{32}"),
    "ks": None,
}
HEADER_KEYS: Final = frozenset(HEADER)
OPTIONAL_HEADER_KEYS: Final = frozenset({"cid"})
MAX_PARTS: Final = 255
MAX_LEAF_BYTES: Final = 60_000
MAX_SAFE_INTEGER: Final = 2**53 - 1
CANONICAL: Final = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
PART_LABEL: Final = b"audit-part-v1"

Canonical = str | int | bool | list["Canonical"] | dict[str, "Canonical"] | None


class NotCanonical(ValueError):
    """A value has no place in the restricted profile of RFC 8785: it is refused, never coerced."""


def canonical_json(value: object) -> bytes:
    """The one byte string for a value: ASCII keys, no floats, integers up to 2^53 - 1, no lone surrogates."""
    try:
        _refuse_foreign(value)
        return orjson.dumps(value, option=CANONICAL)
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise NotCanonical("not canonical") from error


def _refuse_foreign(value: object) -> None:
    # Exact types only: the encoder would write a subclass (an enum, a named tuple) in a way that its author chose.
    kind = type(value)
    if kind in _PLAIN:
        return
    if isinstance(value, dict) and kind is dict:
        for key, item in value.items():
            if type(key) is not str or not key.isascii():
                raise NotCanonical("a key that is not ASCII text")
            if type(item) is not str:
                _refuse_foreign(item)
    elif isinstance(value, list) and kind is list:
        for item in value:
            _refuse_foreign(item)
    elif not (isinstance(value, int) and kind is int):
        raise NotCanonical(f"a {kind.__name__}")
    elif abs(value) > MAX_SAFE_INTEGER:
        raise NotCanonical("an integer beyond 2^53 - 1")


_PLAIN: Final = frozenset({str, bool, type(None)})


def _refuse_foreign_header(header: Mapping[str, object]) -> None:
    if not (HEADER_KEYS - OPTIONAL_HEADER_KEYS) <= header.keys() <= HEADER_KEYS:
        raise NotCanonical("a header with other keys than those of the closed list")
    for key, value in header.items():
        form = HEADER[key]
        if type(value) is not int if form is None else not (isinstance(value, str) and form.fullmatch(value)):
            raise NotCanonical(f"a header whose {key} is of another form")


def _header_form() -> re.Pattern[str]:
    """What the whole canonical header looks like: the same closed list, to be matched in one go."""
    pieces = []
    for key in sorted(HEADER):
        form = HEADER[key]
        value = "(?:0|-?[1-9][0-9]*)" if form is None else f'"(?:{form.pattern})"'
        pieces.append(f'(?:"{key}":{value},)?' if key in OPTIONAL_HEADER_KEYS else f'"{key}":{value},')
    return re.compile(f"{{{''.join(pieces).removesuffix(',')}}}")


_HEADER_FORM: Final = _header_form()


def write_header(
    *,
    entry_id: UUID,
    clinic_id: UUID,
    action: str,
    happens_to: str,
    outcome: str,
    actor: str,
    moment: int,
    request: str,
) -> bytes:
    """The canonical header of a new entry; `moment` in microseconds. Raises NotCanonical for what has no place in it.

    Written in the order of RFC 8785 without a detour; no form of the closed list admits a character to be escaped.
    """
    cid = f'"cid":"{request}",' if request else ""
    header = (
        f'{{"a":"{action}","ac":"{actor}",{cid}"id":"{entry_id}","ks":{KEY_SUITE},"o":"{outcome}",'
        f'"ot":"{happens_to}","t":{moment},"tn":"{clinic_id}","v":{SCHEMA_VERSION}}}'
    )
    if not _HEADER_FORM.fullmatch(header) or abs(moment) > MAX_SAFE_INTEGER:
        raise NotCanonical("a header of another form than the closed list allows")
    return header.encode()


@dataclass(frozen=True, slots=True)
class Part:
    """One encrypted part as it stands in a leaf."""

    key_id: UUID
    body: bytes


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf taken apart, nothing decrypted."""

    header: dict[str, Canonical]
    header_bytes: bytes
    parts: tuple[Part, ...]


def seal_leaf(header: dict[str, Canonical], parts: Sequence[tuple[DataKey, dict[str, Canonical]]]) -> bytes:
    """Build a leaf: header as it is, parts under their keys. Raises NotCanonical, ValueError (no part; too long)."""
    _refuse_foreign_header(header)
    return seal_parts(canonical_json(header), parts)


def seal_parts(header: bytes, parts: Sequence[tuple[DataKey, dict[str, Canonical]]]) -> bytes:
    """Build a leaf on a canonical header. Raises NotCanonical and ValueError (no part, too large)."""
    framed = FORMAT + length_prefixed(header)
    if not parts:
        raise ValueError("An audit entry has at least one part: without one it would say nothing to whoever reads it.")
    if len(parts) > MAX_PARTS:
        raise ValueError("An audit entry has room for 255 patients: record several.")
    pieces = [framed, bytes([len(parts)])]
    for index, (key, content) in enumerate(parts):
        bound = _part_binding(framed, index, key.key_id)
        body = encrypt(key.cipher, plain=pad(canonical_json(content)), bound=bound)
        size = len(body) - NONCE_BYTES
        pieces += [key.key_id.bytes, body[:NONCE_BYTES], size.to_bytes(4, "big"), body[NONCE_BYTES:]]
    leaf = b"".join(pieces)
    if len(leaf) > MAX_LEAF_BYTES:
        raise ValueError("An audit entry is limited to 60,000 bytes: record several.")
    return leaf


def parse_leaf(leaf: bytes) -> Leaf:
    """Take a leaf apart. Raises Tampered where its framing is not exactly right."""
    reader = _Reader(leaf)
    if reader.take(1) != FORMAT:
        raise Tampered
    header_bytes = reader.take(reader.number(4))
    parts = []
    count = reader.number(1)
    for _ in range(count):
        key_id, nonce = UUID(bytes=reader.take(16)), reader.take(NONCE_BYTES)
        parts.append(Part(key_id=key_id, body=nonce + reader.take(reader.number(4))))
    if not count or not reader.is_at_end:
        raise Tampered
    try:
        header = orjson.loads(header_bytes)
        if not isinstance(header, dict) or canonical_json(header) != header_bytes:
            raise Tampered
        _refuse_foreign_header(header)
    except (orjson.JSONDecodeError, NotCanonical) as error:
        raise Tampered from error
    return Leaf(header=header, header_bytes=header_bytes, parts=tuple(parts))


def open_part(leaf: Leaf, index: int, key: DataKey) -> dict[str, Canonical]:
    """Decrypt one part. Raises Tampered."""
    part = leaf.parts[index]
    if part.key_id != key.key_id:
        raise Tampered
    framed = FORMAT + length_prefixed(leaf.header_bytes)
    opened: dict[str, Canonical] = orjson.loads(
        unpad(decrypt(key.cipher, blob=part.body, bound=_part_binding(framed, index, part.key_id)))
    )
    return opened


def _part_binding(framed_header: bytes, index: int, key_id: UUID) -> bytes:
    return length_prefixed(PART_LABEL, framed_header, bytes([index]), key_id.bytes)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        if len(piece) != count:
            raise Tampered
        self._at += count
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._data)
