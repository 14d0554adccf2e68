"""`manage.py deliver_due_messages`: hand over what is due, once."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from backend import clock
from backend.messaging import delivery
from backend.messaging.configured import configured_carriers
from backend.messaging.held import Pace
from backend.messaging.journal import prepared_folder


class Command(BaseCommand):
    """Hand over every message that is due now, and say what came of them."""

    help = "Hand over every message that is due now. Several may run at once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How many at most."""
        parser.add_argument("--at-most", type=int, help="stop after so many messages")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run."""
        pace = Pace(
            batch=settings.ACCORD_BATCH_SIZE, lease=settings.ACCORD_LEASE_SECONDS, call=settings.ACCORD_CALL_SECONDS
        )
        done = delivery.deliver_due_messages(
            now=clock.now(),
            carriers=configured_carriers(),
            pace=pace,
            at_most=options["at_most"],
            journals=prepared_folder(settings.ACCORD_JOURNAL_DIR),
        )
        for state, count in sorted(done.counts.items()):
            self.stdout.write(f"{state:14} {count}")
        if not done.counts:
            self.stdout.write("Nothing was due.")
