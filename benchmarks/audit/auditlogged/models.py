"""The row, registered with django-auditlog."""

from auditlog.registry import auditlog

from benchmarks.audit.shape import ConsentShape


class AuditloggedEvent(ConsentShape):
    """Logged by the signals of its saves."""


auditlog.register(AuditloggedEvent)
