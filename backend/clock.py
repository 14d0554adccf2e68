"""What time it is, for the edges: requests, commands and ticks read it once and pass it on as `now`.

The demo moves it, so that its story takes place on one day whenever it is told; settings refuse that anywhere else.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone


def now() -> datetime:
    """The time of the business, with its zone."""
    return timezone.now() + timedelta(seconds=settings.ACCORD_CLOCK_OFFSET)
