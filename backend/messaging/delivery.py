"""Claim, commit, gate, render, send, record: the only way a message leaves.

The claim commits before the gate reads, so either the gate sees a withdrawal, or the withdrawal sees the attempt and
waits for it. No transaction is open while a carrier is called. docs/explanation/architecture.md tells why.
"""

import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F

from backend.attempts.deadman import deadman
from backend.attempts.operations import (
    MARGIN_SECONDS,
    AttemptOutcome,
    NewAttempt,
    close_attempts,
    open_attempts,
    patients_in_hand,
)
from backend.audit.actions import Action
from backend.audit.actors import Actor, system_actor
from backend.audit.recording import Draft, Entry
from backend.consent.operations import judge_ages_anew
from backend.consent.queries import purposes_by_id
from backend.messaging.carriers.base import (
    Carrier,
    FailureCode,
    InDoubt,
    Outcome,
    PermanentFailure,
)
from backend.messaging.digests import companions_of
from backend.messaging.filling import fill
from backend.messaging.gate import candidate_of, decide_all
from backend.messaging.held import (
    BY_HAND,
    SETTLING_SECONDS,
    Delivered,
    Held,
    Pace,
    Unprepared,
    draft_about,
    one_by_one_if_need_be,
    said,
    verdict_record,
    where,
)
from backend.messaging.journal import Journal, journal_of
from backend.messaging.models import Message
from backend.messaging.outcomes import settle
from backend.patients.entries import record_about_patients
from backend.patients.queries import (
    lock_patients,
)
from backend.policy.contact import Verdict
from backend.policy.vocabulary import Channel, Decided, MessageState, Reason
from backend.vault.identifiers import new_id

log = logging.getLogger("accord.delivery")

FLUSH_SECONDS: Final = 0.05


def deliver_due_messages(
    *,
    now: datetime,
    carriers: Mapping[Channel, Carrier],
    pace: Pace | None = None,
    at_most: int | None = None,
    actor: Actor | None = None,
    journals: Path | None = None,
) -> Delivered:
    """Hand over every message that is due, batch by batch, until none is left or `at_most` were taken up.

    In `journals`, a folder on this machine, is written down what was in the air, should this process be killed.
    """
    pace, actor = pace or Pace(), actor or system_actor("delivery")
    done = Delivered()
    taken = 0
    while at_most is None or taken < at_most:
        limit = pace.batch if at_most is None else min(pace.batch, at_most - taken)
        with deadman(pace.lease - MARGIN_SECONDS):
            owner = uuid4()
            with journal_of(owner, journals) as journal:
                held = _deliver_batch(_Worker(owner, journal, carriers, pace, actor), now=now, limit=limit, done=done)
        if not held:
            break
        taken += held
        done.batches += 1
    return done


@dataclass(frozen=True, slots=True)
class _Worker:
    """Who delivers one batch, with what."""

    owner: UUID
    journal: Journal | None
    carriers: Mapping[Channel, Carrier]
    pace: Pace
    actor: Actor


def _deliver_batch(worker: _Worker, *, now: datetime, limit: int, done: Delivered) -> int:
    pace, actor = worker.pace, worker.actor
    # Read before the claim is sent: our own deadline is then always earlier than the lease in the database.
    deadline = time.monotonic() + pace.lease - MARGIN_SECONDS
    lease = timedelta(seconds=pace.lease)
    batch, entry = claim(now=now, limit=limit, lease=lease, actor=actor, owner=worker.owner)
    if not batch or entry is None:
        return 0
    allowed = gate(batch, now=now, actor=actor, done=done)
    ready = fill(allowed, entry=entry, now=now, actor=actor, done=done)
    hand_over(
        ready,
        carriers=worker.carriers,
        pace=pace,
        deadline=deadline,
        now=now,
        actor=actor,
        done=done,
        journal=worker.journal,
    )
    return len(batch)


# ------------------------------------------------------------------------------------------------------- 1 claim


def claim(
    *, now: datetime, limit: int, lease: timedelta, actor: Actor, owner: UUID | None = None
) -> tuple[list[Held], Entry | None]:
    """Take up due messages, with an attempt each, and commit. The entry covers the data that the batch reveals."""
    with transaction.atomic():
        messages = _due_messages(now=now, limit=limit)
        if not messages:
            return [], None
        purposes = purposes_by_id({message.purpose_id for message in messages})
        batch = [Held(message, new_id(), purposes[message.purpose_id]) for message in messages]
        with record_about_patients([_claim_draft(held) for held in batch], by=actor, now=now) as entry:
            Message.objects.filter(id__in=[message.id for message in messages]).update(
                state=MessageState.HANDING_OVER, claimed_at=now, tries=F("tries") + 1
            )
            open_attempts([_attempt(held) for held in batch], owner=owner or uuid4(), lease=lease, now=now)
    for message in messages:
        message.state, message.claimed_at, message.tries = MessageState.HANDING_OVER, now, message.tries + 1
    return batch, entry


def _due_messages(*, now: datetime, limit: int) -> list[Message]:
    """What is due and nobody else has taken up; a patient's messages go through one worker at a time.

    That is what reserves the places under a frequency cap: two workers never count for the same patient at once.
    """
    messages = list(
        Message.objects.filter(state__in=[MessageState.PLANNED, MessageState.DEFERRED], due_at__lte=now)
        .exclude(channel__in=BY_HAND)
        .exclude(patient_id__in=patients_in_hand())
        .defer("sent_text")
        .order_by("due_at", "id")
        .select_for_update(skip_locked=True, of=("self",))[:limit]
    )
    ours = lock_patients({message.patient_id for message in messages})
    # Asked again behind the lock: another claim may have been committed between the two statements.
    ours -= frozenset(patients_in_hand(ours))
    messages += companions_of(messages, ours, now=now)
    return [message for message in messages if message.patient_id in ours]


def _claim_draft(held: Held) -> Draft:
    return draft_about(held, Action.MESSAGE_CLAIMED, attempt=held.attempt_id, **where(held))


def _attempt(held: Held) -> NewAttempt:
    return NewAttempt(
        id=held.attempt_id,
        message_id=held.message.id,
        clinic_id=held.message.clinic_id,
        patient_id=held.message.patient_id,
        purpose=held.purpose.slug,
        channel=held.channel,
    )


# -------------------------------------------------------------------------------------------------------- 2 gate


def gate(batch: Sequence[Held], *, now: datetime, actor: Actor, done: Delivered) -> list[Held]:
    """Ask again, with fresh facts. What is not allowed is settled at once, so that no withdrawal waits for it."""
    judge_ages_anew(actor=actor, now=now, patient_ids={held.message.patient_id for held in batch})
    decided = _decided(batch, now=now)
    settle(
        [(held, Unprepared()) for held in batch if held.attempt_id not in decided],
        carriers={},
        now=now,
        actor=actor,
        done=done,
    )
    refused: list[Held] = []
    allowed: list[Held] = []
    for held in batch:
        held.verdict = decided.get(held.attempt_id)
        if held.verdict is not None:
            (allowed if held.verdict.decided is Decided.ALLOW else refused).append(held)
    if refused:
        with record_about_patients([_refusal_draft(held) for held in refused], by=actor, now=now):
            ours = close_attempts(((held.attempt_id, _refusal_outcome(held)) for held in refused), now=now)
            for held in refused:
                if held.attempt_id in ours:
                    _settle_refused(held, now=now, done=done)
    return allowed


def _decided(batch: Sequence[Held], *, now: datetime) -> dict[UUID, Verdict]:
    """The verdict on each attempt; on a message whose facts can not be read there is none, and it is not sent."""
    rows = Message.objects.filter(id__in=[held.message.id for held in batch])
    # Read now, like all other facts: the programme may have been paused since the claim.
    states = dict(rows.values_list("id", "programme__state"))
    return one_by_one_if_need_be(
        batch,
        lambda several: {
            held.attempt_id: verdict
            for held, verdict in zip(
                several,
                decide_all(
                    [candidate_of(held.message, programme_state=states[held.message.id]) for held in several], now=now
                ),
                strict=True,
            )
        },
    )


def _refusal_outcome(held: Held) -> AttemptOutcome:
    deferred = held.verdict is not None and held.verdict.decided is Decided.DEFER
    return AttemptOutcome.DEFERRED if deferred else AttemptOutcome.WITHHELD


def _refusal_draft(held: Held) -> Draft:
    verdict = said(held)
    if verdict.reasons == (Reason.TOO_LATE,):
        return draft_about(held, Action.MESSAGE_EXPIRED)
    reasons: dict[str, object] = {
        "reasons": [reason.value for reason in verdict.reasons],
        "rules": verdict.rules_version,
        **where(held),
    }
    if verdict.decided is Decided.DEFER:
        return draft_about(held, Action.MESSAGE_DEFERRED, **reasons)
    event = str(verdict.standing_event_id or "none")
    return draft_about(held, Action.MESSAGE_WITHHELD, consent_event=event, **reasons)


def _settle_refused(held: Held, *, now: datetime, done: Delivered) -> None:
    verdict = said(held)
    changes: dict[str, Any] = {"verdict": verdict_record(held), "claimed_at": None}
    if verdict.decided is Decided.DEFER:
        state = MessageState.DEFERRED
        changes["due_at"] = verdict.until or held.message.due_at
        changes["tries"] = held.message.tries - 1
    else:
        state = MessageState.EXPIRED if verdict.reasons == (Reason.TOO_LATE,) else MessageState.WITHHELD
        changes["settled_at"] = now
    Message.objects.filter(id=held.message.id, state=MessageState.HANDING_OVER).update(state=state, **changes)
    done.counts[state] += 1


# -------------------------------------------------------------------------------------------------------- 4 send


def hand_over(
    ready: Sequence[Held],
    *,
    carriers: Mapping[Channel, Carrier],
    pace: Pace,
    deadline: float,
    now: datetime,
    actor: Actor,
    done: Delivered,
    journal: Journal | None = None,
) -> None:
    """Call the carriers in parallel, no transaction open; settle what has ended at least every 50 ms."""
    if not ready:
        return
    calls = _Calls(
        ready, carriers=carriers, timeout=pace.call, deadline=deadline, at_once=pace.parallel, journal=journal
    )

    def settle_ended() -> None:
        # Whatever ended meanwhile goes along: one transaction for several outcomes.
        settle(calls.ended(), carriers=carriers, now=now, actor=actor, done=done)

    try:
        calls.begin()
        while not calls.wait(FLUSH_SECONDS):
            settle_ended()
    except BaseException:
        # Told to stop, or a transaction failed: begin no further call, but answer for those that have begun.
        calls.stop()
        settle_ended()
        raise
    settle_ended()


class _Calls:
    """The calls of one batch: so many at once, and what came of those that have ended."""

    def __init__(
        self,
        ready: Sequence[Held],
        *,
        carriers: Mapping[Channel, Carrier],
        timeout: float,
        deadline: float,
        at_once: int,
        journal: Journal | None,
    ) -> None:
        self._waiting, self._ended = deque(ready), deque[tuple[Held, Outcome | None]]()
        self._carriers, self._timeout, self._deadline = carriers, timeout, deadline
        self._journal = journal
        count = min(at_once, len(ready))
        self._threads = [Thread(target=self._work, name=f"carrier-{n}", daemon=True) for n in range(count)]
        # One more, for whoever starts them: all is done only once all were started, or one could not be.
        self._working, self._lock, self._all_done = 1, Lock(), Event()

    def begin(self) -> None:
        """Begin to call. Raises RuntimeError where the system gives no more threads; those it gave go on."""
        try:
            for thread in self._threads:
                with self._lock:
                    self._working += 1
                try:
                    thread.start()
                except BaseException:
                    self._end_one()
                    raise
        finally:
            self._end_one()

    def wait(self, seconds: float) -> bool:
        """Wait for the last call, but no longer than this; whether it has ended."""
        return self._all_done.wait(seconds)

    def stop(self) -> None:
        """Begin no further call, and wait for those that have begun. What was not begun is released."""
        with suppress(IndexError):
            while True:
                self._ended.append((self._waiting.popleft(), None))
        self._all_done.wait()

    def ended(self) -> list[tuple[Held, Outcome | None]]:
        """What has ended since this was asked for last."""
        found: list[tuple[Held, Outcome | None]] = []
        with suppress(IndexError):
            while True:
                found.append(self._ended.popleft())
        return found

    def _work(self) -> None:
        try:
            with suppress(IndexError):
                while True:
                    held = self._waiting.popleft()
                    self._ended.append((held, self._outcome(held)))
        finally:
            self._end_one()

    def _end_one(self) -> None:
        with self._lock:
            self._working -= 1
            if not self._working:
                self._all_done.set()

    def _outcome(self, held: Held) -> Outcome | None:
        """How a call ended. One that broke off may have sent something."""
        try:
            return _call(held, self._carriers.get(held.channel), self._timeout, self._deadline, self._journal)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the call had begun
            log.error("a carrier broke off: %s", type(error).__name__)  # noqa: TRY400 - a traceback may hold personal data
            return InDoubt()


def _call(
    held: Held, carrier: Carrier | None, timeout: float, deadline: float, journal: Journal | None
) -> Outcome | None:
    """One call; None where the lease has too little left for it, and the message is released untouched."""
    if carrier is None or held.outbound is None:
        return PermanentFailure(FailureCode.NOT_CONFIGURED)
    if deadline - time.monotonic() < timeout + SETTLING_SECONDS:
        return None
    if journal is None:
        return carrier.send(held.outbound, timeout=timeout)
    journal.begun(held)
    outcome = carrier.send(held.outbound, timeout=timeout)
    journal.ended(held, outcome)
    return outcome
