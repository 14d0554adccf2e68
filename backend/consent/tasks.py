"""Ticks of consent: read the clock, make one call."""

from typing import Any

from celery import shared_task

from backend import clock
from backend.audit.actors import system_actor
from backend.consent.operations import end_consents as end_all
from backend.consent.operations import judge_ages_anew


@shared_task(name="backend.consent.tasks.end_consents")
def end_consents(**_later: Any) -> None:
    """Turn into events what has ended by itself: by its date, by a new notice, by a birthday."""
    now = clock.now()
    judge_ages_anew(actor=system_actor("consent"), now=now)
    end_all(actor=system_actor("consent"), now=now)
