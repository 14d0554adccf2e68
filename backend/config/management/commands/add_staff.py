"""`manage.py add_staff HANDLE --clinic SLUG --role staff|dpo`: somebody who works for a clinic, and a token."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from backend import clock
from backend.accounts.models import Role
from backend.accounts.operations import create_account, issue_account_token
from backend.accounts.queries import find_account_id
from backend.audit.actors import system_actor
from backend.clinics.models import MembershipRole
from backend.clinics.operations import add_member
from backend.clinics.queries import find_membership, get_clinic_by_slug
from backend.errors import DomainError


class Command(BaseCommand):
    """Make an account a member of a clinic where it is none yet, and issue an access token, shown once."""

    help = "Add somebody to a clinic and issue an access token for them; run again, it issues another token."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Who, where, as what."""
        parser.add_argument("handle", help="how the account is called, such as reception@tilleuls")
        parser.add_argument("--clinic", required=True, help="short name of the clinic")
        parser.add_argument("--role", required=True, choices=[role.value for role in MembershipRole])
        parser.add_argument("--health-professional", action="store_true", help="may approve programmes")
        parser.add_argument("--days", type=int, default=90, help="how long the token is good for (default 90)")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run: all of it, or nothing."""
        actor, now = system_actor("set_up"), clock.now()
        if options["days"] < 1:
            raise CommandError("A token is good for at least one day.")
        try:
            clinic = get_clinic_by_slug(options["clinic"])
            with transaction.atomic():
                account_id = find_account_id(options["handle"]) or create_account(
                    handle=options["handle"], actor=actor, now=now
                )
                member = find_membership(account_id=account_id, clinic_id=clinic.id)
                if member is None:
                    add_member(
                        clinic_id=clinic.id,
                        account_id=account_id,
                        role=MembershipRole(options["role"]),
                        is_health_professional=options["health_professional"],
                        actor=actor,
                        now=now,
                    )
                elif member.role != options["role"]:
                    raise CommandError(f"{options['handle']} is a member of this clinic already, as {member.role}.")
                token = issue_account_token(
                    clinic_id=clinic.id,
                    account_id=account_id,
                    role=Role(options["role"]),
                    actor=actor,
                    now=now,
                    life=timedelta(days=options["days"]),
                )
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stderr.write("The token is shown once, here; only its hash is kept.")
        self.stdout.write(token)
