"""Ticks of patients: read the clock, make one call."""

from typing import Any

from celery import shared_task

from backend import clock
from backend.patients import operations


@shared_task(name="backend.patients.tasks.end_old_devices")
def end_old_devices(**_later: Any) -> None:
    """End the devices whose app was not heard of for long."""
    operations.end_old_devices(now=clock.now())
