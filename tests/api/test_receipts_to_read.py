"""The receipt as people read it: the exact words, correct French, no script, a PDF that can be read aloud."""

import re
import zlib
from dataclasses import replace

import pytest
from django.utils.html import escape

from backend.api import receipt_words
from backend.api.receipt_documents import as_page, as_pdf
from backend.api.receipt_words import NBSP, readable
from backend.consent.models import ConsentEvent
from backend.consent.operations import Receipt
from backend.policy.vocabulary import Channel, ConsentStatus, EventKind, Language, Method
from tests.api.conftest import Client
from tests.consent.standards.cases import AT, RECEIPT, WORDS, event, every_case, record

CASES = dict(every_case())


def receipt_of(case):
    return Receipt(id=RECEIPT, created=AT, record=case, signed="")


def mine(patient, query):
    event = ConsentEvent.objects.filter(patient_id=patient.id).latest("id")
    return f"/api/v1/me/consents/{event.id}/receipt?{query}"


def texts_in(pdf):
    """What the streams of a PDF hold."""
    found = []
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, flags=re.DOTALL):
        try:
            found.append(zlib.decompress(stream))
        except zlib.error:
            found.append(stream)
    return b"\n".join(found)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_page_gives_the_exact_words_and_runs_no_script(me: Client, consenting, language) -> None:
    answer = me.get(mine(consenting, f"format=html&language={language}"))

    page = answer.content.decode()
    assert answer.status_code == 200
    assert f'<html lang="{language}">' in page
    assert "Nous écrivons pour : vaccination_recall." in page or "Nous écrivons pour : appointment_reminder." in page
    # What was shown was French, whatever the page is in.
    assert re.search(r'<blockquote cite="[^"]+/notices/northgate/1/fr" lang="fr">', page)
    assert "<script" not in page
    assert " style=" not in page
    for secret in ("Camille", "Oui, ", "+33", "@example.org"):
        assert secret not in page


def test_the_page_shows_text_and_no_markup_of_others() -> None:
    told = readable(receipt_of(record(EventKind.GIVEN)), Language.ENGLISH)
    hostile = '<script>alert("1")</script>'

    page = as_page(replace(told, statement=hostile)).decode()

    assert hostile not in page
    assert escape(hostile) in page


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("case", ["a long story", "child and parent", "unknown alone", "on paper"])
def test_a_pdf_is_tagged_and_its_text_is_text(case, language) -> None:
    told = readable(receipt_of(CASES[case]), language)

    pdf = as_pdf(told)

    inside = pdf + texts_in(pdf)
    assert pdf.startswith(b"%PDF-1.7")
    for sign in (b"/StructTreeRoot", b"/MarkInfo", b"/ToUnicode", b"pdfuaid", f"({language}-".encode()):
        assert sign in inside, sign
    # The same receipt, the same bytes.
    assert as_pdf(told) == pdf


def test_the_lines_of_the_notice_stay_as_they_were_shown() -> None:
    words = replace(WORDS, body="Qui ?\nNous.\n\nPourquoi ?\nPour vous.\n")
    told = readable(receipt_of(record(events=[event(1, EventKind.GIVEN, words=words)])), Language.FRENCH)

    assert told.notice_paragraphs == [["Qui ?", "Nous."], ["Pourquoi ?", "Pour vous."]]
    assert "<p>Qui ?<br>Nous.</p>" in as_page(told).decode()


def test_a_pdf_takes_what_it_is_told_for_text(tmp_path) -> None:
    told = readable(receipt_of(record(EventKind.GIVEN)), Language.FRENCH)
    told.labels["change_how"] = '#read("/etc/passwd") #panic("x") $1 +'

    assert as_pdf(told).startswith(b"%PDF-")


def test_a_patient_gets_it_as_pdf(me: Client, consenting) -> None:
    answer = me.get(mine(consenting, "format=pdf"))

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-")


def test_everything_that_can_happen_has_its_words_in_both_languages() -> None:
    for language in Language:
        assert set(receipt_words.BY_CHANNEL[language]) == set(Channel)
        assert set(receipt_words.STATE[language]) == set(ConsentStatus)
        assert set(receipt_words.HAPPENED[language]) == set(EventKind)
        assert set(receipt_words.HOW[language]) == set(Method)
    assert receipt_words.LABELS[Language.FRENCH].keys() == receipt_words.LABELS[Language.ENGLISH].keys()


def test_the_first_of_a_month_is_said_as_the_french_say_it() -> None:
    told = receipt_words.moment(AT.replace(month=11, day=1), Language.FRENCH, "Europe/Paris")

    assert told == f"dimanche 1er{NBSP}novembre 2026 à{NBSP}9{NBSP}h{NBSP}00"


def test_french_signs_stand_off_by_a_space_that_does_not_break() -> None:
    told = readable(receipt_of(CASES["a long story"]), Language.FRENCH)

    texts = [*told.labels.values(), *(value for _name, value in told.facts)]
    assert not [text for text in texts if re.search(r"[^\xa0\u202f][:;!?](\s|$)", text)]


def test_it_says_until_when_a_yes_holds_and_that_a_withdrawal_ended_it() -> None:
    given = readable(receipt_of(CASES["given alone"]), Language.ENGLISH)
    withdrawn = readable(receipt_of(CASES["given, withdrawn"]), Language.ENGLISH)

    assert given.facts[0] == ("Answer", "Yes.")
    assert "Valid until" in dict(given.facts)
    assert withdrawn.facts[0] == ("Answer", "No longer. Nothing is sent.")
    assert "Valid until" not in dict(withdrawn.facts)
    assert [one.what for one in withdrawn.history] == ["Yes", "Withdrawn"]
    assert withdrawn.statement == WORDS.statement
