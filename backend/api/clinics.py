"""The clinic itself, and what it contacts patients for."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend.api.endpoints import ClinicEndpoint
from backend.api.fields import Output, choice_of
from backend.api.me import ClinicOutput
from backend.api.pages import refuse_unknown
from backend.api.permissions import StaffWritesDpoReads
from backend.consent.queries import purposes_of
from backend.policy.vocabulary import Channel, Nature


class PurposeOutput(Output):
    """What a clinic contacts patients for."""

    slug = serializers.CharField()
    nature = choice_of(Nature)
    names = serializers.DictField(child=serializers.CharField())
    statements = serializers.DictField(child=serializers.CharField())
    channels = serializers.ListField(child=choice_of(Channel))
    requires_consent = serializers.BooleanField()
    validity_months = serializers.IntegerField()


class ClinicWithPurposesOutput(ClinicOutput):
    """A clinic with its purposes."""

    id = serializers.UUIDField()
    purposes = PurposeOutput(many=True)


class Clinic(ClinicEndpoint):
    """The clinic that the token belongs to."""

    permission_classes = [StaffWritesDpoReads]
    tag = "clinic"

    @extend_schema(responses=ClinicWithPurposesOutput)
    def get(self, request: Request, **_path: object) -> Response:
        """Its names, where it is, and what it contacts patients for."""
        refuse_unknown(request)
        own = dict(ClinicOutput(self.clinic).data)
        purposes = PurposeOutput(list(purposes_of(self.clinic.id).values()), many=True).data
        return Response({**own, "id": str(self.clinic.id), "purposes": purposes})
