"""Django alone: one save in one transaction, no entry."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from django.db import transaction

from backend.vault.identifiers import new_id
from benchmarks.audit.contestants import BATCH
from benchmarks.audit.plain.models import PlainEvent
from benchmarks.audit.shape import event
from benchmarks.lanes import Question, Task

CLINIC: Final = new_id()
PATIENTS: Final = [new_id() for _ in range(200)]
_written: list[UUID] = []


def set_up() -> None:
    """Nothing to do."""


def _create(units: int) -> None:
    for turn in range(units):
        with transaction.atomic():
            row = PlainEvent(**event(clinic_id=CLINIC, patient_id=PATIENTS[turn % len(PATIENTS)]))
            row.save(force_insert=True)
        _written.append(row.id)


def _update(units: int) -> None:
    rows = list(PlainEvent.objects.filter(pk__in=_written[-units:]))
    for row in rows:
        row.decision = "withdrawn" if row.decision == "given" else "given"
        with transaction.atomic():
            row.save(update_fields=["decision"])


def _read(units: int) -> None:
    for row_id in _written[-units:]:
        with transaction.atomic():
            PlainEvent.objects.get(pk=row_id)


def _batch(units: int) -> None:
    for start in range(0, units, BATCH):
        with transaction.atomic():
            PlainEvent.objects.bulk_create(
                PlainEvent(**event(clinic_id=CLINIC, patient_id=PATIENTS[turn % len(PATIENTS)]))
                for turn in range(start, min(start + BATCH, units))
            )


def _together(units: int) -> None:
    for start in range(0, units, BATCH):
        with transaction.atomic():
            for turn in range(start, min(start + BATCH, units)):
                row = PlainEvent(**event(clinic_id=CLINIC, patient_id=PATIENTS[turn % len(PATIENTS)]))
                row.save(force_insert=True)


TASKS: Final[Mapping[str, Task]] = {
    "create": _create,
    "update": _update,
    "read": _read,
    "batch": _batch,
    "together": _together,
}
QUESTIONS: Final[Mapping[str, Question]] = {}
