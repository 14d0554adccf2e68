"""`manage.py set_up_clinic SLUG --name ...`: a new clinic, with the ready-made library."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from backend import clock
from backend.audit.actors import system_actor
from backend.clinics.operations import create_clinic
from backend.errors import DomainError
from backend.programmes.operations.installing import install_library


class Command(BaseCommand):
    """Set up a clinic that is ready to bring in patients. Its programmes are drafts: none sends before its approval."""

    help = "Set up a clinic with the library of purposes, notice, templates and programmes (all drafts)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What a clinic has to say of itself: a notice names it and tells how to reach it (GDPR Art. 13(1)(a))."""
        parser.add_argument("slug", help="short name in addresses, such as tilleuls")
        parser.add_argument("--name", required=True, help="full name, as in a letter head")
        parser.add_argument("--telephone", required=True)
        parser.add_argument("--address", required=True, help="in one line")
        parser.add_argument(
            "--discreet-name", default="", help="what a lock screen may show; at most 25 characters fit"
        )
        parser.add_argument("--country", default="FR")
        parser.add_argument("--time-zone", default="Europe/Paris")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run: all of it, or nothing."""
        actor, now = system_actor("set_up"), clock.now()
        try:
            with transaction.atomic():
                clinic_id = create_clinic(
                    slug=options["slug"],
                    name=options["name"],
                    discreet_name=options["discreet_name"],
                    country=options["country"],
                    time_zone=options["time_zone"],
                    telephone=options["telephone"],
                    address=options["address"],
                    actor=actor,
                    now=now,
                )
                programmes = install_library(clinic_id=clinic_id, actor=actor, now=now)
        except (DomainError, ValueError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"The clinic {options['slug']} is set up, with the programmes {', '.join(sorted(programmes))}."
        )
        self.stdout.write(f"Next: manage.py add_staff HANDLE --clinic {options['slug']} --role staff")
