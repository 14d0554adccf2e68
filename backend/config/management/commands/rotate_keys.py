"""`manage.py rotate_keys`: new keys above the data keys, everything wrapped anew, the old ones destroyed."""

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser
from tqdm import tqdm

from backend import clock
from backend.audit.actors import system_actor
from backend.audit.management.telling import TellingCommand
from backend.audit.rotation import RotationStopped, begin_provider_epoch, keys_to_wrap, rotate_keys
from backend.audit.sequencing import NotSequenced, require_inclusion
from backend.clinics.queries import get_clinic_by_slug
from backend.errors import DomainError
from backend.vault.keyring import keyring

INTERRUPTED = 130


class Command(TellingCommand):
    """Rotate the topmost key and every clinic's, or one clinic's; each step is in the log."""

    help = (
        "Make a new topmost key and new clinic keys, wrap every data key anew, destroy the old ones. Safe while Accord "
        "runs; interrupted, it goes on when it is run again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Which keys."""
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--clinic", metavar="SLUG", help="Rotate this clinic's key only; the topmost key stays.")
        what.add_argument(
            "--begin",
            action="store_true",
            help="Make the new topmost key and stop, so that it can be backed up (and copied to every machine) first.",
        )

        parser.add_argument(
            "--again",
            action="store_true",
            help="With --begin: the key that was begun is lost everywhere, before anything was wrapped under it.",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run. What is wrong is told in a sentence."""
        if options["again"] and not options["begin"]:
            raise CommandError("--again goes with --begin.")
        try:
            if options["begin"]:
                self._begin(again=options["again"])
            else:
                self._rotate(options["clinic"])
        except RotationStopped as error:
            raise CommandError(str(error)) from error
        except DomainError as error:
            raise CommandError(f"There is no clinic with the short name {options['clinic']}.") from error
        except KeyboardInterrupt:
            raise CommandError(
                "Interrupted. Nothing is lost: run it again, it goes on where it stopped.", returncode=INTERRUPTED
            ) from None

    def _begin(self, *, again: bool) -> None:
        epoch = begin_provider_epoch(actor=system_actor("rotation"), now=clock.now(), again=again)
        provider = keyring().provider
        self.stdout.write(
            f"Epoch {epoch} of the topmost key was made ({provider.name}, fingerprint {provider.fingerprint(epoch)}). "
            "Nothing is wrapped under it yet. Back it up apart from the database, bring it to every machine that "
            "serves, then run rotate_keys."
        )

    def _rotate(self, slug: str | None) -> None:
        clinic_id = None if slug is None else get_clinic_by_slug(slug).id
        with tqdm(
            total=keys_to_wrap(clinic_id=clinic_id), unit=" keys", leave=False, disable=not sys.stderr.isatty()
        ) as bar:
            done = rotate_keys(
                actor=system_actor("rotation"), now=clock.now(), clinic_id=clinic_id, told=lambda count: _on(bar, count)
            )
        if done.goes_on:
            self.stdout.write("Went on with the rotation that had been begun.")
        self.stdout.write(
            f"{done.data_keys_wrapped} data keys were wrapped anew, {done.clinic_keys_made} clinic keys made, "
            f"{done.clinic_keys_destroyed} destroyed."
        )
        if done.provider_epochs_destroyed:
            gone = ", ".join(map(str, done.provider_epochs_destroyed))
            self.stdout.write(
                f"The topmost key is of epoch {done.provider_epoch} now; destroyed: {gone}. Copies of the old one, and "
                "backups of the keys that were taken before, open nothing any more: take a backup of the keys now."
            )
        if done.last_entry is not None:
            try:
                require_inclusion(done.last_entry, now=clock.now())
            except NotSequenced:
                self.stderr.write("The last entries have no place in the signed log yet: see that a worker runs.")


def _on(bar: "tqdm[Any]", count: int) -> None:
    bar.update(count)
