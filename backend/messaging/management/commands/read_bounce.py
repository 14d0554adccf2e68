"""`manage.py read_bounce < mail`: act upon an e-mail that came back; called by a mail server for each."""

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, BinaryIO, Final

from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError

from backend import clock
from backend.messaging.carriers.returned import LONGEST_MAIL
from backend.messaging.configured import bounce_key
from backend.messaging.returned_mail import read_folder, take_returned_mail

CHUNK: Final = 64 * 1024


class Command(BaseCommand):
    """Read one mail from standard input, or what is new in a Maildir, and say what came of it."""

    help = "Act upon e-mail that came back: one from standard input, or a Maildir. See docs/how-to/take-bounces.md."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where it came to, or where many are."""
        parser.add_argument("--recipient", default="", help="the address that the mail came to, as the server says")
        parser.add_argument("--maildir", type=Path, help="act upon everything that is new in this folder instead")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run. Exit code 75 asks the mail server to come again; whatever the mail says, it is never sent back."""
        try:
            if (folder := options["maildir"]) is not None:
                counts = read_folder(folder, key=bounce_key(), now=clock.now())
                told = "\n".join(f"{taken:12} {count}" for taken, count in sorted(counts.items())) or "Nothing is new."
            else:
                mail = _read_to_the_end(sys.stdin.buffer)
                told = take_returned_mail(mail, key=bounce_key(), recipient=options["recipient"], now=clock.now()).value
        except (OperationalError, InterfaceError) as error:
            raise CommandError("The database can not be reached: try again.", returncode=os.EX_TEMPFAIL) from error
        except OSError as error:
            raise CommandError(f"The folder can not be read ({error.strerror}).") from error
        self.stdout.write(told)


def _read_to_the_end(source: BinaryIO) -> bytes:
    """The beginning of a mail, as far as it is looked at. The rest is read too: a mail server writes all of it."""
    kept = source.read(LONGEST_MAIL)
    while source.read(CHUNK):
        pass
    return kept
