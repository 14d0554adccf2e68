"""Encryption with everything bound, and the framing of what is bound."""

from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from backend.vault.ciphers import (
    Tampered,
    commitment,
    data_key_binding,
    decrypt,
    derive,
    encrypt,
    field_binding,
    length_prefixed,
    mac,
    new_key,
    new_nonce,
    pad,
    unpad,
)
from backend.vault.identifiers import new_id

ONE, TWO = UUID(int=1), UUID(int=2)


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_what_was_encrypted_is_decrypted(plain, bound):
    cipher = AESGCM(new_key())

    assert decrypt(cipher, blob=encrypt(cipher, plain=plain, bound=bound), bound=bound) == plain


def test_every_single_flipped_byte_is_refused():
    cipher = AESGCM(new_key())
    blob = encrypt(cipher, plain=b"somebody", bound=b"place")

    for place in range(len(blob)):
        changed = blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :]
        with pytest.raises(Tampered):
            decrypt(cipher, blob=changed, bound=b"place")


@pytest.mark.parametrize("length", range(36))
def test_what_was_cut_off_is_refused(length):
    cipher = AESGCM(new_key())
    blob = encrypt(cipher, plain=b"somebody", bound=b"place")

    assert length < len(blob)
    with pytest.raises(Tampered):
        decrypt(cipher, blob=blob[:length], bound=b"place")


def test_another_key_or_place_is_refused():
    cipher = AESGCM(new_key())
    blob = encrypt(cipher, plain=b"somebody", bound=b"place")

    with pytest.raises(Tampered):
        decrypt(AESGCM(new_key()), blob=blob, bound=b"place")
    with pytest.raises(Tampered):
        decrypt(cipher, blob=blob, bound=b"other place")


def test_the_same_text_is_never_encrypted_alike():
    cipher = AESGCM(new_key())

    assert len({encrypt(cipher, plain=b"somebody", bound=b"") for _ in range(100)}) == 100
    assert len({new_nonce() for _ in range(100)}) == 100
    assert len(new_nonce()) == 12


@given(st.lists(st.binary(max_size=6), max_size=4), st.lists(st.binary(max_size=6), max_size=4))
def test_no_two_lists_are_framed_alike(first, second):
    assert (length_prefixed(*first) == length_prefixed(*second)) == (first == second)


@given(st.binary(max_size=300))
def test_padding_is_undone(plain):
    assert unpad(pad(plain)) == plain
    assert len(pad(plain)) % 64 == 0
    assert len(pad(plain)) > len(plain)


@pytest.mark.parametrize("padded", [b"", b"\x00", b"abc", b"abc\x00\x00", b"\x00" * 64])
def test_what_was_never_padded_is_refused(padded):
    with pytest.raises(Tampered):
        unpad(padded)


# --------------------------------------------------------------------------------------------- vectors of others


def test_hmac_is_that_of_rfc_4231():
    """RFC 4231, 4.3, test case 2."""
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"

    assert mac(b"Jefe", b"what do ya want for nothing?").hex() == expected


def test_derivation_is_hkdf_without_a_salt():
    """RFC 5869, 2.2 and 2.3, written out for one block."""
    secret = bytes(range(32))
    extracted = mac(bytes(32), secret)

    assert derive(secret, purpose="bi-v1|phone|v1") == mac(extracted, b"bi-v1|phone|v1\x01")


def test_keys_for_different_purposes_differ():
    secret = new_key()

    assert derive(secret, purpose="one") != derive(secret, purpose="two")
    assert commitment(secret) == derive(secret, purpose="commit-v1")[:16]
    assert commitment(secret) != commitment(new_key())


# --------------------------------------------------------------------------------------------------- what is bound


def test_the_bindings_are_golden():
    assert data_key_binding(key_id=ONE, clinic_id=TWO, scope="profile", epoch=3) == (
        b"\x00\x00\x00\x06dek-v1"
        b"\x00\x00\x00\x10" + ONE.bytes + b"\x00\x00\x00\x10" + TWO.bytes + b"\x00\x00\x00\x07profile"
        b"\x00\x00\x00\x04\x00\x00\x00\x03"
    )
    assert field_binding(table="t", column="c", row=b"r", clinic_id=ONE, key_id=TWO) == (
        b"\x00\x00\x00\x08field-v1\x00\x00\x00\x01t\x00\x00\x00\x01c\x00\x00\x00\x01r"
        b"\x00\x00\x00\x10" + ONE.bytes + b"\x00\x00\x00\x10" + TWO.bytes
    )


def test_identifiers_are_version_7_and_ordered_by_the_millisecond():
    made = [new_id() for _ in range(2000)]

    assert {identifier.version for identifier in made} == {7}
    assert {identifier.variant for identifier in made} == {"specified in RFC 4122"}
    assert len(set(made)) == 2000
    moments = [identifier.int >> 80 for identifier in made]
    assert moments == sorted(moments)
