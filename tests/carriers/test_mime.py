"""What is written as an e-mail is what a reader of e-mail reads."""

import email
import string
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.messaging.carriers import mime
from backend.messaging.carriers.base import OutboundMessage
from backend.policy.vocabulary import Channel, Language

ID = UUID("0198a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")
# Everything that can stand in a text: no lone surrogate.
CHARACTERS = st.characters(exclude_categories=["Cs"])
# Everything that can stand in a header: no line end, no control character.
PRINTED = st.characters(exclude_categories=["Cs", "Cc"])


def write(**changes: Any) -> bytes:
    usual: dict[str, Any] = {
        "message_id": ID,
        "channel": Channel.EMAIL,
        "language": Language.FRENCH,
        "subject": "Rappel",
        "text": "Bonjour",
        "html": "",
        "sender_name": "",
        "headers": {},
    }
    to = changes.pop("to", "lea@example.org")
    return mime.write(
        OutboundMessage(to=to, **{**usual, **changes}),
        to=to,
        sender_name="Accord",
        sender_address="no-reply@accord.example",
        domain="accord.example",
        date="Sat, 21 Nov 2026 10:00:00 +0000",
    )


def read(raw: bytes) -> EmailMessage:
    letter = email.message_from_bytes(raw, policy=policy.default)
    assert isinstance(letter, EmailMessage)
    assert not letter.defects
    return letter


def content(letter: EmailMessage, kind: str) -> str:
    part = letter.get_body((kind,))
    assert part is not None
    assert not part.defects
    return str(part.get_payload(decode=True), "utf-8") if (part.get_payload(decode=True)) else ""  # type: ignore[arg-type]


def as_sent(text: str) -> str:
    """A text as it travels: every line ended, each by CR and LF."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return (text if text.endswith("\n") else text + "\n").replace("\n", "\r\n")


@given(text=st.text(CHARACTERS), html=st.text(CHARACTERS, min_size=1))
def test_both_texts_come_out_as_they_went_in(text: str, html: str) -> None:
    letter = read(write(text=text, html=html))

    assert content(letter, "plain") == as_sent(text)
    assert content(letter, "html") == as_sent(html)


@given(text=st.text(CHARACTERS))
def test_a_single_text_comes_out_as_it_went_in(text: str) -> None:
    letter = read(write(text=text))

    assert letter.get_content_type() == "text/plain"
    assert content(letter, "plain") == as_sent(text)


@given(
    subject=st.text(PRINTED, max_size=300),
    name=st.text(PRINTED, min_size=1, max_size=120),
    value=st.text(string.ascii_letters + " <>:/.,", max_size=400),
)
def test_headers_come_out_as_they_went_in(subject: str, name: str, value: str) -> None:
    raw = write(subject=subject, sender_name=name, headers={"X-Note": value})
    letter = read(raw)

    # Readers drop the blanks around a value, and join what lies between two encoded words.
    assert decoded(letter, "Subject") == subject.strip()
    assert decoded(letter, "X-Note") == value.strip()
    assert letter["From"].addresses[0].addr_spec == "no-reply@accord.example"
    assert letter["From"].addresses[0].display_name.split() == name.split() or not name.isascii()
    for line in raw.split(b"\r\n"):
        assert len(line) <= (76 if b"=?" in line else 998)
        assert b"\r" not in line
        assert b"\n" not in line


def decoded(letter: EmailMessage, name: str) -> str:
    raw = dict(email.message_from_string(letter.as_string(policy=policy.compat32)).items())[name]
    return str(make_header(decode_header(raw.replace("\r\n", "").replace("\n", "")))).strip()


@given(
    where=st.sampled_from(["subject", "sender_name", "value", "name"]),
    control=st.sampled_from([*map(chr, range(32)), "\x7f"]),
    around=st.tuples(st.text(PRINTED, max_size=20), st.text(PRINTED, max_size=20)),
)
def test_no_header_holds_a_control_character(where: str, control: str, around: tuple[str, str]) -> None:
    bad = control.join(around)
    changes: dict[str, dict[str, Any]] = {
        "subject": {"subject": bad},
        "sender_name": {"sender_name": bad},
        "value": {"headers": {"X-Note": bad}},
        "name": {"headers": {bad: "value"}},
    }

    with pytest.raises(mime.UnsafeText):
        write(**changes[where])


@pytest.mark.parametrize(
    "name", ["To", "bcc", "Content-Type", "MIME-Version", "X-Accord-Message", "Sender", "", "a b", "é"]
)
def test_no_one_else_writes_our_headers(name: str) -> None:
    with pytest.raises(mime.UnsafeText):
        write(headers={name: "value"})


def test_a_word_too_long_for_a_line_is_refused() -> None:
    with pytest.raises(mime.UnsafeText):
        write(headers={"X-Note": "x" * 1000})


def test_a_text_can_not_end_its_part() -> None:
    text = f"one\n--=_accord_{ID.hex}--\ntwo"

    letter = read(write(text=text, html="<p>three</p>"))

    assert content(letter, "plain") == as_sent(text)
    assert content(letter, "html") == "<p>three</p>\r\n"


def test_long_lines_and_accents_travel_in_short_ascii_lines() -> None:
    raw = write(text="é" * 3000, html="<p>" + "x" * 3000 + "</p>")

    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 78


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        ("Accord <no-reply@accord.example>", ("Accord", "no-reply@accord.example")),
        ('"Nord, clinique" <a@b.example>', ("Nord, clinique", "a@b.example")),
        ("a@b.example", ("", "a@b.example")),
    ],
)
def test_a_sender_is_a_name_and_an_address(sender: str, expected: tuple[str, str]) -> None:
    assert mime.read_sender(sender) == expected


@pytest.mark.parametrize("sender", ["", "Accord", "Accord <>", "Accord <a@b.example\r\nBcc: x@y.example>"])
def test_what_has_no_address_is_no_sender(sender: str) -> None:
    with pytest.raises(ValueError, match=r"^The sender"):
        mime.read_sender(sender)
