"""What every endpoint does around its one operation: language, token, permission, clinic, patient, headers."""

from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponseBase
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.accounts.queries import Bearer
from backend.api.authentication import bearer_of
from backend.api.languages import choose_language
from backend.api.problems import RecordedNotFound
from backend.api.throttling import PerAddress
from backend.audit.actors import Actor
from backend.clinics.queries import ClinicFacts, get_clinic
from backend.consent.operations import Expression
from backend.errors import NotFound
from backend.patients.queries import PatientFacts, require_patient
from backend.policy.contact import EVERY_PURPOSE
from backend.policy.vocabulary import Method


class Endpoint(APIView):
    """One address of the API. A subclass names its permission; the default lets nobody in."""

    tag: ClassVar[str] = ""
    http_method_names = ["get", "head", "post", "patch", "delete"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Everything that is the same for every request, before its method runs."""
        super().initial(request, *args, **kwargs)
        choose_language(request)

    def perform_authentication(self, request: Request) -> None:
        """Ask for the token; whoever has no good one is counted by address before being told so."""
        try:
            super().perform_authentication(request)
            bearer_of(request)
        except (exceptions.AuthenticationFailed, exceptions.NotAuthenticated):
            by_address = PerAddress()
            if not by_address.allow_request(request, self):
                self.throttled(request, by_address.wait() or 0.0)
            raise

    def finalize_response(self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any) -> Any:
        """What is said to one token stays with it: no cache keeps it."""
        response = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[arg-type] # DRF's stubs want its own Response
        response["Cache-Control"] = "no-store"
        return response

    @property
    def bearer(self) -> Bearer:
        """Whoever asks."""
        return bearer_of(self.request)

    @property
    def actor(self) -> Actor:
        """Whoever asks, as the log names them."""
        return self.bearer.actor


class MeEndpoint(Endpoint):
    """Under `/me`: the clinic and the patient are those of the token."""

    clinic: ClinicFacts
    patient: PatientFacts
    # What whoever asks is not told of; `*`: of nothing. The patient keeps nothing from themselves.
    hidden: frozenset[str] = frozenset()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Look up who it is about."""
        super().initial(request, *args, **kwargs)
        bearer = self.bearer
        if bearer.patient_id is None:
            raise NotFound
        self.clinic = get_clinic(bearer.clinic_id)
        self.patient = require_patient(clinic_id=bearer.clinic_id, patient_id=bearer.patient_id)

    def expression(self, **said: Any) -> Expression:
        """Something said in the app, by whoever asks."""
        return Expression(method=Method.APP, **said)

    def refuse_hidden(self, purpose: str) -> None:
        """Refuse to speak of what the patient keeps from whoever asks. Raises NotFound, as if it did not exist."""

    def note_hidden(self) -> None:
        """Record that something was left out, where something was."""


class ClinicEndpoint(Endpoint):
    """Under `/clinics/{slug}`: any clinic but the token's own looks like a missing one."""

    clinic: ClinicFacts

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Look up the clinic."""
        super().initial(request, *args, **kwargs)
        self.clinic = get_clinic(self.bearer.clinic_id)
        if self.clinic.slug != kwargs["slug"]:
            raise RecordedNotFound


class PatientEndpoint(ClinicEndpoint):
    """Under `/clinics/{slug}/patients/{patient}`: another clinic's patient looks like a missing one."""

    patient: PatientFacts
    patient_id_found: UUID | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Look up the patient."""
        super().initial(request, *args, **kwargs)
        self.patient = require_patient(clinic_id=self.clinic.id, patient_id=kwargs["patient_id"])
        self.patient_id_found = self.patient.id


def is_shown(purpose: str, hidden: frozenset[str]) -> bool:
    """May whoever asks know of this purpose?"""
    return not {purpose, EVERY_PURPOSE} & hidden


def page(results: list[Any], *, next_cursor: str | None = None) -> Response:
    """Every list has this form."""
    return Response({"results": results, "next": next_cursor})
