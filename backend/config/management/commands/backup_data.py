"""`manage.py backup_data FILE`: everything but the wrapped keys, in one file."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from backend import clock
from backend.audit.actors import system_actor
from backend.audit.management.telling import TellingCommand
from backend.config.backups.archive import BackupRefused
from backend.config.backups.taking import take_data


class Command(TellingCommand):
    """Take a backup of the data. It may be kept long: without the keys it is ciphertext, ids and times."""

    help = "Back up everything but the wrapped keys (PostgreSQL: pg_dump; SQLite: its backup interface)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to."""
        parser.add_argument("file", type=Path, help="a file that is not there yet")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run. What is wrong is told in a sentence."""
        try:
            size = take_data(options["file"], actor=system_actor("backup"), now=clock.now())
        except BackupRefused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{options['file'].name}: {size} bytes, the data without its keys. Back the keys up as well.")
