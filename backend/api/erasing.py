"""Erasing a patient (GDPR Art. 17): asked for by one person of the clinic, confirmed by another."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api.endpoints import PatientEndpoint
from backend.api.fields import Input, Moment, NothingInput, Output, choice_of
from backend.api.idempotency import idempotent
from backend.api.languages import spoken_language
from backend.api.pages import refuse_unknown
from backend.api.permissions import StaffOrDpo
from backend.api.sentences import stays_sentence
from backend.audit.actors import ActorKind
from backend.errors import NotFound
from backend.patients.operations import ask_for_erasure, confirm_erasure, take_back_erasure
from backend.patients.queries import ErasureRow, find_erasure_request
from backend.policy.vocabulary import ErasureGround, Stays


class ErasureInput(Input):
    """On what ground (Art. 17(1), points a to f)."""

    ground = choice_of(ErasureGround)


class LeftBehindOutput(Output):
    """One thing that stays, and why it may."""

    what = choice_of(Stays)
    sentence = serializers.CharField()


class ErasureOutput(Output):
    """A request that waits. `officer_needed`: only the data protection officer can confirm it."""

    id = serializers.UUIDField()
    ground = choice_of(ErasureGround)
    asked_at = Moment()
    asked_by_you = serializers.BooleanField(help_text="Then somebody else has to confirm it.")
    officer_needed = serializers.BooleanField()
    stays = LeftBehindOutput(many=True)


class ErasedOutput(Output):
    """What came of it. The patient can not be read any more, by anybody, and neither can they in a backup."""

    erased_at = Moment()
    confirmed = serializers.BooleanField(help_text="True: nothing leaves for this patient any more.")
    already_left = serializers.ListField(child=serializers.UUIDField())
    in_doubt = serializers.ListField(child=serializers.UUIDField())
    keys_destroyed = serializers.IntegerField()
    suppressed = serializers.IntegerField(help_text="How many addresses, by channel, went on the suppression list.")
    stays = LeftBehindOutput(many=True)


class PatientErasure(PatientEndpoint):
    """That a patient be erased."""

    permission_classes = [StaffOrDpo]
    tag = "patients"

    @extend_schema(responses=ErasureOutput)
    def get(self, request: Request, **_path: object) -> Response:
        """The request that waits for somebody to confirm it, and what would stay."""
        refuse_unknown(request)
        standing = find_erasure_request(clinic_id=self.clinic.id, patient_id=self.patient.id)
        if standing is None:
            raise NotFound
        return Response(self._told(standing))

    @extend_schema(request=ErasureInput, responses={201: ErasureOutput})
    @idempotent
    def post(self, request: Request, **_path: object) -> Response:
        """Ask for it. Nothing happens until another person confirms; one of the two is the data protection officer."""
        asked = ErasureInput.read(request)
        standing = ask_for_erasure(
            clinic_id=self.clinic.id,
            patient_id=self.patient.id,
            ground=ErasureGround(asked["ground"]),
            actor=self.actor,
            now=clock.now(),
        )
        return Response(self._told(standing), status=201)

    @extend_schema(responses={204: None})
    def delete(self, _request: Request, **_path: object) -> Response:
        """Take the request back."""
        take_back_erasure(clinic_id=self.clinic.id, patient_id=self.patient.id, actor=self.actor, now=clock.now())
        return Response(status=204)

    def _told(self, standing: ErasureRow) -> dict[str, Any]:
        shown = {
            "id": standing.id,
            "ground": standing.ground,
            "asked_at": standing.asked_at,
            "asked_by_you": standing.asked_by == self.actor.header,
            "officer_needed": standing.asked_as is not ActorKind.DPO,
            "stays": _stays(),
        }
        return dict(ErasureOutput(shown).data)


class PatientErasureConfirmed(PatientEndpoint):
    """That a patient is erased."""

    permission_classes = [StaffOrDpo]
    tag = "patients"

    @extend_schema(request=NothingInput, responses={201: ErasedOutput})
    @idempotent
    def post(self, request: Request, request_id: UUID, **_path: object) -> Response:
        """Confirm what somebody else asked for: the keys are destroyed, for good. It can not be undone."""
        NothingInput.read(request)
        now = clock.now()
        done = confirm_erasure(
            clinic_id=self.clinic.id, patient_id=self.patient.id, request_id=request_id, actor=self.actor, now=now
        )
        shown = {
            "erased_at": now,
            "confirmed": done.confirmed,
            "already_left": list(done.already_left),
            "in_doubt": list(done.in_doubt),
            "keys_destroyed": len(done.keys),
            "suppressed": done.suppressed,
            "stays": _stays(),
        }
        return Response(ErasedOutput(shown).data, status=201)


def _stays() -> list[dict[str, str]]:
    language = spoken_language()
    return [{"what": one.value, "sentence": stays_sentence(one, language)} for one in Stays]
