"""One row per hand-over: written before the carrier is called, closed when its answer is known."""

from django.db import models

from backend.audit.guard import Guarded
from backend.vault.identifiers import new_id


class Attempt(Guarded):
    """A message is being handed over, or was. Ids and times only."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    message_id = models.UUIDField()
    clinic_id = models.UUIDField()
    patient_id = models.UUIDField()
    purpose = models.CharField(max_length=60)
    channel = models.CharField(max_length=10)
    owner = models.UUIDField()
    claimed_at = models.DateTimeField()
    lease_until = models.DateTimeField()
    outcome = models.CharField(max_length=20, null=True)  # noqa: DJ001 - no outcome yet is not an empty one
    closed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "attempts_attempt"
        constraints = [
            *Guarded.Meta.constraints,
            models.UniqueConstraint(
                fields=["message_id"], condition=models.Q(outcome__isnull=True), name="one_open_attempt_per_message"
            ),
            models.CheckConstraint(
                condition=models.Q(outcome__isnull=True, closed_at__isnull=True)
                | models.Q(outcome__isnull=False, closed_at__isnull=False),
                name="attempt_is_open_or_closed",
            ),
        ]
        indexes = [
            models.Index(
                fields=["patient_id", "purpose", "channel"],
                condition=models.Q(outcome__isnull=True) | models.Q(outcome="in_doubt"),
                name="attempt_unsettled",
            ),
            models.Index(fields=["lease_until"], condition=models.Q(outcome__isnull=True), name="attempt_lease"),
        ]
