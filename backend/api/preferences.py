"""How a patient wants to be contacted: `/me/preferences`, and the same for staff."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api import etags, examples
from backend.api.endpoints import Endpoint, MeEndpoint, PatientEndpoint, is_shown, page
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
from backend.api.pages import next_page, read_cursor, read_limit, read_moment, refuse_unknown
from backend.api.permissions import PatientOnly, StaffWritesDpoReads
from backend.api.schema import PAGING
from backend.audit.actors import ActorKind
from backend.clinics.queries import ClinicFacts
from backend.consent.queries import purposes_of
from backend.errors import InvalidInput
from backend.patients.queries import PatientFacts
from backend.policy.contact import FrequencyCap
from backend.policy.vocabulary import Language, Tone
from backend.preferences.operations import PreferenceChange, PreferencesChanged, change_preferences
from backend.preferences.queries import (
    PreferenceRow,
    PreferenceVersionRow,
    get_preferences,
    preference_versions,
)

MOST_PER_PERIOD = 1000
DIGEST = "Wishes that messages which may wait come together. Kept, and not acted upon yet: each still comes by itself."
QUIET = frozenset({"quiet_from", "quiet_to", "time_zone"})
AT = OpenApiParameter("at", datetime, description="Only what was said until then: the first is what applied.")
GENERIC = "The generic text of a template is kept: no name, no text chosen or written for one person."
SIMPLE = ("channel_order", "digest", "paused_until", "discreet", "large_print", "no_first_name", "no_personalisation")


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
    digest = YesNo(required=False, help_text=DIGEST)
    tone = choice_of(Tone, required=False, allow_null=True)
    language = choice_of(Language, required=False, allow_null=True)
    quiet_hours = QuietHoursField(required=False, allow_null=True)
    paused_until = Moment(required=False, allow_null=True)
    discreet = YesNo(required=False, help_text="Lock screens show only the discreet form of a message.")
    large_print = YesNo(required=False, help_text="E-mails are set in large print.")
    no_first_name = YesNo(required=False, help_text="No message says the first name.")
    no_personalisation = YesNo(required=False, help_text=GENERIC)
    purposes = serializers.DictField(
        child=YesNo(), required=False, help_text="Purposes by slug: false switches one off. It never replaces consent."
    )

    def change(self) -> PreferenceChange:
        """What was said, as the operation takes it."""
        return change_of(self.validated_data)


def change_of(asked: Mapping[str, Any]) -> PreferenceChange:
    """What was said and checked, as the operation takes it."""
    said: dict[str, Any] = {name: asked[name] for name in (*SIMPLE, "purposes") if name in asked}
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
    digest = serializers.BooleanField(help_text=DIGEST)
    tone = choice_of(Tone, allow_null=True)
    language = choice_of(Language, allow_null=True)
    quiet_hours = QuietHoursField(allow_null=True)
    paused_until = Moment(allow_null=True)
    discreet = serializers.BooleanField()
    large_print = serializers.BooleanField()
    no_first_name = serializers.BooleanField()
    no_personalisation = serializers.BooleanField(help_text=GENERIC)
    purposes = serializers.DictField(child=serializers.BooleanField())


class PreferenceVersionOutput(Output):
    """One version of a patient's preferences, and who made it so. `changed` names the fields that were said."""

    version = serializers.IntegerField()
    changed_at = Moment()
    changed_by = choice_of(ActorKind)
    representative = serializers.UUIDField(allow_null=True)
    changed = serializers.ListField(child=serializers.CharField())
    preferences = PreferencesOutput()


class PreferenceVersionsPage(Output):
    """A page of versions, the newest first. Before the first one, the defaults applied."""

    results = PreferenceVersionOutput(many=True)
    next = serializers.CharField(allow_null=True)


def preferences_on_the_wire(
    row: PreferenceRow, clinic: ClinicFacts, *, hidden: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """A patient's preferences as they are answered."""
    return dict(PreferencesOutput(_shown(row, clinic, _switches(clinic, hidden))).data)


def _switches(clinic: ClinicFacts, hidden: frozenset[str] = frozenset()) -> list[str]:
    """The purposes that can be switched off, but for what is kept from whoever asks."""
    slugs = [purpose.slug for purpose in purposes_of(clinic.id).values() if purpose.requires_consent]
    return [slug for slug in slugs if is_shown(slug, hidden)]


def _shown(row: PreferenceRow, clinic: ClinicFacts, slugs: Iterable[str]) -> dict[str, Any]:
    quiet = None
    if row.quiet_from is not None and row.quiet_to is not None:
        quiet = {"from": row.quiet_from, "to": row.quiet_to, "time_zone": row.time_zone or clinic.time_zone}
    return {name: getattr(row, name) for name in (*SIMPLE, "version", "tone", "language")} | {
        "frequency": None if row.frequency is None else {"max": row.frequency.max, "per": row.frequency.per},
        "quiet_hours": quiet,
        "purposes": {slug: row.purposes.get(slug, True) for slug in slugs},
    }


class _Preferences(Endpoint):
    tag = "preferences"
    has_etag = True
    clinic: ClinicFacts
    patient: PatientFacts
    hidden: frozenset[str] = frozenset()

    @extend_schema(responses=PreferencesOutput)
    def get(self, request: Request, **_path: object) -> Response:
        """How the patient wants to be contacted."""
        refuse_unknown(request)
        row = get_preferences(clinic_id=self.clinic.id, patient_id=self.patient.id)
        tag = etags.etag(row.version)
        if etags.is_known(request, tag):
            return Response(status=304, headers={"ETag": tag})
        shown = preferences_on_the_wire(row, self.clinic, hidden=self.hidden)
        return Response(shown, headers={"ETag": tag})

    @extend_schema(request=PreferencesInput, responses=PreferencesOutput, examples=[examples.PREFER])
    def patch(self, request: Request, **_path: object) -> Response:
        """Change some of it. Needs If-Match with the ETag that was read: 428 without, 412 where another one stands."""
        reader = PreferencesInput(data=request.data)
        reader.is_valid(raise_exception=True)
        seen = get_preferences(clinic_id=self.clinic.id, patient_id=self.patient.id)
        if not etags.matches(request, etags.etag(seen.version), required=True):
            raise PreferencesChanged
        change = reader.change()
        refuse_unknown_purposes(self.clinic.id, change, hidden=self.hidden)
        row = change_preferences(
            clinic_id=self.clinic.id,
            patient_id=self.patient.id,
            change=change,
            expected_version=seen.version,
            actor=self.actor,
            now=clock.now(),
        )
        shown = preferences_on_the_wire(row, self.clinic, hidden=self.hidden)
        return Response(shown, headers={"ETag": etags.etag(row.version)})


class _History(Endpoint):
    tag = "preferences"
    clinic: ClinicFacts
    patient: PatientFacts
    hidden: frozenset[str] = frozenset()

    @extend_schema(parameters=[*PAGING, AT], responses=PreferenceVersionsPage)
    def get(self, request: Request, **_path: object) -> Response:
        """Every version there was, the newest first: what was changed, when, and by whom."""
        refuse_unknown(request, "cursor", "limit", "at")
        limit, cursor = read_limit(request), read_cursor(request, int)
        rows = preference_versions(
            clinic_id=self.clinic.id,
            patient_id=self.patient.id,
            before=None if cursor is None else cursor[0],
            until=read_moment(request, "at"),
            limit=limit + 1,
        )
        shown, after = next_page(rows, limit, lambda row: (row.preferences.version,))
        return page(versions_on_the_wire(shown, self.clinic, hidden=self.hidden), next_cursor=after)


class MyPreferences(_Preferences, MeEndpoint):
    """The patient's own."""

    permission_classes = [PatientOnly]


class PatientPreferences(_Preferences, PatientEndpoint):
    """A patient's, for staff."""

    permission_classes = [StaffWritesDpoReads]


class MyPreferenceHistory(_History, MeEndpoint):
    """The patient's own, as they were."""

    permission_classes = [PatientOnly]


class PatientPreferenceHistory(_History, PatientEndpoint):
    """A patient's as they were, for staff and the data protection officer."""

    permission_classes = [StaffWritesDpoReads]


def versions_on_the_wire(
    rows: Iterable[PreferenceVersionRow], clinic: ClinicFacts, *, hidden: frozenset[str] = frozenset()
) -> list[dict[str, Any]]:
    """Versions of a patient's preferences as they are answered."""
    slugs = _switches(clinic, hidden)
    return [_version(row, clinic, slugs) for row in rows]


def _version(row: PreferenceVersionRow, clinic: ClinicFacts, slugs: Iterable[str]) -> dict[str, Any]:
    shown = {
        "version": row.preferences.version,
        "changed_at": row.changed_at,
        "changed_by": row.changed_by,
        "representative": row.representative_id,
        "changed": wire_names(row.changed),
        "preferences": _shown(row.preferences, clinic, slugs),
    }
    return dict(PreferenceVersionOutput(shown).data)


def wire_names(names: Iterable[str]) -> list[str]:
    """The fields of a change by the names that they have on the wire, each once."""
    return list(dict.fromkeys("quiet_hours" if name in QUIET else name for name in names))


def refuse_unknown_purposes(clinic_id: UUID, change: PreferenceChange, *, hidden: frozenset[str] = frozenset()) -> None:
    """Refuse to switch what the clinic does not have, or is kept from whoever asks. Raises InvalidInput."""
    if "purposes" not in change.said:
        return
    known = {purpose.slug for purpose in purposes_of(clinic_id).values() if is_shown(purpose.slug, hidden)}
    if not change.purposes.keys() <= known:
        raise InvalidInput("A purpose that is named does not exist here.", field="purposes", known=sorted(known))
