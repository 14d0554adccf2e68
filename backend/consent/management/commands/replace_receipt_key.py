"""`manage.py replace_receipt_key`: another key signs receipts; what the old one signed is checked as before."""

from typing import Any

from django.core.management.base import BaseCommand

from backend import clock
from backend.audit.actors import system_actor
from backend.consent.operations import replace_receipt_key


class Command(BaseCommand):
    """Replace the key that signs receipts; both steps are in the log."""

    help = (
        "Destroy the key that signs receipts and make another. Receipts that were handed out stay valid: the public "
        "half of every key stays published under /receipts/keys."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run, and name the new key."""
        thumbprint = replace_receipt_key(actor=system_actor("receipts"), now=clock.now())
        self.stdout.write(f"Receipts are signed with the key {thumbprint} from now on.")
