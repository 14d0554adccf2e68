"""Patients of a source: created, updated, unchanged or refused; their identifiers and contact points with them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final
from uuid import UUID

from backend.audit.actions import Action
from backend.audit.keys import IssuedKeys, issue_subject_keys
from backend.audit.recording import Draft, Entry, record_many
from backend.patients.models import (
    ContactPoint,
    Patient,
    PatientIdentifier,
)
from backend.patients.operations.intake import (
    SOURCE_ID,
    ImportRow,
    Intake,
    RowOutcome,
    contact_rows,
    content_of_telecoms,
    owners_of,
    replace_contact_points,
    suppressed_rows,
)
from backend.patients.sources import telecoms
from backend.patients.sources.reasons import Why
from backend.patients.sources.records import (
    Identifier,
    PatientRecord,
)
from backend.policy.holidays import HolidayRegion, region_of
from backend.vault.blind import Indexed
from backend.vault.identifiers import new_id
from backend.vault.keyring import Scope, keyring, keys_at_hand

OF_DEATH: Final = ("is_deceased", "deceased_at")
OF_AGE: Final = ("birth_date_corrected_at",)
OF_SOURCE: Final = (
    "family_name",
    "family_name_index",
    "given_names",
    "birth_date",
    "address",
    "language",
    "holiday_region",
    "is_active",
    "source_digest",
    "updated_at",
)


@dataclass(slots=True)
class _PatientPlan:
    record: PatientRecord
    patient_id: UUID
    identifiers: dict[bytes, Identifier]
    digest: bytes
    outcome: RowOutcome
    row: Patient | None = None


def take_over_patients(records: Sequence[PatientRecord], intake: Intake) -> Iterator[ImportRow]:
    """Take over a batch of patients in one transaction; the lines of the report."""
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
            record_many(_patient_drafts(fresh, changed, issued, intake), by=intake.actor, now=intake.now) as entry,
        ):
            issued.save()
            _write_new_patients(fresh, intake)
            _write_changed_patients(changed, intake, entry)
    for plan in plans:
        yield ImportRow(where=plan.record.where, outcome=plan.outcome, kind="patient")
    yield from suppressed_rows([plan.record for plan in plans], intake)


def _plan_patients(records: Sequence[PatientRecord], intake: Intake) -> tuple[list[_PatientPlan], list[ImportRow]]:
    indexed = [(given, _identifiers_of(given, intake)) for given in records]
    owners = owners_of([index for _, identifiers in indexed for index in identifiers], intake)
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


def _identifiers_of(given: PatientRecord, intake: Intake) -> dict[bytes, Identifier]:
    own = [*given.identifiers]
    if given.source_id:
        own.append(Identifier(system=SOURCE_ID, value=given.source_id))
    return {intake.identifier_index(identifier): identifier for identifier in own}


def _patient_drafts(
    fresh: Sequence[_PatientPlan], changed: Sequence[_PatientPlan], issued: IssuedKeys, intake: Intake
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


def _draft(action: Action, plan: _PatientPlan, intake: Intake, **details: object) -> Draft:
    return Draft(action=action, clinic_id=intake.clinic_id, about=(plan.patient_id,), details=details)


def _write_new_patients(plans: Sequence[_PatientPlan], intake: Intake) -> None:
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
        for row in contact_rows(plan.record.telecoms, patient_id=plan.patient_id, representative_id=None, intake=intake)
    )


def _write_changed_patients(plans: Sequence[_PatientPlan], intake: Intake, entry: Entry) -> None:
    for plan in plans:
        row = plan.row
        if row is None:
            continue
        corrected = _is_of_another_age(row, plan.record, entry)
        _fill_patient(row, plan, intake)
        if corrected:
            row.birth_date_corrected_at = intake.now
        # Only what the source says: a restriction, an erasure or a death noted meanwhile stays.
        row.save(
            update_fields=[
                *OF_SOURCE,
                *(OF_DEATH if plan.record.deceased else ()),
                *(OF_AGE if corrected else ()),
            ]
        )
        known = owners_of(list(plan.identifiers), intake)
        PatientIdentifier.objects.bulk_create(
            _identifier_row(plan, index, identifier, intake)
            for index, identifier in plan.identifiers.items()
            if index not in known
        )
        replace_contact_points(plan.record.telecoms, patient_id=row.id, representative_id=None, intake=intake)


def _is_of_another_age(row: Patient, given: PatientRecord, entry: Entry) -> bool:
    """Does the source say another birth date than the one that is known, or the first one at all?"""
    if given.birth_date is None:
        return False
    known = None if row.birth_date is None else row.birth_date.reveal(entry)
    return known != given.birth_date.isoformat()


def _fill_patient(row: Patient, plan: _PatientPlan, intake: Intake) -> None:
    given = plan.record
    row.family_name = given.family_name
    row.family_name_index = intake.index(Indexed.FAMILY_NAME, given.family_name) if given.family_name else None
    row.given_names = list(given.given_names)
    if given.birth_date is not None:
        # A file that lost the date, or spoiled it, does not make a child of known age an adult.
        row.birth_date = given.birth_date.isoformat()
    row.address = {
        "lines": list(given.address_lines),
        "postal_code": given.postal_code,
        "city": given.city,
        "country": given.country,
    }
    row.language = given.language
    row.holiday_region = _holiday_region(given) or ""
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


def _identifier_row(plan: _PatientPlan, index: bytes, identifier: Identifier, intake: Intake) -> PatientIdentifier:
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
        "telecoms": content_of_telecoms(given.telecoms),
        "address": [list(given.address_lines), given.postal_code, given.city, given.country],
        "active": given.active,
        # Patients from before it was known come again, once.
        "holiday_region": _holiday_region(given),
    }


def _holiday_region(given: PatientRecord) -> HolidayRegion | None:
    # A country that no one knows is told by the postal code alone, as in files that name none.
    return region_of(country=telecoms.region_of(given.country, default=""), postal_code=given.postal_code)
