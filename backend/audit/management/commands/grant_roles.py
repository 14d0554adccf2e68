"""`manage.py grant_roles --app NAME ...`: each database role gets the least it needs. For the owner, after migrate."""

from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any, Final

from django.core.management.base import CommandError
from django.db import DatabaseError, connection, transaction

from backend.audit.checks import is_up_to_date, standing_complaints
from backend.audit.management.telling import TellingCommand
from backend.audit.roles import (
    RoleNames,
    creation,
    difference,
    grants,
    others_with_rights,
    owner_of_log,
    revocation,
    standing_of,
    summed_up,
)

LONGEST_NAME: Final = 63


class Command(TellingCommand):
    """Take every right away, give the least back, and look at what came of it; all of it or nothing."""

    help = "Give each database role the least it needs (PostgreSQL). Run as the owner after each migrate."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The names of the roles. No password is ever asked for, taken or shown."""
        parser.add_argument(
            "--app", required=True, metavar="NAME", help="the role that ACCORD_DATABASE_URL serves with"
        )
        parser.add_argument(
            "--sequencer",
            metavar="NAME",
            help="the role of ACCORD_SEQUENCER_DATABASE_URL; without it the app's role writes the log's tree",
        )
        parser.add_argument("--dpo", metavar="NAME", help="a role that reads the log, and nothing else, to verify it")
        parser.add_argument(
            "--create", action="store_true", help="make roles that are not there (they can not sign in)"
        )
        parser.add_argument("--dry-run", action="store_true", help="print the SQL and change nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run."""
        if connection.vendor != "postgresql":
            self.stdout.write("SQLite has no roles: whoever may write the file may do everything. Nothing to grant.")
            return
        names = RoleNames(app=options["app"], sequencer=options["sequencer"], dpo=options["dpo"])
        roles = names.given()
        _see_that_they_can_be_named(list(roles.values()))
        _see_that_we_own_the_log()
        missing = _missing(roles.values())
        if missing and not options["create"]:
            raise CommandError(f"There is no role {', '.join(missing)}: name one that is there, or add --create.")
        if missing and not options["dry_run"]:
            _see_that_we_make_roles(missing)
        _see_that_they_are_small(name for name in roles.values() if name not in missing)
        statements = [*creation(missing), *revocation(connection, roles.values()), *grants(names)]
        if options["dry_run"]:
            self.stdout.write("".join(f"{statement};\n" for statement in statements), ending="")
            return
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                _see_what_came_of_it(names)
        except DatabaseError as error:
            raise CommandError(f"Nothing was changed: {str(error).partition(chr(10))[0]}.") from error
        self._say(names)

    def _say(self, names: RoleNames) -> None:
        roles = names.given()
        self.stdout.write(f"Granted: {', '.join(f'{role} is {name}' for role, name in roles.items())}.")
        if names.sequencer is None:
            self.stdout.write("No sequencer of its own was named: the app's role writes the log's tree.")
        for name in roles.values():
            for _number, complaint in standing_complaints(standing_of(connection, name)):
                self.stdout.write(f"Still, {name} {complaint}: only the database's owner or a superuser can end that.")
        if others := others_with_rights(connection, roles.values()):
            self.stdout.write(f"Rights that others were given by hand stay as they are: {', '.join(others)}.")
        if waiting := _without_login(roles.values()):
            self.stdout.write(f"Nobody can sign in yet as {', '.join(waiting)}. In psql, for each of them:")
            self.stdout.write("  \\password NAME\n  ALTER ROLE NAME LOGIN;")


def _see_that_they_can_be_named(names: list[str]) -> None:
    if len(set(names)) < len(names):
        raise CommandError("Each role needs a name of its own.")
    for name in names:
        if name.lower() == "public" or name.startswith("pg_") or not 0 < len(name.encode()) <= LONGEST_NAME:
            raise CommandError(f"A role can not be named {name!r}.")


def _see_that_we_own_the_log() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('public.audit_entry') IS NOT NULL")
        if not cursor.fetchone()[0] or not is_up_to_date(connection):
            raise CommandError("The database is not up to date: run manage.py prepare --migrate first.")
        owner = owner_of_log(connection)
        cursor.execute("SELECT current_user, pg_has_role(%s::name, 'USAGE')", [owner])
        name, is_owner = cursor.fetchone()
    if not is_owner:
        raise CommandError(f"Only the owner, {owner}, can grant: this is {name}. See ACCORD_DATABASE_URL.")


def _see_that_we_make_roles(missing: Iterable[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")
        if not cursor.fetchone()[0]:
            raise CommandError(
                f"The owner may not make roles, and need not. An administrator does: {'; '.join(creation(missing))};"
            )


def _see_that_they_are_small(names: Iterable[str]) -> None:
    """A role that may do everything can not be given less."""
    for name in names:
        standing = standing_of(connection, name)
        if standing.powers or standing.owns_log or standing.owns_other:
            complaint = next(complaint for _number, complaint in standing_complaints(standing))
            raise CommandError(f"The role {name} {complaint}. Name another one, or take that away first.")


def _see_what_came_of_it(names: RoleNames) -> None:
    """What a role inherits, or was granted by somebody else, is not ours to take away: then nothing is granted."""
    for role, name in names.given().items():
        found = difference(connection, name, role, app_sequences=names.sequencer is None)
        if found.too_much:
            raise CommandError(
                f"Nothing was changed: {name} would still have, by another role or another's grant, "
                f"{summed_up(found.too_much)}."
            )
        if found.too_little:
            raise CommandError(f"Nothing was changed: {name} would lack {summed_up(found.too_little)}.")


def _missing(names: Iterable[str]) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles")
        there = {name for (name,) in cursor.fetchall()}
    return [name for name in names if name not in there]


def _without_login(names: Iterable[str]) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) AND NOT rolcanlogin ORDER BY 1", [list(names)]
        )
        return [name for (name,) in cursor.fetchall()]
