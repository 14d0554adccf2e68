"""What is in doubt: its carrier is asked, where it can tell; what no carrier can tell is for a person to say.

Only a yes settles anything by itself. That a carrier does not list a message is no proof that it never had it, and
sending again what may have arrived is the one thing that is never done: so a no leaves it in doubt.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from backend.attempts.operations import AttemptOutcome, doubtful_attempts, settle_doubts
from backend.audit.actions import Action
from backend.audit.actors import Actor, system_actor
from backend.audit.recording import Entry
from backend.consent.queries import purposes_by_id
from backend.errors import DomainError, NotFound
from backend.messaging.carriers.base import Carrier, Found
from backend.messaging.filling import fill_again
from backend.messaging.held import Held, draft_about, where
from backend.messaging.models import Message
from backend.messaging.outcomes import FIRST_LOOK
from backend.patients.entries import record_about_patients
from backend.policy.vocabulary import Channel, MessageState

log = logging.getLogger("accord.delivery")

LOOKS: Final = (FIRST_LOOK, timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1))
"""How long after a message came into doubt its carrier is asked: one that took it may list it only later."""

CALL_SECONDS: Final = 10.0
BY_CARRIER: Final = "carrier"
BY_STAFF: Final = "staff"
BY_REPORT: Final = "report"
BY_JOURNAL: Final = "journal"
NOT_ARRIVED: Final = "not_arrived"


class NotInDoubt(DomainError):
    """It is known what became of the message, and what is known is never overwritten."""

    code = "not_in_doubt"
    sentence = "It is known already what became of this message."
    status = 409


def look_into_doubts(
    *,
    now: datetime,
    carriers: Mapping[Channel, Carrier],
    timeout: float = CALL_SECONDS,
    limit: int = 50,
    actor: Actor | None = None,
) -> int:
    """Ask the carriers that can tell whether they have what is in doubt; how many of the messages they have.

    The same words are made once more, to be compared. No transaction is open while a carrier is asked.
    """
    actor = actor or system_actor("reconciliation")
    able = {channel: carrier for channel, carrier in carriers.items() if carrier.can_find}
    batch, entry = _sought(able, now=now, limit=limit, actor=actor)
    if entry is None:
        return 0
    settled = 0
    for held in fill_again(batch, entry=entry):
        if held.outbound is None:
            continue
        answer = able[held.channel].find(held.outbound, timeout=timeout)
        if isinstance(answer, Found) and not _is_of_another(held, answer.reference):
            settled += _settle(
                held, left=True, how=BY_CARRIER, now=now, actor=actor,
                carrier=able[held.channel].name, reference=answer.reference,
            )  # fmt: skip
    if settled:
        log.info("%d messages in doubt were found at their carrier", settled)
    return settled


def settle_doubt(*, clinic_id: UUID, message_id: UUID, left: bool, actor: Actor, now: datetime) -> MessageState:
    """A person says what became of a message in doubt: the patient has it, or the carrier's own list has it not.

    It is not sent again. Raises NotInDoubt, NotFound.
    """
    message = Message.objects.in_clinic(clinic_id).filter(id=message_id).defer("sent_text").first()
    if message is None:
        raise NotFound
    (held,) = _held([message])
    if not _settle(held, left=left, how=BY_STAFF, now=now, actor=actor, carrier=message.carrier or "unknown"):
        raise NotInDoubt
    return MessageState.SENT if left else MessageState.FAILED


def settle_by_report(message: Message, *, carrier: str, reference: str, now: datetime, actor: Actor) -> bool:
    """The carrier reports about a message, so it has it: also where its answer had been that it did not take it.

    Such a message waits for another try, and must not get it. False where it was known meanwhile.
    """
    (held,) = _held([message])
    standing = (MessageState.IN_DOUBT, MessageState.PLANNED, MessageState.DEFERRED)
    return _settle(
        held, left=True, how=BY_REPORT, now=now, actor=actor, carrier=carrier, reference=reference, standing=standing
    )


def settle_by_journal(
    message: Message, *, carrier: str, reference: str | None, again: bool, now: datetime, actor: Actor
) -> bool:
    """Its worker wrote down how the call ended: the carrier took it, or (without a reference) it surely did not leave.

    What surely did not leave is due once more where another try may succeed (`again`). False where it was known
    meanwhile.
    """
    (held,) = _held([message])
    left = reference is not None
    return _settle(
        held,
        left=left,
        how=BY_JOURNAL,
        now=now,
        actor=actor,
        carrier=carrier,
        reference=reference or "",
        again=again and not left,
    )


def _sought(
    carriers: Mapping[Channel, Carrier], *, now: datetime, limit: int, actor: Actor
) -> tuple[list[Held], Entry | None]:
    """Take up what is to be asked for now, and say when next. The entry covers the data that is compared."""
    with transaction.atomic():
        messages = list(
            Message.objects.filter(state=MessageState.IN_DOUBT, ask_at__lte=now, channel__in=list(carriers))
            .defer("sent_text")
            .order_by("ask_at", "id")
            .select_for_update(skip_locked=True, of=("self",))[:limit]
        )
        if not messages:
            return [], None
        batch = _held(messages)
        drafts = [draft_about(held, Action.MESSAGE_SOUGHT, carrier=carriers[held.channel].name) for held in batch]
        with record_about_patients(drafts, by=actor, now=now) as entry:
            for message in messages:
                message.ask_at = _next_look(message, now)
            Message.objects.bulk_update(messages, ["ask_at"])
    return batch, entry


def _next_look(message: Message, now: datetime) -> datetime | None:
    since = message.settled_at or now
    return next((since + look for look in LOOKS if since + look > now), None)


def _held(messages: Sequence[Message]) -> list[Held]:
    purposes = purposes_by_id({message.purpose_id for message in messages})
    attempts = doubtful_attempts([message.id for message in messages])
    return [Held(one, attempts.get(one.id, one.id), purposes[one.purpose_id]) for one in messages]


def _is_of_another(held: Held, reference: str) -> bool:
    """The same words may have gone to the same number before: that one is another's."""
    others = Message.objects.filter(patient_id=held.message.patient_id, carrier_reference=reference)
    return others.exclude(id=held.message.id).exists()


def _settle(
    held: Held,
    *,
    left: bool,
    how: str,
    now: datetime,
    actor: Actor,
    carrier: str,
    reference: str = "",
    standing: Collection[MessageState] = (MessageState.IN_DOUBT,),
    again: bool = False,
) -> bool:
    """Store what became of it; False where that was known already."""
    message = held.message
    told = {"attempt": held.attempt_id, "left": "yes" if left else "no", "how": how}
    drafts = [draft_about(held, Action.MESSAGE_DOUBT_SETTLED, **told)]
    if left:
        # As for any message that left: whoever replays the log holds it against the consent that stood.
        drafts.append(
            draft_about(
                held,
                Action.MESSAGE_HANDED_OVER,
                attempt=held.attempt_id,
                carrier=carrier,
                consent_event=message.verdict.get("consent_event_id") or "none",
                template_version=message.template_version_id,
                rules=message.verdict.get("rules_version") or "unknown",
                **where(held),
            )
        )
    with transaction.atomic():
        row = Message.objects.filter(id=message.id).select_for_update().only("state", "claimed_at").first()
        if row is None or row.state not in standing:
            return False
        with record_about_patients(drafts, by=actor, now=now):
            changes = {"failure": "" if left else NOT_ARRIVED, "ask_at": None, "settled_at": now}
            if left:
                # It counts under the frequency cap from when it was taken up; one that was given back, from now on.
                changes |= {"carrier": carrier, "carrier_reference": reference, "claimed_at": row.claimed_at or now}
            state = MessageState.SENT if left else MessageState.FAILED
            if again:
                # The gate will be asked as for any other message.
                state = MessageState.PLANNED
                changes |= {"settled_at": None, "claimed_at": None, "due_at": now}
            Message.objects.filter(id=message.id).update(state=state, **changes)
            settle_doubts([message.id], AttemptOutcome.SENT if left else AttemptOutcome.FAILED)
    return True
