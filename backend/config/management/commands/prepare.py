"""`manage.py prepare`: everything that a start needs, in order: migrations, keys, checks."""

from io import StringIO
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from backend import clock
from backend.config.starting import prepare_keys


class Command(BaseCommand):
    """Bring the database up to date, make the keys at first start, and check that every guard is there."""

    help = "Bring the database up to date, make the keys at first start, check every guard. Safe to run again."

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run."""
        call_command("migrate", interactive=False, verbosity=max(0, options["verbosity"] - 1))
        prepare_keys(now=clock.now())
        call_command("check", databases=["default"], stdout=self.stdout if options["verbosity"] else StringIO())
