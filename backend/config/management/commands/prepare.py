"""`manage.py prepare`: everything that a start needs, in order: carriers, migrations, keys, checks."""

from argparse import ArgumentParser
from io import StringIO
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError, connection, connections
from django.db.migrations.executor import MigrationExecutor

from backend import clock
from backend.audit.actors import system_actor
from backend.audit.checks import every_role_has_what_it_needs_and_no_more
from backend.audit.roles import may_migrate
from backend.config.checks import complaints
from backend.config.starting import prepare_keys, see_that_nothing_was_brought_back
from backend.consent.operations import correct_legal_bases, rebuild_states_of_an_earlier_version
from backend.vault.providers import KeysUnavailable


class Command(BaseCommand):
    """Bring the database up to date, make the keys at first start, and check that every guard is there."""

    # Run below, one after the other, so that what is wrong is told alone and in a sentence.
    requires_system_checks = ()
    help = "Bring the database up to date, make the keys at first start, check every guard. Safe to run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """As whom."""
        parser.add_argument(
            "--migrate",
            action="store_true",
            help="this is the owner's step before the start, not a start: the database role may do everything",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run. What is wrong is told in a sentence: whoever starts a server does not read tracebacks."""
        for sentence in complaints():
            raise CommandError(sentence, returncode=2)
        # The owner's step asks for the owner's connection only: the others may have no rights before it.
        for alias in ["default"] if options["migrate"] else settings.DATABASES:
            try:
                connections[alias].ensure_connection()
            except OperationalError as error:
                setting = "ACCORD_DATABASE_URL" if alias == "default" else "ACCORD_SEQUENCER_DATABASE_URL"
                raise CommandError(f"The database can not be reached, see {setting}: {_first_line(error)}") from error
        self._migrate(options["verbosity"])
        if not options["migrate"]:
            self._see_roles()
        try:
            # Before anything is written: a database from a backup is not added to as it is.
            if added := see_that_nothing_was_brought_back():
                self.stderr.write(f"{added} destroyed keys were added to the ledger, which lacked them.")
            prepare_keys(now=clock.now())
        except KeysUnavailable as error:
            raise CommandError(str(error)) from error
        # Not a migration: it changes guarded rows, and only a process that can write entries may do that.
        correct_legal_bases(actor=system_actor("prepare"), now=clock.now())
        rebuild_states_of_an_earlier_version(actor=system_actor("prepare"), now=clock.now())
        call_command("check", databases=["default"], stdout=self.stdout if options["verbosity"] else StringIO())

    def _migrate(self, verbosity: int) -> None:
        """Only where there is something to do: a role that serves may not even look at some of Django's own tables."""
        try:
            executor = MigrationExecutor(connection)
        except ProgrammingError as error:
            raise CommandError(
                "This database role may not look at the database: run manage.py grant_roles as the owner. "
                f"({_first_line(error)})"
            ) from error
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if not pending:
            return
        if not may_migrate(connection):
            raise CommandError(
                f"Migrations wait for the owner of the database ({len(pending)}): run manage.py prepare --migrate with "
                "the owner's ACCORD_DATABASE_URL, then manage.py grant_roles, then start this again."
            )
        call_command("migrate", interactive=False, skip_checks=True, verbosity=max(0, verbosity - 1))

    def _see_roles(self) -> None:
        """Refuse a database role that lacks rights; warn of one with too many, or refuse it (ACCORD_REQUIRE_ROLES)."""
        found = every_role_has_what_it_needs_and_no_more(databases=list(settings.DATABASES))
        for message in found:
            if message.level >= checks.ERROR:
                raise CommandError(f"{message.msg} {message.hint}")
            self.stderr.write(self.style.WARNING(f"Warning ({message.id}): {message.msg} {message.hint}"))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
