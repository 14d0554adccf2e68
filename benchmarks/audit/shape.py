"""The row that every contestant writes: what a consent event has to say, the same columns and indexes for all."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, ClassVar, Final
from uuid import UUID

from django.db import models

from backend.vault.identifiers import new_id

NOW: Final = datetime(2026, 10, 14, 8, 0, tzinfo=UTC)
PURPOSE: Final = "appointment_reminder"
CHANNEL: Final = "email"
METHOD: Final = "app"
_numbers = count(1)


class ConsentShape(models.Model):
    """A row like a consent event, nothing in it sealed."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    clinic_id = models.UUIDField()
    patient_id = models.UUIDField(db_index=True)
    purpose = models.CharField(max_length=60)
    channel = models.CharField(max_length=10)
    decision = models.CharField(max_length=12)
    method = models.CharField(max_length=20)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    notice_version = models.PositiveIntegerField()
    number = models.PositiveIntegerField()

    objects: ClassVar[models.Manager[Any]] = models.Manager()

    class Meta:
        abstract = True


def event(*, clinic_id: UUID, patient_id: UUID) -> dict[str, Any]:
    """The values of one more row."""
    number = next(_numbers)
    return {
        "clinic_id": clinic_id,
        "patient_id": patient_id,
        "purpose": PURPOSE,
        "channel": CHANNEL,
        "decision": "given",
        "method": METHOD,
        "occurred_at": NOW,
        "recorded_at": NOW + timedelta(seconds=number),
        "notice_version": 3,
        "number": number,
    }
