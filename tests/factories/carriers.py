"""Carriers for tests: the real ones against the sandbox, and small honest ones that do what the test says."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar

from backend.messaging.carriers.base import (
    Carrier,
    DeliveryReport,
    Found,
    InDoubt,
    NotFound,
    OutboundMessage,
    Outcome,
    Receipt,
    Unknown,
)
from backend.messaging.carriers.registry import CarrierSettings, build_carriers
from backend.policy.vocabulary import Channel
from sandbox import Sandbox

Behaviour = Callable[[OutboundMessage], Outcome]


def settings_for(sandbox: Sandbox) -> CarrierSettings:
    """As an installation would be set up whose carriers are the sandbox."""
    return CarrierSettings(
        email_url=sandbox.email_url,
        email_sender="no-reply@accord.example",
        twilio_api_url=sandbox.twilio_url,
        twilio_account_sid=sandbox.twilio_account_sid,
        twilio_auth_token=sandbox.twilio_auth_token,
        twilio_from="Accord",
        fcm_api_url=sandbox.fcm_url,
        fcm_credentials=str(sandbox.fcm_credentials),
    )


@contextmanager
def carriers_to(settings: CarrierSettings) -> Iterator[dict[Channel, Carrier]]:
    """The product's own carriers, closed at the end."""
    built = dict(build_carriers(settings))
    try:
        yield built
    finally:
        for carrier in built.values():
            carrier.close()


def without_way_out(message: OutboundMessage) -> OutboundMessage:
    """What stands above the link at the end, whose token is another one for everybody."""
    if message.channel is Channel.PUSH:
        return message
    foot = r"\n\n[^\n]+\n[^\n]+\n" if message.channel is Channel.EMAIL else r"\n"
    text, links = re.subn(rf"{foot}[^\n]*https?://\S+/u/\S+\Z", "", message.text)
    html, buttons = re.subn(r"<footer.*/u/.*</footer>(?=</div></body>)", "", message.html)
    assert links == 1
    assert buttons == bool(message.html)
    return replace(message, text=text, html=html)


def taken(message: OutboundMessage) -> Outcome:
    """The carrier takes everything."""
    return Receipt(f"taken-{message.message_id}")


class _InTest:
    """Keeps what it was given, and answers as the test says."""

    name: ClassVar[str] = "in_test"
    can_find: ClassVar[bool] = False

    def __init__(self, behaviour: Behaviour = taken) -> None:
        self.behaviour = behaviour
        self.given: list[OutboundMessage] = []
        self._lock = threading.Lock()

    def send(self, message: OutboundMessage, *, timeout: float) -> Outcome:
        with self._lock:
            self.given.append(message)
        return self.behaviour(message)

    def find(self, message: OutboundMessage, *, timeout: float) -> Found | NotFound | Unknown:
        return Unknown()

    def verify(self, headers: Mapping[str, str], body: bytes, *, url: str) -> None:
        raise NotImplementedError

    def parse_events(self, body: bytes) -> Sequence[DeliveryReport]:
        return ()

    def close(self) -> None:
        """Nothing is open."""


class PushInTest(_InTest):
    channel: ClassVar[Channel] = Channel.PUSH


class SmsInTest(_InTest):
    channel: ClassVar[Channel] = Channel.SMS


class EmailInTest(_InTest):
    channel: ClassVar[Channel] = Channel.EMAIL


class Forgetful(_InTest):
    """Can be asked what it has, and never has anything; on any channel."""

    channel: ClassVar[Channel] = Channel.SMS
    can_find: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__(lambda _message: InDoubt())
        self.asked = 0

    def find(self, message: OutboundMessage, *, timeout: float) -> Found | NotFound | Unknown:
        self.asked += 1
        return NotFound()


def carriers_in_test(behaviour: Behaviour = taken) -> dict[Channel, Carrier]:
    """One for each channel."""
    return {
        Channel.PUSH: PushInTest(behaviour),
        Channel.SMS: SmsInTest(behaviour),
        Channel.EMAIL: EmailInTest(behaviour),
    }


def given_to(carriers: Mapping[Channel, Carrier]) -> list[OutboundMessage]:
    """What all of them were given."""
    return [message for carrier in carriers.values() if isinstance(carrier, _InTest) for message in carrier.given]
