"""The mail server, spoken to with the standard library's client."""

import socket
from email.message import EmailMessage
from smtplib import (
    SMTP,
    SMTPDataError,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)
from time import monotonic
from urllib.parse import urlsplit

import pytest

from sandbox import Fault, Sandbox

TO = "claire@patients.example"


def test_a_message_arrives_as_it_was_sent(sandbox: Sandbox, mailbox: SMTP, letter: EmailMessage) -> None:
    mailbox.send_message(letter)

    (received,) = sandbox.received()
    assert (received.channel, received.to, received.reference) == ("email", TO, "<1@accord.example>")
    assert received.sender == "Clinique des Tilleuls <contact@tilleuls.example>"
    assert received.subject == "Votre rendez-vous à 14 h 30"
    assert received.text == "Bonjour Claire,\n\nà mardi.\n"
    assert received.html == "<p>Bonjour Claire, <b>à mardi</b>.</p>\n"
    assert received.message_id == "9d3f0f3e-9f1a-4a7e-9f5e-0a1b2c3d4e5f"
    assert received.headers["message-id"] == "<1@accord.example>"
    assert received.payload["mail_from"] == "contact@tilleuls.example"
    assert b"Content-Type: multipart/alternative" in received.raw
    assert received.monotonic <= monotonic()


def test_each_recipient_has_a_message_of_their_own(sandbox: Sandbox, mailbox: SMTP) -> None:
    mailbox.sendmail("clinic@accord.example", [TO, "sam@patients.example"], b"Subject: Hello\r\n\r\nHello\r\n")

    assert [received.to for received in sandbox.received()] == [TO, "sam@patients.example"]


def test_addresses_beyond_ascii_are_taken(sandbox: Sandbox, mailbox: SMTP, letter: EmailMessage) -> None:
    mailbox.send_message(letter, to_addrs=["zoé@patients.example"], mail_options=["SMTPUTF8"])

    assert [received.to for received in sandbox.received()] == ["zoé@patients.example"]


def test_a_client_may_sign_in_with_anything(sandbox: Sandbox, mailbox: SMTP, letter: EmailMessage) -> None:
    mailbox.login("anyone", "anything")

    mailbox.send_message(letter)

    assert len(sandbox.received()) == 1


def test_a_broken_charset_is_shown_as_far_as_it_goes(sandbox: Sandbox, mailbox: SMTP) -> None:
    body = b"Subject: =?utf-9?q?caf=E9?=\r\nContent-Type: text/plain; charset=utf-9\r\n\r\ncaf\xc3\xa9\r\n"

    mailbox.sendmail("clinic@accord.example", [TO], body)

    (received,) = sandbox.received()
    assert received.subject == "=?utf-9?q?caf=E9?="
    assert "caf" in received.text


def test_what_is_too_big_is_refused_before_it_is_read(sandbox: Sandbox, mailbox: SMTP) -> None:
    with pytest.raises(SMTPSenderRefused, match="552"):
        mailbox.sendmail("clinic@accord.example", [TO], b"x" * (10 * 1024 * 1024 + 1))

    assert sandbox.received() == ()


def test_commands_may_be_pipelined(sandbox: Sandbox) -> None:
    address = urlsplit(sandbox.email_url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=5) as connection:
        answers = connection.makefile("rb")
        connection.sendall(b"EHLO client\r\n")
        mail = b"MAIL FROM:<a@accord.example>\r\nRCPT TO:<b@patients.example>\r\nDATA\r\n"

        connection.sendall(mail + b"Subject: 1\r\n\r\n1\r\n.\r\n" + mail + b"Subject: 2\r\n\r\n2\r\n.\r\nQUIT\r\n")

        codes = [line[:3] for line in answers if line[3:4] == b" "]
        answers.close()
    assert codes == [b"220", b"250", *[b"250", b"250", b"354", b"250"] * 2, b"221"]
    assert [received.subject for received in sandbox.received()] == ["1", "2"]


def test_a_bad_day_of_the_server_is_temporary(sandbox: Sandbox, mailbox: SMTP, letter: EmailMessage) -> None:
    sandbox.faults.push(Fault(channel="email", kind="http_500"))

    with pytest.raises(SMTPDataError, match="451"):
        mailbox.send_message(letter)

    mailbox.send_message(letter)
    assert len(sandbox.received()) == 1


def test_too_many_messages_are_put_off(sandbox: Sandbox, mailbox: SMTP, letter: EmailMessage) -> None:
    sandbox.faults.push(Fault(channel="email", kind="rate_limited"))

    with pytest.raises(SMTPSenderRefused, match="450"):
        mailbox.send_message(letter)


@pytest.mark.parametrize("kind", ["refuse_address", "unregistered"])
def test_an_address_can_be_refused(sandbox: Sandbox, mailbox: SMTP, letter: EmailMessage, kind: str) -> None:
    sandbox.faults.push(Fault(channel="email", kind=kind))  # type: ignore[arg-type] # one of the literals

    with pytest.raises(SMTPRecipientsRefused) as refused:
        mailbox.send_message(letter)

    assert refused.value.recipients[TO][0] == 550
    assert sandbox.received() == ()


def test_a_client_can_be_asked_to_sign_in(sandbox: Sandbox, mailbox: SMTP, letter: EmailMessage) -> None:
    sandbox.faults.push(Fault(channel="email", kind="auth"))

    with pytest.raises(SMTPSenderRefused, match="530"):
        mailbox.send_message(letter)


def test_an_answer_can_be_garbage(sandbox: Sandbox, mailbox: SMTP, letter: EmailMessage) -> None:
    sandbox.faults.push(Fault(channel="email", kind="garbage"))

    with pytest.raises(SMTPDataError) as garbled:
        mailbox.send_message(letter)

    assert garbled.value.smtp_code == -1


def test_a_connection_can_break_after_the_data(sandbox: Sandbox, mailbox: SMTP, letter: EmailMessage) -> None:
    sandbox.faults.push(Fault(channel="email", kind="reset"))

    with pytest.raises((SMTPServerDisconnected, ConnectionResetError)):
        mailbox.send_message(letter)

    mailbox.close()
    assert sandbox.received() == ()


@pytest.mark.parametrize(("kind", "kept"), [("hang", 0), ("accept_then_hang", 1)])
def test_an_answer_can_stay_away(sandbox: Sandbox, letter: EmailMessage, kind: str, kept: int) -> None:
    sandbox.faults.push(Fault(channel="email", kind=kind))  # type: ignore[arg-type] # one of the literals
    address = urlsplit(sandbox.email_url)
    connection = SMTP(address.hostname or "", address.port or 0, timeout=0.3)

    with pytest.raises((TimeoutError, SMTPServerDisconnected)):
        connection.send_message(letter)

    connection.close()
    assert len(sandbox.received()) == kept


def test_an_answer_can_be_slow(sandbox: Sandbox, mailbox: SMTP, letter: EmailMessage) -> None:
    sandbox.faults.push(Fault(channel="email", kind="slow", seconds=0.2))
    before = monotonic()

    mailbox.send_message(letter)

    assert monotonic() - before >= 0.2
    assert len(sandbox.received()) == 1
