"""What killed workers held is taken up from their journals: only what was in the air is in doubt."""

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from backend.attempts.operations import AttemptOutcome, unsettled_of
from backend.audit.actors import Actor, system_actor
from backend.consent.queries import purposes_by_id
from backend.messaging.carriers.base import Carrier, InDoubt, Receipt, TemporaryFailure
from backend.messaging.doubts import settle_by_journal
from backend.messaging.held import Delivered, Ended, Held, NotBegun
from backend.messaging.journal import LeftBehind, journals_in, left_behind
from backend.messaging.models import Message
from backend.messaging.outcomes import settle
from backend.policy.contact import Verdict
from backend.policy.vocabulary import Channel

log = logging.getLogger("accord.delivery")

NOTHING_KNOWN: Final = object()


def recover_journals(
    folder: Path, *, now: datetime, carriers: Mapping[Channel, Carrier], actor: Actor | None = None
) -> Counter[str]:
    """Settle what workers of this machine held when they died; how many of what.

    Where the journal says how a call ended, that is what came of it. Where no call had begun, the message is due again.
    What was in the air is in doubt, at once and not only when its lease is over. An outcome that is known already is
    never overwritten.
    """
    actor = actor or system_actor("reconciliation")
    told: Counter[str] = Counter()
    for path in journals_in(folder):
        with left_behind(path) as left:
            if left is not None:
                told.update(_recover(left, now=now, carriers=carriers, actor=actor))
    if told:
        log.warning("Of what killed workers held: %s", ", ".join(f"{count} {what}" for what, count in told.items()))
    return told


def _recover(left: LeftBehind, *, now: datetime, carriers: Mapping[Channel, Carrier], actor: Actor) -> Counter[str]:
    unsettled = unsettled_of(left.owner)
    rows = Message.objects.filter(id__in=[message_id for message_id, _ in unsettled.values()]).defer("sent_text")
    messages = {row.id: row for row in rows}
    purposes = purposes_by_id({row.purpose_id for row in messages.values()})
    told: Counter[str] = Counter()
    ended: list[tuple[Held, Ended]] = []
    for attempt_id, (message_id, outcome) in unsettled.items():
        message = messages[message_id]
        known = _known(left, attempt_id)
        if known is NOTHING_KNOWN:
            continue
        if outcome is AttemptOutcome.IN_DOUBT:
            told["known after all"] += _settle_doubt(message, known, carriers=carriers, now=now, actor=actor)
            continue
        verdict = left.verdicts.get(attempt_id)
        held = Held(
            message,
            attempt_id,
            purposes[message.purpose_id],
            verdict=Verdict.from_record(verdict) if verdict and "decided" in verdict else None,
        )
        ended.append((held, known))  # type: ignore[arg-type]  # What is not known was left out above.
        told[_name(known)] += 1
    settle(ended, carriers=carriers, now=now, actor=actor, done=Delivered())
    return told


def _known(left: LeftBehind, attempt_id: UUID) -> object:
    """How it ended, by the journal: an outcome, NotBegun, or NOTHING_KNOWN."""
    if attempt_id in left.outcomes:
        return left.outcomes[attempt_id]
    if not left.is_whole:
        return NOTHING_KNOWN
    return InDoubt() if attempt_id in left.begun else NotBegun()


def _settle_doubt(
    message: Message, known: object, *, carriers: Mapping[Channel, Carrier], now: datetime, actor: Actor
) -> int:
    """Its lease ran out before anybody read the journal."""
    if isinstance(known, InDoubt):
        return 0
    channel = Channel(message.channel)
    carrier = carriers[channel].name if channel in carriers else "unknown"
    reference = known.reference if isinstance(known, Receipt) else None
    again = isinstance(known, NotBegun | TemporaryFailure)
    return settle_by_journal(message, carrier=carrier, reference=reference, again=again, now=now, actor=actor)


def _name(known: object) -> str:
    if isinstance(known, NotBegun):
        return "not begun"
    return "in doubt" if isinstance(known, InDoubt) else "answered"
