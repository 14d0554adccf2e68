"""Receipts of what was said: signed, and in the words of several standards; and the keys to check them with."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from backend import clock
from backend.api.endpoints import MeEndpoint, PatientEndpoint
from backend.api.languages import spoken_language
from backend.api.pages import read_words, refuse_unknown
from backend.api.permissions import PatientOnly, StaffWritesDpoReads
from backend.api.problems import answer
from backend.api.receipt_documents import as_page, as_pdf
from backend.api.receipt_words import readable
from backend.consent.operations import Form, Receipt, issue_receipt
from backend.consent.queries import events_by_id, receipt_keys
from backend.consent.standards.dpv import dpv_receipt
from backend.consent.standards.facts import Json, instant
from backend.consent.standards.fhir import fhir_bundle
from backend.consent.standards.jws import public_key
from backend.consent.standards.kantara import kantara_receipt
from backend.errors import NotFound

MEDIA: Final[Mapping[Form, str]] = {
    Form.JWS: "application/jose",
    Form.DPV: "application/ld+json",
    Form.KANTARA: "application/json",
    Form.FHIR: "application/fhir+json",
    Form.PDF: "application/pdf",
    Form.HTML: "text/html; charset=utf-8",
}
ENDING: Final[Mapping[Form, str]] = {
    Form.JWS: "jws",
    Form.DPV: "dpv.jsonld",
    Form.KANTARA: "kantara.json",
    Form.FHIR: "fhir.json",
    Form.PDF: "pdf",
    Form.HTML: "html",
}
FORM: Final = OpenApiParameter(
    "format",
    enum=[form.value for form in Form],
    description=(
        "`jws`: signed, to be checked anywhere (the default). `dpv`: ISO/IEC TS 27560 in JSON-LD. `kantara`: Kantara "
        "1.1, where a yes stands. `fhir`: a Bundle of FHIR R4 Consents and Provenances. `pdf` and `html`: to be read, "
        "in the language of the request, with the exact words. Without it, `Accept` decides."
    ),
)
RESPONSES: Final = {(200, media.partition(";")[0]): OpenApiTypes.BINARY for media in MEDIA.values()}


class AnyOfOurForms(DefaultContentNegotiation):
    """Which form is answered is the endpoint's to choose; problems are always told as problems."""

    def select_renderer(
        self,
        request: Request,  # noqa: ARG002 - DRF's signature
        renderers: list[BaseRenderer],  # type: ignore[override] # DRF's stubs want an iterable
        format_suffix: str | None = None,  # noqa: ARG002 - DRF's signature
    ) -> tuple[BaseRenderer, str]:
        """The one there is."""
        return renderers[0], renderers[0].media_type


class MyReceipt(MeEndpoint):
    """A receipt for the patient, of one purpose on one channel."""

    permission_classes = [PatientOnly]
    content_negotiation_class = AnyOfOurForms
    tag = "consent"

    @extend_schema(parameters=[FORM], responses=RESPONSES)
    def get(self, request: Request, event_id: UUID, **_path: object) -> HttpResponseBase:
        """What was said and to which words. `event_id` is that of the state or of any event. Issuing is recorded."""
        event = events_by_id([event_id]).get(event_id)
        if event is not None:
            self._refuse_hidden(event.purpose)
        return _answer(self, request, event_id)

    def _refuse_hidden(self, purpose: str) -> None:
        try:
            self.refuse_hidden(purpose)
        except NotFound:
            # As if there were no such event: not even that the purpose exists is told.
            raise NotFound from None


class PatientReceipt(PatientEndpoint):
    """A receipt for a patient, handed out by the clinic."""

    permission_classes = [StaffWritesDpoReads]
    content_negotiation_class = AnyOfOurForms
    tag = "consent"

    @extend_schema(parameters=[FORM], responses=RESPONSES)
    def get(self, request: Request, event_id: UUID, **_path: object) -> HttpResponseBase:
        """What the patient said and to which words, to be handed out or kept as proof. Issuing is recorded."""
        return _answer(self, request, event_id)


def receipt_keys_page(request: HttpRequest) -> HttpResponseBase:
    """Every key that signs receipts or did, as a JWK set (RFC 7517). Public: it names no patient and no clinic."""
    if request.method not in {"GET", "HEAD"}:
        refused = answer(request, HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed")
        refused["Allow"] = "GET, HEAD"
        return refused
    keys: list[Json] = []
    for row in receipt_keys():
        told = {**public_key(row.public), "published_at": instant(row.published_at)}
        keys.append(told if row.retired_at is None else {**told, "retired_at": instant(row.retired_at)})
    response = JsonResponse({"keys": keys}, content_type="application/jwk-set+json")
    response["Cache-Control"] = "public, max-age=300"
    return response


def _answer(view: MeEndpoint | PatientEndpoint, request: Request, event_id: UUID) -> HttpResponseBase:
    refuse_unknown(request, "format")
    form = _form(request)
    receipt = issue_receipt(
        clinic_id=view.clinic.id,
        patient_id=view.patient.id,
        event_id=event_id,
        form=form,
        actor=view.actor,
        now=clock.now(),
    )
    response = HttpResponse(_written(receipt, form), content_type=MEDIA[form])
    shown = "inline" if form is Form.HTML else "attachment"
    response["Content-Disposition"] = f'{shown}; filename="receipt-{receipt.id}.{ENDING[form]}"'
    response["Vary"] = "Accept, Accept-Language"
    return response


def _form(request: Request) -> Form:
    """As the address says, else as the first of the media types that are accepted, else signed."""
    asked: list[Form] = read_words(request, "format", {form.value: form for form in Form})
    if asked:
        return asked[0]
    by_media = {media.partition(";")[0]: form for form, media in MEDIA.items()}
    accepted = (part.partition(";")[0].strip().lower() for part in request.headers.get("Accept", "").split(","))
    return next((by_media[media] for media in accepted if media in by_media), Form.JWS)


def _written(receipt: Receipt, form: Form) -> bytes:
    told: Any
    match form:
        case Form.JWS:
            return receipt.signed.encode("ascii")
        case Form.DPV:
            told = dpv_receipt([receipt.record], receipt_id=receipt.id, created=receipt.created)
        case Form.KANTARA:
            told = kantara_receipt(receipt.record, receipt_id=receipt.id)
        case Form.FHIR:
            told = fhir_bundle(receipt.record)
        case Form.PDF:
            return as_pdf(readable(receipt, spoken_language()))
        case Form.HTML:
            return as_page(readable(receipt, spoken_language()))
    return orjson.dumps(told, option=orjson.OPT_INDENT_2)
