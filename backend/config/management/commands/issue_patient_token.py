"""`manage.py issue_patient_token PATIENT --clinic SLUG`: an access token for one patient, or who represents them."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from backend import clock
from backend.accounts.operations import issue_patient_token, issue_representative_token
from backend.audit.actors import system_actor
from backend.clinics.queries import get_clinic_by_slug
from backend.errors import DomainError
from backend.patients.queries import get_patient, representations_of


class Command(BaseCommand):
    """Issue an access token for one patient, shown once. Sign-in comes later; until then it is done here."""

    help = "Issue an access token for one patient, for the clinic's app."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose."""
        parser.add_argument("patient", type=UUID, help="the patient's id, as the API shows it")
        parser.add_argument("--clinic", required=True, help="short name of the clinic")
        parser.add_argument(
            "--representative", type=UUID, help="for who represents the patient: their id, as the API shows it"
        )
        parser.add_argument("--days", type=int, default=90, help="how long the token is good for (default 90)")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run."""
        if options["days"] < 1:
            raise CommandError("A token is good for at least one day.")
        try:
            clinic = get_clinic_by_slug(options["clinic"])
            patient = get_patient(clinic_id=clinic.id, patient_id=options["patient"])
        except DomainError as error:
            raise CommandError(str(error)) from error
        representative_id: UUID | None = options["representative"]
        issued: dict[str, Any] = {
            "clinic_id": clinic.id,
            "patient_id": patient.id,
            "actor": system_actor("set_up"),
            "now": clock.now(),
            "life": timedelta(days=options["days"]),
        }
        if representative_id is None:
            token = issue_patient_token(**issued)
        else:
            known = {one.id for one in representations_of([patient.id]).get(patient.id, [])}
            if representative_id not in known:
                raise CommandError("This person does not represent the patient.")
            token = issue_representative_token(**issued, representative_id=representative_id)
        self.stderr.write("The token is shown once, here; only its hash is kept.")
        self.stdout.write(token)
