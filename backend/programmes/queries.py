"""Questions about programmes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F

from backend.errors import NotFound
from backend.policy.vocabulary import Language
from backend.programmes.models import Programme, ProgrammeState, ProgrammeVersion
from backend.programmes.steps import Definition


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgrammeRow:
    """A programme with its current version."""

    id: UUID
    clinic_id: UUID
    slug: str
    names: dict[str, str]
    purpose_id: UUID
    purpose: str
    state: ProgrammeState
    version: int
    definition: dict[str, Any]
    approved_at: datetime | None
    started_at: datetime | None

    @property
    def read(self) -> Definition:
        """The definition, read."""
        return Definition.read(self.definition)

    def name(self, language: Language) -> str:
        """How people call it."""
        return self.names.get(language) or self.slug


def programmes_of(clinic_id: UUID) -> list[ProgrammeRow]:
    """A clinic's programmes."""
    rows = list(Programme.objects.in_clinic(clinic_id).select_related("purpose").order_by("slug"))
    versions = _versions(rows)
    return [_row(row, versions[row.id]) for row in rows]


def get_programme(*, clinic_id: UUID, programme_id: UUID) -> ProgrammeRow:
    """One programme of a clinic. Raises NotFound."""
    row = Programme.objects.in_clinic(clinic_id).filter(id=programme_id).select_related("purpose").first()
    if row is None:
        raise NotFound
    return _row(row, _versions([row])[row.id])


def get_programme_by_slug(*, clinic_id: UUID, slug: str) -> ProgrammeRow:
    """One programme of a clinic by its short name. Raises NotFound."""
    row = Programme.objects.in_clinic(clinic_id).filter(slug=slug).select_related("purpose").first()
    if row is None:
        raise NotFound
    return _row(row, _versions([row])[row.id])


def _versions(rows: Iterable[Programme]) -> dict[UUID, ProgrammeVersion]:
    """The current version of each programme, with one query."""
    current = ProgrammeVersion.objects.filter(programme__in=list(rows), number=F("programme__version"))
    return {version.programme_id: version for version in current.select_related("approval")}


def _row(row: Programme, version: ProgrammeVersion) -> ProgrammeRow:
    approval = getattr(version, "approval", None)
    return ProgrammeRow(
        id=row.id,
        clinic_id=row.clinic_id,
        slug=row.slug,
        names=dict(row.names),
        purpose_id=row.purpose_id,
        purpose=row.purpose.slug,
        state=ProgrammeState(row.state),
        version=row.version,
        definition=dict(version.definition),
        approved_at=None if approval is None else approval.approved_at,
        started_at=row.started_at,
    )
