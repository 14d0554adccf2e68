"""Representatives and occasions of a source, each with the patient it refers to."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from backend.audit.actions import Action
from backend.audit.recording import Draft, record_many
from backend.patients.models import (
    Occasion,
    Patient,
    Representative,
)
from backend.patients.operations.intake import (
    SOURCE_ID,
    ImportRow,
    Intake,
    RowOutcome,
    content_of_telecoms,
    owners_of,
    replace_contact_points,
    suppressed_rows,
)
from backend.patients.sources.reasons import Why
from backend.patients.sources.records import (
    Identifier,
    OccasionRecord,
    Reference,
    RelatedPersonRecord,
)
from backend.vault.blind import Indexed
from backend.vault.identifiers import new_id
from backend.vault.keyring import Scope, keyring, keys_at_hand

PATIENT_FIELD: Final = {
    "representative": "patient",
    "immunisation": "patient",
    "encounter": "subject",
    "appointment": "participant",
}


def take_over_dependants(
    records: Sequence[RelatedPersonRecord | OccasionRecord], intake: Intake
) -> Iterator[ImportRow]:
    """Take over a batch of representatives, or of occasions, in one transaction; the lines of the report."""
    references = [_reference_index(given.patient, intake) for given in records]
    owners = owners_of(references, intake)
    alive = set(
        Patient.objects.in_clinic(intake.clinic_id)
        .filter(id__in=set(owners.values()), erased_at=None)
        .values_list("id", flat=True)
    )
    sources = [_source_index(given, reference, intake) for given, reference in zip(records, references, strict=True)]
    model = Representative if isinstance(records[0], RelatedPersonRecord) else Occasion
    standing = {
        bytes(row.source_index): row
        for row in model.objects.in_clinic(intake.clinic_id).filter(source_index__in=sources)
    }
    outcomes: list[ImportRow] = []
    drafts: list[Draft] = []
    writes: list[Callable[[], None]] = []
    subjects: set[UUID] = set()
    for given, reference, source in zip(records, references, sources, strict=True):
        kind = "representative" if isinstance(given, RelatedPersonRecord) else given.kind
        patient_id = owners.get(reference)
        row = standing.get(source)
        foreign = row is not None and row.patient_id != patient_id
        if patient_id is None or patient_id not in alive or foreign:
            outcomes.append(
                ImportRow(
                    where=given.where,
                    outcome=RowOutcome.REFUSED,
                    field=PATIENT_FIELD[kind],
                    reason=Why.PATIENT_AMBIGUOUS if foreign else Why.PATIENT_UNKNOWN,
                    kind=kind,
                )
            )
            continue
        digest = intake.digest([_content_of_dependant(given), _stands(given, intake)])
        if row is not None and row.source_digest is not None and bytes(row.source_digest) == digest:
            outcomes.append(ImportRow(where=given.where, outcome=RowOutcome.UNCHANGED, kind=kind))
            continue
        outcome = RowOutcome.CREATED if row is None else RowOutcome.UPDATED
        subjects.add(patient_id)
        if isinstance(given, RelatedPersonRecord):
            person = row if isinstance(row, Representative) else _new_representative(patient_id, source, intake)
            drafts.append(_representative_draft(person, given, intake))
            writes.append(_representative_write(person, given, digest, intake, is_new=row is None))
            standing[source] = person
        else:
            occasion = row if isinstance(row, Occasion) else _new_occasion(patient_id, source, intake)
            drafts.append(_occasion_draft(occasion, given, intake, is_new=row is None))
            writes.append(_occasion_write(occasion, given, digest, intake, is_new=row is None))
            standing[source] = occasion
        standing[source].source_digest = digest
        outcomes.append(ImportRow(where=given.where, outcome=outcome, kind=kind))
    if drafts:
        known = keyring().current_of(clinic_id=intake.clinic_id, scope=Scope.PROFILE, subject_ids=subjects)
        with keys_at_hand(known), record_many(drafts, by=intake.actor, now=intake.now):
            for write in writes:
                write()
    yield from outcomes
    yield from suppressed_rows([given for given in records if isinstance(given, RelatedPersonRecord)], intake)


def _reference_index(reference: Reference, intake: Intake) -> bytes:
    identifier = reference.identifier or Identifier(system=SOURCE_ID, value=reference.source_id or "")
    return intake.identifier_index(identifier)


def _source_index(given: RelatedPersonRecord | OccasionRecord, reference: bytes, intake: Intake) -> bytes:
    kind = "representative" if isinstance(given, RelatedPersonRecord) else given.kind
    if given.source_id:
        return intake.index(Indexed.SOURCE, f"{kind}|id|{given.source_id}")
    if given.identifiers:
        first = min((one.system, one.value) for one in given.identifiers)
        return intake.index(Indexed.SOURCE, f"{kind}|identifier|{first[0]}|{first[1]}")
    # Neither id nor identifier: the same patient at the same time is the same thing.
    content = orjson.dumps(_content_of_dependant(given), option=orjson.OPT_SORT_KEYS).decode()
    return intake.index(Indexed.SOURCE, f"{kind}|content|{reference.hex()}|{content}")


def _content_of_dependant(given: RelatedPersonRecord | OccasionRecord) -> dict[str, Any]:
    if isinstance(given, RelatedPersonRecord):
        return {
            "relationship": given.relationship,
            "family": given.family_name,
            "given": list(given.given_names),
            "telecoms": content_of_telecoms(given.telecoms),
            "active": given.active,
            "period": [given.starts_on, given.ends_on],
        }
    return {
        "topic": given.topic,
        "status": given.status,
        "starts_at": given.starts_at,
        "ends_at": given.ends_at,
        "details": _occasion_details(given),
    }


def _new_representative(patient_id: UUID, source: bytes, intake: Intake) -> Representative:
    return Representative(id=new_id(), clinic_id=intake.clinic_id, patient_id=patient_id, source_index=source)


def _representative_draft(person: Representative, given: RelatedPersonRecord, intake: Intake) -> Draft:
    return Draft(
        action=Action.REPRESENTATIVE_RECORDED,
        clinic_id=intake.clinic_id,
        about=(person.patient_id,),
        details={"representative": person.id, "relationship": given.relationship},
    )


def _representative_write(
    person: Representative, given: RelatedPersonRecord, digest: bytes, intake: Intake, *, is_new: bool
) -> Callable[[], None]:
    def write() -> None:
        person.relationship = given.relationship
        person.family_name = given.family_name
        person.given_names = list(given.given_names)
        person.is_active = _stands(given, intake)
        if person.proof_checked_at is None:
            # What staff looked at themselves is not undone by a file; a file that says it is over counts all the same.
            person.starts_on, person.ends_on = given.starts_on, given.ends_on
        person.source_digest = digest
        person.save(force_insert=is_new)
        replace_contact_points(
            # Who no longer represents the patient is no longer written to.
            given.telecoms if person.is_active else (),
            patient_id=person.patient_id,
            representative_id=person.id,
            intake=intake,
        )

    return write


def _stands(given: RelatedPersonRecord | OccasionRecord, intake: Intake) -> bool:
    """Does this person represent the patient today? The same line may say yes today, and no once its period is over."""
    if not isinstance(given, RelatedPersonRecord):
        return True
    today = intake.now.date()
    begun = given.starts_on is None or given.starts_on <= today
    return given.active and begun and (given.ends_on is None or given.ends_on >= today)


def _new_occasion(patient_id: UUID, source: bytes, intake: Intake) -> Occasion:
    return Occasion(
        id=new_id(), clinic_id=intake.clinic_id, patient_id=patient_id, source_index=source, created_at=intake.now
    )


def _occasion_draft(occasion: Occasion, given: OccasionRecord, intake: Intake, *, is_new: bool) -> Draft:
    return Draft(
        action=Action.OCCASION_RECORDED if is_new else Action.OCCASION_CHANGED,
        clinic_id=intake.clinic_id,
        about=(occasion.patient_id,),
        details={"occasion": occasion.id, "kind": given.kind, "status": given.status},
    )


def _occasion_write(
    occasion: Occasion, given: OccasionRecord, digest: bytes, intake: Intake, *, is_new: bool
) -> Callable[[], None]:
    def write() -> None:
        occasion.kind = given.kind
        occasion.topic = given.topic
        occasion.status = given.status
        occasion.starts_at = given.starts_at
        occasion.ends_at = given.ends_at
        occasion.details = _occasion_details(given)
        occasion.source_digest = digest
        occasion.updated_at = intake.now
        occasion.save(force_insert=is_new)

    return write


def _occasion_details(given: OccasionRecord) -> dict[str, Any]:
    return {"place": given.place, "practitioner": given.practitioner, "label": given.label}
