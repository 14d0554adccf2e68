"""Signed notes and checkpoints are read exactly as their specification says."""

import base64
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.audit.notes import Checkpoint, NoteRefused, SigningKey, VerifyingKey, note_from, origin_of, signing_key
from backend.vault.identifiers import new_id

SEED = bytes(range(32))
ORIGIN = origin_of(UUID(int=7))
KEY = SigningKey(ORIGIN, SEED)
CHECKPOINT = Checkpoint(origin=ORIGIN, size=42, root=bytes(range(32)))


def vectors(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "oracles" / "note" / "note_vectors.json").read_text(encoding="utf-8"))
    return read


@pytest.mark.needs_data
def test_the_notes_of_others_are_accepted(third_party_data):
    told = vectors(third_party_data)
    text, (first, second) = told["text"], told["sigs"]
    keys = [VerifyingKey.parse(key) for key in told["vkeys"]]

    assert [str(key) for key in keys] == told["vkeys"]
    assert keys[0].verify(f"{text}\n{first}") == text
    assert [key.verify(f"{text}\n{first}{second}") for key in keys] == [text, text]
    example = VerifyingKey.parse(told["c2sp_vkey"])
    assert example.verify(told["c2sp_note"]) == "This is an example message.\n"
    seed = base64.b64decode(told["skey"].split("+", 4)[4])[1:]
    assert SigningKey("PeterNeumann", seed).sign(text) == f"{text}\n{first}"


@pytest.mark.needs_data
def test_the_keys_that_others_call_bad_are_refused(third_party_data):
    for key in vectors(third_party_data)["bad_vkeys"]:
        with pytest.raises(NoteRefused):
            VerifyingKey.parse(key)


@pytest.mark.needs_data
def test_the_notes_that_others_call_malformed_are_refused(third_party_data):
    told = vectors(third_party_data)
    text, signature, key = told["text"], told["sigs"][0], VerifyingKey.parse(told["vkeys"][0])
    malformed = {
        "text only": text.encode(),
        "text+blank": f"{text}\n".encode(),
        "sig without final newline": f"{text}\n{signature[:-1]}".encode(),
        "\\x01 prefix": b"\x01" + f"{text}\n{signature}".encode(),
        "\\xff prefix": b"\xff" + f"{text}\n{signature}".encode(),
        "name with space in sig line": f"{text}\n\u2014 Bad Name x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAc=\n".encode(),
        "unexpected trailing line": f"{text}\n{signature}Unexpected line.\n".encode(),
        "101 signatures": f"{text}\n{signature * 101}".encode(),
    }
    assert sorted(malformed) == sorted(told["malformed"])

    for name, note in malformed.items():
        with pytest.raises(NoteRefused):
            pytest.fail(f"{name}: {key.verify(note_from(note))}")


def test_what_was_signed_is_read_back():
    note = KEY.sign(CHECKPOINT.text)

    assert Checkpoint.parse(KEY.verifying.verify(note)) == CHECKPOINT
    assert VerifyingKey.parse(str(KEY.verifying)) == KEY.verifying


def test_signatures_of_others_are_passed_over():
    note = KEY.sign(CHECKPOINT.text)
    witness = SigningKey("witness.example", bytes(32)).sign(CHECKPOINT.text).partition("\n\n")[2]

    assert KEY.verifying.verify(note + witness) == CHECKPOINT.text


def test_another_key_under_the_same_name_does_not_pass():
    forged = SigningKey(ORIGIN, bytes(32)).sign(CHECKPOINT.text)

    with pytest.raises(NoteRefused, match="not signed by"):
        KEY.verifying.verify(forged)


@given(at=st.integers(min_value=0), bit=st.integers(0, 7))
def test_no_changed_byte_passes(at, bit):
    note = bytearray(KEY.sign(CHECKPOINT.text).encode())
    note[at % len(note)] ^= 1 << bit

    with pytest.raises(NoteRefused):
        KEY.verifying.verify(note_from(bytes(note)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"{ORIGIN}\n42\n",
        f"{ORIGIN}\n042\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{ORIGIN}\n+42\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{ORIGIN}\n-1\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{ORIGIN}\n42\n{base64.b64encode(bytes(31)).decode()}\n",
        f"{ORIGIN}\n42\n{base64.b64encode(bytes(32)).decode()}\nextension\n",
        f"{ORIGIN}\n42\n{base64.b64encode(bytes(32)).decode()[:-1]}\n",
        f"\n42\n{base64.b64encode(bytes(32)).decode()}\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(NoteRefused):
        Checkpoint.parse(text)


def test_each_log_has_a_key_of_its_own_name():
    first, second = (signing_key(origin_of(new_id()), SEED).verifying for _ in range(2))

    assert first.public == second.public
    assert first.key_hash != second.key_hash
