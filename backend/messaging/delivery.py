"""Claim, commit, gate, render, send, record: the only way a message leaves.

The claim commits before the gate reads, so either the gate sees a withdrawal, or the withdrawal sees the attempt and
waits for it. No transaction is open while a carrier is called. docs/explanation/architecture.md tells why.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID, uuid4

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F

from backend.attempts.deadman import deadman
from backend.attempts.operations import (
    MARGIN_SECONDS,
    AttemptOutcome,
    NewAttempt,
    close_attempts,
    expired_attempts,
    open_attempts,
    patients_in_hand,
)
from backend.audit.actions import Action
from backend.audit.actors import Actor, system_actor
from backend.audit.recording import Draft, Entry
from backend.clinics.queries import ClinicFacts, get_clinic
from backend.consent.queries import PurposeRow, purposes_by_id
from backend.messaging.carriers.base import (
    Carrier,
    FailureCode,
    InDoubt,
    OutboundMessage,
    Outcome,
    PermanentFailure,
    Receipt,
    TemporaryFailure,
)
from backend.messaging.gate import candidate_of, decide_all
from backend.messaging.models import Message
from backend.messaging.operations.checks import CHECK_STEP
from backend.messaging.operations.planning import SENDING
from backend.messaging.queries import words_of
from backend.messaging.rendering import Rendered, TemplateRefused, Words, render
from backend.messaging.values import template_values
from backend.patients.entries import record_about_patients
from backend.patients.queries import (
    ContactPointRow,
    OccasionWords,
    PatientProfile,
    contact_points_by_id,
    lock_patients,
    reveal_codes,
    reveal_contact_values,
    reveal_occasions,
    reveal_profiles,
)
from backend.policy.contact import Verdict
from backend.policy.vocabulary import Channel, Decided, Language, MessageState, Reason, Tone
from backend.preferences.queries import PreferenceRow, preferences_of
from backend.vault.identifiers import new_id

log = logging.getLogger("accord.delivery")

FLUSH_SECONDS: Final = 0.05
SETTLING_SECONDS: Final = 0.5
MOST_TRIES: Final = 5
FIRST_RETRY: Final = timedelta(minutes=1)
LONGEST_RETRY: Final = timedelta(days=1)
RELEASE_DELAY: Final = timedelta(seconds=5)
LONGEST_REFERENCE: Final = 200
LEASE_TOO_SHORT: Final = "lease_too_short"
LEASE_RAN_OUT: Final = "lease_ran_out"
NOT_PREPARED: Final = "not_prepared"
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
class _Unprepared:
    """The message could not be made ready, and nothing was handed over; a later try may succeed."""


_Ended = Outcome | _Unprepared | None


@dataclass(slots=True)
class _Held:
    """One claimed message on its way through."""

    message: Message
    attempt_id: UUID
    purpose: PurposeRow
    verdict: Verdict | None = None
    rendered: Rendered | None = None
    outbound: OutboundMessage | None = None

    @property
    def channel(self) -> Channel:
        return Channel(self.message.channel)


def deliver_due_messages(
    *,
    now: datetime,
    carriers: Mapping[Channel, Carrier],
    pace: Pace | None = None,
    at_most: int | None = None,
    actor: Actor | None = None,
) -> Delivered:
    """Hand over every message that is due, batch by batch, until none is left or `at_most` were taken up."""
    pace, actor = pace or Pace(), actor or system_actor("delivery")
    done = Delivered()
    taken = 0
    while at_most is None or taken < at_most:
        limit = pace.batch if at_most is None else min(pace.batch, at_most - taken)
        with deadman(pace.lease - MARGIN_SECONDS):
            held = _deliver_batch(now=now, carriers=carriers, pace=pace, limit=limit, actor=actor, done=done)
        if not held:
            break
        taken += held
        done.batches += 1
    return done


def _deliver_batch(
    *, now: datetime, carriers: Mapping[Channel, Carrier], pace: Pace, limit: int, actor: Actor, done: Delivered
) -> int:
    # Read before the claim is sent: our own deadline is then always earlier than the lease in the database.
    deadline = time.monotonic() + pace.lease - MARGIN_SECONDS
    batch, entry = claim(now=now, limit=limit, lease=timedelta(seconds=pace.lease), actor=actor)
    if not batch or entry is None:
        return 0
    allowed = gate(batch, now=now, actor=actor, done=done)
    ready = fill(allowed, entry=entry, now=now, actor=actor, done=done)
    hand_over(ready, carriers=carriers, pace=pace, deadline=deadline, now=now, actor=actor, done=done)
    return len(batch)


# ------------------------------------------------------------------------------------------------------- 1 claim


def claim(*, now: datetime, limit: int, lease: timedelta, actor: Actor) -> tuple[list[_Held], Entry | None]:
    """Take up due messages, with an attempt each, and commit. The entry covers the data that the batch reveals."""
    with transaction.atomic():
        messages = _due_messages(now=now, limit=limit)
        if not messages:
            return [], None
        purposes = purposes_by_id({message.purpose_id for message in messages})
        batch = [_Held(message, new_id(), purposes[message.purpose_id]) for message in messages]
        with record_about_patients([_claim_draft(held) for held in batch], by=actor, now=now) as entry:
            Message.objects.filter(id__in=[message.id for message in messages]).update(
                state=MessageState.HANDING_OVER, claimed_at=now, tries=F("tries") + 1
            )
            open_attempts([_attempt(held) for held in batch], owner=uuid4(), lease=lease, now=now)
    for message in messages:
        message.state, message.claimed_at, message.tries = MessageState.HANDING_OVER, now, message.tries + 1
    return batch, entry


def _due_messages(*, now: datetime, limit: int) -> list[Message]:
    """What is due and nobody else has taken up; a patient's messages go through one worker at a time.

    That is what reserves the places under a frequency cap: two workers never count for the same patient at once.
    """
    messages = list(
        Message.objects.filter(state__in=[MessageState.PLANNED, MessageState.DEFERRED], due_at__lte=now)
        .exclude(patient_id__in=patients_in_hand())
        .defer("sent_text")
        .order_by("due_at", "id")
        .select_for_update(skip_locked=True, of=("self",))[:limit]
    )
    ours = lock_patients({message.patient_id for message in messages})
    # Asked again behind the lock: another claim may have been committed between the two statements.
    ours -= frozenset(patients_in_hand(ours))
    return [message for message in messages if message.patient_id in ours]


def _claim_draft(held: _Held) -> Draft:
    return _draft(held, Action.MESSAGE_CLAIMED, attempt=held.attempt_id, **_where(held))


def _attempt(held: _Held) -> NewAttempt:
    return NewAttempt(
        id=held.attempt_id,
        message_id=held.message.id,
        clinic_id=held.message.clinic_id,
        patient_id=held.message.patient_id,
        purpose=held.purpose.slug,
        channel=held.channel,
    )


# -------------------------------------------------------------------------------------------------------- 2 gate


def gate(batch: Sequence[_Held], *, now: datetime, actor: Actor, done: Delivered) -> list[_Held]:
    """Ask again, with fresh facts. What is not allowed is settled at once, so that no withdrawal waits for it."""
    decided = _decided(batch, now=now)
    settle(
        [(held, _Unprepared()) for held in batch if held.attempt_id not in decided],
        carriers={},
        now=now,
        actor=actor,
        done=done,
    )
    refused: list[_Held] = []
    allowed: list[_Held] = []
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


def _decided(batch: Sequence[_Held], *, now: datetime) -> dict[UUID, Verdict]:
    """The verdict on each attempt; on a message whose facts can not be read there is none, and it is not sent."""
    rows = Message.objects.filter(id__in=[held.message.id for held in batch])
    # Read now, like all other facts: the programme may have been paused since the claim.
    states = dict(rows.values_list("id", "programme__state"))
    return _one_by_one_if_need_be(
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


Made = TypeVar("Made")


def _one_by_one_if_need_be(
    batch: Sequence[_Held], make: Callable[[Sequence[_Held]], dict[UUID, Made]]
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
        made.update(_one_by_one_if_need_be([held], make))
    return made


def _refusal_outcome(held: _Held) -> AttemptOutcome:
    deferred = held.verdict is not None and held.verdict.decided is Decided.DEFER
    return AttemptOutcome.DEFERRED if deferred else AttemptOutcome.WITHHELD


def _refusal_draft(held: _Held) -> Draft:
    verdict = _said(held)
    if verdict.reasons == (Reason.TOO_LATE,):
        return _draft(held, Action.MESSAGE_EXPIRED)
    action = Action.MESSAGE_DEFERRED if verdict.decided is Decided.DEFER else Action.MESSAGE_WITHHELD
    reasons = [reason.value for reason in verdict.reasons]
    return _draft(held, action, reasons=reasons, rules=verdict.rules_version, **_where(held))


def _settle_refused(held: _Held, *, now: datetime, done: Delivered) -> None:
    verdict = _said(held)
    changes: dict[str, Any] = {"verdict": _verdict_record(held), "claimed_at": None}
    if verdict.decided is Decided.DEFER:
        state = MessageState.DEFERRED
        changes["due_at"] = verdict.until or held.message.due_at
        changes["tries"] = held.message.tries - 1
    else:
        state = MessageState.EXPIRED if verdict.reasons == (Reason.TOO_LATE,) else MessageState.WITHHELD
        changes["settled_at"] = now
    Message.objects.filter(id=held.message.id, state=MessageState.HANDING_OVER).update(state=state, **changes)
    done.counts[state] += 1


# ------------------------------------------------------------------------------------------------------ 3 render


def fill(allowed: Sequence[_Held], *, entry: Entry, now: datetime, actor: Actor, done: Delivered) -> list[_Held]:
    """Reveal what the words need, under the claim's entry, and fill them."""
    if not allowed:
        return []
    filled = _one_by_one_if_need_be(allowed, lambda several: _filled(several, entry=entry))
    unfit: list[tuple[_Held, _Ended]] = [
        (held, filled.get(held.attempt_id, _Unprepared()))
        for held in allowed
        if filled.get(held.attempt_id, _Unprepared()) is not None
    ]
    settle(unfit, carriers={}, now=now, actor=actor, done=done)
    return [held for held in allowed if held.outbound is not None]


def _filled(batch: Sequence[_Held], *, entry: Entry) -> dict[UUID, PermanentFailure | None]:
    """None for each attempt whose message is ready; a template that can not be filled never can."""
    inside = _Words.gathered(batch, entry=entry)
    filled: dict[UUID, PermanentFailure | None] = {}
    for held in batch:
        try:
            inside.fill(held)
        except TemplateRefused:
            filled[held.attempt_id] = PermanentFailure(FailureCode.CONTENT_REFUSED)
        else:
            filled[held.attempt_id] = None
    return filled


@dataclass(frozen=True, slots=True)
class _Words:
    """Everything that is revealed for one batch, with a number of queries that does not depend on its size."""

    variants: dict[UUID, dict[tuple[Channel, Language, Tone], Words]]
    profiles: dict[UUID, PatientProfile]
    addresses: dict[UUID, str]
    points: dict[UUID, ContactPointRow]
    occasions: dict[UUID, OccasionWords]
    codes: dict[UUID, str]
    preferences: dict[UUID, PreferenceRow]
    clinics: dict[UUID, ClinicFacts]

    @classmethod
    def gathered(cls, batch: Sequence[_Held], *, entry: Entry) -> "_Words":
        messages = [held.message for held in batch]
        points = {message.contact_point_id for message in messages if message.contact_point_id is not None}
        patients = {message.patient_id for message in messages}
        versions = {message.template_version_id for message in messages if message.template_version_id is not None}
        return cls(
            variants=words_of(versions),
            profiles=reveal_profiles(patients, entry=entry),
            addresses=reveal_contact_values(points, entry=entry),
            points=contact_points_by_id(points),
            occasions=reveal_occasions(
                {message.occasion_id for message in messages if message.occasion_id is not None}, entry=entry
            ),
            codes=reveal_codes(
                {
                    one.contact_point_id
                    for one in messages
                    if one.step == CHECK_STEP and one.contact_point_id is not None
                },
                entry=entry,
            ),
            preferences=preferences_of(patients),
            clinics={one: get_clinic(one) for one in {message.clinic_id for message in messages}},
        )

    def fill(self, held: _Held) -> None:
        message = held.message
        own = self.variants.get(message.template_version_id, {}) if message.template_version_id else {}
        words = own.get((held.channel, Language(message.language), Tone(message.tone)))
        patient = self.profiles.get(message.patient_id)
        point = self.points.get(message.contact_point_id) if message.contact_point_id else None
        address = self.addresses.get(point.id) if point is not None else None
        if words is None or patient is None or point is None or not address:
            raise TemplateRefused
        preferences = self.preferences.get(message.patient_id) or PreferenceRow()
        clinic = self.clinics[message.clinic_id]
        values = template_values(
            patient=patient,
            clinic=clinic,
            occasion=self.occasions.get(message.occasion_id) if message.occasion_id is not None else None,
            language=words.language,
            time_zone=clinic.time_zone,
            for_child=point.representative_id is not None,
            code=self.codes.get(point.id, ""),
        )
        if message.step == CHECK_STEP and not values["code"]:
            # The code was used or replaced meanwhile: there is nothing left to send.
            raise TemplateRefused
        held.rendered = render(words, values, discreet=preferences.discreet)
        held.outbound = OutboundMessage(
            message_id=message.id,
            channel=held.channel,
            to=address,
            language=words.language,
            text=held.rendered.text,
            subject=held.rendered.subject,
            html=held.rendered.html,
            sender_name=clinic.discreet_name,
            reference=str(message.id),
        )


# -------------------------------------------------------------------------------------------------------- 4 send


def hand_over(
    ready: Sequence[_Held],
    *,
    carriers: Mapping[Channel, Carrier],
    pace: Pace,
    deadline: float,
    now: datetime,
    actor: Actor,
    done: Delivered,
) -> None:
    """Call the carriers in parallel, no transaction open; settle what has ended at least every 50 ms."""
    if not ready:
        return
    with ThreadPoolExecutor(max_workers=min(pace.parallel, len(ready)), thread_name_prefix="carrier") as pool:
        running: dict[Future[Outcome | None], _Held] = {
            pool.submit(_call, held, carriers.get(held.channel), pace.call, deadline): held for held in ready
        }

        def settle_ended() -> None:
            # Whatever ended meanwhile goes along: one transaction for several outcomes.
            ended = {future: held for future, held in running.items() if future.done()}
            settle(
                [(held, _outcome_of(future)) for future, held in ended.items()],
                carriers=carriers,
                now=now,
                actor=actor,
                done=done,
            )
            for future in ended:
                del running[future]

        try:
            while running:
                wait(running, timeout=FLUSH_SECONDS, return_when=FIRST_COMPLETED)
                settle_ended()
        except BaseException:
            # Told to stop, or a transaction failed: begin no further call, but answer for those that have begun.
            for future in running:
                future.cancel()
            wait(running)
            settle_ended()
            raise


def _call(held: _Held, carrier: Carrier | None, timeout: float, deadline: float) -> Outcome | None:
    """One call; None where the lease has too little left for it, and the message is released untouched."""
    if carrier is None or held.outbound is None:
        return PermanentFailure(FailureCode.NOT_CONFIGURED)
    if deadline - time.monotonic() < timeout + SETTLING_SECONDS:
        return None
    return carrier.send(held.outbound, timeout=timeout)


def _outcome_of(future: Future[Outcome | None]) -> Outcome | None:
    """How a call ended. One that was never begun is released; one that broke off may have sent something."""
    if future.cancelled():
        return None
    error = future.exception()
    if error is not None:
        log.error("a carrier broke off: %s", type(error).__name__)
        return InDoubt()
    return future.result()


# ------------------------------------------------------------------------------------------------------ 5 record


def settle(
    outcomes: Iterable[tuple[_Held, _Ended]],
    *,
    carriers: Mapping[Channel, Carrier],
    now: datetime,
    actor: Actor,
    done: Delivered,
) -> None:
    """Store what came of each call, and its entry. An attempt that was taken away meanwhile is not overwritten.

    What can not be stored with the others is stored alone, and then without its words: that it was sent matters most.
    """
    judged = [_judge(held, outcome, carriers) for held, outcome in outcomes]
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


def _store_all(judged: Sequence["_Judged"], *, now: datetime, actor: Actor, done: Delivered) -> None:
    with record_about_patients([one.draft for one in judged], by=actor, now=now, writes_sealed=True):
        ours = close_attempts(((one.held.attempt_id, one.attempt) for one in judged), now=now)
        stored = [one for one in judged if one.held.attempt_id in ours]
        for one in stored:
            _store(one, now=now)
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
    held: _Held
    state: MessageState
    attempt: AttemptOutcome
    draft: Draft
    reference: str = ""
    failure: str = ""
    retry_after: timedelta | None = None
    carrier: str = ""
    sent_text: dict[str, str] | None = None
    counts_as_try: bool = True


def _judge(held: _Held, outcome: _Ended, carriers: Mapping[Channel, Carrier]) -> _Judged:
    carrier = carriers[held.channel].name if held.channel in carriers else "none"
    match outcome:
        case Receipt(reference):
            return _judged_sent(held, carrier, reference)
        case InDoubt():
            draft = _draft(held, Action.MESSAGE_IN_DOUBT, attempt=held.attempt_id, reason="no_answer")
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
        case _Unprepared():
            return _judged_failed(held, carrier, NOT_PREPARED, retry_after=_delay(held, None))
        case _:
            draft = _failure_draft(held, carrier, LEASE_TOO_SHORT, final=False)
            return _Judged(
                held=held,
                state=MessageState.PLANNED,
                attempt=AttemptOutcome.RELEASED,
                draft=draft,
                retry_after=RELEASE_DELAY,
                counts_as_try=False,
            )


def _delay(held: _Held, asked: float | None) -> timedelta:
    """Twice as long each time, or as long as the carrier asks, within reason."""
    own = FIRST_RETRY * (1 << max(held.message.tries - 1, 0))
    theirs = timedelta(seconds=min(max(asked or 0.0, 0.0), LONGEST_RETRY.total_seconds()))
    return min(max(own, theirs), LONGEST_RETRY)


def _text_of(held: _Held) -> dict[str, str] | None:
    """What is kept of the words, for the patient to read again. A one-time code is not kept."""
    if held.rendered is None or held.message.step == CHECK_STEP:
        return None
    words = held.rendered
    return {"subject": words.subject, "text": words.text, "full_text": words.full_text}


def _judged_sent(held: _Held, carrier: str, reference: str) -> _Judged:
    verdict = _said(held)
    draft = _draft(
        held,
        Action.MESSAGE_HANDED_OVER,
        attempt=held.attempt_id,
        carrier=carrier,
        consent_event=str(verdict.consent_event_id or "none"),
        template_version=held.message.template_version_id,
        rules=verdict.rules_version,
        **_where(held),
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


def _judged_failed(held: _Held, carrier: str, code: str, *, retry_after: timedelta | None) -> _Judged:
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


def _failure_draft(held: _Held, carrier: str, code: str, *, final: bool) -> Draft:
    return _draft(
        held,
        Action.MESSAGE_FAILED,
        attempt=held.attempt_id,
        carrier=carrier,
        code=code,
        final="yes" if final else "no",
    )


def _store(one: _Judged, *, now: datetime) -> None:
    row = one.held.message
    row.state = one.state
    row.verdict = _verdict_record(one.held)
    row.carrier, row.carrier_reference, row.failure = one.carrier, one.reference, one.failure
    columns = ["state", "verdict", "carrier", "carrier_reference", "failure"]
    if one.state is MessageState.PLANNED:
        row.due_at, row.claimed_at = now + (one.retry_after or RELEASE_DELAY), None
        columns += ["due_at", "claimed_at"]
    else:
        row.settled_at = now
        columns.append("settled_at")
    if not one.counts_as_try:
        row.tries = max(row.tries, 1) - 1
        columns.append("tries")
    if one.sent_text is not None:
        row.sent_text = one.sent_text
        columns.append("sent_text")
    row.save(update_fields=columns)


# ------------------------------------------------------------------------------------------------- reconciliation


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
                state=MessageState.IN_DOUBT, failure=LEASE_RAN_OUT, settled_at=now
            )
    log.warning("%d messages are in doubt: their worker did not answer for them", len(closed))
    return len(closed)


# -------------------------------------------------------------------------------------------------------- shared


def _said(held: _Held) -> Verdict:
    if held.verdict is None:
        raise RuntimeError("The gate was not asked.")
    return held.verdict


def _verdict_record(held: _Held) -> dict[str, Any]:
    if held.verdict is None:
        stored: dict[str, Any] = held.message.verdict
        return stored
    return {**_said(held).as_record(), "stage": SENDING, "considered": held.message.verdict.get("considered", {})}


def _where(held: _Held) -> dict[str, object]:
    return {"purpose": held.purpose.slug, "channel": held.channel.value}


def _draft(held: _Held, action: Action, **details: object) -> Draft:
    return Draft(
        action=action,
        clinic_id=held.message.clinic_id,
        about=(held.message.patient_id,),
        details={"message": held.message.id, **details},
    )
