"""Signatures, verified in plain Python: exactly those that RFC 8032 calls valid, read strictly."""

import hashlib
import random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from backend.audit.verifier import L, P, _decompress, ed25519_verify
from tests.audit.verifier.rfc8032 import VECTORS

SMALL_ORDER = {
    "the identity": (1).to_bytes(32, "little"),
    "order 2": (P - 1).to_bytes(32, "little"),
    "order 4": bytes(32),
    "order 8": bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    "order 8, the other": bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
}
NOT_CANONICAL = {
    "the identity, y beyond the field": (P + 1).to_bytes(32, "little"),
    "y is the field's size": P.to_bytes(32, "little"),
    "x is zero and negative": ((1 << 255) | 1).to_bytes(32, "little"),
    "no point of the curve": (2).to_bytes(32, "little"),
    "all ones": b"\xff" * 32,
}


def vector(name):
    return [bytes.fromhex(text) for text in VECTORS[name]]


@pytest.mark.parametrize("name", VECTORS)
def test_the_signatures_of_rfc_8032_are_right(name):
    public, message, signature = vector(name)

    assert ed25519_verify(public, signature, [message])


@pytest.mark.parametrize("name", VECTORS)
def test_every_flipped_bit_of_a_signature_is_noticed(name):
    public, message, signature = vector(name)

    for bit in range(0, 512, 41):
        flipped = bytearray(signature)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not ed25519_verify(public, bytes(flipped), [message])


def test_a_message_may_come_in_pieces():
    public, message, signature = vector("1023 bytes")

    assert ed25519_verify(public, signature, [message[:100], b"", message[100:]])
    assert not ed25519_verify(public, signature, [message[:100], message[101:]])


def test_we_agree_with_cryptography_on_keys_and_messages_of_all_lengths():
    made = random.Random(8032)  # noqa: S311 - the same keys each time

    for length in range(60):
        key = Ed25519PrivateKey.from_private_bytes(made.randbytes(32))
        public, message = key.public_key().public_bytes_raw(), made.randbytes(length * 7)
        signature = key.sign(message)
        assert ed25519_verify(public, signature, [message])
        assert not ed25519_verify(public, signature, [message, b"!"])
        assert not ed25519_verify(made.randbytes(32), signature, [message])


def test_a_second_form_of_a_signature_is_refused():
    public, message, signature = vector("two bytes")
    number = int.from_bytes(signature[32:], "little")

    assert number + L < 2**256
    assert not ed25519_verify(public, signature[:32] + (number + L).to_bytes(32, "little"), [message])
    assert not ed25519_verify(public, signature[:32] + L.to_bytes(32, "little"), [message])


@pytest.mark.parametrize("public", SMALL_ORDER.values(), ids=SMALL_ORDER)
def test_a_key_of_small_order_signs_nothing(public):
    # With S = 0, and R a point of small order, the equation would hold for one message in eight at the latest.
    assert not any(
        ed25519_verify(public, commitment + bytes(32), [b"%d" % number])
        for commitment in SMALL_ORDER.values()
        for number in range(8)
    )


def scalar_of(seed):
    """The secret number behind a seed (RFC 8032, 5.1.5), to sign in ways that no library would."""
    clamped = bytearray(hashlib.sha512(seed).digest()[:32])
    clamped[0] &= 248
    clamped[31] = clamped[31] & 127 | 64
    return int.from_bytes(clamped, "little") % L


def test_the_key_that_would_fit_every_message_is_refused():
    # With the identity as key, (S times the base, S) satisfies the equation whatever the message is.
    seed = bytes(range(32))
    times_base = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    signature = times_base + scalar_of(seed).to_bytes(32, "little")

    assert not ed25519_verify(SMALL_ORDER["the identity"], signature, [b"anything"])


def test_a_signature_without_a_commitment_is_refused():
    # Whoever has the key can leave R out: the equation holds, and the secret number can be computed from S.
    seed = bytes(range(32))
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    commitment = SMALL_ORDER["the identity"]
    k = int.from_bytes(hashlib.sha512(commitment + public + b"anything").digest(), "little") % L
    signature = commitment + (k * scalar_of(seed) % L).to_bytes(32, "little")

    assert not ed25519_verify(public, signature, [b"anything"])


@pytest.mark.parametrize("point", NOT_CANONICAL.values(), ids=NOT_CANONICAL)
def test_a_point_has_one_encoding(point):
    public, message, signature = vector("one byte")

    assert not ed25519_verify(point, signature, [message])
    assert not ed25519_verify(public, point + signature[32:], [message])


def test_no_y_beyond_the_field_and_no_negative_zero_is_a_point():
    found = [y for y in range(19) if _decompress(y.to_bytes(32, "little"))]

    assert found
    assert not any(_decompress((P + y).to_bytes(32, "little")) for y in range(19))
    assert _decompress((1).to_bytes(32, "little"))
    assert not _decompress((1 | 1 << 255).to_bytes(32, "little"))


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_has_32_bytes(length):
    _, message, signature = vector("one byte")

    assert not ed25519_verify(bytes(length), signature, [message])


@pytest.mark.parametrize("length", [0, 32, 63, 65])
def test_a_signature_has_64_bytes(length):
    public, message, signature = vector("one byte")

    assert not ed25519_verify(public, (signature + bytes(8))[:length], [message])
