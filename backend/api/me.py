"""Who the token stands for, where they can be reached, and their devices."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api import examples
from backend.api.endpoints import MeEndpoint, PatientEndpoint, page
from backend.api.fields import Choice, Input, Line, NothingInput, Output, choice_of
from backend.api.idempotency import idempotent
from backend.api.pages import refuse_unknown
from backend.api.permissions import PatientOnly
from backend.audit.actions import Action
from backend.audit.recording import record
from backend.errors import InvalidInput, NotFound
from backend.patients.models import ContactKind
from backend.patients.operations import (
    add_contact_point,
    prepare_code,
    register_device,
    remove_contact_point,
    remove_device,
    verify_contact_point,
)
from backend.patients.queries import ContactPointRow, contact_points_of, reveal_contact_values, reveal_profiles
from backend.patients.suppression import Suppressed, suppressed_points
from backend.policy.vocabulary import Channel, ContactStatus, Language

DEVICE_PREFIXES = ("fid", "token")
LONGEST_TOKEN = 4000


class ClinicOutput(Output):
    """A clinic."""

    slug = serializers.CharField()
    name = serializers.CharField()
    discreet_name = serializers.CharField(help_text="What a lock screen may show.")
    country = serializers.CharField()
    time_zone = serializers.CharField()
    telephone = serializers.CharField()
    address = serializers.CharField()


class MeOutput(Output):
    """The patient that a token stands for."""

    id = serializers.UUIDField()
    clinic = ClinicOutput()
    family_name = serializers.CharField()
    given_names = serializers.ListField(child=serializers.CharField())
    birth_date = serializers.DateField(allow_null=True)
    language = choice_of(Language, allow_null=True)


class ContactPointOutput(Output):
    """One way to reach a patient. It is used only once it is verified (by a code) or attested (by staff)."""

    id = serializers.UUIDField()
    kind = Choice(choices=[("phone", "phone"), ("email", "email"), ("postal", "postal")])
    value = serializers.CharField(help_text="A postal address has its lines one below the other.")
    status = choice_of(ContactStatus)
    reason = serializers.CharField(help_text="Why it can not be used; empty otherwise.")
    how = serializers.CharField(help_text="How it was checked; empty otherwise.")
    takes_sms = serializers.BooleanField()
    suppressed = serializers.ListField(
        child=choice_of(Channel),
        help_text="Channels on which nothing a clinic wants to say goes there, whoever's it is; empty where none is.",
    )
    representative = serializers.UUIDField(allow_null=True, help_text="Whose it is, where it is not the patient's own.")


class ContactPointsPage(Output):
    """Telephone numbers and addresses, best first."""

    results = ContactPointOutput(many=True)
    next = serializers.CharField(allow_null=True)


class NewContactPointInput(Input):
    """A telephone number or an e-mail address."""

    kind = Choice(choices=[("phone", "phone"), ("email", "email")])
    value = Line(max_length=254)


class CodeInput(Input):
    """The one-time code."""

    code = Line(max_length=12)


class StandingOutput(Output):
    """Where a contact point stands now."""

    id = serializers.UUIDField()
    status = choice_of(ContactStatus)


class DeviceInput(Input):
    """Where an app can be reached."""

    token = Line(max_length=LONGEST_TOKEN, help_text="As the push service gave it to the app.")
    kind = Choice(
        choices=[("fid", "fid"), ("token", "token")],
        help_text="`fid`: a Firebase installation id. `token`: a registration token.",
    )


class DeviceOutput(Output):
    """A device that is signed in. Its token is never shown again."""

    id = serializers.UUIDField()
    status = choice_of(ContactStatus)


class DevicesPage(Output):
    """Devices that are signed in."""

    results = DeviceOutput(many=True)
    next = serializers.CharField(allow_null=True)


class Me(MeEndpoint):
    """The patient that the token stands for."""

    permission_classes = [PatientOnly]
    tag = "me"

    @extend_schema(responses=MeOutput)
    def get(self, request: Request) -> Response:
        """Who the clinic says you are. Looking is recorded."""
        refuse_unknown(request)
        with record(
            Action.PATIENT_READ,
            by=self.actor,
            now=clock.now(),
            clinic_id=self.clinic.id,
            about=self.patient.id,
            reason="me",
        ) as entry:
            profile = reveal_profiles([self.patient.id], entry=entry)[self.patient.id]
        shown = {
            "id": self.patient.id,
            "clinic": self.clinic,
            "family_name": profile.family_name,
            "given_names": profile.given_names,
            "birth_date": profile.birth_date,
            "language": self.patient.language,
        }
        return Response(MeOutput(shown).data)


class MyContactPoints(MeEndpoint):
    """Where the patient can be reached."""

    permission_classes = [PatientOnly]
    tag = "me"

    @extend_schema(responses=ContactPointsPage)
    def get(self, request: Request) -> Response:
        """Telephone numbers and addresses, best first. Looking is recorded."""
        refuse_unknown(request)
        points = addresses_of(self.patient.id)
        with record(
            Action.PATIENT_READ,
            by=self.actor,
            now=clock.now(),
            clinic_id=self.clinic.id,
            about=self.patient.id,
            reason="contact_points",
        ) as entry:
            values = reveal_contact_values([point.id for point in points], entry=entry)
        return page(contact_points_on_the_wire(points, values))

    @extend_schema(request=NewContactPointInput, responses={201: StandingOutput})
    @idempotent
    def post(self, request: Request) -> Response:
        """Add a telephone number or an address. It is used once it is verified; the same again answers the same id."""
        asked = NewContactPointInput.read(request)
        point_id = add_contact_point(
            clinic_id=self.clinic.id,
            patient_id=self.patient.id,
            kind=ContactKind(asked["kind"]),
            value=asked["value"],
            region=self.clinic.country,
            actor=self.actor,
            now=clock.now(),
        )
        status = next(point.status for point in addresses_of(self.patient.id) if point.id == point_id)
        return Response(StandingOutput({"id": point_id, "status": status}).data, status=201)


class MyContactPoint(MeEndpoint):
    """One telephone number or address."""

    permission_classes = [PatientOnly]
    tag = "me"

    @extend_schema(responses={204: None})
    def delete(self, _request: Request, contact_point_id: UUID) -> Response:
        """Take it away: nothing is sent there any more. What a file brings again is not checked by that."""
        return take_away(self, contact_point_id, reason="by_patient")


class MyContactPointCode(MeEndpoint):
    """A one-time code for a contact point."""

    permission_classes = [PatientOnly]
    tag = "me"

    @extend_schema(request=NothingInput, responses={202: StandingOutput})
    def post(self, request: Request, contact_point_id: UUID) -> Response:
        """Ask for a code: it is sent there within seconds, and good for fifteen minutes."""
        NothingInput.read(request)
        prepare_code(
            clinic_id=self.clinic.id,
            patient_id=self.patient.id,
            contact_point_id=contact_point_id,
            actor=self.actor,
            now=clock.now(),
        )
        status = next(point.status for point in addresses_of(self.patient.id) if point.id == contact_point_id)
        return Response(StandingOutput({"id": contact_point_id, "status": status}).data, status=202)


class MyContactPointCheck(MeEndpoint):
    """The code that was sent to a contact point."""

    permission_classes = [PatientOnly]
    tag = "me"

    @extend_schema(request=CodeInput, responses=StandingOutput)
    def post(self, request: Request, contact_point_id: UUID) -> Response:
        """Type the code in: the contact point is verified. Each wrong try counts, and is recorded."""
        asked = CodeInput.read(request)
        verify_contact_point(
            clinic_id=self.clinic.id,
            patient_id=self.patient.id,
            contact_point_id=contact_point_id,
            code=asked["code"],
            actor=self.actor,
            now=clock.now(),
        )
        return Response(StandingOutput({"id": contact_point_id, "status": ContactStatus.VERIFIED}).data)


class MyDevices(MeEndpoint):
    """Devices on which the patient is signed in."""

    permission_classes = [PatientOnly]
    tag = "me"

    @extend_schema(responses=DevicesPage)
    def get(self, request: Request) -> Response:
        """Devices that are signed in."""
        refuse_unknown(request)
        return page([DeviceOutput(point).data for point in devices_of(self.patient.id)])

    @extend_schema(request=DeviceInput, responses={201: DeviceOutput}, examples=[examples.SIGN_IN])
    @idempotent
    def post(self, request: Request) -> Response:
        """Sign a device in. A device belongs to one patient at a time; the same again answers with the same id.

        Send it at each start of the app: a device that was not heard of for 270 days ends, as it does at Firebase.
        """
        asked = DeviceInput.read(request)
        if any(asked["token"].startswith(f"{prefix}:") for prefix in DEVICE_PREFIXES):
            raise InvalidInput("Send the token as the push service gave it, and say its kind apart.", field="token")
        device_id = register_device(
            clinic_id=self.clinic.id,
            patient_id=self.patient.id,
            token=f"{asked['kind']}:{asked['token']}",
            actor=self.actor,
            now=clock.now(),
        )
        return Response(DeviceOutput({"id": device_id, "status": ContactStatus.VERIFIED}).data, status=201)


class MyDevice(MeEndpoint):
    """One device."""

    permission_classes = [PatientOnly]
    tag = "me"

    @extend_schema(responses={204: None})
    def delete(self, request: Request, device_id: UUID) -> Response:  # noqa: ARG002 - DRF's signature
        """Sign a device out: nothing is sent there any more."""
        if device_id not in {point.id for point in devices_of(self.patient.id)}:
            raise NotFound
        remove_device(
            clinic_id=self.clinic.id,
            patient_id=self.patient.id,
            contact_point_id=device_id,
            actor=self.actor,
            now=clock.now(),
        )
        return Response(status=204)


def addresses_of(patient_id: UUID) -> list[ContactPointRow]:
    """Everything but devices."""
    return [point for point in contact_points_of([patient_id])[patient_id] if point.kind is not ContactKind.PUSH]


def take_away(view: MeEndpoint | PatientEndpoint, contact_point_id: UUID, *, reason: str) -> Response:
    """End a telephone number or address of the patient's own. Raises NotFound, also for a device."""
    if contact_point_id not in {point.id for point in addresses_of(view.patient.id)}:
        raise NotFound
    remove_contact_point(
        clinic_id=view.clinic.id,
        patient_id=view.patient.id,
        contact_point_id=contact_point_id,
        reason=reason,
        actor=view.actor,
        now=clock.now(),
    )
    return Response(status=204)


def contact_points_on_the_wire(points: list[ContactPointRow], values: dict[UUID, str]) -> list[dict[str, Any]]:
    """Contact points with their revealed values, as they are answered."""
    suppressed = suppressed_points(point.id for point in points)
    return [_contact_point(point, values[point.id], suppressed.get(point.id, ())) for point in points]


def _contact_point(point: ContactPointRow, value: str, suppressed: Sequence[Suppressed]) -> dict[str, Any]:
    shown = {
        "id": point.id,
        "kind": point.kind,
        "value": value,
        "status": point.status,
        "reason": point.reason,
        "how": point.how,
        "takes_sms": point.takes_sms,
        "suppressed": sorted({one.channel for one in suppressed}),
        "representative": point.representative_id,
    }
    return dict(ContactPointOutput(shown).data)


def devices_of(patient_id: UUID) -> list[ContactPointRow]:
    """Devices that are signed in."""
    return [point for point in contact_points_of([patient_id])[patient_id] if point.kind is ContactKind.PUSH]
