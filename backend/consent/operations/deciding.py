"""A patient says yes, no, or no longer: one immutable event per purpose and channel, and the state that follows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from dateutil.relativedelta import relativedelta
from django.conf import settings
from django.db import transaction

from backend.attempts.operations import drain_attempts
from backend.audit.actions import Action
from backend.audit.actors import Actor, ActorKind
from backend.audit.recording import Draft, Entry, record_many
from backend.consent.models import ConsentEvent, ConsentState, NoticeServed
from backend.consent.operations.accompanying import Deciding, is_child
from backend.consent.operations.expressing import (
    SERVED,
    AlreadyAnswered,
    Expression,
    NoticeOutdated,
    ObjectionStands,
    PatientHasDied,
    SaidMeanwhile,
    refuse_missing_evidence,
)
from backend.consent.operations.standing import apply_event
from backend.consent.queries import NoticeRow, PurposeRow, get_notice, get_purpose, is_objected, latest_notices
from backend.errors import InvalidInput
from backend.patients.queries import lock_patient, require_patient
from backend.patients.suppression import lift_for_consent, liftable_points
from backend.policy.vocabulary import (
    Audience,
    Channel,
    ConsentStatus,
    Decision,
    EventKind,
    Language,
    LegalBasis,
    Method,
)
from backend.vault.identifiers import new_id

KIND_OF: Final = {
    Decision.GIVEN: EventKind.GIVEN,
    Decision.REFUSED: EventKind.REFUSED,
    Decision.WITHDRAWN: EventKind.WITHDRAWN,
}
ACTION_OF: Final = {
    EventKind.PENDING: Action.CONSENT_PENDING,
    EventKind.GIVEN: Action.CONSENT_GIVEN,
    EventKind.RENEWED: Action.CONSENT_RENEWED,
    EventKind.REFUSED: Action.CONSENT_REFUSED,
    EventKind.WITHDRAWN: Action.CONSENT_WITHDRAWN,
}
RENEWS: Final = frozenset({ConsentStatus.GIVEN, ConsentStatus.EXPIRED, ConsentStatus.RECONSENT_REQUIRED})


SAID_THEMSELVES: Final = frozenset({Method.APP, Method.DOUBLE_OPT_IN})
"""Here nobody stands between the patient and what is recorded."""
MOST_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Said:
    """Where it stands now, and until when a yes is valid."""

    status: ConsentStatus
    valid_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentGiven:
    """What was recorded: one event per channel."""

    events: dict[Channel, UUID]
    status: ConsentStatus
    valid_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """Recorded at once. `confirmed` says that nothing more leaves; else the messages in doubt are named."""

    events: dict[Channel, UUID]
    status: ConsentStatus
    confirmed: bool
    already_left: tuple[UUID, ...]
    in_doubt: tuple[UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Saying:
    """One thing that one patient says of one purpose, on some channels."""

    decision: Decision
    clinic_id: UUID
    patient_id: UUID
    purpose: PurposeRow
    events: dict[Channel, UUID]
    notice: NoticeRow | None
    expression: Expression
    actor: Actor
    now: datetime

    def drafts(self, kinds: Mapping[Channel, EventKind]) -> list[Draft]:
        """An entry per channel."""
        return [self._draft(channel, kind) for channel, kind in kinds.items()]

    def _draft(self, channel: Channel, kind: EventKind) -> Draft:
        details: dict[str, object] = {
            "purpose": self.purpose.slug,
            "channel": channel.value,
            "method": self.expression.method.value,
            "event": self.events[channel],
        }
        if self.notice is not None:
            details["notice_version"] = self.notice.version
        return Draft(action=ACTION_OF[kind], clinic_id=self.clinic_id, about=(self.patient_id,), details=details)

    def states(self) -> dict[Channel, ConsentState]:
        """Where these streams stand."""
        rows = ConsentState.objects.filter(
            patient_id=self.patient_id, purpose_id=self.purpose.id, channel__in=list(self.events)
        )
        return {Channel(row.channel): row for row in rows.select_related("last_event", "standing_event")}

    def kinds(self, states: Mapping[Channel, ConsentState], deciding: Deciding) -> dict[Channel, EventKind]:
        """What this is for each channel: a first yes, one more, or one that waits for the other who must say it too."""
        return {channel: self._kind(states.get(channel), deciding) for channel in self.events}

    def _kind(self, state: ConsentState | None, deciding: Deciding) -> EventKind:
        if self.decision is not Decision.GIVEN:
            return KIND_OF[self.decision]
        if not deciding.is_complete(self.speakers(state)):
            return EventKind.PENDING
        renews = state is not None and ConsentStatus(state.status) in RENEWS
        return EventKind.RENEWED if renews else EventKind.GIVEN

    def speakers(self, state: ConsentState | None) -> list[dict[str, str]]:
        """Who said it; together with whoever said yes to the same notice before and waits for the other."""
        said = self.expression.speakers()
        waiting = None if state is None or state.status != ConsentStatus.PENDING else state.standing_event
        if self.decision is not Decision.GIVEN or waiting is None or self.notice is None:
            return said
        if state is None or state.notice_version != self.notice.version:
            return said
        return sorted([*said, *(one for one in waiting.expressed_by if one not in said)], key=lambda one: one["role"])

    def _refuse_if_outdated(self, state: ConsentState | None) -> None:
        # A withdrawal is never refused, whatever the clocks of two machines say.
        if state is None or self.decision is Decision.WITHDRAWN:
            return
        if self.expression.occurred_at < state.last_event.occurred_at:
            raise SaidMeanwhile

    def write(
        self, states: Mapping[Channel, ConsentState], kinds: Mapping[Channel, EventKind], deciding: Deciding
    ) -> Said:
        """An event per channel, and the states that follow. Inside `record` and behind the patient's lock only."""
        valid_until = None
        if self.decision is Decision.GIVEN and self.purpose.validity_months:
            valid_until = self.expression.occurred_at + relativedelta(months=self.purpose.validity_months)
        status = ConsentStatus.NONE
        for channel, event_id in self.events.items():
            state = states.get(channel)
            self._refuse_if_outdated(state)
            speakers = self.speakers(state)
            event = ConsentEvent.objects.create(
                id=event_id,
                clinic_id=self.clinic_id,
                patient_id=self.patient_id,
                purpose_id=self.purpose.id,
                channel=channel,
                number=1 if state is None else state.last_event.number + 1,
                kind=kinds[channel],
                method=self.expression.method,
                legal_basis=LegalBasis.CONSENT,
                occurred_at=self.expression.occurred_at,
                recorded_at=self.now,
                valid_until=valid_until,
                guardian_until=deciding.guardian_until(speakers, valid_until=valid_until),
                about_id=self.expression.answers,
                notice_id=None if self.notice is None else self.notice.id,
                notice_sha256="" if self.notice is None else self.notice.sha256,
                language="" if self.notice is None else self.notice.language,
                expressed_by=speakers,
                recorded_by=self.actor.header,
                evidence=self.expression.evidence or None,
            )
            status = ConsentStatus(apply_event(state, event).status)
        return Said(status, valid_until)


def give_consent(
    *,
    clinic_id: UUID,
    patient_id: UUID,
    purpose: str,
    channels: Sequence[Channel],
    notice_version: int,
    language: Language,
    expression: Expression,
    actor: Actor,
    now: datetime,
) -> ConsentGiven:
    """Record a yes to one purpose on these channels (GDPR Art. 7(1): who, when, how, to which words).

    Where child and parent must both say yes, the first of the two leaves it pending, and the second makes it a yes.
    Raises NoticeOutdated, EvidenceMissing, AgeUnknown, ObjectionStands, PatientHasDied, SaidMeanwhile, InvalidInput,
    NotFound.
    """
    return _say(
        Decision.GIVEN,
        clinic_id=clinic_id,
        patient_id=patient_id,
        purpose=purpose,
        channels=channels,
        notice_version=notice_version,
        language=language,
        expression=expression,
        actor=actor,
        now=now,
    )


def refuse_consent(
    *,
    clinic_id: UUID,
    patient_id: UUID,
    purpose: str,
    channels: Sequence[Channel],
    notice_version: int,
    language: Language,
    expression: Expression,
    actor: Actor,
    now: datetime,
) -> ConsentGiven:
    """Record a no to one purpose on these channels: it counts like silence, and nobody needs to ask again."""
    return _say(
        Decision.REFUSED,
        clinic_id=clinic_id,
        patient_id=patient_id,
        purpose=purpose,
        channels=channels,
        notice_version=notice_version,
        language=language,
        expression=expression,
        actor=actor,
        now=now,
    )


def withdraw_consent(
    *,
    clinic_id: UUID,
    patient_id: UUID,
    purpose: str,
    channels: Sequence[Channel],
    method: Method,
    actor: Actor,
    now: datetime,
    patience: timedelta | None = None,
) -> Withdrawal:
    """When this returns confirmed, no message for this purpose leaves by these channels any more (GDPR Art. 7(3)).

    Needs no notice and no proof, is idempotent, and drains again each time. Waits for what is just being handed over,
    at most a lease and a margin (`patience` in place of the lease, where somebody behind a link can not wait so long);
    then the answer names what had left and what is in doubt. Refuses to run inside an
    outer transaction, where the fence would not be committed while it drains.
    """
    row = get_purpose(clinic_id=clinic_id, slug=purpose)
    wanted = checked_channels(row, channels)
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    saying = _Saying(
        decision=Decision.WITHDRAWN,
        clinic_id=clinic_id,
        patient_id=patient_id,
        purpose=row,
        events={channel: new_id() for channel in wanted},
        notice=None,
        expression=_said_by(actor, method=method, at=now),
        actor=actor,
        now=now,
    )
    kinds = dict.fromkeys(wanted, EventKind.WITHDRAWN)
    with record_many(saying.drafts(kinds), by=actor, now=now, durable=True):
        lock_patient(clinic_id=clinic_id, patient_id=patient_id)
        status = saying.write(saying.states(), kinds, Deciding.freely()).status
    drained = drain_attempts(
        patient_id=patient_id,
        purposes=[row.slug],
        channels=wanted,
        lease=timedelta(seconds=settings.ACCORD_LEASE_SECONDS) if patience is None else patience,
    )
    return Withdrawal(
        events=saying.events,
        status=status,
        confirmed=drained.confirmed,
        already_left=drained.already_left,
        in_doubt=drained.in_doubt,
    )


def _said_by(actor: Actor, *, method: Method, at: datetime) -> Expression:
    """Whoever withdraws in the app says it themselves, the patient or who represents them."""
    if actor.kind is not ActorKind.REPRESENTATIVE or actor.id is None:
        return Expression(method=method, occurred_at=at)
    return Expression(method=method, occurred_at=at, by_patient=False, representatives=(actor.id,))


def _say(
    decision: Decision,
    *,
    clinic_id: UUID,
    patient_id: UUID,
    purpose: str,
    channels: Sequence[Channel],
    notice_version: int,
    language: Language,
    expression: Expression,
    actor: Actor,
    now: datetime,
) -> ConsentGiven:
    row = get_purpose(clinic_id=clinic_id, slug=purpose)
    wanted = checked_channels(row, channels)
    notice = current_notice(clinic_id, notice_version, language)
    refuse_missing_evidence(expression)
    _refuse_another_showing(expression, patient_id=patient_id, notice=notice)
    if expression.occurred_at > now:
        raise InvalidInput("This lies in the future.", field="occurred_at")
    if require_patient(clinic_id=clinic_id, patient_id=patient_id).is_deceased:
        raise PatientHasDied
    saying = _Saying(
        decision=decision,
        clinic_id=clinic_id,
        patient_id=patient_id,
        purpose=row,
        events={channel: new_id() for channel in wanted},
        notice=notice,
        expression=expression,
        actor=actor,
        now=now,
    )
    kinds = saying.kinds(saying.states(), Deciding.freely())
    for _again in range(MOST_TRIES):
        try:
            with transaction.atomic():
                with record_many(saying.drafts(kinds), by=actor, now=now) as entry:
                    said = _say_behind_the_lock(saying, kinds, entry)
                if said.status is ConsentStatus.GIVEN and expression.method in SAID_THEMSELVES:
                    _lift_suppressions(saying)
        except _OtherThanPlanned as other:
            # The entry names the kind of event, and only behind it can be told which one it is.
            kinds = other.kinds
            continue
        return ConsentGiven(events=saying.events, status=said.status, valid_until=said.valid_until)
    raise SaidMeanwhile


def _refuse_another_showing(expression: Expression, *, patient_id: UUID, notice: NoticeRow) -> None:
    """Where the evidence names a showing of the notice, it was this notice that this patient was shown.

    In the words for everybody or in those for children: which, is looked at where the patient's age is known.
    """
    served = expression.evidence.get(SERVED)
    if served is None:
        return
    of_this_notice = NoticeServed.objects.filter(
        patient_id=patient_id,
        notice__version=notice.version,
        notice__language=notice.language,
    )
    if not of_this_notice.filter(id=served).exists():
        raise InvalidInput("This notice was not shown to this patient.", field=f"shown.{SERVED}")


class _OtherThanPlanned(Exception):
    def __init__(self, kinds: dict[Channel, EventKind]) -> None:
        super().__init__()
        self.kinds = kinds


def _lift_suppressions(saying: _Saying) -> None:
    """Who says yes themselves, to an address that they verified since they stopped everything there, is back."""
    if not saying.expression.by_patient:
        return
    for channel in saying.events:
        for point_id in liftable_points(patient_id=saying.patient_id, channel=channel):
            lift_for_consent(
                clinic_id=saying.clinic_id,
                patient_id=saying.patient_id,
                contact_point_id=point_id,
                channel=channel,
                actor=saying.actor,
                now=saying.now,
            )


def _say_behind_the_lock(saying: _Saying, kinds: Mapping[Channel, EventKind], entry: Entry) -> Said:
    lock_patient(clinic_id=saying.clinic_id, patient_id=saying.patient_id)
    answers = saying.expression.answers
    if answers is not None and ConsentEvent.objects.filter(about_id=answers).exists():
        raise AlreadyAnswered
    deciding = Deciding.freely()
    if saying.decision is Decision.GIVEN:
        if is_objected(patient_id=saying.patient_id, purpose=saying.purpose):
            raise ObjectionStands
        deciding = Deciding.of(
            clinic_id=saying.clinic_id,
            patient_id=saying.patient_id,
            expression=saying.expression,
            entry=entry,
            now=saying.now,
        )
    states = saying.states()
    found = saying.kinds(states, deciding)
    if found != kinds:
        raise _OtherThanPlanned(found)
    return replace(saying, notice=_notice_shown(saying, deciding, entry)).write(states, kinds, deciding)


def _notice_shown(saying: _Saying, deciding: Deciding, entry: Entry) -> NoticeRow | None:
    """The words that whoever said it was shown: a child has a text of their own, where the notice has one."""
    if saying.notice is None:
        return None
    is_joint = deciding.needs_both or (
        saying.decision is Decision.REFUSED
        and is_child(clinic_id=saying.clinic_id, patient_id=saying.patient_id, entry=entry, now=saying.now)
    )
    audience = saying.expression.shown_to or _audience_served(saying.expression)
    if audience is None:
        audience = Audience.CHILD if is_joint and saying.expression.by_patient else Audience.EVERYBODY
    elif audience is Audience.CHILD and not is_joint and saying.expression.shown_to is None:
        # What a child is told leaves out what everybody else has to know.
        raise InvalidInput("This patient is no child: show the notice for everybody.", field=f"shown.{SERVED}")
    return notice_for(saying.notice, audience, clinic_id=saying.clinic_id)


def _audience_served(expression: Expression) -> Audience | None:
    """For whom the words were that the evidence names a showing of; None where it names none."""
    served = expression.evidence.get(SERVED)
    if served is None:
        return None
    return Audience(NoticeServed.objects.values_list("notice__audience", flat=True).get(id=served))


def notice_for(notice: NoticeRow, audience: Audience, *, clinic_id: UUID) -> NoticeRow:
    """The same version and language in the words for this audience; as it is where it has none."""
    own = latest_notices(clinic_id, audience).get(notice.language)
    return own if own is not None and own.version == notice.version else notice


def checked_channels(purpose: PurposeRow, channels: Sequence[Channel]) -> tuple[Channel, ...]:
    """The channels that are named, each once. Raises InvalidInput where this purpose is not asked for on one."""
    wanted = tuple(dict.fromkeys(channels))
    if not wanted:
        raise InvalidInput("Name at least one channel.", field="channels")
    foreign = [channel.value for channel in wanted if channel not in purpose.channels]
    if foreign or not purpose.requires_consent:
        raise InvalidInput("This purpose is not asked for on this channel.", field="channels", channels=foreign)
    return wanted


def current_notice(clinic_id: UUID, version: int, language: Language) -> NoticeRow:
    """The notice that stands now. Raises NoticeOutdated where it is another one, NotFound."""
    notice = get_notice(clinic_id=clinic_id, version=version, language=language)
    newest = latest_notices(clinic_id).get(language)
    if newest is None or newest.version != notice.version:
        raise NoticeOutdated
    return notice
