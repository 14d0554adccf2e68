"""`/represented/{patient}` in place of `/me`: who represents a patient sees and says what their right goes as far as.

Asked anew at every request, on the day of the clinic's calendar: does the representation stand, does its scope cover
this, and does the patient, at their age, still need somebody? What the patient keeps from this person is left out, and
refused as if it did not exist; that it was refused is recorded (CSP, L.1111-5).
"""

from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from drf_spectacular.utils import extend_schema
from rest_framework import exceptions
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api.consents import MyConsents, MyNotices
from backend.api.endpoints import MeEndpoint, is_shown, page
from backend.api.me import (
    ContactPointsPage,
    DeviceOutput,
    DevicesPage,
    MeOutput,
    addresses_of,
    contact_points_on_the_wire,
    devices_of,
)
from backend.api.messages import MyMessage, MyMessages, MyMessageWhy
from backend.api.notices import MyNoticesServed
from backend.api.objections import MyObjections
from backend.api.own_data import MyExport
from backend.api.pages import refuse_unknown
from backend.api.permissions import RepresentativeOnly
from backend.api.preferences import MyPreferenceHistory, MyPreferences
from backend.api.previewing import MyPreferencePreview
from backend.api.problems import RecordedNotFound
from backend.api.receipts import MyReceipt
from backend.audit.actions import Action
from backend.audit.recording import record, record_refusal
from backend.consent.operations import Expression
from backend.errors import NotFound
from backend.patients.queries import (
    PatientProfile,
    representations_by_id,
    reveal_contact_values,
    reveal_profiles,
)
from backend.policy.ages import Capacity, capacity
from backend.policy.contact import EVERY_PURPOSE
from backend.policy.vocabulary import Audience, RepresentationKind, RepresentationScope
from backend.privacy.portability import Part

CONFIDENTIAL = "confidential_from_representative"
PARTS = {RepresentationScope.CONSENTS: Part.CONSENTS, RepresentationScope.PREFERENCES: Part.PREFERENCES}


class RepresentedEndpoint(MeEndpoint):
    """Under `/represented/{patient}`: the patient whom the token's holder represents."""

    scope: ClassVar[RepresentationScope | None] = None
    profile: PatientProfile
    representative_id: UUID
    covers: frozenset[RepresentationScope]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Look up who it is about, and whether this person may, today. Looking is recorded."""
        super().initial(request, *args, **kwargs)
        representative_id = self.bearer.representative_id
        if representative_id is None or kwargs["patient_id"] != self.patient.id:
            raise RecordedNotFound
        self.representative_id = representative_id
        now = clock.now()
        today = now.astimezone(ZoneInfo(self.clinic.time_zone)).date()
        right = representations_by_id([representative_id]).get(representative_id)
        if right is None or right.patient_id != self.patient.id or not right.stands_on(today):
            raise exceptions.PermissionDenied(code="not_represented")
        if self.scope is not None and self.scope not in right.scope:
            raise exceptions.PermissionDenied(code="not_represented")
        with record(
            Action.PATIENT_READ,
            by=self.actor,
            now=now,
            clinic_id=self.clinic.id,
            about=self.patient.id,
            reason="represented",
        ) as entry:
            profile = reveal_profiles([self.patient.id], entry=entry).get(self.patient.id)
        if profile is None:
            raise NotFound
        if right.kind is RepresentationKind.PARENTAL_AUTHORITY:
            self._refuse_where_grown(request, capacity(profile.birth_date, today, self.clinic.country))
        self.profile, self.hidden, self.covers = profile, right.hidden_purposes, frozenset(right.scope)

    def _refuse_where_grown(self, request: Request, decides: Capacity) -> None:
        """Parental authority ends at eighteen; before, from the age of consent on, it looks and does not decide."""
        if decides in {Capacity.ADULT, Capacity.UNKNOWN}:
            raise exceptions.PermissionDenied(code="not_represented")
        if decides is Capacity.MINOR_ALONE and request.method not in SAFE_METHODS:
            raise exceptions.PermissionDenied(code="decides_alone")

    def expression(self, **said: Any) -> Expression:
        """Something that the representative says, and the patient does not."""
        return super().expression(**said, by_patient=False, representatives=(self.representative_id,))

    def refuse_hidden(self, purpose: str) -> None:
        """Refuse to speak of what the patient keeps from this person."""
        if not is_shown(purpose, self.hidden):
            self._record_refusal()
            raise NotFound("This purpose does not exist here.", field="purpose")

    def note_hidden(self) -> None:
        """Record that something was left out."""
        if self.hidden:
            self._record_refusal()

    def _record_refusal(self) -> None:
        match = self.request._request.resolver_match  # noqa: SLF001 - DRF hands the name of the route out no other way
        name = match.url_name if match is not None and match.url_name else "unknown"
        record_refusal(
            by=self.actor,
            now=clock.now(),
            clinic_id=self.clinic.id,
            reason=CONFIDENTIAL,
            request=f"{str(self.request.method).lower()}:{name}",
            about=self.patient.id,
        )


class Represented(RepresentedEndpoint):
    """The patient who is represented."""

    permission_classes = [RepresentativeOnly]
    tag = "represented"

    @extend_schema(responses=MeOutput)
    def get(self, request: Request, **_path: object) -> Response:
        """Who the clinic says they are. Looking is recorded."""
        refuse_unknown(request)
        shown = {
            "id": self.patient.id,
            "clinic": self.clinic,
            "family_name": self.profile.family_name,
            "given_names": self.profile.given_names,
            "birth_date": self.profile.birth_date,
            "language": self.patient.language,
        }
        return Response(MeOutput(shown).data)


class RepresentedNotices(RepresentedEndpoint, MyNotices):
    """What the clinic shows before it asks."""

    permission_classes = [RepresentativeOnly]
    tag = "represented"

    def audience(self) -> Audience:
        """Who represents a child is shown the text for everybody; that for children is asked for by name."""
        return Audience.EVERYBODY


class RepresentedConsents(RepresentedEndpoint, MyConsents):
    """The patient's consents: a parent's yes for a child waits for the child's own (Act 78-17, Art. 45)."""

    permission_classes = [RepresentativeOnly]
    tag = "represented"
    scope = RepresentationScope.CONSENTS


class RepresentedReceipt(RepresentedEndpoint, MyReceipt):
    """A receipt for who represents the patient, of one purpose on one channel."""

    permission_classes = [RepresentativeOnly]
    tag = "represented"
    scope = RepresentationScope.CONSENTS


class RepresentedExport(RepresentedEndpoint, MyExport):
    """What the patient gave, as far as the representation goes; of addresses, those of who represents them."""

    permission_classes = [RepresentativeOnly]
    tag = "represented"

    def parts(self) -> list[Part]:
        """What the scope covers. Raises PermissionDenied where that is nothing."""
        parts = [part for scope, part in PARTS.items() if scope in self.covers]
        if not parts:
            raise exceptions.PermissionDenied(code="not_represented")
        return [Part.CONTACT_POINTS, *parts]

    def asking(self) -> UUID | None:
        """The representative."""
        return self.representative_id


class RepresentedPreferences(RepresentedEndpoint, MyPreferences):
    """How the patient wants to be contacted."""

    permission_classes = [RepresentativeOnly]
    tag = "represented"
    scope = RepresentationScope.PREFERENCES


class RepresentedPreferenceHistory(RepresentedEndpoint, MyPreferenceHistory):
    """How the patient wanted to be contacted."""

    permission_classes = [RepresentativeOnly]
    tag = "represented"
    scope = RepresentationScope.PREFERENCES


class RepresentedMessages(RepresentedEndpoint, MyMessages):
    """What the patient was sent, is about to be sent, and was not."""

    permission_classes = [RepresentativeOnly]
    tag = "represented"
    scope = RepresentationScope.MESSAGES


class RepresentedMessage(RepresentedEndpoint, MyMessage):
    """One message to the patient."""

    permission_classes = [RepresentativeOnly]
    tag = "represented"
    scope = RepresentationScope.MESSAGES


class RepresentedMessageWhy(RepresentedEndpoint, MyMessageWhy):
    """Why the patient got a message, or not."""

    permission_classes = [RepresentativeOnly]
    tag = "represented"
    scope = RepresentationScope.MESSAGES


class RepresentedNoticesServed(RepresentedEndpoint, MyNoticesServed):
    """What the representative was shown."""

    permission_classes = [RepresentativeOnly]
    tag = "represented"
    scope = RepresentationScope.CONSENTS


class RepresentedObjections(RepresentedEndpoint, MyObjections):
    """Objections: a representative may make one, which only ever narrows; taking one back is the patient's."""

    permission_classes = [RepresentativeOnly]
    tag = "represented"
    scope = RepresentationScope.CONSENTS


class RepresentedPreferencePreview(RepresentedEndpoint, MyPreferencePreview):
    """What other preferences would have changed: of the messages that this person may see."""

    permission_classes = [RepresentativeOnly]
    tag = "represented"
    scope = RepresentationScope.PREFERENCES

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """It tells of messages, so it takes that right, too."""
        super().initial(request, *args, **kwargs)
        if RepresentationScope.MESSAGES not in self.covers:
            raise exceptions.PermissionDenied(code="not_represented")
        self.note_hidden()


class RepresentedContactPoints(RepresentedEndpoint):
    """Where this person is written to about the patient."""

    permission_classes = [RepresentativeOnly]
    tag = "represented"
    scope = RepresentationScope.MESSAGES

    @extend_schema(responses=ContactPointsPage)
    def get(self, request: Request, **_path: object) -> Response:
        """Their own numbers and addresses; those of the patient are the patient's. Looking is recorded."""
        refuse_unknown(request)
        points = [one for one in addresses_of(self.patient.id) if one.representative_id == self.representative_id]
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


class RepresentedDevices(RepresentedEndpoint):
    """The devices on which the patient is signed in."""

    permission_classes = [RepresentativeOnly]
    tag = "represented"
    scope = RepresentationScope.MESSAGES

    @extend_schema(responses=DevicesPage)
    def get(self, request: Request, **_path: object) -> Response:
        """How many there are, and whether they are used; none where the patient keeps everything to themselves."""
        refuse_unknown(request)
        self.note_hidden()
        points = [] if EVERY_PURPOSE in self.hidden else devices_of(self.patient.id)
        return page([DeviceOutput(point).data for point in points])
