"""What the steps of a delivery share: the pace, the messages in hand, and the entries about them."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from uuid import UUID

from django.db import InterfaceError, OperationalError

from backend.attempts.operations import (
    MARGIN_SECONDS,
)
from backend.audit.actions import Action
from backend.audit.recording import Draft
from backend.consent.queries import PurposeRow
from backend.messaging.carriers.base import (
    OutboundMessage,
    Outcome,
)
from backend.messaging.models import Message
from backend.messaging.operations.planning import SENDING
from backend.messaging.rendering import Rendered
from backend.policy.contact import Verdict
from backend.policy.vocabulary import Channel, MessageState

log = logging.getLogger("accord.delivery")

SETTLING_SECONDS: Final = 0.5
BY_HAND: Final = (Channel.LETTER, Channel.CALL)
"""What people carry: no worker takes it up, staff do."""
DATABASE_GONE: Final = (OperationalError, InterfaceError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a worker delivers: messages at once, how long it may hold them, how long one call may take (seconds)."""

    batch: int = 50
    lease: float = 30.0
    call: float = 10.0
    parallel: int = 16

    def __post_init__(self) -> None:
        if self.lease < self.call + MARGIN_SECONDS + SETTLING_SECONDS:
            raise ValueError("A lease must outlast one call, storing its outcome, and the margin.")


@dataclass(slots=True)
class Delivered:
    """What a delivery run did, in messages."""

    counts: Counter[MessageState] = field(default_factory=Counter)
    batches: int = 0


@dataclass(frozen=True, slots=True)
class Unprepared:
    """The message could not be made ready, and nothing was handed over; a later try may succeed."""


@dataclass(frozen=True, slots=True)
class NotBegun:
    """Its worker died before the call began: nothing was handed over, and it is due again."""


Ended = Outcome | Unprepared | NotBegun | None


@dataclass(slots=True)
class Held:
    """One claimed message on its way through."""

    message: Message
    attempt_id: UUID
    purpose: PurposeRow
    verdict: Verdict | None = None
    rendered: Rendered | None = None
    outbound: OutboundMessage | None = None
    for_child: bool = False
    # The message before its way out was added: several that go together share one for each purpose.
    bare: OutboundMessage | None = None
    # What goes out in the same sending, behind this one; each ends as this one does.
    together: list["Held"] = field(default_factory=list)

    @property
    def channel(self) -> Channel:
        """How it is to travel."""
        return Channel(self.message.channel)


Made = TypeVar("Made")


def one_by_one_if_need_be(
    batch: Sequence[Held], make: Callable[[Sequence[Held]], dict[UUID, Made]]
) -> dict[UUID, Made]:
    """What is made for a batch. If that fails, for each message alone, without those where it fails again.

    One row that can not be read must not hold up the others. When the database is gone, all of them fail: that is
    raised.
    """
    try:
        return make(batch)
    except DATABASE_GONE:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to one message
        if len(batch) == 1:
            # The name only: the text of an exception may quote what it could not read.
            log.error("message %s could not be prepared: %s", batch[0].message.id, type(error).__name__)  # noqa: TRY400 - a traceback may hold personal data
            return {}
    made: dict[UUID, Made] = {}
    for held in batch:
        made.update(one_by_one_if_need_be([held], make))
    return made


def said(held: Held) -> Verdict:
    """What the gate said of it."""
    if held.verdict is None:
        raise RuntimeError("The gate was not asked.")
    return held.verdict


def verdict_record(held: Held) -> dict[str, Any]:
    """The verdict as it is stored with the message."""
    if held.verdict is None:
        stored: dict[str, Any] = held.message.verdict
        return stored
    return {**said(held).as_record(), "stage": SENDING, "considered": held.message.verdict.get("considered", {})}


def where(held: Held) -> dict[str, object]:
    """Purpose and channel, as entries tell them."""
    return {"purpose": held.purpose.slug, "channel": held.channel.value}


def draft_about(held: Held, action: Action, **details: object) -> Draft:
    """An entry about this message and its patient."""
    return Draft(
        action=action,
        clinic_id=held.message.clinic_id,
        about=(held.message.patient_id,),
        details={"message": held.message.id, **details},
    )
