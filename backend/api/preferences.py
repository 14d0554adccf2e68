"""How a patient wants to be contacted: `/me/preferences`, and the same for staff."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api import etags, examples
from backend.api.endpoints import Endpoint, MeEndpoint, PatientEndpoint
from backend.api.fields import (
    ChannelList,
    Choice,
    Hour,
    Input,
    Line,
    Moment,
    Output,
    Whole,
    YesNo,
    choice_of,
)
from backend.api.languages import said
from backend.api.pages import refuse_unknown
from backend.api.permissions import PatientOnly, StaffWritesDpoReads
from backend.clinics.queries import ClinicFacts
from backend.consent.queries import purposes_of
from backend.errors import InvalidInput
from backend.patients.queries import PatientFacts
from backend.policy.contact import FrequencyCap
from backend.policy.vocabulary import Language, Tone
from backend.preferences.operations import PreferenceChange, PreferencesChanged, change_preferences
from backend.preferences.queries import PreferenceRow, get_preferences

MOST_PER_PERIOD = 1000


class FrequencyField(Input):
    """At most so many messages in any 24 hours, 7 days or 30 days."""

    max = Whole(min_value=0, max_value=MOST_PER_PERIOD)
    per = Choice(choices=["day", "week", "month"])


class QuietHoursField(Input):
    """No message between these hours of the wall clock, perhaps over midnight. The zone is the clinic's if unsaid.

    The same hour twice is refused, as it could mean all day or never; `null` for the whole means never.
    """

    to = Hour()
    time_zone = Line(required=False, max_length=40)

    def get_fields(self) -> dict[str, Any]:
        """`from` is a word of Python's own."""
        return {"from": Hour(), **super().get_fields()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """From and to differ."""
        if attrs["from"] == attrs["to"]:
            raise serializers.ValidationError({"to": [serializers.ErrorDetail(said("same_hours"), code="same_hours")]})
        return attrs


class PreferencesInput(Input):
    """What is to be changed; what is left out stays as it is. `null` takes a choice back."""

    channel_order = ChannelList(required=False, help_text="Best first. A channel that is left out is switched off.")
    frequency = FrequencyField(required=False, allow_null=True)
    digest = YesNo(required=False)
    tone = choice_of(Tone, required=False, allow_null=True)
    language = choice_of(Language, required=False, allow_null=True)
    quiet_hours = QuietHoursField(required=False, allow_null=True)
    paused_until = Moment(required=False, allow_null=True)
    discreet = YesNo(required=False, help_text="Lock screens show only the discreet form of a message.")
    purposes = serializers.DictField(
        child=YesNo(), required=False, help_text="Purposes by slug: false switches one off. It never replaces consent."
    )

    def change(self) -> PreferenceChange:
        """What was said, as the operation takes it."""
        asked = self.validated_data
        said: dict[str, Any] = {
            name: asked[name]
            for name in ("channel_order", "digest", "paused_until", "discreet", "purposes")
            if name in asked
        }
        if "frequency" in asked:
            given = asked["frequency"]
            said["frequency"] = None if given is None else FrequencyCap(max=given["max"], per=given["per"])
        for name, words in (("tone", Tone), ("language", Language)):
            if name in asked:
                said[name] = None if asked[name] is None else words(asked[name])
        if "quiet_hours" in asked:
            hours = asked["quiet_hours"] or {}
            said |= {
                "quiet_from": hours.get("from"),
                "quiet_to": hours.get("to"),
                "time_zone": hours.get("time_zone", ""),
            }
        return PreferenceChange(**said)


class PreferencesOutput(Output):
    """What a patient chose; where they chose nothing, the defaults. `version` is also the ETag."""

    version = serializers.IntegerField()
    channel_order = ChannelList()
    frequency = FrequencyField(allow_null=True)
    digest = serializers.BooleanField()
    tone = choice_of(Tone, allow_null=True)
    language = choice_of(Language, allow_null=True)
    quiet_hours = QuietHoursField(allow_null=True)
    paused_until = Moment(allow_null=True)
    discreet = serializers.BooleanField()
    purposes = serializers.DictField(child=serializers.BooleanField())


def preferences_on_the_wire(row: PreferenceRow, clinic: ClinicFacts) -> dict[str, Any]:
    """A patient's preferences as they are answered."""
    quiet = None
    if row.quiet_from is not None and row.quiet_to is not None:
        quiet = {"from": row.quiet_from, "to": row.quiet_to, "time_zone": row.time_zone or clinic.time_zone}
    slugs = [purpose.slug for purpose in purposes_of(clinic.id).values() if purpose.requires_consent]
    shown = {
        "version": row.version,
        "channel_order": row.channel_order,
        "frequency": None if row.frequency is None else {"max": row.frequency.max, "per": row.frequency.per},
        "digest": row.digest,
        "tone": row.tone,
        "language": row.language,
        "quiet_hours": quiet,
        "paused_until": row.paused_until,
        "discreet": row.discreet,
        "purposes": {slug: row.purposes.get(slug, True) for slug in slugs},
    }
    return dict(PreferencesOutput(shown).data)


class _Preferences(Endpoint):
    tag = "preferences"
    has_etag = True
    clinic: ClinicFacts
    patient: PatientFacts

    @extend_schema(responses=PreferencesOutput)
    def get(self, request: Request, **_path: object) -> Response:
        """How the patient wants to be contacted."""
        refuse_unknown(request)
        row = get_preferences(clinic_id=self.clinic.id, patient_id=self.patient.id)
        tag = etags.etag(row.version)
        if etags.is_known(request, tag):
            return Response(status=304, headers={"ETag": tag})
        return Response(preferences_on_the_wire(row, self.clinic), headers={"ETag": tag})

    @extend_schema(request=PreferencesInput, responses=PreferencesOutput, examples=[examples.PREFER])
    def patch(self, request: Request, **_path: object) -> Response:
        """Change some of it. Needs If-Match with the ETag that was read: 428 without, 412 where another one stands."""
        reader = PreferencesInput(data=request.data)
        reader.is_valid(raise_exception=True)
        seen = get_preferences(clinic_id=self.clinic.id, patient_id=self.patient.id)
        if not etags.matches(request, etags.etag(seen.version), required=True):
            raise PreferencesChanged
        change = reader.change()
        _refuse_unknown_purposes(self.clinic.id, change)
        row = change_preferences(
            clinic_id=self.clinic.id,
            patient_id=self.patient.id,
            change=change,
            expected_version=seen.version,
            actor=self.actor,
            now=clock.now(),
        )
        return Response(preferences_on_the_wire(row, self.clinic), headers={"ETag": etags.etag(row.version)})


class MyPreferences(_Preferences, MeEndpoint):
    """The patient's own."""

    permission_classes = [PatientOnly]


class PatientPreferences(_Preferences, PatientEndpoint):
    """A patient's, for staff."""

    permission_classes = [StaffWritesDpoReads]


def _refuse_unknown_purposes(clinic_id: UUID, change: PreferenceChange) -> None:
    if "purposes" not in change.said:
        return
    known = {purpose.slug for purpose in purposes_of(clinic_id).values()}
    if not change.purposes.keys() <= known:
        raise InvalidInput("A purpose that is named does not exist here.", field="purposes", known=sorted(known))
