"""STOPs that came by SMS: what staff look at when several patients share a number."""

from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api.endpoints import ClinicEndpoint, page
from backend.api.fields import Output
from backend.api.pages import next_page, read_cursor, read_limit, refuse_unknown
from backend.api.permissions import StaffWritesDpoReads
from backend.api.schema import PAGING
from backend.audit.actions import Action
from backend.audit.recording import record
from backend.messaging.queries import stops_of


class StopOutput(Output):
    """A STOP and one of the patients whose messages it stopped. Lines with the same `received` came as one SMS."""

    id = serializers.UUIDField()
    received = serializers.UUIDField(help_text="The SMS.")
    received_at = serializers.DateTimeField()
    patient = serializers.UUIDField(source="patient_id")
    sharing = serializers.IntegerField(help_text="How many other patients have the number: ask who meant it.")
    withdrawn = serializers.IntegerField(help_text="How many consents it withdrew from this patient.")


class StopsPage(Output):
    """STOPs, the newest first."""

    results = StopOutput(many=True)
    next = serializers.CharField(allow_null=True)


class ReceivedStops(ClinicEndpoint):
    """STOPs that came by SMS."""

    permission_classes = [StaffWritesDpoReads]
    tag = "consent"

    @extend_schema(parameters=PAGING, responses=StopsPage)
    def get(self, request: Request, **_path: object) -> Response:
        """The newest first. A number that several patients share stopped all of them. Looking is recorded."""
        refuse_unknown(request, "cursor", "limit")
        limit = read_limit(request)
        rows = stops_of(clinic_id=self.clinic.id, before=read_cursor(request, datetime, UUID), limit=limit + 1)
        shown, after = next_page(rows, limit, lambda row: (row.received_at, row.id))
        with record(Action.STOPS_READ, by=self.actor, now=clock.now(), clinic_id=self.clinic.id, count=len(shown)):
            return page([StopOutput(asdict(row)).data for row in shown], next_cursor=after)
