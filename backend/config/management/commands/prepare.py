"""`manage.py prepare`: everything that a start needs, in order: carriers, migrations, keys, checks."""

from io import StringIO
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection

from backend import clock
from backend.config.checks import complaints
from backend.config.starting import prepare_keys
from backend.vault.providers import KeysUnavailable


class Command(BaseCommand):
    """Bring the database up to date, make the keys at first start, and check that every guard is there."""

    # Run below, one after the other, so that what is wrong is told alone and in a sentence.
    requires_system_checks = ()
    help = "Bring the database up to date, make the keys at first start, check every guard. Safe to run again."

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run. What is wrong is told in a sentence: whoever starts a server does not read tracebacks."""
        for sentence in complaints():
            raise CommandError(sentence, returncode=2)
        try:
            connection.ensure_connection()
        except OperationalError as error:
            raise CommandError(
                f"The database can not be reached, see ACCORD_DATABASE_URL: {_first_line(error)}"
            ) from error
        call_command("migrate", interactive=False, skip_checks=True, verbosity=max(0, options["verbosity"] - 1))
        try:
            prepare_keys(now=clock.now())
        except KeysUnavailable as error:
            raise CommandError(str(error)) from error
        call_command("check", databases=["default"], stdout=self.stdout if options["verbosity"] else StringIO())


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
