"""Notices in the making: staff write and publish, the data protection officer approves."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api.endpoints import ClinicEndpoint, MeEndpoint
from backend.api.fields import Input, Line, Moment, Output, Text, Whole, choice_of
from backend.api.idempotency import idempotent
from backend.api.permissions import DpoOnly, PatientOnly, StaffOnly
from backend.consent.operations import (
    approve_notice,
    draft_notice,
    missing_in_draft,
    note_notice_served,
    publish_draft,
)
from backend.policy.notices import NoticeElement
from backend.policy.vocabulary import Audience, Language, Materiality

LARGEST_VERSION = 2**31 - 1


class NoticeWordsInput(Input):
    """One language."""

    title = Line(max_length=200)
    body = Text(max_length=50_000)


class ChildTextsInput(Input):
    """What a child who decides together with a parent is shown in its place (GDPR Art. 12(1))."""

    fr = NoticeWordsInput()
    en = NoticeWordsInput()


class NoticeDraftInput(Input):
    """Every language at once."""

    fr = NoticeWordsInput()
    en = NoticeWordsInput()
    children = ChildTextsInput(required=False)


class NotApplicableInput(Input):
    """What the law asks for only where it applies (GDPR Art. 12(1), 13(1)(f), (2)(e) and (f)): the officer's reason."""

    transfers = Text(max_length=2_000, required=False)
    consequence = Text(max_length=2_000, required=False)
    automated = Text(max_length=2_000, required=False)
    children = Text(max_length=2_000, required=False, help_text="Why no child is ever asked.")


class NoticeApprovalInput(Input):
    """Whether it only rewords or says something else, and why. A material notice says from when it holds."""

    materiality = choice_of(Materiality)
    reason = Text(max_length=2_000)
    effective_from = Moment(required=False)
    not_applicable = NotApplicableInput(required=False, help_text="Why something the law asks for does not apply here.")


class NoticeServedInput(Input):
    """Which notice was on the screen."""

    notice_version = Whole(min_value=1, max_value=LARGEST_VERSION)
    language = choice_of(Language)
    audience = choice_of(Audience, default=Audience.EVERYBODY, help_text="As the notice said.")
    app_version = Line(max_length=40, required=False)
    screen = Line(max_length=80, required=False)


class MadeOutput(Output):
    """What was made."""

    id = serializers.UUIDField()


class MissingOutput(Output):
    """What a notice does not name. `looks_for` are words by which it would have been found."""

    language = choice_of(Language)
    element = choice_of(NoticeElement)
    article = serializers.CharField(help_text="Of the General Data Protection Regulation.")
    looks_for = serializers.CharField()
    only_where_it_applies = serializers.BooleanField(help_text="The officer may say that it does not, and why.")


class DraftedOutput(MadeOutput):
    """The notice that was written, and what the program does not find in it: it can not be approved without."""

    missing = MissingOutput(many=True)


class PublishedOutput(Output):
    """The version that was published."""

    version = serializers.IntegerField()


class NoticeDrafts(ClinicEndpoint):
    """Notices in the making."""

    permission_classes = [StaffOnly]
    tag = "consent"

    @extend_schema(request=NoticeDraftInput, responses={201: DraftedOutput})
    @idempotent
    def post(self, request: Request, **_path: object) -> Response:
        """Write a notice. Nobody is shown it before the data protection officer approved it.

        The program reads it first, for what the law wants it to name (GDPR Art. 13 and 14).
        """
        asked = NoticeDraftInput.read(request)
        draft_id = draft_notice(
            clinic_id=self.clinic.id,
            texts=_texts(asked),
            child_texts=_texts(asked["children"]) if "children" in asked else None,
            actor=self.actor,
            now=clock.now(),
        )
        missing = missing_in_draft(clinic_id=self.clinic.id, draft_id=draft_id)
        return Response(DraftedOutput({"id": draft_id, "missing": [one.told for one in missing]}).data, status=201)


class NoticeApproval(ClinicEndpoint):
    """The officer's word on a notice."""

    permission_classes = [DpoOnly]
    tag = "consent"

    @extend_schema(request=NoticeApprovalInput, responses={204: None})
    def post(self, request: Request, draft_id: UUID, **_path: object) -> Response:
        """Approve it, and say whether everybody has to be asked again.

        Refused while it does not name what the law asks for (`notice_incomplete`, with what is missing).
        """
        asked: dict[str, Any] = NoticeApprovalInput.read(request)
        approve_notice(
            clinic_id=self.clinic.id,
            draft_id=draft_id,
            materiality=Materiality(asked["materiality"]),
            reason=asked["reason"],
            effective_from=asked.get("effective_from"),
            not_applicable={NoticeElement(element): why for element, why in asked.get("not_applicable", {}).items()},
            actor=self.actor,
            now=clock.now(),
        )
        return Response(status=204)


class NoticePublication(ClinicEndpoint):
    """Publishing what was approved."""

    permission_classes = [StaffOnly]
    tag = "consent"

    @extend_schema(request=None, responses={201: PublishedOutput})
    @idempotent
    def post(self, _request: Request, draft_id: UUID, **_path: object) -> Response:
        """Publish it as the next version."""
        version = publish_draft(clinic_id=self.clinic.id, draft_id=draft_id, actor=self.actor, now=clock.now())
        return Response(PublishedOutput({"version": version}).data, status=201)


class MyNoticesServed(MeEndpoint):
    """What the patient was shown."""

    permission_classes = [PatientOnly]
    tag = "consent"

    @extend_schema(request=NoticeServedInput, responses={201: MadeOutput})
    @idempotent
    def post(self, request: Request, **_path: object) -> Response:
        """Say which notice is on the screen: evidence of what a yes was said to."""
        asked = NoticeServedInput.read(request)
        surface: dict[str, Any] = {name: asked[name] for name in ("app_version", "screen") if name in asked}
        served_id = note_notice_served(
            clinic_id=self.clinic.id,
            patient_id=self.patient.id,
            version=asked["notice_version"],
            language=Language(asked["language"]),
            audience=Audience(asked["audience"]),
            surface=surface,
            actor=self.actor,
            now=clock.now(),
        )
        return Response(MadeOutput({"id": served_id}).data, status=201)


def _texts(asked: dict[str, Any]) -> dict[Language, tuple[str, str]]:
    return {language: (asked[language]["title"], asked[language]["body"]) for language in Language}
