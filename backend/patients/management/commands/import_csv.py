"""`manage.py import_csv FILE --clinic SLUG`: take over patients and appointments from a spreadsheet."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import CommandError

from backend import clock
from backend.patients.management.importing import EXIT_CODES, ImportCommand
from backend.patients.sources.csv import read_csv


class Command(ImportCommand):
    """Import patients, and appointments where the file has them, from CSV."""

    help = (
        "Import a CSV file; docs/reference/import.md lists its columns. Run again, it changes nothing that is the same."
        f" {EXIT_CODES}"
    )
    source = "csv"

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run."""
        path: Path = options["path"]
        refuse_what_is_no_file(path)
        clinic = self.clinic(options["clinic"])
        today = clock.now().astimezone(ZoneInfo(clinic.time_zone)).date()
        file = read_csv(path, region=clinic.country, zone=clinic.time_zone, today=today)
        refused = self.take_over(
            file.records(), clinic=clinic, size=file.size, position=lambda: file.position, report=options["report"]
        )
        if refused:
            raise CommandError(f"Not everything was imported: {refused} refused.")


def refuse_what_is_no_file(path: Path) -> None:
    """The file is read twice, so it has to be one. Raises CommandError."""
    if path.is_dir():
        raise CommandError(f"{path} is a folder, not a file.")
    if not path.exists():
        raise CommandError(f"There is no file {path}.")
    if not path.is_file():
        raise CommandError(f"{path} is no regular file: save what it brings to one first.")
    try:
        path.open("rb").close()
    except OSError as error:
        raise CommandError(f"The file {path} can not be opened: {error.strerror}.") from error
