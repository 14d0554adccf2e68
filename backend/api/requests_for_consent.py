"""Asking for a consent by a link: a form of the clinic's site, or staff, ask; the person at the address answers."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api import examples
from backend.api.consents import LARGEST_VERSION, ShownInput
from backend.api.endpoints import PatientEndpoint, page
from backend.api.fields import Id, Input, Moment, Output, Slug, Whole, choice_of
from backend.api.idempotency import idempotent
from backend.api.pages import refuse_unknown
from backend.api.permissions import StaffWritesDpoReads
from backend.audit.actions import Action
from backend.audit.recording import record
from backend.consent.links import questions_of
from backend.errors import InvalidInput
from backend.messaging.operations.confirming import ask_for_consent
from backend.policy.vocabulary import Channel, ConsentStatus, Decision, Language, RequestSource


class RequestInput(Input):
    """What to ask, and where the link goes: a number or address of the patient's own, verified or not."""

    purpose = Slug()
    contact_point = Id()
    notice_version = Whole(min_value=1, max_value=LARGEST_VERSION)
    language = choice_of(Language, help_text="Of the notice, and of the message.")
    source = choice_of(RequestSource, help_text="`web_form`: the person filled in a form. `staff`: at the desk.")  # type: ignore[assignment] # a field of ours
    shown = ShownInput(required=False, help_text="What the form showed.")


class RequestedOutput(Output):
    """A question that is on its way. `state` is where the consent stands meanwhile: `pending` permits nothing."""

    id = serializers.UUIDField()
    event = serializers.UUIDField(source="event_id")
    purpose = serializers.CharField()
    channel = choice_of(Channel)
    contact_point = serializers.UUIDField(source="contact_point_id")
    state = choice_of(ConsentStatus, source="status")
    asked_at = Moment()
    expires_at = Moment()


class RequestOutput(Output):
    """A question that was asked by a link, and what was answered: `decision` is null as long as nothing was."""

    id = serializers.UUIDField()
    event = serializers.UUIDField(source="event_id")
    purpose = serializers.CharField(source="purpose.slug")
    channel = choice_of(Channel)
    contact_point = serializers.UUIDField(source="contact_point_id")
    asked_at = Moment()
    expires_at = Moment()
    decision = choice_of(Decision, allow_null=True)
    answered_at = Moment(allow_null=True)


class RequestsPage(Output):
    """The last hundred questions, the newest first."""

    results = RequestOutput(many=True)
    next = serializers.CharField(allow_null=True)


class PatientConsentRequests(PatientEndpoint):
    """Consents asked for by a link (double opt-in)."""

    permission_classes = [StaffWritesDpoReads]
    tag = "consent"

    @extend_schema(responses=RequestsPage)
    def get(self, request: Request, **_path: object) -> Response:
        """What was asked by a link, and what was answered. Looking is recorded."""
        refuse_unknown(request)
        with record(
            Action.CONSENTS_READ, by=self.actor, now=clock.now(), clinic_id=self.clinic.id, about=self.patient.id
        ):
            rows = questions_of(clinic_id=self.clinic.id, patient_id=self.patient.id)
        return page([RequestOutput(row).data for row in rows])

    @extend_schema(request=RequestInput, responses={201: RequestedOutput}, examples=[examples.ASK_BY_LINK])
    @idempotent
    def post(self, request: Request, **_path: object) -> Response:
        """Send a link: the yes is pending until the person behind the address confirms it there, within seven days."""
        asked: dict[str, Any] = RequestInput.read(request)
        if asked.get("shown", {}).get("initial_state", "off") != "off":
            raise InvalidInput("A box that was ticked beforehand is no consent.", field="shown.initial_state")
        done = ask_for_consent(
            clinic_id=self.clinic.id,
            patient_id=self.patient.id,
            purpose=asked["purpose"],
            contact_point_id=asked["contact_point"],
            notice_version=asked["notice_version"],
            language=Language(asked["language"]),
            source=RequestSource(asked["source"]),
            actor=self.actor,
            now=clock.now(),
        )
        return Response(RequestedOutput(done).data, status=201)
