"""Messages: what a patient was sent and why, and what a clinic's messages came to."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api.endpoints import ClinicEndpoint, MeEndpoint, page
from backend.api.explaining import ShortWhyOutput, WhyOutput, explain, short_reasons
from backend.api.fields import Input, Moment, Output, YesNo, choice_of
from backend.api.languages import spoken_language
from backend.api.pages import next_page, read_cursor, read_id, read_limit, read_words, refuse_unknown
from backend.api.permissions import PatientOnly, StaffOnly, StaffWritesDpoReads
from backend.api.schema import PAGING
from backend.audit.actions import Action
from backend.audit.recording import Entry, record
from backend.clinics.queries import ClinicFacts
from backend.messaging.doubts import settle_doubt
from backend.messaging.queries import MessageRow, count_by_state, get_message, messages_of, reveal_sent_texts
from backend.policy.vocabulary import Channel, Language, MessageState, Reason, Tone

STATES: Final = {state.value: state for state in MessageState}
REASONS: Final = {reason.value: reason for reason in Reason}


class MessageOutput(Output):
    """A message, without its words."""

    id = serializers.UUIDField()
    patient = serializers.UUIDField()
    programme = serializers.CharField()
    step = serializers.CharField()
    purpose = serializers.CharField()
    channel = choice_of(Channel)
    language = choice_of(Language)
    tone = choice_of(Tone)
    state = choice_of(MessageState)
    due_at = Moment()
    expires_at = Moment(allow_null=True)
    planned_at = Moment()
    settled_at = Moment(allow_null=True)
    carrier = serializers.CharField()
    failure = serializers.CharField(help_text="Why the carrier did not take it; empty otherwise.")
    why = ShortWhyOutput()


class MyMessageOutput(Output):
    """A message to the patient. `subject` and `text` are what was sent, word for word; null where nothing was."""

    id = serializers.UUIDField()
    programme = serializers.CharField()
    step = serializers.CharField()
    purpose = serializers.CharField()
    channel = choice_of(Channel)
    language = choice_of(Language)
    tone = choice_of(Tone)
    state = choice_of(MessageState)
    due_at = Moment()
    settled_at = Moment(allow_null=True)
    subject = serializers.CharField(allow_null=True)
    text = serializers.CharField(allow_null=True)
    full_text = serializers.CharField(
        allow_null=True, help_text="The whole message, where a lock screen was shown a discreet form of it."
    )
    why = ShortWhyOutput()


class MessagesPage(Output):
    """A page of messages, the newest first."""

    results = MessageOutput(many=True)
    next = serializers.CharField(allow_null=True)


class MyMessagesPage(Output):
    """A page of messages, the newest first."""

    results = MyMessageOutput(many=True)
    next = serializers.CharField(allow_null=True)


class DoubtInput(Input):
    """What somebody found out about a message in doubt."""

    left = YesNo(help_text="Did it leave?")


class DoubtOutput(Output):
    """Where the message stands now."""

    state = choice_of(MessageState)


class StatisticsOutput(Output):
    """Counts."""

    messages = serializers.DictField(child=serializers.IntegerField(), help_text="How many messages stand where.")


class MyMessages(MeEndpoint):
    """What the patient was sent, is about to be sent, and was not."""

    permission_classes = [PatientOnly]
    tag = "messages"

    @extend_schema(parameters=PAGING, responses=MyMessagesPage)
    def get(self, request: Request, **_path: object) -> Response:
        """The newest first, with what was sent. Looking is recorded."""
        refuse_unknown(request, "cursor", "limit")
        limit = read_limit(request)
        rows = messages_of(
            clinic_id=self.clinic.id,
            patient_id=self.patient.id,
            before=read_cursor(request, datetime, UUID),
            hidden=self.hidden,
            limit=limit + 1,
        )
        self.note_hidden()
        shown, after = next_page(rows, limit, lambda row: (row.due_at, row.id))
        with _looking(self) as entry:
            return page(my_messages_on_the_wire(shown, self.clinic, entry), next_cursor=after)


class MyMessage(MeEndpoint):
    """One message to the patient."""

    permission_classes = [PatientOnly]
    tag = "messages"

    @extend_schema(responses=MyMessageOutput)
    def get(self, request: Request, message_id: UUID, **_path: object) -> Response:
        """One message, with what was sent. Looking is recorded."""
        refuse_unknown(request)
        row = get_message(clinic_id=self.clinic.id, patient_id=self.patient.id, message_id=message_id)
        self.refuse_hidden(row.purpose)
        with _looking(self) as entry:
            return Response(my_messages_on_the_wire([row], self.clinic, entry)[0])


class MyMessageWhy(MeEndpoint):
    """Why did I get this, or not?"""

    permission_classes = [PatientOnly]
    tag = "messages"

    @extend_schema(responses=WhyOutput)
    def get(self, request: Request, message_id: UUID, **_path: object) -> Response:
        """Every rule, the consent relied upon, the preferences that mattered, and what would change the answer."""
        refuse_unknown(request)
        row = get_message(clinic_id=self.clinic.id, patient_id=self.patient.id, message_id=message_id)
        self.refuse_hidden(row.purpose)
        return Response(explain(row, clinic=self.clinic, language=spoken_language()))


class ClinicMessages(ClinicEndpoint):
    """A clinic's messages."""

    permission_classes = [StaffWritesDpoReads]
    tag = "messages"

    @extend_schema(
        parameters=[
            *PAGING,
            OpenApiParameter("state", str, description="Some states, separated by commas."),
            OpenApiParameter("patient", UUID, description="Messages of one patient."),
            OpenApiParameter(
                "reason",
                str,
                description="What held them back, such as `daily_limit`; some, separated by commas.",
            ),
        ],
        responses=MessagesPage,
    )
    def get(self, request: Request, **_path: object) -> Response:
        """The newest first, without their words. Looking is recorded."""
        refuse_unknown(request, "cursor", "limit", "state", "patient", "reason")
        limit, patient_id = read_limit(request), read_id(request, "patient")
        rows = messages_of(
            clinic_id=self.clinic.id,
            patient_id=patient_id,
            states=read_words(request, "state", STATES),
            reasons=read_words(request, "reason", REASONS),
            before=read_cursor(request, datetime, UUID),
            limit=limit + 1,
        )
        shown, after = next_page(rows, limit, lambda row: (row.due_at, row.id))
        with record(
            Action.MESSAGES_READ,
            by=self.actor,
            now=clock.now(),
            clinic_id=self.clinic.id,
            about=tuple({row.patient_id for row in shown}) if patient_id is not None else (),
        ):
            return page(messages_on_the_wire(shown, self.clinic), next_cursor=after)


class ClinicMessageWhy(ClinicEndpoint):
    """Why a message was sent or not."""

    permission_classes = [StaffWritesDpoReads]
    tag = "messages"

    @extend_schema(responses=WhyOutput)
    def get(self, request: Request, message_id: UUID, **_path: object) -> Response:
        """The same as the patient sees. Looking is recorded."""
        refuse_unknown(request)
        row = get_message(clinic_id=self.clinic.id, message_id=message_id)
        with record(
            Action.MESSAGES_READ, by=self.actor, now=clock.now(), clinic_id=self.clinic.id, about=row.patient_id
        ):
            return Response(explain(row, clinic=self.clinic, language=spoken_language()))


class ClinicMessageDoubt(ClinicEndpoint):
    """What became of a message that is in doubt."""

    permission_classes = [StaffOnly]
    tag = "messages"

    @extend_schema(request=DoubtInput, responses=DoubtOutput)
    def post(self, request: Request, message_id: UUID, **_path: object) -> Response:
        """Say whether it left: the patient has it, or the carrier's own list has it not. It is not sent again."""
        asked = DoubtInput.read(request)
        state = settle_doubt(
            clinic_id=self.clinic.id,
            message_id=message_id,
            left=asked["left"],
            actor=self.actor,
            now=clock.now(),
        )
        return Response(DoubtOutput({"state": state}).data)


class Statistics(ClinicEndpoint):
    """Counts."""

    permission_classes = [StaffWritesDpoReads]
    tag = "messages"

    @extend_schema(responses=StatisticsOutput)
    def get(self, request: Request, **_path: object) -> Response:
        """How many messages stand where."""
        refuse_unknown(request)
        counted = count_by_state(self.clinic.id)
        return Response({"messages": {state.value: counted.get(state, 0) for state in MessageState}})


def messages_on_the_wire(rows: list[MessageRow], clinic: ClinicFacts) -> list[dict[str, Any]]:
    """Messages without their words."""
    why = short_reasons(rows, clinic=clinic, language=spoken_language())
    return [dict(MessageOutput(_shown(row) | {"why": why[row.id]}).data) for row in rows]


def my_messages_on_the_wire(rows: list[MessageRow], clinic: ClinicFacts, entry: Entry) -> list[dict[str, Any]]:
    """Messages with what was sent, under an entry that covers their patient."""
    why = short_reasons(rows, clinic=clinic, language=spoken_language())
    texts = reveal_sent_texts([row.id for row in rows], entry=entry)
    nothing: dict[str, str] = {}
    return [
        dict(
            MyMessageOutput(
                _shown(row)
                | {
                    "why": why[row.id],
                    "subject": texts.get(row.id, nothing).get("subject"),
                    "text": texts.get(row.id, nothing).get("text"),
                    "full_text": texts.get(row.id, nothing).get("full_text"),
                }
            ).data
        )
        for row in rows
    ]


def _looking(view: MeEndpoint) -> Any:
    return record(Action.MESSAGES_READ, by=view.actor, now=clock.now(), clinic_id=view.clinic.id, about=view.patient.id)


def _shown(row: MessageRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "patient": row.patient_id,
        "programme": row.programme,
        "step": row.step,
        "purpose": row.purpose,
        "channel": row.channel,
        "language": row.language,
        "tone": row.tone,
        "state": row.state,
        "due_at": row.due_at,
        "expires_at": row.expires_at,
        "planned_at": row.planned_at,
        "settled_at": row.settled_at,
        "carrier": row.carrier,
        "failure": row.failure,
    }
