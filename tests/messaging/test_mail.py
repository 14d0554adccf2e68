"""The page of an e-mail is read by anybody: in the dark, on a telephone, aloud, and without telling anybody."""

import re
from html.parser import HTMLParser

import pytest

from backend.messaging import mail
from backend.messaging.carriers.base import OutboundMessage
from backend.messaging.ways_out import with_frame
from backend.policy.vocabulary import Channel, Language
from backend.vault.identifiers import new_id

LINK = "https://accord.example/u/AbCdEfGhIjKlMnOpQrStUv"
VOID = {"meta", "br", "hr"}


def framed(text="Bonjour,\n\nà demain.", *, language=Language.FRENCH, address=LINK, link="", large_print=False):
    page = mail.as_html(text, language=language, title="Votre <rendez-vous>", link=link, large_print=large_print)
    message = OutboundMessage(
        message_id=new_id(),
        channel=Channel.EMAIL,
        to="",
        language=language,
        text=text,
        html=page,
        sender_name="Les Lilas & fils",
    )
    return with_frame(message, address=address, purpose="Rappels <de> rendez-vous")


class Outline(HTMLParser):
    """The elements of a page, and whether each that opens is closed."""

    def __init__(self, page):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("address", [LINK, ""])
@pytest.mark.parametrize("language", list(Language))
def test_the_page_is_whole_and_says_its_language_title_and_heading(language, address):
    page = framed(language=language, address=address).html
    outline = Outline(page)

    assert outline.open == []
    assert (outline.seen.count("h1"), outline.seen.count("title"), outline.seen.count("footer")) == (1, 1, 1)
    assert f'<html lang="{language.value}">' in page
    assert "Votre &lt;rendez-vous&gt;</h1>" in page


def test_the_foot_says_who_writes_why_and_how_to_stop_it_in_both_parts():
    message = framed()

    assert message.text.endswith(
        "\n\nLes Lilas & fils\nPourquoi cet e-mail\u00a0: accord donné pour «\u00a0Rappels <de> rendez-vous\u00a0»."
        f"\nArrêter ces messages\u00a0: {LINK}"
    )
    assert "<strong>Les Lilas &amp; fils</strong>" in message.html
    assert "Rappels &lt;de&gt; rendez-vous" in message.html
    assert f'href="{LINK}">Arrêter ces messages</a>' in message.html


def test_what_answers_a_request_has_no_way_out():
    message = framed(address="")

    assert message.text.endswith("Pourquoi cet e-mail\u00a0: il répond à une demande.")
    assert "<a " not in message.html
    assert "List-Unsubscribe" not in message.headers


def test_the_link_of_a_message_says_where_it_leads_and_no_other_address_becomes_one():
    page = framed(f"Voici :\n\n{LINK}\n\nou https://evil.example", link=LINK, address="").html

    assert f'href="{LINK}">Ouvrir la page</a>' in page
    assert page.count("<a ") == 1
    assert page.count(LINK) == 1


@pytest.mark.parametrize("large_print", [False, True])
def test_nothing_is_fetched_and_only_our_own_address_is_named(large_print):
    page = framed(large_print=large_print).html.lower()

    assert not re.search(r"<img|<link|<script|<iframe|<form|src=|url\(|@import|@font-face|background-image", page)
    assert re.findall(r"https?://[^\"<]+", page) == [LINK.lower()]


def test_every_colour_can_be_read_in_light_and_in_dark():
    dark = dict(re.findall(r"(\.\w|body|a)\{[^}]*?(?<![-\w])color:(#\w{6})", mail.DARK))
    paper = re.search(r"\.p\{background:(#\w{6})", mail.DARK).group(1)

    for ink in (mail.INK, mail.QUIET, mail.LINKED):
        assert contrast(ink, mail.PAPER) >= 7
    for ink in dark.values():
        assert contrast(ink, paper) >= 7
    assert set(dark) == {".p", ".q", "a"}


def test_an_sms_and_a_push_message_have_no_page():
    for channel in (Channel.SMS, Channel.PUSH):
        message = OutboundMessage(message_id=new_id(), channel=channel, to="", language=Language.FRENCH, text="Bonjour")

        assert with_frame(message, address=LINK, purpose="x").html == ""
