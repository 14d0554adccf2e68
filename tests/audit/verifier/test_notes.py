"""Signed notes and checkpoints, as C2SP says and as others wrote them."""

import json

import pytest

from backend.audit.verifier import (
    MAX_SAFE_INTEGER,
    Malformed,
    note_problem,
    parse_checkpoint,
    parse_note,
    parse_vkey,
)
from tests.factories.bundles import Signer, b64

ORIGIN = "accord/audit/6e903503-917f-4efd-8463-e84f0c95f2c9"
ROOT = b64(bytes(32))
SIGNER = Signer.made_from(ORIGIN, "northgate")
OTHER = Signer.made_from("example.com/witness", "other")
TEXT = f"{ORIGIN}\n7\n{ROOT}\n".encode()


@pytest.fixture
def vectors(third_party_data):
    return json.loads((third_party_data / "oracles" / "note" / "note_vectors.json").read_text("utf-8"))


@pytest.mark.needs_data
def test_notes_that_others_signed_are_right(vectors):
    keys = [parse_vkey(vkey) for vkey in vectors["vkeys"]]
    text, signatures = vectors["text"], vectors["sigs"]

    both = parse_note(f"{text}\n{''.join(signatures)}".encode())
    assert [note_problem(both, key) for key in keys] == [None, None]
    assert both.text == text.encode()
    for key, signature in zip(keys, signatures, strict=True):
        assert note_problem(parse_note(f"{text}\n{signature}".encode()), key) is None
    c2sp = parse_note(vectors["c2sp_note"].encode())
    assert note_problem(c2sp, parse_vkey(vectors["c2sp_vkey"])) is None


@pytest.mark.needs_data
def test_a_note_that_another_signed_is_not_ours(vectors):
    peter, enoch = (parse_vkey(vkey) for vkey in vectors["vkeys"])
    by_peter = f"{vectors['text']}\n{vectors['sigs'][0]}"

    assert note_problem(parse_note(by_peter.encode()), enoch) == "is not signed by the log's key"
    changed = parse_note(by_peter.replace("cryptography", "Cryptography").encode())
    assert note_problem(changed, peter) == "has a wrong signature"


@pytest.mark.needs_data
def test_malformed_keys_of_others_are_refused(vectors):
    for vkey in vectors["bad_vkeys"]:
        with pytest.raises(Malformed):
            parse_vkey(vkey)


@pytest.mark.needs_data
def test_malformed_notes_of_others_are_refused(vectors):
    text, signature = vectors["text"], vectors["sigs"][0]
    notes = {
        "text only": text.encode(),
        "text+blank": f"{text}\n".encode(),
        "sig without final newline": f"{text}\n{signature[:-1]}".encode(),
        "\\x01 prefix": f"\x01{text}\n{signature}".encode(),
        "\\xff prefix": b"\xff" + f"{text}\n{signature}".encode(),
        "name with space in sig line": f"{text}\n— Bad Name x08goYfHzQ==\n".encode(),
        "unexpected trailing line": f"{text}\n{signature}Unexpected line.\n".encode(),
        "101 signatures": f"{text}\n{signature * 101}".encode(),
    }

    assert set(notes) == set(vectors["malformed"])
    for note in notes.values():
        with pytest.raises(Malformed):
            parse_note(note)


def test_signatures_by_keys_we_do_not_know_are_ignored():
    note = TEXT + b"\n" + OTHER.line(b"something else") + SIGNER.line(TEXT) + OTHER.line(TEXT)

    assert note_problem(parse_note(note), parse_vkey(SIGNER.vkey)) is None


def test_a_wrong_signature_beside_a_right_one_is_not_overlooked():
    note = TEXT + b"\n" + SIGNER.line(TEXT) + SIGNER.line(b"something else")

    assert note_problem(parse_note(note), parse_vkey(SIGNER.vkey)) == "has a wrong signature"


LINE = SIGNER.line(TEXT)
BAD_LINES = {
    "a hyphen": LINE.replace("—".encode(), b"-"),
    "an en dash": LINE.replace("—".encode(), "–".encode()),
    "two spaces": LINE.replace("— ".encode(), "—  ".encode()),
    "a space that does not break": LINE.replace(b" ", "\u00a0".encode()),
    "no space": LINE.replace("— ".encode(), "—".encode()),
    "a carriage return": LINE.replace(b"\n", b"\r\n"),
    "a NUL": LINE.replace(b"\n", b"\x00\n"),
    "a plus in the name": LINE.replace(b"accord/", b"accord+"),
    "no name": LINE.replace(ORIGIN.encode(), b""),
    "Base64 of the web": "— {} {}\n".format(ORIGIN, "-_" * 46).encode(),
    "Base64 with a blank": LINE.replace(b"=\n", b"= \n"),
    "Base64 whose last bits are not zero": LINE[:-3] + bytes([LINE[-3] + 1]) + LINE[-2:],
    "Base64 without padding": LINE.replace(b"=\n", b"\n"),
    "an empty line": b"\n",
    "only a key id": f"— {ORIGIN} {b64(SIGNER.key_id)}\n".encode(),
}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES)
def test_a_signature_line_has_one_form(line):
    with pytest.raises(Malformed):
        parse_note(TEXT + b"\n" + SIGNER.line(TEXT) + line)


@pytest.mark.parametrize("extra", [b"", b"\x00", bytes(64)])
def test_a_signature_of_ours_with_another_length_is_wrong(extra):
    signature = SIGNER.key_id + SIGNER.key.sign(TEXT)
    line = f"— {ORIGIN} {b64(signature + extra if extra else signature[:-1])}\n".encode()

    assert note_problem(parse_note(TEXT + b"\n" + line), parse_vkey(SIGNER.vkey)) == "has a wrong signature"


BAD_CHECKPOINTS = {
    "a leading zero": f"{ORIGIN}\n07\n{ROOT}\n",
    "a plus": f"{ORIGIN}\n+7\n{ROOT}\n",
    "a minus": f"{ORIGIN}\n-7\n{ROOT}\n",
    "a fraction": f"{ORIGIN}\n7.0\n{ROOT}\n",
    "an exponent": f"{ORIGIN}\n7e0\n{ROOT}\n",
    "other digits": f"{ORIGIN}\n٧\n{ROOT}\n",
    "too large": f"{ORIGIN}\n{MAX_SAFE_INTEGER + 1}\n{ROOT}\n",
    "far too large": f"{ORIGIN}\n{'9' * 5000}\n{ROOT}\n",
    "no size": f"{ORIGIN}\n\n{ROOT}\n",
    "no origin": f"\n7\n{ROOT}\n",
    "a short root": f"{ORIGIN}\n7\n{b64(bytes(31))}\n",
    "a long root": f"{ORIGIN}\n7\n{b64(bytes(33))}\n",
    "a root whose last bits are not zero": f"{ORIGIN}\n7\n{ROOT[:-2]}B=\n",
    "a blank": f"{ORIGIN}\n7 \n{ROOT}\n",
    "a carriage return": f"{ORIGIN}\r\n7\r\n{ROOT}\r\n",
    "a fourth line": f"{ORIGIN}\n7\n{ROOT}\nextension\n",
    "no last line end": f"{ORIGIN}\n7\n{ROOT}",
}


@pytest.mark.parametrize("text", BAD_CHECKPOINTS.values(), ids=BAD_CHECKPOINTS)
def test_a_checkpoint_has_one_form(text):
    with pytest.raises(Malformed):
        parse_checkpoint(text.encode())


@pytest.mark.parametrize("size", [0, 1, 9, 10, 255, 2**40, 9_007_199_254_740_989, MAX_SAFE_INTEGER])
def test_every_size_up_to_2_to_the_53_is_read(size):
    assert parse_checkpoint(f"{ORIGIN}\n{size}\n{ROOT}\n".encode()).size == size


def test_a_vkey_is_read_and_nothing_like_it():
    vkey = SIGNER.vkey
    assert parse_vkey(vkey).public == SIGNER.key.public_key().public_bytes_raw()

    upper = vkey.replace(SIGNER.key_id.hex(), SIGNER.key_id.hex().upper())
    other = vkey.replace(SIGNER.key_id.hex(), "00000000")
    for wrong in (vkey + "=", vkey[:-4], f" {vkey}", vkey + "\n", upper, other, vkey.replace("+", " ", 1), ""):
        with pytest.raises(Malformed):
            parse_vkey(wrong)
