"""Authenticated encryption with everything bound: AES-256-GCM, and the framing of what is bound."""

import os
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
SUITE_AES_256_GCM: Final = 1
BLOCK: Final = 64


class Tampered(Exception):
    """A ciphertext is not the one that was written here: changed, moved to another place, or under another key."""


def length_prefixed(*items: bytes) -> bytes:
    """Join items so that no two different lists give the same bytes: each behind its length, 32 bits big endian."""
    return b"".join([len(item).to_bytes(4, "big") + item for item in items])


def new_key() -> bytes:
    """32 random bytes from the operating system."""
    return os.urandom(KEY_BYTES)


def new_nonce() -> bytes:
    """96 random bits (NIST SP 800-38D 8.2.2: at most 2^32 messages under one key; ours see far fewer)."""
    return os.urandom(NONCE_BYTES)


def encrypt(cipher: AESGCM, *, plain: bytes, bound: bytes) -> bytes:
    """Encrypt, with `bound` authenticated: the answer is nonce | ciphertext | tag."""
    nonce = new_nonce()
    return nonce + cipher.encrypt(nonce, plain, bound)


def decrypt(cipher: AESGCM, *, blob: bytes, bound: bytes) -> bytes:
    """Undo `encrypt`; raises Tampered where anything differs."""
    try:
        return cipher.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], bound)
    except (InvalidTag, ValueError) as error:
        raise Tampered from error


def derive(secret: bytes, *, purpose: str) -> bytes:
    """A key for one purpose out of another key (HKDF-SHA256, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(secret)


def mac(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104)."""
    signer = HMAC(key, SHA256())
    signer.update(data)
    return signer.finalize()


def commitment(key: bytes) -> bytes:
    """Sixteen bytes that pin a key without telling it: AES-GCM alone does not commit to its key."""
    return derive(key, purpose="commit-v1")[:16]


def pad(plain: bytes) -> bytes:
    """Fill up to a multiple of 64 bytes (ISO/IEC 7816-4), so that lengths tell little."""
    padded = plain + b"\x80"
    return padded + b"\x00" * (-len(padded) % BLOCK)


def unpad(padded: bytes) -> bytes:
    """Undo `pad`; raises Tampered where there is no padding."""
    stripped = padded.rstrip(b"\x00")
    if not stripped.endswith(b"\x80"):
        raise Tampered
    return stripped[:-1]


def data_key_binding(*, key_id: UUID, clinic_id: UUID, scope: str, epoch: int) -> bytes:
    """What a wrapped data key is bound to: it can not be passed off as another clinic's, scope's or epoch's."""
    return length_prefixed(b"dek-v1", key_id.bytes, clinic_id.bytes, scope.encode(), epoch.to_bytes(4, "big"))


def field_binding(*, table: str, column: str, row: bytes, clinic_id: UUID, key_id: UUID) -> bytes:
    """What a sealed field is bound to: its table, column, row, clinic and key."""
    return length_prefixed(b"field-v1", table.encode(), column.encode(), row, clinic_id.bytes, key_id.bytes)
