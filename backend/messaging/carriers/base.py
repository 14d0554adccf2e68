"""What every carrier can do, and the closed vocabulary in which it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Protocol
from uuid import UUID

from backend.policy.vocabulary import Category, Channel, Language


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundMessage:
    """One rendered message, ready for a carrier. It holds personal data: never log it, never store it."""

    message_id: UUID
    channel: Channel
    to: str
    language: Language
    text: str
    subject: str = ""
    html: str = ""
    # An iCalendar object (RFC 5545) that goes along with an e-mail.
    calendar: str = ""
    sender_name: str = ""
    reference: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    category: Category = Category.CARE

    def __repr__(self) -> str:
        return f"OutboundMessage(message_id={self.message_id}, channel={self.channel})"


class FailureCode(StrEnum):
    """Why a carrier did not take a message. Closed: whatever a provider says is mapped onto one of these."""

    ADDRESS_REFUSED = "address_refused"
    ADDRESS_GONE = "address_gone"
    RECIPIENT_OPTED_OUT = "recipient_opted_out"
    RECIPIENT_UNREACHABLE = "recipient_unreachable"
    CONTENT_REFUSED = "content_refused"
    CREDENTIALS_REFUSED = "credentials_refused"
    RATE_LIMITED = "rate_limited"
    CARRIER_UNAVAILABLE = "carrier_unavailable"
    NOT_CONFIGURED = "not_configured"
    UNEXPECTED_ANSWER = "unexpected_answer"
    NOT_REACHED = "not_reached"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The carrier took the message; `reference` is its own name for it, when it gives one."""

    reference: str


@dataclass(frozen=True, slots=True)
class TemporaryFailure:
    """The carrier surely did not take the message; a later try may succeed. `retry_after` is in seconds."""

    code: FailureCode
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class PermanentFailure:
    """The carrier surely did not take the message, and never will."""

    code: FailureCode


@dataclass(frozen=True, slots=True)
class InDoubt:
    """Bytes were written and no answer came: the carrier may or may not have taken the message."""


Outcome = Receipt | TemporaryFailure | PermanentFailure | InDoubt


@dataclass(frozen=True, slots=True)
class Found:
    """The carrier has the message."""

    reference: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """The carrier does not have the message. Final only after the carrier's settling time."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The carrier can not tell."""


class DeliveryState(StrEnum):
    """What a carrier reports of a message later on."""

    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """One report of a carrier about one message."""

    message_id: UUID | None
    reference: str
    state: DeliveryState
    code: FailureCode | None = None


class SignatureRefused(Exception):
    """A report did not come from the carrier: its signature is absent or wrong."""


class Carrier(Protocol):
    """Translates one channel's messages to one provider. No consent, quota, ORM or retry inside.

    `send` returns within `timeout` seconds in total (connect, TLS, write and read together) and never raises for what
    the network or the provider did: that is what the outcomes are for.
    """

    name: ClassVar[str]
    channel: ClassVar[Channel]
    can_find: ClassVar[bool]
    """Has the provider a way to ask what became of a message? Elsewhere `find` always answers Unknown."""

    def send(self, message: OutboundMessage, *, timeout: float) -> Outcome:
        """Hand one message over."""
        ...

    def find(self, message: OutboundMessage, *, timeout: float) -> Found | NotFound | Unknown:
        """Ask the carrier whether it has this message."""
        ...

    def verify(self, headers: Mapping[str, str], body: bytes, *, url: str) -> None:
        """Raise SignatureRefused unless the carrier signed this report."""
        ...

    def parse_events(self, body: bytes) -> Sequence[DeliveryReport]:
        """Translate a verified report."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...
