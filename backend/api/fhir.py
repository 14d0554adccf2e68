"""Taking over FHIR R4: one bundle or one resource, answered row by row."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api import examples
from backend.api.endpoints import ClinicEndpoint
from backend.api.fields import Output, choice_of
from backend.api.languages import spoken_language
from backend.api.parsing import FhirParser, PlainFhirParser
from backend.api.permissions import StaffOnly
from backend.patients.operations import ImportRow, RowOutcome, import_records
from backend.patients.sources.fhir import read_bundle
from backend.patients.sources.reasons import REASONS
from backend.policy.vocabulary import Language


class ImportRowOutput(Output):
    """One line of the report. `unusable` lines come on top: their row was taken over, but one field is of no use."""

    file = serializers.CharField(help_text="`bundle`.")
    line = serializers.IntegerField(help_text="The number of the entry, from 1; 0 is the bundle itself.")
    kind = serializers.CharField(help_text="patient, representative, appointment, ...; empty for a refusal by form.")
    outcome = choice_of(RowOutcome)
    field = serializers.CharField()
    reason = serializers.CharField(help_text="A code; empty where there is nothing to say.")
    sentence = serializers.CharField()


class ImportOutput(Output):
    """What came of an import."""

    counts = serializers.DictField(child=serializers.IntegerField())
    rows = ImportRowOutput(many=True)


class FhirImport(ClinicEndpoint):
    """Where practice software sends patients and appointments."""

    permission_classes = [StaffOnly]
    parser_classes = [FhirParser, PlainFhirParser]
    tag = "patients"

    @extend_schema(
        request={
            "application/fhir+json": {"type": "object", "properties": {"resourceType": {"type": "string"}}},
            "application/json": {"type": "object", "properties": {"resourceType": {"type": "string"}}},
        },
        responses=ImportOutput,
        examples=[examples.IMPORT],
    )
    def post(self, request: Request, **_path: object) -> Response:
        """Take over a Bundle or a single resource. The same again changes nothing, so no idempotency key is needed."""
        now = clock.now()
        today = now.astimezone(ZoneInfo(self.clinic.time_zone)).date()
        rows: list[ImportRow] = []
        counts = import_records(
            clinic_id=self.clinic.id,
            records=read_bundle(
                as_bundle(request.data), region=self.clinic.country, zone=self.clinic.time_zone, today=today
            ),
            source="fhir",
            actor=self.actor,
            now=now,
            on_row=rows.append,
        )
        language = spoken_language()
        shown = {
            "counts": {outcome.value: counts.rows[outcome] for outcome in RowOutcome},
            "rows": [row_on_the_wire(row, language) for row in sorted(rows, key=lambda one: one.where.line)],
        }
        return Response(shown)


def as_bundle(resource: Any) -> Mapping[str, Any]:
    """A bundle as it is; a single resource as the only entry of one."""
    if resource.get("resourceType") == "Bundle":
        bundle: Mapping[str, Any] = resource
        return bundle
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": resource}]}


def row_on_the_wire(row: ImportRow, language: Language) -> dict[str, Any]:
    """One line of the report, as it is answered."""
    return {
        "file": row.where.file,
        "line": row.where.line,
        "kind": row.kind,
        "outcome": row.outcome.value,
        "field": row.field,
        "reason": str(row.reason),
        "sentence": REASONS[row.reason][language] if row.reason else "",
    }
