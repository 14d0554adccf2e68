"""Canonical JSON, read with the standard library alone."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.audit.verifier import MAX_SAFE_INTEGER, Malformed, canonical_json

texts = st.text(st.characters(exclude_categories=["Cs"]))
keys = st.text(st.characters(max_codepoint=127))
profile = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner),
    max_leaves=20,
)


@given(profile)
def test_the_one_form_is_read(value):
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    assert canonical_json(text.encode()) == value


@given(profile.filter(lambda value: isinstance(value, list | dict) and value))
def test_a_form_with_blanks_is_refused(value):
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(", ", ":"))
    blank = f"{text} " if ", " not in text else text

    with pytest.raises(Malformed):
        canonical_json(blank.encode())


FOREIGN = {
    "a key twice": '{"a":1,"a":1}',
    "a key twice, written differently": '{"a":1,"\\u0061":1}',
    "keys in another order": '{"b":1,"a":1}',
    "an exponent": '{"a":1e3}',
    "a fraction": '{"a":1.0}',
    "minus zero": '{"a":-0}',
    "a leading zero": '{"a":01}',
    "a plus": '{"a":+1}',
    "too large a number": f'{{"a":{MAX_SAFE_INTEGER + 1}}}',
    "too small a number": f'{{"a":-{MAX_SAFE_INTEGER + 1}}}',
    "a huge number": f'{{"a":{"9" * 10_000}}}',
    "not a number": '{"a":NaN}',
    "infinity": '{"a":-Infinity}',
    "an escape nobody needs": '{"a":"\\u0041"}',
    "an escaped slash": '{"a":"\\/"}',
    "an escape in capitals": '{"a":"\\u001F"}',
    "a long escape where there is a short one": '{"a":"\\u000a"}',
    "an escaped letter with an accent": '{"a":"\\u00e9"}',
    "a lone surrogate": '{"a":"\\ud800"}',
    "an escaped pair of surrogates": '{"a":"\\ud83d\\ude00"}',
    "a key that is not ASCII": '{"é":1}',
    "such a key far inside": '[[{"a":[{"é":1}]}]]',
    "a control character": '{"a":"\n"}',
    "blanks": '{"a": 1}',
    "a line end behind it": '{"a":1}\n',
    "a second value behind it": '{"a":1}{"a":1}',
    "a byte order mark": '\ufeff{"a":1}',
    "a comma too many": '{"a":1,}',
    "a comment": '{"a":1/**/}',
    "nothing": "",
    "deep nesting": "[" * 100_000 + "]" * 100_000,
}


@pytest.mark.parametrize("text", FOREIGN.values(), ids=FOREIGN)
def test_every_other_form_is_refused(text):
    with pytest.raises(Malformed):
        canonical_json(text.encode())


@pytest.mark.parametrize("raw", [b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"a\x00"', b"\xff\xfe1\x00"])
def test_bytes_that_are_no_text_are_refused(raw):
    with pytest.raises(Malformed):
        canonical_json(raw)


@pytest.mark.needs_data
def test_of_the_official_pairs_those_in_the_profile_are_read_in_their_canonical_form_only(third_party_data):
    folder = third_party_data / "oracles" / "jcs"
    read = set()

    for path in sorted((folder / "output").glob("*.json")):
        canonical, original = path.read_bytes(), (folder / "input" / path.name).read_bytes()
        try:
            assert canonical_json(canonical) == json.loads(original)
        except Malformed:
            continue
        read.add(path.stem)
        if original != canonical:
            with pytest.raises(Malformed):
                canonical_json(original)

    # Outside: keys that are not ASCII (french, weird), numbers with a fraction (values).
    assert read == {"arrays", "structures", "unicode"}
