"""`manage.py import_csv FILE --clinic SLUG`: take over patients and appointments from a spreadsheet."""

from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import CommandError

from backend import clock
from backend.errors import DomainError
from backend.patients.management.importing import ImportCommand
from backend.patients.sources.csv import read_csv


class Command(ImportCommand):
    """Import patients, and appointments where the file has them, from CSV."""

    help = (
        "Import a CSV file; docs/reference/import.md lists its columns. Run again, it changes nothing that is the same."
    )
    source = "csv"

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run."""
        clinic = self.clinic(options["clinic"])
        today = clock.now().astimezone(ZoneInfo(clinic.time_zone)).date()
        try:
            file = read_csv(options["path"], region=clinic.country, zone=clinic.time_zone, today=today)
        except (DomainError, OSError) as error:
            raise CommandError(str(error)) from error
        self.take_over(
            file.records(), clinic=clinic, size=file.size, position=lambda: file.position, report=options["report"]
        )
