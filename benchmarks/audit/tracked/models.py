"""The row, tracked by django-pghistory."""

from typing import Any

import pghistory

from benchmarks.audit.shape import ConsentShape


@pghistory.track()
class TrackedEvent(ConsentShape):
    """Copied by triggers at each insert and update."""

    # Made by the decorator.
    pgh_event_model: Any
