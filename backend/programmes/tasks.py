"""Ticks of programmes: read the clock, make one call."""

from typing import Any

from celery import shared_task

from backend import clock
from backend.programmes import operations


@shared_task(name="backend.programmes.tasks.plan_programmes")
def plan_programmes(**_later: Any) -> None:
    """Plan what comes due."""
    operations.plan_programmes(now=clock.now())
