"""Objections (GDPR Art. 21) and restrictions (Art. 18): by the patient, or taken down by staff."""

from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api.consents import EvidenceInput, as_json, spoken_at
from backend.api.endpoints import MeEndpoint, PatientEndpoint, is_shown, page
from backend.api.fields import Day, Input, Moment, Output, Slug, choice_of
from backend.api.idempotency import idempotent
from backend.api.pages import refuse_unknown
from backend.api.permissions import PatientOnly, StaffWritesDpoReads
from backend.audit.actions import Action
from backend.audit.recording import record
from backend.consent.operations import Expression, Objected, object_to, take_back_objection
from backend.consent.queries import objections_of
from backend.patients.operations import Restricted, lift_restriction, restrict_processing
from backend.patients.queries import find_restriction
from backend.policy.contact import EVERY_PURPOSE
from backend.policy.vocabulary import LiftingReason, Method, ObjectionScope, RestrictionGround

OBJECTING: Final = (Method.PAPER_FORM, Method.VERBAL)


class ObjectionInput(Input):
    """An objection to one purpose, or to all direct marketing, that of later purposes included."""

    scope = choice_of(ObjectionScope)
    purpose = Slug(required=False, help_text="Only with the scope `purpose`.")


class ObjectionOutput(Output):
    """An objection. It stands until `lifted_at`."""

    id = serializers.UUIDField()
    scope = choice_of(ObjectionScope)
    purpose = serializers.CharField(allow_null=True)
    objected_at = Moment()
    lifted_at = Moment(allow_null=True)


class ObjectionsPage(Output):
    """Every objection, those taken back included."""

    results = ObjectionOutput(many=True)
    next = serializers.CharField(allow_null=True)


class StoppedOutput(Output):
    """What was recorded, and whether anything can still arrive."""

    id = serializers.UUIDField()
    confirmed = serializers.BooleanField(help_text="True: nothing that this stops leaves any more.")
    already_left = serializers.ListField(child=serializers.UUIDField())
    in_doubt = serializers.ListField(child=serializers.UUIDField())


class TakenBackInput(Input):
    """How the patient said it, where staff take it down."""

    method = choice_of(OBJECTING)
    evidence = EvidenceInput()


class RestrictionInput(Input):
    """On what ground (Art. 18(1))."""

    ground = choice_of(RestrictionGround)


class LiftingInput(Input):
    """Why the restriction ends; the day on which the patient was told, where its ground is gone (Art. 18(3))."""

    because = choice_of(LiftingReason)
    informed_on = Day(required=False)


class RestrictionOutput(Output):
    """Whether the use of the data is restricted, on what ground, and since when."""

    restricted = serializers.BooleanField()
    ground = choice_of(RestrictionGround, allow_null=True)
    since = Moment(allow_null=True)


class MyObjections(MeEndpoint):
    """The patient's own objections."""

    permission_classes = [PatientOnly]
    tag = "consent"

    @extend_schema(responses=ObjectionsPage)
    def get(self, request: Request, **_path: object) -> Response:
        """Everything objected to, and what was taken back since."""
        refuse_unknown(request)
        self.note_hidden()
        return _listed(self, hidden=self.hidden)

    @extend_schema(request=ObjectionInput, responses={201: StoppedOutput})
    @idempotent
    def post(self, request: Request, **_path: object) -> Response:
        """Object. No reason is asked for, and the answer says whether anything can still arrive."""
        asked = ObjectionInput.read(request)
        if "purpose" in asked:
            self.refuse_hidden(asked["purpose"])
        now = clock.now()
        return _object(self, asked, self.expression(occurred_at=now), now, hidden=self.hidden)


class MyObjection(MeEndpoint):
    """One of the patient's own objections."""

    permission_classes = [PatientOnly]
    tag = "consent"

    @extend_schema(request=None, responses={204: None})
    def delete(self, _request: Request, objection_id: UUID) -> Response:
        """Take it back. What was consented to before does not come back: silence is left."""
        now = clock.now()
        return _take_back(self, objection_id, Expression(method=Method.APP, occurred_at=now), now)


class PatientObjections(PatientEndpoint):
    """A patient's objections, for staff."""

    permission_classes = [StaffWritesDpoReads]
    tag = "consent"

    @extend_schema(responses=ObjectionsPage)
    def get(self, request: Request, **_path: object) -> Response:
        """Everything objected to, and what was taken back since. Looking is recorded."""
        refuse_unknown(request)
        with record(
            Action.CONSENTS_READ, by=self.actor, now=clock.now(), clinic_id=self.clinic.id, about=self.patient.id
        ):
            return _listed(self)

    @extend_schema(request=ObjectionInput, responses={201: StoppedOutput})
    @idempotent
    def post(self, request: Request, **_path: object) -> Response:
        """Take an objection down: always accepted, without proof."""
        now = clock.now()
        expression = Expression(method=Method.STAFF_WITHDRAWAL, occurred_at=now)
        return _object(self, ObjectionInput.read(request), expression, now)


class PatientObjectionTakenBack(PatientEndpoint):
    """That a patient takes an objection back, for staff."""

    permission_classes = [StaffWritesDpoReads]
    tag = "consent"

    @extend_schema(request=TakenBackInput, responses={204: None})
    def post(self, request: Request, objection_id: UUID, **_path: object) -> Response:
        """Take down, with the evidence of the patient's own word, that they take it back."""
        asked = TakenBackInput.read(request)
        now = clock.now()
        evidence = asked["evidence"]
        expression = Expression(
            method=Method(asked["method"]),
            occurred_at=spoken_at(evidence, self.clinic, now),
            evidence={name: as_json(value) for name, value in evidence.items()},
        )
        return _take_back(self, objection_id, expression, now)


class MyRestriction(MeEndpoint):
    """Whether the use of the patient's own data is restricted."""

    permission_classes = [PatientOnly]
    tag = "consent"

    @extend_schema(responses=RestrictionOutput)
    def get(self, request: Request) -> Response:
        """Whether it is, on what ground, and since when."""
        refuse_unknown(request)
        return _restriction(self)

    @extend_schema(request=RestrictionInput, responses={201: StoppedOutput})
    @idempotent
    def post(self, request: Request) -> Response:
        """Have everything but storage stopped. The answer says whether anything can still arrive."""
        return _restrict(self, RestrictionInput.read(request))

    @extend_schema(request=None, responses={204: None})
    def delete(self, _request: Request) -> Response:
        """Let it go on as before."""
        return _lift(self, {"because": LiftingReason.PATIENT_ASKED})


class PatientRestriction(PatientEndpoint):
    """Whether the use of a patient's data is restricted, for staff."""

    permission_classes = [StaffWritesDpoReads]
    tag = "consent"

    @extend_schema(responses=RestrictionOutput)
    def get(self, request: Request, **_path: object) -> Response:
        """Whether it is, on what ground, and since when."""
        refuse_unknown(request)
        return _restriction(self)

    @extend_schema(request=RestrictionInput, responses={201: StoppedOutput})
    @idempotent
    def post(self, request: Request, **_path: object) -> Response:
        """Take down that the patient wants it restricted."""
        return _restrict(self, RestrictionInput.read(request))


class PatientRestrictionLifted(PatientEndpoint):
    """That a restriction ends, for staff."""

    permission_classes = [StaffWritesDpoReads]
    tag = "consent"

    @extend_schema(request=LiftingInput, responses={204: None})
    def post(self, request: Request, **_path: object) -> Response:
        """Say why it ends, and when the patient was told."""
        return _lift(self, LiftingInput.read(request))


Where = MeEndpoint | PatientEndpoint


def _listed(view: Where, *, hidden: frozenset[str] = frozenset()) -> Response:
    rows = objections_of(clinic_id=view.clinic.id, patient_id=view.patient.id)
    return page([ObjectionOutput(row).data for row in rows if is_shown(row.purpose or EVERY_PURPOSE, hidden)])


def _object(
    view: Where, asked: dict[str, Any], expression: Expression, now: datetime, *, hidden: frozenset[str] = frozenset()
) -> Response:
    done = object_to(
        clinic_id=view.clinic.id,
        patient_id=view.patient.id,
        scope=ObjectionScope(asked["scope"]),
        purpose=asked.get("purpose"),
        expression=expression,
        actor=view.actor,
        now=now,
    )
    if hidden and "purpose" not in asked:
        # Messages about what is kept from whoever asks may be among them: not even their ids are told.
        done = replace(done, already_left=(), in_doubt=())
    return _stopped(done)


def _take_back(view: Where, objection_id: UUID, expression: Expression, now: datetime) -> Response:
    take_back_objection(
        clinic_id=view.clinic.id,
        patient_id=view.patient.id,
        objection_id=objection_id,
        expression=expression,
        actor=view.actor,
        now=now,
    )
    return Response(status=204)


def _restriction(view: Where) -> Response:
    row = find_restriction(clinic_id=view.clinic.id, patient_id=view.patient.id)
    shown = {
        "restricted": row is not None,
        "ground": None if row is None else row.ground,
        "since": None if row is None else row.restricted_at,
    }
    return Response(RestrictionOutput(shown).data)


def _restrict(view: Where, asked: dict[str, Any]) -> Response:
    done = restrict_processing(
        clinic_id=view.clinic.id,
        patient_id=view.patient.id,
        ground=RestrictionGround(asked["ground"]),
        actor=view.actor,
        now=clock.now(),
    )
    return _stopped(done)


def _lift(view: Where, asked: dict[str, Any]) -> Response:
    lift_restriction(
        clinic_id=view.clinic.id,
        patient_id=view.patient.id,
        because=LiftingReason(asked["because"]),
        informed_on=asked.get("informed_on"),
        actor=view.actor,
        now=clock.now(),
    )
    return Response(status=204)


def _stopped(done: Objected | Restricted) -> Response:
    shown = {
        "id": done.id,
        "confirmed": done.confirmed,
        "already_left": list(done.already_left),
        "in_doubt": list(done.in_doubt),
    }
    return Response(StoppedOutput(shown).data, status=201)
