"""What ends a consent without the patient: given up, found wanting, entered by mistake; and that somebody was asked."""

from typing import Any, Final
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api.endpoints import MeEndpoint, PatientEndpoint
from backend.api.fields import ChannelList, Input, Output, Slug, choice_of
from backend.api.idempotency import idempotent
from backend.api.permissions import DpoOnly, PatientOnly, StaffOnly
from backend.consent.operations import (
    confirm_error,
    invalidate_consents,
    note_asked,
    report_error,
    revoke_consents,
)
from backend.policy.vocabulary import EventKind, Method

ASKING: Final = (EventKind.REQUESTED, EventKind.DEFERRED)
ASKED_BY: Final = (Method.PAPER_FORM, Method.VERBAL)


class EndInput(Input):
    """Which consents end, and why, as a code: `purpose_given_up`, `form_unreadable`."""

    purpose = Slug()
    channels = ChannelList(allow_empty=False)
    reason = Slug(max_length=40)


class EndedOutput(Output):
    """How many ended."""

    ended = serializers.IntegerField()


class SlipInput(Input):
    """What went wrong, as a code: `wrong_patient`, `wrong_channel`."""

    reason = Slug(max_length=40)


class AskedInput(Input):
    """That the patient was asked, or put it off. Where it stood, it stands."""

    kind = choice_of(ASKING)
    purpose = Slug()
    channels = ChannelList(allow_empty=False)
    method = choice_of(ASKED_BY)


class LaterInput(Input):
    """What the patient wants to answer later."""

    purpose = Slug()
    channels = ChannelList(allow_empty=False)


class NotedOutput(Output):
    """The event for each channel."""

    events = serializers.DictField(child=serializers.UUIDField())


class ConsentsRevoked(PatientEndpoint):
    """That the clinic gives consents up."""

    permission_classes = [StaffOnly]
    tag = "consent"

    @extend_schema(request=EndInput, responses={201: EndedOutput})
    @idempotent
    def post(self, request: Request, **_path: object) -> Response:
        """No longer rely upon a yes, because its purpose was given up, say. The patient may be asked again."""
        return _end(self, request, revoke_consents)


class ConsentsInvalidated(PatientEndpoint):
    """That consents were not properly collected."""

    permission_classes = [DpoOnly]
    tag = "consent"

    @extend_schema(request=EndInput, responses={201: EndedOutput})
    @idempotent
    def post(self, request: Request, **_path: object) -> Response:
        """The data protection officer finds that a yes can not be shown to be one: it ends."""
        return _end(self, request, invalidate_consents)


class ConsentSlip(PatientEndpoint):
    """That staff entered something by mistake."""

    permission_classes = [StaffOnly]
    tag = "consent"

    @extend_schema(request=SlipInput, responses={204: None})
    def post(self, request: Request, event_id: UUID, **_path: object) -> Response:
        """Say so. It stands until somebody else confirms. What a patient said themselves is no slip of the staff."""
        asked = SlipInput.read(request)
        report_error(
            clinic_id=self.clinic.id,
            patient_id=self.patient.id,
            event_id=event_id,
            reason=asked["reason"],
            actor=self.actor,
            now=clock.now(),
        )
        return Response(status=204)


class ConsentSlipConfirmed(PatientEndpoint):
    """That a second person says so too."""

    permission_classes = [StaffOnly]
    tag = "consent"

    @extend_schema(request=None, responses={204: None})
    def post(self, _request: Request, event_id: UUID, **_path: object) -> Response:
        """Confirm what a colleague reported: the event no longer counts, and silence is left, never a yes."""
        confirm_error(
            clinic_id=self.clinic.id,
            patient_id=self.patient.id,
            event_id=event_id,
            actor=self.actor,
            now=clock.now(),
        )
        return Response(status=204)


class ConsentsAsked(PatientEndpoint):
    """That a patient was asked."""

    permission_classes = [StaffOnly]
    tag = "consent"

    @extend_schema(request=AskedInput, responses={201: NotedOutput})
    @idempotent
    def post(self, request: Request, **_path: object) -> Response:
        """Note that the patient was asked on paper or aloud, or said "later". It permits nothing."""
        asked: dict[str, Any] = AskedInput.read(request)
        return _note(self, EventKind(asked["kind"]), asked, Method(asked["method"]))


class MyConsentsLater(MeEndpoint):
    """That the patient answers later."""

    permission_classes = [PatientOnly]
    tag = "consent"

    @extend_schema(request=LaterInput, responses={201: NotedOutput})
    @idempotent
    def post(self, request: Request) -> Response:
        """Put a question off. It permits nothing, and refuses nothing."""
        return _note(self, EventKind.DEFERRED, LaterInput.read(request), Method.APP)


def _end(view: PatientEndpoint, request: Request, end: Any) -> Response:
    asked = EndInput.read(request)
    ended = end(
        clinic_id=view.clinic.id,
        patient_id=view.patient.id,
        purpose=asked["purpose"],
        channels=asked["channels"],
        reason=asked["reason"],
        actor=view.actor,
        now=clock.now(),
    )
    return Response(EndedOutput({"ended": ended}).data, status=201)


def _note(view: MeEndpoint | PatientEndpoint, kind: EventKind, asked: dict[str, Any], method: Method) -> Response:
    events = note_asked(
        kind,
        clinic_id=view.clinic.id,
        patient_id=view.patient.id,
        purpose=asked["purpose"],
        channels=asked["channels"],
        method=method,
        actor=view.actor,
        now=clock.now(),
    )
    return Response(NotedOutput({"events": {one.value: event for one, event in events.items()}}).data, status=201)
