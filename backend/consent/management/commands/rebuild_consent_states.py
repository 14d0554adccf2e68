"""`manage.py rebuild_consent_states --clinic SLUG`: make every state anew from its events, and compare."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from backend import clock
from backend.audit.actors import system_actor
from backend.clinics.queries import get_clinic_by_slug
from backend.consent.operations import rebuild_states
from backend.errors import DomainError


class Command(BaseCommand):
    """Compare every consent state with its events, and put right what differs."""

    help = "Compare every consent state with its events, and put right what differs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which clinic."""
        parser.add_argument("--clinic", required=True, help="short name of the clinic")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run, with a progress bar where somebody watches."""
        try:
            clinic = get_clinic_by_slug(options["clinic"])
        except DomainError as error:
            raise CommandError(str(error)) from error
        with tqdm(unit=" states", disable=not sys.stderr.isatty()) as bar:
            rebuilt = rebuild_states(
                clinic_id=clinic.id, actor=system_actor("rebuild"), now=clock.now(), on_state=bar.update
            )
        self.stdout.write(f"{rebuilt.states} states, {rebuilt.different} different from their events")
