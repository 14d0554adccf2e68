"""django-auditlog: one save in one transaction, its entry by a signal in the same one."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from auditlog.context import set_actor
from auditlog.signals import accessed
from django.contrib.auth.models import User
from django.db import transaction

from backend.vault.identifiers import new_id
from benchmarks.audit.auditlogged.models import AuditloggedEvent
from benchmarks.audit.contestants import BATCH
from benchmarks.audit.shape import event
from benchmarks.lanes import Question, Task

CLINIC: Final = new_id()
PATIENTS: Final = [new_id() for _ in range(200)]
_written: list[UUID] = []
_actors: list[User] = []


def set_up() -> None:
    """Make whoever acts."""
    _actors.append(User.objects.create(username="reception"))


def _as_actor() -> Any:
    return set_actor(_actors[0])


def _create(units: int) -> None:
    with _as_actor():
        for turn in range(units):
            with transaction.atomic():
                row = AuditloggedEvent(**event(clinic_id=CLINIC, patient_id=PATIENTS[turn % len(PATIENTS)]))
                row.save(force_insert=True)
            _written.append(row.id)


def _update(units: int) -> None:
    rows = list(AuditloggedEvent.objects.filter(pk__in=_written[-units:]))
    with _as_actor():
        for row in rows:
            row.decision = "withdrawn" if row.decision == "given" else "given"
            with transaction.atomic():
                row.save(update_fields=["decision"])


def _read(units: int) -> None:
    with _as_actor():
        for row_id in _written[-units:]:
            with transaction.atomic():
                row = AuditloggedEvent.objects.get(pk=row_id)
                accessed.send(AuditloggedEvent, instance=row)


def _together(units: int) -> None:
    with _as_actor():
        for start in range(0, units, BATCH):
            with transaction.atomic():
                for turn in range(start, min(start + BATCH, units)):
                    row = AuditloggedEvent(**event(clinic_id=CLINIC, patient_id=PATIENTS[turn % len(PATIENTS)]))
                    row.save(force_insert=True)


TASKS: Final[Mapping[str, Task]] = {
    "create": _create,
    "update": _update,
    "read": _read,
    # It does not notice bulk_create: a batch that is to be on record is saved row by row.
    "batch": _together,
    "together": _together,
}
QUESTIONS: Final[Mapping[str, Question]] = {}
