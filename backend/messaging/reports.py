"""What carriers report later on. A report moves a message forward only, and never overwrites what is final.

Reports come in any order, twice, and before our own note of the sending is committed: such a one is kept, and worked
off by a tick. One with consequences beyond its message (an address that is no more, a recipient who opted out) is put
down first and crossed off last, so that whoever dies in between leaves it to the next tick.
"""

import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction

from backend.audit.actions import Action
from backend.audit.actors import Actor, system_actor
from backend.errors import NotFound
from backend.messaging.carriers.base import DeliveryReport, DeliveryState, FailureCode
from backend.messaging.doubts import settle_by_report
from backend.messaging.kept_reports import LONGEST_REFERENCE, draft_of, keep_report
from backend.messaging.models import CarrierReport, Message
from backend.messaging.operations.feedback import take_carrier_stop, take_hard_bounce
from backend.patients.entries import record_about_patients
from backend.policy.vocabulary import Channel, MessageState

log = logging.getLogger("accord.delivery")

MOST_PER_TICK: Final = 500
CONSEQUENCES: Final = frozenset({FailureCode.ADDRESS_GONE, FailureCode.RECIPIENT_OPTED_OUT})
BECOMES: Final = {DeliveryState.DELIVERED: MessageState.DELIVERED, DeliveryState.FAILED: MessageState.FAILED}


class Came(StrEnum):
    """What a report came to."""

    UNKNOWN = "unknown"
    NOTHING_NEW = "nothing_new"
    KEPT = "kept"
    APPLIED = "applied"


def take_report(
    *,
    message_id: UUID,
    channel: Channel,
    carrier: str,
    report: DeliveryReport,
    now: datetime,
    actor: Actor | None = None,
) -> Came:
    """Take one verified report about one message, as often and in whatever order it comes."""
    actor = actor or system_actor("carrier_feedback")
    with transaction.atomic():
        message = _locked(message_id)
        if message is None or message.channel != channel or not _is_about(message, report):
            return Came.UNKNOWN
        if not _says_something(message, report):
            return Came.NOTHING_NEW
        waits = message.state == MessageState.HANDING_OVER or _is_doubtful(message) or report.code in CONSEQUENCES
        if not waits:
            _apply(message, report, carrier=carrier, now=now, actor=actor)
            return Came.APPLIED
        if not keep_report(message, report, carrier=carrier, now=now, actor=actor):
            return Came.NOTHING_NEW
    if message.state == MessageState.HANDING_OVER:
        return Came.KEPT
    kept = CarrierReport.objects.filter(message_id=message_id, applied_at=None)
    return Came.APPLIED if _work_off(kept, now=now, actor=actor) else Came.KEPT


def work_off_reports(*, now: datetime, limit: int = MOST_PER_TICK, actor: Actor | None = None) -> int:
    """Act upon the reports that were kept and can be acted upon now; how many."""
    waiting = CarrierReport.objects.filter(applied_at=None).exclude(message__state=MessageState.HANDING_OVER)
    return _work_off(
        waiting.order_by("received_at", "id")[:limit], now=now, actor=actor or system_actor("carrier_feedback")
    )


def _locked(message_id: UUID) -> Message | None:
    found = Message.objects.filter(id=message_id).defer("sent_text").select_for_update(of=("self",))
    message: Message | None = found.first()
    return message


def _is_about(message: Message, report: DeliveryReport) -> bool:
    """A carrier's name for a message that is not the one it gave us belongs to another."""
    known = message.carrier_reference
    return not known or not report.reference or known == report.reference[:LONGEST_REFERENCE]


def _is_doubtful(message: Message) -> bool:
    return message.state == MessageState.IN_DOUBT or _was_refused_for_now(message)


def _was_refused_for_now(message: Message) -> bool:
    """It waits for another try, since its carrier had said that it did not take it."""
    return message.state in {MessageState.PLANNED, MessageState.DEFERRED} and message.tries > 0


def _says_something(message: Message, report: DeliveryReport) -> bool:
    """Is there anything that this report can change? What is final stays; what never left can not have arrived."""
    if message.state in {MessageState.HANDING_OVER, MessageState.IN_DOUBT}:
        return True
    if _was_refused_for_now(message):
        # That one copy failed is no reason not to try again; that one arrived, or is on its way, is.
        return report.state is not DeliveryState.FAILED
    return message.state == MessageState.SENT and report.state in BECOMES


def _apply(message: Message, report: DeliveryReport, *, carrier: str, now: datetime, actor: Actor) -> None:
    draft = draft_of(message, Action.MESSAGE_REPORTED, carrier=carrier, state=report.state, code=str(report.code or ""))
    with record_about_patients([draft], by=actor, now=now):
        _become(message, report)


def _become(message: Message, report: DeliveryReport) -> None:
    """Store what became of a message that left, behind its lock."""
    changes: dict[str, str] = {"state": BECOMES[report.state]}
    if report.state is DeliveryState.FAILED:
        changes["failure"] = str(report.code or FailureCode.UNEXPECTED_ANSWER)
    Message.objects.filter(id=message.id, state=MessageState.SENT).update(**changes)


def _work_off(rows: Iterable[CarrierReport], *, now: datetime, actor: Actor) -> int:
    """Each on its own: one that can not be worked off waits for the next tick, and holds up nobody."""
    done = 0
    for row in rows:
        try:
            _act_upon(row, now=now, actor=actor)
            done += 1
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to one message
            log.error("report %s was not worked off: %s", row.id, type(error).__name__)  # noqa: TRY400 - a traceback may hold personal data
    return done


def _act_upon(row: CarrierReport, *, now: datetime, actor: Actor) -> None:
    report = DeliveryReport(
        message_id=row.message_id,
        reference=row.carrier_reference,
        state=DeliveryState(row.state),
        code=FailureCode(row.code) if row.code else None,
    )
    # The address may be gone with its patient: then nothing follows.
    with suppress(NotFound):
        if report.code is FailureCode.ADDRESS_GONE:
            take_hard_bounce(clinic_id=row.clinic_id, message_id=row.message_id, now=now, actor=actor)
        elif report.code is FailureCode.RECIPIENT_OPTED_OUT:
            take_carrier_stop(clinic_id=row.clinic_id, message_id=row.message_id, now=now, actor=actor)
    message = Message.objects.filter(id=row.message_id).defer("sent_text").get()
    if _is_doubtful(message) and _says_something(message, report):
        # Whatever a carrier reports about, it has: that alone settles a doubt.
        settle_by_report(message, carrier=row.carrier, reference=report.reference, now=now, actor=actor)
    with transaction.atomic():
        found = _locked(row.message_id)
        if found is None or found.state == MessageState.HANDING_OVER:
            return
        draft = draft_of(found, Action.MESSAGE_REPORTED, carrier=row.carrier, state=row.state, code=row.code)
        with record_about_patients([draft], by=actor, now=now):
            if _says_something(found, report):
                _become(found, report)
            CarrierReport.objects.filter(id=row.id).update(applied_at=now)
