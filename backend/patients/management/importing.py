"""What the import commands share: the progress bar, the report row by row, and what is said at the end."""

import csv
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from tqdm import tqdm

from backend import clock
from backend.audit.actors import system_actor
from backend.clinics.queries import ClinicFacts, get_clinic_by_slug
from backend.errors import DomainError
from backend.patients.operations import ImportRow, RowOutcome, import_records
from backend.patients.sources.reasons import REASONS
from backend.patients.sources.records import Problem, Record
from backend.policy.vocabulary import Language

SHOWN = 50
UNPREPARED = "There is no database here yet: run manage.py prepare first."
EXIT_CODES = "Exit code 1 when anything was refused or could not be read, although the rest was imported; 0 otherwise."


class ImportCommand(BaseCommand):
    """An import with a progress bar where somebody watches, and a report.

    Exit code 0: everything was taken over. 1: something was refused or could not be read, and the rest was taken over;
    or nothing could be done, and one sentence says why.
    """

    source = ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where from, and into which clinic."""
        parser.add_argument("path", type=Path)
        parser.add_argument("--clinic", required=True, help="short name of the clinic")
        parser.add_argument("--report", type=Path, help="write every line of the report to this CSV file")

    def clinic(self, slug: str) -> ClinicFacts:
        """The clinic that was named."""
        self._refuse_unprepared()
        try:
            return get_clinic_by_slug(slug)
        except DomainError as error:
            raise CommandError(f"There is no clinic called {slug}.") from error
        except DatabaseError as error:
            raise CommandError(UNPREPARED) from error

    def _refuse_unprepared(self) -> None:
        """Look for the embedded database before it is opened: opening would leave an empty one behind."""
        name = str(settings.DATABASES["default"]["NAME"])
        if connection.vendor == "sqlite" and not name.startswith(("file:", ":")):
            path = Path(name)
            if not path.is_file() or path.stat().st_size == 0:
                raise CommandError(UNPREPARED)

    def take_over(
        self,
        records: Iterable[Record | Problem],
        *,
        clinic: ClinicFacts,
        size: int,
        position: Callable[[], int],
        report: Path | None,
    ) -> int:
        """Import, and say what came of it. Answers how many lines were refused."""
        with (
            _Report(report) as written,
            tqdm(total=size, unit="B", unit_scale=True, disable=not sys.stderr.isatty()) as bar,
        ):

            def on_row(row: ImportRow) -> None:
                written.add(row)
                bar.update(position() - bar.n)

            counts = import_records(
                clinic_id=clinic.id,
                records=records,
                source=self.source,
                actor=system_actor("import"),
                now=clock.now(),
                on_row=on_row,
            )
        for outcome in RowOutcome:
            self.stdout.write(f"{outcome.value:10} {counts.rows[outcome]}")
        for row in written.troubles:
            sentence = REASONS[row.reason][Language.ENGLISH]
            field = f" {row.field}:" if row.field else ""
            self.stdout.write(f"{row.where.file}:{row.where.line}:{field} {sentence} ({row.outcome})")
        if written.more:
            self.stdout.write(f"... and {written.more} more: --report FILE writes them all")
        return counts.rows[RowOutcome.REFUSED]


class _Report:
    def __init__(self, path: Path | None) -> None:
        self.troubles: list[ImportRow] = []
        self.more = 0
        self._file = path.open("w", encoding="utf-8", newline="") if path else None
        self._writer: Any = csv.writer(self._file) if self._file else None
        if self._writer:
            self._writer.writerow(["file", "line", "kind", "outcome", "field", "reason"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._file:
            self._file.close()

    def add(self, row: ImportRow) -> None:
        if self._writer:
            self._writer.writerow([row.where.file, row.where.line, row.kind, row.outcome, row.field, row.reason])
        if row.outcome in {RowOutcome.REFUSED, RowOutcome.UNUSABLE}:
            if len(self.troubles) < SHOWN:
                self.troubles.append(row)
            else:
                self.more += 1
