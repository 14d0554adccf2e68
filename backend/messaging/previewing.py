"""What other preferences would have changed: the messages of the last weeks, decided again by the same rules.

Only the preferences are exchanged. Consent, address and occasion are taken as they were when the message left: whatever
left was allowed. So a preview can not show a message that the patient did not consent to.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import record
from backend.clinics.queries import ClinicFacts, get_clinic
from backend.consent.queries import PurposeRow, purposes_by_id
from backend.errors import InvalidInput
from backend.messaging.gate import COUNTED, LONGEST_CAP, closed_days
from backend.messaging.models import Message
from backend.patients.queries import PatientFacts, require_patient
from backend.policy.contact import (
    EVERY_PURPOSE,
    REASON_ORDER,
    ConsentFact,
    ContactFacts,
    ContactPointFacts,
    Verdict,
    decide,
)
from backend.policy.vocabulary import Channel, ConsentStatus, ContactStatus, Decided, MessageState, Reason
from backend.preferences.operations import PreferenceChange
from backend.preferences.queries import PreferenceRow, get_preferences

DEFAULT_DAYS: Final = 30
MOST_DAYS: Final = 90
MOST_MESSAGES: Final = 200
RECEIVED: Final = (MessageState.SENT, MessageState.DELIVERED, MessageState.IN_DOUBT)
BY_PREFERENCE: Final = frozenset(
    {
        Reason.PURPOSE_SWITCHED_OFF,
        Reason.CHANNEL_SWITCHED_OFF,
        Reason.PAUSED,
        Reason.FREQUENCY_CAP,
        Reason.QUIET_HOURS,
        Reason.DIGEST,
    }
)
# What other preferences, or another hour that they bring, can answer otherwise.
MAY_PASS: Final = BY_PREFERENCE | {Reason.TOO_LATE, Reason.LEGAL_WINDOW, Reason.DAILY_LIMIT}


@dataclass(slots=True, kw_only=True)
class PreviewedMessage:
    """One message of the past: when and how it came or was due, and when and how it would have come."""

    id: UUID
    purpose: str
    programme: str
    step: str
    at: datetime
    received: bool
    with_another: bool
    was_channel: Channel
    channel: Channel
    would_come_at: datetime | None = None
    reasons: tuple[Reason, ...] = ()


@dataclass(slots=True, kw_only=True)
class Preview:
    """What would have become of the messages of a period. `added` was withheld for preferences, and would have come."""

    since: datetime
    until: datetime
    truncated: bool
    together: bool = False
    kept: list[PreviewedMessage] = field(default_factory=list)
    later: list[PreviewedMessage] = field(default_factory=list)
    not_sent: list[PreviewedMessage] = field(default_factory=list)
    added: list[PreviewedMessage] = field(default_factory=list)

    @property
    def received(self) -> int:
        """How many messages there really were."""
        return sum(not one.with_another for one in (*self.kept, *self.later, *self.not_sent))

    @property
    def would_receive(self) -> int:
        """How many there would have been by now."""
        coming = [
            (one.would_come_at, one.channel)
            for one in (*self.kept, *self.later, *self.added)
            if one.would_come_at is not None and one.would_come_at <= self.until
        ]
        return len(set(coming)) if self.together else len(coming)


def preview_preferences(
    *,
    clinic_id: UUID,
    patient_id: UUID,
    change: PreferenceChange,
    days: int,
    actor: Actor,
    now: datetime,
    hidden: frozenset[str] = frozenset(),
) -> Preview:
    """Say which messages of the last days would have come with this change. Nothing is changed. Raises InvalidInput.

    What is `hidden` from whoever asks is left out, and counts for nothing.
    """
    if not 1 <= days <= MOST_DAYS:
        raise InvalidInput(f"From 1 to {MOST_DAYS} days.", field="days")
    patient = require_patient(clinic_id=clinic_id, patient_id=patient_id)
    standing = get_preferences(clinic_id=clinic_id, patient_id=patient_id)
    wanted = change.applied_to(standing) if change.said else standing
    with record(
        Action.PREFERENCES_PREVIEWED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=patient_id,
        fields=list(change.said),
        days=days,
    ):
        return _preview(patient, wanted, since=now - timedelta(days=days), until=now, hidden=hidden)


def _preview(
    patient: PatientFacts, wanted: PreferenceRow, *, since: datetime, until: datetime, hidden: frozenset[str]
) -> Preview:
    of_patient = Message.objects.in_clinic(patient.clinic_id).filter(patient_id=patient.id)
    of_patient = of_patient.none() if EVERY_PURPOSE in hidden else of_patient.exclude(purpose__slug__in=hidden)
    rows = list(
        of_patient.filter(
            Q(state__in=RECEIVED, claimed_at__gt=since, claimed_at__lte=until)
            | Q(state=MessageState.WITHHELD, due_at__gt=since, due_at__lte=until)
        )
        .select_related("programme")
        .defer("sent_text")
        .order_by("-due_at", "-id")[: MOST_MESSAGES + 1]
    )
    preview = Preview(since=since, until=until, truncated=len(rows) > MOST_MESSAGES, together=wanted.digest)
    purposes = purposes_by_id({row.purpose_id for row in rows})
    found = (_Asked.of(row, purposes[row.purpose_id]) for row in rows[:MOST_MESSAGES])
    asked = sorted((one for one in found if one is not None), key=lambda one: (one.shown.at, one.shown.id))
    if not asked:
        return preview
    first = asked[0].shown.at
    before = of_patient.filter(
        programme__isnull=False,
        state__in=COUNTED,
        sent_with=None,
        claimed_at__gt=first - LONGEST_CAP,
        claimed_at__lt=first,
    )
    replay = _Replay(
        wanted=wanted,
        clinic=get_clinic(patient.clinic_id),
        patient=patient,
        until=until,
        contacts=[at for at in before.values_list("claimed_at", flat=True) if at is not None],
    )
    replay.run(asked)
    for one in asked:
        _place(preview, one.shown)
    return preview


def _place(preview: Preview, one: PreviewedMessage) -> None:
    if not one.received:
        if one.would_come_at is not None:
            preview.added.append(one)
    elif one.would_come_at is None:
        preview.not_sent.append(one)
    elif one.would_come_at > one.at:
        preview.later.append(one)
    else:
        preview.kept.append(one)


@dataclass(slots=True, kw_only=True)
class _Asked:
    """A message that is asked about again, and what of it stays as it was."""

    shown: PreviewedMessage
    purpose: PurposeRow
    event_id: UUID | None
    open_channels: frozenset[Channel]
    counts: bool
    expires_at: datetime | None
    chosen: Channel | None = None

    @classmethod
    def of(cls, row: Message, purpose: PurposeRow) -> "_Asked | None":
        """None where something other than preferences stood against it."""
        verdict = Verdict.from_record(row.verdict) if "decided" in row.verdict else None
        received = row.state in RECEIVED
        if not received and (
            verdict is None or not BY_PREFERENCE & {*verdict.reasons} or not {*verdict.reasons} <= MAY_PASS
        ):
            return None
        own = Channel(row.channel)
        return cls(
            shown=PreviewedMessage(
                id=row.id,
                purpose=purpose.slug,
                programme="" if row.programme is None else row.programme.slug,
                step=row.step,
                at=(row.claimed_at if received else None) or row.due_at,
                received=received,
                with_another=row.sent_with is not None,
                was_channel=own,
                channel=own,
            ),
            purpose=purpose,
            event_id=None if verdict is None else verdict.consent_event_id or verdict.standing_event_id,
            open_channels=frozenset({own, *_open_channels(row.verdict.get("considered", {}))}),
            counts=row.programme_id is not None,
            expires_at=row.expires_at,
        )


def _open_channels(considered: dict[str, Any]) -> Iterable[Channel]:
    """The channels against which nothing but preferences stood when the message was planned."""
    for channel, said in considered.items():
        if {Reason(code) for code in said["reasons"]} <= MAY_PASS:
            yield Channel(channel)


@dataclass(slots=True, kw_only=True)
class _Replay:
    """The period once more, in the order of its hours: who waits is asked again when the waiting is over."""

    wanted: PreferenceRow
    clinic: ClinicFacts
    patient: PatientFacts
    until: datetime
    contacts: list[datetime]
    together: set[tuple[datetime, Channel]] = field(default_factory=set)

    def run(self, asked: Sequence[_Asked]) -> None:
        """Decide about each. Waiting only ever ends later, and nobody is asked again after the period."""
        waiting = [(one.shown.at, place) for place, one in enumerate(asked)]
        heapify(waiting)
        while waiting:
            moment, place = heappop(waiting)
            one = asked[place]
            if moment > self.until:
                one.shown.would_come_at = moment
                continue
            verdict = self._decide(one, moment)
            one.shown.reasons = _in_order({*one.shown.reasons, *verdict.reasons})
            if verdict.decided is Decided.ALLOW:
                one.shown.would_come_at = moment
                sending = (moment, one.shown.channel)
                if one.counts and sending not in self.together:
                    self.contacts.append(moment)
                    if self.wanted.digest:
                        self.together.add(sending)
            elif verdict.until is not None:
                heappush(waiting, (verdict.until, place))

    def _decide(self, one: _Asked, moment: datetime) -> Verdict:
        if one.chosen is not None:
            return decide(self._facts(one, one.chosen, moment))
        order = [channel for channel in self.wanted.channel_order if channel in one.open_channels]
        order += [channel for channel in Channel if channel in one.open_channels and channel not in order]
        verdicts = [(channel, decide(self._facts(one, channel, moment))) for channel in order]
        going = [pair for pair in verdicts if pair[1].decided is not Decided.DENY]
        if not going:
            # The reasons of its own channel are those that the patient can compare with what happened.
            return dict(verdicts)[one.shown.was_channel]
        one.chosen, verdict = going[0]
        one.shown.channel = one.chosen
        return verdict

    def _facts(self, one: _Asked, channel: Channel, moment: datetime) -> ContactFacts:
        zone = self.wanted.time_zone or self.clinic.time_zone
        contacts = list(self.contacts)
        if (moment, channel) in self.together:
            contacts.remove(moment)
        return ContactFacts(
            now=moment,
            channel=channel,
            purpose=replace(one.purpose.facts, channels=frozenset(Channel)),
            deceased=False,
            erased=False,
            restricted=False,
            objections=frozenset(),
            consents=(
                ConsentFact(
                    purpose=one.purpose.slug, channel=channel, status=ConsentStatus.GIVEN, event_id=one.event_id
                ),
            ),
            contact_point=ContactPointFacts(status=ContactStatus.VERIFIED),
            preference=self.wanted.facts(time_zone=zone, recent_contacts=contacts),
            time_zone=zone,
            expires_at=one.expires_at,
            most_per_day=settings.ACCORD_MOST_PER_DAY,
            closed_days=closed_days(self.clinic, self.patient, time_zone=zone, now=moment),
        )


def _in_order(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    return tuple(sorted(reasons, key=REASON_ORDER.__getitem__))
