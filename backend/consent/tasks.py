"""Ticks of consent: read the clock, make one call."""

from typing import Any

from celery import shared_task

from backend import clock
from backend.audit.actors import system_actor
from backend.consent.operations import end_consents as end_all


@shared_task(name="backend.consent.tasks.end_consents")
def end_consents(**_later: Any) -> None:
    """Turn into events what has ended by itself: by its date, by a new notice, by a birthday."""
    end_all(actor=system_actor("consent"), now=clock.now())
