"""What a patient reads before answering says everything it has to, in words that can be read aloud."""

import re

import pytest

from backend.policy.vocabulary import Language
from backend.programmes.library.catalogue import load_notice, load_purposes

NO_BREAK = "\N{NO-BREAK SPACE}"
NARROW = "\N{NARROW NO-BREAK SPACE}"
NOTICE = load_notice().filled(clinic="Clinique X", telephone="01 99 00 00 00", address="1 rue du Lac, 00250 Y")
PURPOSES = load_purposes()
TEXTS = [
    *((language, f"{title}\n{body}") for language, (title, body) in NOTICE.items()),
    *((language, text) for one in PURPOSES for language, text in [*one.names.items(), *one.statements.items()]),
]


def sentences(text):
    # Articles of a law, lists in brackets and addresses are not what makes a sentence long to hear.
    spoken = re.sub(r"\([^)]*\)|www\.cnil\.fr", "", text)
    return [words for part in re.split(r"[.?!\n;:]", spoken) if (words := re.findall(r"[\w’'-]+", part))]


@pytest.mark.parametrize(
    ("french", "english"),
    [
        ("est responsable de vos données", "is responsible for your data"),
        ("données de santé", "health data"),
        ("Votre accord explicite", "Your explicit consent"),
        ("articles 6, paragraphe 1, point a, et 9, paragraphe 2, point a", "Articles 6(1)(a) and 9(2)(a)"),
        ("opérateur de SMS", "text message operator"),
        ("hors de l’Union européenne", "outside the European Union"),
        ("trois ans au plus", "three years at most"),
        ("cinq ans au plus", "five years at most"),
        ("votre dossier chez nous", "your file with us"),
        ("(accès)", "(access)"),
        ("(rectification)", "(rectification)"),
        ("(effacement)", "(erasure)"),
        ("(portabilité)", "(portability)"),
        ("(limitation)", "(restriction)"),
        ("(opposition)", "(objection)"),
        ("aussi simplement que vous l’avez donné", "as easily as you gave it"),
        ("délégué à la protection des données", "data protection officer"),
        ("en un mois au plus", "within one month"),
        ("Il ne décide rien sur votre santé", "It decides nothing about your health"),
        ("Rien ne change pour vos soins", "Nothing changes for your care"),
        ("www.cnil.fr", "www.cnil.fr"),
    ],
)
def test_the_notice_says(french, english):
    assert french in NOTICE[Language.FRENCH][1]
    assert english in NOTICE[Language.ENGLISH][1]


@pytest.mark.parametrize("language", list(Language))
def test_the_notice_names_the_clinic_and_how_to_reach_it(language):
    _title, body = NOTICE[language]

    assert all(value in body for value in ("Clinique X", "01 99 00 00 00", "1 rue du Lac, 00250 Y"))
    assert "{" not in body


def test_both_languages_answer_the_same_questions():
    french, english = (NOTICE[language][1].split("\n\n") for language in (Language.FRENCH, Language.ENGLISH))

    assert len(french) == len(english) == 10
    assert all(part.splitlines()[0].endswith("?") for part in french + english)


@pytest.mark.parametrize("empty", ["clinic", "telephone", "address"])
def test_a_notice_without_whom_to_turn_to_is_refused(empty):
    known = {"clinic": "Clinique X", "telephone": "01 99 00 00 00", "address": "1 rue du Lac"}

    with pytest.raises(ValueError, match=empty):
        load_notice().filled(**(known | {empty: " "}))


def test_a_clinic_may_have_braces_in_its_name():
    filled = load_notice().filled(clinic="{telephone}", telephone="01", address="1 rue du Lac")

    assert "{telephone} est responsable" in filled[Language.FRENCH][1]


@pytest.mark.parametrize(("language", "text"), TEXTS)
def test_the_words_are_typeset(language, text):
    assert not re.search(r"['\"·]|\.\.\.", text)
    if language is Language.FRENCH:
        assert not re.search(rf"(?<!{NO_BREAK}):|(?<!{NARROW})[;!?]", text)
    else:
        assert not re.search(r"\s[:;!?]", text)


@pytest.mark.parametrize(("language", "text"), TEXTS)
def test_no_sentence_is_too_long_to_be_heard(language, text):
    assert [" ".join(words) for words in sentences(text) if len(words) > 25] == []


@pytest.mark.parametrize("language", list(Language))
def test_the_sentences_of_the_notice_are_short(language):
    lengths = [len(words) for words in sentences(NOTICE[language][1])]

    assert sum(lengths) / len(lengths) <= 15


@pytest.mark.parametrize("purpose", PURPOSES, ids=lambda purpose: purpose.slug)
def test_a_statement_can_be_read_aloud_in_half_a_minute(purpose):
    for statement in purpose.statements.values():
        assert len(statement.split()) <= 60
        assert len(re.findall(r"\.(\s|$)", statement)) <= 2


@pytest.mark.parametrize("purpose", [one for one in PURPOSES if one.health_data_condition], ids=lambda one: one.slug)
def test_a_statement_says_how_often_and_that_a_no_costs_nothing(purpose):
    french, english = purpose.statements[Language.FRENCH], purpose.statements[Language.ENGLISH]

    assert "au plus" in french
    assert french.endswith("Si vous dites non, rien ne change pour vos soins.")
    assert "at most" in english
    assert english.endswith("If you say no, nothing changes for your care.")
