"""The next channel, where the first surely did not reach the patient, or nobody said that it did and the step minds.

Each fallback is a message of its own, with an occurrence made of the first one's: `20261015T120000Z+1`. So a step makes
each of them once, whoever plans and how often. It is decided and gated on its own channel's consent, and counts under
caps as any message: what may have arrived counts, what surely did not, does not.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Final
from uuid import UUID

from django.db.models import Q

from backend.consent.queries import purposes_of
from backend.messaging.carriers.base import FailureCode
from backend.messaging.models import Message
from backend.messaging.operations.planning import PlanRequest
from backend.messaging.queries import latest_templates
from backend.policy.vocabulary import Channel, MessageState

STEP_SIGN: Final = "+"
# Who said no to the carrier said it to the clinic: no other way is tried behind their back.
NOT_PASSED_ON: Final = frozenset({FailureCode.RECIPIENT_OPTED_OUT.value})


def fallbacks_due(
    *, clinic_id: UUID, programme_id: UUID, waits: Mapping[str, timedelta | None], now: datetime
) -> list[PlanRequest]:
    """What has to be tried by another channel now. `waits`: steps that fall back, and after how long without delivery.

    None: only where the message surely did not arrive. What is in doubt is never passed on, nor what is of no more use.
    """
    ended = reduce(or_, (_ended(step, wait, now=now) for step, wait in waits.items()))
    rows = Message.objects.in_clinic(clinic_id).filter(ended, programme_id=programme_id, expires_at__gt=now)
    enrolments = set(rows.values_list("enrolment_id", flat=True))
    chains: defaultdict[tuple[UUID, str, str], list[Message]] = defaultdict(list)
    rows = Message.objects.filter(enrolment_id__in=enrolments, step__in=list(waits))
    for row in rows.select_related("template_version").defer("sent_text"):
        chains[(row.enrolment_id, row.step, row.occurrence.partition(STEP_SIGN)[0])].append(row)
    spoken = _channels_spoken(clinic_id)
    return [
        _request(chain, first)
        for (_enrolment, step, first), chain in chains.items()
        if _is_to_be_passed_on(_last(chain), waits[step], now=now) and _another_way(chain, spoken)
    ]


def _ended(step: str, wait: timedelta | None, *, now: datetime) -> Q:
    """Which messages of a step may have to be passed on."""
    failed = Q(step=step, state=MessageState.FAILED)
    return failed if wait is None else failed | Q(step=step, state=MessageState.SENT, claimed_at__lte=now - wait)


def _last(chain: Sequence[Message]) -> Message:
    return max(chain, key=lambda row: _place(row.occurrence))


def _place(occurrence: str) -> int:
    return int(occurrence.partition(STEP_SIGN)[2] or 0)


def _is_to_be_passed_on(row: Message, wait: timedelta | None, *, now: datetime) -> bool:
    if row.expires_at is None or row.expires_at <= now:
        return False
    if row.state == MessageState.FAILED:
        return row.failure not in NOT_PASSED_ON
    if row.state != MessageState.SENT or wait is None or row.claimed_at is None:
        return False
    return bool(row.claimed_at + wait <= now)


def _channels_spoken(clinic_id: UUID) -> Mapping[tuple[UUID, str], frozenset[Channel]]:
    """By purpose and template: the channels on which both exist."""
    templates = latest_templates(clinic_id)
    return {
        (purpose.id, slug): frozenset(purpose.channels) & template.channels
        for purpose in purposes_of(clinic_id).values()
        for slug, template in templates.items()
    }


def _another_way(chain: Sequence[Message], spoken: Mapping[tuple[UUID, str], frozenset[Channel]]) -> bool:
    row = _last(chain)
    if row.template_version is None:
        return False
    channels = spoken.get((row.purpose_id, row.template_version.slug), frozenset())
    return bool(channels - {Channel(one.channel) for one in chain})


def _request(chain: Sequence[Message], first: str) -> PlanRequest:
    row = _last(chain)
    if row.template_version is None or row.expires_at is None or row.settled_at is None:
        raise ValueError("What is passed on has words, an end, and an outcome.")
    if row.enrolment_id is None or row.programme_id is None or row.occasion_id is None:
        raise ValueError("Only what a programme sends is passed on.")
    return PlanRequest(
        enrolment_id=row.enrolment_id,
        programme_id=row.programme_id,
        programme_running=True,
        patient_id=row.patient_id,
        occasion_id=row.occasion_id,
        occasion_starts_at=row.occasion_starts_at,
        step=row.step,
        occurrence=f"{first}{STEP_SIGN}{_place(row.occurrence) + 1}",
        purpose_id=row.purpose_id,
        template=row.template_version.slug,
        due_at=row.settled_at,
        expires_at=row.expires_at,
        tried=frozenset(Channel(one.channel) for one in chain),
    )
