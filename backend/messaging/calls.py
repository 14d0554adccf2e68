"""The call list, for those who are not online: somebody of the staff is the carrier, and says how the call ended.

Whoever takes a call claims it, as a worker would: an attempt, a lease, and the gate asked with fresh facts at that
moment. Only then are the number and the words shown. A call of which nobody says how it ended is in doubt once its
lease is over, and counts as one that reached the patient until somebody says otherwise.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid4

from django.db import transaction

from backend.attempts.operations import (
    AttemptOutcome,
    NewAttempt,
    close_attempts,
    doubtful_attempts,
    open_attempt_of,
    open_attempts,
    patients_in_hand,
    settle_doubts,
)
from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import Draft, Entry
from backend.consent.queries import purposes_by_id
from backend.errors import DomainError, NotFound
from backend.messaging.carriers.base import FailureCode
from backend.messaging.delivery import gate
from backend.messaging.filling import fill
from backend.messaging.held import Delivered, Held, draft_about, verdict_record, where
from backend.messaging.models import Message
from backend.messaging.operations.leaving import withdraw_everything
from backend.patients.entries import record_about_patients
from backend.patients.operations.contact_points import BOUNCED, note_bounced
from backend.patients.queries import lock_patients, reveal_profiles
from backend.policy.contact import Verdict
from backend.policy.vocabulary import Channel, Language, MessageState, Method, Reason
from backend.vault.identifiers import new_id

CARRIER: Final = "call_list"
LEASE: Final = timedelta(minutes=15)
AGAIN_AFTER: Final = timedelta(hours=2)
MOST_CALLS: Final = 3
WAITING: Final = (MessageState.PLANNED, MessageState.DEFERRED)


class CallOutcome(StrEnum):
    """How a call ended. Closed: nobody writes down what was said."""

    REACHED = "reached"
    NO_ANSWER = "no_answer"
    ASKED_NOT_TO_BE_CALLED = "asked_not_to_be_called"
    WRONG_NUMBER = "wrong_number"


class CallNotWaiting(DomainError):
    """Somebody else has the call, it was made, or it is not due."""

    code = "call_not_waiting"
    sentence = "This call is not waiting: somebody else has it, it was made, or it is not due."


class CallNotTaken(DomainError):
    """How a call ended is said by whoever took it, once."""

    code = "call_not_taken"
    sentence = "Nobody has this call in hand, or it was said already how it ended."


class CallNotAllowed(DomainError):
    """The gate said no, or not now, when the call was taken."""

    code = "call_not_allowed"
    sentence = "This call may not be made, or not now."


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingCall:
    """A call on the list: nothing of the patient is shown before it is taken."""

    message_id: UUID
    patient_id: UUID
    purpose: str
    due_at: datetime
    expires_at: datetime | None
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Call:
    """Whom to call and what to say."""

    message_id: UUID
    patient_id: UUID
    given_names: tuple[str, ...]
    family_name: str
    number: str
    words: str
    language: Language
    for_child: bool
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded:
    """Where the message stands, and how many consents to calls were withdrawn."""

    state: MessageState
    withdrawn: int = 0
    confirmed: bool = True


def calls_waiting(*, clinic_id: UUID, now: datetime, limit: int = 100) -> list[WaitingCall]:
    """The calls to make now, those that are of use for the shortest time first."""
    rows = (
        Message.objects.in_clinic(clinic_id)
        .filter(channel=Channel.CALL, state__in=WAITING, due_at__lte=now)
        .exclude(expires_at__lte=now)
        .select_related("purpose")
        .defer("sent_text")
        .order_by("expires_at", "due_at", "id")[:limit]
    )
    return [
        WaitingCall(
            message_id=row.id,
            patient_id=row.patient_id,
            purpose=row.purpose.slug,
            due_at=row.due_at,
            expires_at=row.expires_at,
            tries=row.tries,
        )
        for row in rows
    ]


def take_call(*, clinic_id: UUID, message_id: UUID, actor: Actor, now: datetime) -> Call:
    """Take a call from the list, for a quarter of an hour. Raises NotFound, CallNotWaiting, CallNotAllowed."""
    held, entry = _claim(clinic_id=clinic_id, message_id=message_id, actor=actor, now=now)
    done = Delivered()
    allowed = gate([held], now=now, actor=actor, done=done)
    ready = fill(allowed, entry=entry, now=now, actor=actor, done=done)
    if not ready or held.outbound is None or held.rendered is None:
        reasons = [] if held.verdict is None else [reason.value for reason in held.verdict.reasons]
        raise CallNotAllowed(reasons=reasons or [Reason.NO_TEMPLATE.value])
    profile = reveal_profiles([held.message.patient_id], entry=entry)[held.message.patient_id]
    shown = draft_about(held, Action.CALL_TAKEN, attempt=held.attempt_id)
    with record_about_patients([shown], by=actor, now=now, writes_sealed=True):
        row = held.message
        row.verdict, row.carrier = verdict_record(held), CARRIER
        row.sent_text = {"subject": "", "text": held.rendered.text, "full_text": held.rendered.full_text}
        row.save(update_fields=["verdict", "carrier", "sent_text"])
    return Call(
        message_id=held.message.id,
        patient_id=held.message.patient_id,
        given_names=profile.given_names,
        family_name=profile.family_name,
        number=held.outbound.to,
        words=held.rendered.text,
        language=held.outbound.language,
        for_child=held.for_child,
        until=now + LEASE,
    )


def _claim(*, clinic_id: UUID, message_id: UUID, actor: Actor, now: datetime) -> tuple[Held, Entry]:
    with transaction.atomic():
        row = _locked(clinic_id, message_id)
        if row.state not in WAITING or row.due_at > now:
            raise CallNotWaiting
        # As for a worker: a patient's messages go through one hand at a time, so that no cap is passed.
        ours = lock_patients({row.patient_id})
        if row.patient_id not in ours or patients_in_hand(ours).exists():
            raise CallNotWaiting
        held = Held(row, new_id(), purposes_by_id([row.purpose_id])[row.purpose_id])
        draft = draft_about(held, Action.MESSAGE_CLAIMED, attempt=held.attempt_id, **where(held))
        with record_about_patients([draft], by=actor, now=now) as entry:
            row.state, row.claimed_at, row.tries = MessageState.HANDING_OVER, now, row.tries + 1
            row.save(update_fields=["state", "claimed_at", "tries"])
            attempt = NewAttempt(
                id=held.attempt_id,
                message_id=row.id,
                clinic_id=row.clinic_id,
                patient_id=row.patient_id,
                purpose=held.purpose.slug,
                channel=held.channel,
            )
            open_attempts([attempt], owner=uuid4(), lease=LEASE, now=now)
    return held, entry


def _locked(clinic_id: UUID, message_id: UUID) -> Message:
    rows = Message.objects.in_clinic(clinic_id).filter(id=message_id, channel=Channel.CALL).defer("sent_text")
    row: Message | None = rows.select_for_update(of=("self",)).first()
    if row is None:
        raise NotFound
    return row


def end_call(*, clinic_id: UUID, message_id: UUID, outcome: CallOutcome, actor: Actor, now: datetime) -> CallEnded:
    """Say how a call ended. Who asked not to be called is not called again, for anything.

    Raises CallNotTaken, NotFound. Also for a call that is in doubt because its quarter of an hour was over.
    """
    row = _store(clinic_id=clinic_id, message_id=message_id, outcome=outcome, actor=actor, now=now)
    if outcome is CallOutcome.WRONG_NUMBER and row.contact_point_id is not None:
        note_bounced(
            clinic_id=clinic_id,
            patient_id=row.patient_id,
            contact_point_id=row.contact_point_id,
            reason=BOUNCED,
            actor=actor,
            now=now,
        )
    if outcome is not CallOutcome.ASKED_NOT_TO_BE_CALLED:
        return CallEnded(state=MessageState(row.state))
    done = withdraw_everything(
        clinic_id=clinic_id,
        patient_id=row.patient_id,
        channel=Channel.CALL,
        method=Method.STAFF_WITHDRAWAL,
        actor=actor,
        now=now,
    )
    return CallEnded(state=MessageState(row.state), withdrawn=done.count, confirmed=done.confirmed)


def _store(*, clinic_id: UUID, message_id: UUID, outcome: CallOutcome, actor: Actor, now: datetime) -> Message:
    with transaction.atomic():
        row = _locked(clinic_id, message_id)
        attempt_id = open_attempt_of(row.id)
        doubtful = doubtful_attempts([row.id]).get(row.id) if row.state == MessageState.IN_DOUBT else None
        if attempt_id is None and doubtful is None:
            if outcome is CallOutcome.ASKED_NOT_TO_BE_CALLED and row.failure == FailureCode.RECIPIENT_OPTED_OUT:
                # Said before, and perhaps cut off before it was acted upon.
                return row
            raise CallNotTaken
        held = Held(row, attempt_id or doubtful or row.id, purposes_by_id([row.purpose_id])[row.purpose_id])
        again = outcome is CallOutcome.NO_ANSWER and row.tries < MOST_CALLS
        drafts = [draft_about(held, Action.CALL_ENDED, attempt=held.attempt_id, result=outcome.value)]
        drafts.append(_became(held, outcome, final=not again))
        with record_about_patients(drafts, by=actor, now=now, writes_sealed=True):
            reached = outcome is CallOutcome.REACHED
            became = AttemptOutcome.SENT if reached else AttemptOutcome.FAILED
            if attempt_id is not None:
                close_attempts([(attempt_id, became)], now=now)
            else:
                settle_doubts([row.id], became)
            _fill(row, outcome, again=again, now=now)
    return row


FAILURES: Final = {
    CallOutcome.NO_ANSWER: FailureCode.NOT_REACHED,
    CallOutcome.ASKED_NOT_TO_BE_CALLED: FailureCode.RECIPIENT_OPTED_OUT,
    CallOutcome.WRONG_NUMBER: FailureCode.ADDRESS_GONE,
}


def _became(held: Held, outcome: CallOutcome, *, final: bool) -> Draft:
    if outcome is not CallOutcome.REACHED:
        return draft_about(
            held,
            Action.MESSAGE_FAILED,
            attempt=held.attempt_id,
            carrier=CARRIER,
            code=FAILURES[outcome].value,
            final="yes" if final else "no",
        )
    verdict = Verdict.from_record(held.message.verdict)
    return draft_about(
        held,
        Action.MESSAGE_HANDED_OVER,
        attempt=held.attempt_id,
        carrier=CARRIER,
        consent_event=str(verdict.consent_event_id or "none"),
        template_version=held.message.template_version_id,
        rules=verdict.rules_version,
        **where(held),
    )


def _fill(row: Message, outcome: CallOutcome, *, again: bool, now: datetime) -> None:
    columns = ["state", "failure", "ask_at"]
    row.ask_at = None
    if outcome is CallOutcome.REACHED:
        row.state, row.failure = MessageState.SENT, ""
    else:
        row.state = MessageState.PLANNED if again else MessageState.FAILED
        row.failure = FAILURES[outcome].value
        # Nothing was said of it, so there is nothing to read again.
        row.sent_text = None
        columns.append("sent_text")
    if again:
        row.due_at, row.claimed_at, row.settled_at = now + AGAIN_AFTER, None, None
        columns += ["due_at", "claimed_at"]
    else:
        row.settled_at = now
    row.save(update_fields=[*columns, "settled_at"])
