"""Records for the tests of the standards: every kind of event, every channel and nature, everybody who can speak."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from backend.consent.standards.facts import (
    ConsentRecord,
    Controller,
    Purpose,
    RecordedEvent,
    Speaker,
    Words,
    Writer,
)
from backend.policy.vocabulary import (
    Channel,
    ConsentStatus,
    EventKind,
    Language,
    Method,
    Nature,
    RepresentationKind,
)

AT = datetime(2026, 10, 14, 8, 0, 0, 7, tzinfo=UTC)
DAY = timedelta(days=1)
PATIENT = UUID("01890a5d-ac96-774b-bcce-b302099a8001")
PARENT = UUID("01890a5d-ac96-774b-bcce-b302099a8004")
RECEIPT = UUID("9b2f6f0e-3f1c-4a56-8f0e-9a2f6c1d2e3f")
CLINIC = Controller(
    id=UUID("01890a5d-ac96-774b-bcce-b302099a8058"),
    slug="northgate",
    name="Clinique Northgate",
    country="FR",
    address="1 rue des Tilleuls, 00000 Exempleville",
    telephone="01 99 00 12 34",
    time_zone="Europe/Paris",
    site="https://accord.example.org",
)
WORDS = Words(
    version=3,
    language=Language.FRENCH,
    title="Vos choix",
    body="Nous n’écrivons que si vous dites oui.",
    statement="Nous vous rappelons vos rendez-vous.",
    sha256="ab" * 32,
    published_at=AT - 30 * DAY,
)
SAYS = frozenset({EventKind.PENDING, EventKind.GIVEN, EventKind.RENEWED, EventKind.REFUSED})
STATUS = {
    EventKind.PENDING: ConsentStatus.PENDING,
    EventKind.GIVEN: ConsentStatus.GIVEN,
    EventKind.RENEWED: ConsentStatus.GIVEN,
    EventKind.REFUSED: ConsentStatus.REFUSED,
    EventKind.WITHDRAWN: ConsentStatus.WITHDRAWN,
    EventKind.OBJECTED: ConsentStatus.OBJECTED,
    EventKind.EXPIRED: ConsentStatus.EXPIRED,
    EventKind.RECONSENT_REQUIRED: ConsentStatus.RECONSENT_REQUIRED,
    EventKind.ENDED: ConsentStatus.ENDED,
    EventKind.REVOKED: ConsentStatus.ENDED,
    EventKind.INVALIDATED: ConsentStatus.ENDED,
}
TOGETHER = (Speaker(), Speaker(representative_id=PARENT, by_right=RepresentationKind.PARENTAL_AUTHORITY))


def event(number, kind, **changed):
    """One event, a day after the one before it."""
    moment = AT + (number - 1) * DAY
    says = kind in SAYS
    facts = {
        "id": UUID(int=PATIENT.int + 0x1000 + number),
        "number": number,
        "kind": kind,
        "method": Method.APP if says else Method.SYSTEM,
        "occurred_at": moment,
        "recorded_at": moment + timedelta(minutes=1),
        "valid_until": moment + 1000 * DAY if kind in {EventKind.GIVEN, EventKind.RENEWED} else None,
        "about": None,
        "reason": "",
        "words": WORDS if says else None,
        "spoken_by": (Speaker(),) if says or kind in {EventKind.WITHDRAWN, EventKind.OBJECTED} else (),
        "written_by": Writer.PATIENT if says else Writer.SYSTEM,
        "pseudonym": "",
    }
    return RecordedEvent(**{**facts, **changed})


def record(*kinds, events=None, nature=Nature.CARE, health="A9-2-a", **changed):
    """A record of these events, one a day; where it stands follows from the last."""
    told = tuple(events or [event(number, kind) for number, kind in enumerate(kinds, start=1)])
    last = told[-1]
    facts = {
        "id": UUID("5f1c1f7e-0f0f-5a5a-8a8a-0123456789ab"),
        "patient_id": PATIENT,
        "controller": CLINIC,
        "purpose": Purpose(
            id=UUID("01890a5d-ac96-774b-bcce-b302099a8777"),
            slug="appointment_reminder",
            names={"fr": "Rappels de rendez-vous", "en": "Appointment reminders"},
            nature=nature,
            legal_basis="consent",
            health_data_condition=health,
            validity_months=36,
        ),
        "channel": Channel.SMS,
        "status": STATUS.get(last.kind, ConsentStatus.NONE),
        "since": last.recorded_at,
        "holds_until": last.valid_until,
        "standing": last,
        "events": told,
        "as_of": last.recorded_at + DAY,
    }
    return ConsentRecord(**{**facts, **changed})


def every_case() -> Iterator[tuple[str, ConsentRecord]]:
    """Every kind alone and after a yes; every channel, nature and method; child and parent; paper written by staff."""
    for kind in EventKind:
        yield f"{kind} alone", record(kind)
        yield f"given, {kind}", record(EventKind.GIVEN, kind)
    for channel in Channel:
        yield f"by {channel}", record(EventKind.GIVEN, channel=channel)
    for nature in set(Nature) - {Nature.CLOSED_LIST}:
        yield f"for {nature}", record(EventKind.GIVEN, nature=nature, health="")
    for method in Method:
        yield f"by {method}", record(events=[event(1, EventKind.GIVEN, method=method)])
    for right in RepresentationKind:
        guardian = Speaker(representative_id=PARENT, by_right=right)
        yield f"said by {right}", record(events=[event(1, EventKind.GIVEN, spoken_by=(guardian,))])
    yield "child and parent", record(events=[event(1, EventKind.GIVEN, spoken_by=TOGETHER)])
    on_paper = event(1, EventKind.GIVEN, method=Method.PAPER_FORM, written_by=Writer.STAFF, pseudonym="5f0c9a3e")
    yield "on paper", record(events=[on_paper])
    yield "for ever", record(events=[event(1, EventKind.GIVEN, valid_until=None)])
    wrong = event(1, EventKind.GIVEN)
    taken_back = event(2, EventKind.ENTERED_IN_ERROR, about=wrong.id, written_by=Writer.STAFF, pseudonym="5f0c9a3e")
    yield "by mistake", record(events=[wrong, taken_back])
    yield (
        "a long story",
        record(
            EventKind.REQUESTED,
            EventKind.REFUSED,
            EventKind.GIVEN,
            EventKind.WITHDRAWN,
            EventKind.GIVEN,
            EventKind.RENEWED,
            EventKind.OBJECTED,
            EventKind.WITHDRAWN,
            EventKind.OBJECTION_LIFTED,
            EventKind.GIVEN,
        ),
    )
