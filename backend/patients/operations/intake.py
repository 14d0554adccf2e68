"""What the parts of an import share: the lines of its report, how rows are found again, and contact points."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import orjson

from backend.audit.actors import Actor
from backend.patients.models import (
    ContactKind,
    ContactPoint,
    PatientIdentifier,
)
from backend.patients.sources.reasons import Why
from backend.patients.sources.records import (
    Identifier,
    PatientRecord,
    RelatedPersonRecord,
    Telecom,
    Where,
)
from backend.patients.suppression import digest_of_value, suppressed_digests
from backend.policy.vocabulary import ContactStatus
from backend.vault.blind import Indexed, blind_index
from backend.vault.identifiers import new_id

SOURCE_ID: Final = "urn:accord:source-id"


class RowOutcome(StrEnum):
    """What came of one row of a source."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRow:
    """One line of the report. An `unusable` line comes on top of its row's: one field of it can not be used."""

    where: Where
    outcome: RowOutcome
    field: str = ""
    reason: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Intake:
    """What every row of a batch shares."""

    clinic_id: UUID
    source: str
    actor: Actor
    now: datetime

    def index(self, kind: Indexed, value: str) -> bytes:
        """The clinic's blind index of a value."""
        return blind_index(kind, value, clinic_id=self.clinic_id)

    def identifier_index(self, identifier: Identifier) -> bytes:
        """The blind index of a number together with who gave it."""
        return self.index(Indexed.IDENTIFIER, f"{identifier.system}|{identifier.value}")

    def digest(self, content: object) -> bytes:
        """What tells whether a source says something new."""
        # Keyed like an index: a plain hash of a name and a birth date is quickly guessed.
        return self.index(Indexed.SOURCE, orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode())


def owners_of(indexes: Sequence[bytes], intake: Intake) -> dict[bytes, UUID]:
    """Which patients these identifiers name already."""
    found = (
        PatientIdentifier.objects.in_clinic(intake.clinic_id)
        .filter(value_index__in=list(indexes))
        .values_list("value_index", "patient_id")
    )
    return {bytes(index): patient_id for index, patient_id in found}


def content_of_telecoms(telecoms: Sequence[Telecom]) -> list[list[Any]]:
    """The contact points as they enter the digest."""
    return [[one.kind, one.value, one.usable, one.reason, one.mobile, one.rank] for one in telecoms]


def contact_rows(
    telecoms: Sequence[Telecom], *, patient_id: UUID, representative_id: UUID | None, intake: Intake
) -> list[ContactPoint]:
    """Rows for the contact points of a source, each once, none saved yet."""
    rows: dict[tuple[str, bytes], ContactPoint] = {}
    for place, telecom in enumerate(telecoms):
        kind = ContactKind(telecom.kind)
        index = intake.index(Indexed.PHONE if kind is ContactKind.PHONE else Indexed.EMAIL, telecom.value)
        rows.setdefault(
            (kind, index),
            ContactPoint(
                id=new_id(),
                clinic_id=intake.clinic_id,
                patient_id=patient_id,
                representative_id=representative_id,
                kind=kind,
                value=telecom.value,
                value_index=index,
                takes_sms=bool(telecom.mobile),
                status=ContactStatus.UNVERIFIED if telecom.usable else ContactStatus.UNUSABLE,
                reason=telecom.reason or "",
                rank=telecom.rank if telecom.rank is not None else place + 1,
                from_source=True,
                created_at=intake.now,
            ),
        )
    return list(rows.values())


def replace_contact_points(
    telecoms: Sequence[Telecom], *, patient_id: UUID, representative_id: UUID | None, intake: Intake
) -> None:
    """Make the standing contact points those that the source says now."""
    wanted = {
        (row.kind, bytes(row.value_index), row.status == ContactStatus.UNUSABLE): row
        for row in contact_rows(telecoms, patient_id=patient_id, representative_id=representative_id, intake=intake)
    }
    standing = ContactPoint.objects.in_clinic(intake.clinic_id).filter(
        patient_id=patient_id, representative_id=representative_id, from_source=True, ended_at=None
    )
    for row in standing:
        # What is still said keeps its verification; what is no longer said ends; what is new must be verified anew.
        said = wanted.pop((row.kind, bytes(row.value_index), row.status == ContactStatus.UNUSABLE), None)
        if said is None:
            row.ended_at = intake.now
            row.save(update_fields=["ended_at"])
        elif (row.takes_sms, row.rank) != (said.takes_sms, said.rank):
            row.takes_sms, row.rank = said.takes_sms, said.rank
            row.save(update_fields=["takes_sms", "rank"])
    there = {
        (row.kind, bytes(row.value_index)): row
        for row in ContactPoint.objects.in_clinic(intake.clinic_id).filter(patient_id=patient_id, ended_at=None)
    }
    fresh = []
    for row in wanted.values():
        same = there.get((row.kind, bytes(row.value_index)))
        if same is None:
            fresh.append(row)
        elif representative_id is not None and same.representative_id is None and same.from_source:
            # Written down for the child and for the parent: it is the parent who answers there.
            same.representative_id = representative_id
            same.save(update_fields=["representative"])
    ContactPoint.objects.bulk_create(fresh)


def suppressed_rows(records: Sequence[PatientRecord | RelatedPersonRecord], intake: Intake) -> Iterator[ImportRow]:
    """A line for each contact point that is taken over and yet not used: it is on the suppression list."""
    told = [
        (given, place, digest_of_value(ContactKind(telecom.kind), telecom.value, clinic_id=intake.clinic_id))
        for given in records
        for place, telecom in enumerate(given.telecoms)
        if telecom.usable
    ]
    listed = suppressed_digests([digest for _given, _place, digest in told], clinic_id=intake.clinic_id)
    for given, place, digest in told:
        if digest in listed:
            yield ImportRow(
                where=given.where,
                outcome=RowOutcome.UNUSABLE,
                field=f"telecom[{place}]",
                reason=Why.CONTACT_SUPPRESSED,
            )
