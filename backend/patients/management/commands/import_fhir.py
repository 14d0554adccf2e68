"""`manage.py import_fhir DIR --clinic SLUG`: take over a folder of FHIR R4 bulk NDJSON."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import CommandError

from backend import clock
from backend.errors import DomainError
from backend.patients.management.importing import EXIT_CODES, ImportCommand
from backend.patients.sources.fhir import IgnoredFile, read_folder
from backend.patients.sources.reasons import REASONS
from backend.policy.vocabulary import Language


class Command(ImportCommand):
    """Import patients, representatives and occasions from FHIR R4 files."""

    help = f"Import a folder of FHIR R4 bulk NDJSON files. Run again, it changes nothing that is the same. {EXIT_CODES}"
    source = "fhir"

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run."""
        path: Path = options["path"]
        if not path.exists():
            raise CommandError(f"There is no folder {path}.")
        if not path.is_dir():
            raise CommandError(f"{path} is no folder: name the folder that holds the NDJSON files.")
        clinic = self.clinic(options["clinic"])
        today = clock.now().astimezone(ZoneInfo(clinic.time_zone)).date()
        try:
            folder = read_folder(path, region=clinic.country, zone=clinic.time_zone, today=today)
        except DomainError as error:
            raise CommandError(str(error)) from error
        refused = self.take_over(
            folder.records(),
            clinic=clinic,
            size=folder.size,
            position=lambda: folder.position,
            report=options["report"],
        )
        ignored = folder.ignored()
        for file in ignored:
            self.stdout.write(f"not read   {file.file}: {why_not_read(file)}")
        missed = sum(file.is_missed for file in ignored)
        if refused or missed:
            raise CommandError(f"Not everything was imported: {refused} refused, {missed} files could not be read.")


def why_not_read(file: IgnoredFile) -> str:
    """For whoever runs the import."""
    if file.why is not None:
        return REASONS[file.why][Language.ENGLISH]
    return f"{file.resource_type or 'another type'}, {file.lines} lines. This type of resource is not imported."
