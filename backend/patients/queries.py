"""Questions about patients. Whatever is personal stays sealed until it is revealed under an audit entry."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, TypeVar, cast
from uuid import UUID

from django.db.models import Max

from backend.audit.actors import ActorKind
from backend.audit.recording import Entry
from backend.clinics.queries import get_clinic
from backend.errors import NotFound
from backend.patients.models import (
    ContactKind,
    ContactPoint,
    ErasureRequest,
    Occasion,
    Patient,
    PatientIdentifier,
    Representative,
    Restriction,
)
from backend.patients.sources.telecoms import normalise_email, normalise_phone
from backend.policy.contact import EVERY_PURPOSE
from backend.policy.holidays import HolidayRegion
from backend.policy.vocabulary import (
    Channel,
    ContactStatus,
    ErasureGround,
    Language,
    RepresentationKind,
    RepresentationScope,
)
from backend.vault.blind import Indexed, blind_index
from backend.vault.fields import Sealed, SealedField, ValueShredded, reveal_column
from backend.vault.keyring import Scope, keyring

STANDS: Final = {
    "appointment": frozenset({"booked", "pending"}),
    "immunisation": frozenset({"done"}),
    "encounter": frozenset({"done", "fulfilled"}),
}
IN_USE: Final = frozenset({ContactStatus.VERIFIED, ContactStatus.ATTESTED})
MOST_FOUND: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientFacts:
    """What may be known of a patient without looking at anything sealed."""

    id: UUID
    clinic_id: UUID
    is_deceased: bool
    is_erased: bool
    is_restricted: bool
    is_active: bool
    language: Language | None
    holiday_region: HolidayRegion | None
    # The birth date was put right, and what was said is not yet judged by it.
    is_age_in_question: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactPointRow:
    """A contact point without its value."""

    id: UUID
    patient_id: UUID
    kind: ContactKind
    status: ContactStatus
    reason: str
    how: str
    takes_sms: bool
    rank: int
    representative_id: UUID | None
    is_shared: bool = False

    def status_for(self, channel: Channel) -> ContactStatus:
        """Whether it can be used on this channel: a landline takes no SMS."""
        if channel is Channel.SMS and not self.takes_sms:
            return ContactStatus.UNUSABLE
        return self.status


@dataclass(frozen=True, slots=True, kw_only=True)
class OccasionRow:
    """An occasion without its words."""

    id: UUID
    clinic_id: UUID
    patient_id: UUID
    kind: str
    topic: str
    status: str
    starts_at: datetime | None

    @property
    def stands(self) -> bool:
        """Is it still as it was when messages were planned around it?"""
        return self.status in STANDS.get(self.kind, frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class OccasionWords:
    """Where, with whom and what an occasion is: as the source says it, revealed."""

    starts_at: datetime | None
    place: str
    practitioner: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PatientProfile:
    """A patient, revealed under an entry."""

    facts: PatientFacts
    family_name: str
    given_names: tuple[str, ...]
    birth_date: date | None
    address: dict[str, Any]

    def __repr__(self) -> str:
        return f"PatientProfile(id={self.facts.id})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PatientNames:
    """What a patient is called, revealed under an entry."""

    family_name: str
    given_names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingCode:
    """A contact point whose owner waits for a one-time code."""

    point: ContactPointRow
    clinic_id: UUID
    expires_at: datetime


KINDS_OF_CHANNEL: Final = {
    Channel.PUSH: ContactKind.PUSH,
    Channel.SMS: ContactKind.PHONE,
    Channel.EMAIL: ContactKind.EMAIL,
    Channel.LETTER: ContactKind.POSTAL,
    Channel.CALL: ContactKind.PHONE,
}


def get_patient(*, clinic_id: UUID, patient_id: UUID) -> PatientFacts:
    """One patient of one clinic. Raises NotFound, also for another clinic's patient."""
    row = Patient.objects.in_clinic(clinic_id).filter(id=patient_id).defer(*SEALED_OF_PATIENT).first()
    if row is None:
        raise NotFound
    return _facts(row)


def require_patient(*, clinic_id: UUID, patient_id: UUID) -> PatientFacts:
    """One patient about whom something can still be written. Raises NotFound, also for one who was erased.

    With the keys that are there: whose keys were destroyed is gone, whatever else may still stand.
    """
    patient = patients_by_id([patient_id]).get(patient_id)
    if patient is None or patient.clinic_id != clinic_id or patient.is_erased:
        raise NotFound
    return patient


def lock_patient(*, clinic_id: UUID, patient_id: UUID) -> None:
    """Let nobody else write about this patient until the transaction ends: two words said at once come in an order.

    Only inside a transaction. Raises NotFound. Rows that merely refer to the patient can be written meanwhile.
    """
    rows = Patient.objects.in_clinic(clinic_id).filter(id=patient_id).select_for_update(of=("self",), no_key=True)
    if rows.values_list("id", flat=True).first() is None:
        raise NotFound


def lock_patients(patient_ids: Iterable[UUID]) -> frozenset[UUID]:
    """Those of these patients about whom nobody else is writing; nobody does until the transaction ends."""
    rows = Patient.objects.filter(id__in=set(patient_ids)).order_by("id")
    rows = rows.select_for_update(of=("self",), no_key=True, skip_locked=True)
    return frozenset(rows.values_list("id", flat=True))


def patients_by_id(patient_ids: Iterable[UUID]) -> dict[UUID, PatientFacts]:
    """Many patients, with a number of queries that does not depend on how many. Without a key means erased."""
    rows = list(Patient.objects.filter(id__in=set(patient_ids)).defer(*UNREAD_OF_PATIENT))
    of_clinic: defaultdict[UUID, set[UUID]] = defaultdict(set)
    for row in rows:
        of_clinic[row.clinic_id].add(row.id)
    readable = {
        key.subject_id
        for clinic_id, own in of_clinic.items()
        for key in keyring().store.active_keys(clinic_id=clinic_id, scope=Scope.PROFILE, subject_ids=own)
    }
    return {row.id: _facts(row, is_readable=row.id in readable) for row in rows}


def patients_of_clinic(*, clinic_id: UUID, after: UUID | None, limit: int) -> list[PatientFacts]:
    """A page of a clinic's patients in the order they were entered."""
    rows = Patient.objects.in_clinic(clinic_id).order_by("id").defer(*SEALED_OF_PATIENT)
    if after is not None:
        rows = rows.filter(id__gt=after)
    return [_facts(row) for row in rows[:limit]]


def patient_ids_in_pages(*, clinic_id: UUID, size: int) -> Iterator[list[UUID]]:
    """Every patient of a clinic, erased ones included, in the order they were entered; each page is a query of its own.

    So nothing is held open between two pages, however long whoever reads them takes.
    """
    rows = Patient.objects.in_clinic(clinic_id).order_by("id").values_list("id", flat=True)
    page = list(rows[:size])
    while page:
        yield page
        page = list(rows.filter(id__gt=page[-1])[:size])


def count_patients(clinic_id: UUID) -> int:
    """How many patients a clinic has, erased ones included."""
    return Patient.objects.in_clinic(clinic_id).count()


def find_patients(*, clinic_id: UUID, family_name: str = "", phone: str = "", email: str = "") -> list[PatientFacts]:
    """Patients by an exact family name, number or address: blind indexes know no other search.

    A number or address may be written in any of its spellings. Of several criteria all must hold; without any, nobody
    is found. A number that several patients share finds them all.
    """
    rows = Patient.objects.in_clinic(clinic_id).filter(erased_at=None).defer(*SEALED_OF_PATIENT)
    asked = [
        (kind, indexed, normal.compare if normal.usable else normal.value)
        for kind, indexed, normal in (
            (ContactKind.PHONE, Indexed.PHONE, normalise_phone(phone, get_clinic(clinic_id).country)),
            (ContactKind.EMAIL, Indexed.EMAIL, normalise_email(email)),
        )
        if normal.value.strip()
    ]
    if not family_name.strip() and not asked:
        return []
    if family_name.strip():
        rows = rows.filter(family_name_index=blind_index(Indexed.FAMILY_NAME, family_name, clinic_id=clinic_id))
    for kind, indexed, value in asked:
        index = blind_index(indexed, value, clinic_id=clinic_id)
        owners = ContactPoint.objects.in_clinic(clinic_id).filter(kind=kind, value_index=index, ended_at=None)
        rows = rows.filter(id__in=owners.values("patient_id"))
    return [_facts(row) for row in rows.order_by("id")[:MOST_FOUND]]


def find_patient_by_identifier(*, clinic_id: UUID, system: str, value: str) -> UUID | None:
    """Which patient another system names so."""
    index = blind_index(Indexed.IDENTIFIER, f"{system}|{value}", clinic_id=clinic_id)
    return (
        PatientIdentifier.objects.in_clinic(clinic_id)
        .filter(value_index=index)
        .values_list("patient_id", flat=True)
        .first()
    )


def reveal_profiles(patient_ids: Iterable[UUID], *, entry: Entry) -> dict[UUID, PatientProfile]:
    """Names, birth dates and addresses, under an entry that covers these patients. Shredded patients are left out."""
    rows = list(Patient.objects.filter(id__in=set(patient_ids), erased_at=None))
    _prefetch_keys(rows, SEALED_OF_PATIENT)
    return _readable(rows, _profile, entry)


def reveal_names(patient_ids: Iterable[UUID], *, entry: Entry) -> dict[UUID, PatientNames]:
    """Names alone, under an entry that covers these patients. Shredded patients are left out."""
    rows = list(
        Patient.objects.filter(id__in=set(patient_ids), erased_at=None).values_list(
            "id", "clinic_id", "family_name", "given_names"
        )
    )
    family = reveal_column(_FAMILY_NAME, [(one, clinic, one, name) for one, clinic, name, _ in rows], entry)
    given = reveal_column(_GIVEN_NAMES, [(one, clinic, one, names) for one, clinic, _, names in rows], entry)
    return {
        one: PatientNames(
            family_name=str(family.get(one, "")), given_names=tuple(map(str, cast("list[str]", given.get(one, []))))
        )
        for one, _, name, names in rows
        if (name is None or one in family) and (names is None or one in given)
    }


def reveal_identifiers(patient_ids: Iterable[UUID], *, system: str, entry: Entry) -> dict[UUID, str]:
    """How one other system names these patients; of several names the one that came first."""
    rows = list(PatientIdentifier.objects.filter(patient_id__in=set(patient_ids), system=system).order_by("-id"))
    _prefetch_keys(rows, ("value",))
    values = _readable(rows, _value, entry)
    return {row.patient_id: values[row.id] for row in rows if row.id in values}


def contact_points_of(patient_ids: Iterable[UUID]) -> dict[UUID, list[ContactPointRow]]:
    """The contact points of many patients with one query, best first; those that ended are left out."""
    points: defaultdict[UUID, list[ContactPointRow]] = defaultdict(list)
    rows = ContactPoint.objects.filter(patient_id__in=set(patient_ids), ended_at=None).defer("value")
    for row in rows:
        points[row.patient_id].append(_contact_point(row))
    for own in points.values():
        own.sort(key=lambda point: (point.status not in IN_USE, point.status == ContactStatus.UNUSABLE, point.rank))
    return points


def contact_points_by_id(contact_point_ids: Iterable[UUID]) -> dict[UUID, ContactPointRow]:
    """Contact points that have not ended, with one query."""
    rows = ContactPoint.objects.filter(id__in=set(contact_point_ids), ended_at=None).defer(*UNREAD_OF_CONTACT_POINT)
    return {row.id: _contact_point(row) for row in rows}


def best_contact_point(
    points: Sequence[ContactPointRow], channel: Channel, *, of_representatives: bool
) -> ContactPointRow | None:
    """The contact point a message on this channel would use: a child's messages go to who answers for the child."""
    fitting = [
        point
        for point in points
        if point.kind is KINDS_OF_CHANNEL.get(channel)
        and (point.kind is ContactKind.PUSH or (point.representative_id is not None) == of_representatives)
    ]
    if not fitting and of_representatives:
        fitting = [point for point in points if point.kind is KINDS_OF_CHANNEL.get(channel)]
    return min(fitting, key=lambda point: _usefulness(point, channel), default=None)


def reveal_contact_values(contact_point_ids: Iterable[UUID], *, entry: Entry) -> dict[UUID, str]:
    """Numbers, addresses and device tokens, under an entry that covers whose they are. Shredded ones are left out."""
    rows = ContactPoint.objects.filter(id__in=set(contact_point_ids))
    sealed = list(rows.values_list("id", "clinic_id", "patient_id", "value"))
    return {one: str(value) for one, value in reveal_column(_CONTACT_VALUE, sealed, entry).items()}


def codes_waiting(*, now: datetime, limit: int) -> list[WaitingCode]:
    """One-time codes that were asked for and are still good, oldest first; whether one was sent is not said here."""
    rows = (
        ContactPoint.objects.filter(code__isnull=False, code_expires_at__gt=now, ended_at=None)
        .defer("value", "code")
        .order_by("code_expires_at")[:limit]
    )
    return [
        WaitingCode(point=_contact_point(row), clinic_id=row.clinic_id, expires_at=row.code_expires_at)
        for row in rows
        if row.code_expires_at is not None
    ]


def reveal_codes(contact_point_ids: Iterable[UUID], *, entry: Entry) -> dict[UUID, str]:
    """One-time codes, under an entry that covers whose they are."""
    rows = list(ContactPoint.objects.filter(id__in=set(contact_point_ids), code__isnull=False))
    _prefetch_keys(rows, ("code",))
    return {row.id: _text(row.code, entry) for row in rows}


def shared_indexes(*, clinic_id: UUID, patient_id: UUID) -> frozenset[UUID]:
    """Those of a patient's contact points that other patients have too."""
    own = ContactPoint.objects.in_clinic(clinic_id).filter(patient_id=patient_id, ended_at=None)
    others = (
        ContactPoint.objects.in_clinic(clinic_id)
        .filter(ended_at=None, value_index__in=own.values("value_index"))
        .exclude(patient_id=patient_id)
        .values_list("value_index", flat=True)
    )
    taken = {bytes(index) for index in others}
    return frozenset(row.id for row in own if bytes(row.value_index) in taken)


def occasions_by_id(occasion_ids: Iterable[UUID]) -> dict[UUID, OccasionRow]:
    """Many occasions with one query."""
    return {
        row.id: _occasion(row) for row in Occasion.objects.filter(id__in=set(occasion_ids)).defer(*UNREAD_OF_OCCASION)
    }


def occasions_between(*, clinic_id: UUID, kind: str, topic: str, since: datetime, until: datetime) -> list[OccasionRow]:
    """The occasions of one kind that stand and start in [since, until)."""
    rows = (
        Occasion.objects.in_clinic(clinic_id)
        .filter(kind=kind, topic=topic, status__in=STANDS[kind], starts_at__gte=since, starts_at__lt=until)
        .order_by("starts_at", "id")
        .defer("details")
    )
    return [_occasion(row) for row in rows]


def latest_occasions(*, patient_ids: Iterable[UUID], kind: str, topic: str) -> dict[UUID, datetime]:
    """When each patient's last occasion of this kind was."""
    rows = (
        Occasion.objects.filter(patient_id__in=set(patient_ids), kind=kind, topic=topic, status__in=STANDS[kind])
        .values("patient_id")
        .annotate(last=Max("starts_at"))
    )
    return {row["patient_id"]: row["last"] for row in rows if row["last"] is not None}


def reveal_occasions(occasion_ids: Iterable[UUID], *, entry: Entry) -> dict[UUID, OccasionWords]:
    """Places and practitioners, under an entry that covers whose they are. Shredded ones are left out."""
    rows = list(
        Occasion.objects.filter(id__in=set(occasion_ids)).values_list(
            "id", "clinic_id", "patient_id", "details", "starts_at"
        )
    )
    told = reveal_column(_OCCASION_DETAILS, [row[:4] for row in rows], entry)
    return {
        one: _words(cast("dict[str, str]", told.get(one, {})), starts_at=starts_at)
        for one, _clinic, _patient, details, starts_at in rows
        if details is None or one in told
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class RepresentationRow:
    """By what right somebody acts for a patient, for what, and since and until when; without a name."""

    id: UUID
    patient_id: UUID
    kind: RepresentationKind
    relationship: str
    scope: frozenset[RepresentationScope]
    starts_on: date | None
    ends_on: date | None
    is_active: bool
    agreed_at: datetime | None
    proof_checked_at: datetime | None
    hidden_purposes: frozenset[str]

    def stands_on(self, day: date) -> bool:
        """Does it stand on this day of the clinic's calendar? Its last day is part of it; a carer needs a yes."""
        begun = self.starts_on is None or self.starts_on <= day
        over = self.ends_on is not None and self.ends_on < day
        agreed = self.kind is not RepresentationKind.CARER or self.agreed_at is not None
        return self.is_active and begun and not over and agreed

    def may_know_of(self, purpose: str) -> bool:
        """Did the patient keep this purpose from them?"""
        return not {purpose, EVERY_PURPOSE} & self.hidden_purposes


def patients_of_another_age(patient_ids: Iterable[UUID] | None = None) -> list[tuple[UUID, UUID]]:
    """Clinic and patient, of those (of all) whose birth date was put right and who wait to be judged by it."""
    rows = Patient.objects.exclude(birth_date_corrected_at=None)
    if patient_ids is not None:
        rows = rows.filter(id__in=set(patient_ids))
    return list(rows.order_by("birth_date_corrected_at", "id").values_list("clinic_id", "id"))


def representations_by_id(representative_ids: Iterable[UUID]) -> dict[UUID, RepresentationRow]:
    """Representations, whether they stand or not, with one query."""
    rows = Representative.objects.filter(id__in=set(representative_ids)).defer(*SEALED_OF_REPRESENTATIVE)
    return {row.id: _representation(row) for row in rows}


def representations_of(patient_ids: Iterable[UUID]) -> dict[UUID, list[RepresentationRow]]:
    """Who represents these patients, or did, with one query."""
    found: defaultdict[UUID, list[RepresentationRow]] = defaultdict(list)
    rows = Representative.objects.filter(patient_id__in=set(patient_ids)).defer(*SEALED_OF_REPRESENTATIVE)
    for row in rows.order_by("id"):
        found[row.patient_id].append(_representation(row))
    return found


def standing_representations(patient_ids: Iterable[UUID], *, on: date) -> dict[UUID, list[RepresentationRow]]:
    """Who represents these patients on this day of the clinic's calendar."""
    found = representations_of(patient_ids)
    return {patient_id: [one for one in own if one.stands_on(on)] for patient_id, own in found.items()}


def find_restriction(*, clinic_id: UUID, patient_id: UUID) -> Restriction | None:
    """The restriction that stands, if there is one (GDPR Art. 18)."""
    row: Restriction | None = (
        Restriction.objects.in_clinic(clinic_id).filter(patient_id=patient_id, lifted_at=None).first()
    )
    return row


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureRow:
    """That the erasure of a patient was asked for, why, and by whom (a pseudonym)."""

    id: UUID
    ground: ErasureGround
    asked_at: datetime
    asked_by: str
    asked_as: ActorKind


def find_erasure_request(*, clinic_id: UUID, patient_id: UUID) -> ErasureRow | None:
    """The request that waits for somebody to confirm it, if there is one."""
    rows = ErasureRequest.objects.in_clinic(clinic_id).filter(patient_id=patient_id)
    row = rows.filter(taken_back_at=None, confirmed_at=None).first()
    if row is None:
        return None
    return ErasureRow(
        id=row.id,
        ground=ErasureGround(row.ground),
        asked_at=row.asked_at,
        asked_by=row.asked_by,
        asked_as=ActorKind(row.asked_as),
    )


def representatives_of(patient_ids: Iterable[UUID]) -> dict[UUID, list[UUID]]:
    """Who answers for these patients."""
    found: defaultdict[UUID, list[UUID]] = defaultdict(list)
    rows = Representative.objects.filter(patient_id__in=set(patient_ids), is_active=True)
    for patient_id, representative_id in rows.values_list("patient_id", "id"):
        found[patient_id].append(representative_id)
    return found


SEALED_OF_PATIENT: Final = ("family_name", "given_names", "birth_date", "address")


# What is left out besides, where many rows are read: nothing is decoded that nobody asks for.
UNREAD_OF_PATIENT: Final = (*SEALED_OF_PATIENT, "family_name_index", "source_digest", "created_at", "updated_at")
UNREAD_OF_CONTACT_POINT: Final = ("value", "value_index", "code", "code_digest", "created_at")
UNREAD_OF_OCCASION: Final = ("details", "source_index", "source_digest", "ends_at", "created_at", "updated_at")


SEALED_OF_REPRESENTATIVE: Final = ("family_name", "given_names", "proof")


Row = TypeVar("Row", Patient, PatientIdentifier)
Told = TypeVar("Told")


def _readable(rows: Iterable[Row], read: Callable[[Row, Entry], Told], entry: Entry) -> dict[UUID, Told]:
    """What can still be read: a key may be destroyed at any moment, also between two steps of a batch."""
    told: dict[UUID, Told] = {}
    for row in rows:
        with suppress(ValueShredded):
            told[row.id] = read(row, entry)
    return told


def _value(row: PatientIdentifier, entry: Entry) -> str:
    return _text(row.value, entry)


def _words(details: dict[str, str], *, starts_at: datetime | None) -> OccasionWords:
    return OccasionWords(
        starts_at=starts_at, place=details.get("place", ""), practitioner=details.get("practitioner", "")
    )


_FAMILY_NAME: Final[SealedField] = Patient._meta.get_field("family_name")  # noqa: SLF001 - Django's public-by-convention name
_GIVEN_NAMES: Final[SealedField] = Patient._meta.get_field("given_names")  # noqa: SLF001 - as above
_CONTACT_VALUE: Final[SealedField] = ContactPoint._meta.get_field("value")  # noqa: SLF001 - as above
_OCCASION_DETAILS: Final[SealedField] = Occasion._meta.get_field("details")  # noqa: SLF001 - as above


def _facts(row: Patient, *, is_readable: bool = True) -> PatientFacts:
    return PatientFacts(
        id=row.id,
        clinic_id=row.clinic_id,
        is_deceased=row.is_deceased,
        is_erased=row.erased_at is not None or not is_readable,
        is_restricted=row.restricted_at is not None,
        is_active=row.is_active,
        language=Language(row.language) if row.language else None,
        holiday_region=HolidayRegion(row.holiday_region) if row.holiday_region else None,
        is_age_in_question=row.birth_date_corrected_at is not None,
    )


def _profile(row: Patient, entry: Entry) -> PatientProfile:
    born = row.birth_date.reveal(entry) if row.birth_date is not None else None
    return PatientProfile(
        facts=_facts(row),
        family_name=_text(row.family_name, entry),
        given_names=tuple(row.given_names.reveal_data(entry)) if row.given_names is not None else (),
        birth_date=date.fromisoformat(born) if born else None,
        address=row.address.reveal_data(entry) if row.address is not None else {},
    )


def _contact_point(row: ContactPoint) -> ContactPointRow:
    return ContactPointRow(
        id=row.id,
        patient_id=row.patient_id,
        kind=ContactKind(row.kind),
        status=ContactStatus(row.status),
        reason=row.reason,
        how=row.how,
        takes_sms=row.takes_sms,
        rank=row.rank,
        representative_id=row.representative_id,
    )


def _usefulness(point: ContactPointRow, channel: Channel) -> tuple[bool, bool, int]:
    status = point.status_for(channel)
    return (status not in IN_USE, status is ContactStatus.UNUSABLE, point.rank)


def _representation(row: Representative) -> RepresentationRow:
    return RepresentationRow(
        id=row.id,
        patient_id=row.patient_id,
        kind=RepresentationKind(row.kind),
        relationship=row.relationship,
        scope=frozenset(RepresentationScope(one) for one in row.scope),
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        is_active=row.is_active,
        agreed_at=row.agreed_at,
        proof_checked_at=row.proof_checked_at,
        hidden_purposes=frozenset(row.hidden_purposes),
    )


def _occasion(row: Occasion) -> OccasionRow:
    return OccasionRow(
        id=row.id,
        clinic_id=row.clinic_id,
        patient_id=row.patient_id,
        kind=row.kind,
        topic=row.topic,
        status=row.status,
        starts_at=row.starts_at,
    )


def _text(value: Sealed | None, entry: Entry) -> str:
    return "" if value is None else value.reveal(entry)


def _prefetch_keys(rows: Sequence[Any], columns: Iterable[str]) -> None:
    sealed = [getattr(row, column) for row in rows for column in columns]
    keyring().prefetch({one.key_id for one in sealed if one is not None and one.key_id is not None})
