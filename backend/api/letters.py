"""Letters: printed in a batch by staff, who say what was posted and what came back."""

from dataclasses import asdict
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api.endpoints import ClinicEndpoint, PatientEndpoint
from backend.api.explaining import ReasonOutput, reasons_on_the_wire
from backend.api.fields import Input, Line, Moment, Output, choice_of
from backend.api.languages import spoken_language
from backend.api.me import StandingOutput
from backend.api.pages import refuse_unknown
from backend.api.permissions import StaffOnly
from backend.audit.actions import Action
from backend.audit.recording import record
from backend.messaging.letters import (
    letters_of,
    letters_waiting,
    make_print_batch,
    print_batch_pdf,
    print_batches,
    tell_posted,
    tell_returned,
)
from backend.patients.operations.postal import MOST_LINES, add_postal_address
from backend.policy.vocabulary import ContactStatus, MessageState


class PostalAddressInput(Input):
    """An address as it stands in the window of an envelope: the name, the street, postal code and town."""

    lines = serializers.ListField(child=Line(max_length=80), max_length=MOST_LINES)


class BatchOutput(Output):
    """A print batch; `to_tell`: letters of which nobody has said yet what became of them."""

    id = serializers.UUIDField()
    made_at = Moment()
    letters = serializers.IntegerField()
    to_tell = serializers.IntegerField()


class BatchesOutput(Output):
    """How many letters wait to be printed, and the last fifty batches, the newest first."""

    waiting = serializers.IntegerField()
    results = BatchOutput(many=True)


class PrintedLetterOutput(Output):
    """A letter of a batch. One that may no longer be posted is to be taken out of its envelope."""

    message = serializers.UUIDField()
    patient = serializers.UUIDField()
    state = choice_of(MessageState)
    may_be_posted = serializers.BooleanField()
    reasons = ReasonOutput(many=True)


class LettersOutput(Output):
    """The letters of a batch."""

    results = PrintedLetterOutput(many=True)


class PostedInput(Input):
    """The letters that were not posted; all others were."""

    not_posted = serializers.ListField(child=serializers.UUIDField(), default=list, max_length=100)


class PostedOutput(Output):
    """How many letters were said to be posted, and not."""

    posted = serializers.IntegerField()
    not_posted = serializers.IntegerField()


class PatientPostalAddress(PatientEndpoint):
    """Where letters to a patient go."""

    permission_classes = [StaffOnly]
    tag = "patients"

    @extend_schema(request=PostalAddressInput, responses={201: StandingOutput})
    def post(self, request: Request, **_path: object) -> Response:
        """Write down a postal address. It is used once one of the staff attests it."""
        asked = PostalAddressInput.read(request)
        point_id = add_postal_address(
            clinic_id=self.clinic.id,
            patient_id=self.patient.id,
            lines=asked["lines"],
            actor=self.actor,
            now=clock.now(),
        )
        return Response(StandingOutput({"id": point_id, "status": ContactStatus.UNVERIFIED}).data, status=201)


class PrintBatches(ClinicEndpoint):
    """Print batches."""

    permission_classes = [StaffOnly]
    tag = "letters"

    @extend_schema(responses=BatchesOutput)
    def get(self, request: Request, **_path: object) -> Response:
        """What waits to be printed, and what was. Nobody is named."""
        refuse_unknown(request)
        now = clock.now()
        batches = [BatchOutput(asdict(one)).data for one in print_batches(clinic_id=self.clinic.id)]
        return Response({"waiting": letters_waiting(clinic_id=self.clinic.id, now=now), "results": batches})

    @extend_schema(request=None, responses={201: BatchOutput})
    def post(self, _request: Request, **_path: object) -> Response:
        """Lay the letters that are due, and may leave, into a batch: at most a hundred. Each is printed once."""
        made = make_print_batch(clinic_id=self.clinic.id, actor=self.actor, now=clock.now())
        return Response(BatchOutput(asdict(made)).data, status=201)


class PrintBatch(ClinicEndpoint):
    """The letters of a batch."""

    permission_classes = [StaffOnly]
    tag = "letters"

    @extend_schema(responses=LettersOutput)
    def get(self, request: Request, batch_id: UUID, **_path: object) -> Response:
        """Where each stands, and whether it may still be posted, asked just now. Looking is recorded."""
        refuse_unknown(request)
        now = clock.now()
        with record(Action.MESSAGES_READ, by=self.actor, now=now, clinic_id=self.clinic.id):
            letters = letters_of(clinic_id=self.clinic.id, batch_id=batch_id, now=now)
        language = spoken_language()
        return Response(
            {
                "results": [
                    PrintedLetterOutput(
                        {
                            "message": one.message_id,
                            "patient": one.patient_id,
                            "state": one.state,
                            "may_be_posted": one.may_be_posted,
                            "reasons": reasons_on_the_wire(
                                () if one.verdict is None else one.verdict.reasons, language
                            ),
                        }
                    ).data
                    for one in letters
                ]
            }
        )


class PrintBatchPdf(ClinicEndpoint):
    """A batch as it is printed."""

    permission_classes = [StaffOnly]
    tag = "letters"

    @extend_schema(responses={(200, "application/pdf"): OpenApiTypes.BINARY})
    def get(self, request: Request, batch_id: UUID, **_path: object) -> HttpResponse:
        """The letters that may still be posted, as one PDF for window envelopes. Looking is recorded."""
        refuse_unknown(request)
        written = print_batch_pdf(clinic_id=self.clinic.id, batch_id=batch_id, actor=self.actor, now=clock.now())
        return HttpResponse(
            written,
            content_type="application/pdf",
            headers={"Content-Disposition": f'attachment; filename="letters-{batch_id}.pdf"'},
        )


class PostedBatch(ClinicEndpoint):
    """What became of a batch."""

    permission_classes = [StaffOnly]
    tag = "letters"

    @extend_schema(request=PostedInput, responses=PostedOutput)
    def post(self, request: Request, batch_id: UUID, **_path: object) -> Response:
        """Say that the letters were posted, all but those that are named. What was said before stands."""
        asked = PostedInput.read(request)
        posted, not_posted = tell_posted(
            clinic_id=self.clinic.id,
            batch_id=batch_id,
            not_posted=frozenset(asked["not_posted"]),
            actor=self.actor,
            now=clock.now(),
        )
        return Response(PostedOutput({"posted": posted, "not_posted": not_posted}).data)


class ReturnedLetter(ClinicEndpoint):
    """A letter that came back."""

    permission_classes = [StaffOnly]
    tag = "letters"

    @extend_schema(request=None, responses={204: None})
    def post(self, _request: Request, message_id: UUID, **_path: object) -> Response:
        """Say so: its address is used again once it was checked anew."""
        tell_returned(clinic_id=self.clinic.id, message_id=message_id, actor=self.actor, now=clock.now())
        return Response(status=204)
