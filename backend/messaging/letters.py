"""Letters in a print batch: claimed and gated like any message, printed by staff, and sent once staff say so.

Between the print and that word a letter is in doubt: it may be in an envelope already, or still in a tray. So a
withdrawal names it, it counts under caps, and it is printed once. Until it is said to be posted, everybody who looks at
the batch is told which letters may no longer leave.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from django.db import transaction

from backend.attempts.operations import AttemptOutcome, NewAttempt, close_attempts, open_attempts, patients_in_hand
from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import Entry, record
from backend.clinics.queries import get_clinic
from backend.consent.queries import purposes_by_id
from backend.errors import DomainError, NotFound
from backend.messaging.carriers.base import DeliveryReport, DeliveryState, FailureCode
from backend.messaging.delivery import gate
from backend.messaging.doubts import settle_doubt
from backend.messaging.filling import fill
from backend.messaging.gate import candidate_of, decide_all
from backend.messaging.held import Delivered, Held, draft_about, verdict_record, where
from backend.messaging.letter_documents import Letter, letters_as_pdf
from backend.messaging.links import Way
from backend.messaging.models import Message, PrintBatch
from backend.messaging.queries import reveal_sent_texts
from backend.messaging.reports import Came, take_report
from backend.patients.entries import record_about_patients
from backend.patients.models import OfClinic
from backend.patients.queries import lock_patients, reveal_contact_values
from backend.policy.contact import Verdict
from backend.policy.vocabulary import Channel, Decided, Language, MessageState
from backend.preferences.queries import PreferenceRow, preferences_of
from backend.vault.identifiers import new_id

CARRIER: Final = "letter"
PRINTED: Final = "printed"
LEASE: Final = timedelta(minutes=5)
MOST_LETTERS: Final = 100
WAITING: Final = (MessageState.PLANNED, MessageState.DEFERRED)


class NothingToPrint(DomainError):
    """No letter is due, or none may leave."""

    code = "nothing_to_print"
    sentence = "There is no letter to print now."


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedLetter:
    """One letter of a batch: where it stands, and whether it may still be posted, asked just now."""

    message_id: UUID
    patient_id: UUID
    state: MessageState
    may_be_posted: bool
    verdict: Verdict | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A print batch, and how many of its letters wait for somebody to say what became of them."""

    id: UUID
    made_at: datetime
    letters: int
    to_tell: int


def letters_waiting(*, clinic_id: UUID, now: datetime) -> int:
    """How many letters could be printed now, before the gate is asked."""
    return _due(clinic_id, now).count()


def make_print_batch(*, clinic_id: UUID, actor: Actor, now: datetime, limit: int = MOST_LETTERS) -> Batch:
    """Claim the letters that are due, ask the gate, fill them, and lay those that may leave into one batch.

    Raises NothingToPrint; what the gate held back is stored all the same.
    """
    batch, entry = _claim(clinic_id=clinic_id, actor=actor, now=now, limit=limit)
    if entry is None:
        raise NothingToPrint
    done = Delivered()
    ready = fill(gate(batch, now=now, actor=actor, done=done), entry=entry, now=now, actor=actor, done=done)
    if not ready:
        raise NothingToPrint
    drafts = [draft_about(held, Action.MESSAGE_IN_DOUBT, attempt=held.attempt_id, reason=PRINTED) for held in ready]
    with record_about_patients(drafts, by=actor, now=now, writes_sealed=True):
        ours = close_attempts([(held.attempt_id, AttemptOutcome.IN_DOUBT) for held in ready], now=now)
        printed = [held for held in ready if held.attempt_id in ours]
        made = PrintBatch.objects.create(
            id=new_id(), clinic_id=clinic_id, made_at=now, made_by=str(actor.id or actor.kind), letters=len(printed)
        )
        for held in printed:
            _lay_into(made, held, now=now)
    return Batch(id=made.id, made_at=now, letters=len(printed), to_tell=len(printed))


def _lay_into(batch: PrintBatch, held: Held, *, now: datetime) -> None:
    row, words = held.message, held.rendered
    if words is None:
        raise RuntimeError("A letter without words was filled.")
    row.state, row.failure, row.carrier = MessageState.IN_DOUBT, PRINTED, CARRIER
    row.print_batch, row.settled_at, row.verdict = batch, now, verdict_record(held)
    row.sent_text = {"subject": words.subject, "text": words.text, "full_text": words.full_text}
    row.save(update_fields=["state", "failure", "carrier", "print_batch", "settled_at", "verdict", "sent_text"])


def _due(clinic_id: UUID, now: datetime) -> OfClinic:
    return Message.objects.in_clinic(clinic_id).filter(channel=Channel.LETTER, state__in=WAITING, due_at__lte=now)


def _claim(*, clinic_id: UUID, actor: Actor, now: datetime, limit: int) -> tuple[list[Held], Entry | None]:
    with transaction.atomic():
        rows = list(
            _due(clinic_id, now)
            .exclude(patient_id__in=patients_in_hand())
            .defer("sent_text")
            .order_by("due_at", "id")
            .select_for_update(skip_locked=True, of=("self",))[:limit]
        )
        # As for a worker: a patient's messages go through one hand at a time, so that no cap is passed.
        ours = lock_patients({row.patient_id for row in rows})
        ours -= frozenset(patients_in_hand(ours))
        rows = [row for row in rows if row.patient_id in ours]
        if not rows:
            return [], None
        purposes = purposes_by_id({row.purpose_id for row in rows})
        batch = [Held(row, new_id(), purposes[row.purpose_id]) for row in rows]
        drafts = [draft_about(held, Action.MESSAGE_CLAIMED, attempt=held.attempt_id, **where(held)) for held in batch]
        with record_about_patients(drafts, by=actor, now=now) as entry:
            for row in rows:
                row.state, row.claimed_at, row.tries = MessageState.HANDING_OVER, now, row.tries + 1
                row.save(update_fields=["state", "claimed_at", "tries"])
            open_attempts(
                [
                    NewAttempt(
                        id=held.attempt_id,
                        message_id=held.message.id,
                        clinic_id=clinic_id,
                        patient_id=held.message.patient_id,
                        purpose=held.purpose.slug,
                        channel=held.channel,
                    )
                    for held in batch
                ],
                owner=uuid4(),
                lease=LEASE,
                now=now,
            )
    return batch, entry


# ----------------------------------------------------------------------------------------------------- looking at it


def print_batches(*, clinic_id: UUID, limit: int = 50) -> list[Batch]:
    """The batches of a clinic, the newest first."""
    rows = list(PrintBatch.objects.filter(clinic_id=clinic_id).order_by("-made_at", "-id")[:limit])
    waiting = list(
        Message.objects.filter(print_batch__in=rows, state=MessageState.IN_DOUBT).values_list("print_batch", flat=True)
    )
    return [Batch(id=row.id, made_at=row.made_at, letters=row.letters, to_tell=waiting.count(row.id)) for row in rows]


def letters_of(*, clinic_id: UUID, batch_id: UUID, now: datetime) -> list[PrintedLetter]:
    """The letters of a batch; of those not told yet, whether they may still be posted. Raises NotFound."""
    rows = _letters(clinic_id, batch_id)
    verdicts = _asked_again(rows, now=now)
    return [
        PrintedLetter(
            message_id=row.id,
            patient_id=row.patient_id,
            state=MessageState(row.state),
            may_be_posted=row.id in verdicts and verdicts[row.id].decided is Decided.ALLOW,
            verdict=verdicts.get(row.id),
        )
        for row in rows
    ]


def _letters(clinic_id: UUID, batch_id: UUID) -> list[Message]:
    if not PrintBatch.objects.filter(clinic_id=clinic_id, id=batch_id).exists():
        raise NotFound
    rows = Message.objects.in_clinic(clinic_id).filter(print_batch_id=batch_id).select_related("programme")
    return list(rows.defer("sent_text").order_by("id"))


def _asked_again(rows: Iterable[Message], *, now: datetime) -> dict[UUID, Verdict]:
    open_rows = [row for row in rows if row.state == MessageState.IN_DOUBT]
    candidates = [
        candidate_of(row, programme_state=None if row.programme is None else row.programme.state) for row in open_rows
    ]
    return {row.id: verdict for row, verdict in zip(open_rows, decide_all(candidates, now=now), strict=True)}


def print_batch_pdf(*, clinic_id: UUID, batch_id: UUID, actor: Actor, now: datetime) -> bytes:
    """The letters of a batch that may still be posted, as one PDF. Raises NotFound, NothingToPrint."""
    rows = _letters(clinic_id, batch_id)
    verdicts = _asked_again(rows, now=now)
    rows = [row for row in rows if row.id in verdicts and verdicts[row.id].decided is Decided.ALLOW]
    if not rows:
        raise NothingToPrint
    with record(
        Action.LETTERS_PRINTED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=tuple({row.patient_id for row in rows}),
        batch=batch_id,
        count=len(rows),
    ) as entry:
        words = reveal_sent_texts([row.id for row in rows], entry=entry)
        points = [row.contact_point_id for row in rows if row.contact_point_id is not None]
        addresses = reveal_contact_values(points, entry=entry)
    preferences = preferences_of({row.patient_id for row in rows})
    letters = [
        Letter(
            language=Language(row.language),
            to=tuple(addresses[row.contact_point_id].split("\n")),
            subject=words[row.id]["subject"],
            text=words[row.id]["text"],
            large_print=(preferences.get(row.patient_id) or PreferenceRow()).large_print,
            link=_way(row).address(),
        )
        for row in rows
        if row.id in words and row.contact_point_id in addresses
    ]
    return letters_as_pdf(letters, clinic=get_clinic(clinic_id), now=now)


def _way(row: Message) -> Way:
    return Way(
        clinic_id=row.clinic_id, patient_id=row.patient_id, purpose_id=row.purpose_id, channel=Channel(row.channel)
    )


# --------------------------------------------------------------------------------------------------- what became of it


def tell_posted(
    *, clinic_id: UUID, batch_id: UUID, not_posted: frozenset[UUID], actor: Actor, now: datetime
) -> tuple[int, int]:
    """Say that the letters of a batch were posted, all but some; how many were, and were not."""
    posted = left_out = 0
    for row in _letters(clinic_id, batch_id):
        if row.state != MessageState.IN_DOUBT:
            continue
        left = row.id not in not_posted
        settle_doubt(clinic_id=clinic_id, message_id=row.id, left=left, actor=actor, now=now)
        posted, left_out = posted + left, left_out + (not left)
    return posted, left_out


def tell_returned(*, clinic_id: UUID, message_id: UUID, actor: Actor, now: datetime) -> None:
    """A letter came back: it failed, and its address has to be checked anew. Raises NotFound."""
    if not Message.objects.in_clinic(clinic_id).filter(id=message_id, channel=Channel.LETTER).exists():
        raise NotFound
    report = DeliveryReport(
        message_id=message_id, reference="", state=DeliveryState.FAILED, code=FailureCode.ADDRESS_GONE
    )
    came = take_report(
        message_id=message_id, channel=Channel.LETTER, carrier=CARRIER, report=report, now=now, actor=actor
    )
    if came is Came.UNKNOWN:
        raise NotFound
