"""The inbox page: everything is shown, and nothing that a message holds can act on it."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from html.parser import HTMLParser
from smtplib import SMTP
from typing import Any

import pytest

from sandbox import Received, Sandbox
from sandbox.language import language_of
from sandbox.segments import size_of
from tests.sandbox.conftest import Reply

ATTACK = '"><script>alert(1)</script>'
VOID = {"br", "hr", "img", "input", "link", "meta"}


class Outline(HTMLParser):
    """Reads a page strictly enough to notice a tag that was not closed, and a script or style in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for seen, attributes in self.seen if seen == tag]


def sms(**changed: Any) -> Received:
    """A text message as the Twilio side keeps it."""
    values = {
        "channel": "sms",
        "to": "+33639981234",
        "sender": "Tilleuls",
        "text": "Votre rendez-vous est mardi. Détails : https://accord.example/u/aB3?x=1&y=2.",
        "raw": b"Body=1",
        "reference": "SM1",
        "received_at": datetime(2026, 3, 3, 10, tzinfo=UTC),
        "monotonic": 1.0,
    }
    return Received(**{**values, **changed})


def push(**message: Any) -> Received:
    """A notification as the FCM side keeps it."""
    return sms(channel="push", to="device-1", subject="Clinique", text="Un rappel.", payload={"message": message})


def test_an_empty_inbox_says_what_to_do(browse: Callable[..., Reply]) -> None:
    page = browse("/inbox")

    assert page.status == 200
    assert "Nothing has arrived yet" in page.text
    assert "approve a programme" in page.text
    assert "Nothing on this page was sent to anyone." in page.text
    Outline(page.text)


def test_each_channel_is_drawn(
    sandbox: Sandbox, browse: Callable[..., Reply], mailbox: SMTP, letter: EmailMessage
) -> None:
    sandbox.store.add(sms())
    sandbox.store.add(push())
    mailbox.send_message(letter)

    page = browse("/inbox")

    outline = Outline(page.text)
    classes = [attributes.get("class") for attributes in outline.attributes("article")]
    assert classes == ["message email", "message push", "message sms"]
    assert "lock-screen" in page.text
    assert "thread" in page.text
    assert "Votre rendez-vous à 14 h 30" in page.text
    assert '<a href="https://accord.example/u/aB3?x=1&amp;y=2"' in page.text
    assert re.findall(r'class="count">(\d+)<', page.text) == ["3", "1", "1", "1"]


def test_messages_of_one_recipient_stand_together(sandbox: Sandbox, browse: Callable[..., Reply]) -> None:
    for to, text in (("+331", "text-1"), ("+332", "text-2"), ("+331", "text-3")):
        sandbox.store.add(sms(to=to, text=text))

    page = browse("/inbox").text

    assert re.findall(r'class="address">([^<]+)<', page) == ["+331", "+332"]
    assert page.index("text-3") < page.index("text-1") < page.index("text-2")


def test_nothing_in_a_message_becomes_part_of_the_page(
    sandbox: Sandbox, browse: Callable[..., Reply], mailbox: SMTP
) -> None:
    for channel in ("sms", "push"):
        sandbox.store.add(sms(channel=channel, to=ATTACK, sender=ATTACK, subject=ATTACK, text=ATTACK, reference=ATTACK))
    lines = [f"{name}: {ATTACK}" for name in ("From", "To", "Subject", "Date", "Message-ID", "Content-Language", "X-A")]
    links = [
        "List-Unsubscribe: <javascript:alert(1)>, <https://a;b'c.example/>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
    ]
    mailbox.sendmail("a@accord.example", ["b@patients.example"], "\r\n".join([*lines, *links, "", ATTACK]))

    page = browse("/inbox")

    outline = Outline(page.text)
    assert {tag for tag, _ in outline.seen}.isdisjoint({"script", "style"})
    assert not [
        name for _, attributes in outline.seen for name in attributes if name.startswith("on") or name == "style"
    ]
    assert "javascript:" not in [str(attributes.get("href"))[:11] for attributes in outline.attributes("a")]
    assert page.headers["Content-Security-Policy"].endswith("form-action 'self'")
    assert page.text.count("&lt;script&gt;") >= 15


def test_the_policy_of_the_page_is_strict(browse: Callable[..., Reply]) -> None:
    page = browse("/inbox")

    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self';")
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"


def test_the_html_part_stands_in_a_cage(
    sandbox: Sandbox, browse: Callable[..., Reply], mailbox: SMTP, letter: EmailMessage
) -> None:
    mailbox.send_message(letter)

    (frame,) = Outline(browse("/inbox").text).attributes("iframe")
    part = browse(str(frame["src"]))

    assert "allow-scripts" not in str(frame["sandbox"])
    assert "allow-same-origin" not in str(frame["sandbox"])
    assert "<b>à mardi</b>" in part.text
    policy = part.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-popups" in policy
    assert "script-src" not in policy


def test_the_mailbox_button_unsubscribes_in_one_click(
    browse: Callable[..., Reply], mailbox: SMTP, letter: EmailMessage
) -> None:
    letter["List-Unsubscribe"] = "<mailto:stop@accord.example>, <http://127.0.0.1:8000/u/aB3>"
    letter["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mailbox.send_message(letter)

    page = browse("/inbox")

    assert 'action="http://127.0.0.1:8000/u/aB3"' in page.text
    assert 'name="List-Unsubscribe" value="One-Click"' in page.text
    assert page.headers["Content-Security-Policy"].endswith("form-action 'self' http://127.0.0.1:8000")


def test_messages_are_filtered_by_recipient_and_channel(sandbox: Sandbox, browse: Callable[..., Reply]) -> None:
    sandbox.store.add(sms())
    sandbox.store.add(sms(to="+33639985678"))
    sandbox.store.add(push())

    def found(query: str) -> list[str]:
        return [message["to"] for message in json.loads(browse(f"/inbox.json{query}").text)["messages"]]

    assert found("") == ["device-1", "+33639985678", "+33639981234"]
    assert found("?channel=sms") == ["+33639985678", "+33639981234"]
    assert found("?to=%2B33639981234") == ["+33639981234"]
    assert found("?to=+33639981234") == ["+33639981234"]
    assert found("?to=device-1&channel=sms") == []
    assert "No SMS message to device-1 has arrived so far." in browse("/inbox?to=device-1&channel=sms").text


def test_the_json_says_what_the_page_shows(sandbox: Sandbox, browse: Callable[..., Reply], mailbox: SMTP) -> None:
    mailbox.sendmail(
        "a@accord.example", ["b@patients.example"], b"Subject: Hello\r\nX-Accord-Message: m-1\r\n\r\nHello\r\n"
    )

    listing = json.loads(browse("/inbox.json").text)

    assert listing["counts"] == {"push": 0, "sms": 0, "email": 1}
    (message,) = listing["messages"]
    assert (message["subject"], message["text"], message["message_id"]) == ("Hello", "Hello\n", "m-1")
    assert message["source"].startswith("Subject: Hello")


def test_credentials_of_clients_are_not_shown(sandbox: Sandbox, browse: Callable[..., Reply]) -> None:
    sandbox.store.add(sms(headers={"Authorization": "Basic c2VjcmV0", "Host": "127.0.0.1"}))

    assert "c2VjcmV0" not in browse("/inbox").text
    assert "c2VjcmV0" not in browse("/inbox.json").text


def test_long_inboxes_have_pages(sandbox: Sandbox, browse: Callable[..., Reply]) -> None:
    for number in range(60):
        sandbox.store.add(sms(text=f"text-{number}-"))

    first, second = browse("/inbox").text, browse("/inbox?page=2").text

    assert "text-59-" in first
    assert "text-9-" not in first
    assert 'href="/inbox?page=2"' in first
    assert "text-9-" in second
    assert 'href="/inbox?page=1"' in second


def test_the_inbox_can_be_emptied_from_its_own_page_only(sandbox: Sandbox, browse: Callable[..., Reply]) -> None:
    sandbox.store.add(sms())

    refused = browse("/inbox/clear", "POST", "", {"Sec-Fetch-Site": "cross-site"})
    assert (refused.status, len(sandbox.received())) == (403, 1)

    emptied = browse("/inbox/clear", "POST", "", {"Sec-Fetch-Site": "same-origin"})
    assert (emptied.status, emptied.headers["Location"], sandbox.received()) == (303, "/inbox", ())


def test_a_name_that_is_not_ours_gets_nothing(browse: Callable[..., Reply]) -> None:
    assert browse("/inbox", headers={"Host": "evil.example:8026"}).status == 421
    assert browse("/inbox", headers={"Host": "localhost:8026"}).status == 200


@pytest.mark.parametrize("path", ["/", "/inbox", "/inbox.css", "/inbox.json", "/nothing", "/inbox/html/1"])
def test_every_address_answers_on_one_connection(browse: Callable[..., Reply], path: str) -> None:
    statuses = {browse(path).status, browse(path, "HEAD").status, browse(path).status}

    assert statuses <= {200, 302, 404}
    assert len(statuses) == 1


def test_a_locked_phone_keeps_private_things_private(sandbox: Sandbox, browse: Callable[..., Reply]) -> None:
    sandbox.store.add(push(android={"notification": {"visibility": "PRIVATE"}}))

    page = browse("/inbox").text

    locked, unlocked = page.split("Once unlocked")
    assert "Contents hidden until the phone is unlocked." in locked
    assert "push-title" not in locked
    assert "push-title" in unlocked


@pytest.mark.parametrize(
    ("received", "language"),
    [
        (sms(), "fr"),
        (sms(text="Your appointment is on Tuesday at 14:30."), "en"),
        (sms(text="14:30"), None),
        (push(data={"language": "en"}), "en"),
    ],
)
def test_the_language_of_a_message_is_marked(received: Received, language: str | None) -> None:
    assert language_of(received) == language


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("€" * 80, "GSM-7", 160, 1),
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3),
        ("é" * 160, "GSM-7", 160, 1),
        ("ê" * 70, "UCS-2", 70, 1),
        ("ê" * 71, "UCS-2", 71, 2),
        ("😀" * 35, "UCS-2", 70, 1),
        ("", "GSM-7", 0, 1),
    ],
)
def test_an_sms_is_measured_as_carriers_do(text: str, encoding: str, units: int, segments: int) -> None:
    size = size_of(text)

    assert (size.encoding, size.units, size.segments) == (encoding, units, segments)
