"""django-pghistory: one save in one transaction, its copy by a trigger in the same one."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

import pghistory
from django.core.management import call_command
from django.db import transaction

from backend.vault.identifiers import new_id
from benchmarks.audit.contestants import BATCH
from benchmarks.audit.shape import event
from benchmarks.audit.tracked.models import TrackedEvent
from benchmarks.lanes import Question, Task

ACTOR: Final = 1
CLINIC: Final = new_id()
PATIENTS: Final = [new_id() for _ in range(200)]
_written: list[UUID] = []


def set_up() -> None:
    """Make the triggers, which migrations would have made."""
    call_command("pgtrigger", "install", verbosity=0)


def _create(units: int) -> None:
    for turn in range(units):
        with pghistory.context(user=ACTOR), transaction.atomic():
            row = TrackedEvent(**event(clinic_id=CLINIC, patient_id=PATIENTS[turn % len(PATIENTS)]))
            row.save(force_insert=True)
        _written.append(row.id)


def _update(units: int) -> None:
    rows = list(TrackedEvent.objects.filter(pk__in=_written[-units:]))
    for row in rows:
        row.decision = "withdrawn" if row.decision == "given" else "given"
        with pghistory.context(user=ACTOR), transaction.atomic():
            row.save(update_fields=["decision"])


def _batch(units: int) -> None:
    for start in range(0, units, BATCH):
        with pghistory.context(user=ACTOR), transaction.atomic():
            TrackedEvent.objects.bulk_create(
                TrackedEvent(**event(clinic_id=CLINIC, patient_id=PATIENTS[turn % len(PATIENTS)]))
                for turn in range(start, min(start + BATCH, units))
            )


def _together(units: int) -> None:
    for start in range(0, units, BATCH):
        with pghistory.context(user=ACTOR), transaction.atomic():
            for turn in range(start, min(start + BATCH, units)):
                row = TrackedEvent(**event(clinic_id=CLINIC, patient_id=PATIENTS[turn % len(PATIENTS)]))
                row.save(force_insert=True)


def _logged() -> int:
    history = TrackedEvent.pgh_event_model.objects.filter(pgh_context__metadata__user=ACTOR)
    return int(history.count())


TASKS: Final[Mapping[str, Task]] = {
    "create": _create,
    "update": _update,
    "batch": _batch,
    "together": _together,
}
QUESTIONS: Final[Mapping[str, Question]] = {"logged": _logged}
