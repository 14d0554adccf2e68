"""A patient who may be written to, and every way to ask the question differently."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from backend.policy.contact import ConsentFact, ContactFacts, ContactPointFacts, PreferenceFacts, PurposeFacts, Verdict
from backend.policy.contact import decide as decide_facts
from backend.policy.vocabulary import Channel, ConsentStatus, ContactStatus, Nature

NOW = datetime(2026, 10, 12, 8, 0, tzinfo=UTC)
"""Monday 12 October 2026, ten in the morning in Paris."""

CONSENT_EVENT = UUID("01999999-0000-7000-8000-000000000001")

REMINDER = PurposeFacts(
    slug="appointment_reminder",
    nature=Nature.CARE,
    requires_consent=True,
    channels=frozenset({Channel.PUSH, Channel.SMS, Channel.EMAIL}),
)
OFFERS = PurposeFacts(slug="offers", nature=Nature.MARKETING, requires_consent=True, channels=frozenset(Channel))
SIGN_IN_CODE = PurposeFacts(
    slug="sign_in_code", nature=Nature.CLOSED_LIST, requires_consent=False, channels=frozenset(Channel)
)
VERIFIED = ContactPointFacts(status=ContactStatus.VERIFIED)
NOTHING_CHOSEN = PreferenceFacts()


def consent(status: ConsentStatus = ConsentStatus.GIVEN, **changes: Any) -> ConsentFact:
    """What the patient said of appointment reminders by SMS."""
    said = ConsentFact(purpose=REMINDER.slug, channel=Channel.SMS, status=status, event_id=CONSENT_EVENT)
    return replace(said, **changes)


CONSENTING = ContactFacts(
    now=NOW,
    channel=Channel.SMS,
    purpose=REMINDER,
    deceased=False,
    erased=False,
    restricted=False,
    objections=frozenset(),
    consents=(consent(),),
    contact_point=VERIFIED,
    preference=NOTHING_CHOSEN,
    time_zone="Europe/Paris",
)


def decide(**changes: Any) -> Verdict:
    """The verdict on a consenting patient for whom these facts are otherwise."""
    return decide_facts(replace(CONSENTING, **changes))


def paris(text: str) -> datetime:
    """A wall clock time in Paris, of which the offset is written: `2026-10-12 10:00+02:00`."""
    return datetime.fromisoformat(text)
