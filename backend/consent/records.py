"""Reads consents as the standards tell them: one record for each purpose and channel that anything was said of."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from django.conf import settings

from backend.audit.actors import ActorKind
from backend.clinics.queries import get_clinic
from backend.consent.models import ConsentEvent, ConsentState, Notice
from backend.consent.models import Purpose as PurposeModel
from backend.consent.queries import MaterialChange, material_changes
from backend.consent.standards.facts import (
    ConsentRecord,
    Controller,
    Purpose,
    RecordedEvent,
    Speaker,
    Words,
    Writer,
)
from backend.patients.queries import RepresentationRow, representations_by_id
from backend.policy.vocabulary import Audience, Channel, ConsentStatus, EventKind, Language, Method, Nature

WRITER: Final = {"p": Writer.PATIENT, "r": Writer.REPRESENTATIVE}
STAFF: Final = "u:"
REPRESENTATIVE: Final = ActorKind.REPRESENTATIVE.value


def record_id_of(*, patient_id: UUID, purpose_id: UUID, channel: Channel) -> UUID:
    """The name of one purpose on one channel of one patient: the same in every export, and for ever."""
    return uuid5(patient_id, f"{purpose_id}/{channel.value}")


def records_of(*, clinic_id: UUID, patient_id: UUID, as_of: datetime) -> list[ConsentRecord]:
    """What was ever said by one patient, in the order of purposes and their channels."""
    return records_by_patient([patient_id], clinic_id=clinic_id, as_of=as_of)[patient_id]


def records_by_patient(
    patient_ids: Iterable[UUID], *, clinic_id: UUID, as_of: datetime
) -> dict[UUID, list[ConsentRecord]]:
    """What was ever said by these patients of a clinic, with six queries however many they are.

    A purpose on a channel of which nothing was said has no record: silence leaves none.
    """
    wanted = list(dict.fromkeys(patient_ids))
    rows = list(
        ConsentEvent.objects.in_clinic(clinic_id)
        .filter(patient_id__in=wanted)
        .defer("evidence")
        .order_by("patient_id", "number", "id")
    )
    states = ConsentState.objects.in_clinic(clinic_id).filter(patient_id__in=wanted)
    found = records_of_rows(rows, states, clinic_id=clinic_id, as_of=as_of)
    return {patient_id: found.get(patient_id, []) for patient_id in wanted}


def records_of_rows(
    rows: Sequence[ConsentEvent], states: Iterable[ConsentState], *, clinic_id: UUID, as_of: datetime
) -> dict[UUID, list[ConsentRecord]]:
    """The same of events and states that were read already; each stream's events in their order."""
    reader = _Reader(clinic_id, as_of)
    reader.know_representatives(rows)
    streams: defaultdict[tuple[UUID, UUID, str], list[RecordedEvent]] = defaultdict(list)
    for row in rows:
        streams[row.patient_id, row.purpose_id, row.channel].append(reader.event(row))
    found: defaultdict[UUID, list[ConsentRecord]] = defaultdict(list)
    for state in states:
        events = streams[state.patient_id, state.purpose_id, state.channel]
        if events and state.purpose_id in reader.purposes:
            found[state.patient_id].append(reader.record(state, tuple(events)))
    order = {purpose_id: place for place, purpose_id in enumerate(reader.purposes)}
    channels = {channel: place for place, channel in enumerate(Channel)}
    for records in found.values():
        records.sort(key=lambda one: (order[one.purpose.id], channels[one.channel]))
    return found


class _Reader:
    """What is the same for every record of a clinic, read once."""

    def __init__(self, clinic_id: UUID, as_of: datetime) -> None:
        self.as_of = as_of
        self.controller = _controller(clinic_id)
        self.purposes = _purposes(clinic_id)
        self.notices = {row.id: row for row in Notice.objects.in_clinic(clinic_id)}
        self.changes: list[MaterialChange] = material_changes([clinic_id]).get(clinic_id, [])
        self.representatives: dict[UUID, RepresentationRow] = {}

    def know_representatives(self, rows: Iterable[ConsentEvent]) -> None:
        """By what right those speak whom these events name."""
        ids = {UUID(one["id"]) for row in rows for one in row.expressed_by if one["role"] == REPRESENTATIVE}
        self.representatives = representations_by_id(ids) if ids else {}

    def event(self, row: ConsentEvent) -> RecordedEvent:
        """One event, its sealed evidence left where it is."""
        return RecordedEvent(
            id=row.id,
            number=row.number,
            kind=EventKind(row.kind),
            method=Method(row.method),
            occurred_at=row.occurred_at,
            recorded_at=row.recorded_at,
            valid_until=row.valid_until,
            about=row.about_id,
            reason=row.reason,
            words=None if row.notice_id is None else self._words(row.notice_id, row.purpose_id),
            spoken_by=tuple(self._speaker(one) for one in row.expressed_by),
            written_by=WRITER.get(row.recorded_by)
            or (Writer.STAFF if row.recorded_by.startswith(STAFF) else Writer.SYSTEM),
            pseudonym=row.recorded_by.removeprefix(STAFF) if row.recorded_by.startswith(STAFF) else "",
        )

    def record(self, state: ConsentState, events: tuple[RecordedEvent, ...]) -> ConsentRecord:
        """One purpose on one channel of one patient."""
        status, holds_until = self._standing(state)
        by_id = {event.id: event for event in events}
        return ConsentRecord(
            id=record_id_of(patient_id=state.patient_id, purpose_id=state.purpose_id, channel=Channel(state.channel)),
            patient_id=state.patient_id,
            controller=self.controller,
            purpose=self.purposes[state.purpose_id],
            channel=Channel(state.channel),
            status=status,
            since=state.since,
            holds_until=holds_until,
            standing=by_id.get(state.standing_event_id or state.last_event_id, events[-1]),
            events=events,
            as_of=self.as_of,
        )

    def _standing(self, state: ConsentState) -> tuple[ConsentStatus, datetime | None]:
        """Where it stands at this moment, whether the tick that says so has come or not; and until when, if it is yes.

        The same three that the gate looks at before a message leaves.
        """
        status = ConsentStatus(state.status)
        if status is not ConsentStatus.GIVEN:
            return status, None
        reconsent = [one.effective_from for one in self.changes if one.version > (state.notice_version or 0)]
        ends = {
            ConsentStatus.EXPIRED: state.valid_until,
            ConsentStatus.ENDED: state.guardian_until,
            ConsentStatus.RECONSENT_REQUIRED: min(reconsent, default=None),
        }
        known = sorted((moment, ended.value) for ended, moment in ends.items() if moment is not None)
        if known and known[0][0] <= self.as_of:
            return ConsentStatus(known[0][1]), None
        return status, known[0][0] if known else None

    def _words(self, notice_id: UUID, purpose_id: UUID) -> Words:
        row = self.notices[notice_id]
        purpose = self.purposes.get(purpose_id)
        return Words(
            version=row.version,
            language=Language(row.language),
            title=row.title,
            body=row.body,
            statement=row.statements.get(purpose.slug, "") if purpose else "",
            sha256=row.sha256,
            published_at=row.published_at,
            audience=Audience(row.audience),
        )

    def _speaker(self, one: dict[str, str]) -> Speaker:
        if one["role"] != REPRESENTATIVE:
            return Speaker()
        representative = self.representatives.get(UUID(one["id"]))
        return Speaker(
            representative_id=UUID(one["id"]), by_right=None if representative is None else representative.kind
        )


def _controller(clinic_id: UUID) -> Controller:
    clinic = get_clinic(clinic_id)
    return Controller(
        id=clinic.id,
        slug=clinic.slug,
        name=clinic.name,
        country=clinic.country,
        address=clinic.address,
        telephone=clinic.telephone,
        time_zone=clinic.time_zone,
        site=settings.ACCORD_PUBLIC_URL.rstrip("/"),
    )


def _purposes(clinic_id: UUID) -> dict[UUID, Purpose]:
    """Those that are asked for, in their order."""
    rows = PurposeModel.objects.in_clinic(clinic_id).order_by("rank", "slug")
    return {
        row.id: Purpose(
            id=row.id,
            slug=row.slug,
            names=dict(row.names),
            nature=Nature(row.nature),
            legal_basis=row.legal_basis,
            health_data_condition=row.health_data_condition,
            validity_months=row.validity_months,
        )
        for row in rows
        if row.requires_consent
    }
