"""The row, guarded: the database refuses to write it without an entry."""

from backend.audit.guard import Guarded
from benchmarks.audit.shape import ConsentShape


class SealedEvent(ConsentShape, Guarded):
    """Written inside `record` only."""

    class Meta:
        constraints = [*Guarded.Meta.constraints]
