"""Releases the keys of a log to its data protection officer: wrapped to a public key whose other half we never see."""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from backend.audit.leaf import canonical_json
from backend.errors import InvalidInput
from backend.vault.ciphers import encrypt, length_prefixed, new_key
from backend.vault.keyring import DataKey

SUITE: Final = "hpke-x25519-hkdf-sha256-aes-256-gcm"
_HPKE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class DpoKeyRefused(InvalidInput):
    """What should be the data protection officer's public key is none; the sentence says what is expected."""

    code = "dpo_key_refused"


class PrivateKeySent(DpoKeyRefused):
    """A private key was handed over: it has no business here, and nothing of it is kept."""

    code = "private_key_sent"


def read_public_key(pem: bytes) -> X25519PublicKey:
    """The public key in a PEM file. Raises DpoKeyRefused; a private key is refused too: it has no business here."""
    if b"PRIVATE KEY" in pem:
        raise PrivateKeySent(
            "This is a private key. It never leaves the data protection officer's machine: "
            "hand over the public key (openssl pkey -in dpo.pem -pubout).",
            field="dpo_key",
        )
    try:
        key = load_pem_public_key(pem)
    except ValueError as error:
        raise DpoKeyRefused("This is no public key in PEM form.", field="dpo_key") from error
    if not isinstance(key, X25519PublicKey):
        raise DpoKeyRefused(
            "The public key has to be an X25519 key (openssl genpkey -algorithm X25519).", field="dpo_key"
        )
    return key


class KeyRelease:
    """One release: a bundle key, wrapped to the recipient (HPKE, RFC 9180), and data keys under it."""

    def __init__(self, recipient: X25519PublicKey, *, origin: str) -> None:
        self._recipient, self._origin = recipient, origin
        self._secret = new_key()
        self._cipher = AESGCM(self._secret)

    def recipient(self) -> bytes:
        """The member `keys/recipient`."""
        info = f"accord-audit-bundle/v1 keys {self._origin}".encode()
        return canonical_json(
            {
                "v": 1,
                "suite": SUITE,
                "recipient": hashlib.sha256(self._recipient.public_bytes_raw()).hexdigest(),
                "sealed": _encoded(_HPKE.encrypt(self._secret, self._recipient, info)),
            }
        )

    def lines(self, keys: Iterable[DataKey]) -> Iterator[bytes]:
        """The member `keys/keys.ndjson`."""
        for key in keys:
            bound = length_prefixed(b"bundle-key-v1", key.key_id.bytes)
            sealed = encrypt(self._cipher, plain=key.secret, bound=bound)
            yield canonical_json({"id": str(key.key_id), "sealed": _encoded(sealed)}) + b"\n"


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
