"""`manage.py backup_keys FILE`: the wrapped keys, in one small file, to be kept apart from the data."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from backend import clock
from backend.audit.actors import system_actor
from backend.audit.management.telling import TellingCommand
from backend.config.backups.archive import BackupRefused
from backend.config.backups.taking import take_keys


class Command(TellingCommand):
    """Take a backup of the wrapped keys. Only the newest is of use; keep it no longer than until the next rotation."""

    help = "Back up the wrapped keys, after the data, to another place than the data and the topmost key."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to."""
        parser.add_argument("file", type=Path, help="a file that is not there yet")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run. What is wrong is told in a sentence."""
        try:
            size = take_keys(options["file"], actor=system_actor("backup"), now=clock.now())
        except BackupRefused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{options['file'].name}: {size} bytes, the wrapped keys. The topmost key is not in it.")
