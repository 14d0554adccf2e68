"""A patient says yes, no, or no longer: one immutable event per purpose and channel, and the state that follows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta
from django.conf import settings

from backend.attempts.operations import drain_attempts
from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import Draft, Entry, record_many
from backend.clinics.queries import get_clinic
from backend.consent.models import ConsentEvent, ConsentState
from backend.consent.queries import NoticeRow, PurposeRow, get_notice, get_purpose, latest_notices
from backend.errors import DomainError, InvalidInput
from backend.patients.queries import lock_patient, representatives_of, require_patient, reveal_profiles
from backend.policy.ages import consent_needs_guardian
from backend.policy.vocabulary import Channel, ConsentStatus, Decision, Language, LegalBasis, Method
from backend.vault.identifiers import new_id

STATUS_AFTER: Final = {
    Decision.GIVEN: ConsentStatus.GIVEN,
    Decision.REFUSED: ConsentStatus.REFUSED,
    Decision.WITHDRAWN: ConsentStatus.WITHDRAWN,
}
ACTION_OF: Final = {
    Decision.GIVEN: Action.CONSENT_GIVEN,
    Decision.REFUSED: Action.CONSENT_REFUSED,
    Decision.WITHDRAWN: Action.CONSENT_WITHDRAWN,
}
EVIDENCE_OF: Final = {
    Method.APP: frozenset({"notice_version", "initial_state"}),
    Method.PAPER_FORM: frozenset({"form_reference", "signed_on"}),
    Method.VERBAL: frozenset({"script_version", "spoken_at"}),
    Method.STAFF_WITHDRAWAL: frozenset[str](),
}


class NoticeOutdated(DomainError):
    """A yes or no must be said to the notice that stands now."""

    code = "notice_outdated"
    sentence = "The notice has changed: show the current one and ask again."


class ConsentNeedsGuardian(DomainError):
    """Under the age of consent a holder of parental authority says yes too, together with the child (LIL art. 45)."""

    code = "consent_needs_guardian"
    sentence = "At this age a parent or guardian must say yes together with the child."


class EvidenceMissing(InvalidInput):
    """A way of taking a consent down asks for its evidence."""

    code = "evidence_missing"
    sentence = "This way of consenting needs its evidence."


class PatientHasDied(DomainError):
    """Nobody can consent for the dead."""

    code = "patient_deceased"
    sentence = "This patient has died."


class SaidMeanwhile(DomainError):
    """Something that is entered late does not undo what the patient said after it."""

    code = "said_meanwhile"
    sentence = "The patient has said something else since then: ask again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """How it was said: the method, its evidence (sealed), when, and by which representatives besides the patient.

    `by_patient` is False where only a representative spoke.
    """

    method: Method
    occurred_at: datetime
    evidence: dict[str, Any] = field(default_factory=dict)
    by_patient: bool = True
    representatives: tuple[UUID, ...] = ()

    def speakers(self) -> list[dict[str, str]]:
        """Who said it, as it is stored: roles, and the ids of representatives."""
        own = [{"role": "patient"}] if self.by_patient else []
        return own + [{"role": "representative", "id": str(one)} for one in self.representatives]


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

    def drafts(self) -> list[Draft]:
        """An entry per channel."""
        return [self._draft(channel) for channel in self.events]

    def _draft(self, channel: Channel) -> Draft:
        details: dict[str, object] = {
            "purpose": self.purpose.slug,
            "channel": channel.value,
            "method": self.expression.method.value,
            "event": self.events[channel],
        }
        if self.notice is not None:
            details["notice_version"] = self.notice.version
        return Draft(
            action=ACTION_OF[self.decision], clinic_id=self.clinic_id, about=(self.patient_id,), details=details
        )

    def _refuse_if_outdated(self, state: ConsentState | None) -> None:
        # A withdrawal is never refused, whatever the clocks of two machines say.
        if state is None or self.decision is Decision.WITHDRAWN:
            return
        if self.expression.occurred_at < state.last_event.occurred_at:
            raise SaidMeanwhile

    def write(self) -> datetime | None:
        """An event per channel, and the states that follow. Inside `record` only; until when a yes is valid."""
        lock_patient(clinic_id=self.clinic_id, patient_id=self.patient_id)
        valid_until = None
        if self.decision is Decision.GIVEN and self.purpose.validity_months:
            valid_until = self.expression.occurred_at + relativedelta(months=self.purpose.validity_months)
        for channel, event_id in self.events.items():
            states = ConsentState.objects.of(patient_id=self.patient_id, purpose_id=self.purpose.id, channel=channel)
            state = states.select_related("last_event").first()
            self._refuse_if_outdated(state)
            event = ConsentEvent.objects.create(
                id=event_id,
                clinic_id=self.clinic_id,
                patient_id=self.patient_id,
                purpose_id=self.purpose.id,
                channel=channel,
                number=1 if state is None else state.last_event.number + 1,
                decision=self.decision,
                method=self.expression.method,
                legal_basis=LegalBasis.CONSENT,
                occurred_at=self.expression.occurred_at,
                recorded_at=self.now,
                valid_until=valid_until,
                notice_id=None if self.notice is None else self.notice.id,
                notice_sha256="" if self.notice is None else self.notice.sha256,
                language="" if self.notice is None else self.notice.language,
                expressed_by=self.expression.speakers(),
                recorded_by=self.actor.header,
                evidence=self.expression.evidence or None,
            )
            apply_event(state, event)
        return valid_until


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

    Raises NoticeOutdated, EvidenceMissing, ConsentNeedsGuardian, PatientHasDied, SaidMeanwhile, InvalidInput, NotFound.
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
) -> Withdrawal:
    """When this returns confirmed, no message for this purpose leaves by these channels any more (GDPR Art. 7(3)).

    Needs no notice and no proof, is idempotent, and drains again each time. Waits for what is just being handed over,
    at most a lease and a margin; then the answer names what had left and what is in doubt. Refuses to run inside an
    outer transaction, where the fence would not be committed while it drains.
    """
    row = get_purpose(clinic_id=clinic_id, slug=purpose)
    wanted = _checked_channels(row, channels)
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    saying = _Saying(
        decision=Decision.WITHDRAWN,
        clinic_id=clinic_id,
        patient_id=patient_id,
        purpose=row,
        events={channel: new_id() for channel in wanted},
        notice=None,
        expression=Expression(method=method, occurred_at=now),
        actor=actor,
        now=now,
    )
    with record_many(saying.drafts(), by=actor, now=now, durable=True):
        saying.write()
    drained = drain_attempts(
        patient_id=patient_id,
        purpose=row.slug,
        channels=wanted,
        lease=timedelta(seconds=settings.ACCORD_LEASE_SECONDS),
    )
    return Withdrawal(
        events=saying.events, confirmed=drained.confirmed, already_left=drained.already_left, in_doubt=drained.in_doubt
    )


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
    wanted = _checked_channels(row, channels)
    notice = _current_notice(clinic_id, notice_version, language)
    _refuse_missing_evidence(expression)
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
    with record_many(saying.drafts(), by=actor, now=now) as entry:
        if decision is Decision.GIVEN:
            _refuse_unaccompanied_child(entry, saying)
        valid_until = saying.write()
    return ConsentGiven(events=saying.events, status=STATUS_AFTER[decision], valid_until=valid_until)


def _checked_channels(purpose: PurposeRow, channels: Sequence[Channel]) -> tuple[Channel, ...]:
    wanted = tuple(dict.fromkeys(channels))
    if not wanted:
        raise InvalidInput("Name at least one channel.", field="channels")
    foreign = [channel.value for channel in wanted if channel not in purpose.channels]
    if foreign or not purpose.requires_consent:
        raise InvalidInput("This purpose is not asked for on this channel.", field="channels", channels=foreign)
    return wanted


def _current_notice(clinic_id: UUID, version: int, language: Language) -> NoticeRow:
    notice = get_notice(clinic_id=clinic_id, version=version, language=language)
    newest = latest_notices(clinic_id).get(language)
    if newest is None or newest.version != notice.version:
        raise NoticeOutdated
    return notice


def _refuse_missing_evidence(expression: Expression) -> None:
    missing = EVIDENCE_OF[expression.method] - expression.evidence.keys()
    if missing:
        raise EvidenceMissing(field=f"evidence.{min(missing)}", missing=sorted(missing))
    if expression.evidence.get("initial_state", "off") != "off":
        raise InvalidInput("A box that was ticked beforehand is no consent.", field="evidence.initial_state")


def _refuse_unaccompanied_child(entry: Entry, saying: _Saying) -> None:
    patient_id, expression = saying.patient_id, saying.expression
    unknown = set(expression.representatives) - set(representatives_of([patient_id]).get(patient_id, ()))
    if unknown:
        raise InvalidInput("This person does not represent the patient.", field="representatives")
    profile = reveal_profiles([patient_id], entry=entry).get(patient_id)
    born = None if profile is None else profile.birth_date
    clinic = get_clinic(saying.clinic_id)
    today = saying.now.astimezone(ZoneInfo(clinic.time_zone)).date()
    # Born tomorrow is a mistake of the source: until it is put right, a guardian is asked too.
    if born is not None and (born > today or consent_needs_guardian(born, today, clinic.country)):
        if not expression.representatives or not expression.by_patient:
            raise ConsentNeedsGuardian
    elif not expression.by_patient:
        raise InvalidInput("At this age nobody consents in place of the patient.", field="representatives")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one purpose on one channel stands, as its events say."""

    status: ConsentStatus
    since: datetime
    valid_until: datetime | None
    last_event_id: UUID


def standing_after(before: tuple[ConsentStatus, datetime] | None, event: ConsentEvent) -> Standing:
    """Where it stands after one more event; writing and rebuilding use this one rule.

    Whoever withdraws again has withdrawn since the first time; a yes or no said again counts anew.
    """
    status = STATUS_AFTER[Decision(event.decision)]
    said_again = status is ConsentStatus.WITHDRAWN and before is not None and before[0] is status
    since = before[1] if said_again and before is not None else event.recorded_at
    return Standing(status, since, event.valid_until, event.id)


def apply_event(state: ConsentState | None, event: ConsentEvent) -> ConsentState:
    """The state after one more event. Inside `record` only."""
    before = None if state is None else (ConsentStatus(state.status), state.since)
    return write_state(state, event, standing_after(before, event))


def write_state(state: ConsentState | None, event: ConsentEvent, standing: Standing) -> ConsentState:
    """Store where the stream of this event stands. Inside `record` only."""
    if state is None:
        state = ConsentState(
            clinic_id=event.clinic_id, patient_id=event.patient_id, purpose_id=event.purpose_id, channel=event.channel
        )
    state.status, state.since, state.valid_until = standing.status, standing.since, standing.valid_until
    state.last_event_id = standing.last_event_id
    state.save()
    return state
