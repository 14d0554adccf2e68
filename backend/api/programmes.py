"""Programmes: written, looked at in a dry run, approved by a health professional, started, paused."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api import etags, examples
from backend.api.endpoints import ClinicEndpoint, page
from backend.api.explaining import ReasonOutput, reasons_on_the_wire
from backend.api.fields import (
    HOUR_FORM,
    Choice,
    Input,
    Moment,
    Names,
    NothingInput,
    Output,
    Slug,
    Text,
    Whole,
    choice_of,
    in_languages,
    says,
)
from backend.api.idempotency import idempotent
from backend.api.languages import spoken_language
from backend.api.pages import next_page, read_cursor, read_id, read_limit, refuse_unknown
from backend.api.permissions import StaffOnly, StaffWritesDpoReads
from backend.api.queries import enrolments_of
from backend.api.schema import PAGING
from backend.patients.sources.vaccines import TOPICS
from backend.policy.vocabulary import Channel
from backend.programmes.models import ProgrammeState
from backend.programmes.operations import (
    approve_programme,
    compute_reach,
    pause_programme,
    start_programme,
    write_programme,
)
from backend.programmes.operations.writing import VersionChanged
from backend.programmes.queries import ProgrammeRow, get_programme, programmes_of

LINES_SHOWN: Final = 500
LONGEST_AHEAD_HOURS: Final = 24 * 31
LONGEST_WORTH_HOURS: Final = 24 * 3660
MOST_STEPS: Final = 50


class CountedFromInput(Input):
    """What steps are counted from: appointments, or immunisations of one kind."""

    kind = Choice(choices=[("appointment", "appointment"), ("immunisation", "immunisation")])
    topic = Choice(choices=[(topic, topic) for topic in TOPICS], required=False, allow_blank=True)


class OffsetInput(Input):
    """So many calendar months and days after the occasion's day; negative is before."""

    days = Whole(required=False, min_value=-3660, max_value=3660)
    months = Whole(required=False, min_value=-120, max_value=120)


@extend_schema_field({"type": "string", "pattern": f"^{HOUR_FORM.pattern}$", "example": "09:00"})
class HourText(Text):
    """An hour that stays the text it is: the definition of a programme is kept as it was written."""

    default_error_messages = {"form": says("hour")}

    def to_internal_value(self, data: Any) -> str:
        """Refuse other spellings."""
        text = super().to_internal_value(data)
        if not HOUR_FORM.fullmatch(text):
            self.fail("form")
        return text


class StepInput(Input):
    """One message, counted from the occasion, at an hour of the clinic's clock."""

    key = Slug(max_length=40)
    offset = OffsetInput()
    at = HourText(max_length=8, help_text="Of the clinic's clock.")
    worth_for_hours = Whole(min_value=1, max_value=LONGEST_WORTH_HOURS, help_text="How long it is of use.")
    template = Slug(max_length=40)


class DefinitionInput(Input):
    """What a programme does."""

    occasion = CountedFromInput()
    steps = serializers.ListField(child=StepInput(), min_length=1, max_length=MOST_STEPS)


class ProgrammeInput(Input):
    """A new programme."""

    slug = Slug()
    names = Names()
    purpose = Slug()
    definition = DefinitionInput()


class ProgrammeOutput(Output):
    """A programme with the version that stands."""

    id = serializers.UUIDField()
    slug = serializers.CharField()
    names = serializers.DictField(child=serializers.CharField())
    purpose = serializers.CharField()
    state = choice_of(ProgrammeState)
    version = serializers.IntegerField()
    definition = DefinitionInput()
    approved_at = Moment(allow_null=True)
    started_at = Moment(allow_null=True)


class ProgrammesPage(Output):
    """A clinic's programmes."""

    results = ProgrammeOutput(many=True)
    next = serializers.CharField(allow_null=True)


class ReachInput(Input):
    """How far to look ahead."""

    ahead_hours = Whole(required=False, min_value=1, max_value=LONGEST_AHEAD_HOURS)


class ReachLineOutput(Output):
    """One message to one patient that would be sent, or would not."""

    patient = serializers.UUIDField(source="patient_id")
    step = serializers.CharField()
    due_at = Moment()
    channel = choice_of(Channel)
    would = serializers.BooleanField()
    reasons = ReasonOutput(many=True)


class ReachOutput(Output):
    """Whom it would reach, and whom not and why. Nothing was sent or planned."""

    would = serializers.IntegerField()
    would_not = serializers.DictField(child=serializers.IntegerField(), help_text="How often, by reason.")
    kept_back = serializers.IntegerField(help_text="How many messages would not be sent; one may have several reasons.")
    channels = serializers.DictField(child=serializers.IntegerField())
    reasons = ReasonOutput(many=True)
    lines = ReachLineOutput(many=True)
    lines_left_out = serializers.IntegerField()


class VersionInput(Input):
    """The version that was looked at."""

    version = Whole(required=False, min_value=1, max_value=2**31 - 1)


class EnrolmentOutput(Output):
    """A patient follows a programme because of one occasion."""

    id = serializers.UUIDField()
    programme = serializers.CharField()
    patient = serializers.UUIDField(source="patient_id")
    occasion = serializers.UUIDField(source="occasion_id")
    enrolled_at = Moment()


class EnrolmentsPage(Output):
    """A page of enrolments, the newest first."""

    results = EnrolmentOutput(many=True)
    next = serializers.CharField(allow_null=True)


class Programmes(ClinicEndpoint):
    """A clinic's programmes."""

    permission_classes = [StaffWritesDpoReads]
    tag = "programmes"

    @extend_schema(responses=ProgrammesPage)
    def get(self, request: Request, **_path: object) -> Response:
        """All of them, with the version that stands."""
        refuse_unknown(request)
        return page([programme_on_the_wire(row) for row in programmes_of(self.clinic.id)])

    @extend_schema(request=ProgrammeInput, responses={201: ProgrammeOutput}, examples=[examples.WRITE])
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Write a programme, as a draft: it sends nothing before it was approved and started."""
        asked = ProgrammeInput.read(request)
        programme_id = write_programme(
            clinic_id=self.clinic.id,
            slug=asked["slug"],
            names=in_languages(asked["names"]),
            purpose=asked["purpose"],
            definition=as_plain(asked["definition"]),
            actor=self.actor,
            now=clock.now(),
        )
        location = f"/api/v1/clinics/{slug}/programmes/{programme_id}"
        return answer_with(get_programme(clinic_id=self.clinic.id, programme_id=programme_id), 201, location)


class Programme(ClinicEndpoint):
    """One programme."""

    permission_classes = [StaffWritesDpoReads]
    tag = "programmes"
    has_etag = True

    @extend_schema(responses=ProgrammeOutput)
    def get(self, request: Request, programme_id: UUID, **_path: object) -> Response:
        """The version that stands, and whether it sends."""
        refuse_unknown(request)
        row = get_programme(clinic_id=self.clinic.id, programme_id=programme_id)
        if etags.is_known(request, tag_of(row)):
            return Response(status=304, headers={"ETag": tag_of(row)})
        return answer_with(row)


class ProgrammeReach(ClinicEndpoint):
    """The dry run."""

    permission_classes = [StaffOnly]
    tag = "programmes"

    @extend_schema(request=ReachInput, responses=ReachOutput)
    def post(self, request: Request, programme_id: UUID, **_path: object) -> Response:
        """Whom it would reach and whom not, and why, as if it were running. Nothing is sent or planned."""
        asked = ReachInput.read(request)
        hours = asked.get("ahead_hours", 24)
        reach = compute_reach(
            clinic_id=self.clinic.id,
            programme_id=programme_id,
            actor=self.actor,
            now=clock.now(),
            ahead=timedelta(hours=hours),
        )
        language = spoken_language()
        lines = [
            {
                "patient_id": line.patient_id,
                "step": line.step,
                "due_at": line.due_at,
                "channel": line.channel,
                "would": line.would,
                "reasons": reasons_on_the_wire(line.reasons, language),
            }
            for line in reach.lines[:LINES_SHOWN]
        ]
        shown = {
            "would": reach.would,
            "would_not": {reason.value: count for reason, count in reach.reasons.items()},
            "kept_back": reach.would_not,
            "channels": {channel.value: count for channel, count in reach.channels.items()},
            "reasons": reasons_on_the_wire(sorted(reach.reasons), language),
            "lines": lines,
            "lines_left_out": max(0, len(reach.lines) - LINES_SHOWN),
        }
        return Response(ReachOutput(shown).data)


class ProgrammeApprove(ClinicEndpoint):
    """A health professional says yes to a version."""

    permission_classes = [StaffOnly]
    tag = "programmes"
    takes_if_match = True
    has_etag = True

    @extend_schema(request=VersionInput, responses=ProgrammeOutput)
    def post(self, request: Request, programme_id: UUID, **_path: object) -> Response:
        """Approve the version that stands, or the one that is named. Only a health professional of the clinic can."""
        asked = VersionInput.read(request)
        row = matching(self.clinic.id, programme_id, request)
        has_condition = request.headers.get("If-Match", "*").strip() != "*"
        approve_programme(
            clinic_id=self.clinic.id,
            programme_id=programme_id,
            expected_version=asked.get("version", row.version if has_condition else None),
            actor=self.actor,
            now=clock.now(),
        )
        return answer_with(get_programme(clinic_id=self.clinic.id, programme_id=programme_id))


class ProgrammeStart(ClinicEndpoint):
    """From now on it sends."""

    permission_classes = [StaffOnly]
    tag = "programmes"
    takes_if_match = True
    has_etag = True

    @extend_schema(request=NothingInput, responses=ProgrammeOutput)
    def post(self, request: Request, programme_id: UUID, **_path: object) -> Response:
        """Start it. What had come due before is not sent afterwards."""
        NothingInput.read(request)
        matching(self.clinic.id, programme_id, request)
        start_programme(clinic_id=self.clinic.id, programme_id=programme_id, actor=self.actor, now=clock.now())
        return answer_with(get_programme(clinic_id=self.clinic.id, programme_id=programme_id))


class ProgrammePause(ClinicEndpoint):
    """From now on it sends nothing."""

    permission_classes = [StaffOnly]
    tag = "programmes"
    takes_if_match = True
    has_etag = True

    @extend_schema(request=NothingInput, responses=ProgrammeOutput)
    def post(self, request: Request, programme_id: UUID, **_path: object) -> Response:
        """Pause it: what is queued is withheld until it is started again."""
        NothingInput.read(request)
        matching(self.clinic.id, programme_id, request)
        pause_programme(clinic_id=self.clinic.id, programme_id=programme_id, actor=self.actor, now=clock.now())
        return answer_with(get_programme(clinic_id=self.clinic.id, programme_id=programme_id))


class Enrolments(ClinicEndpoint):
    """Who follows which programme."""

    permission_classes = [StaffWritesDpoReads]
    tag = "programmes"

    @extend_schema(
        parameters=[*PAGING, OpenApiParameter("patient", UUID), OpenApiParameter("programme", UUID)],
        responses=EnrolmentsPage,
    )
    def get(self, request: Request, **_path: object) -> Response:
        """The newest first."""
        refuse_unknown(request, "cursor", "limit", "patient", "programme")
        limit, place = read_limit(request), read_cursor(request, UUID)
        rows = enrolments_of(
            clinic_id=self.clinic.id,
            patient_id=read_id(request, "patient"),
            programme_id=read_id(request, "programme"),
            before=place[0] if place else None,
            limit=limit + 1,
        )
        shown, after = next_page(rows, limit, lambda row: (row.id,))
        return page([EnrolmentOutput(row).data for row in shown], next_cursor=after)


def programme_on_the_wire(row: ProgrammeRow) -> dict[str, Any]:
    """A programme, as it is answered."""
    return dict(ProgrammeOutput(row).data)


def tag_of(row: ProgrammeRow) -> str:
    """Its ETag: what is written, and whether it sends."""
    approved = "approved" if row.approved_at else "open"
    return etags.etag(f"{row.version}.{row.state.value}.{approved}")


def answer_with(row: ProgrammeRow, status: int = 200, location: str = "") -> Response:
    """A programme and its ETag."""
    headers = {"ETag": tag_of(row)} | ({"Location": location} if location else {})
    return Response(programme_on_the_wire(row), status=status, headers=headers)


def matching(clinic_id: UUID, programme_id: UUID, request: Request) -> ProgrammeRow:
    """The programme, if it is as the client saw it. Raises NotFound, VersionChanged."""
    row = get_programme(clinic_id=clinic_id, programme_id=programme_id)
    if not etags.matches(request, tag_of(row), required=False):
        raise VersionChanged
    return row


def as_plain(given: Any) -> Any:
    """Checked input as plain JSON: what is stored is hashed in canonical form, which knows exact types only."""
    if isinstance(given, dict):
        return {str(name): as_plain(value) for name, value in given.items()}
    if isinstance(given, list | tuple):
        return [as_plain(value) for value in given]
    return str(given) if isinstance(given, str) else given
