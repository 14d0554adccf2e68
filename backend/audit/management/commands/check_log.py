"""`manage.py check_log`: is every entry of the log as it was written?"""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from backend.audit.verification import check_entries, stored_entries

SHOWN = 20


class Command(BaseCommand):
    """Check every entry by itself. Whether entries are missing only the log's tree can tell, which is not there yet."""

    help = "Check that every entry of the log was written here and not changed. Does not tell whether any is missing."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run, with a progress bar where somebody watches."""
        check = check_entries(tqdm(stored_entries(), unit=" entries", disable=not sys.stderr.isatty()))
        self.stdout.write(f"{check.entries} entries, {check.unreadable} unreadable because their keys were destroyed")
        for finding in check.findings[:SHOWN]:
            self.stdout.write(f"entry {finding.seq}: {finding.what}")
        if not check.holds:
            raise CommandError(f"{len(check.findings)} entries are not as they were written.")
