"""Templates: published in versions, never changed."""

from typing import Any, Final

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api import examples
from backend.api.endpoints import ClinicEndpoint, page
from backend.api.fields import Input, Line, Output, Slug, Text, choice_of
from backend.api.idempotency import idempotent
from backend.api.languages import said
from backend.api.pages import refuse_unknown
from backend.api.permissions import StaffWritesDpoReads
from backend.messaging.operations import publish_words
from backend.messaging.queries import TemplateWords, latest_templates
from backend.messaging.variants import FIELDS, VariantText
from backend.policy.vocabulary import Channel, Language, Tone

LONGEST_SUBJECT: Final = 200
LONGEST_BODY: Final = 20_000
MOST_VARIANTS: Final = len(Channel) * len(Language) * len(Tone)


class VariantInput(Input):
    """The words for one channel, language and tone, in Liquid, and what a lock screen may show of them."""

    channel = choice_of(Channel)
    language = choice_of(Language)
    tone = choice_of(Tone)
    subject = Line(max_length=LONGEST_SUBJECT, default="", allow_blank=True)
    body = Text(max_length=LONGEST_BODY)
    discreet_subject = Line(max_length=LONGEST_SUBJECT, default="", allow_blank=True)
    discreet_body = Text(max_length=LONGEST_BODY, default="", allow_blank=True)


class VariantsInput(Input):
    """Words, each channel, language and tone once."""

    variants = serializers.ListField(child=VariantInput(), min_length=1, max_length=MOST_VARIANTS)

    def validate_variants(self, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Each of them once."""
        seen = {(one["channel"], one["language"], one["tone"]) for one in given}
        if len(seen) != len(given):
            raise serializers.ValidationError(said("variant_twice"), code="variant_twice")
        return given


class TemplateInput(VariantsInput):
    """The next version of a template."""

    slug = Slug()
    purpose = Slug()


class VariantOutput(Output):
    """The words for one channel, language and tone."""

    channel = choice_of(Channel)
    language = choice_of(Language)
    tone = choice_of(Tone)
    subject = serializers.CharField()
    body = serializers.CharField()
    discreet_subject = serializers.CharField()
    discreet_body = serializers.CharField()


class TemplateVersionOutput(Output):
    """The newest version of a template."""

    id = serializers.UUIDField()
    slug = serializers.CharField()
    version = serializers.IntegerField()
    variants = VariantOutput(many=True)


class TemplatesPage(Output):
    """A clinic's templates."""

    results = TemplateVersionOutput(many=True)
    next = serializers.CharField(allow_null=True)


class Templates(ClinicEndpoint):
    """A clinic's templates."""

    permission_classes = [StaffWritesDpoReads]
    tag = "programmes"

    @extend_schema(responses=TemplatesPage)
    def get(self, request: Request, **_path: object) -> Response:
        """The newest version of each."""
        refuse_unknown(request)
        templates = latest_templates(self.clinic.id)
        return page([template_on_the_wire(templates[slug]) for slug in sorted(templates)])

    @extend_schema(request=TemplateInput, responses={201: TemplateVersionOutput}, examples=[examples.PUBLISH])
    @idempotent
    def post(self, request: Request, **_path: object) -> Response:
        """Publish the next version. Words that can not be filled, or that the linter refuses, are not published."""
        asked = TemplateInput.read(request)
        publish_words(
            clinic_id=self.clinic.id,
            slug=asked["slug"],
            purpose=asked["purpose"],
            variants=as_variants(asked["variants"]),
            actor=self.actor,
            now=clock.now(),
        )
        return Response(template_on_the_wire(latest_templates(self.clinic.id)[asked["slug"]]), status=201)


def as_variants(asked: list[dict[str, Any]]) -> list[VariantText]:
    """Checked words, as the rest of Accord knows them."""
    return [
        VariantText(
            channel=Channel(one["channel"]),
            language=Language(one["language"]),
            tone=Tone(one["tone"]),
            **{name: one[name] for name in FIELDS},
        )
        for one in asked
    ]


def template_on_the_wire(template: TemplateWords) -> dict[str, Any]:
    """A template with all its variants, as it is answered."""
    shown = {
        "id": template.version_id,
        "slug": template.slug,
        "version": template.number,
        "variants": [
            {
                "channel": channel,
                "language": language,
                "tone": tone,
                "subject": words.subject,
                "body": words.body,
                "discreet_subject": words.discreet_subject,
                "discreet_body": words.discreet_body,
            }
            for (channel, language, tone), words in sorted(template.variants.items())
        ],
    }
    return dict(TemplateVersionOutput(shown).data)
