"""E-mail over SMTP, on the wire."""

import email
import time
from datetime import UTC, datetime, timedelta
from email import policy
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from backend.messaging.carriers.base import (
    Carrier,
    FailureCode,
    InDoubt,
    OutboundMessage,
    PermanentFailure,
    Receipt,
    TemporaryFailure,
    Unknown,
)
from backend.messaging.carriers.smtp import SmtpCarrier, SmtpServer
from backend.policy.vocabulary import Channel
from sandbox import Sandbox
from tests.carriers.contract import GRACE, SHORT, TIMEOUT, CarrierContract
from tests.carriers.servers import dripping, free_port, listening, make_certificate, smtp

SENDER = "Accord <no-reply@accord.example>"
REFUSED, GONE = PermanentFailure(FailureCode.ADDRESS_REFUSED), PermanentFailure(FailureCode.ADDRESS_GONE)
CONTENT, UNEXPECTED = PermanentFailure(FailureCode.CONTENT_REFUSED), PermanentFailure(FailureCode.UNEXPECTED_ANSWER)
BUSY, PACE = TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE), TemporaryFailure(FailureCode.RATE_LIMITED)
OURS, CREDENTIALS = TemporaryFailure(FailureCode.NOT_CONFIGURED), TemporaryFailure(FailureCode.CREDENTIALS_REFUSED)
NONSENSE = TemporaryFailure(FailureCode.UNEXPECTED_ANSWER)


def carrier_at(port: int, options: str = "", *, user: str = "", host: str = "127.0.0.1") -> SmtpCarrier:
    return SmtpCarrier(url=f"smtp://{user}{host}:{port}{options}", sender=SENDER, domain="accord.example")


class TestSmtp(CarrierContract):
    channel = Channel.EMAIL
    address = "lea.martin@example.org"
    never_again = FailureCode.ADDRESS_GONE
    client_first = False
    drip = b"220-"

    def make(self, sandbox: Sandbox) -> Carrier:
        return SmtpCarrier(url=sandbox.email_url, sender=SENDER, domain="accord.example")

    def make_at(self, sandbox: Sandbox, port: int) -> Carrier:
        return carrier_at(port)

    def test_both_parts_and_all_headers_arrive(self, carrier: Carrier, sandbox: Sandbox) -> None:
        message = self.message(
            html="<p>Bonjour Léa</p>",
            sender_name="Clinique du Nord",
            headers={
                "List-Unsubscribe": "<https://accord.example/u/opaque>, <mailto:stop@accord.example>",
                "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
                "Reply-To": "accueil@nord.example",
            },
        )

        outcome = carrier.send(message, timeout=TIMEOUT)

        (received,) = sandbox.received()
        letter = email.message_from_bytes(received.raw, policy=policy.default)
        assert outcome == Receipt(f"<{message.message_id}@accord.example>")
        assert letter["From"] == "Clinique du Nord <no-reply@accord.example>"
        assert letter["To"] == self.address
        assert letter["Subject"] == message.subject
        assert letter["Message-ID"] == f"<{message.message_id}@accord.example>"
        assert letter["X-Accord-Message"] == str(message.message_id)
        assert letter["Auto-Submitted"] == "auto-generated"
        assert letter["Content-Language"] == "fr"
        assert letter["Reply-To"] == "accueil@nord.example"
        assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert letter["List-Unsubscribe"] == message.headers["List-Unsubscribe"]
        assert abs(parsedate_to_datetime(str(letter["Date"])) - datetime.now(UTC)) < timedelta(minutes=1)
        assert letter.get_content_type() == "multipart/alternative"
        assert [part.get_content_type() for part in letter.iter_parts()] == ["text/plain", "text/html"]
        assert received.html.strip() == "<p>Bonjour Léa</p>"
        assert received.payload["mail_from"] == "no-reply@accord.example"

    def test_a_repeat_bears_the_same_message_id(self, carrier: Carrier, sandbox: Sandbox) -> None:
        message = self.message()

        assert carrier.send(message, timeout=TIMEOUT) == carrier.send(message, timeout=TIMEOUT)

        first, second = sandbox.received()
        assert first.reference == second.reference

    def test_an_address_beyond_ascii_travels_too(self, carrier: Carrier, sandbox: Sandbox) -> None:
        outcome = carrier.send(self.message(to="léa@clinique-été.example"), timeout=TIMEOUT)

        (received,) = sandbox.received()
        assert isinstance(outcome, Receipt)
        assert received.to == "léa@xn--clinique-t-j7ab.example"

    @pytest.mark.parametrize(
        "to", ["", "lea", "lea@", "@example.org", "a@b@c", "lea@example.org, eve@example.org", "Léa <lea@example.org>"]
    )
    def test_what_is_not_one_address_is_refused_before_the_server_hears_of_it(
        self, carrier: Carrier, sandbox: Sandbox, to: str
    ) -> None:
        assert carrier.send(self.message(to=to), timeout=TIMEOUT) == REFUSED
        assert sandbox.received() == ()

    @pytest.mark.parametrize(
        "changes",
        [
            {"subject": "Rappel\r\nBcc: eve@example.org"},
            {"subject": "Rappel\nBcc: eve@example.org"},
            {"sender_name": "Clinique\r\nBcc: eve@example.org"},
            {"headers": {"Reply-To": "a@b.example\r\nBcc: eve@example.org"}},
            {"headers": {"Reply-To\r\nBcc": "eve@example.org"}},
            {"headers": {"Reply-To: a@b.example\nBcc": "eve@example.org"}},
            {"headers": {"bcc": "eve@example.org"}},
            {"headers": {"From": "eve@example.org"}},
            {"text": "half a character: \ud83d"},
        ],
    )
    def test_a_header_that_says_more_than_it_should_is_refused(
        self, carrier: Carrier, sandbox: Sandbox, changes: dict[str, Any]
    ) -> None:
        assert carrier.send(self.message(**changes), timeout=TIMEOUT) == CONTENT
        assert sandbox.received() == ()

    def test_a_line_end_in_an_address_is_no_address(self, carrier: Carrier, sandbox: Sandbox) -> None:
        to = "lea@example.org\r\nRCPT TO:<eve@example.org>"

        assert carrier.send(self.message(to=to), timeout=TIMEOUT) == REFUSED
        assert sandbox.received() == ()

    def test_a_text_that_looks_like_its_end_arrives_whole(self, carrier: Carrier, sandbox: Sandbox) -> None:
        message = self.message(text="one\n.\n..\nQUIT\n.", html="")

        carrier.send(message, timeout=TIMEOUT)

        (received,) = sandbox.received()
        assert received.text == message.text + "\n"

    def test_smtp_can_not_tell_what_became_of_a_message(self, carrier: Carrier) -> None:
        assert carrier.find(self.message(), timeout=TIMEOUT) == Unknown()
        assert carrier.parse_events(b"anything") == ()


MESSAGE = TestSmtp()


def a_message(**changes: Any) -> OutboundMessage:
    return MESSAGE.message(**changes)


@pytest.mark.parametrize("together", [True, False], ids=["pipelined", "step by step"])
@pytest.mark.parametrize(
    ("step", "reply", "outcome"),
    [
        ("GREETING", b"554 5.3.2 not today", BUSY),
        ("GREETING", b"421 4.3.2 too busy", BUSY),
        ("GREETING", b"hello there", BUSY),
        ("MAIL", b"450 4.7.1 slower", PACE),
        ("MAIL", b"451 4.3.0 later", BUSY),
        ("MAIL", b"530 5.7.0 who are you", CREDENTIALS),
        ("MAIL", b"553 5.7.1 not your address", OURS),
        ("MAIL", b"552 5.3.4 too big", CONTENT),
        ("MAIL", b"503 5.5.1 what", UNEXPECTED),
        ("MAIL", b"nonsense", NONSENSE),
        ("RCPT", b"550 5.1.1 nobody", REFUSED),
        ("RCPT", b"550 nobody", REFUSED),
        ("RCPT", b"551 moved", REFUSED),
        ("RCPT", b"553 what", REFUSED),
        ("RCPT", b"501 5.1.3 bad syntax", REFUSED),
        ("RCPT", b"554 5.1.1 nobody", REFUSED),
        ("RCPT", b"550 5.1.6 gone", GONE),
        ("RCPT", b"550 5.7.1 we do not like you", CONTENT),
        ("RCPT", b"552 5.2.2 mailbox full", CONTENT),
        ("RCPT", b"554 no", CONTENT),
        ("RCPT", b"450 4.2.1 busy mailbox", BUSY),
        ("RCPT", b"451 4.7.1 grey list", PACE),
        ("RCPT", b"421 4.3.2 closing", BUSY),
        ("RCPT", None, BUSY),
        ("DATA", b"451 4.3.0 later", BUSY),
        ("DATA", b"554 5.5.1 no", CONTENT),
        ("DATA", b"250 what", NONSENSE),
        ("DATA", None, BUSY),
        ("TEXT", b"451 4.3.0 later", BUSY),
        ("TEXT", b"421 4.3.2 closing", BUSY),
        ("TEXT", b"552 5.3.4 too big", CONTENT),
        ("TEXT", b"554 5.7.1 spam", CONTENT),
        ("TEXT", b"550 5.7.1 spam", CONTENT),
        ("TEXT", b"550 5.1.1 nobody after all", REFUSED),
        ("TEXT", b"354 go on", InDoubt()),
        ("TEXT", b"perhaps", InDoubt()),
        ("TEXT", None, InDoubt()),
    ],
)
def test_each_refusal_has_one_meaning(step: str, reply: bytes | None, outcome: object, *, together: bool) -> None:
    script: dict[str, bytes | None] = {step: reply}
    if together:
        script["EHLO"] = b"250-script\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES"
    with listening(smtp(script)) as server:
        carrier = carrier_at(server.port)

        assert carrier.send(a_message(), timeout=TIMEOUT) == outcome
        # Whatever was said, the next one is told the same: nothing of the first stands in its way.
        assert carrier.send(a_message(), timeout=TIMEOUT) == outcome

        carrier.close()
    assert not any(b"votre rappel" in said for said in server.said if step in {"GREETING", "MAIL", "RCPT", "DATA"})


def test_a_refused_address_keeps_the_connection() -> None:
    with listening(smtp({"RCPT": b"550 5.1.1 nobody"})) as server:
        carrier = carrier_at(server.port)
        for _ in range(3):
            carrier.send(a_message(), timeout=TIMEOUT)
        carrier.close()

    assert server.connections == 1


def test_a_server_that_wants_the_text_of_a_refused_message_is_hung_up_on() -> None:
    ehlo = b"250-script\r\n250 PIPELINING"
    with listening(smtp({"EHLO": ehlo, "RCPT": b"550 5.1.1 nobody", "DATA": b"354 go on"})) as server:
        carrier = carrier_at(server.port)

        assert carrier.send(a_message(), timeout=TIMEOUT) == REFUSED

        carrier.close()
    assert not any(said.startswith(b".") for said in server.said)


def test_answers_that_drip_after_the_final_dot_leave_the_message_in_doubt_in_time() -> None:
    with listening(smtp({"TEXT": b"250-" + b"slow\r\n250-" * 3})) as server:
        carrier = carrier_at(server.port)
        started = time.monotonic()

        assert carrier.send(a_message(), timeout=SHORT) == InDoubt()
        assert time.monotonic() - started < SHORT + GRACE


def test_one_connection_carries_many_messages(sandbox: Sandbox) -> None:
    with listening(smtp({})) as server:
        carrier = carrier_at(server.port)
        outcomes = [carrier.send(a_message(), timeout=TIMEOUT) for _ in range(5)]
        carrier.close()

    assert all(isinstance(outcome, Receipt) for outcome in outcomes)
    assert server.connections == 1
    assert server.said[-1] == b"QUIT\r\n"


def test_an_address_beyond_ascii_needs_a_server_that_knows_how() -> None:
    with listening(smtp({})) as server:
        carrier = carrier_at(server.port)

        assert carrier.send(a_message(to="léa@example.org"), timeout=TIMEOUT) == REFUSED

        carrier.close()


# ------------------------------------------------------------------------------------------ who we are, and over what


def test_the_sign_in_comes_from_the_url() -> None:
    offers = {"EHLO": b"250-script\r\n250 AUTH PLAIN", "AUTH": b"235 2.7.0 welcome"}
    with listening(smtp(offers)) as server:
        carrier = carrier_at(server.port, user="accord:p%40ss@")

        assert isinstance(carrier.send(a_message(), timeout=TIMEOUT), Receipt)

        carrier.close()
    assert b"AUTH PLAIN AGFjY29yZABwQHNz\r\n" in server.said
    assert "p@ss" not in repr(carrier)


@pytest.mark.parametrize(
    ("offers", "outcome"),
    [
        ({"EHLO": b"250-script\r\n250 AUTH PLAIN", "AUTH": b"535 5.7.8 no"}, CREDENTIALS),
        ({"EHLO": b"250-script\r\n250 AUTH PLAIN", "AUTH": b"454 4.7.0 not now"}, BUSY),
        ({"EHLO": b"250-script\r\n250 AUTH PLAIN", "AUTH": None}, BUSY),
        ({"EHLO": b"250-script\r\n250 AUTH DANCING"}, OURS),
        ({}, OURS),
    ],
)
def test_a_sign_in_that_fails_sends_nothing(offers: dict[str, bytes | None], outcome: object) -> None:
    with listening(smtp(offers)) as server:
        carrier = carrier_at(server.port, user="accord:secret@")

        assert carrier.send(a_message(), timeout=TIMEOUT) == outcome

    assert not any(said.startswith(b"MAIL") for said in server.said)


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_tls_protects_sign_in_and_message(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted, context = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    offers: dict[str, bytes | None] = {
        "EHLO": b"250-script\r\n250-AUTH PLAIN\r\n250 STARTTLS",
        "AUTH": b"235 2.7.0 welcome",
    }
    talk = smtp(offers, tls=context if mode == "starttls" else None)
    with listening(talk, tls=context if mode == "implicit" else None) as server:
        carrier = carrier_at(server.port, f"?tls={mode}", user="accord:secret@", host="localhost")

        assert isinstance(carrier.send(a_message(), timeout=TIMEOUT), Receipt)
        assert isinstance(carrier.send(a_message(), timeout=TIMEOUT), Receipt)

        carrier.close()
    verbs = [said[:4] for said in server.said]
    assert verbs.index(b"AUTH") > (verbs.index(b"STAR") if mode == "starttls" else 0)


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_a_certificate_that_nobody_vouches_for_is_not_believed(mode: str, tmp_path: Path) -> None:
    _public, context = make_certificate(tmp_path)
    talk = smtp({"EHLO": b"250-script\r\n250 STARTTLS"}, tls=context if mode == "starttls" else None)
    with listening(talk, tls=context if mode == "implicit" else None) as server:
        carrier = carrier_at(server.port, f"?tls={mode}", host="localhost")

        assert carrier.send(a_message(), timeout=TIMEOUT) == BUSY

    assert not any(said.startswith(b"MAIL") for said in server.said)


def test_a_server_without_tls_gets_nothing_where_tls_was_asked_for() -> None:
    with listening(smtp({})) as server:
        carrier = carrier_at(server.port, "?tls=starttls", user="accord:secret@")

        assert carrier.send(a_message(), timeout=TIMEOUT) == OURS

    assert [said[:4] for said in server.said] == [b"ehlo"]


def test_a_handshake_that_never_ends_does_not_stretch_the_time() -> None:
    with listening(dripping(b"\x16\x03\x03")) as server:
        carrier = carrier_at(server.port, "?tls=implicit")
        started = time.monotonic()

        assert carrier.send(a_message(), timeout=SHORT) == BUSY
        assert time.monotonic() - started < SHORT + GRACE


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", SmtpServer(host="mail.example", port=587, tls="starttls")),
        ("smtps://mail.example", SmtpServer(host="mail.example", port=465, tls="implicit")),
        ("smtp://mail.example?tls=implicit", SmtpServer(host="mail.example", port=465, tls="implicit")),
        ("smtp://relay:2525?tls=none", SmtpServer(host="relay", port=2525, tls="none")),
        ("smtp://localhost:1025", SmtpServer(host="localhost", port=1025, tls="none")),
        ("smtp://[::1]:1025", SmtpServer(host="::1", port=1025, tls="none")),
        (
            "smtp://a%40b:c%3Ad@mail.example",
            SmtpServer(host="mail.example", port=587, tls="starttls", user="a@b", password="c:d"),
        ),
    ],
)
def test_the_url_says_where_and_how(url: str, server: SmtpServer) -> None:
    assert SmtpServer.read(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "http://mail.example",
        "smtp://",
        "smtp://u:secret@mail.example?tls=maybe",
        "smtp://u:secret@mail.example?ssl=1",
        "smtp://u:s%C3%A9cret@mail.example",
        "smtp://u:secret@mail.example:port",
        "smtp://u:secret/word@mail.example",
    ],
)
def test_a_url_that_can_not_be_used_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        SmtpServer.read(url)

    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("sender", "domain"),
    [("nobody", "a.example"), ("léa@a.example", "a.example"), (SENDER, "a b"), (SENDER, "a>\r\nBcc: x")],
)
def test_a_sender_that_can_not_be_used_is_refused_at_the_start(sender: str, domain: str) -> None:
    with pytest.raises(ValueError, match=r"^The "):
        SmtpCarrier(url=f"smtp://127.0.0.1:{free_port()}", sender=sender, domain=domain)
