"""Text messages through Twilio's API, on the wire."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from twilio.request_validator import RequestValidator

from backend.messaging.carriers.base import (
    Carrier,
    DeliveryReport,
    DeliveryState,
    FailureCode,
    Found,
    InDoubt,
    NotFound,
    PermanentFailure,
    Receipt,
    SignatureRefused,
    TemporaryFailure,
    Unknown,
)
from backend.messaging.carriers.twilio import TwilioCarrier
from backend.policy.vocabulary import Channel
from sandbox import Fault, Sandbox
from tests.carriers.contract import SHORT, TIMEOUT, CarrierContract
from tests.carriers.servers import answering, http_answer, listening, make_certificate

SID = "SM" + "0a" * 16
ACCOUNT = "AC" + "0b" * 16
HOOK = "https://accord.example/hooks/twilio/key"


def carrier_at(url: str, **changes: Any) -> TwilioCarrier:
    usual: dict[str, Any] = {"account_sid": ACCOUNT, "auth_token": "secret", "sender": "+33700000000"}
    return TwilioCarrier(api_url=url, **{**usual, **changes})


class TestTwilio(CarrierContract):
    channel = Channel.SMS
    address = "+33612345678"
    never_again = FailureCode.RECIPIENT_OPTED_OUT

    def make(self, sandbox: Sandbox) -> Carrier:
        return TwilioCarrier(
            api_url=sandbox.twilio_url,
            account_sid=sandbox.twilio_account_sid,
            auth_token=sandbox.twilio_auth_token,
            sender="+33700000000",
            status_callback_base="https://accord.example/",
            status_callback_key="key",
        )

    def make_at(self, sandbox: Sandbox, port: int) -> Carrier:
        return carrier_at(f"http://127.0.0.1:{port}")

    def secrets(self, sandbox: Sandbox) -> tuple[str, ...]:
        return (sandbox.twilio_auth_token,)

    def test_twilio_is_told_where_to_report_and_about_what(self, carrier: Carrier, sandbox: Sandbox) -> None:
        message = self.message()

        carrier.send(message, timeout=TIMEOUT)

        (received,) = sandbox.received()
        assert received.payload == {
            "To": self.address,
            "From": "+33700000000",
            "Body": message.text,
            "StatusCallback": f"{HOOK}/{message.message_id}",
        }
        assert received.headers["user-agent"].startswith("twilio-python/")

    @pytest.mark.parametrize(
        "changes", [{"status_callback_base": "https://accord.example"}, {"status_callback_key": "key"}]
    )
    def test_without_a_secret_address_no_report_is_asked_for(self, sandbox: Sandbox, changes: dict[str, Any]) -> None:
        carrier = carrier_at(
            sandbox.twilio_url,
            account_sid=sandbox.twilio_account_sid,
            auth_token=sandbox.twilio_auth_token,
            sender="MG" + "0c" * 16,
            **changes,
        )

        carrier.send(self.message(), timeout=TIMEOUT)

        (received,) = sandbox.received()
        assert set(received.payload) == {"To", "Body", "MessagingServiceSid"}
        carrier.close()

    def test_an_error_of_the_server_leaves_the_message_in_doubt(self, carrier: Carrier, sandbox: Sandbox) -> None:
        sandbox.faults.push(Fault(channel="sms", kind="http_500"))

        assert carrier.send(self.message(), timeout=TIMEOUT) == InDoubt()

    def test_a_text_that_is_no_unicode_is_refused(self, carrier: Carrier, sandbox: Sandbox) -> None:
        outcome = carrier.send(self.message(text="half a character: \ud83d"), timeout=TIMEOUT)

        assert outcome == PermanentFailure(FailureCode.CONTENT_REFUSED)

    # ---------------------------------------------------------------------------------------------- what became of it

    def test_a_message_whose_answer_was_lost_is_found(self, carrier: Carrier, sandbox: Sandbox) -> None:
        sandbox.faults.push(Fault(channel="sms", kind="accept_then_hang"))
        message = self.message()
        assert carrier.send(message, timeout=SHORT) == InDoubt()

        found = carrier.find(message, timeout=TIMEOUT)

        (received,) = sandbox.received()
        assert found == Found(received.reference)

    def test_a_message_that_never_arrived_is_not_found(self, carrier: Carrier, sandbox: Sandbox) -> None:
        carrier.send(self.message(text="Another text"), timeout=TIMEOUT)
        carrier.send(self.message(to="+33698765432"), timeout=TIMEOUT)

        assert carrier.find(self.message(), timeout=TIMEOUT) == NotFound()

    def test_the_same_words_of_long_ago_are_another_message(self, sandbox: Sandbox) -> None:
        carrier = carrier_at(
            sandbox.twilio_url,
            account_sid=sandbox.twilio_account_sid,
            auth_token=sandbox.twilio_auth_token,
            look_back=timedelta(seconds=-60),
        )
        carrier.send(self.message(), timeout=TIMEOUT)

        assert carrier.find(self.message(), timeout=TIMEOUT) == NotFound()
        carrier.close()

    def test_a_message_is_found_by_its_sid(self, carrier: Carrier) -> None:
        receipt = carrier.send(self.message(), timeout=TIMEOUT)
        assert isinstance(receipt, Receipt)

        assert carrier.find(self.message(text="", reference=receipt.reference), timeout=TIMEOUT) == Found(
            receipt.reference
        )
        assert carrier.find(self.message(reference=SID), timeout=TIMEOUT) == NotFound()

    @pytest.mark.parametrize("kind", ["http_500", "garbage", "reset", "hang", "auth", "rate_limited"])
    def test_a_question_without_an_answer_leaves_it_unknown(
        self, carrier: Carrier, sandbox: Sandbox, kind: Any
    ) -> None:
        message = self.message()
        carrier.send(message, timeout=TIMEOUT)
        sandbox.faults.push(Fault(channel="sms", kind=kind, on="find"))

        assert carrier.find(message, timeout=SHORT) == Unknown()

    # ------------------------------------------------------------------------------------------------------- reports

    @pytest.mark.parametrize(
        ("form", "state", "code"),
        [
            ({"MessageStatus": "sent"}, DeliveryState.SENT, None),
            ({"MessageStatus": "delivered"}, DeliveryState.DELIVERED, None),
            ({"MessageStatus": "undelivered", "ErrorCode": "30005"}, DeliveryState.FAILED, FailureCode.ADDRESS_GONE),
            ({"MessageStatus": "failed", "ErrorCode": "30007"}, DeliveryState.FAILED, FailureCode.CONTENT_REFUSED),
            ({"MessageStatus": "failed", "ErrorCode": "99999"}, DeliveryState.FAILED, FailureCode.UNEXPECTED_ANSWER),
            ({"MessageStatus": "failed"}, DeliveryState.FAILED, FailureCode.UNEXPECTED_ANSWER),
        ],
    )
    def test_a_signed_report_says_what_became_of_a_message(
        self, carrier: Carrier, sandbox: Sandbox, form: dict[str, str], state: DeliveryState, code: FailureCode | None
    ) -> None:
        url = f"{HOOK}/{uuid4()}"
        fields = {"MessageSid": SID, "To": self.address, "From": "+33700000000", **form}
        signature = RequestValidator(sandbox.twilio_auth_token).compute_signature(url, fields)
        body = urlencode(fields).encode()

        carrier.verify({"x-twilio-signature": signature}, body, url=url)

        assert carrier.parse_events(body) == (DeliveryReport(None, SID, state, code),)

    @pytest.mark.parametrize(
        "form", [{"MessageStatus": "queued"}, {"MessageStatus": "sending"}, {}, {"MessageSid": ""}]
    )
    def test_a_report_that_says_nothing_new_is_none(self, carrier: Carrier, form: dict[str, str]) -> None:
        assert carrier.parse_events(urlencode({"MessageSid": SID, **form}).encode()) == ()
        assert carrier.parse_events(b"\xff\x00=&&") == ()

    def test_a_report_about_something_else_than_was_signed_is_refused(self, carrier: Carrier, sandbox: Sandbox) -> None:
        url = f"{HOOK}/{uuid4()}"
        fields = {"MessageSid": SID, "MessageStatus": "failed"}
        signature = RequestValidator(sandbox.twilio_auth_token).compute_signature(url, fields)
        forged = {"MessageSid": SID, "MessageStatus": "delivered"}
        for headers, body, where in (
            ({"X-Twilio-Signature": signature}, urlencode(forged).encode(), url),
            ({"X-Twilio-Signature": signature}, urlencode(fields).encode(), f"{HOOK}/{uuid4()}"),
            ({"X-Twilio-Signature": ""}, urlencode(fields).encode(), url),
            ({"X-Twilio-Signature": "é"}, urlencode(fields).encode(), url),
            ({"X-Twilio-Signature": signature}, urlencode(fields).encode(), "https://accord.example:port/"),
        ):
            with pytest.raises(SignatureRefused):
                carrier.verify(headers, body, url=where)


MESSAGE = TestTwilio()


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (400, 21211, PermanentFailure(FailureCode.ADDRESS_REFUSED)),
        (400, 21614, PermanentFailure(FailureCode.ADDRESS_REFUSED)),
        (400, 21217, PermanentFailure(FailureCode.ADDRESS_REFUSED)),
        (400, 21610, PermanentFailure(FailureCode.RECIPIENT_OPTED_OUT)),
        (400, 21617, PermanentFailure(FailureCode.CONTENT_REFUSED)),
        (400, 30007, PermanentFailure(FailureCode.CONTENT_REFUSED)),
        (400, 21606, TemporaryFailure(FailureCode.NOT_CONFIGURED)),
        (400, 12345, PermanentFailure(FailureCode.UNEXPECTED_ANSWER)),
        (400, None, TemporaryFailure(FailureCode.UNEXPECTED_ANSWER)),
        (401, 20003, TemporaryFailure(FailureCode.CREDENTIALS_REFUSED)),
        (401, None, TemporaryFailure(FailureCode.CREDENTIALS_REFUSED)),
        (403, 20003, TemporaryFailure(FailureCode.CREDENTIALS_REFUSED)),
        (404, 20404, TemporaryFailure(FailureCode.NOT_CONFIGURED)),
        (429, 20429, TemporaryFailure(FailureCode.RATE_LIMITED)),
        (429, None, TemporaryFailure(FailureCode.RATE_LIMITED)),
        (429, 21611, TemporaryFailure(FailureCode.RATE_LIMITED)),
        (500, 20500, InDoubt()),
        (502, None, InDoubt()),
        (503, None, InDoubt()),
        (503, 20503, TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE)),
        (504, None, InDoubt()),
        (301, None, TemporaryFailure(FailureCode.UNEXPECTED_ANSWER)),
        (308, None, TemporaryFailure(FailureCode.UNEXPECTED_ANSWER)),
        (303, None, InDoubt()),
    ],
)
def test_each_answer_has_one_meaning(status: int, code: int | None, outcome: object) -> None:
    body = b"<html>a proxy</html>" if code is None else json.dumps({"code": code, "message": "+33612345678"}).encode()
    with listening(answering(http_answer(status, body, {"Location": "https://elsewhere.example/"}))) as server:
        carrier = carrier_at(f"http://127.0.0.1:{server.port}/a/path")

        assert carrier.send(MESSAGE.message(), timeout=TIMEOUT) == outcome

        carrier.close()
    assert len(server.said) == 1
    assert server.said[0].startswith(f"POST /a/path/2010-04-01/Accounts/{ACCOUNT}/Messages.json HTTP/1.1".encode())


@pytest.mark.parametrize(
    ("wish", "seconds"),
    [
        ("30", 30.0),
        ("0", 0.0),
        ("1000000", 86_400.0),
        ("soon", None),
        ("Sat, 01 Jan 2000 00:00:00 GMT", 0.0),
        ("", None),
    ],
)
def test_the_pause_that_is_asked_for_is_passed_on(wish: str, seconds: float | None) -> None:
    with listening(answering(http_answer(429, b"{}", {"Retry-After": wish}))) as server:
        carrier = carrier_at(f"http://127.0.0.1:{server.port}")

        assert carrier.send(MESSAGE.message(), timeout=TIMEOUT) == TemporaryFailure(FailureCode.RATE_LIMITED, seconds)

        carrier.close()


def test_a_503_that_asks_for_a_pause_took_nothing() -> None:
    with listening(answering(http_answer(503, b"", {"Retry-After": "5"}))) as server:
        carrier = carrier_at(f"http://127.0.0.1:{server.port}")

        outcome = carrier.send(MESSAGE.message(), timeout=TIMEOUT)

        assert outcome == TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE, 5.0)
        carrier.close()


@pytest.mark.parametrize(
    "answer",
    [
        http_answer(201, b""),
        http_answer(201, b"[]"),
        http_answer(201, b"null"),
        http_answer(201, b"{}"),
        http_answer(201, b'{"sid": 7}'),
        http_answer(201, b'{"sid": "a note to +33612345678"}'),
        http_answer(201, b'{"sid": "\xff"'),
        http_answer(400, b"\xff\x00")[:-1],
        b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 201 Created\r\nContent-Length: 3000000\r\n\r\n" + b" " * 3_000_000,
        b"HTTP/1.1 201 Created\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ],
)
def test_an_answer_that_is_none_leaves_the_message_in_doubt(answer: bytes) -> None:
    with listening(answering(answer)) as server:
        carrier = carrier_at(f"http://127.0.0.1:{server.port}")

        assert carrier.send(MESSAGE.message(), timeout=SHORT) == InDoubt()

        carrier.close()


def test_one_connection_carries_many_messages() -> None:
    with listening(answering(http_answer(201, json.dumps({"sid": SID}).encode()))) as server:
        carrier = carrier_at(f"http://127.0.0.1:{server.port}")
        outcomes = {carrier.send(MESSAGE.message(), timeout=TIMEOUT) for _ in range(5)}
        carrier.close()

    assert outcomes == {Receipt(SID)}
    assert server.connections == 1


def test_a_server_that_wants_no_second_message_gets_a_new_connection() -> None:
    body = json.dumps({"sid": SID}).encode()
    with listening(answering(http_answer(201, body, {"Connection": "close"}))) as server:
        carrier = carrier_at(f"http://127.0.0.1:{server.port}")
        outcomes = {carrier.send(MESSAGE.message(), timeout=TIMEOUT) for _ in range(3)}
        carrier.close()

    assert outcomes == {Receipt(SID)}
    assert server.connections == 3


def test_tls_is_checked_and_then_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted, context = make_certificate(tmp_path)
    answer = answering(http_answer(201, json.dumps({"sid": SID}).encode()))
    with listening(answer, tls=context) as server:
        url = f"https://localhost:{server.port}"
        doubtful = carrier_at(url)
        assert doubtful.send(MESSAGE.message(), timeout=TIMEOUT) == TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE)
        assert server.said == []
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        carrier = carrier_at(url)

        assert carrier.send(MESSAGE.message(), timeout=TIMEOUT) == Receipt(SID)
        assert carrier.send(MESSAGE.message(), timeout=TIMEOUT) == Receipt(SID)

        carrier.close()
    assert server.connections == 2


@pytest.mark.parametrize(
    "url", ["", "twilio", "ftp://a.example", "https://", "https://u:secret@a.example", "https://a.example?x=1"]
)
def test_an_address_that_can_not_be_used_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValueError, match=r"^The address") as refusal:
        carrier_at(url)

    assert "secret" not in str(refusal.value)
