"""What a patient said of each purpose on each channel, and saying it: by the patient, or taken down by staff."""

from dataclasses import asdict, replace
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api import examples
from backend.api.endpoints import MeEndpoint, PatientEndpoint, is_shown, page
from backend.api.fields import (
    ChannelList,
    Choice,
    Day,
    Id,
    Input,
    Line,
    Moment,
    Output,
    Slug,
    Whole,
    YesNo,
    choice_of,
)
from backend.api.idempotency import idempotent
from backend.api.languages import said
from backend.api.pages import read_words, refuse_unknown
from backend.api.permissions import PatientOnly, StaffWritesDpoReads
from backend.audit.actions import Action
from backend.audit.recording import record
from backend.clinics.queries import ClinicFacts
from backend.consent.operations import (
    ConsentGiven,
    Expression,
    Withdrawal,
    give_consent,
    is_child,
    refuse_consent,
    withdraw_consent,
)
from backend.consent.operations.expressing import NOT_STATED
from backend.consent.queries import NoticeRow, events_of, latest_notices, states_of
from backend.patients.queries import PatientFacts
from backend.policy.vocabulary import Audience, Channel, ConsentStatus, Decision, EventKind, Language, Method

STAFF_METHODS: Final = (Method.PAPER_FORM, Method.VERBAL, Method.STAFF_WITHDRAWAL)
LARGEST_VERSION: Final = 2**31 - 1


class NoticeOutput(Output):
    """A published notice: what a yes or no is said to."""

    version = serializers.IntegerField()
    language = choice_of(Language)
    audience = choice_of(Audience, help_text="`child`: the text of a child who decides together with a parent.")
    title = serializers.CharField()
    body = serializers.CharField()
    statements = serializers.DictField(child=serializers.CharField(), help_text="One statement per purpose.")
    sha256 = serializers.CharField(help_text="Of exactly what is shown, in canonical JSON (RFC 8785).")
    published_at = Moment()


class StateOutput(Output):
    """Where one purpose on one channel stands. `none`: nothing was ever said, which means no."""

    purpose = serializers.CharField()
    channel = choice_of(Channel)
    state = choice_of(ConsentStatus, source="status")
    since = Moment(allow_null=True)
    valid_until = Moment(allow_null=True)
    renew_by = Moment(
        allow_null=True, help_text="In the last thirty days of a yes: until when to ask again, in the app."
    )
    method = choice_of(Method, allow_null=True)
    notice_version = serializers.IntegerField(allow_null=True)
    language = choice_of(Language, allow_null=True)
    event_id = serializers.UUIDField(allow_null=True)


class EventOutput(Output):
    """One thing that happened. `decision` is what a person said, and null where a rule or somebody else ended it."""

    id = serializers.UUIDField()
    purpose = serializers.CharField()
    channel = choice_of(Channel)
    kind = choice_of(EventKind)
    decision = choice_of(Decision, allow_null=True)
    method = choice_of(Method)
    occurred_at = Moment()
    recorded_at = Moment()
    valid_until = Moment(allow_null=True)
    notice_version = serializers.IntegerField(allow_null=True)
    notice_sha256 = serializers.CharField()
    language = serializers.CharField()
    expressed_by = serializers.ListField(child=serializers.CharField())
    reason = serializers.CharField()


class StatesPage(Output):
    """Every purpose on every channel."""

    results = StateOutput(many=True)
    next = serializers.CharField(allow_null=True)


class StatesAndEventsPage(StatesPage):
    """Every purpose on every channel, and everything that was ever said."""

    events = EventOutput(many=True)


class NoticesPage(Output):
    """The newest notice in each language."""

    results = NoticeOutput(many=True)
    next = serializers.CharField(allow_null=True)


class SaidOutput(Output):
    """What was recorded. `confirmed`, `already_left` and `in_doubt` are there after a withdrawal only."""

    purpose = serializers.CharField()
    decision = choice_of(Decision)
    events = serializers.DictField(child=serializers.UUIDField(), help_text="The event recorded for each channel.")
    state = choice_of(ConsentStatus)
    valid_until = Moment(allow_null=True)
    confirmed = serializers.BooleanField(
        required=False, help_text="True: no message for this purpose leaves by these channels any more."
    )
    already_left = serializers.ListField(child=serializers.UUIDField(), required=False)
    in_doubt = serializers.ListField(child=serializers.UUIDField(), required=False)


class ShownInput(Input):
    """What the app showed when it asked."""

    initial_state = Choice(choices=["off", "on"], help_text="A box ticked beforehand is no consent.")
    notice_served = Id(required=False, help_text="What `POST /me/notices/served` answered when the notice was shown.")


class _SayingInput(Input):
    purpose = Slug()
    channels = ChannelList(allow_empty=False)
    decision = choice_of(Decision)
    notice_version = Whole(required=False, min_value=1, max_value=LARGEST_VERSION)
    language = choice_of(Language, required=False, help_text="Of the notice that was shown.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A yes or no names its notice; a withdrawal needs none."""
        if attrs["decision"] != Decision.WITHDRAWN:
            missing = [name for name in self.needed(attrs) if attrs.get(name) is None]
            if missing:
                raise serializers.ValidationError(
                    {name: [serializers.ErrorDetail(said("required"), code="required")] for name in missing}
                )
        return attrs

    def needed(self, _attrs: dict[str, Any]) -> list[str]:
        """The fields that a yes or no can not do without."""
        return ["notice_version", "language"]


class MySayingInput(_SayingInput):
    """The patient says yes, no, or no longer. A withdrawal needs only purpose, channels and decision."""

    shown = ShownInput(
        required=False, help_text="Proof of how it was asked. Without it the event says that the app did not say."
    )


class EvidenceInput(Input):
    """For `paper_form`: `form_reference`, `signed_on`. For `verbal`: `script_version`, `spoken_at`."""

    form_reference = Line(max_length=80, required=False)
    signed_on = Day(required=False)
    script_version = Line(max_length=80, required=False)
    spoken_at = Moment(required=False)
    of_age = YesNo(required=False, help_text="Attests that a person whose birth date is not known is of age.")


EVIDENCE_NAMES: Final = {
    Method.PAPER_FORM: ("form_reference", "signed_on", "of_age"),
    Method.VERBAL: ("script_version", "spoken_at", "of_age"),
    Method.STAFF_WITHDRAWAL: (),
}


class StaffSayingInput(_SayingInput):
    """Staff take down what a patient said on paper or aloud. A withdrawal is always accepted."""

    method = choice_of(STAFF_METHODS, required=False)
    evidence = EvidenceInput(required=False)
    by_patient = YesNo(default=True, help_text="False where only a representative spoke.")
    representatives = serializers.ListField(
        child=Id(), max_length=10, default=list, help_text="Those who spoke with the patient, or for a child."
    )

    def needed(self, _attrs: dict[str, Any]) -> list[str]:
        """Besides the notice: how it was said."""
        return [*super().needed(_attrs), "method"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Evidence belongs to its method; a yes is no withdrawal."""
        attrs = super().validate(attrs)
        method = Method(attrs.get("method", Method.STAFF_WITHDRAWAL))
        if attrs["decision"] != Decision.WITHDRAWN and method is Method.STAFF_WITHDRAWAL:
            among = [one for one in STAFF_METHODS if one is not Method.STAFF_WITHDRAWAL]
            self._refuse("method", "invalid_choice", said("choice", among))
        foreign = attrs.get("evidence", {}).keys() - set(EVIDENCE_NAMES[method])
        if foreign:
            self._refuse("evidence", "evidence_of_another_method", said("evidence_of_another_method"))
        return attrs

    def _refuse(self, name: str, code: str, sentence: str) -> None:
        raise serializers.ValidationError({name: [serializers.ErrorDetail(sentence, code=code)]})


class MyNotices(MeEndpoint):
    """What the clinic shows before it asks."""

    permission_classes = [PatientOnly]
    tag = "consent"

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "audience",
                str,
                enum=[one.value for one in Audience],
                description="For whom; unsaid, for whoever asks. A child is shown the text for children.",
            )
        ],
        responses=NoticesPage,
    )
    def get(self, request: Request, **_path: object) -> Response:
        """The newest notice in each language, or in the one that `?language=` names.

        In the words for children where a child asks, and there are such. That their age was looked at is recorded.
        """
        refuse_unknown(request, "audience")
        wanted = read_words(request, "audience", {one.value: one for one in Audience}) or [self.audience()]
        notices = latest_notices(self.clinic.id, wanted[0])
        asked = read_words(request, "language", {one.value: one for one in Language}) or list(Language)
        shown = [notices[language] for language in asked if language in notices]
        return page([NoticeOutput(_without(notice, self.hidden)).data for notice in shown])

    def audience(self) -> Audience:
        """For whom the text is: a child who decides together with a parent, or everybody."""
        now = clock.now()
        with record(
            Action.PATIENT_READ,
            by=self.actor,
            now=now,
            clinic_id=self.clinic.id,
            about=self.patient.id,
            reason="notices",
        ) as entry:
            is_young = is_child(clinic_id=self.clinic.id, patient_id=self.patient.id, entry=entry, now=now)
        return Audience.CHILD if is_young else Audience.EVERYBODY


class MyConsents(MeEndpoint):
    """The patient's own consents."""

    permission_classes = [PatientOnly]
    tag = "consent"

    @extend_schema(responses=StatesPage)
    def get(self, request: Request, **_path: object) -> Response:
        """Every purpose on every channel, with where it stands; `none` where nothing was said."""
        refuse_unknown(request)
        self.note_hidden()
        return page(_states(self.clinic, self.patient, hidden=self.hidden))

    @extend_schema(request=MySayingInput, responses={201: SaidOutput}, examples=[examples.SAY_YES, examples.WITHDRAW])
    @idempotent
    def post(self, request: Request, **_path: object) -> Response:
        """Say yes, no, or no longer. After a withdrawal the answer says whether anything can still arrive."""
        asked = MySayingInput.read(request)
        self.refuse_hidden(asked["purpose"])
        now = clock.now()
        if asked["decision"] == Decision.WITHDRAWN:
            return self._said(asked, _withdraw(self, asked, Method.APP, now))
        shown = asked.get("shown", {"initial_state": NOT_STATED})
        expression = self.expression(
            occurred_at=now,
            evidence={"notice_version": asked["notice_version"], **{name: str(one) for name, one in shown.items()}},
        )
        return self._said(asked, _say(self, asked, expression, now))

    def _said(self, asked: dict[str, Any], done: ConsentGiven | Withdrawal) -> Response:
        return Response(said_on_the_wire(asked, done), status=201)


class PatientConsents(PatientEndpoint):
    """A patient's consents, for staff."""

    permission_classes = [StaffWritesDpoReads]
    tag = "consent"

    @extend_schema(responses=StatesAndEventsPage)
    def get(self, request: Request, **_path: object) -> Response:
        """Where every purpose stands on every channel, and everything that was ever said. Looking is recorded."""
        refuse_unknown(request)
        with record(
            Action.CONSENTS_READ,
            by=self.actor,
            now=clock.now(),
            clinic_id=self.clinic.id,
            about=self.patient.id,
        ):
            events = events_of(clinic_id=self.clinic.id, patient_id=self.patient.id)
            states = _states(self.clinic, self.patient)
        return Response({"results": states, "events": EventOutput(events, many=True).data, "next": None})

    @extend_schema(
        request=StaffSayingInput,
        responses={201: SaidOutput},
        examples=[examples.TAKE_DOWN, examples.TAKE_DOWN_ALOUD, examples.WITHDRAW],
    )
    @idempotent
    def post(self, request: Request, **_path: object) -> Response:
        """Take down what the patient said on paper or aloud, with its evidence."""
        asked = StaffSayingInput.read(request)
        now = clock.now()
        method = Method(asked.get("method", Method.STAFF_WITHDRAWAL))
        if asked["decision"] == Decision.WITHDRAWN:
            return Response(said_on_the_wire(asked, _withdraw(self, asked, method, now)), status=201)
        evidence = asked.get("evidence", {})
        expression = Expression(
            method=method,
            occurred_at=spoken_at(evidence, self.clinic, now),
            evidence={name: as_json(value) for name, value in evidence.items()},
            by_patient=asked["by_patient"],
            representatives=tuple(asked["representatives"]),
        )
        return Response(said_on_the_wire(asked, _say(self, asked, expression, now)), status=201)


def said_on_the_wire(asked: dict[str, Any], done: ConsentGiven | Withdrawal) -> dict[str, Any]:
    """What was recorded, as it is answered."""
    said: dict[str, Any] = {
        "purpose": asked["purpose"],
        "decision": asked["decision"],
        "events": {channel.value: event for channel, event in done.events.items()},
        "state": done.status,
        "valid_until": None,
    }
    if isinstance(done, ConsentGiven):
        said["valid_until"] = done.valid_until
    else:
        said |= {
            "confirmed": done.confirmed,
            "already_left": list(done.already_left),
            "in_doubt": list(done.in_doubt),
        }
    return dict(SaidOutput(said).data)


def _states(clinic: ClinicFacts, patient: PatientFacts, *, hidden: frozenset[str] = frozenset()) -> list[Any]:
    states = states_of(clinic_id=clinic.id, patient_id=patient.id)
    now = clock.now()
    return [
        StateOutput({**asdict(state), "renew_by": state.renew_by(now)}).data
        for state in states
        if is_shown(state.purpose, hidden)
    ]


def _without(notice: NoticeRow, hidden: frozenset[str]) -> NoticeRow:
    """A notice is public; which of its purposes a patient keeps to themselves is not told by leaving them in."""
    return replace(notice, statements={slug: one for slug, one in notice.statements.items() if is_shown(slug, hidden)})


def _say(
    view: MeEndpoint | PatientEndpoint, asked: dict[str, Any], expression: Expression, now: datetime
) -> ConsentGiven:
    say = give_consent if asked["decision"] == Decision.GIVEN else refuse_consent
    return say(
        clinic_id=view.clinic.id,
        patient_id=view.patient.id,
        purpose=asked["purpose"],
        channels=asked["channels"],
        notice_version=asked["notice_version"],
        language=Language(asked["language"]),
        expression=expression,
        actor=view.actor,
        now=now,
    )


def _withdraw(view: MeEndpoint | PatientEndpoint, asked: dict[str, Any], method: Method, now: datetime) -> Withdrawal:
    return withdraw_consent(
        clinic_id=view.clinic.id,
        patient_id=view.patient.id,
        purpose=asked["purpose"],
        channels=asked["channels"],
        method=method,
        actor=view.actor,
        now=now,
    )


def spoken_at(evidence: dict[str, Any], clinic: ClinicFacts, now: datetime) -> datetime:
    """When it was said: a form bears a day only, and is taken to be signed when that day began."""
    if "spoken_at" in evidence:
        spoken: datetime = evidence["spoken_at"]
        return spoken
    if "signed_on" in evidence:
        signed: date = evidence["signed_on"]
        if signed > now.astimezone(ZoneInfo(clinic.time_zone)).date():
            # The operation refuses what lies in the future; the beginning of a day is not always in it.
            return now + timedelta(days=1)
        return datetime.combine(signed, time.min, tzinfo=ZoneInfo(clinic.time_zone))
    return now


def as_json(value: object) -> object:
    """Evidence as it is sealed."""
    return value.isoformat() if isinstance(value, date | datetime) else value
