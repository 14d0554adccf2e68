"""`manage.py import_fhir DIR --clinic SLUG`: take over a folder of FHIR R4 bulk NDJSON."""

import csv
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Self

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from backend import clock
from backend.audit.actors import system_actor
from backend.clinics.queries import get_clinic_by_slug
from backend.errors import DomainError
from backend.patients.operations import ImportRow, RowOutcome, import_records
from backend.patients.sources.fhir import read_folder
from backend.patients.sources.reasons import REASONS
from backend.policy.vocabulary import Language


class Command(BaseCommand):
    """Import patients, representatives and occasions from FHIR R4 files."""

    help = "Import a folder of FHIR R4 bulk NDJSON files. Run again, it changes nothing that is the same."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where from, and into which clinic."""
        parser.add_argument("folder", type=Path)
        parser.add_argument("--clinic", required=True, help="short name of the clinic")
        parser.add_argument("--report", type=Path, help="write every line of the report to this CSV file")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run, with a progress bar where somebody watches."""
        try:
            clinic = get_clinic_by_slug(options["clinic"])
            folder = read_folder(options["folder"], region=clinic.country, zone=clinic.time_zone)
        except DomainError as error:
            raise CommandError(str(error)) from error
        report = _Report(options["report"])
        with report, tqdm(total=folder.size, unit="B", unit_scale=True, disable=not sys.stderr.isatty()) as bar:

            def on_row(row: ImportRow) -> None:
                report.add(row)
                bar.update(folder.position - bar.n)

            counts = import_records(
                clinic_id=clinic.id,
                records=folder.records(),
                source="fhir",
                actor=system_actor("import"),
                now=clock.now(),
                on_row=on_row,
            )
        for outcome in RowOutcome:
            self.stdout.write(f"{outcome.value:10} {counts.rows[outcome]}")
        for ignored in folder.ignored():
            self.stdout.write(f"not read   {ignored.file} ({ignored.lines or '?'} lines)")
        for row in report.troubles:
            sentence = REASONS[row.reason][Language.ENGLISH]
            self.stdout.write(f"{row.where.file}:{row.where.line}: {row.field}: {sentence} ({row.outcome})")
        if report.more:
            self.stdout.write(f"... and {report.more} more: --report FILE writes them all")


class _Report:
    shown = 50

    def __init__(self, path: Path | None) -> None:
        self.troubles: list[ImportRow] = []
        self.more = 0
        self._file = path.open("w", encoding="utf-8", newline="") if path else None
        self._writer = csv.writer(self._file) if self._file else None
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
            if len(self.troubles) < self.shown:
                self.troubles.append(row)
            else:
                self.more += 1
