"""The export of consents and of everything that happened to them, for the data protection officer."""

import re
import tempfile
from datetime import date
from typing import Final

from django.http import FileResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from backend import clock
from backend.api.endpoints import ClinicEndpoint
from backend.api.fields import SLUG_FORM, Day
from backend.api.languages import said, spoken_language
from backend.api.pages import read_id, read_words, refuse_unknown
from backend.api.permissions import DpoOnly
from backend.consent.export.exporting import export_consents
from backend.consent.export.selection import Form, Selection

ZIP: Final = "application/zip"
FORMS: Final = {form.value: form for form in Form}


class ConsentExport(ClinicEndpoint):
    """Consents and their events, as one signed file."""

    permission_classes = [DpoOnly]
    tag = "consents"

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "format", str, description=f"Which forms, separated by commas: {', '.join(FORMS)}; or all."
            ),
            OpenApiParameter("from", OpenApiTypes.DATE, description="Only what was recorded on this day or later."),
            OpenApiParameter("to", OpenApiTypes.DATE, description="Only what was recorded on this day or before."),
            OpenApiParameter("purpose", str, description="Only these purposes: slugs, separated by commas."),
            OpenApiParameter("patient", OpenApiTypes.UUID, description="Only this patient."),
        ],
        responses={(200, ZIP): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, **_path: object) -> HttpResponseBase:
        """A signed archive with the consents that were asked for, the notices word by word, and a manifest."""
        refuse_unknown(request, "format", "from", "to", "purpose", "patient")
        selection = Selection(
            first_day=_day(request, "from"),
            last_day=_day(request, "to"),
            purposes=_purposes(request),
            patient_id=read_id(request, "patient"),
        )
        now = clock.now()
        # It outlives this method, and is gone with the answer.
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
        try:
            export_consents(
                file,
                clinic_id=self.clinic.id,
                selection=selection,
                forms=read_words(request, "format", FORMS) or list(Form),
                language=spoken_language(),
                actor=self.actor,
                now=now,
            )
            file.seek(0)
        except BaseException:
            file.close()
            raise
        name = f"{self.clinic.slug}-consents-{now:%Y-%m-%d}.zip"
        return FileResponse(file, as_attachment=True, filename=name, content_type=ZIP)


def _day(request: Request, name: str) -> date | None:
    given = request.query_params.get(name)
    if given is None:
        return None
    try:
        return Day().to_internal_value(given)
    except serializers.ValidationError as error:
        raise serializers.ValidationError({name: error.detail}) from None


def _purposes(request: Request) -> tuple[str, ...]:
    slugs = tuple(filter(None, request.query_params.get("purpose", "").split(",")))
    if not all(re.fullmatch(SLUG_FORM, slug) for slug in slugs):
        raise serializers.ValidationError({"purpose": [serializers.ErrorDetail(said("slug"), code="invalid_slug")]})
    return tuple(dict.fromkeys(slugs))
