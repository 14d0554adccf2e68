"""Who represents a patient: for staff, who see the proof; and for the patient, who may keep something from them."""

from enum import StrEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api import examples
from backend.api.endpoints import MeEndpoint, PatientEndpoint, page
from backend.api.fields import Day, Input, Line, Output, Text, YesNo, choice_of
from backend.api.idempotency import idempotent
from backend.api.notices import MadeOutput
from backend.api.pages import refuse_unknown
from backend.api.permissions import PatientOnly, StaffOnly, StaffWritesDpoReads
from backend.audit.actions import Action
from backend.audit.recording import record
from backend.consent.queries import purposes_of
from backend.errors import InvalidInput
from backend.patients.operations import add_representative, end_representation, hide_purposes, set_representation
from backend.patients.representatives import RepresentativeProfile, reveal_representatives
from backend.policy.contact import EVERY_PURPOSE
from backend.policy.vocabulary import RepresentationKind, RepresentationScope

Where = MeEndpoint | PatientEndpoint


class ProofInput(Input):
    """What was shown: sealed."""

    document = Line(max_length=80, help_text="Which document: family record, judgment, mandate.")
    reference = Line(max_length=80, required=False)
    seen_on = Day(required=False)


class RepresentationInput(Input):
    """By what right, for what, and from when until when (both days included)."""

    kind = choice_of(RepresentationKind)
    scope = serializers.ListField(child=choice_of(RepresentationScope), min_length=1, max_length=3)
    starts_on = Day(required=False, allow_null=True)
    ends_on = Day(required=False, allow_null=True)
    proof = ProofInput(required=False)
    patient_agrees = YesNo(default=False, help_text="A carer acts by the patient's own word, and by nothing else.")


class Relationship(StrEnum):
    """How somebody is related to the patient, as files say it, too."""

    MOTHER = "mother"
    FATHER = "father"
    PARENT = "parent"
    GUARDIAN = "guardian"
    SPOUSE = "spouse"
    CHILD = "child"
    OTHER = "other"


class NewRepresentativeInput(RepresentationInput):
    """Who acts for the patient, by what right, and what was shown."""

    family_name = Line(max_length=100)
    given_names = serializers.ListField(child=Line(max_length=100), min_length=1, max_length=5)
    relationship = choice_of(Relationship)


class HiddenInput(Input):
    """What this person is not told of."""

    purposes = serializers.ListField(
        child=Text(max_length=60), max_length=50, help_text="Slugs; `*` for all there is; empty takes it back."
    )


class RepresentativeOutput(Output):
    """A representative. `stands`: do they act for the patient today?"""

    id = serializers.UUIDField()
    family_name = serializers.CharField()
    given_names = serializers.ListField(child=serializers.CharField())
    relationship = serializers.CharField()
    kind = choice_of(RepresentationKind)
    scope = serializers.ListField(child=choice_of(RepresentationScope))
    starts_on = serializers.DateField(allow_null=True)
    ends_on = serializers.DateField(allow_null=True)
    stands = serializers.BooleanField()
    hidden_purposes = serializers.ListField(child=serializers.CharField())


class RepresentativesPage(Output):
    """Everybody who represents the patient, or did."""

    results = RepresentativeOutput(many=True)
    next = serializers.CharField(allow_null=True)


class PatientRepresentatives(PatientEndpoint):
    """Who represents a patient."""

    permission_classes = [StaffWritesDpoReads]
    tag = "patients"

    @extend_schema(responses=RepresentativesPage)
    def get(self, request: Request, **_path: object) -> Response:
        """Everybody who does, or did. Looking is recorded."""
        refuse_unknown(request)
        return _listed(self)

    @extend_schema(request=NewRepresentativeInput, responses={201: MadeOutput}, examples=[examples.ADD_REPRESENTATIVE])
    @idempotent
    def post(self, request: Request, **_path: object) -> Response:
        """Enter somebody whom no file names, with the right that was shown to you."""
        asked: dict[str, Any] = NewRepresentativeInput.read(request)
        representative_id = add_representative(
            family_name=asked["family_name"],
            given_names=asked["given_names"],
            relationship=asked["relationship"],
            **_right(self, asked),
        )
        return Response(MadeOutput({"id": representative_id}).data, status=201)


class PatientRepresentative(PatientEndpoint):
    """One representative."""

    permission_classes = [StaffOnly]
    tag = "patients"

    @extend_schema(request=RepresentationInput, responses={204: None}, examples=[examples.REPRESENT])
    def post(self, request: Request, representative_id: UUID, **_path: object) -> Response:
        """Say by what right somebody acts for the patient, what was shown, for what, and until when."""
        asked: dict[str, Any] = RepresentationInput.read(request)
        set_representation(representative_id=representative_id, **_right(self, asked))
        return Response(status=204)


class PatientRepresentativeEnded(PatientEndpoint):
    """That somebody no longer represents a patient."""

    permission_classes = [StaffOnly]
    tag = "patients"

    @extend_schema(request=None, responses={204: None})
    def post(self, _request: Request, representative_id: UUID, **_path: object) -> Response:
        """From now on they see, say and receive nothing any more. Their tokens open nothing."""
        end_representation(
            clinic_id=self.clinic.id,
            patient_id=self.patient.id,
            representative_id=representative_id,
            actor=self.actor,
            now=clock.now(),
        )
        return Response(status=204)


class PatientHiddenPurposes(PatientEndpoint):
    """What a patient keeps from a representative, taken down by staff."""

    permission_classes = [StaffOnly]
    tag = "patients"

    @extend_schema(request=HiddenInput, responses={204: None})
    def post(self, request: Request, representative_id: UUID, **_path: object) -> Response:
        """Take down what the patient said: always accepted, without a reason."""
        return _hide(self, request, representative_id)


class MyRepresentatives(MeEndpoint):
    """Who represents the patient."""

    permission_classes = [PatientOnly]
    tag = "me"

    @extend_schema(responses=RepresentativesPage)
    def get(self, request: Request) -> Response:
        """Everybody who does, or did, and what they are not told of. Looking is recorded."""
        refuse_unknown(request)
        return _listed(self)


class MyHiddenPurposes(MeEndpoint):
    """What the patient keeps from a representative."""

    permission_classes = [PatientOnly]
    tag = "me"

    @extend_schema(request=HiddenInput, responses={204: None})
    def post(self, request: Request, representative_id: UUID) -> Response:
        """Keep these purposes to yourself: no message about them goes there, and nothing about them is shown there."""
        return _hide(self, request, representative_id)


def _right(view: PatientEndpoint, asked: dict[str, Any]) -> dict[str, Any]:
    """By what right, for what, from when until when, and who says so."""
    proof = asked.get("proof", {})
    return {
        "clinic_id": view.clinic.id,
        "patient_id": view.patient.id,
        "kind": RepresentationKind(asked["kind"]),
        "scope": frozenset(RepresentationScope(one) for one in asked["scope"]),
        "starts_on": asked.get("starts_on"),
        "ends_on": asked.get("ends_on"),
        "proof": {name: value if isinstance(value, str) else value.isoformat() for name, value in proof.items()},
        "patient_agrees": asked["patient_agrees"],
        "actor": view.actor,
        "now": clock.now(),
    }


def _listed(view: Where) -> Response:
    now = clock.now()
    with record(
        Action.PATIENT_READ,
        by=view.actor,
        now=now,
        clinic_id=view.clinic.id,
        about=view.patient.id,
        reason="representatives",
    ) as entry:
        today = now.astimezone(ZoneInfo(view.clinic.time_zone)).date()
        return page([_on_the_wire(one) for one in reveal_representatives(view.patient.id, on=today, entry=entry)])


def _on_the_wire(one: RepresentativeProfile) -> dict[str, Any]:
    right = one.representation
    shown = {
        "id": right.id,
        "family_name": one.family_name,
        "given_names": one.given_names,
        "relationship": right.relationship,
        "kind": right.kind,
        "scope": sorted(right.scope),
        "starts_on": right.starts_on,
        "ends_on": right.ends_on,
        "stands": one.stands,
        "hidden_purposes": sorted(right.hidden_purposes),
    }
    return dict(RepresentativeOutput(shown).data)


def _hide(view: Where, request: Request, representative_id: UUID) -> Response:
    asked = HiddenInput.read(request)
    known = {EVERY_PURPOSE, *(one.slug for one in purposes_of(view.clinic.id).values())}
    if unknown := sorted(set(asked["purposes"]) - known):
        raise InvalidInput("A purpose that is named does not exist here.", field="purposes", unknown=unknown)
    hide_purposes(
        clinic_id=view.clinic.id,
        patient_id=view.patient.id,
        representative_id=representative_id,
        purposes=asked["purposes"],
        actor=view.actor,
        now=clock.now(),
    )
    return Response(status=204)
