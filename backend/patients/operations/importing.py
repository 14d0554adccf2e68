"""Taking over what a source knows: batch by batch, each batch whole or not at all, the same again changes nothing."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import record
from backend.patients.models import (
    ImportRun,
)
from backend.patients.operations.importing_dependants import take_over_dependants
from backend.patients.operations.importing_patients import take_over_patients
from backend.patients.operations.intake import (
    ImportRow,
    Intake,
    RowOutcome,
)
from backend.patients.sources.records import (
    PatientRecord,
    Problem,
    Record,
)
from backend.vault.identifiers import new_id

BATCH: Final = 200
IMPORTS_AT_ONCE: Final = 3


@dataclass(slots=True)
class ImportCounts:
    """An import in numbers: rows by outcome, and records by kind and outcome."""

    rows: Counter[RowOutcome] = field(default_factory=Counter)
    kinds: Counter[tuple[str, RowOutcome]] = field(default_factory=Counter)

    def add(self, row: ImportRow) -> None:
        """Count one line of the report."""
        self.rows[row.outcome] += 1
        if row.kind:
            self.kinds[row.kind, row.outcome] += 1


def import_records(
    *,
    clinic_id: UUID,
    records: Iterable[Record | Problem],
    source: str,
    actor: Actor,
    now: datetime,
    on_row: Callable[[ImportRow], None] | None = None,
) -> ImportCounts:
    """Take over patients, representatives and occasions. Interrupted, it keeps whole batches; run again, it goes on.

    `on_row` is called for every line of the report, after what it says was committed.
    """
    run_id = new_id()
    with record(Action.IMPORT_STARTED, by=actor, now=now, clinic_id=clinic_id, run=run_id, source=source):
        ImportRun.objects.create(id=run_id, clinic_id=clinic_id, source=source, started_at=now)
    counts = ImportCounts()
    intake = Intake(clinic_id, source, actor, now)
    for batch, problems in _batches(records):
        for row in [*_taken_over(batch, intake), *_problem_rows(problems)]:
            counts.add(row)
            if on_row is not None:
                on_row(row)
    totals: dict[str, Any] = {outcome.value: counts.rows[outcome] for outcome in RowOutcome}
    with record(Action.IMPORT_FINISHED, by=actor, now=now, clinic_id=clinic_id, run=run_id, **totals):
        ImportRun.objects.filter(id=run_id).update(finished_at=now, **totals)
    return counts


def _batches(records: Iterable[Record | Problem]) -> Iterator[tuple[list[Any], list[Problem]]]:
    """Records of one kind, up to BATCH of them, and the problems met meanwhile."""
    batch: list[Any] = []
    problems: list[Problem] = []
    for item in records:
        if isinstance(item, Problem):
            problems.append(item)
        else:
            if batch and type(item) is not type(batch[0]):
                yield batch, problems
                batch, problems = [], []
            batch.append(item)
        if len(batch) + len(problems) >= BATCH:
            yield batch, problems
            batch, problems = [], []
    yield batch, problems


def _taken_over(batch: list[Any], intake: Intake) -> list[ImportRow]:
    """What came of a batch that was written whole. Another import may enter the same patient: then look again."""
    if not batch:
        return []
    take_over = take_over_patients if isinstance(batch[0], PatientRecord) else take_over_dependants
    for _again in range(IMPORTS_AT_ONCE):
        with suppress(IntegrityError):
            return list(take_over(batch, intake))
    return list(take_over(batch, intake))


def _problem_rows(problems: Sequence[Problem]) -> Iterator[ImportRow]:
    for problem in problems:
        outcome = RowOutcome.REFUSED if problem.kind == "refused" else RowOutcome.UNUSABLE
        yield ImportRow(where=problem.where, outcome=outcome, field=problem.field, reason=problem.reason)
