"""Patients, for staff: listed, found, entered, looked at; their contact points attested; their occasions."""

from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api import examples
from backend.api.endpoints import ClinicEndpoint, PatientEndpoint, page
from backend.api.fields import Choice, Day, Id, Input, Line, Moment, Output, choice_of
from backend.api.idempotency import idempotent
from backend.api.languages import said
from backend.api.me import ContactPointsPage, StandingOutput, addresses_of, contact_points_on_the_wire, take_away
from backend.api.pages import next_page, read_cursor, read_id, read_limit, read_words, refuse_unknown
from backend.api.permissions import StaffOnly, StaffWritesDpoReads
from backend.api.queries import find_occasion_by_source, occasions_of, reference_to
from backend.api.schema import PAGING
from backend.audit.actions import Action
from backend.audit.recording import record
from backend.clinics.queries import ClinicFacts
from backend.errors import DomainError, InvalidInput, NotFound
from backend.patients.models import OccasionKind
from backend.patients.operations import RowOutcome, attest_contact_point, import_records
from backend.patients.operations.contact_points import HOWS
from backend.patients.operations.intake import SOURCE_ID, ImportRow
from backend.patients.queries import (
    PatientFacts,
    PatientProfile,
    find_patient_by_identifier,
    find_patients,
    patients_by_id,
    patients_of_clinic,
    require_patient,
    reveal_contact_values,
    reveal_profiles,
)
from backend.patients.sources.reasons import Why
from backend.patients.sources.records import Identifier, OccasionRecord, PatientRecord, Record, Telecom, Where
from backend.patients.sources.telecoms import is_country, normalise_email, normalise_phone
from backend.patients.sources.vaccines import TOPICS
from backend.policy.vocabulary import ContactStatus, Language

SOURCE: Final = "api"
LONGEST_NAME: Final = 200
STATUSES: Final = {
    OccasionKind.APPOINTMENT: ("booked", "pending", "cancelled", "fulfilled", "missed"),
    OccasionKind.IMMUNISATION: ("done", "not_done"),
    OccasionKind.ENCOUNTER: ("pending", "done", "fulfilled", "cancelled"),
}
# Whoever comes early has come: the day counts, not the hour.
OVER: Final = frozenset({"fulfilled", "missed", "done", "not_done"})
FARTHEST_AHEAD: Final = timedelta(days=3660)
# Appointments are entered late, but nobody books one of long ago.
LONGEST_AGO: Final = timedelta(days=366)
LONGEST_APPOINTMENT: Final = timedelta(days=366)
EVERY_STATUS: Final = tuple(dict.fromkeys(status for statuses in STATUSES.values() for status in statuses))


class PatientExists(DomainError):
    """One of the identifiers belongs to a patient already."""

    code = "patient_exists"
    sentence = "A patient already has one of these identifiers."


class OccasionExists(DomainError):
    """There is an occasion with this id of its source already."""

    code = "occasion_exists"
    sentence = "This occasion exists already."


class ImportRefused(InvalidInput):
    """What was sent could not be taken over."""

    code = "import_refused"
    sentence = "This could not be taken over."


class PatientLineOutput(Output):
    """A patient in a list."""

    id = serializers.UUIDField()
    family_name = serializers.CharField()
    given_names = serializers.ListField(child=serializers.CharField())
    birth_date = serializers.DateField(allow_null=True)
    is_deceased = serializers.BooleanField()
    is_active = serializers.BooleanField()


class AddressOutput(Output):
    """Where a patient lives."""

    lines = serializers.ListField(child=serializers.CharField())
    postal_code = serializers.CharField()
    city = serializers.CharField()
    country = serializers.CharField()


class PatientOutput(PatientLineOutput):
    """A patient."""

    language = choice_of(Language, allow_null=True)
    is_restricted = serializers.BooleanField()
    address = AddressOutput()


class PatientsPage(Output):
    """A page of patients, in the order they were entered."""

    results = PatientLineOutput(many=True)
    next = serializers.CharField(allow_null=True)


class IdentifierInput(Input):
    """How another system names the patient."""

    system = Line(max_length=LONGEST_NAME)
    value = Line(max_length=LONGEST_NAME)


class ContactPointInput(Input):
    """A telephone number or an e-mail address."""

    kind = Choice(choices=[("phone", "phone"), ("email", "email")])
    value = Line(max_length=320)


class AddressInput(Input):
    """Where the patient lives."""

    lines = serializers.ListField(child=Line(max_length=LONGEST_NAME), max_length=6, default=list)
    postal_code = Line(max_length=20, default="", allow_blank=True)
    city = Line(max_length=LONGEST_NAME, default="", allow_blank=True)
    country = Line(max_length=60, default="", allow_blank=True)

    def validate_country(self, given: str) -> str:
        """It decides in which plan telephone numbers are read: one that does not exist is a mistake."""
        if given and not is_country(given):
            raise serializers.ValidationError(said("country"), code=Why.CODE_NOT_UNDERSTOOD)
        return given


class PatientInput(Input):
    """A patient to be entered."""

    family_name = Line(max_length=LONGEST_NAME)
    given_names = serializers.ListField(child=Line(max_length=LONGEST_NAME), max_length=10, default=list)
    birth_date = Day(required=False, allow_null=True)
    language = choice_of(Language, required=False, allow_null=True)
    identifiers = serializers.ListField(child=IdentifierInput(), max_length=10, default=list)
    contact_points = serializers.ListField(child=ContactPointInput(), max_length=20, default=list)
    address = AddressInput(required=False)


class CreatedOutput(Output):
    """What was made."""

    id = serializers.UUIDField()


class SearchInput(Input):
    """Exactly one kind of thing to look for. There is no other search: names and numbers are stored encrypted."""

    family_name = Line(required=False, max_length=LONGEST_NAME)
    phone = Line(required=False, max_length=40)
    email = Line(required=False, max_length=320)
    identifier = IdentifierInput(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """One of them."""
        if len(attrs) != 1:
            raise serializers.ValidationError(said("exactly_one", self.fields), code="exactly_one")
        return attrs


class AttestInput(Input):
    """How staff know that a contact point is the patient's."""

    how = Choice(choices=[(how, how) for how in sorted(HOWS)])


class OccasionInput(Input):
    """An appointment, an immunisation or an encounter."""

    patient = Id()
    kind = choice_of(OccasionKind)
    topic = Choice(choices=[(topic, topic) for topic in TOPICS], required=False, help_text="For immunisations.")
    status = Choice(choices=[(status, status) for status in EVERY_STATUS])
    starts_at = Moment()
    ends_at = Moment(required=False, allow_null=True)
    place = Line(max_length=LONGEST_NAME, default="", allow_blank=True)
    practitioner = Line(max_length=LONGEST_NAME, default="", allow_blank=True)
    label = Line(max_length=LONGEST_NAME, default="", allow_blank=True)  # type: ignore[assignment] # a field of ours
    source_id = Line(max_length=LONGEST_NAME, required=False, help_text="The id in the software it comes from.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """What fits together."""
        kind = OccasionKind(attrs["kind"])
        errors: dict[str, Any] = {}
        if attrs["status"] not in STATUSES[kind]:
            errors["status"] = serializers.ErrorDetail(said("choice", STATUSES[kind]), code="invalid_choice")
        if (kind is OccasionKind.IMMUNISATION) != bool(attrs.get("topic")):
            code = "topic_of_immunisations_only"
            errors["topic"] = serializers.ErrorDetail(said(code, TOPICS), code=code)
        if attrs.get("ends_at") is not None and attrs["ends_at"] < attrs["starts_at"]:
            errors["ends_at"] = serializers.ErrorDetail(said("end_before_start"), code="end_before_start")
        if errors:
            raise serializers.ValidationError({name: [error] for name, error in errors.items()})
        return attrs


class OccasionOutput(Output):
    """An occasion, without its words."""

    id = serializers.UUIDField()
    patient = serializers.UUIDField(source="patient_id")
    kind = choice_of(OccasionKind)
    topic = serializers.CharField()
    status = serializers.CharField()
    starts_at = Moment(allow_null=True)
    ends_at = Moment(allow_null=True)


class OccasionsPage(Output):
    """A page of occasions, the last that was entered first."""

    results = OccasionOutput(many=True)
    next = serializers.CharField(allow_null=True)


class Patients(ClinicEndpoint):
    """A clinic's patients."""

    permission_classes = [StaffWritesDpoReads]
    tag = "patients"

    @extend_schema(parameters=PAGING, responses=PatientsPage)
    def get(self, request: Request, **_path: object) -> Response:
        """In the order they were entered. Looking is recorded, for every patient on the page."""
        refuse_unknown(request, "cursor", "limit")
        limit, place = read_limit(request), read_cursor(request, UUID)
        rows = patients_of_clinic(clinic_id=self.clinic.id, after=place[0] if place else None, limit=limit + 1)
        shown, after = next_page(rows, limit, lambda row: (row.id,))
        return page(_listed(self, shown, reason="list"), next_cursor=after)

    @extend_schema(request=PatientInput, responses={201: CreatedOutput}, examples=[examples.ENTER])
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Enter a patient. Nobody is contacted by this: contact points are used once they are verified or attested."""
        asked = PatientInput.read(request)
        _refuse_unborn(self.clinic, asked.get("birth_date"))
        identifiers = [Identifier(system=one["system"], value=one["value"]) for one in asked["identifiers"]]
        _refuse_known(self.clinic, identifiers)
        own = Identifier(system=SOURCE_ID, value=str(uuid4()))
        _take_over(self, as_patient_record(asked, identifiers, source_id=own.value, clinic=self.clinic))
        patient_id = find_patient_by_identifier(clinic_id=self.clinic.id, system=own.system, value=own.value)
        headers = {"Location": f"/api/v1/clinics/{slug}/patients/{patient_id}"}
        return Response(CreatedOutput({"id": patient_id}).data, status=201, headers=headers)


class PatientSearch(ClinicEndpoint):
    """Finding a patient. What is looked for stands in the body: a URL ends up in logs, and holds nothing personal."""

    permission_classes = [StaffOnly]
    tag = "patients"

    @extend_schema(request=SearchInput, responses=PatientsPage, examples=[examples.FIND])
    def post(self, request: Request, **_path: object) -> Response:
        """By exact family name, telephone number, e-mail address or identifier; at most 50. Looking is recorded."""
        asked = SearchInput.read(request)
        return page(_listed(self, _found(self.clinic, asked), reason="search"))


class Patient(PatientEndpoint):
    """One patient."""

    permission_classes = [StaffWritesDpoReads]
    tag = "patients"

    @extend_schema(responses=PatientOutput)
    def get(self, request: Request, **_path: object) -> Response:
        """Name, birth date, address. Looking is recorded."""
        refuse_unknown(request)
        with record(
            Action.PATIENT_READ,
            by=self.actor,
            now=clock.now(),
            clinic_id=self.clinic.id,
            about=self.patient.id,
            reason="file",
        ) as entry:
            profile = reveal_profiles([self.patient.id], entry=entry)[self.patient.id]
        shown = _line(profile) | {
            "language": self.patient.language,
            "is_restricted": self.patient.is_restricted,
            "address": {"lines": [], "postal_code": "", "city": "", "country": "", **profile.address},
        }
        return Response(PatientOutput(shown).data)


class PatientContactPoints(PatientEndpoint):
    """Where a patient can be reached."""

    permission_classes = [StaffWritesDpoReads]
    tag = "patients"

    @extend_schema(responses=ContactPointsPage)
    def get(self, request: Request, **_path: object) -> Response:
        """Telephone numbers and addresses, best first, also those that can not be used. Looking is recorded."""
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


class PatientContactPoint(PatientEndpoint):
    """One telephone number or address of a patient."""

    permission_classes = [StaffOnly]
    tag = "patients"

    @extend_schema(responses={204: None})
    def delete(self, _request: Request, contact_point_id: UUID, **_path: object) -> Response:
        """Take it away, because it is no longer the patient's: nothing is sent there any more."""
        return take_away(self, contact_point_id, reason="by_staff")


class ContactPointAttest(PatientEndpoint):
    """Staff vouch for a contact point."""

    permission_classes = [StaffOnly]
    tag = "patients"

    @extend_schema(request=AttestInput, responses=StandingOutput)
    def post(self, request: Request, contact_point_id: UUID, **_path: object) -> Response:
        """Say how it was checked that this contact point is the patient's: from now on it may be used."""
        asked = AttestInput.read(request)
        attest_contact_point(
            clinic_id=self.clinic.id,
            patient_id=self.patient.id,
            contact_point_id=contact_point_id,
            how=asked["how"],
            actor=self.actor,
            now=clock.now(),
        )
        return Response(StandingOutput({"id": contact_point_id, "status": ContactStatus.ATTESTED}).data)


class Occasions(ClinicEndpoint):
    """Appointments and other dates that messages count from."""

    permission_classes = [StaffWritesDpoReads]
    tag = "patients"

    @extend_schema(
        parameters=[
            *PAGING,
            OpenApiParameter("patient", UUID),
            OpenApiParameter("kind", str, enum=[kind.value for kind in OccasionKind]),
        ],
        responses=OccasionsPage,
    )
    def get(self, request: Request, **_path: object) -> Response:
        """The last that was entered first; without place and practitioner."""
        refuse_unknown(request, "cursor", "limit", "patient", "kind")
        limit, place = read_limit(request), read_cursor(request, UUID)
        kinds = read_words(request, "kind", {kind.value: kind.value for kind in OccasionKind})
        rows = occasions_of(
            clinic_id=self.clinic.id,
            patient_id=read_id(request, "patient"),
            kinds=kinds,
            before=place[0] if place else None,
            limit=limit + 1,
        )
        shown, after = next_page(rows, limit, lambda row: (row.id,))
        return page([OccasionOutput(row).data for row in shown], next_cursor=after)

    @extend_schema(request=OccasionInput, responses={201: OccasionOutput})
    @idempotent
    def post(self, request: Request, **_path: object) -> Response:
        """Enter an appointment or another date of a patient."""
        asked = OccasionInput.read(request)
        try:
            patient = require_patient(clinic_id=self.clinic.id, patient_id=asked["patient"])
        except NotFound as error:
            raise NotFound(field="patient") from error
        _refuse_out_of_time(self.clinic, asked)
        source_id = asked.get("source_id") or str(uuid4())
        if find_occasion_by_source(clinic_id=self.clinic.id, kind=asked["kind"], source_id=source_id):
            raise OccasionExists
        with record(
            Action.PATIENT_READ,
            by=self.actor,
            now=clock.now(),
            clinic_id=self.clinic.id,
            about=patient.id,
            reason="occasion",
        ) as entry:
            reference = reference_to(clinic_id=self.clinic.id, patient_id=patient.id, entry=entry)
        _take_over(
            self,
            OccasionRecord(
                where=Where(file=SOURCE, line=1),
                source_id=source_id,
                identifiers=(),
                patient=reference,
                kind=asked["kind"],
                topic=asked.get("topic", ""),
                status=asked["status"],
                starts_at=asked["starts_at"],
                ends_at=asked.get("ends_at"),
                place=asked["place"],
                practitioner=asked["practitioner"],
                label=asked["label"],
            ),
        )
        made = find_occasion_by_source(clinic_id=self.clinic.id, kind=asked["kind"], source_id=source_id)
        return Response(OccasionOutput(made).data, status=201)


def as_patient_record(
    asked: dict[str, Any], identifiers: list[Identifier], *, source_id: str, clinic: ClinicFacts
) -> PatientRecord:
    """What was sent, as an import would read it. Raises InvalidInput for a contact point that can not be one."""
    address = asked.get("address", {})
    return PatientRecord(
        where=Where(file=SOURCE, line=1),
        source_id=source_id,
        identifiers=tuple(identifiers),
        family_name=asked["family_name"],
        given_names=tuple(asked["given_names"]),
        birth_date=asked.get("birth_date"),
        deceased=False,
        deceased_at=None,
        gender=None,
        language=None if asked.get("language") is None else Language(asked["language"]),
        telecoms=tuple(
            _telecom(one["kind"], one["value"], region=clinic.country, field=f"contact_points[{place}].value")
            for place, one in enumerate(asked["contact_points"])
        ),
        address_lines=tuple(address.get("lines", ())),
        postal_code=address.get("postal_code", ""),
        city=address.get("city", ""),
        country=address.get("country", ""),
        active=True,
    )


def _telecom(kind: Any, value: str, *, region: str, field: str) -> Telecom:
    normal = normalise_phone(value, region) if kind == "phone" else normalise_email(value)
    if not normal.usable:
        raise InvalidInput("This can not be reached: check it.", field=field, reason=normal.reason)
    return Telecom(
        kind=kind, value=normal.value, raw=value, usable=True, reason=None, mobile=normal.mobile, use=None, rank=None
    )


def _refuse_known(clinic: ClinicFacts, identifiers: list[Identifier]) -> None:
    for place, one in enumerate(identifiers):
        known = find_patient_by_identifier(clinic_id=clinic.id, system=one.system, value=one.value)
        if known is not None:
            raise PatientExists(field=f"identifiers[{place}]", patient=known)


def _refuse_unborn(clinic: ClinicFacts, birth_date: date | None) -> None:
    if birth_date is not None and birth_date > _today(clinic):
        raise _wrong_date("birth_date", Why.DATE_IN_FUTURE)


def _refuse_out_of_time(clinic: ClinicFacts, asked: dict[str, Any]) -> None:
    """What was done lies behind us; an appointment, within what anybody plans. Raises ValidationError."""
    starts_on = asked["starts_at"].astimezone(ZoneInfo(clinic.time_zone)).date()
    today = _today(clinic)
    if asked["status"] in OVER and starts_on > today:
        raise _wrong_date("starts_at", Why.DATE_IN_FUTURE)
    if starts_on - today > FARTHEST_AHEAD:
        raise _wrong_date("starts_at", Why.DATE_OUT_OF_RANGE)
    if asked["kind"] != OccasionKind.APPOINTMENT:
        return
    if asked["status"] in {"booked", "pending"} and today - starts_on > LONGEST_AGO:
        raise _wrong_date("starts_at", Why.DATE_OUT_OF_RANGE)
    ends_at = asked.get("ends_at")
    if ends_at is not None and ends_at - asked["starts_at"] > LONGEST_APPOINTMENT:
        raise _wrong_date("ends_at", Why.DATE_OUT_OF_RANGE)


def _wrong_date(name: str, why: Why) -> serializers.ValidationError:
    return serializers.ValidationError({name: [serializers.ErrorDetail(said(why.value), code=why.value)]})


def _today(clinic: ClinicFacts) -> date:
    return clock.now().astimezone(ZoneInfo(clinic.time_zone)).date()


def _take_over(view: ClinicEndpoint, given: Record) -> None:
    rows: list[ImportRow] = []
    import_records(
        clinic_id=view.clinic.id,
        records=[given],
        source=SOURCE,
        actor=view.actor,
        now=clock.now(),
        on_row=rows.append,
    )
    for row in rows:
        if row.outcome is RowOutcome.REFUSED:
            raise ImportRefused(field=row.field, reason=str(row.reason))


def _found(clinic: ClinicFacts, asked: dict[str, Any]) -> list[PatientFacts]:
    if "identifier" in asked:
        given = asked["identifier"]
        found = find_patient_by_identifier(clinic_id=clinic.id, system=given["system"], value=given["value"])
        return [] if found is None else list(patients_by_id([found]).values())
    return find_patients(clinic_id=clinic.id, **asked)


def _listed(view: ClinicEndpoint, rows: list[PatientFacts], *, reason: str) -> list[dict[str, Any]]:
    """Names and birth dates of a list, under an entry that every patient on it can find."""
    living = [one.id for one in patients_by_id([row.id for row in rows]).values() if not one.is_erased]
    living.sort()
    with record(
        Action.PATIENTS_LISTED,
        by=view.actor,
        now=clock.now(),
        clinic_id=view.clinic.id,
        about=living,
        reason=reason,
        count=len(living),
    ) as entry:
        profiles = reveal_profiles(living, entry=entry)
    return [dict(PatientLineOutput(_line(profiles[one])).data) for one in living if one in profiles]


def _line(profile: PatientProfile) -> dict[str, Any]:
    return {
        "id": profile.facts.id,
        "family_name": profile.family_name,
        "given_names": profile.given_names,
        "birth_date": profile.birth_date,
        "is_deceased": profile.facts.is_deceased,
        "is_active": profile.facts.is_active,
    }
