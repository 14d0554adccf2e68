"""`manage.py restore --data FILE --keys FILE`: both backups brought back, and what was destroyed destroyed again."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from backend import clock
from backend.audit.actors import system_actor
from backend.audit.growing import LogInconsistent
from backend.audit.sequencing import sequence_all, sequence_leftovers
from backend.config.backups.archive import BackupRefused
from backend.config.backups.bringing_back import bring_back
from backend.config.env import SettingRefused
from backend.config.serve import hold_folder
from backend.vault.providers import KeysUnavailable


class Command(BaseCommand):
    """Restore into an empty database (PostgreSQL) or beside the present file (SQLite), then let the log go on."""

    # The database may be empty yet.
    requires_system_checks = ()
    help = "Bring back a backup of the data and one of the keys; destroyed keys are destroyed again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """From where."""
        parser.add_argument("--data", type=Path, required=True, help="what backup_data wrote")
        parser.add_argument("--keys", type=Path, required=True, help="what backup_keys wrote; the newest there is")
        parser.add_argument("--replace", action="store_true", help="SQLite: put the present file aside")
        parser.add_argument(
            "--accept-older-keys",
            action="store_true",
            help="the keys are older than the data: whoever was entered between them can not be read",
        )

        parser.add_argument(
            "--without-ledger",
            action="store_true",
            help="the ledger of destroyed keys is lost: only the backups tell who was erased",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run. What is wrong is told in a sentence."""
        now = clock.now()
        lock = None
        try:
            lock = hold_folder(Path(settings.ACCORD_DATA_DIR))
            done = bring_back(
                options["data"],
                options["keys"],
                actor=system_actor("restore"),
                now=now,
                replace=options["replace"],
                accept_older_keys=options["accept_older_keys"],
                without_ledger=options["without_ledger"],
            )
            sequence_leftovers(now=now)
            sequence_all(now=now)
        except (BackupRefused, KeysUnavailable, SettingRefused, LogInconsistent) as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"The database refuses: {str(error).partition(chr(10))[0]}") from error
        finally:
            if lock is not None:
                os.close(lock)
        self.stdout.write(
            f"Restored: {done.restored.entries} entries, {done.data_keys} keys, of which {done.destroyed_again} were "
            f"destroyed again. The log goes on, epoch {done.restored.epoch}."
        )
        if done.tombstones:
            self.stdout.write(
                f"{done.tombstones} destroyed keys were added to the ledger from the database that was put aside."
            )
        if done.tombstones is None:
            self.stderr.write(
                "Which keys were destroyed in the database that was put aside could not be read: the ledger and the "
                "backups alone told what to destroy again."
            )
        if done.restored.damaged:
            self.stderr.write(
                f"{', '.join(done.restored.damaged)}: could not be read, and was set aside in ACCORD_CHECKPOINT_DIR. "
                "How many entries were lost can not be told: compare with a checkpoint that was kept elsewhere."
            )
        if done.restored.lost:
            self.stderr.write(
                f"{done.restored.lost} entries that were signed are not in this backup. The checkpoints that prove "
                "them were set aside in ACCORD_CHECKPOINT_DIR; tell the data protection officers."
            )
        if done.set_aside:
            self.stdout.write(
                f"The file that was there is {done.set_aside.name} now: it holds wrapped keys, remove it when it is "
                "not needed any more."
            )
        self.stdout.write(
            "Run manage.py prepare (as the owner with --migrate, then grant_roles, where there are roles)."
        )
