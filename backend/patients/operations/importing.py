"""Taking over what a source knows: batch by batch, each batch whole or not at all, the same again changes nothing."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import orjson
from django.db import IntegrityError

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.keys import IssuedKeys, issue_subject_keys
from backend.audit.recording import Draft, record, record_many
from backend.patients.models import (
    ContactKind,
    ContactPoint,
    ImportRun,
    Occasion,
    Patient,
    PatientIdentifier,
    Representative,
)
from backend.patients.sources.reasons import Why
from backend.patients.sources.records import (
    Identifier,
    OccasionRecord,
    PatientRecord,
    Problem,
    Record,
    Reference,
    RelatedPersonRecord,
    Telecom,
    Where,
)
from backend.policy.vocabulary import ContactStatus
from backend.vault.blind import Indexed, blind_index
from backend.vault.identifiers import new_id
from backend.vault.keyring import Scope, keyring, keys_at_hand

BATCH: Final = 200
IMPORTS_AT_ONCE: Final = 3
SOURCE_ID: Final = "urn:accord:source-id"
OF_DEATH: Final = ("is_deceased", "deceased_at")
OF_SOURCE: Final = (
    "family_name",
    "family_name_index",
    "given_names",
    "birth_date",
    "address",
    "language",
    "is_active",
    "source_digest",
    "updated_at",
)
PATIENT_FIELD: Final = {
    "representative": "patient",
    "immunisation": "patient",
    "encounter": "subject",
    "appointment": "participant",
}


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


@dataclass(slots=True)
class ImportCounts:
    """An import in numbers: rows by outcome, and records by kind and outcome."""

    rows: Counter[RowOutcome] = field(default_factory=Counter)
    kinds: Counter[tuple[str, RowOutcome]] = field(default_factory=Counter)

    def add(self, row: ImportRow) -> None:
        """Count one line of the report."""
        self.rows[row.outcome] += 1
        if row.kind:
            self.kinds[row.kind, row.outcome] += 1


def import_records(
    *,
    clinic_id: UUID,
    records: Iterable[Record | Problem],
    source: str,
    actor: Actor,
    now: datetime,
    on_row: Callable[[ImportRow], None] | None = None,
) -> ImportCounts:
    """Take over patients, representatives and occasions. Interrupted, it keeps whole batches; run again, it goes on.

    `on_row` is called for every line of the report, after what it says was committed.
    """
    run_id = new_id()
    with record(Action.IMPORT_STARTED, by=actor, now=now, clinic_id=clinic_id, run=run_id, source=source):
        ImportRun.objects.create(id=run_id, clinic_id=clinic_id, source=source, started_at=now)
    counts = ImportCounts()
    intake = _Intake(clinic_id, source, actor, now)
    for batch, problems in _batches(records):
        for row in [*_taken_over(batch, intake), *_problem_rows(problems)]:
            counts.add(row)
            if on_row is not None:
                on_row(row)
    totals: dict[str, Any] = {outcome.value: counts.rows[outcome] for outcome in RowOutcome}
    with record(Action.IMPORT_FINISHED, by=actor, now=now, clinic_id=clinic_id, run=run_id, **totals):
        ImportRun.objects.filter(id=run_id).update(finished_at=now, **totals)
    return counts


def _batches(records: Iterable[Record | Problem]) -> Iterator[tuple[list[Any], list[Problem]]]:
    """Records of one kind, up to BATCH of them, and the problems met meanwhile."""
    batch: list[Any] = []
    problems: list[Problem] = []
    for item in records:
        if isinstance(item, Problem):
            problems.append(item)
        else:
            if batch and type(item) is not type(batch[0]):
                yield batch, problems
                batch, problems = [], []
            batch.append(item)
        if len(batch) + len(problems) >= BATCH:
            yield batch, problems
            batch, problems = [], []
    yield batch, problems


@dataclass(frozen=True, slots=True)
class _Intake:
    """What every row of a batch shares."""

    clinic_id: UUID
    source: str
    actor: Actor
    now: datetime

    def index(self, kind: Indexed, value: str) -> bytes:
        return blind_index(kind, value, clinic_id=self.clinic_id)

    def identifier_index(self, identifier: Identifier) -> bytes:
        return self.index(Indexed.IDENTIFIER, f"{identifier.system}|{identifier.value}")

    def digest(self, content: object) -> bytes:
        # Keyed like an index: a plain hash of a name and a birth date is quickly guessed.
        return self.index(Indexed.SOURCE, orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode())


def _taken_over(batch: list[Any], intake: _Intake) -> list[ImportRow]:
    """What came of a batch that was written whole. Another import may enter the same patient: then look again."""
    if not batch:
        return []
    take_over = _take_over_patients if isinstance(batch[0], PatientRecord) else _take_over_dependants
    for _again in range(IMPORTS_AT_ONCE):
        with suppress(IntegrityError):
            return list(take_over(batch, intake))
    return list(take_over(batch, intake))


def _problem_rows(problems: Sequence[Problem]) -> Iterator[ImportRow]:
    for problem in problems:
        outcome = RowOutcome.REFUSED if problem.kind == "refused" else RowOutcome.UNUSABLE
        yield ImportRow(where=problem.where, outcome=outcome, field=problem.field, reason=problem.reason)


# --------------------------------------------------------------------------------------------------- patients


@dataclass(slots=True)
class _PatientPlan:
    record: PatientRecord
    patient_id: UUID
    identifiers: dict[bytes, Identifier]
    digest: bytes
    outcome: RowOutcome
    row: Patient | None = None


def _take_over_patients(records: Sequence[PatientRecord], intake: _Intake) -> Iterator[ImportRow]:
    plans, refusals = _plan_patients(records, intake)
    yield from refusals
    fresh = [plan for plan in plans if plan.outcome is RowOutcome.CREATED]
    changed = [plan for plan in plans if plan.outcome is RowOutcome.UPDATED]
    if fresh or changed:
        issued = issue_subject_keys([plan.patient_id for plan in fresh], clinic_id=intake.clinic_id, now=intake.now)
        known = keyring().current_of(
            clinic_id=intake.clinic_id, scope=Scope.PROFILE, subject_ids=[plan.patient_id for plan in changed]
        )
        with (
            issued.at_hand(),
            keys_at_hand(known),
            record_many(_patient_drafts(fresh, changed, issued, intake), by=intake.actor, now=intake.now),
        ):
            issued.save()
            _write_new_patients(fresh, intake)
            _write_changed_patients(changed, intake)
    for plan in plans:
        yield ImportRow(where=plan.record.where, outcome=plan.outcome, kind="patient")


def _plan_patients(records: Sequence[PatientRecord], intake: _Intake) -> tuple[list[_PatientPlan], list[ImportRow]]:
    indexed = [(given, _identifiers_of(given, intake)) for given in records]
    owners = _owners([index for _, identifiers in indexed for index in identifiers], intake)
    rows = {
        patient.id: patient
        for patient in Patient.objects.in_clinic(intake.clinic_id).filter(id__in=set(owners.values()))
    }
    plans: dict[UUID, _PatientPlan] = {}
    refusals: list[ImportRow] = []
    for given, identifiers in indexed:
        named = {owners[index] for index in identifiers if index in owners}
        if len(named) > 1:
            refusals.append(_refused(given, Why.PATIENT_AMBIGUOUS, field_name="identifier"))
            continue
        patient_id = named.pop() if named else new_id()
        row = rows.get(patient_id)
        if patient_id in plans:
            # Two lines of one batch are about the same patient: the first one stands, and the second is told.
            refusals.append(_refused(given, Why.RECORD_TWICE, field_name="identifier"))
            continue
        if row is not None and row.erased_at is not None:
            refusals.append(_refused(given, Why.PATIENT_REFUSED, field_name="identifier"))
            continue
        digest = intake.digest(_content_of_patient(given))
        outcome = RowOutcome.CREATED
        if row is not None:
            same = row.source_digest is not None and bytes(row.source_digest) == digest
            outcome = RowOutcome.UNCHANGED if same else RowOutcome.UPDATED
        owners.update(dict.fromkeys(identifiers, patient_id))
        plans[patient_id] = _PatientPlan(given, patient_id, identifiers, digest, outcome, row)
    return list(plans.values()), refusals


def _refused(given: PatientRecord, why: Why, *, field_name: str) -> ImportRow:
    return ImportRow(where=given.where, outcome=RowOutcome.REFUSED, field=field_name, reason=why, kind="patient")


def _identifiers_of(given: PatientRecord, intake: _Intake) -> dict[bytes, Identifier]:
    own = [*given.identifiers]
    if given.source_id:
        own.append(Identifier(system=SOURCE_ID, value=given.source_id))
    return {intake.identifier_index(identifier): identifier for identifier in own}


def _owners(indexes: Sequence[bytes], intake: _Intake) -> dict[bytes, UUID]:
    found = (
        PatientIdentifier.objects.in_clinic(intake.clinic_id)
        .filter(value_index__in=list(indexes))
        .values_list("value_index", "patient_id")
    )
    return {bytes(index): patient_id for index, patient_id in found}


def _patient_drafts(
    fresh: Sequence[_PatientPlan], changed: Sequence[_PatientPlan], issued: IssuedKeys, intake: _Intake
) -> list[Draft]:
    drafts = [issued.draft(intake.clinic_id)] if fresh else []
    for plan in fresh:
        drafts.append(_draft(Action.PATIENT_CREATED, plan, intake, source=intake.source))
        if plan.record.deceased:
            drafts.append(_draft(Action.PATIENT_DECEASED, plan, intake, source=intake.source))
    for plan in changed:
        drafts.append(_draft(Action.PATIENT_UPDATED, plan, intake, source=intake.source, fields=["profile"]))
        if plan.record.deceased and plan.row is not None and not plan.row.is_deceased:
            drafts.append(_draft(Action.PATIENT_DECEASED, plan, intake, source=intake.source))
    return drafts


def _draft(action: Action, plan: _PatientPlan, intake: _Intake, **details: object) -> Draft:
    return Draft(action=action, clinic_id=intake.clinic_id, about=(plan.patient_id,), details=details)


def _write_new_patients(plans: Sequence[_PatientPlan], intake: _Intake) -> None:
    rows = []
    for plan in plans:
        row = Patient(id=plan.patient_id, clinic_id=intake.clinic_id, created_at=intake.now)
        _fill_patient(row, plan, intake)
        rows.append(row)
    Patient.objects.bulk_create(rows)
    PatientIdentifier.objects.bulk_create(
        _identifier_row(plan, index, identifier, intake)
        for plan in plans
        for index, identifier in plan.identifiers.items()
    )
    ContactPoint.objects.bulk_create(
        row
        for plan in plans
        for row in _contact_rows(
            plan.record.telecoms, patient_id=plan.patient_id, representative_id=None, intake=intake
        )
    )


def _write_changed_patients(plans: Sequence[_PatientPlan], intake: _Intake) -> None:
    for plan in plans:
        row = plan.row
        if row is None:
            continue
        _fill_patient(row, plan, intake)
        # Only what the source says: a restriction, an erasure or a death noted meanwhile stays.
        row.save(update_fields=[*OF_SOURCE, *(OF_DEATH if plan.record.deceased else ())])
        known = _owners(list(plan.identifiers), intake)
        PatientIdentifier.objects.bulk_create(
            _identifier_row(plan, index, identifier, intake)
            for index, identifier in plan.identifiers.items()
            if index not in known
        )
        _replace_contact_points(plan.record.telecoms, patient_id=row.id, representative_id=None, intake=intake)


def _fill_patient(row: Patient, plan: _PatientPlan, intake: _Intake) -> None:
    given = plan.record
    row.family_name = given.family_name
    row.family_name_index = intake.index(Indexed.FAMILY_NAME, given.family_name) if given.family_name else None
    row.given_names = list(given.given_names)
    row.birth_date = given.birth_date.isoformat() if given.birth_date else None
    row.address = {
        "lines": list(given.address_lines),
        "postal_code": given.postal_code,
        "city": given.city,
        "country": given.country,
    }
    row.language = given.language
    row.is_active = given.active
    # Death is noted once and for all: a later file that forgot it does not bring messages back.
    row.is_deceased = row.is_deceased or given.deceased
    row.deceased_at = row.deceased_at or _instant(given.deceased_at)
    row.source_digest = plan.digest
    row.updated_at = intake.now


def _instant(given: datetime | date | None) -> datetime | None:
    if given is None or isinstance(given, datetime):
        return given
    return datetime.combine(given, time.min, tzinfo=UTC)


def _identifier_row(plan: _PatientPlan, index: bytes, identifier: Identifier, intake: _Intake) -> PatientIdentifier:
    return PatientIdentifier(
        id=new_id(),
        clinic_id=intake.clinic_id,
        patient_id=plan.patient_id,
        system=identifier.system,
        value=identifier.value,
        value_index=index,
    )


def _content_of_patient(given: PatientRecord) -> dict[str, Any]:
    return {
        "identifiers": sorted([one.system, one.value] for one in given.identifiers),
        "source_id": given.source_id,
        "family": given.family_name,
        "given": list(given.given_names),
        "birth_date": given.birth_date,
        "deceased": given.deceased,
        "deceased_at": given.deceased_at,
        "language": given.language,
        "telecoms": _content_of_telecoms(given.telecoms),
        "address": [list(given.address_lines), given.postal_code, given.city, given.country],
        "active": given.active,
    }


# ---------------------------------------------------------------------------------------------- contact points


def _content_of_telecoms(telecoms: Sequence[Telecom]) -> list[list[Any]]:
    return [[one.kind, one.value, one.usable, one.reason, one.mobile, one.rank] for one in telecoms]


def _contact_rows(
    telecoms: Sequence[Telecom], *, patient_id: UUID, representative_id: UUID | None, intake: _Intake
) -> list[ContactPoint]:
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


def _replace_contact_points(
    telecoms: Sequence[Telecom], *, patient_id: UUID, representative_id: UUID | None, intake: _Intake
) -> None:
    wanted = {
        (row.kind, bytes(row.value_index), row.status == ContactStatus.UNUSABLE): row
        for row in _contact_rows(telecoms, patient_id=patient_id, representative_id=representative_id, intake=intake)
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


# ---------------------------------------------------------------------------------- representatives, occasions


def _take_over_dependants(
    records: Sequence[RelatedPersonRecord | OccasionRecord], intake: _Intake
) -> Iterator[ImportRow]:
    references = [_reference_index(given.patient, intake) for given in records]
    owners = _owners(references, intake)
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


def _reference_index(reference: Reference, intake: _Intake) -> bytes:
    identifier = reference.identifier or Identifier(system=SOURCE_ID, value=reference.source_id or "")
    return intake.identifier_index(identifier)


def _source_index(given: RelatedPersonRecord | OccasionRecord, reference: bytes, intake: _Intake) -> bytes:
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
            "telecoms": _content_of_telecoms(given.telecoms),
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


def _new_representative(patient_id: UUID, source: bytes, intake: _Intake) -> Representative:
    return Representative(id=new_id(), clinic_id=intake.clinic_id, patient_id=patient_id, source_index=source)


def _representative_draft(person: Representative, given: RelatedPersonRecord, intake: _Intake) -> Draft:
    return Draft(
        action=Action.REPRESENTATIVE_RECORDED,
        clinic_id=intake.clinic_id,
        about=(person.patient_id,),
        details={"representative": person.id, "relationship": given.relationship},
    )


def _representative_write(
    person: Representative, given: RelatedPersonRecord, digest: bytes, intake: _Intake, *, is_new: bool
) -> Callable[[], None]:
    def write() -> None:
        person.relationship = given.relationship
        person.family_name = given.family_name
        person.given_names = list(given.given_names)
        person.is_active = _stands(given, intake)
        person.source_digest = digest
        person.save(force_insert=is_new)
        _replace_contact_points(
            # Who no longer represents the patient is no longer written to.
            given.telecoms if person.is_active else (),
            patient_id=person.patient_id,
            representative_id=person.id,
            intake=intake,
        )

    return write


def _stands(given: RelatedPersonRecord | OccasionRecord, intake: _Intake) -> bool:
    """Does this person represent the patient today? The same line may say yes today, and no once its period is over."""
    if not isinstance(given, RelatedPersonRecord):
        return True
    today = intake.now.date()
    begun = given.starts_on is None or given.starts_on <= today
    return given.active and begun and (given.ends_on is None or given.ends_on >= today)


def _new_occasion(patient_id: UUID, source: bytes, intake: _Intake) -> Occasion:
    return Occasion(
        id=new_id(), clinic_id=intake.clinic_id, patient_id=patient_id, source_index=source, created_at=intake.now
    )


def _occasion_draft(occasion: Occasion, given: OccasionRecord, intake: _Intake, *, is_new: bool) -> Draft:
    return Draft(
        action=Action.OCCASION_RECORDED if is_new else Action.OCCASION_CHANGED,
        clinic_id=intake.clinic_id,
        about=(occasion.patient_id,),
        details={"occasion": occasion.id, "kind": given.kind, "status": given.status},
    )


def _occasion_write(
    occasion: Occasion, given: OccasionRecord, digest: bytes, intake: _Intake, *, is_new: bool
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
