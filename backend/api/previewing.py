"""What other preferences would have changed: asked before they are chosen, and changing nothing."""

from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api import examples
from backend.api.endpoints import Endpoint, MeEndpoint, PatientEndpoint
from backend.api.explaining import LOCALE, ReasonOutput, reasons_on_the_wire
from backend.api.fields import Input, Moment, Output, Whole, choice_of
from backend.api.languages import spoken_language
from backend.api.pages import refuse_unknown
from backend.api.permissions import PatientOnly, StaffWritesDpoReads
from backend.api.preferences import PreferencesInput, change_of, refuse_unknown_purposes
from backend.clinics.queries import ClinicFacts
from backend.messaging.previewing import (
    DEFAULT_DAYS,
    MOST_DAYS,
    MOST_MESSAGES,
    Preview,
    PreviewedMessage,
    preview_preferences,
)
from backend.patients.queries import PatientFacts
from backend.policy.vocabulary import Channel, Language


class PreviewInput(Input):
    """Preferences to try; what is left out is as it stands. And over how many of the last days."""

    preferences = PreferencesInput(required=False)
    days = Whole(required=False, default=DEFAULT_DAYS, min_value=1, max_value=MOST_DAYS)


class PreviewedOutput(Output):
    """A message: when and how it came (or was due), and when and how it would have come."""

    message = serializers.UUIDField(source="id")
    purpose = serializers.CharField()
    programme = serializers.CharField()
    step = serializers.CharField()
    at = Moment()
    was_channel = choice_of(Channel)
    channel = choice_of(Channel)
    would_come_at = Moment(allow_null=True)
    reasons = ReasonOutput(many=True)


class PreviewOutput(Output):
    """What would have become of the messages of these days."""

    since = Moment()
    until = Moment()
    received = serializers.IntegerField(help_text="How many messages there really were.")
    would_receive = serializers.IntegerField(help_text="How many there would have been by now.")
    truncated = serializers.BooleanField(help_text=f"Only the newest {MOST_MESSAGES} messages were looked at.")
    sentence = serializers.CharField()
    kept = PreviewedOutput(many=True, help_text="Would have come at the same time.")
    later = PreviewedOutput(many=True, help_text="Would have come later, or is yet to come.")
    not_sent = PreviewedOutput(many=True, help_text="Would not have come.")
    added = PreviewedOutput(
        many=True, help_text="Was withheld for preferences that stood then, with consent, and would have come."
    )


class _Preview(Endpoint):
    tag = "preferences"
    clinic: ClinicFacts
    patient: PatientFacts
    hidden: frozenset[str] = frozenset()

    @extend_schema(request=PreviewInput, responses=PreviewOutput, examples=[examples.TRY])
    def post(self, request: Request, **_path: object) -> Response:
        """The real messages of the last days, decided again by the same rules with these preferences.

        Nothing is changed; that it was looked at is recorded. Consent and all else is taken as it was. A message that
        had waited is asked about at the hour at which it left.
        """
        refuse_unknown(request)
        asked = PreviewInput.read(request)
        change = change_of(asked.get("preferences", {}))
        refuse_unknown_purposes(self.clinic.id, change, hidden=self.hidden)
        preview = preview_preferences(
            clinic_id=self.clinic.id,
            patient_id=self.patient.id,
            change=change,
            days=asked["days"],
            hidden=self.hidden,
            actor=self.actor,
            now=clock.now(),
        )
        return Response(preview_on_the_wire(preview, self.clinic, spoken_language()))


class MyPreferencePreview(_Preview, MeEndpoint):
    """The patient's own messages."""

    permission_classes = [PatientOnly]


class PatientPreferencePreview(_Preview, PatientEndpoint):
    """A patient's messages, for staff who fill in the preferences with them."""

    permission_classes = [StaffWritesDpoReads]


def preview_on_the_wire(preview: Preview, clinic: ClinicFacts, language: Language) -> dict[str, Any]:
    """A preview as it is answered."""
    shown = {
        "since": preview.since,
        "until": preview.until,
        "received": preview.received,
        "would_receive": preview.would_receive,
        "truncated": preview.truncated,
        "sentence": _sentence(preview, clinic, language),
        "kept": [_message(one, language) for one in preview.kept],
        "later": [_message(one, language) for one in preview.later],
        "not_sent": [_message(one, language) for one in preview.not_sent],
        "added": [_message(one, language) for one in preview.added],
    }
    return dict(PreviewOutput(shown).data)


def _message(one: PreviewedMessage, language: Language) -> dict[str, Any]:
    return {
        "id": one.id,
        "purpose": one.purpose,
        "programme": one.programme,
        "step": one.step,
        "at": one.at,
        "was_channel": one.was_channel,
        "channel": one.channel,
        "would_come_at": one.would_come_at,
        "reasons": reasons_on_the_wire(one.reasons, language),
    }


def _sentence(preview: Preview, clinic: ClinicFacts, language: Language) -> str:
    day = format_date(preview.since.astimezone(ZoneInfo(clinic.time_zone)), "long", locale=LOCALE[language])
    would, did = preview.would_receive, preview.received
    if language is Language.FRENCH:
        came = f"{would} messages seraient arrivés" if would > 1 else f"{would} message serait arrivé"
        instead = "autant qu’en réalité" if would == did else f"au lieu de {did}"
        return f"Avec ces réglages, {came} depuis le {day}, {instead}."
    came = f"{would} message{'' if would == 1 else 's'} would have come"
    instead = "as many as there were" if would == did else f"instead of {did}"
    return f"With these settings, {came} since {day}, {instead}."
