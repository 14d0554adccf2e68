"""The gate: gathers fresh facts in bulk and asks the decision core, at planning and again at the moment of sending."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from backend.clinics.queries import ClinicFacts, get_clinic
from backend.consent.queries import PurposeRow, consent_facts_of, objections_by_patient, purposes_by_id
from backend.messaging.models import Message
from backend.messaging.queries import RENEW_STEP
from backend.patients.queries import (
    ContactPointRow,
    PatientFacts,
    RepresentationRow,
    contact_points_by_id,
    latest_occasions,
    occasions_by_id,
    patients_by_id,
    representations_by_id,
)
from backend.patients.suppression import Suppressed, suppressed_points
from backend.policy.contact import ConsentFact, ContactFacts, ContactPointFacts, Verdict, decide
from backend.policy.holidays import closed_days_around, region_of_line, region_of_time_zone
from backend.policy.timing import zone_named
from backend.policy.vocabulary import Channel, ConsentStatus, Decided, MessageState, RepresentationScope
from backend.preferences.queries import PreferenceRow, preferences_of

COUNTED: Final = (MessageState.HANDING_OVER, MessageState.SENT, MessageState.DELIVERED, MessageState.IN_DOUBT)
LONGEST_CAP: Final = timedelta(days=30)
RUNNING: Final = "running"
GATHERED: Final = frozenset({Channel.PUSH, Channel.SMS, Channel.EMAIL})
"""The channels by which several messages can go out as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One message that might go out: what is fixed about it. Everything else is looked up afresh."""

    clinic_id: UUID
    patient_id: UUID
    purpose_id: UUID
    channel: Channel
    contact_point_id: UUID | None
    occasion_id: UUID | None
    occasion_starts_at: datetime | None
    programme_running: bool
    template_exists: bool
    not_before: datetime | None
    expires_at: datetime | None
    message_id: UUID | None = None
    # The event of the yes that this message says will end soon.
    renews: UUID | None = None
    claimed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known around a batch of candidates. The number of queries does not depend on how many there are."""

    patients: dict[UUID, PatientFacts]
    purposes: dict[UUID, PurposeRow]
    consents: dict[UUID, tuple[ConsentFact, ...]]
    objections: dict[UUID, frozenset[str]]
    points: dict[UUID, ContactPointRow]
    representations: dict[UUID, RepresentationRow]
    suppressed: dict[UUID, tuple[Suppressed, ...]]
    preferences: dict[UUID, PreferenceRow]
    standing: frozenset[tuple[UUID, datetime | None]]
    contacts: defaultdict[UUID, list[datetime]]
    # When the sending that a patient gets together by one channel counts; the others in it count no more.
    together: dict[tuple[UUID, Channel, UUID | None], datetime]
    clinics: dict[UUID, ClinicFacts]


def gather(candidates: Sequence[Candidate], *, now: datetime) -> Surroundings:
    """Look up everything that the decisions depend on, now."""
    patient_ids = {candidate.patient_id for candidate in candidates}
    point_ids = {candidate.contact_point_id for candidate in candidates if candidate.contact_point_id is not None}
    points = contact_points_by_id(point_ids)
    answering = {point.representative_id for point in points.values() if point.representative_id is not None}
    return Surroundings(
        patients=patients_by_id(patient_ids),
        purposes=purposes_by_id({candidate.purpose_id for candidate in candidates}),
        consents=consent_facts_of(patient_ids),
        objections=objections_by_patient(patient_ids),
        points=points,
        representations=representations_by_id(answering),
        suppressed=suppressed_points(point_ids),
        preferences=preferences_of(patient_ids),
        standing=_standing(candidates),
        contacts=_recent_contacts(candidates, now=now),
        together={},
        clinics={one: get_clinic(one) for one in {candidate.clinic_id for candidate in candidates}},
    )


def decide_all(candidates: Sequence[Candidate], *, now: datetime) -> list[Verdict]:
    """May each of these go out, now? In the order of the candidates: of two messages the first takes the last place."""
    around = gather(candidates, now=now)
    return [_decide(candidate, around, now=now) for candidate in candidates]


def _decide(candidate: Candidate, around: Surroundings, *, now: datetime) -> Verdict:
    verdict = decide(facts_for(candidate, around, now=now))
    counts = candidate.occasion_id is not None or candidate.renews is not None
    if candidate.message_id is not None and counts and verdict.decided is Decided.ALLOW:
        # It goes out: it counts for those that come after it. One that is refused takes nobody's place.
        key = _sending(candidate)
        if key not in around.together:
            around.contacts[candidate.patient_id].append(candidate.claimed_at or now)
            if _wants_digest(candidate, around):
                around.together[key] = candidate.claimed_at or now
    return verdict


def _sending(candidate: Candidate) -> tuple[UUID, Channel, UUID | None]:
    return (candidate.patient_id, candidate.channel, candidate.contact_point_id)


def _wants_digest(candidate: Candidate, around: Surroundings) -> bool:
    preferences = around.preferences.get(candidate.patient_id)
    return preferences is not None and preferences.digest and candidate.channel in GATHERED


def _contacts(candidate: Candidate, around: Surroundings) -> list[datetime]:
    """What counts towards this candidate's place: not the sending that it would be laid into."""
    contacts = list(around.contacts[candidate.patient_id])
    if candidate.message_id is not None and _sending(candidate) in around.together:
        contacts.remove(around.together[_sending(candidate)])
    return contacts


def facts_for(candidate: Candidate, around: Surroundings, *, now: datetime) -> ContactFacts:
    """The facts of one candidate. What could not be found is not known, and what is not known means no."""
    patient = around.patients.get(candidate.patient_id)
    purpose = around.purposes.get(candidate.purpose_id)
    preferences = around.preferences.get(candidate.patient_id) or PreferenceRow()
    clinic = around.clinics[candidate.clinic_id]
    zone = preferences.time_zone or clinic.time_zone
    point = around.points.get(candidate.contact_point_id) if candidate.contact_point_id is not None else None
    if point is not None and point.patient_id != candidate.patient_id:
        point = None
    consents = _consents(patient, _relevant(around.consents.get(candidate.patient_id, ()), candidate, purpose))
    return ContactFacts(
        now=now,
        channel=candidate.channel,
        purpose=None if purpose is None else purpose.facts,
        deceased=None if patient is None else patient.is_deceased,
        erased=None if patient is None else patient.is_erased,
        restricted=None if patient is None else patient.is_restricted or not patient.is_active,
        objections=None if patient is None else around.objections.get(candidate.patient_id, frozenset()),
        consents=consents,
        contact_point=ContactPointFacts(
            status=None if point is None else point.status_for(candidate.channel),
            suppressed=point is not None
            and any(one.channel is candidate.channel for one in around.suppressed.get(point.id, ())),
            **_representation(point, purpose, around, today=now.astimezone(zone_named(clinic.time_zone)).date()),
        ),
        preference=preferences.facts(time_zone=zone, recent_contacts=_contacts(candidate, around)),
        time_zone=zone,
        programme_running=candidate.programme_running,
        # The closed list follows no occasion and no programme.
        occasion_stands=_ends_as_said(candidate, purpose, consents)
        if candidate.renews is not None
        else candidate.occasion_id is None or (candidate.occasion_id, candidate.occasion_starts_at) in around.standing,
        template_exists=candidate.template_exists,
        not_before=candidate.not_before,
        expires_at=candidate.expires_at,
        most_per_day=settings.ACCORD_MOST_PER_DAY,
        closed_days=closed_days(clinic, patient, time_zone=zone, now=now),
    )


def _relevant(
    consents: Sequence[ConsentFact], candidate: Candidate, purpose: PurposeRow | None
) -> tuple[ConsentFact, ...]:
    """What was said of this purpose on this channel: nothing else can permit anything."""
    return tuple(
        one
        for one in consents
        if purpose is not None and one.channel is candidate.channel and one.purpose == purpose.slug
    )


def closed_days(clinic: ClinicFacts, patient: PatientFacts | None, *, time_zone: str, now: datetime) -> frozenset[date]:
    """Public holidays around now, on the patient's clock: of the clinic's country and region, and of the patient's."""
    regions = {
        region_of_line(country=clinic.country, address=clinic.address),
        region_of_time_zone(time_zone),
        None if patient is None else patient.holiday_region,
    }
    return closed_days_around(
        clinic.country,
        now.astimezone(zone_named(time_zone)).date(),
        frozenset(region for region in regions if region is not None),
    )


def _ends_as_said(candidate: Candidate, purpose: PurposeRow | None, consents: tuple[ConsentFact, ...]) -> bool:
    """Of a yes that ends soon: is it still this one, and does it still end when the message says?"""
    return any(
        one.event_id == candidate.renews and candidate.expires_at in {one.valid_until, one.guardian_until}
        for one in consents
        if purpose is not None and one.purpose == purpose.slug and one.channel is candidate.channel
    )


def _consents(patient: PatientFacts | None, known: tuple[ConsentFact, ...]) -> tuple[ConsentFact, ...]:
    """Until a yes is judged by a birth date that was put right, it counts as one that nobody has confirmed."""
    if patient is None or not patient.is_age_in_question:
        return known
    return tuple(
        replace(one, status=ConsentStatus.PENDING) if one.status is ConsentStatus.GIVEN else one for one in known
    )


def _representation(
    point: ContactPointRow | None, purpose: PurposeRow | None, around: Surroundings, *, today: date
) -> dict[str, bool]:
    """Of a representative's address: do they still represent the patient, for messages, and may they know of this?"""
    if point is None or point.representative_id is None:
        return {}
    found = around.representations.get(point.representative_id)
    if found is None:
        return {"representation_stands": False}
    return {
        "representation_stands": found.stands_on(today) and RepresentationScope.MESSAGES in found.scope,
        "kept_from_representative": purpose is not None and not found.may_know_of(purpose.slug),
    }


def candidate_of(message: Message, *, programme_state: str | None) -> Candidate:
    """A stored message as the gate asks about it."""
    return Candidate(
        clinic_id=message.clinic_id,
        patient_id=message.patient_id,
        purpose_id=message.purpose_id,
        channel=Channel(message.channel),
        contact_point_id=message.contact_point_id,
        occasion_id=message.occasion_id,
        occasion_starts_at=message.occasion_starts_at,
        programme_running=message.programme_id is None or programme_state == RUNNING,
        template_exists=message.template_version_id is not None,
        not_before=None,
        expires_at=message.expires_at,
        message_id=message.id,
        claimed_at=message.claimed_at,
        renews=UUID(message.occurrence) if message.step == RENEW_STEP else None,
    )


def _standing(candidates: Sequence[Candidate]) -> frozenset[tuple[UUID, datetime | None]]:
    """Occasions that are as they were: not cancelled, not moved, and, for a vaccination, still the last one."""
    occasions = occasions_by_id({one.occasion_id for one in candidates if one.occasion_id is not None})
    topics: defaultdict[str, set[UUID]] = defaultdict(set)
    for occasion in occasions.values():
        if occasion.kind == "immunisation":
            topics[occasion.topic].add(occasion.patient_id)
    last = {
        (patient_id, topic): at
        for topic, patients in topics.items()
        for patient_id, at in latest_occasions(patient_ids=patients, kind="immunisation", topic=topic).items()
    }
    return frozenset(
        (occasion.id, occasion.starts_at)
        for occasion in occasions.values()
        if occasion.stands
        and (occasion.kind != "immunisation" or last.get((occasion.patient_id, occasion.topic)) == occasion.starts_at)
    )


def _recent_contacts(candidates: Sequence[Candidate], *, now: datetime) -> defaultdict[UUID, list[datetime]]:
    """What counts towards a cap, without the candidates themselves.

    The claim takes up one patient's messages for one worker at a time, so no other worker counts the same places.
    """
    contacts: defaultdict[UUID, list[datetime]] = defaultdict(list)
    own = {candidate.message_id for candidate in candidates}
    rows = Message.objects.filter(
        # A code that the person asked for takes no place from what a clinic wants to say.
        Q(programme__isnull=False) | Q(step=RENEW_STEP),
        patient_id__in={candidate.patient_id for candidate in candidates},
        state__in=COUNTED,
        claimed_at__gt=now - LONGEST_CAP,
        sent_with=None,
    ).values_list("patient_id", "claimed_at", "id")
    for patient_id, claimed_at, message_id in rows:
        if claimed_at is not None and message_id not in own:
            contacts[patient_id].append(claimed_at)
    return contacts
