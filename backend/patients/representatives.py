"""Who represents a patient, with their names, under an entry."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from backend.audit.recording import Entry
from backend.patients.models import Representative
from backend.patients.queries import RepresentationRow, representations_of
from backend.vault.fields import ValueShredded


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RepresentativeProfile:
    """A representative, revealed under an entry. `stands`: do they act for the patient on the day asked for?"""

    representation: RepresentationRow
    family_name: str
    given_names: tuple[str, ...]
    stands: bool

    def __repr__(self) -> str:
        return f"RepresentativeProfile(id={self.representation.id})"


def reveal_representatives(patient_id: UUID, *, on: date, entry: Entry) -> list[RepresentativeProfile]:
    """Everybody who represents a patient, or did, under an entry that covers the patient."""
    rows = {row.id: row for row in Representative.objects.filter(patient_id=patient_id)}
    found = []
    for representation in representations_of([patient_id]).get(patient_id, []):
        family_name, given_names = "", ()
        with suppress(ValueShredded):
            row = rows[representation.id]
            family_name = "" if row.family_name is None else row.family_name.reveal(entry)
            given_names = () if row.given_names is None else tuple(row.given_names.reveal_data(entry))
        found.append(
            RepresentativeProfile(
                representation=representation,
                family_name=family_name,
                given_names=given_names,
                stands=representation.stands_on(on),
            )
        )
    return found
