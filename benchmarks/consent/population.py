"""Very many patients who said very much, written in bulk: for measuring, and for tests of size."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice, product
from typing import Final
from uuid import UUID

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.keys import issue_subject_keys
from backend.audit.recording import Draft, record_many
from backend.clinics.operations import create_clinic
from backend.consent.models import ConsentEvent, ConsentState, Notice, Purpose
from backend.consent.operations import define_purpose, publish_notice
from backend.consent.operations.standing import Standing, standing_after
from backend.patients.models import Patient
from backend.policy.vocabulary import Channel, EventKind, Language, LegalBasis, Method, Nature
from backend.vault.identifiers import new_id

# An entry has room for the keys of about 250 patients.
AT_ONCE: Final = 200
CHANNELS: Final = (Channel.PUSH, Channel.SMS, Channel.EMAIL)
PURPOSES: Final = ("appointment_reminder", "vaccination_recall")
LIVES: Final = (
    (EventKind.GIVEN,),
    (EventKind.GIVEN, EventKind.WITHDRAWN),
    (EventKind.REFUSED, EventKind.GIVEN, EventKind.RENEWED),
    (EventKind.REQUESTED, EventKind.GIVEN, EventKind.WITHDRAWN, EventKind.GIVEN),
)
EVENTS_EACH: Final = sum(map(len, LIVES))
STATES_EACH: Final = len(LIVES)
BODY: Final = "Nous vous écrivons seulement si vous dites oui, et vous pouvez dire non à tout moment. " * 30


def found_clinic(slug: str, *, now: datetime) -> UUID:
    """A clinic with two purposes and a notice of the usual length."""
    actor = system_actor("benchmark")
    clinic_id = create_clinic(slug=slug, name=slug, discreet_name=slug, telephone="", address="", actor=actor, now=now)
    for rank, purpose in enumerate(PURPOSES):
        define_purpose(
            clinic_id=clinic_id,
            slug=purpose,
            nature=Nature.CARE,
            channels=CHANNELS,
            names=dict.fromkeys(Language, purpose),
            statements=dict.fromkeys(Language, f"{purpose}: …"),
            rank=rank,
            actor=actor,
            now=now,
        )
    publish_notice(clinic_id=clinic_id, texts=dict.fromkeys(Language, (slug, BODY)), actor=actor, now=now)
    return clinic_id


def populate(
    clinic_id: UUID, *, patients: int, now: datetime, progress: Callable[[int], object] = lambda _count: None
) -> list[UUID]:
    """So many patients, each with ten events on four of their purposes and channels, and the states that follow.

    The newest said it a day ago, each one before them a second earlier. Evidence is sealed under each patient's key.
    """
    purposes = list(Purpose.objects.in_clinic(clinic_id).order_by("rank"))
    notice = Notice.objects.in_clinic(clinic_id).filter(language=Language.FRENCH).latest("version")
    made: list[UUID] = []
    while len(made) < patients:
        page = [new_id() for _ in range(min(AT_ONCE, patients - len(made)))]
        _write(clinic_id, page, purposes, notice, at=now - timedelta(days=1, seconds=patients - len(made)), now=now)
        made += page
        progress(len(page))
    return made


def _write(
    clinic_id: UUID, page: Sequence[UUID], purposes: Sequence[Purpose], notice: Notice, *, at: datetime, now: datetime
) -> None:
    issued = issue_subject_keys(page, clinic_id=clinic_id, now=now)
    details = {"count": len(page) * STATES_EACH, "different": 0}
    drafts = [issued.draft(clinic_id), Draft(action=Action.STATES_REBUILT, clinic_id=clinic_id, details=details)]
    with issued.at_hand(), record_many(drafts, by=system_actor("benchmark"), now=now):
        issued.save()
        Patient.objects.bulk_create(
            Patient(id=one, clinic_id=clinic_id, language=Language.FRENCH, created_at=now, updated_at=now)
            for one in page
        )
        streams = [stream for one in page for stream in _streams(clinic_id, one, purposes, notice, at=at)]
        ConsentEvent.objects.bulk_create(event for stream in streams for event in stream)
        ConsentState.objects.bulk_create(_state(stream) for stream in streams)


def _streams(
    clinic_id: UUID, patient_id: UUID, purposes: Sequence[Purpose], notice: Notice, *, at: datetime
) -> Iterator[list[ConsentEvent]]:
    places = islice(product(purposes, CHANNELS), STATES_EACH)
    for life, (purpose, channel) in zip(LIVES, places, strict=True):
        yield [
            ConsentEvent(
                clinic_id=clinic_id,
                patient_id=patient_id,
                purpose=purpose,
                channel=channel,
                kind=kind,
                method=Method.APP,
                legal_basis=LegalBasis.CONSENT,
                occurred_at=at + timedelta(minutes=number),
                recorded_at=at + timedelta(minutes=number),
                notice=notice,
                notice_sha256=notice.sha256,
                language=notice.language,
                expressed_by=[{"role": "patient"}],
                recorded_by="p",
                evidence={"notice_version": notice.version, "initial_state": "off"},
                number=number,
            )
            for number, kind in enumerate(life, start=1)
        ]


def _state(stream: Sequence[ConsentEvent]) -> ConsentState:
    standing: Standing | None = None
    for event in stream:
        standing = standing_after(standing, event)
    if standing is None:
        raise ValueError("A stream has at least one event.")
    last = stream[-1]
    return ConsentState(
        clinic_id=last.clinic_id,
        patient_id=last.patient_id,
        purpose_id=last.purpose_id,
        channel=last.channel,
        status=standing.status,
        since=standing.since,
        valid_until=standing.valid_until,
        guardian_until=standing.guardian_until,
        notice_version=standing.notice_version,
        last_event_id=standing.last_event_id,
        standing_event_id=standing.standing_event_id,
    )
