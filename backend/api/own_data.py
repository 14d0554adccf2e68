"""`/me/export`: what a patient gave, to keep or to take elsewhere (GDPR Art. 20)."""

import io
import zipfile
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import orjson
from django.conf import settings
from django.http import HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from backend import clock
from backend.api.consents import NoticeOutput
from backend.api.endpoints import MeEndpoint
from backend.api.fields import Choice, Moment, Output, choice_of
from backend.api.languages import spoken_language
from backend.api.me import ClinicOutput
from backend.api.objections import ObjectionOutput
from backend.api.pages import read_words, refuse_unknown
from backend.api.permissions import PatientOnly
from backend.api.preferences import (
    PreferencesOutput,
    PreferenceVersionOutput,
    preferences_on_the_wire,
    versions_on_the_wire,
)
from backend.api.receipts import AnyOfOurForms
from backend.consent.export.columns import notice_file
from backend.consent.standards.facts import ConsentRecord, RecordedEvent, Writer
from backend.policy.vocabulary import (
    Channel,
    ConsentStatus,
    ContactStatus,
    EventKind,
    Language,
    Method,
    RepresentationKind,
)
from backend.privacy.portability import Form, OwnData, Part, export_own_data
from backend.privacy.standards import own_bundle, own_records

MEDIA: Final[Mapping[Form, str]] = {
    Form.ZIP: "application/zip",
    Form.JSON: "application/json",
    Form.FHIR: "application/fhir+json",
    Form.DPV: "application/ld+json",
}
NAME: Final[Mapping[Form, str]] = {
    Form.ZIP: "own-data.zip",
    Form.JSON: "own-data.json",
    Form.FHIR: "fhir.json",
    Form.DPV: "consents.jsonld",
}
DESCRIPTION: Final = "accord-own-data/v1"
READ_ME: Final[Mapping[Language, str]] = {
    Language.FRENCH: (
        "Voici ce que vous avez fourni à {clinic}.\n\n"
        "own-data.json : vos coordonnées, vos préférences et leur historique, vos accords et les mots exacts.\n"
        "fhir.json : vos coordonnées et vos accords pour un autre logiciel de santé (FHIR R4).\n"
        "consents.jsonld : vos accords selon la norme ISO/IEC TS 27560.\n"
        "notices : les textes auxquels vous avez répondu, mot pour mot.\n\n"
        "Un accord donné ici ne vaut que pour {clinic} : ailleurs, on vous demandera le vôtre.\n"
    ),
    Language.ENGLISH: (
        "This is what you gave to {clinic}.\n\n"
        "own-data.json: how to reach you, your preferences and their history, your consents and the exact words.\n"
        "fhir.json: how to reach you and your consents, for other health software (FHIR R4).\n"
        "consents.jsonld: your consents after the standard ISO/IEC TS 27560.\n"
        "notices: the texts that you answered to, word for word.\n\n"
        "A consent given here holds for {clinic} only: elsewhere you will be asked for yours.\n"
    ),
}
FORM: Final = OpenApiParameter(
    "format",
    enum=[form.value for form in Form],
    description=(
        "`zip`: all of them in one archive (the default). `json`: everything, as described here. `fhir`: a Bundle of "
        "FHIR R4. `dpv`: the consents after ISO/IEC TS 27560, in JSON-LD."
    ),
)


class OwnIdentityOutput(Output):
    """Who it is about."""

    id = serializers.UUIDField()
    family_name = serializers.CharField()
    given_names = serializers.ListField(child=serializers.CharField())
    birth_date = serializers.DateField(allow_null=True)
    address = serializers.DictField()
    language = choice_of(Language, allow_null=True)


class OwnPointOutput(Output):
    """A telephone number or an e-mail address."""

    kind = Choice(choices=[("phone", "phone"), ("email", "email")])
    value = serializers.CharField()
    status = choice_of(ContactStatus)
    takes_sms = serializers.BooleanField()


class SpeakerOutput(Output):
    """Who said it. A representative is named by their right, and by the id that the patient knows them by."""

    role = Choice(choices=[("patient", "patient"), ("representative", "representative")])
    representative = serializers.UUIDField(allow_null=True)
    by_right = choice_of(RepresentationKind, allow_null=True)


class OwnEventOutput(Output):
    """One thing that happened. The words that it answers to are among `notices`."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    kind = choice_of(EventKind)
    method = choice_of(Method)
    occurred_at = Moment()
    recorded_at = Moment()
    valid_until = Moment(allow_null=True)
    said_by = SpeakerOutput(many=True)
    recorded_by = choice_of(Writer)
    notice_version = serializers.IntegerField(allow_null=True)
    language = choice_of(Language, allow_null=True)
    notice_sha256 = serializers.CharField()
    statement = serializers.CharField(help_text="The sentence that was answered to.")
    sha256 = serializers.CharField(help_text="Of the event: the same in every form, and in every receipt.")


class OwnConsentOutput(Output):
    """Everything about one purpose on one channel, oldest event first."""

    id = serializers.UUIDField()
    purpose = serializers.CharField()
    names = serializers.DictField(child=serializers.CharField())
    channel = choice_of(Channel)
    state = choice_of(ConsentStatus)
    holds_until = Moment(allow_null=True)
    events = OwnEventOutput(many=True)


class OwnDataOutput(Output):
    """What a patient gave to a clinic. `parts` names what is in it; the others were not asked for."""

    form = serializers.CharField(help_text=f"`{DESCRIPTION}`")
    made_at = Moment()
    parts = serializers.ListField(child=choice_of(Part))
    clinic = ClinicOutput()
    patient = OwnIdentityOutput()
    contact_points = OwnPointOutput(many=True)
    preferences = PreferencesOutput(allow_null=True)
    preference_history = PreferenceVersionOutput(many=True)
    consents = OwnConsentOutput(many=True)
    objections = ObjectionOutput(many=True)
    notices = NoticeOutput(many=True)


class MyExport(MeEndpoint):
    """What the patient gave."""

    permission_classes = [PatientOnly]
    content_negotiation_class = AnyOfOurForms
    tag = "me"

    @extend_schema(
        parameters=[FORM],
        responses={
            (200, MEDIA[Form.JSON]): OwnDataOutput,
            (200, MEDIA[Form.ZIP]): OpenApiTypes.BINARY,
            **{(200, MEDIA[form]): OpenApiTypes.OBJECT for form in (Form.FHIR, Form.DPV)},
        },
    )
    def get(self, request: Request, **_path: object) -> HttpResponseBase:
        """Contact points, preferences with their history, consents with the exact words. It is recorded."""
        refuse_unknown(request, "format")
        asked = read_words(request, "format", {form.value: form for form in Form})
        form = asked[0] if asked else Form.ZIP
        parts = self.parts()
        self.note_hidden()
        told = export_own_data(
            clinic_id=self.clinic.id,
            patient_id=self.patient.id,
            form=form,
            parts=parts,
            hidden=self.hidden,
            representative_id=self.asking(),
            actor=self.actor,
            now=clock.now(),
        )
        response = HttpResponse(_written(told, form, self.hidden), content_type=MEDIA[form])
        response["Content-Disposition"] = f'attachment; filename="{NAME[form]}"'
        response["Vary"] = "Accept-Language"
        return response

    def parts(self) -> list[Part]:
        """Everything."""
        return list(Part)

    def asking(self) -> UUID | None:
        """Nobody in the patient's place."""
        return None


def _written(told: OwnData, form: Form, hidden: frozenset[str]) -> bytes:
    match form:
        case Form.JSON:
            return _json(own_data_on_the_wire(told, hidden))
        case Form.FHIR:
            return _json(own_bundle(told, site=settings.ACCORD_PUBLIC_URL.rstrip("/")))
        case Form.DPV:
            return _json(own_records(told))
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("READ-ME.txt", READ_ME[spoken_language()].format(clinic=told.clinic.name))
        for one in (Form.JSON, Form.FHIR, Form.DPV):
            archive.writestr(NAME[one], _written(told, one, hidden))
        for notice in told.notices:
            archive.writestr(notice_file(notice), notice.shown)
    return written.getvalue()


def _json(told: object) -> bytes:
    return orjson.dumps(told, option=orjson.OPT_INDENT_2)


def own_data_on_the_wire(told: OwnData, hidden: frozenset[str] = frozenset()) -> dict[str, Any]:
    """What a patient gave, as it is answered."""
    profile = told.profile
    has_preferences = Part.PREFERENCES in told.parts
    shown = {
        "form": DESCRIPTION,
        "made_at": told.made_at,
        "parts": told.parts,
        "clinic": told.clinic,
        "patient": {
            "id": profile.facts.id,
            "family_name": profile.family_name,
            "given_names": profile.given_names,
            "birth_date": profile.birth_date,
            "address": profile.address,
            "language": profile.facts.language,
        },
        "contact_points": [
            {
                "kind": point.row.kind,
                "value": point.value,
                "status": point.row.status,
                "takes_sms": point.row.takes_sms,
            }
            for point in told.points
        ],
        "preferences": None,
        "preference_history": [],
        "consents": [_consent(one) for one in told.records],
        "objections": told.objections,
        "notices": told.notices,
    }
    wire = dict(OwnDataOutput(shown).data)
    if has_preferences:
        wire["preferences"] = preferences_on_the_wire(told.preferences, told.clinic, hidden=hidden)
        wire["preference_history"] = versions_on_the_wire(told.versions, told.clinic, hidden=hidden)
    return wire


def _consent(told: ConsentRecord) -> dict[str, Any]:
    return {
        "id": told.id,
        "purpose": told.purpose.slug,
        "names": told.purpose.names,
        "channel": told.channel,
        "state": told.status,
        "holds_until": told.holds_until,
        "events": [_event(event) for event in told.events],
    }


def _event(event: RecordedEvent) -> dict[str, Any]:
    words = event.words
    return {
        "id": event.id,
        "number": event.number,
        "kind": event.kind,
        "method": event.method,
        "occurred_at": event.occurred_at,
        "recorded_at": event.recorded_at,
        "valid_until": event.valid_until,
        "said_by": [
            {
                "role": "patient" if one.is_patient else "representative",
                "representative": one.representative_id,
                "by_right": one.by_right,
            }
            for one in event.spoken_by
        ],
        "recorded_by": event.written_by,
        "notice_version": None if words is None else words.version,
        "language": None if words is None else words.language,
        "notice_sha256": "" if words is None else words.sha256,
        "statement": "" if words is None else words.statement,
        "sha256": event.sha256,
    }
