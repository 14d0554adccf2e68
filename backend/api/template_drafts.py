"""The next version of a template: drafted, read by the linter, previewed, approved, published."""

from collections.abc import Iterable
from typing import Any, Final

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api import etags
from backend.api.endpoints import ClinicEndpoint, page
from backend.api.fields import Input, Moment, Output, Slug, Whole, YesNo, choice_of
from backend.api.idempotency import idempotent
from backend.api.languages import spoken_language
from backend.api.pages import refuse_unknown
from backend.api.permissions import StaffOnly, StaffWritesDpoReads
from backend.api.templates import (
    TemplateInput,
    TemplateVersionOutput,
    VariantOutput,
    VariantsInput,
    as_variants,
    template_on_the_wire,
)
from backend.errors import InvalidInput
from backend.messaging.linting import Code, Finding, Severity
from backend.messaging.operations import (
    DraftRow,
    approve_draft,
    discard_draft,
    get_draft,
    lint_words,
    publish_draft,
    save_draft,
)
from backend.messaging.operations.templates import DraftChanged
from backend.messaging.previews import Form, preview_words
from backend.messaging.queries import latest_templates, template_history
from backend.messaging.rendering import TemplateRefused
from backend.messaging.segments import Encoding
from backend.messaging.variants import VariantText
from backend.policy.vocabulary import Channel, Language, Tone

MOST_REVISIONS: Final = 2**31 - 1


class TemplateFindingOutput(Output):
    """What the linter found, where, and what would put it right. `start` and `end` count characters of the field."""

    code = serializers.ChoiceField(choices=[(one.slug, one.slug) for one in Code])
    severity = choice_of(Severity)
    channel = choice_of(Channel, allow_null=True)
    language = choice_of(Language, allow_null=True)
    tone = choice_of(Tone, allow_null=True)
    field = serializers.CharField()
    start = serializers.IntegerField(allow_null=True)
    end = serializers.IntegerField(allow_null=True)
    found = serializers.CharField()
    sentence = serializers.CharField()
    fix = serializers.CharField()


class DraftInput(VariantsInput):
    """The words that somebody is working on."""

    purpose = Slug()


class DraftOutput(Output):
    """A draft, and what the linter finds in it."""

    slug = serializers.CharField()
    purpose = serializers.CharField()
    revision = serializers.IntegerField()
    needs_approval = serializers.BooleanField()
    approved_at = Moment(allow_null=True)
    edited_at = Moment()
    findings = TemplateFindingOutput(many=True)
    variants = VariantOutput(many=True)


class LintOutput(Output):
    """What the linter finds: what refuses first."""

    refused = serializers.IntegerField()
    findings = TemplateFindingOutput(many=True)


class RevisionInput(Input):
    """The revision that was read."""

    revision = Whole(min_value=1, max_value=MOST_REVISIONS)


class PublishInput(RevisionInput):
    """The revision that was read, and whether messages that are planned already take the new words."""

    reword_planned = YesNo(default=False)


class TemplatePublishedOutput(TemplateVersionOutput):
    """The new version, and how many planned messages take their words from it."""

    reworded = serializers.IntegerField()


class SegmentsOutput(Output):
    """How an SMS travels and is billed."""

    encoding = choice_of(Encoding)
    units = serializers.IntegerField()
    parts = serializers.IntegerField()
    outside = serializers.ListField(
        child=serializers.CharField(), help_text="The characters that make it dearer: none of them in GSM-7."
    )


class TemplatePreviewOutput(Output):
    """What an invented patient would read, and what others may see of it."""

    channel = choice_of(Channel)
    language = choice_of(Language)
    tone = choice_of(Tone)
    form = choice_of(Form)
    subject = serializers.CharField()
    text = serializers.CharField()
    html = serializers.CharField()
    lock_screen = serializers.ListField(child=serializers.CharField())
    segments = SegmentsOutput(allow_null=True)


class PreviewsOutput(Output):
    """Every variant in every form."""

    previews = TemplatePreviewOutput(many=True)


class VersionOutput(Output):
    """One version that was published."""

    id = serializers.UUIDField(source="version_id")
    version = serializers.IntegerField(source="number")
    published_at = Moment()
    written_by = serializers.UUIDField(allow_null=True)
    approved_by = serializers.UUIDField(allow_null=True)
    approved_at = Moment(allow_null=True)


class VersionsPage(Output):
    """The versions of a template, the newest first."""

    results = VersionOutput(many=True)
    next = serializers.CharField(allow_null=True)


class TemplateLint(ClinicEndpoint):
    """The linter."""

    permission_classes = [StaffOnly]
    tag = "programmes"

    @extend_schema(request=TemplateInput, responses=LintOutput)
    def post(self, request: Request, **_path: object) -> Response:
        """Read words and say what is wrong in them. Nothing is kept."""
        asked = TemplateInput.read(request)
        found = lint_words(clinic_id=self.clinic.id, purpose=asked["purpose"], variants=as_variants(asked["variants"]))
        return Response(LintOutput(_linted(found)).data)


class TemplatePreview(ClinicEndpoint):
    """The preview."""

    permission_classes = [StaffOnly]
    tag = "programmes"

    @extend_schema(request=TemplateInput, responses=PreviewsOutput)
    def post(self, request: Request, **_path: object) -> Response:
        """Fill words with an invented patient: as they stand, discreet, without a first name, large, for a parent."""
        asked = TemplateInput.read(request)
        variants = as_variants(asked["variants"])
        return Response(PreviewsOutput({"previews": _previewed(self.clinic.id, asked["purpose"], variants)}).data)


class TemplateVersions(ClinicEndpoint):
    """The history of a template."""

    permission_classes = [StaffWritesDpoReads]
    tag = "programmes"

    @extend_schema(responses=VersionsPage)
    def get(self, request: Request, template: str, **_path: object) -> Response:
        """Its versions, the newest first: who wrote and who approved each."""
        refuse_unknown(request)
        rows = template_history(clinic_id=self.clinic.id, slug=template)
        return page([VersionOutput(row).data for row in rows])


class TemplateDraftView(ClinicEndpoint):
    """The draft of a template."""

    permission_classes = [StaffWritesDpoReads]
    tag = "programmes"
    takes_if_match = True
    has_etag = True

    @extend_schema(responses=DraftOutput)
    def get(self, request: Request, template: str, **_path: object) -> Response:
        """The words as they stand, and what the linter finds in them today."""
        refuse_unknown(request)
        return _answer(get_draft(clinic_id=self.clinic.id, slug=template))

    @extend_schema(request=DraftInput, responses={201: DraftOutput})
    @idempotent
    def post(self, request: Request, template: str, **_path: object) -> Response:
        """Keep words, whatever the linter finds; an approval of the words before falls. If-Match: as they were read."""
        asked = DraftInput.read(request)
        row = save_draft(
            clinic_id=self.clinic.id,
            slug=template,
            purpose=asked["purpose"],
            variants=as_variants(asked["variants"]),
            expected_revision=_expected(request),
            actor=self.actor,
            now=clock.now(),
        )
        return _answer(row, 201)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, template: str, **_path: object) -> Response:
        """Throw the draft away; what is published stays."""
        refuse_unknown(request)
        discard_draft(clinic_id=self.clinic.id, slug=template, actor=self.actor, now=clock.now())
        return Response(status=204)


class TemplateDraftApprove(ClinicEndpoint):
    """A health professional says yes to a draft."""

    permission_classes = [StaffOnly]
    tag = "programmes"
    takes_revision = True

    @extend_schema(request=RevisionInput, responses=DraftOutput)
    def post(self, request: Request, template: str, **_path: object) -> Response:
        """Approve exactly this revision. Only a health professional of the clinic can, and not of their own words."""
        asked = RevisionInput.read(request)
        approve_draft(
            clinic_id=self.clinic.id, slug=template, revision=asked["revision"], actor=self.actor, now=clock.now()
        )
        return _answer(get_draft(clinic_id=self.clinic.id, slug=template))


class TemplateDraftPublish(ClinicEndpoint):
    """A draft becomes the next version."""

    permission_classes = [StaffOnly]
    tag = "programmes"
    takes_revision = True

    @extend_schema(request=PublishInput, responses={201: TemplatePublishedOutput})
    @idempotent
    def post(self, request: Request, template: str, **_path: object) -> Response:
        """Publish exactly this revision. Messages planned from now on take it; planned ones only if you say so."""
        asked = PublishInput.read(request)
        published = publish_draft(
            clinic_id=self.clinic.id,
            slug=template,
            revision=asked["revision"],
            reword_planned=asked["reword_planned"],
            actor=self.actor,
            now=clock.now(),
        )
        shown = template_on_the_wire(latest_templates(self.clinic.id)[template])
        return Response({**shown, "reworded": published.reworded}, status=201)


def _expected(request: Request) -> int | None:
    given = request.headers.get("If-Match", "*").strip()
    if given == "*":
        return None
    number = given.strip('"')
    if not number.isdecimal() or len(number) > len(str(MOST_REVISIONS)):
        raise DraftChanged
    return int(number)


def _answer(row: DraftRow, status: int = 200) -> Response:
    shown = {
        "slug": row.slug,
        "purpose": row.purpose,
        "revision": row.revision,
        "needs_approval": row.needs_approval,
        "approved_at": row.approved_at,
        "edited_at": row.edited_at,
        "findings": _findings(row.findings),
        "variants": row.variants,
    }
    return Response(DraftOutput(shown).data, status=status, headers={"ETag": etags.etag(row.revision)})


def _linted(found: Iterable[Finding]) -> dict[str, Any]:
    shown = _findings(found)
    return {"refused": sum(one["severity"] == Severity.REFUSE for one in shown), "findings": shown}


def _findings(found: Iterable[Finding]) -> list[dict[str, Any]]:
    language = spoken_language()
    return [
        {
            "code": one.code.slug,
            "severity": one.severity,
            "channel": one.channel,
            "language": one.language,
            "tone": one.tone,
            "field": one.field,
            "start": one.start,
            "end": one.end,
            "found": one.found,
            "sentence": one.sentence(language),
            "fix": one.fix(language),
        }
        for one in found
    ]


def _previewed(clinic_id: Any, purpose: str, variants: list[VariantText]) -> list[dict[str, Any]]:
    try:
        previews = preview_words(clinic_id=clinic_id, purpose=purpose, variants=variants)
    except TemplateRefused:
        raise InvalidInput("These words can not be filled.", field="variants") from None
    return [
        {
            "channel": one.channel,
            "language": one.language,
            "tone": one.tone,
            "form": one.form,
            "subject": one.subject,
            "text": one.text,
            "html": one.html,
            "lock_screen": one.lock_screen,
            "segments": None
            if one.segments is None
            else {
                "encoding": one.segments.encoding,
                "units": one.segments.units,
                "parts": one.segments.parts,
                "outside": one.outside,
            },
        }
        for one in previews
    ]
