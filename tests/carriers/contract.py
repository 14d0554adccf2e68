"""What every carrier promises, told on the wire. One class of tests per carrier inherits it."""

import logging
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import pytest

from backend.messaging.carriers.base import (
    Carrier,
    FailureCode,
    InDoubt,
    OutboundMessage,
    Outcome,
    PermanentFailure,
    Receipt,
    SignatureRefused,
    TemporaryFailure,
)
from backend.policy.vocabulary import Channel, Language
from sandbox import Fault, Sandbox
from tests.carriers.servers import door_shut, dripping, free_port, listening, silence

TIMEOUT = 10.0
SHORT = 0.6
# How much later than asked a busy machine may be.
GRACE = 2.0


class CarrierContract:
    """Tests for any carrier. A subclass says how its carrier is made and what a message to it looks like."""

    channel: ClassVar[Channel]
    address: ClassVar[str]
    # What the sandbox's `unregistered` means on this channel.
    never_again: ClassVar[FailureCode]
    # How many answers of 401 it takes until the SDK gives up.
    sign_ins: ClassVar[int] = 1
    # Whether the client speaks first: then whatever happens to a mute server's client, something was written.
    client_first: ClassVar[bool] = True
    # The beginning of an answer that never ends.
    drip: ClassVar[bytes] = b"HTTP/1.1 200 OK\r\nX-Slow: "

    def make(self, sandbox: Sandbox) -> Carrier:
        """Make the carrier for this sandbox."""
        raise NotImplementedError

    def make_at(self, sandbox: Sandbox, port: int) -> Carrier:
        """Make the carrier with the sandbox's credentials, but for another port of this machine."""
        raise NotImplementedError

    def message(self, **changes: Any) -> OutboundMessage:
        """A message of this channel."""
        usual: dict[str, Any] = {
            "message_id": uuid4(),
            "channel": self.channel,
            "to": self.address,
            "language": Language.FRENCH,
            "subject": "Votre rappel de vaccination",
            "text": "Bonjour Léa,\nvotre rappel est prévu le 3 décembre.\n.À bientôt",
        }
        return OutboundMessage(**{**usual, **changes})

    def has_arrived(self, sandbox: Sandbox) -> Counter[str]:
        """How often the sandbox took each message, by its id."""
        return Counter(received.message_id for received in sandbox.received())

    @pytest.fixture
    def carrier(self, sandbox: Sandbox) -> Iterator[Carrier]:
        carrier = self.make(sandbox)
        yield carrier
        carrier.close()

    def outcome_at(self, sandbox: Sandbox, port: int, *, timeout: float) -> tuple[Outcome, float]:
        """What comes of a message to another port of this machine, and how long that took."""
        carrier = self.make_at(sandbox, port)
        try:
            started = time.monotonic()
            return carrier.send(self.message(), timeout=timeout), time.monotonic() - started
        finally:
            carrier.close()

    def test_it_names_itself_and_its_channel(self, carrier: Carrier) -> None:
        assert carrier.channel is self.channel
        assert carrier.name

    def test_a_message_arrives_once_with_its_words_and_its_id(self, carrier: Carrier, sandbox: Sandbox) -> None:
        message = self.message()

        outcome = carrier.send(message, timeout=TIMEOUT)

        (received,) = sandbox.received()
        assert outcome == Receipt(received.reference)
        assert received.channel == self.channel
        assert received.to == self.address.removeprefix("token:")
        assert received.text.strip() == message.text
        assert received.message_id == str(message.message_id)

    def test_a_slow_answer_within_the_time_is_an_answer(self, carrier: Carrier, sandbox: Sandbox) -> None:
        sandbox.faults.push(Fault(channel=self._name, kind="slow", seconds=0.3))

        assert isinstance(carrier.send(self.message(), timeout=TIMEOUT), Receipt)

    def test_too_much_at_once_is_a_passing_failure(self, carrier: Carrier, sandbox: Sandbox) -> None:
        sandbox.faults.push(Fault(channel=self._name, kind="rate_limited", retry_after=30))

        outcome = carrier.send(self.message(), timeout=TIMEOUT)

        assert isinstance(outcome, TemporaryFailure)
        assert outcome.code is FailureCode.RATE_LIMITED
        assert outcome.retry_after == (30.0 if self.client_first else None)

    def test_an_address_that_is_none_is_a_lasting_failure(self, carrier: Carrier, sandbox: Sandbox) -> None:
        sandbox.faults.push(Fault(channel=self._name, kind="refuse_address"))

        assert carrier.send(self.message(), timeout=TIMEOUT) == PermanentFailure(FailureCode.ADDRESS_REFUSED)

    def test_an_address_that_is_no_longer_one_is_a_lasting_failure(self, carrier: Carrier, sandbox: Sandbox) -> None:
        sandbox.faults.push(Fault(channel=self._name, kind="unregistered"))

        assert carrier.send(self.message(), timeout=TIMEOUT) == PermanentFailure(self.never_again)

    def test_refused_credentials_are_no_fault_of_the_message(self, carrier: Carrier, sandbox: Sandbox) -> None:
        sandbox.faults.push(Fault(channel=self._name, kind="auth", times=self.sign_ins))

        assert carrier.send(self.message(), timeout=TIMEOUT) == TemporaryFailure(FailureCode.CREDENTIALS_REFUSED)

    def test_an_unreachable_carrier_took_nothing(self, sandbox: Sandbox) -> None:
        outcome, _seconds = self.outcome_at(sandbox, free_port(), timeout=TIMEOUT)

        assert outcome == TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE)

    @pytest.mark.parametrize("kind", ["accept_then_hang", "hang"])
    def test_a_message_without_an_answer_in_time_is_in_doubt(
        self, carrier: Carrier, sandbox: Sandbox, kind: Any
    ) -> None:
        carrier.send(self.message(), timeout=TIMEOUT)
        sandbox.clear()
        sandbox.faults.push(Fault(channel=self._name, kind=kind))
        message = self.message()
        started = time.monotonic()

        outcome = carrier.send(message, timeout=SHORT)

        assert outcome == InDoubt()
        assert time.monotonic() - started < SHORT + GRACE
        assert self.has_arrived(sandbox)[str(message.message_id)] == (1 if kind == "accept_then_hang" else 0)

    @pytest.mark.parametrize("kind", ["reset", "garbage"])
    def test_an_answer_that_breaks_off_or_is_none_leaves_the_message_in_doubt(
        self, carrier: Carrier, sandbox: Sandbox, kind: Any
    ) -> None:
        sandbox.faults.push(Fault(channel=self._name, kind=kind))

        assert carrier.send(self.message(), timeout=TIMEOUT) == InDoubt()

    @pytest.mark.parametrize("kind", ["reset", "garbage", "hang", "rate_limited", "refuse_address", "http_500"])
    def test_the_message_after_a_failure_arrives(self, carrier: Carrier, sandbox: Sandbox, kind: Any) -> None:
        carrier.send(self.message(), timeout=TIMEOUT)
        sandbox.faults.push(Fault(channel=self._name, kind=kind))
        carrier.send(self.message(), timeout=SHORT)
        sandbox.clear()
        message = self.message()

        outcome = carrier.send(message, timeout=TIMEOUT)

        assert isinstance(outcome, Receipt)
        assert self.has_arrived(sandbox) == {str(message.message_id): 1}

    def test_an_answer_that_drips_does_not_stretch_the_time(self, sandbox: Sandbox) -> None:
        with listening(dripping(self.drip)) as server:
            outcome, seconds = self.outcome_at(sandbox, server.port, timeout=SHORT)

        assert outcome == (InDoubt() if self.client_first else TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE))
        assert seconds < SHORT + GRACE

    def test_a_server_that_says_nothing_is_waited_for_no_longer_than_asked(self, sandbox: Sandbox) -> None:
        with listening(silence) as server:
            outcome, seconds = self.outcome_at(sandbox, server.port, timeout=SHORT)

        assert outcome == (InDoubt() if self.client_first else TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE))
        assert seconds < SHORT + GRACE

    def test_a_server_that_hangs_up_at_once_raises_nothing(self, sandbox: Sandbox) -> None:
        with listening(door_shut) as server:
            outcome, _seconds = self.outcome_at(sandbox, server.port, timeout=TIMEOUT)

        assert isinstance(outcome, InDoubt | TemporaryFailure)

    def test_a_time_that_is_already_over_sends_nothing(self, carrier: Carrier, sandbox: Sandbox) -> None:
        assert carrier.send(self.message(), timeout=0.0) == TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE)
        assert sandbox.received() == ()

    def test_a_connection_that_died_while_idle_is_replaced(self, tmp_path: Path) -> None:
        mail, web = free_port(), free_port()
        message = self.message()
        with Sandbox(tmp_path, smtp_port=mail, http_port=web) as first:
            carrier = self.make(first)
            assert isinstance(carrier.send(self.message(), timeout=TIMEOUT), Receipt)
        with Sandbox(tmp_path, smtp_port=mail, http_port=web) as second:
            second.clear()

            outcome = carrier.send(message, timeout=TIMEOUT)

            assert isinstance(outcome, Receipt)
            assert self.has_arrived(second) == {str(message.message_id): 1}
            carrier.close()

    def test_messages_from_many_threads_each_arrive_exactly_once(self, carrier: Carrier, sandbox: Sandbox) -> None:
        messages = [self.message(text=f"Message {number}") for number in range(96)]

        with ThreadPoolExecutor(16) as threads:
            outcomes = list(threads.map(lambda message: carrier.send(message, timeout=30), messages))

        assert all(isinstance(outcome, Receipt) for outcome in outcomes)
        assert self.has_arrived(sandbox) == {str(message.message_id): 1 for message in messages}
        arrived = {received.message_id: received for received in sandbox.received()}
        for message, outcome in zip(messages, outcomes, strict=True):
            assert outcome == Receipt(arrived[str(message.message_id)].reference)
            assert arrived[str(message.message_id)].text.strip() == message.text

    def test_the_environment_names_no_proxy_for_us(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
        carrier = self.make(sandbox)

        assert isinstance(carrier.send(self.message(), timeout=TIMEOUT), Receipt)
        carrier.close()

    def test_nothing_that_can_be_printed_or_logged_holds_personal_data(
        self, carrier: Carrier, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        # The sandbox is its own program, and so is the server library it runs on.
        logging.getLogger("asyncio").setLevel(logging.WARNING)
        message = self.message(text="Votre suivi du diabète")
        printed = [repr(carrier), str(carrier), repr(message)]
        for kind in ("slow", "rate_limited", "refuse_address", "garbage", "reset", "http_500", "auth"):
            sandbox.faults.push(
                Fault(channel=self._name, kind=kind, seconds=0.0, times=self.sign_ins if kind == "auth" else 1)
            )
            printed.append(repr(carrier.send(message, timeout=TIMEOUT)))
        printed.append(repr(carrier.find(message, timeout=TIMEOUT)))

        everything = "\n".join([*printed, caplog.text]).lower()
        for secret in (self.address.removeprefix("token:"), "diabète", "diab=c3", *self.secrets(sandbox)):
            assert secret.lower() not in everything

    def secrets(self, sandbox: Sandbox) -> tuple[str, ...]:
        """What this carrier signs in with."""
        del sandbox
        return ()

    def test_an_unsigned_report_is_refused(self, carrier: Carrier) -> None:
        with pytest.raises(SignatureRefused) as refusal:
            carrier.verify({}, b"MessageSid=SM1&MessageStatus=delivered", url="https://accord.example/hooks/x")

        assert str(refusal.value) == ""

    def test_closing_twice_is_closing(self, carrier: Carrier) -> None:
        carrier.send(self.message(), timeout=TIMEOUT)

        carrier.close()
        carrier.close()

    @property
    def _name(self) -> Any:
        return self.channel.value
