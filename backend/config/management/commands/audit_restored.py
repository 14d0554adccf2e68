"""`manage.py audit_restored`: the step after a restore by other means than `manage.py restore`."""

from typing import Any

from django.core.management.base import CommandError
from django.db import ProgrammingError

from backend import clock
from backend.audit.actors import system_actor
from backend.audit.growing import LogInconsistent
from backend.audit.management.telling import TellingCommand, lacks_rights
from backend.audit.restoring import note_restore
from backend.audit.sequencing import sequence_all, sequence_leftovers


class Command(TellingCommand):
    """Say in every log that the database was restored, and let the logs go on behind what is there."""

    help = "After the database was restored by other means than `restore`: the log goes on, and says so."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run, as the owner of the tables."""
        try:
            done = note_restore(actor=system_actor("restore"), now=clock.now())
            sequence_leftovers(now=clock.now())
            sequence_all(now=clock.now())
        except ProgrammingError as error:
            if not lacks_rights(error):
                raise
            raise CommandError(
                f"This needs the owner of the tables, see ACCORD_DATABASE_URL: {str(error).partition(chr(10))[0]}"
            ) from error
        except LogInconsistent as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"The log goes on, epoch {done.epoch}, behind {done.entries} entries.")
        if done.damaged:
            self.stderr.write(
                f"{', '.join(done.damaged)}: could not be read, and was set aside in ACCORD_CHECKPOINT_DIR. How many "
                "entries were lost can not be told: compare with a checkpoint that was kept elsewhere."
            )
        if done.lost:
            self.stderr.write(
                f"{done.lost} entries that were signed are not in this database: they were lost with what was not in "
                "the backup. The checkpoints that prove them were set aside in ACCORD_CHECKPOINT_DIR; tell the data "
                "protection officers."
            )
