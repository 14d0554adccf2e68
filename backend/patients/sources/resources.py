"""FHIR R4 resources, one at a time, translated into records.

Not read: `contained`, extensions, `Patient.contact` (somebody to call is not a representative; a RelatedPerson is),
reasons and diagnoses.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Final, Literal
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from backend.patients.sources.elements import NAME_LIMIT, TEXT_LIMIT, Element, Refused, clean_text
from backend.patients.sources.lines import Unreadable
from backend.patients.sources.moments import at_clinic, read_days, read_instant
from backend.patients.sources.reasons import Why
from backend.patients.sources.records import (
    Identifier,
    OccasionRecord,
    OccasionStatus,
    PatientRecord,
    Problem,
    Record,
    Reference,
    RelatedPersonRecord,
    Telecom,
    Where,
)
from backend.patients.sources.telecoms import Contact, keep_once, read_contact, region_of
from backend.patients.sources.vaccines import topic_of
from backend.policy.vocabulary import Language

MOST_NAMES: Final = 20
MOST_GIVEN_NAMES: Final = 20
MOST_TELECOMS: Final = 20
MOST_IDENTIFIERS: Final = 50
MOST_ADDRESSES: Final = 20
MOST_LINES: Final = 10
MOST_CODES: Final = 50
MOST_PARTICIPANTS: Final = 200

_ID: Final = re.compile(r"[A-Za-z0-9\-._]{1,64}", re.ASCII)
_TYPED_LITERAL: Final = re.compile(
    r"(?:https?://[^\s?#]+/)?([A-Z][A-Za-z]+)/([A-Za-z0-9\-._]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?", re.ASCII
)
_SEARCH: Final = re.compile(r"(?:https?://[^\s?#]+/)?([A-Z][A-Za-z]+)\?identifier=([^&\s]+)", re.ASCII)
_UUID: Final = re.compile(r"urn:uuid:([A-Za-z0-9\-]{1,64})", re.ASCII)

GENDERS: Final = frozenset({"male", "female", "other", "unknown"})
USES: Final = frozenset({"home", "work", "temp", "old", "mobile"})
LANGUAGES: Final = {
    "fr": Language.FRENCH,
    "fra": Language.FRENCH,
    "fre": Language.FRENCH,
    "en": Language.ENGLISH,
    "eng": Language.ENGLISH,
}
# HL7 v3 RoleCode, as in the value set relatedperson-relationshiptype. Steps and in-laws are `other`: they represent
# nobody by themselves.
RELATIONSHIPS: Final = {
    **dict.fromkeys(("MTH", "NMTH", "NMTHF", "GESTM", "ADOPTM"), "mother"),
    **dict.fromkeys(("FTH", "NFTH", "NFTHF", "ADOPTF"), "father"),
    **dict.fromkeys(("PRN", "NPRN", "ADOPTP"), "parent"),
    **dict.fromkeys(("GUARD",), "guardian"),
    **dict.fromkeys(("SPS", "HUSB", "WIFE", "DOMPART", "SIGOTHR"), "spouse"),
    **dict.fromkeys(
        ("CHILD", "CHLDADOPT", "DAUADOPT", "SONADOPT", "NCHILD", "DAU", "SON", "DAUC", "SONC", "NDAU", "NSON"), "child"
    ),
}  # fmt: skip
APPOINTMENT_STATUSES: Final[Mapping[str, OccasionStatus]] = {
    "proposed": "pending",
    "pending": "pending",
    "waitlist": "pending",
    "booked": "booked",
    "arrived": "fulfilled",
    "checked-in": "fulfilled",
    "fulfilled": "fulfilled",
    "cancelled": "cancelled",
    "noshow": "missed",
    "entered-in-error": "entered_in_error",
}
ENCOUNTER_STATUSES: Final[Mapping[str, OccasionStatus]] = {
    "planned": "booked",
    "arrived": "pending",
    "triaged": "pending",
    "in-progress": "pending",
    "onleave": "pending",
    "unknown": "pending",
    "finished": "done",
    "cancelled": "cancelled",
    "entered-in-error": "entered_in_error",
}
IMMUNISATION_STATUSES: Final[Mapping[str, OccasionStatus]] = {
    "completed": "done",
    "not-done": "not_done",
    "entered-in-error": "entered_in_error",
}
# An appointment in one of these states has a time, or a message about it would have nothing to say.
_NEEDS_START: Final = frozenset({"booked", "fulfilled", "missed"})
_PRACTITIONERS: Final = frozenset({"Practitioner", "PractitionerRole"})

# What a reference of a bundle entry leads to: the type, and the id in the source.
Targets = Mapping[str, tuple[str, str]]


@dataclass(slots=True, kw_only=True, repr=False)
class _Reading:
    """One resource while it is read: what surrounds it, and what was unusable so far."""

    where: Where
    region: str
    zone: ZoneInfo
    today: date | None
    targets: Targets
    problems: list[Problem] = field(default_factory=list)

    def unusable(self, path: str, why: Why) -> None:
        self.problems.append(Problem(where=self.where, field=path, reason=why, kind="unusable"))


def parse_resource(
    resource: Mapping[str, object],
    *,
    where: Where,
    region: str = "FR",
    zone: str = "Europe/Paris",
    today: date | None = None,
    targets: Targets | None = None,
    expected: str | None = None,
) -> tuple[Record | None, tuple[Problem, ...]]:
    """One FHIR R4 resource as a record, with what is unusable in it; or no record, and the one problem that refuses it.

    `region` is the country whose telephone numbers need no country code where the address names none. `zone` is the
    clinic's, for times that are only a date. `today` decides which contact points have ended; without it, every contact
    point that has an end has ended. `targets` resolves the `fullUrl` of other entries of the same bundle. `expected` is
    the only type of resource that is taken.
    """
    reading = _Reading(where=where, region=region, zone=ZoneInfo(zone), today=today, targets=targets or {})
    try:
        record = _read(Element(resource), reading, expected)
    except Refused as error:
        return None, (Problem(where=where, field=error.field, reason=error.why, kind="refused"),)
    return record, tuple(reading.problems)


def _read(resource: Element, reading: _Reading, expected: str | None) -> Record:
    kind = resource.text("resourceType")
    if not kind:
        raise Refused(Why.MISSING, "resourceType")
    if expected is not None and kind != expected:
        raise Refused(Why.WRONG_RESOURCE_TYPE, "resourceType")
    reader = _READERS.get(kind)
    if reader is None:
        raise Refused(Why.RESOURCE_NOT_READ, "resourceType")
    if resource.has("modifierExtension"):
        # FHIR forbids to go on with a resource whose modifiers are not understood (R4, 2.4.1).
        raise Refused(Why.MODIFIER_NOT_UNDERSTOOD, "modifierExtension")
    return reader(resource, reading)


# ---- Patient and RelatedPerson


def _patient(patient: Element, reading: _Reading) -> PatientRecord:
    source_id, identifiers = _who(patient, reading)
    for link in patient.children("link", most=MOST_CODES):
        if link.text("type") == "replaced-by":
            raise Refused(Why.PATIENT_REPLACED, link.field("type"))
    family_name, given_names = _name(patient, reading)
    lines, postal_code, city, country = _address(patient)
    deceased, deceased_at = _death(patient, reading)
    gender = patient.text("gender")
    if gender and gender not in GENDERS:
        reading.unusable("gender", Why.CODE_NOT_UNDERSTOOD)
    return PatientRecord(
        where=reading.where,
        source_id=source_id,
        identifiers=identifiers,
        family_name=family_name,
        given_names=given_names,
        birth_date=_birth_date(patient, reading),
        deceased=deceased,
        deceased_at=deceased_at,
        gender=gender if gender in GENDERS else None,
        language=_language(patient, reading),
        telecoms=_telecoms(patient, reading, region=region_of(country, default=reading.region)),
        address_lines=lines,
        postal_code=postal_code,
        city=city,
        country=country,
        active=_is_active(patient, reading),
    )


def _related_person(person: Element, reading: _Reading) -> RelatedPersonRecord:
    source_id, identifiers = _who(person, reading)
    family_name, given_names = _name(person, reading)
    *_, country = _address(person)
    starts_on, ends_on = _narrowest_period(person, reading)
    return RelatedPersonRecord(
        where=reading.where,
        source_id=source_id,
        identifiers=identifiers,
        patient=_needed_reference(person, "patient", reading),
        relationship=_relationship(person),
        family_name=family_name,
        given_names=given_names,
        telecoms=_telecoms(person, reading, region=region_of(country, default=reading.region)),
        active=_is_active(person, reading),
        starts_on=starts_on,
        ends_on=ends_on,
    )


def _who(resource: Element, reading: _Reading) -> tuple[str | None, tuple[Identifier, ...]]:
    source_id = resource.text("id", limit=TEXT_LIMIT) or None
    if source_id is not None and not _ID.fullmatch(source_id):
        raise Refused(Why.ID_NOT_VALID, "id")
    found: dict[tuple[str, str], Identifier] = {}
    for each in resource.children("identifier", most=MOST_IDENTIFIERS):
        system, value = each.text("system", limit=TEXT_LIMIT), each.text("value")
        if system and value:
            found[system, value] = Identifier(system=system, value=value)
        else:
            reading.unusable(each.path, Why.IDENTIFIER_INCOMPLETE)
    if source_id is None and not found:
        raise Refused(Why.NO_IDENTIFIER, "identifier")
    return source_id, tuple(found.values())


def _name(person: Element, reading: _Reading) -> tuple[str, tuple[str, ...]]:
    ranks = {"official": 0, "usual": 1, "old": 3, "maiden": 3}
    names = sorted(person.children("name", most=MOST_NAMES), key=lambda name: ranks.get(name.text("use"), 2))
    if not names:
        reading.unusable("name", Why.NAME_MISSING)
        return "", ()
    name = names[0]
    given_names = name.texts("given", most=MOST_GIVEN_NAMES)
    family_name = name.text("family")
    if not family_name and not given_names:
        family_name = name.text("text")
    if not family_name:
        reading.unusable(name.field("family"), Why.NAME_MISSING)
    return family_name, given_names


def _address(person: Element) -> tuple[tuple[str, ...], str, str, str]:
    ranks = {"home": 0, "old": 2}
    addresses = sorted(
        person.children("address", most=MOST_ADDRESSES), key=lambda address: ranks.get(address.text("use"), 1)
    )
    if not addresses:
        return (), "", "", ""
    address = addresses[0]
    return (
        address.texts("line", most=MOST_LINES),
        address.text("postalCode"),
        address.text("city"),
        address.text("country"),
    )


def _birth_date(patient: Element, reading: _Reading) -> date | None:
    """The day of birth. One that can not be used is reported, and does not cost the patient."""
    try:
        text = patient.text("birthDate")
        if not text:
            return None
        first, last = _days(text, "birthDate")
    except Refused as error:
        reading.unusable(error.field, error.why)
        return None
    why = Why.DATE_INCOMPLETE if first != last else None
    if reading.today is not None and first > reading.today:
        why = Why.DATE_IN_FUTURE
    if why is not None:
        reading.unusable("birthDate", why)
        return None
    return first


def _is_active(person: Element, reading: _Reading) -> bool:
    """Whether the record is in use. What can not be read is taken for no: nobody is contacted by mistake."""
    try:
        return person.flag("active") is not False
    except Refused as error:
        reading.unusable(error.field, error.why)
        return False


def _death(patient: Element, reading: _Reading) -> tuple[bool, datetime | date | None]:
    """Whether the patient has died, and when. Whatever stands there and can not be read says that they have.

    A mistake in this direction is seen by staff and harms nobody; one in the other writes to the dead.
    """
    is_said = _is_said_dead(patient, reading)
    name = "deceasedDateTime"
    try:
        text = patient.text(name) if patient.has(name) else ""
        if not text:
            # The date may be withheld, by an extension in its place: there is one all the same.
            return is_said or patient.has(f"_{name}"), None
        if "T" in text:
            return True, read_instant(text)
        first, last = read_days(text)
    except (Refused, Unreadable) as error:
        reading.unusable(name, error.why)
        return True, None
    if first != last:
        reading.unusable(name, Why.DATE_INCOMPLETE)
        return True, None
    return True, first


def _is_said_dead(patient: Element, reading: _Reading) -> bool:
    name = "deceasedBoolean"
    if not patient.has(name):
        return False
    try:
        return patient.flag(name) is True
    except Refused as error:
        reading.unusable(error.field, error.why)
        return True


def _language(patient: Element, reading: _Reading) -> Language | None:
    spoken = sorted(
        patient.children("communication", most=MOST_CODES), key=lambda each: each.flag("preferred") is not True
    )
    codes = [
        code.split("-")[0].casefold()
        for each in spoken
        if (language := each.child("language")) is not None
        for _, code in _codings(language)
    ]
    found = next((LANGUAGES[code] for code in codes if code in LANGUAGES), None)
    if codes and found is None:
        reading.unusable("communication", Why.LANGUAGE_NOT_AVAILABLE)
    return found


def _relationship(person: Element) -> str:
    codes = [code for concept in person.children("relationship", most=MOST_CODES) for _, code in _codings(concept)]
    return next((RELATIONSHIPS[code] for code in codes if code in RELATIONSHIPS), "other")


def _narrowest_period(person: Element, reading: _Reading) -> tuple[date | None, date | None]:
    """From when to when; of an incomplete date the day that makes the time shorter, as it gives somebody a say."""
    period = person.child("period")
    if period is None:
        return None, None
    start, end = _period_days(period, "start"), _period_days(period, "end")
    for name, days in (("start", start), ("end", end)):
        if days is not None and days[0] != days[1]:
            reading.unusable(period.field(name), Why.DATE_INCOMPLETE)
    return start and start[1], end and end[0]


# ---- Contact points


def _telecoms(person: Element, reading: _Reading, *, region: str) -> tuple[Telecom, ...]:
    contacts: list[Contact] = []
    for each in person.children("telecom", most=MOST_TELECOMS):
        system, value = each.text("system"), each.text("value")
        kind = _telecom_kind(system)
        if not value:
            reading.unusable(each.path, Why.CONTACT_EMPTY)
        elif kind is None:
            why = Why.CONTACT_SYSTEM_NOT_USED if system else Why.CONTACT_SYSTEM_MISSING
            reading.unusable(each.field("system"), why)
        else:
            use = each.text("use")
            if use and use not in USES:
                reading.unusable(each.field("use"), Why.CODE_NOT_UNDERSTOOD)
            contact = read_contact(
                value,
                kind=kind,
                field=each.field("value"),
                region=region,
                use=use if use in USES else None,
                rank=_number(each, "rank", reading),
                stopped=_stopped(each, use, reading.today),
            )
            contacts.append(contact)
    telecoms, problems = keep_once(contacts)
    for path, why in problems:
        reading.unusable(path, why)
    return telecoms


def _telecom_kind(system: str) -> Literal["phone", "email"] | None:
    if system in {"phone", "sms"}:
        return "phone"
    return "email" if system == "email" else None


def _stopped(telecom: Element, use: str, today: date | None) -> Why | None:
    """Why a contact point is not in use on this day, whatever its form."""
    if use == "old":
        return Why.CONTACT_ENDED
    period = telecom.child("period")
    if period is None:
        return None
    start, end = _period_days(period, "start"), _period_days(period, "end")
    if end is not None and (today is None or end[1] < today):
        return Why.CONTACT_ENDED
    if start is not None and today is not None and start[0] > today:
        return Why.CONTACT_NOT_STARTED
    return None


# ---- Appointment, Encounter, Immunization


def _appointment(appointment: Element, reading: _Reading) -> OccasionRecord:
    source_id, identifiers = _who(appointment, reading)
    status = _status(appointment, APPOINTMENT_STATUSES)
    actors = [
        (each, actor, _target_type(actor, reading))
        for each in appointment.children("participant", most=MOST_PARTICIPANTS)
        if (actor := each.child("actor")) is not None
    ]
    patients = [(each, actor) for each, actor, target in actors if target == "Patient"]
    if not patients:
        raise Refused(Why.MISSING, "participant")
    if len(patients) > 1:
        raise Refused(Why.SEVERAL_PATIENTS, patients[1][0].path)
    participation, patient = patients[0]
    if participation.text("status") == "declined":
        status = "cancelled"
    starts_at = _instant(appointment, "start")
    if starts_at is None and status in _NEEDS_START:
        raise Refused(Why.MISSING, "start")
    ends_at = _instant(appointment, "end")
    minutes = _number(appointment, "minutesDuration", reading, most=_MINUTES_OF_A_YEAR)
    if ends_at is None and starts_at is not None and minutes is not None:
        ends_at = starts_at + timedelta(minutes=minutes)
    return OccasionRecord(
        where=reading.where,
        source_id=source_id,
        identifiers=identifiers,
        patient=_reference(patient, reading),
        kind="appointment",
        topic="",
        status=status,
        starts_at=starts_at,
        ends_at=_after(starts_at, ends_at, "end", reading),
        place=_display([actor for _, actor, target in actors if target == "Location"]),
        practitioner=_display([actor for _, actor, target in actors if target in _PRACTITIONERS]),
        label=_words(appointment.children("serviceType", most=MOST_CODES))
        or _words(_maybe(appointment.child("appointmentType")))
        or appointment.text("description", limit=TEXT_LIMIT),
    )


def _encounter(encounter: Element, reading: _Reading) -> OccasionRecord:
    source_id, identifiers = _who(encounter, reading)
    period = encounter.child("period")
    starts_at = None if period is None else _moment(period, "start", reading)
    ends_at = None if period is None else _moment(period, "end", reading)
    locations = [
        location
        for each in encounter.children("location", most=MOST_CODES)
        if (location := each.child("location")) is not None
    ]
    people = [
        person
        for each in encounter.children("participant", most=MOST_PARTICIPANTS)
        if (person := each.child("individual")) is not None
    ]
    provider = _maybe(encounter.child("serviceProvider"))
    return OccasionRecord(
        where=reading.where,
        source_id=source_id,
        identifiers=identifiers,
        patient=_needed_reference(encounter, "subject", reading),
        kind="encounter",
        topic="",
        status=_status(encounter, ENCOUNTER_STATUSES),
        starts_at=starts_at,
        ends_at=_after(starts_at, ends_at, "period.end", reading),
        place=_display(locations) or _display(provider),
        practitioner=_display(people),
        label=_words(encounter.children("type", most=MOST_CODES)),
    )


def _immunisation(immunisation: Element, reading: _Reading) -> OccasionRecord:
    source_id, identifiers = _who(immunisation, reading)
    vaccine = immunisation.child("vaccineCode")
    if vaccine is None:
        raise Refused(Why.MISSING, "vaccineCode")
    performers = [
        actor
        for each in immunisation.children("performer", most=MOST_PARTICIPANTS)
        if (actor := each.child("actor")) is not None
    ]
    if immunisation.text("occurrenceString", limit=TEXT_LIMIT):
        reading.unusable("occurrenceString", Why.DATE_NOT_UNDERSTOOD)
    return OccasionRecord(
        where=reading.where,
        source_id=source_id,
        identifiers=identifiers,
        patient=_needed_reference(immunisation, "patient", reading),
        kind="immunisation",
        topic=topic_of(_codings(vaccine)),
        status=_status(immunisation, IMMUNISATION_STATUSES),
        starts_at=_moment(immunisation, "occurrenceDateTime", reading),
        ends_at=None,
        place=_display(_maybe(immunisation.child("location"))),
        practitioner=_display(performers),
        label=_words((vaccine,)),
    )


_READERS: Final[Mapping[str, Callable[[Element, _Reading], Record]]] = {
    "Patient": _patient,
    "RelatedPerson": _related_person,
    "Appointment": _appointment,
    "Encounter": _encounter,
    "Immunization": _immunisation,
}
# In this order a patient comes before all that refers to them.
READ_TYPES: Final = tuple(_READERS)

_MINUTES_OF_A_YEAR: Final = 366 * 24 * 60


def _status(resource: Element, known: Mapping[str, OccasionStatus]) -> OccasionStatus:
    code = resource.text("status")
    if not code:
        raise Refused(Why.MISSING, "status")
    if code not in known:
        raise Refused(Why.CODE_NOT_UNDERSTOOD, "status")
    return known[code]


def _after(starts_at: datetime | None, ends_at: datetime | None, path: str, reading: _Reading) -> datetime | None:
    if starts_at is not None and ends_at is not None and ends_at < starts_at:
        reading.unusable(path, Why.END_BEFORE_START)
        return None
    return ends_at


def _number(element: Element, name: str, reading: _Reading, *, most: int = 2**31 - 1) -> int | None:
    """A whole number from 1; one that can not be used is reported and left out."""
    try:
        found = element.number(name, most=most)
    except Refused as error:
        reading.unusable(error.field, error.why)
        return None
    return found


def _maybe(element: Element | None) -> tuple[Element, ...]:
    return () if element is None else (element,)


# ---- Codes and words


def _codings(concept: Element) -> list[tuple[str, str]]:
    return [
        (coding.text("system", limit=TEXT_LIMIT), code)
        for coding in concept.children("coding", most=MOST_CODES)
        if (code := coding.text("code"))
    ]


def _words(concepts: tuple[Element, ...]) -> str:
    """What people call the first of these concepts that has a name."""
    for concept in concepts:
        if text := concept.text("text", limit=TEXT_LIMIT):
            return text
        for coding in concept.children("coding", most=MOST_CODES):
            if text := coding.text("display", limit=TEXT_LIMIT):
                return text
    return ""


def _display(references: "list[Element] | tuple[Element, ...]") -> str:
    displays = (reference.text("display", limit=TEXT_LIMIT) for reference in references)
    return next((display for display in displays if display), "")


# ---- Dates


def _days(text: str, path: str) -> tuple[date, date]:
    try:
        return read_days(text)
    except Unreadable as error:
        raise Refused(error.why, path) from None


def _period_days(period: Element, name: str) -> tuple[date, date] | None:
    """The first and last day that one end of a period may mean; of a time, its day on its own clock."""
    text = period.text(name)
    if not text:
        return None
    try:
        if "T" not in text:
            return read_days(text)
        day = read_instant(text).date()
    except Unreadable as error:
        raise Refused(error.why, period.field(name)) from None
    return day, day


def _instant(element: Element, name: str) -> datetime | None:
    text = element.text(name)
    if not text:
        return None
    try:
        return read_instant(text)
    except Unreadable as error:
        raise Refused(error.why, element.field(name)) from None


def _moment(element: Element, name: str, reading: _Reading) -> datetime | None:
    """A `dateTime`: with a time as it stands, a day alone as its first moment at the clinic, less is unusable."""
    text = element.text(name)
    if not text or "T" in text:
        return _instant(element, name)
    first, last = _days(text, element.field(name))
    if first != last:
        reading.unusable(element.field(name), Why.DATE_INCOMPLETE)
        return None
    try:
        return at_clinic(first, time(), reading.zone)
    except Unreadable:
        # Where the clocks change at midnight, the day begins an hour later.
        return at_clinic(first, time(1), reading.zone)


# ---- References


def _needed_reference(resource: Element, name: str, reading: _Reading) -> Reference:
    reference = resource.child(name)
    if reference is None:
        raise Refused(Why.MISSING, name)
    return _reference(reference, reading)


def _reference(reference: Element, reading: _Reading) -> Reference:
    """Which patient is meant: by id, by search, by identifier, or by the address of another entry of the bundle."""
    target = _target_type(reference, reading)
    if target not in {None, "Patient"}:
        raise Refused(Why.REFERENCE_NOT_PATIENT, reference.field("reference"))
    literal = reference.text("reference", limit=TEXT_LIMIT)
    found = _literal(literal, reference.field("reference"), reading.targets) if literal else None
    if found is not None:
        return found
    identifier = reference.child("identifier")
    if identifier is not None:
        system, value = identifier.text("system", limit=TEXT_LIMIT), identifier.text("value")
        if system and value:
            return Reference(identifier=Identifier(system=system, value=value), source_id=None)
    raise Refused(Why.REFERENCE_NOT_UNDERSTOOD, reference.field("reference"))


def _literal(literal: str, path: str, targets: Targets) -> Reference | None:
    if literal in targets:
        return Reference(identifier=None, source_id=targets[literal][1])
    if match := _UUID.fullmatch(literal):
        return Reference(identifier=None, source_id=match[1])
    if match := _TYPED_LITERAL.fullmatch(literal):
        return Reference(identifier=None, source_id=match[2])
    if match := _SEARCH.fullmatch(literal):
        system, bar, value = clean_text(unquote(match[2]), field=path, limit=TEXT_LIMIT).partition("|")
        if bar and system and 0 < len(value) <= NAME_LIMIT:
            return Reference(identifier=Identifier(system=system, value=value), source_id=None)
    return None


def _target_type(reference: Element, reading: _Reading) -> str | None:
    """The type of resource that a reference says it points to; None when it does not say."""
    literal = reference.text("reference", limit=TEXT_LIMIT)
    if literal in reading.targets:
        return reading.targets[literal][0]
    match = _TYPED_LITERAL.fullmatch(literal) or _SEARCH.fullmatch(literal)
    return match[1] if match else reference.text("type").rpartition("/")[2] or None
