"""Opening, closing and draining attempts. Opening and closing happen inside the caller's `record`."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from backend.attempts.models import Attempt
from backend.audit.driver import POSTGRESQL, rows_of
from backend.policy.vocabulary import Channel

MARGIN_SECONDS: Final = 2.0
FIRST_WAIT: Final = 0.005
LONGEST_WAIT: Final = 0.1
EAGER_SECONDS: Final = 1.0


class AttemptOutcome(StrEnum):
    """How an attempt was closed."""

    SENT = "sent"
    FAILED = "failed"
    WITHHELD = "withheld"
    DEFERRED = "deferred"
    EXPIRED = "expired"
    RELEASED = "released"
    IN_DOUBT = "in_doubt"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAttempt:
    """One hand-over that is about to begin."""

    id: UUID
    message_id: UUID
    clinic_id: UUID
    patient_id: UUID
    purpose: str
    channel: Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What a withdrawal can say: confirmed only if nothing more can leave (guard G1)."""

    confirmed: bool
    already_left: tuple[UUID, ...]
    in_doubt: tuple[UUID, ...]


def database_now() -> datetime:
    """The database's clock: leases are set and compared with this one only."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')")
        else:
            cursor.execute("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')")
        (told,) = cursor.fetchone() or ("",)
    return datetime.fromisoformat(f"{told}+00:00")


def open_attempts(attempts: Sequence[NewAttempt], *, owner: UUID, lease: timedelta, now: datetime) -> None:
    """Say that these messages are being handed over. `now` is the time of the business; the lease is real time."""
    until = database_now() + lease
    if connection.vendor == POSTGRESQL:
        rows_of(
            connection,
            _OPEN,
            [
                [attempt.id for attempt in attempts],
                [attempt.message_id for attempt in attempts],
                [attempt.clinic_id for attempt in attempts],
                [attempt.patient_id for attempt in attempts],
                [attempt.purpose for attempt in attempts],
                [attempt.channel.value for attempt in attempts],
                owner,
                now,
                until,
            ],
        )
        return
    Attempt.objects.bulk_create(
        Attempt(
            id=attempt.id,
            message_id=attempt.message_id,
            clinic_id=attempt.clinic_id,
            patient_id=attempt.patient_id,
            purpose=attempt.purpose,
            channel=attempt.channel,
            owner=owner,
            claimed_at=now,
            lease_until=until,
        )
        for attempt in attempts
    )


_OPEN: Final = """
INSERT INTO attempts_attempt
    (id, message_id, clinic_id, patient_id, purpose, channel, owner, claimed_at, lease_until)
SELECT g.*, own.*
FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::text[]) AS g,
    (VALUES (%s::uuid, %s::timestamptz, %s::timestamptz)) AS own
RETURNING 1
"""


def close_attempts(outcomes: Iterable[tuple[UUID, AttemptOutcome]], *, now: datetime) -> frozenset[UUID]:
    """Close attempts that are still open; the ids of those that were. An attempt that was taken away stays as it is."""
    given = list(outcomes)
    if connection.vendor == POSTGRESQL:
        return frozenset(
            row[0]
            for row in rows_of(
                connection,
                _CLOSE,
                [[one for one, _ in given], [outcome.value for _, outcome in given], now],
            )
        )
    closed: set[UUID] = set()
    by_outcome: dict[AttemptOutcome, list[UUID]] = {}
    for attempt_id, outcome in given:
        by_outcome.setdefault(outcome, []).append(attempt_id)
    for outcome, attempt_ids in by_outcome.items():
        # One writer at a time: between the two statements nobody else closes any.
        still_open = Attempt.objects.filter(id__in=attempt_ids, outcome=None)
        ids = list(still_open.values_list("id", flat=True))
        if ids:
            Attempt.objects.filter(id__in=ids, outcome=None).update(outcome=outcome, closed_at=now)
            closed.update(ids)
    return frozenset(closed)


# Locked in one order by everybody, so that two who close the same attempts wait for each other and not in a circle.
_CLOSE: Final = """
WITH given AS (SELECT * FROM unnest(%s::uuid[], %s::text[]) AS g(id, outcome)),
still_open AS (
    SELECT a.id, given.outcome FROM attempts_attempt a JOIN given ON given.id = a.id
    WHERE a.outcome IS NULL ORDER BY a.id FOR UPDATE OF a
)
UPDATE attempts_attempt AS a SET outcome = still_open.outcome, closed_at = %s
FROM still_open WHERE a.id = still_open.id AND a.outcome IS NULL RETURNING a.id
"""


def drain_attempts(
    *,
    patient_id: UUID,
    purposes: Iterable[str] | None = None,
    channels: Iterable[Channel] | None = None,
    lease: timedelta,
) -> Drained:
    """Wait for every hand-over that was open when the fence was committed; at most a lease and a margin.

    Without purposes it waits for those of every purpose, without channels for those by every channel.

    Call it after the fence is committed: a later attempt meets a gate that sees the withdrawal. Waiting is measured on
    this process's monotonic clock only. Raises RuntimeError inside a transaction, where the fence is not committed yet.
    """
    ours = Attempt.objects.filter(patient_id=patient_id)
    if purposes is not None:
        ours = ours.filter(purpose__in=list(purposes))
    if channels is not None:
        ours = ours.filter(channel__in=list(channels))
    # Durable: inside a transaction the fence would not be committed yet, and this would wait behind it.
    with transaction.atomic(durable=True):
        watched = dict(ours.filter(outcome=None).values_list("id", "message_id"))
        unsettled = dict(ours.filter(outcome=AttemptOutcome.IN_DOUBT).values_list("id", "message_id"))
    started = time.monotonic()
    deadline = started + lease.total_seconds() + MARGIN_SECONDS
    wait = FIRST_WAIT
    ended: dict[UUID, str] = {}
    while len(ended) < len(watched):
        rows = Attempt.objects.filter(id__in=watched).exclude(outcome=None)
        ended = {attempt: str(outcome) for attempt, outcome in rows.values_list("id", "outcome")}
        if len(ended) == len(watched) or time.monotonic() >= deadline:
            break
        time.sleep(wait)
        if time.monotonic() - started > EAGER_SECONDS:
            wait = min(wait * 2, LONGEST_WAIT)
    left = [watched[attempt] for attempt, outcome in ended.items() if outcome == AttemptOutcome.SENT]
    doubtful = [watched[attempt] for attempt, outcome in ended.items() if outcome == AttemptOutcome.IN_DOUBT]
    doubtful += [message for attempt, message in watched.items() if attempt not in ended]
    doubtful += unsettled.values()
    in_doubt = tuple(sorted(set(doubtful)))
    return Drained(confirmed=not in_doubt, already_left=tuple(sorted(set(left))), in_doubt=in_doubt)


def is_in_hand(*, patient_id: UUID, purpose: str, channel: Channel) -> bool:
    """Is something being handed over to this patient right now, for this purpose by this channel?"""
    return Attempt.objects.filter(patient_id=patient_id, purpose=purpose, channel=channel, outcome=None).exists()


def open_attempt_of(message_id: UUID) -> UUID | None:
    """The attempt by which this message is being handed over right now, if any."""
    rows = Attempt.objects.filter(message_id=message_id, outcome=None)
    attempt_id: UUID | None = rows.values_list("id", flat=True).first()
    return attempt_id


def patients_in_hand(among: Iterable[UUID] | None = None) -> QuerySet[Attempt, UUID]:
    """The patients to whom something is being handed over right now."""
    rows = Attempt.objects.filter(outcome=None)
    return (rows if among is None else rows.filter(patient_id__in=set(among))).values_list("patient_id", flat=True)


def doubtful_attempts(message_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """The attempt that left each of these messages in doubt, by message."""
    rows = Attempt.objects.filter(message_id__in=set(message_ids), outcome=AttemptOutcome.IN_DOUBT)
    return dict(rows.order_by("claimed_at").values_list("message_id", "id"))


def unsettled_of(owner: UUID) -> dict[UUID, tuple[UUID, AttemptOutcome | None]]:
    """What this owner's attempts left open or in doubt: message and outcome, by attempt."""
    rows = Attempt.objects.filter(Q(outcome=None) | Q(outcome=AttemptOutcome.IN_DOUBT), owner=owner)
    return {
        attempt_id: (message_id, None if outcome is None else AttemptOutcome(outcome))
        for attempt_id, message_id, outcome in rows.order_by("id").values_list("id", "message_id", "outcome")
    }


def settle_doubts(message_ids: Iterable[UUID], outcome: AttemptOutcome) -> None:
    """It is known now what became of these messages. What was known before stays as it is."""
    Attempt.objects.filter(message_id__in=set(message_ids), outcome=AttemptOutcome.IN_DOUBT).update(outcome=outcome)


def expired_attempts(*, limit: int) -> list[tuple[UUID, UUID]]:
    """Attempts whose owner has let the lease run out, and their messages.

    Only inside a transaction, until whose end nobody else closes them.
    """
    rows = Attempt.objects.filter(outcome=None, lease_until__lt=database_now() - timedelta(seconds=MARGIN_SECONDS))
    rows = rows.order_by("lease_until").select_for_update(skip_locked=True)
    return list(rows.values_list("id", "message_id")[:limit])
