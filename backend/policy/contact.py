"""May we contact this patient, this way, now? Every reminder, survey and letter is decided here, and nowhere else.

Data in, verdict out: no database, no clock, no network. The facts are gathered by the caller, fresh each time; the
same facts always give the same verdict. What is not known counts against sending.

The closed list (promise 1) is the only thing that needs no consent: a sign-in code that the person asked
for, the check of a contact point, the confirmation of a consent or withdrawal, and notices that the law requires.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, Self
from uuid import UUID

from backend.policy.timing import local_instant, zone_named
from backend.policy.vocabulary import Channel, ConsentStatus, ContactStatus, Decided, Nature, Reason

RULES_VERSION = "contact-4"
"""Stored with every verdict; raised whenever the same facts could be decided otherwise."""

EVERY_PURPOSE = "*"
"""In a set of objections: the patient objected to all there is."""

EVERY_MARKETING = "*marketing"
"""In a set of objections: the patient objected to all direct marketing, that of purposes yet unknown included."""

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
"""Stands for "for ever": later instants are taken for this one, so that no sum of times leaves the calendar."""


def _instant(value: datetime) -> datetime:
    """The same instant in UTC: Python compares two times of one zone by the wall clock, wrongly when clocks change."""
    if value.utcoffset() is None:
        raise ValueError("a time without a time zone is no instant")
    if value.year >= LATEST.year:
        return LATEST
    if value.year < EARLIEST.year:
        return EARLIEST
    return value.astimezone(UTC)


def _set_instants(facts: object, *names: str) -> None:
    for name in names:
        value = getattr(facts, name)
        if value is not None:
            object.__setattr__(facts, name, _instant(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentFact:
    """Where one purpose on one channel stands, by which consent event, and from when until when (half-open).

    `guardian_until`: when a guardian's word ends because the patient is of age. `reconsent_from`: when a material
    change of the notice takes effect that this was not said to.
    """

    purpose: str
    channel: Channel
    status: ConsentStatus
    event_id: UUID | None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    guardian_until: datetime | None = None
    reconsent_from: datetime | None = None

    def __post_init__(self) -> None:
        _set_instants(self, "valid_from", "valid_until", "guardian_until", "reconsent_from")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """When a patient wants no message: by the wall clock, perhaps across midnight. The same hour twice means never."""

    starts: time
    ends: time
    time_zone: str

    def __post_init__(self) -> None:
        zone_named(self.time_zone)
        if self.starts.tzinfo is not None or self.ends.tzinfo is not None:
            raise ValueError("quiet hours are times of a wall clock; their zone is said once")

    def hold_at(self, instant: datetime) -> bool:
        """Does the patient's clock show a quiet hour at this instant?"""
        shown = instant.astimezone(zone_named(self.time_zone)).time()
        if self.starts <= self.ends:
            return self.starts <= shown < self.ends
        return shown >= self.starts or shown < self.ends


CAP_WINDOWS: Mapping[str, timedelta] = MappingProxyType(
    {"day": timedelta(hours=24), "week": timedelta(days=7), "month": timedelta(days=30)}
)
"""Rolling windows, so that a cap can not be doubled around midnight or the first of a month."""


MOST_PER_DAY = 8
"""The messages that may reach one patient in any 24 hours, where an installation says nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrequencyCap:
    """At most so many messages in any 24 hours, 7 days or 30 days. At most none is a no, until it is changed."""

    max: int
    per: Literal["day", "week", "month"]

    def __post_init__(self) -> None:
        if self.max < 0 or self.per not in CAP_WINDOWS:
            raise ValueError("a frequency cap is a number of messages per day, week or month")

    @property
    def window(self) -> timedelta:
        """How far back contacts count."""
        return CAP_WINDOWS[self.per]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceFacts:
    """What the patient chose, and the contacts that count towards their cap. Preferences only ever narrow."""

    purposes_off: frozenset[str] = frozenset()
    channels_off: frozenset[Channel] = frozenset()
    paused_until: datetime | None = None
    quiet_hours: QuietHours | None = None
    cap: FrequencyCap | None = None
    digest: bool = False
    recent_contacts: tuple[datetime, ...] = ()
    # For the record only: which version of what was chosen this is, 0 where nothing was.
    version: int = 0

    def __post_init__(self) -> None:
        _set_instants(self, "paused_until")
        object.__setattr__(self, "recent_contacts", tuple(_instant(contact) for contact in self.recent_contacts))


@dataclass(frozen=True, slots=True, kw_only=True)
class PurposeFacts:
    """What the message is for, and the channels on which this purpose exists."""

    slug: str
    nature: Nature
    requires_consent: bool
    channels: frozenset[Channel]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactPointFacts:
    """The address or number that would be used: no status means that there is none."""

    status: ContactStatus | None
    suppressed: bool = False
    # Of a representative's: whether they still represent the patient, and whether the patient keeps this from them.
    representation_stands: bool = True
    kept_from_representative: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactFacts:
    """All that the answer depends on. None in place of yes, no or a set means: not known, and is decided as a no.

    `most_per_day` is the limit that no programme can pass, whatever it says.

    Times must be aware (a naive one raises ValueError) and are held in UTC. `time_zone` is the patient's, else the
    clinic's; the legal window is counted in it. `closed_days` are days on which marketing by SMS is not lawful there.
    `not_before` and `expires_at` bound when the message is of use.
    """

    now: datetime
    channel: Channel
    purpose: PurposeFacts | None
    deceased: bool | None
    erased: bool | None
    restricted: bool | None
    objections: frozenset[str] | None
    consents: Collection[ConsentFact]
    contact_point: ContactPointFacts
    preference: PreferenceFacts
    time_zone: str
    programme_running: bool = True
    occasion_stands: bool = True
    template_exists: bool = True
    not_before: datetime | None = None
    expires_at: datetime | None = None
    most_per_day: int = MOST_PER_DAY
    closed_days: frozenset[date] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        zone_named(self.time_zone)
        _set_instants(self, "now", "not_before", "expires_at")
        if not EARLIEST < self.now < LATEST:
            raise ValueError("now lies outside of the calendar that rules are made for")

    @property
    def opens(self) -> datetime:
        """The first instant at which the message could leave."""
        return self.now if self.not_before is None else max(self.now, self.not_before)

    @property
    def on_closed_list(self) -> bool:
        """Needs no consent: only a purpose that says so twice, by its nature and by its own flag.

        Any other purpose that claims to need none is treated as needing it; no configuration creates a permission.
        """
        return (
            self.purpose is not None and self.purpose.nature is Nature.CLOSED_LIST and not self.purpose.requires_consent
        )

    @property
    def relevant_consents(self) -> tuple[ConsentFact, ...]:
        """The consents for exactly this purpose and this channel: consent is per means (CPCE, L.34-5)."""
        return tuple(
            consent
            for consent in self.consents
            if self.purpose is not None and consent.purpose == self.purpose.slug and consent.channel is self.channel
        )


class Remedy(StrEnum):
    """What would change the answer. All that are listed are needed; `until` says when waiting alone is enough."""

    GIVE_CONSENT = "give_consent"
    CONFIRM_CONSENT = "confirm_consent"
    RENEW_CONSENT = "renew_consent"
    TAKE_BACK_OBJECTION = "take_back_objection"
    LIFT_RESTRICTION = "lift_restriction"
    LIFT_SUPPRESSION = "lift_suppression"
    ADD_CONTACT_POINT = "add_contact_point"
    VERIFY_CONTACT_POINT = "verify_contact_point"
    CHOOSE_OTHER_CHANNEL = "choose_other_channel"
    RUN_PROGRAMME = "run_programme"
    SWITCH_PURPOSE_ON = "switch_purpose_on"
    SWITCH_CHANNEL_ON = "switch_channel_on"
    END_PAUSE = "end_pause"
    CHANGE_PREFERENCES = "change_preferences"
    WRITE_TEMPLATE = "write_template"
    WAIT = "wait"
    NONE = "none"


REMEDIES: Mapping[Reason, Remedy] = MappingProxyType(
    {
        Reason.DECEASED: Remedy.NONE,
        Reason.ERASED: Remedy.NONE,
        Reason.RESTRICTED: Remedy.LIFT_RESTRICTION,
        Reason.OBJECTED: Remedy.TAKE_BACK_OBJECTION,
        Reason.PURPOSE_UNKNOWN: Remedy.NONE,
        Reason.CHANNEL_NOT_OF_PURPOSE: Remedy.CHOOSE_OTHER_CHANNEL,
        Reason.NO_CONSENT: Remedy.GIVE_CONSENT,
        Reason.CONSENT_PENDING: Remedy.CONFIRM_CONSENT,
        Reason.CONSENT_REFUSED: Remedy.GIVE_CONSENT,
        Reason.CONSENT_WITHDRAWN: Remedy.GIVE_CONSENT,
        Reason.CONSENT_NOT_YET_VALID: Remedy.WAIT,
        Reason.CONSENT_EXPIRED: Remedy.RENEW_CONSENT,
        Reason.RECONSENT_REQUIRED: Remedy.RENEW_CONSENT,
        Reason.CONSENT_ENDED: Remedy.GIVE_CONSENT,
        Reason.SUPPRESSED: Remedy.LIFT_SUPPRESSION,
        Reason.NO_CONTACT_POINT: Remedy.ADD_CONTACT_POINT,
        Reason.CONTACT_UNUSABLE: Remedy.ADD_CONTACT_POINT,
        Reason.CONTACT_UNVERIFIED: Remedy.VERIFY_CONTACT_POINT,
        Reason.REPRESENTATION_ENDED: Remedy.ADD_CONTACT_POINT,
        Reason.CONFIDENTIAL_FROM_REPRESENTATIVE: Remedy.ADD_CONTACT_POINT,
        Reason.PROGRAMME_NOT_RUNNING: Remedy.RUN_PROGRAMME,
        Reason.OCCASION_CHANGED: Remedy.NONE,
        Reason.TOO_LATE: Remedy.NONE,
        Reason.LEGAL_WINDOW: Remedy.WAIT,
        Reason.DAILY_LIMIT: Remedy.WAIT,
        Reason.PURPOSE_SWITCHED_OFF: Remedy.SWITCH_PURPOSE_ON,
        Reason.CHANNEL_SWITCHED_OFF: Remedy.SWITCH_CHANNEL_ON,
        Reason.PAUSED: Remedy.END_PAUSE,
        Reason.FREQUENCY_CAP: Remedy.WAIT,
        Reason.QUIET_HOURS: Remedy.WAIT,
        Reason.DIGEST: Remedy.WAIT,
        Reason.NO_TEMPLATE: Remedy.WRITE_TEMPLATE,
    }
)

REASON_ORDER: Mapping[Reason, int] = MappingProxyType({reason: place for place, reason in enumerate(Reason)})
REMEDY_ORDER: Mapping[Remedy, int] = MappingProxyType({remedy: place for place, remedy in enumerate(Remedy)})


REMEDIES_IN_VAIN: Mapping[Reason, Remedy] = MappingProxyType(
    {
        Reason.PAUSED: Remedy.END_PAUSE,
        Reason.FREQUENCY_CAP: Remedy.CHANGE_PREFERENCES,
        Reason.QUIET_HOURS: Remedy.CHANGE_PREFERENCES,
    }
)
"""What helps where waiting does not, because it would last for ever or longer than the message is of use."""


def _in_order(reasons: Collection[Reason]) -> tuple[Reason, ...]:
    return tuple(sorted(set(reasons), key=REASON_ORDER.__getitem__))


def _all_needed(remedies: Collection[Remedy]) -> tuple[Remedy, ...]:
    """One reason that nothing mends outweighs all that something would."""
    if Remedy.NONE in remedies:
        return (Remedy.NONE,)
    return tuple(sorted(set(remedies), key=REMEDY_ORDER.__getitem__))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer, with all its reasons, and what would change it.

    `until` (only when deferred) is the earliest instant at which the message may become lawful and wanted; it is
    decided again then. A message that is merely not due yet is deferred without a reason. `consent_event_id` is the
    consent that an allow or a defer relies upon, and None for the closed list; a deny relies on nothing.
    `standing_event_id` is what was last said of this purpose on this channel, whatever it was: of a message that was
    withheld it names the refusal or withdrawal. None where nothing was ever said. `preferences_version` is the version
    of the preferences that was looked at, 0 where nothing was chosen, and None in verdicts older than their history.
    """

    decided: Decided
    reasons: tuple[Reason, ...] = ()
    until: datetime | None = None
    consent_event_id: UUID | None = None
    # For the record only: what was decided, and why, is what makes two verdicts equal.
    standing_event_id: UUID | None = field(default=None, compare=False)
    preferences_version: int | None = field(default=None, compare=False)
    rules_version: str = RULES_VERSION
    remedies: tuple[Remedy, ...] = ()

    @classmethod
    def denied(cls, reasons: Collection[Reason]) -> Self:
        """No, and why."""
        remedies = [REMEDIES[reason] for reason in reasons]
        return cls(decided=Decided.DENY, reasons=_in_order(reasons), remedies=_all_needed(remedies))

    @classmethod
    def denied_after_waiting(cls, waits: Collection[Reason]) -> Self:
        """No, because what there is to wait for ends too late, or never."""
        remedies = [REMEDIES_IN_VAIN[reason] for reason in waits if reason in REMEDIES_IN_VAIN] or [Remedy.NONE]
        return cls(decided=Decided.DENY, reasons=_in_order({*waits, Reason.TOO_LATE}), remedies=_all_needed(remedies))

    @classmethod
    def deferred(cls, reasons: Collection[Reason], *, until: datetime, consent_event_id: UUID | None) -> Self:
        """Not now, why, and from when on."""
        remedies = [REMEDIES[reason] for reason in reasons] or [Remedy.WAIT]
        return cls(
            decided=Decided.DEFER,
            reasons=_in_order(reasons),
            until=until,
            consent_event_id=consent_event_id,
            remedies=_all_needed(remedies),
        )

    @classmethod
    def allowed(cls, *, consent_event_id: UUID | None) -> Self:
        """Yes, and by which consent."""
        return cls(decided=Decided.ALLOW, consent_event_id=consent_event_id)

    def as_record(self) -> dict[str, object]:
        """As JSON holds it: codes, ids and ISO 8601 times; nothing personal."""
        return {
            "decided": self.decided.value,
            "reasons": [reason.value for reason in self.reasons],
            "until": None if self.until is None else self.until.isoformat(),
            "consent_event_id": None if self.consent_event_id is None else str(self.consent_event_id),
            "standing_event_id": None if self.standing_event_id is None else str(self.standing_event_id),
            "preferences_version": self.preferences_version,
            "rules_version": self.rules_version,
            "remedies": [remedy.value for remedy in self.remedies],
        }

    @classmethod
    def from_record(cls, record: Mapping[str, object]) -> Self:
        """The verdict that was stored. Raises KeyError, TypeError or ValueError for what `as_record` never wrote."""
        version = record.get("preferences_version")
        until, event_id, standing_id, reasons, remedies = (
            record[key] for key in ("until", "consent_event_id", "standing_event_id", "reasons", "remedies")
        )
        if not isinstance(reasons, list) or not isinstance(remedies, list):
            raise TypeError("reasons and remedies are lists of codes")
        if version is not None and not isinstance(version, int):
            raise TypeError("a version is a number")
        return cls(
            decided=Decided(str(record["decided"])),
            reasons=tuple(Reason(code) for code in reasons),
            until=None if until is None else _instant(datetime.fromisoformat(str(until))),
            consent_event_id=None if event_id is None else UUID(str(event_id)),
            standing_event_id=None if standing_id is None else UUID(str(standing_id)),
            preferences_version=version,
            rules_version=str(record["rules_version"]),
            remedies=tuple(Remedy(code) for code in remedies),
        )


Rule = Callable[[ContactFacts], Reason | None]
"""Looks at the facts and names its reason to deny, or says nothing."""


def no_message_to_the_dead(facts: ContactFacts) -> Reason | None:
    """Death stops everything, the closed list included."""
    return Reason.DECEASED if facts.deceased is not False else None


def no_message_to_the_erased(facts: ContactFacts) -> Reason | None:
    """Who was erased is nobody we know."""
    return Reason.ERASED if facts.erased is not False else None


def restriction_freezes(facts: ContactFacts) -> Reason | None:
    """Restricted data are stored and not otherwise processed (GDPR Art. 18(2)).

    The closed list stays: a sign-in code is sent at the person's own request, and a notice that the law requires is
    owed to them whatever they restricted.
    """
    return Reason.RESTRICTED if facts.restricted is not False and not facts.on_closed_list else None


def objection_beats_consent(facts: ContactFacts) -> Reason | None:
    """An objection, to this purpose or to all, stands against every consent and import (GDPR Art. 21).

    Nothing on the closed list is direct marketing or rests on a legitimate interest, which is what one can object to.
    """
    if facts.on_closed_list:
        return None
    if facts.objections is None or EVERY_PURPOSE in facts.objections:
        return Reason.OBJECTED
    if facts.purpose is None:
        return None
    if facts.purpose.nature is Nature.MARKETING and EVERY_MARKETING in facts.objections:
        return Reason.OBJECTED
    return Reason.OBJECTED if facts.purpose.slug in facts.objections else None


def purpose_is_known(facts: ContactFacts) -> Reason | None:
    """A message for no purpose can have no consent."""
    return Reason.PURPOSE_UNKNOWN if facts.purpose is None else None


def channel_belongs_to_purpose(facts: ContactFacts) -> Reason | None:
    """The clinic declared on which channels this purpose exists; no other may be used."""
    if facts.purpose is None or facts.channel in facts.purpose.channels:
        return None
    return Reason.CHANNEL_NOT_OF_PURPOSE


def _needs_consent(facts: ContactFacts) -> bool:
    return facts.purpose is not None and not facts.on_closed_list


def _stands(consent: ConsentFact) -> bool:
    """Given, by an event that can be shown: a consent that nobody can demonstrate is none (GDPR Art. 7(1))."""
    return consent.status is ConsentStatus.GIVEN and consent.event_id is not None


def silence_is_no(facts: ContactFacts) -> Reason | None:
    """No word from the patient for this purpose on this channel means no (GDPR Art. 4(11), recital 32)."""
    if not _needs_consent(facts):
        return None
    consents = facts.relevant_consents
    silent = (
        consent.status is ConsentStatus.NONE or (consent.status is ConsentStatus.GIVEN and not _stands(consent))
        for consent in consents
    )
    return Reason.NO_CONSENT if not consents or any(silent) else None


def consent_is_not(status: ConsentStatus, reason: Reason) -> Rule:
    """A rule that denies when any consent fact has this status, whatever others say: the most restrictive counts."""

    def rule(facts: ContactFacts) -> Reason | None:
        denies = _needs_consent(facts) and any(consent.status is status for consent in facts.relevant_consents)
        return reason if denies else None

    return rule


def consent_has_begun(facts: ContactFacts) -> Reason | None:
    """A consent holds from its first instant on, not before."""
    begins_later = (
        _stands(consent) and consent.valid_from is not None and facts.now < consent.valid_from
        for consent in facts.relevant_consents
    )
    return Reason.CONSENT_NOT_YET_VALID if _needs_consent(facts) and any(begins_later) else None


def consent_has_not_run_out(facts: ContactFacts) -> Reason | None:
    """A consent holds until its end, and the end is no longer part of it; silence does not prolong it."""
    is_over = (
        _stands(consent) and consent.valid_until is not None and consent.valid_until <= facts.now
        for consent in facts.relevant_consents
    )
    return Reason.CONSENT_EXPIRED if _needs_consent(facts) and any(is_over) else None


def guardian_still_answers(facts: ContactFacts) -> Reason | None:
    """From the day on which a patient is of age no guardian's yes stands (Civil Code, Art. 414)."""
    is_over = (
        _stands(consent) and consent.guardian_until is not None and consent.guardian_until <= facts.now
        for consent in facts.relevant_consents
    )
    return Reason.CONSENT_ENDED if _needs_consent(facts) and any(is_over) else None


def notice_still_says_this(facts: ContactFacts) -> Reason | None:
    """A yes was said to certain words; from the day on which others hold, it is asked for again (Art. 4(11))."""
    is_over = (
        _stands(consent) and consent.reconsent_from is not None and consent.reconsent_from <= facts.now
        for consent in facts.relevant_consents
    )
    return Reason.RECONSENT_REQUIRED if _needs_consent(facts) and any(is_over) else None


def representative_still_stands(facts: ContactFacts) -> Reason | None:
    """Who no longer represents a patient is not written to about them, whatever the message is."""
    return None if facts.contact_point.representation_stands else Reason.REPRESENTATION_ENDED


def representative_may_know(facts: ContactFacts) -> Reason | None:
    """What an adolescent keeps from their parents is not sent to them (CSP, L.1111-5)."""
    return Reason.CONFIDENTIAL_FROM_REPRESENTATIVE if facts.contact_point.kept_from_representative else None


def address_is_not_suppressed(facts: ContactFacts) -> Reason | None:
    """Nothing that a clinic wants to say goes to an address whose owner complained, sent STOP, or is somebody else.

    A code that somebody asked for goes there: without it nobody could come back (docs/decisions/0013).
    """
    return Reason.SUPPRESSED if facts.contact_point.suppressed and not facts.on_closed_list else None


def address_exists(facts: ContactFacts) -> Reason | None:
    """There is an address or number for this channel."""
    return Reason.NO_CONTACT_POINT if facts.contact_point.status is None else None


def address_is_usable(facts: ContactFacts) -> Reason | None:
    """The address was never found to be wrong."""
    return Reason.CONTACT_UNUSABLE if facts.contact_point.status is ContactStatus.UNUSABLE else None


def address_is_the_patients(facts: ContactFacts) -> Reason | None:
    """Somebody made sure that this address is the patient's.

    The closed list need not wait for that: the check of a contact point is how it becomes so, and a sign-in code
    proves the same.
    """
    unverified = facts.contact_point.status is ContactStatus.UNVERIFIED
    return Reason.CONTACT_UNVERIFIED if unverified and not facts.on_closed_list else None


def programme_runs(facts: ContactFacts) -> Reason | None:
    """The programme that planned this is approved, started, and not frozen."""
    return None if facts.programme_running else Reason.PROGRAMME_NOT_RUNNING


def occasion_stands(facts: ContactFacts) -> Reason | None:
    """The appointment, date or event that it is about is still as it was when this was planned."""
    return None if facts.occasion_stands else Reason.OCCASION_CHANGED


def not_too_late(facts: ContactFacts) -> Reason | None:
    """A reminder that is of no more use is not sent."""
    return Reason.TOO_LATE if facts.expires_at is not None and facts.expires_at <= facts.opens else None


def purpose_is_switched_on(facts: ContactFacts) -> Reason | None:
    """The patient did not switch this purpose off."""
    if facts.purpose is None or facts.on_closed_list:
        return None
    return Reason.PURPOSE_SWITCHED_OFF if facts.purpose.slug in facts.preference.purposes_off else None


def channel_is_switched_on(facts: ContactFacts) -> Reason | None:
    """The patient did not switch this channel off."""
    switched_off = not facts.on_closed_list and facts.channel in facts.preference.channels_off
    return Reason.CHANNEL_SWITCHED_OFF if switched_off else None


def template_is_there(facts: ContactFacts) -> Reason | None:
    """The clinic has an approved text for this channel, language and tone."""
    return None if facts.template_exists else Reason.NO_TEMPLATE


RULES: tuple[Rule, ...] = (
    no_message_to_the_dead,
    no_message_to_the_erased,
    restriction_freezes,
    objection_beats_consent,
    purpose_is_known,
    channel_belongs_to_purpose,
    silence_is_no,
    consent_is_not(ConsentStatus.PENDING, Reason.CONSENT_PENDING),
    consent_is_not(ConsentStatus.REFUSED, Reason.CONSENT_REFUSED),
    consent_is_not(ConsentStatus.WITHDRAWN, Reason.CONSENT_WITHDRAWN),
    consent_is_not(ConsentStatus.OBJECTED, Reason.OBJECTED),
    consent_is_not(ConsentStatus.EXPIRED, Reason.CONSENT_EXPIRED),
    consent_is_not(ConsentStatus.RECONSENT_REQUIRED, Reason.RECONSENT_REQUIRED),
    consent_is_not(ConsentStatus.ENDED, Reason.CONSENT_ENDED),
    consent_has_begun,
    consent_has_not_run_out,
    guardian_still_answers,
    notice_still_says_this,
    address_is_not_suppressed,
    address_exists,
    address_is_usable,
    address_is_the_patients,
    representative_still_stands,
    representative_may_know,
    programme_runs,
    occasion_stands,
    not_too_late,
    purpose_is_switched_on,
    channel_is_switched_on,
    template_is_there,
)


SMS_MARKETING_OPENS = time(8)
SMS_MARKETING_CLOSES = time(20)
SUNDAY = 6


def legal_window_opens(facts: ContactFacts, at: datetime) -> datetime | None:
    """Marketing by SMS leaves from Monday to Saturday, 08:00 to 20:00 on the patient's clock, on days not closed.

    The strictest of the windows in use on the French market (sources differ: 8 to 20, 8 to 22, 10 to 20).
    """
    if facts.channel is not Channel.SMS or facts.purpose is None or facts.purpose.nature is not Nature.MARKETING:
        return None
    local = at.astimezone(zone_named(facts.time_zone))
    day = local.date()

    def is_open(day: date) -> bool:
        return day.weekday() != SUNDAY and day not in facts.closed_days

    if is_open(day) and SMS_MARKETING_OPENS <= local.time() < SMS_MARKETING_CLOSES:
        return None
    while not is_open(day) or local_instant(day, SMS_MARKETING_OPENS, facts.time_zone) <= at:
        day += timedelta(days=1)
    return local_instant(day, SMS_MARKETING_OPENS, facts.time_zone)


def pause_ends(facts: ContactFacts, at: datetime) -> datetime | None:
    """The patient asked for silence until then."""
    until = facts.preference.paused_until
    return until if until is not None and at < until and not facts.on_closed_list else None


def cap_lets_through(facts: ContactFacts, at: datetime) -> datetime | None:
    """Once enough earlier contacts have left the window, one more is within the patient's cap.

    A contact later than `at` is one that is already reserved, and counts.
    """
    cap = facts.preference.cap
    if cap is None or facts.on_closed_list:
        return None
    if cap.max == 0:
        return LATEST
    return _place_is_free(facts, at, most=cap.max, window=cap.window)


def daily_limit_lets_through(facts: ContactFacts, at: datetime) -> datetime | None:
    """Whatever programmes say, a patient gets so many messages in any 24 hours and no more.

    A circuit breaker: it knows nothing of programmes, steps or occasions, so that a mistake in them can not become a
    thousand messages to one person. The closed list has limits of its own, and is not held up.
    """
    if facts.on_closed_list:
        return None
    return _place_is_free(facts, at, most=max(facts.most_per_day, 1), window=CAP_WINDOWS["day"])


def _place_is_free(facts: ContactFacts, at: datetime, *, most: int, window: timedelta) -> datetime | None:
    counted = sorted((contact for contact in facts.preference.recent_contacts if contact > at - window), reverse=True)
    return counted[most - 1] + window if len(counted) >= most else None


def quiet_hours_end(facts: ContactFacts, at: datetime) -> datetime | None:
    """The clock on the patient's wall shows an hour at which messages are welcome."""
    quiet = facts.preference.quiet_hours
    if quiet is None or facts.on_closed_list or not quiet.hold_at(at):
        return None
    return min(instant for instant in _ends_of_quiet(quiet, after=at) if instant > at and not quiet.hold_at(instant))


def _ends_of_quiet(quiet: QuietHours, *, after: datetime) -> Iterator[datetime]:
    """Every instant of the coming days at which quiet hours can end: by the hour, or by a change of the clocks."""
    zone = zone_named(quiet.time_zone)
    today = after.astimezone(zone).date()
    for days in range(4):
        ends = datetime.combine(today + timedelta(days=days), quiet.ends, tzinfo=zone)
        yield ends.replace(fold=0).astimezone(UTC)
        yield ends.replace(fold=1).astimezone(UTC)
    before = after.replace(microsecond=0)
    changed = before + timedelta(days=2)
    offset = before.astimezone(zone).utcoffset()
    if changed.astimezone(zone).utcoffset() == offset:
        return
    while changed - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(changed - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            changed = middle
    yield changed


Wait = Callable[[ContactFacts, datetime], datetime | None]
"""Says, as seen from an instant, when the waiting is over, or nothing when there is nothing to wait for."""

WAITS: tuple[tuple[Reason, Wait], ...] = (
    (Reason.LEGAL_WINDOW, legal_window_opens),
    (Reason.DAILY_LIMIT, daily_limit_lets_through),
    (Reason.PAUSED, pause_ends),
    (Reason.FREQUENCY_CAP, cap_lets_through),
    (Reason.QUIET_HOURS, quiet_hours_end),
)

MOST_WAITS = 100
"""After so many turns of waiting for one thing and then the other (about seven weeks), no common hour will come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """What there is to wait for when the message is due, what comes up meanwhile, and when all of it has ended."""

    at_first: frozenset[Reason]
    altogether: frozenset[Reason]
    until: datetime | None


def _wait_out(facts: ContactFacts) -> _Waiting:
    """What there is to wait for, and then, where the patient wants their messages together, for the others."""
    waiting = _wait_from(facts, facts.opens)
    if waiting.until is None or not facts.preference.digest or facts.on_closed_list:
        return waiting
    together = digest_leaves(facts, waiting.until)
    if together == waiting.until:
        return waiting
    return _Waiting(
        at_first=waiting.at_first | {Reason.DIGEST}, altogether=waiting.altogether | {Reason.DIGEST}, until=together
    )


DIGEST_OPENS = time(9)
DIGEST_LASTS = timedelta(hours=1)
DIGEST_DAYS = 8


def digest_leaves(facts: ContactFacts, at: datetime) -> datetime:
    """When what may leave at this instant leaves with the others of its day: from 9:00 to 10:00 on the patient's clock.

    Where they want no message at nine, the hour begins as soon as they do on that day. What would be of no more use by
    then, and what has no such hour within a week, does not wait: to want fewer messages is not to want none.
    """
    zone = zone_named(facts.time_zone)
    today = at.astimezone(zone).date()
    for day in (today + timedelta(days=days) for days in range(DIGEST_DAYS)):
        opens = _wait_from(facts, local_instant(day, DIGEST_OPENS, facts.time_zone)).until
        if opens is not None and opens.astimezone(zone).date() == day and at < opens + DIGEST_LASTS:
            leaves = max(at, opens)
            return at if facts.expires_at is not None and facts.expires_at <= leaves else leaves
    return at


def _wait_from(facts: ContactFacts, instant: datetime) -> _Waiting:
    """Go from the end of one wait to the end of the next, until an instant at which there is none."""
    at_first: frozenset[Reason] | None = None
    altogether: frozenset[Reason] = frozenset()
    for _ in range(MOST_WAITS):
        ends = {reason: end for reason, wait in WAITS if (end := wait(facts, instant)) is not None}
        at_first = frozenset(ends) if at_first is None else at_first
        altogether |= ends.keys()
        if not ends:
            break
        instant = max(ends.values())
    else:
        instant = LATEST
    return _Waiting(
        at_first=at_first or frozenset(), altogether=altogether, until=instant if instant < LATEST else None
    )


def decide(facts: ContactFacts) -> Verdict:
    """May we contact this patient, this way, now? Silence means no, and so does what we do not know.

    One reason to deny outweighs all reasons to wait. Waiting is counted from the moment the message is due
    (`not_before`), so that the same question, asked when it is planned, already names the hour at which it will leave.
    What would have to wait until it is of no more use is too late.
    """
    return replace(_decided(facts), standing_event_id=_last_said(facts), preferences_version=facts.preference.version)


def _decided(facts: ContactFacts) -> Verdict:
    denials = {reason for rule in RULES if (reason := rule(facts)) is not None}
    waiting = _wait_out(facts)
    if denials:
        return Verdict.denied(denials | waiting.at_first)
    if waiting.until is None or (facts.expires_at is not None and facts.expires_at <= waiting.until):
        return Verdict.denied_after_waiting(waiting.altogether)
    consent_event_id = _consent_relied_upon(facts)
    if waiting.until > facts.now:
        return Verdict.deferred(waiting.at_first, until=waiting.until, consent_event_id=consent_event_id)
    return Verdict.allowed(consent_event_id=consent_event_id)


def _last_said(facts: ContactFacts) -> UUID | None:
    """What stands of this purpose on this channel: the newest event, since event ids grow with time."""
    said = [consent.event_id for consent in facts.relevant_consents if consent.event_id is not None]
    return max(said, default=None)


def _consent_relied_upon(facts: ContactFacts) -> UUID | None:
    """Of several consents that all hold, the newest: event ids grow with time. None on the closed list."""
    if facts.on_closed_list:
        return None
    return max(consent.event_id for consent in facts.relevant_consents if consent.event_id is not None)
