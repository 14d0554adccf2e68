"""Patients, their contact points and appointments, taken over as an import would."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import count
from uuid import UUID

from backend.audit.actors import Actor, ActorKind, system_actor
from backend.consent.operations import Expression, give_consent
from backend.consent.queries import latest_notices
from backend.patients.models import ContactPoint
from backend.patients.operations import RowOutcome, attest_contact_point, import_records, register_device
from backend.patients.queries import find_patient_by_identifier
from backend.patients.sources.records import Identifier, OccasionRecord, PatientRecord, Reference, Telecom, Where
from backend.policy.vocabulary import Channel, Language, Method

IPP = "urn:test:ipp"
_numbers = count(1)
_said_by_the_file: dict[str, PatientRecord] = {}


@dataclass(frozen=True, slots=True)
class PatientInTest:
    """A patient of the cast."""

    id: UUID
    clinic_id: UUID
    ipp: str

    @property
    def actor(self) -> Actor:
        return Actor(kind=ActorKind.PATIENT, id=self.id)


def make_patient(
    clinic_id: UUID,
    *,
    now: datetime,
    family_name: str = "Exemple",
    given_names: tuple[str, ...] = ("Camille",),
    birth_date: date | None = date(1980, 5, 17),
    phone: str | None = None,
    email: str | None = None,
    device: bool = True,
    deceased: bool = False,
    language: Language | None = Language.FRENCH,
    reachable: bool = True,
    postal_code: str = "00000",
    country: str = "FR",
) -> PatientInTest:
    number = next(_numbers)
    ipp = f"ipp-{number}"
    telecoms = [_phone(phone or f"+336399{number:05d}"), _email(email or f"patient.{number}@example.org")]
    record = PatientRecord(
        where=Where(file="test", line=number),
        source_id=None,
        identifiers=(Identifier(system=IPP, value=ipp),),
        family_name=family_name,
        given_names=given_names,
        birth_date=birth_date,
        deceased=deceased,
        deceased_at=None,
        gender=None,
        language=language,
        telecoms=tuple(telecoms),
        address_lines=("1 rue des Lilas",),
        postal_code=postal_code,
        city="Exempleville",
        country=country,
        active=True,
    )
    counts = import_records(clinic_id=clinic_id, records=[record], source="test", actor=system_actor(), now=now)
    assert counts.rows[RowOutcome.REFUSED] == 0
    _said_by_the_file[ipp] = record
    patient_id = find_patient_by_identifier(clinic_id=clinic_id, system=IPP, value=ipp)
    assert patient_id is not None
    patient = PatientInTest(patient_id, clinic_id, ipp)
    if reachable:
        for point in ContactPoint.objects.filter(patient_id=patient_id):
            attest_contact_point(
                clinic_id=clinic_id,
                patient_id=patient_id,
                contact_point_id=point.id,
                how="seen_in_person",
                actor=system_actor(),
                now=now,
            )
        if device:
            register_device(
                clinic_id=clinic_id, patient_id=patient_id, token=f"token:test-{number}", actor=patient.actor, now=now
            )
    return patient


def correct_birth_date(patient: PatientInTest, born: date | None, *, now: datetime) -> None:
    """The same file comes again, and only the birth date is another."""
    record = replace(_said_by_the_file[patient.ipp], birth_date=born)
    import_records(clinic_id=patient.clinic_id, records=[record], source="test", actor=system_actor(), now=now)


def make_appointment(
    patient: PatientInTest,
    *,
    starts_at: datetime,
    now: datetime,
    source_id: str = "",
    status: str = "booked",
    place: str = "Cabinet 2",
    practitioner: str = "Dr Exemple",
) -> str:
    """An appointment; the same `source_id` again moves or cancels it."""
    source_id = source_id or f"appointment-{next(_numbers)}"
    record = OccasionRecord(
        where=Where(file="test", line=1),
        source_id=source_id,
        identifiers=(),
        patient=Reference(identifier=Identifier(system=IPP, value=patient.ipp), source_id=None),
        kind="appointment",
        topic="",
        status=status,  # type: ignore[arg-type] # tests pass the codes as text
        starts_at=starts_at,
        ends_at=starts_at + timedelta(minutes=20),
        place=place,
        practitioner=practitioner,
        label="",
    )
    import_records(clinic_id=patient.clinic_id, records=[record], source="test", actor=system_actor(), now=now)
    return source_id


def make_immunisation(patient: PatientInTest, *, at: datetime, now: datetime, topic: str = "influenza") -> None:
    record = OccasionRecord(
        where=Where(file="test", line=1),
        source_id=f"immunisation-{next(_numbers)}",
        identifiers=(),
        patient=Reference(identifier=Identifier(system=IPP, value=patient.ipp), source_id=None),
        kind="immunisation",
        topic=topic,
        status="done",
        starts_at=at,
        ends_at=None,
        place="",
        practitioner="",
        label="",
    )
    import_records(clinic_id=patient.clinic_id, records=[record], source="test", actor=system_actor(), now=now)


def consent(
    patient: PatientInTest,
    *,
    purpose: str,
    channels: Sequence[Channel],
    now: datetime,
    language: Language = Language.FRENCH,
    representatives: tuple[UUID, ...] = (),
) -> None:
    """The patient says yes in the app, a child together with a representative."""
    version = latest_notices(patient.clinic_id)[language].version
    give_consent(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        purpose=purpose,
        channels=channels,
        notice_version=version,
        language=language,
        expression=Expression(
            method=Method.APP,
            occurred_at=now,
            evidence={"notice_version": version, "initial_state": "off"},
            representatives=representatives,
        ),
        actor=patient.actor,
        now=now,
    )


def _phone(number: str) -> Telecom:
    return Telecom(
        kind="phone", value=number, raw=number, usable=True, reason=None, mobile=True, use="mobile", rank=None
    )


def _email(address: str) -> Telecom:
    return Telecom(
        kind="email", value=address, raw=address, usable=True, reason=None, mobile=None, use="home", rank=None
    )
