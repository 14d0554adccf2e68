"""Lists that only the API shows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from backend.accounts.models import Account
from backend.audit.recording import Entry
from backend.errors import NotFound
from backend.patients.models import Occasion, PatientIdentifier
from backend.patients.sources.records import Identifier, Reference
from backend.programmes.models import Enrolment
from backend.vault.blind import Indexed, blind_index


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentRow:
    """A patient follows a programme because of one occasion."""

    id: UUID
    programme: str
    patient_id: UUID
    occasion_id: UUID
    enrolled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OccasionLine:
    """An occasion, without its words."""

    id: UUID
    patient_id: UUID
    kind: str
    topic: str
    status: str
    starts_at: datetime | None
    ends_at: datetime | None


def enrolments_of(
    *, clinic_id: UUID, patient_id: UUID | None, programme_id: UUID | None, before: UUID | None, limit: int
) -> list[EnrolmentRow]:
    """A page of a clinic's enrolments, the newest first: ids grow with time."""
    rows = Enrolment.objects.in_clinic(clinic_id).select_related("programme").order_by("-id")
    if patient_id is not None:
        rows = rows.filter(patient_id=patient_id)
    if programme_id is not None:
        rows = rows.filter(programme_id=programme_id)
    if before is not None:
        rows = rows.filter(id__lt=before)
    return [
        EnrolmentRow(
            id=row.id,
            programme=row.programme.slug,
            patient_id=row.patient_id,
            occasion_id=row.occasion_id,
            enrolled_at=row.enrolled_at,
        )
        for row in rows[:limit]
    ]


def occasions_of(
    *, clinic_id: UUID, patient_id: UUID | None, kinds: Iterable[str], before: UUID | None, limit: int
) -> list[OccasionLine]:
    """A page of a clinic's occasions, the last that was entered first."""
    rows = Occasion.objects.in_clinic(clinic_id).defer("details").order_by("-id")
    if patient_id is not None:
        rows = rows.filter(patient_id=patient_id)
    if wanted := list(kinds):
        rows = rows.filter(kind__in=wanted)
    if before is not None:
        rows = rows.filter(id__lt=before)
    return [_occasion(row) for row in rows[:limit]]


def find_occasion_by_source(*, clinic_id: UUID, kind: str, source_id: str) -> OccasionLine | None:
    """The occasion that an import would recognise by this id of its source."""
    index = blind_index(Indexed.SOURCE, f"{kind}|id|{source_id}", clinic_id=clinic_id)
    row = Occasion.objects.in_clinic(clinic_id).filter(source_index=index).defer("details").first()
    return None if row is None else _occasion(row)


def reference_to(*, clinic_id: UUID, patient_id: UUID, entry: Entry) -> Reference:
    """How an import would name this patient, under an entry that covers them. Raises NotFound."""
    row = PatientIdentifier.objects.in_clinic(clinic_id).filter(patient_id=patient_id).order_by("id").first()
    if row is None:
        raise NotFound
    return Reference(identifier=Identifier(system=row.system, value=row.value.reveal(entry)), source_id=None)


def handles_of(pseudonyms: Iterable[str]) -> dict[str, str]:
    """Who stands behind the pseudonyms of the log."""
    rows = Account.objects.filter(pseudonym__in=set(pseudonyms)).values_list("pseudonym", "handle")
    return dict(rows)


def _occasion(row: Occasion) -> OccasionLine:
    return OccasionLine(
        id=row.id,
        patient_id=row.patient_id,
        kind=row.kind,
        topic=row.topic,
        status=row.status,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
    )
