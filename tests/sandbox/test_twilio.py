"""The Twilio side, spoken to with the real SDK."""

from datetime import UTC, datetime, timedelta
from time import monotonic
from uuid import UUID

import pytest
import requests
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client

from sandbox import Fault, Sandbox
from tests.sandbox.conftest import TwilioHere

TO, FROM = "+33639981234", "+33939001122"
MESSAGE = UUID("9d3f0f3e-9f1a-4a7e-9f5e-0a1b2c3d4e5f")
CALLBACK = f"https://accord.example/hooks/twilio/k-1/status/{MESSAGE.hex}?try=1"


def test_a_message_is_queued_and_kept(sandbox: Sandbox, twilio: Client) -> None:
    created = twilio.messages.create(to=TO, from_=FROM, body="À demain, 14 h 30", status_callback=CALLBACK)

    assert (created.status, created.num_segments, created.date_sent) == ("queued", "1", None)
    (received,) = sandbox.received()
    assert (received.channel, received.to, received.sender, received.text) == ("sms", TO, FROM, "À demain, 14 h 30")
    assert received.reference == created.sid
    assert received.message_id == str(MESSAGE)
    assert received.payload["StatusCallback"] == CALLBACK
    assert received.headers["content-type"] == "application/x-www-form-urlencoded"
    assert b"Body=" in received.raw


def test_a_message_can_be_found_again(twilio: Client) -> None:
    created = twilio.messages.create(to=TO, from_=FROM, body="Hello")
    twilio.messages.create(to="+33639985678", from_=FROM, body="Hello")

    listed = twilio.messages.list(to=TO, from_=FROM)
    fetched = twilio.messages(created.sid).fetch()

    assert [message.sid for message in listed] == [created.sid]
    assert (fetched.body, fetched.to, fetched.status) == ("Hello", TO, "delivered")
    assert fetched.date_sent is not None
    assert abs(fetched.date_sent - datetime.now(UTC)) < timedelta(minutes=1)


def test_messages_are_found_by_the_time_they_were_sent(twilio: Client) -> None:
    created = twilio.messages.create(to=TO, from_=FROM, body="Hello")
    now, day = datetime.now(UTC), timedelta(days=1)

    def found(**filters: object) -> bool:
        return [message.sid for message in twilio.messages.list(**filters)] == [created.sid]

    assert found(date_sent_after=now - timedelta(minutes=1), date_sent_before=now + timedelta(minutes=1))
    assert not found(date_sent_after=now + timedelta(minutes=1))
    assert not found(date_sent_before=now - timedelta(minutes=1))
    assert found(date_sent=created.date_created.date())
    assert not found(date_sent=created.date_created.date() - day)


def test_long_lists_come_in_pages_newest_first(sandbox: Sandbox, twilio: Client) -> None:
    for number in range(5):
        twilio.messages.create(to=TO, from_=FROM, body=str(number))

    listed = twilio.messages.list(to=TO, page_size=2)

    assert [message.body for message in listed] == ["4", "3", "2", "1", "0"]


def test_wrong_credentials_are_refused(sandbox: Sandbox) -> None:
    http = TwilioHere(sandbox.twilio_url)
    stranger = Client(sandbox.twilio_account_sid, "wrong", http_client=http)

    with pytest.raises(TwilioRestException) as refused:
        stranger.messages.create(to=TO, from_=FROM, body="Hello")

    http.session.close()
    assert (refused.value.status, refused.value.code) == (401, 20003)
    assert sandbox.received() == ()


@pytest.mark.parametrize(
    ("to", "body", "code"),
    [
        ("+15551234567", "Hello", 21211),
        ("+15005550001", "Hello", 21211),
        ("0639981234", "Hello", 21211),
        ("+15005550004", "Hello", 21610),
        ("", "Hello", 21604),
        (TO, "", 21602),
        (TO, "x" * 1601, 21617),
    ],
)
def test_what_twilio_refuses_is_refused(sandbox: Sandbox, twilio: Client, to: str, body: str, code: int) -> None:
    with pytest.raises(TwilioRestException) as refused:
        twilio.messages.create(to=to, from_=FROM, body=body)

    assert (refused.value.status, refused.value.code) == (400, code)
    assert sandbox.received() == ()


def test_an_unknown_message_is_not_found(twilio: Client) -> None:
    with pytest.raises(TwilioRestException) as missing:
        twilio.messages(f"SM{'0' * 32}").fetch()

    assert (missing.value.status, missing.value.code) == (404, 20404)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("http_500", 500, 20500),
        ("rate_limited", 429, 20429),
        ("refuse_address", 400, 21211),
        ("unregistered", 400, 21610),
        ("auth", 401, 20003),
    ],
)
def test_failures_speak_twilios_language(sandbox: Sandbox, twilio: Client, kind: str, status: int, code: int) -> None:
    sandbox.faults.push(Fault(channel="sms", kind=kind))  # type: ignore[arg-type] # one of the literals

    with pytest.raises(TwilioRestException) as failed:
        twilio.messages.create(to=TO, from_=FROM, body="Hello")

    assert (failed.value.status, failed.value.code) == (status, code)
    twilio.messages.create(to=TO, from_=FROM, body="Hello")
    assert len(sandbox.received()) == 1


def test_a_rate_limit_says_when_to_come_back(sandbox: Sandbox) -> None:
    sandbox.faults.push(Fault(channel="sms", kind="rate_limited", retry_after=7))

    answer = requests.post(
        f"{sandbox.twilio_url}/2010-04-01/Accounts/{sandbox.twilio_account_sid}/Messages.json",
        data={"To": TO, "From": FROM, "Body": "Hello"},
        auth=(sandbox.twilio_account_sid, sandbox.twilio_auth_token),
        timeout=5,
    )

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")


def test_an_answer_can_be_garbage(sandbox: Sandbox, twilio: Client) -> None:
    sandbox.faults.push(Fault(channel="sms", kind="garbage"))

    with pytest.raises(ValueError, match="Expecting value"):
        twilio.messages.create(to=TO, from_=FROM, body="Hello")


def test_a_connection_can_break(sandbox: Sandbox, twilio: Client) -> None:
    sandbox.faults.push(Fault(channel="sms", kind="reset"))

    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        twilio.messages.create(to=TO, from_=FROM, body="Hello")

    assert sandbox.received() == ()


@pytest.mark.parametrize(("kind", "kept"), [("hang", 0), ("accept_then_hang", 1)])
def test_an_answer_can_stay_away(sandbox: Sandbox, twilio: Client, kind: str, kept: int) -> None:
    sandbox.faults.push(Fault(channel="sms", kind=kind))  # type: ignore[arg-type] # one of the literals
    twilio.http_client.timeout = 0.3

    with pytest.raises(requests.ReadTimeout):
        twilio.messages.create(to=TO, from_=FROM, body="Hello")

    assert len(twilio.messages.list(to=TO)) == kept


def test_an_answer_can_be_slow(sandbox: Sandbox, twilio: Client) -> None:
    sandbox.faults.push(Fault(channel="sms", kind="slow", seconds=0.2))
    before = monotonic()

    twilio.messages.create(to=TO, from_=FROM, body="Hello")

    assert monotonic() - before >= 0.2


def test_a_search_can_fail_by_itself(sandbox: Sandbox, twilio: Client) -> None:
    sandbox.faults.push(Fault(channel="sms", kind="http_500", on="find"))
    twilio.messages.create(to=TO, from_=FROM, body="Hello")

    with pytest.raises(TwilioException):
        twilio.messages.list(to=TO)

    assert len(twilio.messages.list(to=TO)) == 1
