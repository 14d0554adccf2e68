"""The clinic itself, and what it contacts patients for."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api.endpoints import ClinicEndpoint
from backend.api.fields import Input, Line, Output, YesNo, choice_of
from backend.api.me import ClinicOutput
from backend.api.pages import refuse_unknown
from backend.api.permissions import DpoOnly, StaffWritesDpoReads
from backend.consent.operations import note_impact_assessment, remind_of_renewal
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
    renewal_reminders = serializers.BooleanField(
        help_text="Does a message say, once, that a yes to this ends soon? Off until the officer switched it on."
    )
    impact_assessment = serializers.CharField(
        help_text="Where the impact assessment is, or why none is needed; empty until the officer said."
    )


class RenewalRemindersInput(Input):
    """Whether a message says, once, that a yes ends soon."""

    reminds = YesNo()


class AssessmentInput(Input):
    """Where the impact assessment is, or why none is needed. It names no patient."""

    reference = Line(max_length=200)


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


class PurposeAssessment(ClinicEndpoint):
    """The officer's word on the impact of a purpose."""

    permission_classes = [DpoOnly]
    tag = "clinic"

    @extend_schema(request=AssessmentInput, responses={204: None})
    def post(self, request: Request, purpose: str, **_path: object) -> Response:
        """Say where its impact assessment is. Without it no programme starts that rests on health data."""
        asked = AssessmentInput.read(request)
        note_impact_assessment(
            clinic_id=self.clinic.id,
            purpose=purpose,
            reference=asked["reference"],
            actor=self.actor,
            now=clock.now(),
        )
        return Response(status=204)


class PurposeRenewalReminders(ClinicEndpoint):
    """The officer's word on reminders to renew."""

    permission_classes = [DpoOnly]
    tag = "clinic"

    @extend_schema(request=RenewalRemindersInput, responses={204: None})
    def post(self, request: Request, purpose: str, **_path: object) -> Response:
        """Switch on or off that a message says, once, that a yes ends soon. It needs that very yes."""
        asked = RenewalRemindersInput.read(request)
        remind_of_renewal(
            clinic_id=self.clinic.id,
            purpose=purpose,
            reminds=asked["reminds"],
            actor=self.actor,
            now=clock.now(),
        )
        return Response(status=204)
