"""An SMS is counted as operators count it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.messaging.segments import ALONE, BASIC, ESCAPED, Encoding, characters_outside, count, with_plain_signs


def test_the_small_alphabet_has_every_place_of_the_standard_but_the_escape():
    assert len(BASIC) == 127
    assert len(ESCAPED) == 10


@pytest.mark.parametrize(
    ("text", "encoding", "units", "parts"),
    [
        ("", Encoding.GSM7, 0, 0),
        ("a" * 160, Encoding.GSM7, 160, 1),
        ("a" * 161, Encoding.GSM7, 161, 2),
        ("a" * 306, Encoding.GSM7, 306, 2),
        ("a" * 307, Encoding.GSM7, 307, 3),
        ("€" * 80, Encoding.GSM7, 160, 1),
        ("€" * 81, Encoding.GSM7, 162, 2),
        ("é è à ù ì ò", Encoding.GSM7, 11, 1),
        ("ç" * 70, Encoding.UCS2, 70, 1),
        ("ç" * 71, Encoding.UCS2, 71, 2),
        ("ç" * 134, Encoding.UCS2, 134, 2),
        ("ç" * 135, Encoding.UCS2, 135, 3),
        ("\N{GRINNING FACE}" * 35, Encoding.UCS2, 70, 1),
        ("\N{GRINNING FACE}" * 36, Encoding.UCS2, 72, 2),
    ],
)
def test_a_text_is_counted(text, encoding, units, parts):
    counted = count(text)

    assert (counted.encoding, counted.units, counted.parts) == (encoding, units, parts)


def test_a_sign_of_two_units_is_not_cut_in_two():
    # 152 and 1 would fill the first part; the euro sign does not fit into its last place and moves on.
    assert count("a" * 152 + "€" + "a" * 152).parts == 3
    assert count("a" * 151 + "€" + "a" * 153).parts == 2


@pytest.mark.parametrize("word", ["ça", "être", "août", "n’est", "« oui »", "cœur", "Noël", "14\N{NO-BREAK SPACE}h"])
def test_one_sign_outside_the_alphabet_costs_the_whole_text(word):
    assert count(word + "a" * 100).encoding is Encoding.UCS2


def test_the_signs_outside_are_named_so_that_a_person_can_choose_another_word():
    assert characters_outside("Vous êtes attendu à l’accueil") == {"ê", "’"}


def test_signs_are_made_plain_and_accents_are_kept():
    typographic = "L’heure\N{NARROW NO-BREAK SPACE}? 14\N{NO-BREAK SPACE}h – c’est ça…"

    assert with_plain_signs(typographic) == "L'heure ? 14 h - c'est ça..."


@given(st.text())
def test_a_longer_text_never_costs_less(text):
    shorter, longer = count(text), count(f"{text}a")

    assert longer.units == shorter.units + 1
    assert longer.parts >= shorter.parts


@given(st.text(min_size=1))
def test_one_message_is_enough_exactly_up_to_the_limit(text):
    counted = count(text)

    assert (counted.parts == 1) is (counted.units <= ALONE[counted.encoding])


@given(st.text())
def test_plain_signs_change_no_letter(text):
    before = [character for character in text if character.isalnum()]

    assert [character for character in with_plain_signs(text) if character.isalnum()] == before
