"""Step 5, record: what came of each call is judged and stored, with its entry; and what nobody answered for."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from backend.attempts.operations import (
    AttemptOutcome,
    close_attempts,
    expired_attempts,
)
from backend.audit.actions import Action
from backend.audit.actors import Actor, system_actor
from backend.audit.driver import update_rows
from backend.audit.recording import Draft
from backend.messaging.carriers.base import (
    Carrier,
    FailureCode,
    InDoubt,
    PermanentFailure,
    Receipt,
    TemporaryFailure,
)
from backend.messaging.held import (
    DATABASE_GONE,
    Delivered,
    Ended,
    Held,
    NotBegun,
    Unprepared,
    draft_about,
    said,
    verdict_record,
    where,
)
from backend.messaging.kept_reports import keep_opt_outs
from backend.messaging.models import Message
from backend.messaging.operations.checks import CHECK_STEP
from backend.messaging.operations.confirming import CONFIRM_STEP
from backend.patients.entries import record_about_patients
from backend.patients.operations.contact_points import BOUNCED, note_bounced
from backend.policy.vocabulary import Channel, MessageState

log = logging.getLogger("accord.delivery")

MOST_TRIES: Final = 5
FIRST_RETRY: Final = timedelta(minutes=1)
LONGEST_RETRY: Final = timedelta(days=1)
FIRST_LOOK: Final = timedelta(seconds=30)
RELEASE_DELAY: Final = timedelta(seconds=5)
LONGEST_REFERENCE: Final = 200
LEASE_TOO_SHORT: Final = "lease_too_short"
LEASE_RAN_OUT: Final = "lease_ran_out"
NOT_PREPARED: Final = "not_prepared"
WORKER_ENDED: Final = "worker_ended"


def settle(
    outcomes: Iterable[tuple[Held, Ended]],
    *,
    carriers: Mapping[Channel, Carrier],
    now: datetime,
    actor: Actor,
    done: Delivered,
) -> None:
    """Store what came of each call, and its entry. An attempt that was taken away meanwhile is not overwritten.

    What can not be stored with the others is stored alone, and then without its words: that it was sent matters most.
    """
    judged = [
        replace(_judge(each, outcome, carriers), sent_with=None if each is held else held.message.id)
        for held, outcome in outcomes
        for each in (held, *held.together)
    ]
    if not judged:
        return
    try:
        _store_all(judged, now=now, actor=actor, done=done)
    except DATABASE_GONE:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to one message
        log.error("%d outcomes are stored one by one: %s", len(judged), type(error).__name__)  # noqa: TRY400 - a traceback may hold personal data
        for one in judged:
            _store_alone(one, now=now, actor=actor, done=done)
    _note_bounces([one.held for one in judged if _is_no_more(one)], now=now, actor=actor)
    _note_opt_outs([one for one in judged if one.failure == FailureCode.RECIPIENT_OPTED_OUT], now=now, actor=actor)


def _is_no_more(one: "_Judged") -> bool:
    """Is the address of no use any more? A device that FCM can not read never will be; a number may be put right."""
    unreadable = one.failure == FailureCode.ADDRESS_REFUSED and one.held.channel is Channel.PUSH
    return unreadable or one.failure == FailureCode.ADDRESS_GONE


def _note_bounces(gone: Sequence[Held], *, now: datetime, actor: Actor) -> None:
    """An address that is no more has to be checked anew before anything goes there again."""
    for held in gone:
        if held.message.contact_point_id is None:
            continue
        try:
            note_bounced(
                clinic_id=held.message.clinic_id,
                patient_id=held.message.patient_id,
                contact_point_id=held.message.contact_point_id,
                reason=BOUNCED,
                now=now,
                actor=actor,
            )
        except DATABASE_GONE:
            raise
        except Exception as error:  # noqa: BLE001 - what became of the message is stored; the next one bounces again
            log.error("a bounce was not noted: %s", type(error).__name__)  # noqa: TRY400 - a traceback may hold personal data


def _note_opt_outs(refused: Sequence["_Judged"], *, now: datetime, actor: Actor) -> None:
    """Whoever said STOP to the carrier said it to us: put down here, and acted upon once this batch is closed."""
    for one in refused:
        try:
            keep_opt_outs([one.held.message], carrier=one.carrier, now=now, actor=actor)
        except DATABASE_GONE:
            raise
        except Exception as error:  # noqa: BLE001 - what became of the message is stored; the next one is refused again
            log.error("an opt-out was not noted: %s", type(error).__name__)  # noqa: TRY400 - a traceback may hold personal data


def _store_all(judged: Sequence["_Judged"], *, now: datetime, actor: Actor, done: Delivered) -> None:
    with record_about_patients([one.draft for one in judged], by=actor, now=now, writes_sealed=True):
        ours = close_attempts(((one.held.attempt_id, one.attempt) for one in judged), now=now)
        stored = [one for one in judged if one.held.attempt_id in ours]
        _store(stored, now=now)
    done.counts.update(one.state for one in stored)


def _store_alone(one: "_Judged", *, now: datetime, actor: Actor, done: Delivered) -> None:
    for form in (one, replace(one, sent_text=None, reference="")):
        try:
            _store_all([form], now=now, actor=actor, done=done)
        except DATABASE_GONE:
            raise
        except Exception as error:  # noqa: BLE001 - the attempt stays open, and is in doubt once its lease is over
            log.error("the outcome of attempt %s was not stored: %s", one.held.attempt_id, type(error).__name__)  # noqa: TRY400 - as above
        else:
            return


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    held: Held
    state: MessageState
    attempt: AttemptOutcome
    draft: Draft
    reference: str = ""
    failure: str = ""
    retry_after: timedelta | None = None
    carrier: str = ""
    sent_text: dict[str, str] | None = None
    counts_as_try: bool = True
    sent_with: UUID | None = None


def _judge(held: Held, outcome: Ended, carriers: Mapping[Channel, Carrier]) -> _Judged:
    carrier = carriers[held.channel].name if held.channel in carriers else "none"
    match outcome:
        case Receipt(reference):
            return _judged_sent(held, carrier, reference)
        case InDoubt():
            draft = draft_about(held, Action.MESSAGE_IN_DOUBT, attempt=held.attempt_id, reason="no_answer")
            return _Judged(
                held=held,
                state=MessageState.IN_DOUBT,
                attempt=AttemptOutcome.IN_DOUBT,
                draft=draft,
                carrier=carrier,
                failure="no_answer",
                sent_text=_text_of(held),
            )
        case PermanentFailure(code):
            return _judged_failed(held, carrier, code, retry_after=None)
        case TemporaryFailure(code, retry_after):
            return _judged_failed(held, carrier, code, retry_after=_delay(held, retry_after))
        case Unprepared():
            return _judged_failed(held, carrier, NOT_PREPARED, retry_after=_delay(held, None))
        case _:
            why = WORKER_ENDED if isinstance(outcome, NotBegun) else LEASE_TOO_SHORT
            draft = _failure_draft(held, carrier, why, final=False)
            return _Judged(
                held=held,
                state=MessageState.PLANNED,
                attempt=AttemptOutcome.RELEASED,
                draft=draft,
                retry_after=RELEASE_DELAY,
                counts_as_try=False,
            )


def _delay(held: Held, asked: float | None) -> timedelta:
    """Twice as long each time, or as long as the carrier asks, within reason."""
    own = FIRST_RETRY * (1 << max(held.message.tries - 1, 0))
    theirs = timedelta(seconds=min(max(asked or 0.0, 0.0), LONGEST_RETRY.total_seconds()))
    return min(max(own, theirs), LONGEST_RETRY)


def _text_of(held: Held) -> dict[str, str] | None:
    """What is kept of the words, for the patient to read again. A one-time code is not kept."""
    if held.rendered is None or held.message.step in {CHECK_STEP, CONFIRM_STEP}:
        return None
    words = held.rendered
    return {"subject": words.subject, "text": words.text, "full_text": words.full_text}


def _judged_sent(held: Held, carrier: str, reference: str) -> _Judged:
    verdict = said(held)
    draft = draft_about(
        held,
        Action.MESSAGE_HANDED_OVER,
        attempt=held.attempt_id,
        carrier=carrier,
        consent_event=str(verdict.consent_event_id or "none"),
        template_version=held.message.template_version_id,
        rules=verdict.rules_version,
        **where(held),
    )
    return _Judged(
        held=held,
        state=MessageState.SENT,
        attempt=AttemptOutcome.SENT,
        draft=draft,
        carrier=carrier,
        reference="".join(filter(str.isprintable, reference))[:LONGEST_REFERENCE],
        sent_text=_text_of(held),
    )


def _judged_failed(held: Held, carrier: str, code: str, *, retry_after: timedelta | None) -> _Judged:
    again = retry_after is not None and held.message.tries < MOST_TRIES
    return _Judged(
        held=held,
        state=MessageState.PLANNED if again else MessageState.FAILED,
        attempt=AttemptOutcome.FAILED,
        draft=_failure_draft(held, carrier, str(code), final=not again),
        carrier=carrier,
        failure=str(code),
        retry_after=retry_after if again else None,
    )


def _failure_draft(held: Held, carrier: str, code: str, *, final: bool) -> Draft:
    return draft_about(
        held,
        Action.MESSAGE_FAILED,
        attempt=held.attempt_id,
        carrier=carrier,
        code=code,
        final="yes" if final else "no",
    )


def _store(stored: Sequence[_Judged], *, now: datetime) -> None:
    """Write what became of each message. What was settled meanwhile stays as it is."""
    ended = [one for one in stored if one.state is not MessageState.PLANNED]
    again = [one for one in stored if one.state is MessageState.PLANNED]
    update_rows(
        connection,
        Message,
        columns=[*_TOLD, "settled_at", "ask_at", "sent_with", "sent_text"],
        rows=(
            (
                *_told(one),
                now,
                now + FIRST_LOOK if one.state is MessageState.IN_DOUBT else None,
                _sent_with(one),
                None if one.sent_text is None else _SENT_TEXT.seal(one.held.message, one.sent_text),
            )
            for one in ended
        ),
        only_if=_IN_HAND,
    )
    update_rows(
        connection,
        Message,
        columns=[*_TOLD, "due_at", "claimed_at"],
        rows=((*_told(one), now + (one.retry_after or RELEASE_DELAY), None) for one in again),
        only_if=_IN_HAND,
    )


_TOLD: Final = ("state", "verdict", "carrier", "carrier_reference", "failure", "tries")
_SENT_TEXT: Final[Any] = Message._meta.get_field("sent_text")  # noqa: SLF001 - Django's public-by-convention name
_IN_HAND: Final = f"t.state = '{MessageState.HANDING_OVER.value}'"


def _told(one: _Judged) -> tuple[object, ...]:
    row = one.held.message
    tries = row.tries if one.counts_as_try else max(row.tries, 1) - 1
    return (row.id, one.state, verdict_record(one.held), one.carrier, one.reference, one.failure, tries)


def _sent_with(one: _Judged) -> UUID | None:
    """The message with which this one left, or may have, where several went as one."""
    left = one.sent_with is not None and one.state in {MessageState.SENT, MessageState.IN_DOUBT}
    before: UUID | None = one.held.message.sent_with
    return one.sent_with if left else before


def reconcile_attempts(*, now: datetime, actor: Actor | None = None, limit: int = 500) -> int:
    """Put in doubt what was taken up and never answered for: its worker died or lost its lease. How many."""
    actor = actor or system_actor("reconciliation")
    with transaction.atomic():
        # Behind the lock: whoever answers at this very moment is not contradicted by an entry.
        expired = expired_attempts(limit=limit)
        if not expired:
            return 0
        rows = Message.objects.filter(id__in=[message_id for _, message_id in expired])
        whose = {one: (clinic, patient) for one, clinic, patient in rows.values_list("id", "clinic_id", "patient_id")}
        drafts = [
            Draft(
                action=Action.MESSAGE_IN_DOUBT,
                clinic_id=whose[message_id][0],
                about=(whose[message_id][1],),
                details={"message": message_id, "attempt": attempt_id, "reason": LEASE_RAN_OUT},
            )
            for attempt_id, message_id in expired
        ]
        with record_about_patients(drafts, by=actor, now=now):
            closed = close_attempts(((attempt_id, AttemptOutcome.IN_DOUBT) for attempt_id, _ in expired), now=now)
            doubtful = [message_id for attempt_id, message_id in expired if attempt_id in closed]
            Message.objects.filter(id__in=doubtful, state=MessageState.HANDING_OVER).update(
                state=MessageState.IN_DOUBT, failure=LEASE_RAN_OUT, settled_at=now, ask_at=now + FIRST_LOOK
            )
    log.warning("%d messages are in doubt: their worker did not answer for them", len(closed))
    return len(closed)
