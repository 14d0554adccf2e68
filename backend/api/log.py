"""The log, for the data protection officer."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend import clock
from backend.api.endpoints import ClinicEndpoint, page
from backend.api.fields import Moment, Output, choice_of
from backend.api.languages import spoken_language
from backend.api.pages import next_page, read_cursor, read_limit, refuse_unknown
from backend.api.permissions import DpoOnly
from backend.api.queries import handles_of
from backend.api.schema import PAGING
from backend.audit.actions import Action
from backend.audit.queries import OpenedEntry, entries_about, entries_of, open_entries
from backend.audit.recording import Outcome, record
from backend.errors import InvalidInput
from backend.patients.queries import require_patient
from backend.policy.vocabulary import Language


class WhoOutput(Output):
    """Who acted. Patients are named in the encrypted part only."""

    kind = serializers.CharField()
    handle = serializers.CharField(help_text="The account; empty for patients and for Accord itself.")
    id = serializers.UUIDField(allow_null=True, help_text="The patient or representative who acted.")


class EntryPartOutput(Output):
    """What an entry says about one of those concerned."""

    subject = serializers.UUIDField(allow_null=True, help_text="The patient; null in the clinic's own part.")
    readable = serializers.BooleanField()
    unreadable_because = serializers.CharField(help_text="`key_destroyed`, `key_missing`, `tampered`, or empty.")
    details = serializers.DictField()
    sentence = serializers.CharField()


class EntryOutput(Output):
    """One entry of the log."""

    id = serializers.UUIDField()
    at = Moment()
    action = serializers.CharField()
    outcome = choice_of(Outcome)
    about = serializers.CharField(help_text="The kind of thing it happened to.")
    actor = WhoOutput()
    request_id = serializers.CharField()
    parts = EntryPartOutput(many=True)


class EntriesPage(Output):
    """A page of entries, the newest first."""

    results = EntryOutput(many=True)
    next = serializers.CharField(allow_null=True)


class AuditEntries(ClinicEndpoint):
    """The clinic's log."""

    permission_classes = [DpoOnly]
    tag = "log"

    @extend_schema(
        parameters=[
            *PAGING,
            OpenApiParameter(
                "patient", UUID, description="Only what is about this patient: who saw the record, and what was done."
            ),
        ],
        responses=EntriesPage,
    )
    def get(self, request: Request, **_path: object) -> Response:
        """The newest first, decrypted as far as keys are there. Looking is itself recorded."""
        refuse_unknown(request, "cursor", "limit", "patient")
        limit, place, patient_id = read_limit(request), read_cursor(request, int), _patient(request)
        before = place[0] if place else None
        if patient_id is None:
            rows = entries_of(clinic_id=self.clinic.id, before=before, limit=limit + 1)
        else:
            require_patient(clinic_id=self.clinic.id, patient_id=patient_id)
            rows = entries_about(clinic_id=self.clinic.id, patient_id=patient_id, before=before, limit=limit + 1)
        shown, after = next_page(rows, limit, lambda row: (row.seq,))
        with record(
            Action.LOG_READ,
            by=self.actor,
            now=clock.now(),
            clinic_id=self.clinic.id,
            about=() if patient_id is None else patient_id,
            whole_clinic=True,
            count=len(shown),
        ) as entry:
            opened = open_entries(shown, entry=entry)
        handles = handles_of(one.pseudonym for one in opened)
        language = spoken_language()
        return page([entry_on_the_wire(one, handles, language) for one in opened], next_cursor=after)


def _patient(request: Request) -> UUID | None:
    """Whom it is asked about. Raises InvalidInput."""
    told = request.query_params.get("patient")
    if told is None:
        return None
    try:
        return UUID(told)
    except ValueError as error:
        raise InvalidInput(field="patient") from error


def entry_on_the_wire(entry: OpenedEntry, handles: dict[str, str], language: Language) -> dict[str, Any]:
    """One entry, as it is answered."""
    actors = [part.actor_id for part in entry.parts if part.actor_id is not None]
    shown = {
        "id": entry.id,
        "at": entry.at,
        "action": entry.code,
        "outcome": entry.outcome,
        "about": entry.happened_to,
        "actor": {
            "kind": entry.actor_kind,
            "handle": handles.get(entry.pseudonym, entry.pseudonym),
            "id": actors[0] if actors else None,
        },
        "request_id": entry.request_id,
        "parts": [
            {
                "subject": part.subject_id,
                "readable": not part.unreadable_because,
                "unreadable_because": part.unreadable_because,
                "details": part.details,
                "sentence": entry.sentence(part, language),
            }
            for part in entry.parts
        ],
    }
    return dict(EntryOutput(shown).data)
