"""`manage.py replay_destroyed_keys`: what was destroyed before a backup was brought back is destroyed again."""

from typing import Any

from backend import clock
from backend.audit.actors import system_actor
from backend.audit.management.telling import TellingCommand
from backend.audit.restoring import replay_destroyed_keys


class Command(TellingCommand):
    """Destroy again every key that the ledger, or the log itself, says was destroyed; each with an entry."""

    help = "After a backup was restored: destroy again the keys that were destroyed since it was taken."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run. What is wrong is told in a sentence."""
        count = replay_destroyed_keys(actor=system_actor("restore"), now=clock.now())
        self.stdout.write(f"{count} keys were destroyed again.")
