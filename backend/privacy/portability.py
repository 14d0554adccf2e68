"""What a patient gave, for themselves and for another program (GDPR Art. 20): gathered once, written in several forms.

Of other people nothing is in it (Art. 20(4)): a representative is an id and a right, staff are not named at all, and
what the patient keeps from whoever asks is left out.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import Entry, record
from backend.clinics.queries import ClinicFacts, get_clinic
from backend.consent.queries import NoticeRow, ObjectionRow, notices_by_id, objections_of
from backend.consent.records import records_of
from backend.consent.standards.facts import ConsentRecord
from backend.patients.models import ContactKind
from backend.patients.queries import (
    ContactPointRow,
    PatientProfile,
    contact_points_of,
    require_patient,
    reveal_contact_values,
    reveal_profiles,
)
from backend.policy.contact import EVERY_PURPOSE
from backend.preferences.queries import PreferenceRow, PreferenceVersionRow, get_preferences, preference_versions

VERSIONS_AT_ONCE: Final = 500


class Form(StrEnum):
    """How the same data is written; `zip` holds all of the others."""

    JSON = "json"
    FHIR = "fhir"
    DPV = "dpv"
    ZIP = "zip"


class Part(StrEnum):
    """What can be in it. A representative gets the parts that their right goes as far as."""

    CONTACT_POINTS = "contact_points"
    PREFERENCES = "preferences"
    CONSENTS = "consents"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OwnPoint:
    """A telephone number or address, revealed."""

    row: ContactPointRow
    value: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OwnData:
    """Everything that one patient gave to one clinic; a part that was not asked for is empty."""

    clinic: ClinicFacts
    profile: PatientProfile
    parts: tuple[Part, ...]
    made_at: datetime
    points: tuple[OwnPoint, ...]
    preferences: PreferenceRow
    versions: tuple[PreferenceVersionRow, ...]
    objections: tuple[ObjectionRow, ...]
    records: tuple[ConsentRecord, ...]
    notices: tuple[NoticeRow, ...]


def export_own_data(
    *,
    clinic_id: UUID,
    patient_id: UUID,
    form: Form,
    parts: Collection[Part] = tuple(Part),
    hidden: frozenset[str] = frozenset(),
    representative_id: UUID | None = None,
    actor: Actor,
    now: datetime,
) -> OwnData:
    """Hand out what the patient gave: contact points, preferences with their history, consents with their words.

    `hidden` are purposes that whoever asks is not told of, `representative_id` who asks in the patient's place: they
    get their own addresses, and none of the patient's. It grows with what one person said, and with nothing else.
    Raises NotFound.
    """
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    wanted = tuple(part for part in Part if part in parts)
    with record(
        Action.OWN_DATA_EXPORTED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=patient_id,
        form=form.value,
        parts=[part.value for part in wanted],
    ) as entry:
        records: tuple[ConsentRecord, ...] = ()
        objections: tuple[ObjectionRow, ...] = ()
        if Part.CONSENTS in wanted:
            told = records_of(clinic_id=clinic_id, patient_id=patient_id, as_of=now)
            records = tuple(_without_staff(one) for one in told if _is_told(one.purpose.slug, hidden))
            objections = tuple(
                one
                for one in objections_of(clinic_id=clinic_id, patient_id=patient_id)
                if _is_told(one.purpose or "", hidden)
            )
        has_preferences = Part.PREFERENCES in wanted
        profile = reveal_profiles([patient_id], entry=entry)[patient_id]
        return OwnData(
            clinic=get_clinic(clinic_id),
            # Where a child lives is not told to a parent who does not know it.
            profile=profile if representative_id is None else replace(profile, address={}),
            parts=wanted,
            made_at=now,
            points=_points(patient_id, representative_id, entry) if Part.CONTACT_POINTS in wanted else (),
            preferences=get_preferences(clinic_id=clinic_id, patient_id=patient_id)
            if has_preferences
            else PreferenceRow(),
            versions=tuple(_versions(clinic_id, patient_id)) if has_preferences else (),
            objections=objections,
            records=records,
            notices=_notices(clinic_id, records),
        )


def _is_told(purpose: str, hidden: frozenset[str]) -> bool:
    return not {purpose, EVERY_PURPOSE} & hidden


def _without_staff(told: ConsentRecord) -> ConsentRecord:
    """Who of the clinic wrote it down stays in the clinic: the hash of an event is not over their name."""
    return replace(told, events=tuple(replace(event, pseudonym="") for event in told.events))


def _points(patient_id: UUID, representative_id: UUID | None, entry: Entry) -> tuple[OwnPoint, ...]:
    """Whose they are who asks, and no device: the token of one is of no use to another program."""
    rows = [
        row
        for row in contact_points_of([patient_id])[patient_id]
        if row.kind is not ContactKind.PUSH and row.representative_id == representative_id
    ]
    values = reveal_contact_values([row.id for row in rows], entry=entry)
    return tuple(OwnPoint(row=row, value=values[row.id]) for row in rows)


def _versions(clinic_id: UUID, patient_id: UUID) -> Iterator[PreferenceVersionRow]:
    before: int | None = None
    while True:
        page = preference_versions(clinic_id=clinic_id, patient_id=patient_id, before=before, limit=VERSIONS_AT_ONCE)
        yield from page
        if len(page) < VERSIONS_AT_ONCE:
            return
        before = page[-1].preferences.version


def _notices(clinic_id: UUID, records: Collection[ConsentRecord]) -> tuple[NoticeRow, ...]:
    """Those to which something was said, whole: a hash is taken over all of one."""
    named = {
        (event.words.version, event.words.language, event.words.audience)
        for told in records
        for event in told.events
        if event.words is not None
    }
    return tuple(row for row in notices_by_id(clinic_id).values() if (row.version, row.language, row.audience) in named)
