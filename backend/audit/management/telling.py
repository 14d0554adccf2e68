"""What commonly goes wrong around a command, told in a sentence with exit code 1 instead of a traceback."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError, ProgrammingError

from backend.vault.ciphers import Tampered
from backend.vault.keyring import KeyUnavailable
from backend.vault.providers import KeysUnavailable

# PostgreSQL, appendix A: undefined table, undefined column, no such schema.
NOT_PREPARED: Final = frozenset({"42P01", "42703", "3F000"})
LACKS_RIGHTS: Final = "42501"
NOBODY_READS: Final = 128 + signal.SIGPIPE


class TellingCommand(BaseCommand):
    """A command whose user is told in a sentence what is not there."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run, checks and all. Raises CommandError for the common failures; what is unheard of keeps its traceback."""
        try:
            with told_in_a_sentence():
                said = super().execute(*args, **options)
                self.stdout.flush()
                return said
        except BrokenPipeError:
            # Whoever read what this says, `head` for one, has gone. Python would complain once more as it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(NOBODY_READS) from None


@contextmanager
def told_in_a_sentence() -> Iterator[None]:
    """Turn a database or keys that can not be used into a CommandError."""
    try:
        yield
    except (OperationalError, InterfaceError, ProgrammingError) as error:
        sentence = _of_database(error)
        if sentence is None:
            raise
        raise CommandError(sentence) from error
    except KeysUnavailable as error:
        raise CommandError(str(error)) from error
    except (Tampered, KeyUnavailable) as error:
        raise CommandError(
            "The keys that are here do not open what is in this database: the topmost key (ACCORD_KEY_PROVIDER and its "
            "settings) belongs to another database, manage.py prepare never ran, or the keys were changed."
        ) from error


def lacks_rights(error: Exception) -> bool:
    """Did PostgreSQL refuse because of who asked?"""
    return sqlstate_of(error) == LACKS_RIGHTS


def sqlstate_of(error: Exception) -> str | None:
    """PostgreSQL's code of an error; None where it has none."""
    return getattr(error.__cause__, "sqlstate", None)


def _of_database(error: Exception) -> str | None:
    state, line = sqlstate_of(error), str(error).partition("\n")[0].strip()
    if state in NOT_PREPARED or line.startswith(("no such table", "no such column")):
        return f"The database is not prepared, or not for this version: run manage.py prepare first. ({line})"
    if state == LACKS_RIGHTS:
        return f"The user of the database may not do this, see ACCORD_DATABASE_URL. ({line})"
    if isinstance(error, ProgrammingError):
        return None
    return f"The database can not be used, see ACCORD_DATABASE_URL: {line}"
