"""The row, and nothing about it."""

from benchmarks.audit.shape import ConsentShape


class PlainEvent(ConsentShape):
    """Django as it comes."""
