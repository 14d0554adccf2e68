"""Many patients at once, for load and for counting queries."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import count
from uuid import UUID

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.recording import record
from backend.consent.models import ConsentEvent, ConsentState, Notice, Purpose
from backend.patients.models import ContactPoint, PatientIdentifier
from backend.patients.operations import attest_contact_point, import_records
from backend.patients.queries import find_patient_by_identifier
from backend.patients.sources.records import Identifier, OccasionRecord, PatientRecord, Reference, Telecom, Where
from backend.policy.vocabulary import Channel, ConsentStatus, ContactStatus, EventKind, Language, Method
from tests.factories.patients import IPP, PatientInTest, consent

_numbers = count(1)


def make_patients(
    clinic_id: UUID, *, how_many: int, now: datetime, purpose: str = "", channels: Sequence[Channel] = ()
) -> list[PatientInTest]:
    """Patients with a mobile telephone and an address, attested, who said yes to `purpose` on `channels`."""
    numbers = [next(_numbers) for _ in range(how_many)]
    records = [_record(number) for number in numbers]
    import_records(clinic_id=clinic_id, records=records, source="test", actor=system_actor(), now=now)
    patients = []
    for one in records:
        ipp = one.identifiers[0].value
        patient_id = find_patient_by_identifier(clinic_id=clinic_id, system=IPP, value=ipp)
        assert patient_id is not None
        patients.append(PatientInTest(patient_id, clinic_id, ipp))
    own = {patient.id for patient in patients}
    kinds = {Channel.SMS: "phone", Channel.EMAIL: "email"}
    wanted = {kinds[channel] for channel in channels or kinds}
    for point in ContactPoint.objects.filter(patient_id__in=own, kind__in=wanted).only("id", "patient_id"):
        attest_contact_point(
            clinic_id=clinic_id,
            patient_id=point.patient_id,
            contact_point_id=point.id,
            how="seen_in_person",
            actor=system_actor(),
            now=now,
        )
    if purpose:
        for patient in patients:
            consent(patient, purpose=purpose, channels=channels, now=now)
    return patients


def make_crowd(clinic_id: UUID, *, how_many: int, now: datetime, purpose: str, channel: Channel) -> list[PatientInTest]:
    """The same for hundreds, in bulk: whatever reaches them is attested, and they said yes on one channel."""
    numbers = {f"many-{number}": number for number in (next(_numbers) for _ in range(how_many))}
    records = [_record(number) for number in numbers.values()]
    import_records(clinic_id=clinic_id, records=records, source="test", actor=system_actor(), now=now)
    rows = PatientIdentifier.objects.order_by("-id").filter(clinic_id=clinic_id)[:how_many]
    goal = Purpose.objects.get(clinic_id=clinic_id, slug=purpose)
    notice = Notice.objects.filter(clinic_id=clinic_id, language=Language.FRENCH).latest("version")
    with record(
        Action.STATES_REBUILT, by=system_actor(), now=now, clinic_id=clinic_id, whole_clinic=True, count=0, different=0
    ) as entry:
        patients = [
            PatientInTest(row.patient_id, clinic_id, row.value.reveal(entry).rpartition("|")[2]) for row in rows
        ]
        own = [patient.id for patient in patients]
        ContactPoint.objects.filter(patient_id__in=own).update(status=ContactStatus.ATTESTED, confirmed_at=now)
        events = [
            ConsentEvent(
                clinic_id=clinic_id,
                patient_id=patient_id,
                purpose=goal,
                channel=channel,
                kind=EventKind.GIVEN,
                method=Method.APP,
                legal_basis=goal.legal_basis,
                occurred_at=now,
                recorded_at=now,
                notice=notice,
                notice_sha256=notice.sha256,
                language=notice.language,
                expressed_by=[{"role": "patient"}],
                recorded_by="p",
                number=1,
            )
            for patient_id in own
        ]
        ConsentEvent.objects.bulk_create(events)
        ConsentState.objects.bulk_create(
            ConsentState(
                clinic_id=clinic_id,
                patient_id=event.patient_id,
                purpose=goal,
                channel=channel,
                status=ConsentStatus.GIVEN,
                since=now,
                notice_version=notice.version,
                last_event=event,
                standing_event=event,
            )
            for event in events
        )
    return patients


def make_appointments(patients: Sequence[PatientInTest], *, starts_at: datetime, now: datetime) -> None:
    """One appointment each, all at the same time."""
    records = [
        OccasionRecord(
            where=Where(file="many", line=1),
            source_id=f"many-{next(_numbers)}",
            identifiers=(),
            patient=Reference(identifier=Identifier(system=IPP, value=patient.ipp), source_id=None),
            kind="appointment",
            topic="",
            status="booked",
            starts_at=starts_at,
            ends_at=starts_at + timedelta(minutes=20),
            place="Cabinet 2",
            practitioner="Dr Exemple",
            label="",
        )
        for patient in patients
    ]
    for clinic_id in {patient.clinic_id for patient in patients}:
        import_records(clinic_id=clinic_id, records=records, source="test", actor=system_actor(), now=now)


def number_of(patient: PatientInTest) -> str:
    """The mobile telephone of one of many."""
    return f"+336398{int(patient.ipp.removeprefix('many-')):05d}"


def _record(number: int) -> PatientRecord:
    phone = f"+336398{number:05d}"
    email = f"many.{number}@example.org"
    return PatientRecord(
        where=Where(file="many", line=number),
        source_id=None,
        identifiers=(Identifier(system=IPP, value=f"many-{number}"),),
        family_name=f"Nombre{number}",
        given_names=("Dominique",),
        birth_date=date(1970, 1, 1),
        deceased=False,
        deceased_at=None,
        gender=None,
        language=Language.FRENCH,
        telecoms=(
            Telecom(
                kind="phone", value=phone, raw=phone, usable=True, reason=None, mobile=True, use="mobile", rank=None
            ),
            Telecom(kind="email", value=email, raw=email, usable=True, reason=None, mobile=None, use=None, rank=None),
        ),
        address_lines=(),
        postal_code="",
        city="",
        country="FR",
        active=True,
    )
