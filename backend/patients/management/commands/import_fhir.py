"""`manage.py import_fhir DIR --clinic SLUG`: take over a folder of FHIR R4 bulk NDJSON."""

from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import CommandError

from backend import clock
from backend.errors import DomainError
from backend.patients.management.importing import ImportCommand
from backend.patients.sources.fhir import read_folder


class Command(ImportCommand):
    """Import patients, representatives and occasions from FHIR R4 files."""

    help = "Import a folder of FHIR R4 bulk NDJSON files. Run again, it changes nothing that is the same."
    source = "fhir"

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run."""
        clinic = self.clinic(options["clinic"])
        today = clock.now().astimezone(ZoneInfo(clinic.time_zone)).date()
        try:
            folder = read_folder(options["path"], region=clinic.country, zone=clinic.time_zone, today=today)
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.take_over(
            folder.records(),
            clinic=clinic,
            size=folder.size,
            position=lambda: folder.position,
            report=options["report"],
        )
        for ignored in folder.ignored():
            self.stdout.write(f"not read   {ignored.file} ({ignored.lines} lines)")
