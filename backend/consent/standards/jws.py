"""Receipts are signed: compact JWS (RFC 7515) with Ed25519 (RFC 8037, RFC 9864) over canonical JSON (RFC 8785)."""

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from backend.audit.leaf import canonical_json
from backend.consent.standards.facts import Json

ALGORITHM: Final = "Ed25519"
TYPE: Final = "consent-receipt+jws"
CONTENT: Final = "application/ld+json"


@dataclass(frozen=True, slots=True)
class ReceiptSigner:
    """A key that signs receipts. Its secret is never shown."""

    seed: bytes = field(repr=False)

    @property
    def public(self) -> bytes:
        """The public half."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()

    @property
    def thumbprint(self) -> str:
        """The name of the key (`kid`)."""
        return thumbprint(self.public)

    def sign(self, payload: Json) -> str:
        """The signed receipt. Raises NotCanonical for what has no canonical form."""
        header: Json = {"alg": ALGORITHM, "cty": CONTENT, "kid": self.thumbprint, "typ": TYPE}
        text = f"{encoded(canonical_json(header))}.{encoded(canonical_json(payload))}"
        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(text.encode("ascii"))
        return f"{text}.{encoded(signature)}"


def public_key(public: bytes) -> Json:
    """A public key as others read it (JWK, RFC 8037 section 2)."""
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": encoded(public),
        "kid": thumbprint(public),
        "alg": ALGORITHM,
        "use": "sig",
    }


def thumbprint(public: bytes) -> str:
    """The thumbprint of a public key (RFC 7638, RFC 8037 appendix A.3)."""
    return encoded(hashlib.sha256(canonical_json({"crv": "Ed25519", "kty": "OKP", "x": encoded(public)})).digest())


def encoded(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
