"""The call list: whom to call now, the words to say, and how it ended."""

from dataclasses import asdict
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api.endpoints import ClinicEndpoint
from backend.api.fields import Input, Moment, Output, choice_of
from backend.api.pages import refuse_unknown
from backend.api.permissions import StaffOnly
from backend.audit.actions import Action
from backend.audit.recording import record
from backend.messaging.calls import CallOutcome, calls_waiting, end_call, take_call
from backend.policy.vocabulary import Language, MessageState


class WaitingCallOutput(Output):
    """A call that waits. Who it is and what to say is shown to whoever takes it."""

    message = serializers.UUIDField(source="message_id")
    patient = serializers.UUIDField(source="patient_id")
    purpose = serializers.CharField()
    due_at = Moment()
    expires_at = Moment(allow_null=True)
    tries = serializers.IntegerField(help_text="How often it was tried already.")


class CallsList(Output):
    """The calls to make now, those that are of use for the shortest time first; at most a hundred."""

    results = WaitingCallOutput(many=True)


class CallOutput(Output):
    """Whom to call and what to say, until when it is yours."""

    message = serializers.UUIDField(source="message_id")
    patient = serializers.UUIDField(source="patient_id")
    given_names = serializers.ListField(child=serializers.CharField())
    family_name = serializers.CharField()
    number = serializers.CharField()
    words = serializers.CharField()
    language = choice_of(Language)
    for_child = serializers.BooleanField(help_text="Is it the number of whoever answers for the patient?")
    until = Moment()


class CallOutcomeInput(Input):
    """How a call ended."""

    outcome = choice_of(CallOutcome)


class CallEndedOutput(Output):
    """Where the message stands; how many consents to calls were withdrawn, and whether nothing more may come."""

    state = choice_of(MessageState)
    withdrawn = serializers.IntegerField()
    confirmed = serializers.BooleanField()


class Calls(ClinicEndpoint):
    """The call list."""

    permission_classes = [StaffOnly]
    tag = "calls"

    @extend_schema(responses=CallsList)
    def get(self, request: Request, **_path: object) -> Response:
        """The calls that wait, without names or numbers. Looking is recorded."""
        refuse_unknown(request)
        now = clock.now()
        with record(Action.MESSAGES_READ, by=self.actor, now=now, clinic_id=self.clinic.id):
            waiting = calls_waiting(clinic_id=self.clinic.id, now=now)
        return Response({"results": [WaitingCallOutput(asdict(one)).data for one in waiting]})


class TakenCall(ClinicEndpoint):
    """Take a call."""

    permission_classes = [StaffOnly]
    tag = "calls"

    @extend_schema(request=None, responses=CallOutput)
    def post(self, _request: Request, message_id: UUID, **_path: object) -> Response:
        """Take it for a quarter of an hour: it is asked once more whether it may be made, then the number is shown."""
        call = take_call(clinic_id=self.clinic.id, message_id=message_id, actor=self.actor, now=clock.now())
        return Response(CallOutput(asdict(call)).data)


class EndedCall(ClinicEndpoint):
    """How a call ended."""

    permission_classes = [StaffOnly]
    tag = "calls"

    @extend_schema(request=CallOutcomeInput, responses=CallEndedOutput)
    def post(self, request: Request, message_id: UUID, **_path: object) -> Response:
        """Say it once. Who asked not to be called is not called again for anything, from this moment on."""
        asked = CallOutcomeInput.read(request)
        ended = end_call(
            clinic_id=self.clinic.id,
            message_id=message_id,
            outcome=CallOutcome(asked["outcome"]),
            actor=self.actor,
            now=clock.now(),
        )
        return Response(CallEndedOutput(asdict(ended)).data)
