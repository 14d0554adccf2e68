"""Everything that can be recorded can be told to people, in French and in English."""

import re
from collections import Counter
from string import Formatter

import pytest

from backend.audit.actions import BY_CODE, CODE, Action, Kind
from backend.audit.leaf import HEADER
from backend.policy.vocabulary import Language
from backend.vault.identifiers import new_id

EXAMPLES: dict[Kind, object] = {
    Kind.CODE: "a_code",
    Kind.CODES: ["one", "two"],
    Kind.ID: new_id(),
    Kind.IDS: [new_id()],
    Kind.COUNT: 3,
    Kind.HASH: "0" * 64,
}
every_action = pytest.mark.parametrize("action", Action, ids=lambda action: action.spec.code)


def placeholders(template: str) -> set[str]:
    return {name for _text, name, _form, _conversion in Formatter().parse(template) if name is not None}


@every_action
def test_a_sentence_names_only_what_the_action_declares(action):
    for template in (action.spec.english, action.spec.french):
        assert placeholders(template) <= action.spec.details.keys()


@every_action
def test_both_languages_tell_the_same(action):
    assert placeholders(action.spec.english) == placeholders(action.spec.french)


@every_action
def test_no_sentence_shows_an_id_or_a_hash(action):
    """People are told what happened; ids are for those who look an entry up."""
    hidden = {name for name, kind in action.spec.details.items() if kind in {Kind.ID, Kind.IDS, Kind.HASH}}

    assert not placeholders(action.spec.english) & hidden


@every_action
def test_a_sentence_is_one_in_both_languages(action):
    spec = action.spec

    for template in (spec.english, spec.french):
        assert re.fullmatch(r"([A-ZÀ-ÖÙ-Ý]|\{count\}).+\.", template)
        assert "'" not in template, "typographic apostrophes"
    assert spec.english != spec.french
    # French sets a space before these, and the same words never end up in both.
    assert not re.search(r"\S[;:?!]\s", spec.french)


@every_action
def test_a_code_is_coarse_and_fits_the_clear_header(action):
    spec = action.spec

    assert CODE.fullmatch(spec.code)
    assert re.fullmatch(r"[a-z_]+\.[a-z_]+", spec.code)
    form, kind = HEADER["a"], HEADER["ot"]
    assert form is not None
    assert kind is not None
    assert form.fullmatch(spec.code)
    assert kind.fullmatch(spec.happens_to)


@every_action
def test_an_action_takes_its_details_and_tells_them(action):
    details = {name: EXAMPLES[kind] for name, kind in action.spec.details.items()}
    checked = action.checked(details)

    for language in Language:
        sentence = action.sentence(language, checked)
        assert "{" not in sentence
        assert "•••" not in sentence


def test_no_code_is_used_twice():
    assert [code for code, times in Counter(action.spec.code for action in Action).items() if times > 1] == []
    assert len(BY_CODE) == len(Action)


def test_details_are_named_in_full_words():
    names = {name for action in Action for name in action.spec.details}

    assert all(re.fullmatch(r"[a-z][a-z0-9_]+", name) for name in names)
    # These are arguments of `record` itself, and would be taken for them.
    assert not names & {"by", "now", "clinic_id", "about", "whole_clinic", "outcome", "durable", "using"}
