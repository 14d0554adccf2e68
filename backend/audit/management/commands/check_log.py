"""`manage.py check_log`: is every entry of the log as it was written, and every log as it was signed?"""

import sys
from typing import Any

from django.core.management.base import CommandError
from tqdm import tqdm

from backend.audit.management.telling import TellingCommand
from backend.audit.tree_check import check_trees
from backend.audit.verification import check_entries, stored_entries

SHOWN = 20


class Command(TellingCommand):
    """Check every entry by itself, then each log as a whole."""

    help = (
        "Check that every entry of the log was written here and not changed, that none is missing, and that every "
        "signed checkpoint still fits. For a check that trusts nothing here: audit_export, and the verifier elsewhere."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run, with a progress bar where somebody watches. What keeps it from checking is told in a sentence."""
        quiet = not sys.stderr.isatty()
        check = check_entries(tqdm(stored_entries(), unit=" entries", disable=quiet))
        self.stdout.write(f"{check.entries} entries, {check.unreadable} unreadable because their keys were destroyed")
        for finding in check.findings[:SHOWN]:
            self.stdout.write(f"entry {finding.seq}: {finding.what}")
        with tqdm(unit=" leaves", disable=quiet) as bar:
            trees = check_trees(progress=bar.update)
        self.stdout.write(
            f"{trees.logs} logs, {trees.entries} entries in their places, {trees.waiting} waiting, "
            f"{trees.refused} refused"
        )
        for wrong in trees.findings[:SHOWN]:
            place = "" if wrong.index is None else f", entry {wrong.index}"
            self.stdout.write(f"log {wrong.origin}{place}: {wrong.what}")
        if not check.holds:
            raise CommandError(f"{len(check.findings)} entries are not as they were written.")
        if not trees.holds:
            raise CommandError(f"{len(trees.findings)} places are not as they were signed.")
