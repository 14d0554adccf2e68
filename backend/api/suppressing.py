"""The suppression list, for the data protection officer: an address comes off it, and it is said why."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api.endpoints import PatientEndpoint
from backend.api.fields import Input, choice_of
from backend.api.permissions import DpoOnly
from backend.patients.suppression import Lifting, lift_suppression
from backend.policy.vocabulary import Channel


class SuppressionLiftedInput(Input):
    """On which channel, and why."""

    channel = choice_of(Channel)
    reason = choice_of(Lifting)


class SuppressionLifted(PatientEndpoint):
    """That an address comes off the suppression list."""

    permission_classes = [DpoOnly]
    tag = "patients"

    @extend_schema(request=SuppressionLiftedInput, responses={204: None})
    def post(self, request: Request, contact_point_id: UUID, **_path: object) -> Response:
        """Take it off, for everybody who has it, and say why. No consent comes back by this."""
        asked = SuppressionLiftedInput.read(request)
        lift_suppression(
            clinic_id=self.clinic.id,
            patient_id=self.patient.id,
            contact_point_id=contact_point_id,
            channel=Channel(asked["channel"]),
            reason=Lifting(asked["reason"]),
            actor=self.actor,
            now=clock.now(),
        )
        return Response(status=204)
