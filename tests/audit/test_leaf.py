"""The bytes of an entry: canonical, closed, and refused when a single one differs."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from backend.audit.leaf import (
    MAX_LEAF_BYTES,
    MAX_SAFE_INTEGER,
    Canonical,
    NotCanonical,
    canonical_json,
    open_part,
    parse_leaf,
    seal_leaf,
    write_header,
)
from backend.vault.ciphers import Tampered, new_key
from backend.vault.identifiers import new_id
from backend.vault.keyring import DataKey, Scope

HEADER: dict[str, Canonical] = {
    "v": 1,
    "id": "01890a5d-ac96-774b-bcce-b302099a8057",
    "t": 1_791_964_800_000_000,
    "tn": "01890a5d-ac96-774b-bcce-b302099a8058",
    "a": "patient.read",
    "o": "ok",
    "ac": "u:5f0c9a3e",
    "ot": "patient",
    "ks": 1,
}


def make_key() -> DataKey:
    secret = new_key()
    return DataKey(
        key_id=new_id(),
        clinic_id=new_id(),
        scope=Scope.AUDIT,
        subject_id=new_id(),
        secret=secret,
        cipher=AESGCM(secret),
    )


# ---------------------------------------------------------------------------------------------------- canonical JSON

texts = st.text(st.characters(exclude_categories=["Cs"]))
keys = st.text(st.characters(max_codepoint=127))
profile = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner),
    max_leaves=20,
)


@given(profile)
def test_what_is_in_the_profile_is_written_as_rfc_8785_says(value):
    expected = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)

    assert canonical_json(value) == expected.encode()


@given(profile)
def test_canonical_text_is_read_back_as_the_same_value(value):
    assert json.loads(canonical_json(value)) == value


def test_a_header_is_written_as_rfc_8785_says():
    for request in ("", "0" * 32):
        given = {**HEADER, **({"cid": request} if request else {})}
        written = write_header(
            entry_id=UUID(str(given["id"])),
            clinic_id=UUID(str(given["tn"])),
            action="patient.read",
            happens_to="patient",
            outcome="ok",
            actor="u:5f0c9a3e",
            moment=1_791_964_800_000_000,
            request=request,
        )
        assert written == canonical_json(given)


@pytest.mark.parametrize(
    "change",
    [
        {"action": "Patient"},
        {"action": 'a","b":"c'},
        {"happens_to": "patient\n"},
        {"outcome": "perhaps"},
        {"actor": "Ottokar"},
        {"actor": "u:"},
        {"moment": 2**53},
        {"moment": 1.5},
        {"moment": True},
        {"request": "0" * 31},
        {"request": "é" * 32},
    ],
    ids=str,
)
def test_a_header_with_anything_else_is_not_written(change):
    right: dict[str, Any] = {
        "entry_id": UUID(int=1),
        "clinic_id": UUID(int=2),
        "action": "patient.read",
        "happens_to": "patient",
        "outcome": "ok",
        "actor": "sys",
        "moment": 0,
        "request": "",
    }
    assert write_header(**right)
    with pytest.raises(NotCanonical):
        write_header(**{**right, **change})


def test_every_control_character_is_written_as_rfc_8785_says():
    short = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
    for code in [*range(0x20), 0x22, 0x5C, 0x7F, 0x80, 0x2028, 0x2029, 0xFFFF, 0x1F600]:
        character = chr(code)
        written = short.get(character, f"\\u{code:04x}" if code < 0x20 else character)
        assert canonical_json(character) == f'"{written}"'.encode()


class Word(StrEnum):
    ONE = "one"


class Number(IntEnum):
    ONE = 1


class Mapping(dict):
    """A subclass could show itself in another order."""


class Sequence(list):
    """A subclass could show other items."""


FOREIGN = {
    "a float": 1.0,
    "not a number": float("nan"),
    "a number too large": 2**53,
    "a number too small": -(2**53),
    "a number larger than 64 bits": 2**70,
    "a lone surrogate": "\ud800",
    "a lone surrogate inside": ["a", {"b": "\udfff"}],
    "a key that is not ASCII": {"é": 1},
    "a key that is no text": {1: 1},
    "a key of a subclass": {Word.ONE: 1},
    "text of a subclass": Word.ONE,
    "a number of a subclass": Number.ONE,
    "a mapping of a subclass": Mapping(a=1),
    "a list of a subclass": Sequence([1]),
    "a tuple": (1,),
    "bytes": b"a",
    "a set": {1},
    "a time": datetime(2026, 1, 1, tzinfo=UTC),
    "an id": UUID(int=1),
    "a decimal": Decimal(1),
}


@pytest.mark.parametrize("value", FOREIGN.values(), ids=FOREIGN.keys())
def test_what_is_outside_the_profile_is_refused(value):
    with pytest.raises(NotCanonical):
        canonical_json(value)
    with pytest.raises(NotCanonical):
        canonical_json({"deep": [value]})


@pytest.mark.parametrize("depth", [300, 5000])
def test_what_is_nested_too_deep_is_refused(depth):
    value: list[object] = []
    for _ in range(depth):
        value = [value]

    with pytest.raises(NotCanonical):
        canonical_json(value)


@pytest.mark.needs_data
def test_the_pairs_of_the_reference_implementation(third_party_data):
    folder = third_party_data / "oracles" / "jcs"
    inside, outside = set(), set()
    for path in sorted((folder / "input").glob("*.json")):
        value = json.loads(path.read_text("utf-8"))
        try:
            written = canonical_json(value)
        except NotCanonical:
            outside.add(path.stem)
        else:
            inside.add(path.stem)
            assert written == (folder / "output" / path.name).read_bytes().rstrip(b"\n")

    # Outside: keys that are not ASCII (french, weird), numbers with a fraction (structures, values).
    assert inside == {"arrays", "unicode"}
    assert outside == {"french", "structures", "values", "weird"}


# --------------------------------------------------------------------------------------------------------- the leaf


def test_the_framing_is_golden():
    key = make_key()
    leaf = seal_leaf(HEADER, [(key, {"d": {"reason": "care"}, "s": "somebody"})])
    header = (
        b'{"a":"patient.read","ac":"u:5f0c9a3e","id":"01890a5d-ac96-774b-bcce-b302099a8057","ks":1,"o":"ok",'
        b'"ot":"patient","t":1791964800000000,"tn":"01890a5d-ac96-774b-bcce-b302099a8058","v":1}'
    )

    # Format, length and text of the header, one part.
    assert leaf[: 5 + len(header) + 1] == b"\x01" + len(header).to_bytes(4, "big") + header + b"\x01"
    part = leaf[5 + len(header) + 1 :]
    assert part[:16] == key.key_id.bytes
    # Twelve bytes of nonce, then one block of 64 bytes and the tag of 16.
    assert part[28:32] == (80).to_bytes(4, "big")
    assert len(part) == 16 + 12 + 4 + 80
    # What is bound, written out: label, header with its frame, number of the part, key; each behind its length.
    framed = leaf[: 5 + len(header)]
    bound = b"".join(
        len(item).to_bytes(4, "big") + item for item in (b"audit-part-v1", framed, b"\x00", key.key_id.bytes)
    )
    plain = key.cipher.decrypt(part[16:28], part[32:], bound)
    assert plain == b'{"d":{"reason":"care"},"s":"somebody"}'.ljust(38) + b"\x80" + b"\x00" * 25


def test_what_was_sealed_is_read_back():
    first, second = make_key(), make_key()
    leaf = parse_leaf(seal_leaf(HEADER, [(first, {"d": {}, "s": "one"}), (second, {"d": {"n": 2}})]))

    assert leaf.header == HEADER
    assert open_part(leaf, 0, first) == {"d": {}, "s": "one"}
    assert open_part(leaf, 1, second) == {"d": {"n": 2}}


def test_nobody_elses_key_opens_a_part():
    first, second = make_key(), make_key()
    leaf = parse_leaf(seal_leaf(HEADER, [(first, {"d": {}}), (second, {"d": {}})]))

    with pytest.raises(Tampered):
        open_part(leaf, 0, second)


def test_every_single_flipped_byte_is_refused():
    first, second = make_key(), make_key()
    sealed = seal_leaf(HEADER, [(first, {"d": {}, "s": "one"}), (second, {"d": {}, "s": "two"})])

    for place in range(len(sealed)):
        for mask in (0x01, 0x80, 0xFF):
            changed = sealed[:place] + bytes([sealed[place] ^ mask]) + sealed[place + 1 :]
            with pytest.raises(Tampered):
                read_all(changed, first, second)


def read_all(sealed: bytes, *keys: DataKey) -> None:
    leaf = parse_leaf(sealed)
    for index, key in enumerate(keys):
        open_part(leaf, index, key)


def test_parts_do_not_change_places():
    one, two = make_key(), make_key()
    leaf = parse_leaf(seal_leaf(HEADER, [(one, {"d": {}}), (two, {"d": {}})]))
    swapped = type(leaf)(header=leaf.header, header_bytes=leaf.header_bytes, parts=leaf.parts[::-1])

    with pytest.raises(Tampered):
        open_part(swapped, 0, two)


@given(st.binary(max_size=200))
def test_nothing_that_was_not_sealed_is_read(data):
    with pytest.raises(Tampered):
        parse_leaf(data)


@pytest.mark.parametrize("extra", [b"\x00", b"\x01", b"more"])
def test_nothing_may_follow(extra):
    sealed = seal_leaf(HEADER, [(make_key(), {"d": {}})])

    with pytest.raises(Tampered):
        parse_leaf(sealed + extra)
    with pytest.raises(Tampered):
        parse_leaf(sealed[:-1])


WRONG_HEADERS: dict[str, dict[str, Canonical]] = {
    "a key outside the list": {**HEADER, "name": "somebody"},
    "a key that is missing": {key: value for key, value in HEADER.items() if key != "a"},
    "an actor with a name": {**HEADER, "ac": "u:Jeanne Dupont"},
    "an actor with an address": {**HEADER, "ac": "u:jeanne@example.org"},
    "an actor without a pseudonym": {**HEADER, "ac": "u:"},
    "an actor of no kind": {**HEADER, "ac": "x:1"},
    "free text for an action": {**HEADER, "a": "Patient read"},
    "an outcome of its own": {**HEADER, "o": "maybe"},
    "a request id that somebody chose": {**HEADER, "cid": "jeanne.dupont"},
    "a telephone number as an object": {**HEADER, "ot": "+33612345678"},
    "a line ending": {**HEADER, "a": "patient.read\n"},
    "a yes for a number": {**HEADER, "ks": True},
    "text for a number": {**HEADER, "t": "1"},
    "a list": {**HEADER, "tn": ["01890a5d-ac96-774b-bcce-b302099a8058"]},
}


@pytest.mark.parametrize("header", WRONG_HEADERS.values(), ids=WRONG_HEADERS.keys())
def test_a_header_outside_the_closed_list_is_neither_written_nor_read(header):
    with pytest.raises(NotCanonical):
        seal_leaf(header, [(make_key(), {"d": {}})])

    text, good = canonical_json(header), canonical_json(HEADER)
    parts = seal_leaf(HEADER, [(make_key(), {"d": {}})])[5 + len(good) :]
    assert parse_leaf(b"\x01" + len(good).to_bytes(4, "big") + good + parts).parts
    with pytest.raises(Tampered):
        parse_leaf(b"\x01" + len(text).to_bytes(4, "big") + text + parts)


def test_a_leaf_without_a_part_is_neither_written_nor_read():
    with pytest.raises(ValueError, match="at least one part"):
        seal_leaf(HEADER, [])

    text = canonical_json(HEADER)
    with pytest.raises(Tampered):
        parse_leaf(b"\x01" + len(text).to_bytes(4, "big") + text + b"\x00")


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":1}',
        json.dumps(HEADER).encode(),
        canonical_json(HEADER) + b" ",
        canonical_json(HEADER).replace(b'"v":1', b'"v":1.0'),
        b"[]",
        b"null",
        b"",
        b"\xff",
    ],
    ids=["a key twice", "spaces", "a space at the end", "a float", "a list", "null", "nothing", "no UTF-8"],
)
def test_a_header_that_is_not_canonical_is_not_read(text):
    with pytest.raises(Tampered):
        parse_leaf(b"\x01" + len(text).to_bytes(4, "big") + text + b"\x00")


def test_what_is_too_large_is_refused():
    key = make_key()
    room = MAX_LEAF_BYTES - len(seal_leaf(HEADER, [(key, {"d": ""})]))

    assert len(seal_leaf(HEADER, [(key, {"d": "x" * (room - 64)})])) <= MAX_LEAF_BYTES
    with pytest.raises(ValueError, match=r"60,000"):
        seal_leaf(HEADER, [(key, {"d": "x" * (room + 64)})])


def test_more_patients_than_a_leaf_has_room_for_are_refused():
    key = make_key()

    with pytest.raises(ValueError, match="255 patients"):
        seal_leaf(HEADER, [(key, {"d": {}})] * 256)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=54))
def test_the_length_of_a_part_tells_little(text):
    key = make_key()
    leaf = parse_leaf(seal_leaf(HEADER, [(key, {"d": text})]))

    assert (len(leaf.parts[0].body) - 12 - 16) % 64 == 0
