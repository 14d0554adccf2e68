"""Planning: which message, by which channel, in which words; or why not. Decided here, and again at the gate."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import reduce
from operator import or_
from typing import Any, Final, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import Draft, Entry, record
from backend.clinics.queries import get_clinic
from backend.consent.queries import PurposeRow, purposes_of
from backend.messaging.gate import Candidate, decide_all
from backend.messaging.models import Message
from backend.messaging.queries import TemplateWords, latest_templates
from backend.patients.entries import record_about_patients
from backend.patients.queries import (
    STANDS,
    ContactPointRow,
    PatientFacts,
    best_contact_point,
    contact_points_of,
    patients_by_id,
    reveal_profiles,
)
from backend.policy.ages import consent_needs_guardian
from backend.policy.contact import REASON_ORDER, Verdict
from backend.policy.vocabulary import Channel, Decided, Language, MessageState, Reason, Tone
from backend.preferences.queries import PreferenceRow, preferences_of
from backend.vault.identifiers import new_id

PLANNING: Final = "planning"
SENDING: Final = "sending"
OCCASION_CHANGED: Final = Reason.OCCASION_CHANGED.value
MAY_PASS: Final = frozenset({OCCASION_CHANGED, Reason.PROGRAMME_NOT_RUNNING.value})
AT_ONCE: Final = 500
PLANNERS_AT_ONCE: Final = 3
DECIDED: Final = (
    "channel",
    "contact_point",
    "template_version",
    "language",
    "tone",
    "verdict",
    "planned_at",
    "due_at",
    "state",
    "settled_at",
    "failure",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """One step of a programme that comes due for one patient. (enrolment, step, occurrence) makes one message, ever."""

    enrolment_id: UUID
    programme_id: UUID
    programme_running: bool
    patient_id: UUID
    occasion_id: UUID
    occasion_starts_at: datetime | None
    step: str
    occurrence: str
    purpose_id: UUID
    template: str
    due_at: datetime
    expires_at: datetime
    # Channels that were tried for this occurrence, and are not tried again.
    tried: frozenset[Channel] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was decided for one request: the channel and the words, or the reasons against."""

    request: PlanRequest
    channel: Channel
    contact_point_id: UUID | None
    language: Language
    tone: Tone
    template_version_id: UUID | None
    verdict: Verdict
    considered: dict[Channel, Verdict]

    @property
    def will_go(self) -> bool:
        """Is it allowed, now or once it is due?"""
        return self.verdict.decided is not Decided.DENY

    def as_record(self, *, stage: str) -> dict[str, Any]:
        """The verdict as it is stored with the message."""
        return {
            **self.verdict.as_record(),
            "stage": stage,
            "considered": {channel.value: verdict.as_record() for channel, verdict in self.considered.items()},
        }


@dataclass(slots=True)
class Planned:
    """What planning did, in numbers."""

    planned: int = 0
    withheld: int = 0
    reasons: Counter[Reason] = field(default_factory=Counter)


def choose(requests: Sequence[PlanRequest], *, clinic_id: UUID, entry: Entry, now: datetime) -> list[Choice]:
    """Decide for every request, changing nothing: the dry run and the planning share this.

    `entry` covers the clinic's patients: birth dates are looked at to find out who answers for a child.
    """
    around = Around.gathered(requests, clinic_id=clinic_id, entry=entry, now=now)
    options = [(request, around.options(request)) for request in requests]
    candidates = [option.candidate(request, clinic_id=clinic_id) for request, own in options for option in own]
    verdicts = iter(decide_all(candidates, now=now))
    return [_best(request, [(option, next(verdicts)) for option in own]) for request, own in options]


def plan_messages(*, clinic_id: UUID, requests: Sequence[PlanRequest], actor: Actor, now: datetime) -> Planned:
    """Make the messages of these requests, allowed or withheld with all reasons; those made before are left alone.

    A message that was withheld when it was planned is decided again as long as it is of use: consent may have come.
    """
    for _again in range(PLANNERS_AT_ONCE):
        # Somebody else planned the same at the same time: what they made stands, and the rest is planned again.
        with suppress(IntegrityError):
            return _plan(clinic_id=clinic_id, requests=requests, actor=actor, now=now)
    return _plan(clinic_id=clinic_id, requests=requests, actor=actor, now=now)


def _plan(*, clinic_id: UUID, requests: Sequence[PlanRequest], actor: Actor, now: datetime) -> Planned:
    standing = _standing_messages(requests)
    open_requests = [request for request in requests if _is_open(standing.get(_key(request)))]
    done = Planned()
    if not open_requests:
        return done
    with record(
        Action.PLANNING_STARTED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        whole_clinic=True,
        candidates=len(open_requests),
    ) as entry:
        choices = choose(open_requests, clinic_id=clinic_id, entry=entry, now=now)
    purposes = purposes_of(clinic_id)
    with transaction.atomic():
        fresh = [choice for choice in choices if _key(choice.request) not in standing]
        rows = [_message(choice, clinic_id=clinic_id, now=now) for choice in fresh]
        reconsidered = _still_open(
            [(standing[_key(choice.request)], choice) for choice in choices if _key(choice.request) in standing]
        )
        for row, choice in reconsidered:
            _fill(row, choice, now=now)
        decided = [*zip(rows, fresh, strict=True), *reconsidered]
        drafts = [_draft(row, choice, purposes[choice.request.purpose_id].slug) for row, choice in decided]
        if drafts:
            with record_about_patients(drafts, by=actor, now=now):
                Message.objects.bulk_create(rows)
                for row, _choice in reconsidered:
                    row.save(update_fields=DECIDED)
    for _row, choice in decided:
        if choice.will_go:
            done.planned += 1
        else:
            done.withheld += 1
            done.reasons.update(choice.verdict.reasons)
    return done


def _still_open(decided: Sequence[tuple[Message, Choice]]) -> list[tuple[Message, Choice]]:
    """Those that may go now and still stand as they were read, locked: nothing that left meanwhile is planned again."""
    going = {message.id: choice for message, choice in decided if choice.will_go}
    rows = Message.objects.filter(id__in=going).order_by("id").select_for_update(skip_locked=True).defer("sent_text")
    return [(row, going[row.id]) for row in rows if _is_open(row)]


def cancel_changed_messages(*, clinic_id: UUID, actor: Actor, now: datetime, at_once: int = AT_ONCE) -> int:
    """Cancel what was planned around an occasion that was moved or cancelled since; how many."""
    cancelled = 0
    while piece := _cancel_some(clinic_id=clinic_id, actor=actor, now=now, at_once=at_once):
        cancelled += piece
    return cancelled


def _cancel_some(*, clinic_id: UUID, actor: Actor, now: datetime, at_once: int) -> int:
    as_planned = Q(occasion__starts_at=F("occasion_starts_at")) & reduce(
        or_, (Q(occasion__kind=kind, occasion__status__in=statuses) for kind, statuses in STANDS.items())
    )
    with transaction.atomic():
        changed = list(
            Message.objects.in_clinic(clinic_id)
            # What follows no occasion is changed by none: a code, a link, the end of a consent.
            .filter(state__in=[MessageState.PLANNED, MessageState.DEFERRED], occasion__isnull=False)
            .exclude(as_planned)
            .order_by("id")
            .select_for_update(skip_locked=True, of=("self",))
            .values_list("id", "patient_id")[:at_once]
        )
        if not changed:
            return 0
        drafts = [
            Draft(
                action=Action.MESSAGE_CANCELLED,
                clinic_id=clinic_id,
                about=(patient_id,),
                details={"message": message_id, "reason": OCCASION_CHANGED},
            )
            for message_id, patient_id in changed
        ]
        with record_about_patients(drafts, by=actor, now=now):
            Message.objects.filter(id__in=[message_id for message_id, _patient in changed]).update(
                state=MessageState.CANCELLED, failure=OCCASION_CHANGED, settled_at=now
            )
    return len(changed)


# ------------------------------------------------------------------------------------------------------ choosing


class AsksFor(Protocol):
    """Anything that wants something said to a patient."""

    @property
    def patient_id(self) -> UUID:
        """To whom."""

    @property
    def template(self) -> str:
        """In which words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One channel a request could take."""

    channel: Channel
    point: ContactPointRow | None
    language: Language
    tone: Tone
    template_version_id: UUID | None

    def candidate(self, request: PlanRequest, *, clinic_id: UUID) -> Candidate:
        """The message that would go this way, as the gate asks about it."""
        return Candidate(
            clinic_id=clinic_id,
            patient_id=request.patient_id,
            purpose_id=request.purpose_id,
            channel=self.channel,
            contact_point_id=None if self.point is None else self.point.id,
            occasion_id=request.occasion_id,
            occasion_starts_at=request.occasion_starts_at,
            programme_running=request.programme_running,
            template_exists=self.template_version_id is not None,
            not_before=request.due_at,
            expires_at=request.expires_at,
        )


@dataclass(frozen=True, slots=True)
class Around:
    """What is known around a batch of requests, with a number of queries that does not depend on how many there are."""

    patients: dict[UUID, PatientFacts]
    points: dict[UUID, list[ContactPointRow]]
    preferences: dict[UUID, PreferenceRow]
    templates: dict[str, TemplateWords]
    purposes: dict[UUID, PurposeRow]
    children: frozenset[UUID]

    @classmethod
    def gathered(cls, requests: Sequence[AsksFor], *, clinic_id: UUID, entry: Entry, now: datetime) -> "Around":
        """Looked up now, under an entry that covers the clinic's patients: birth dates tell who is a child."""
        patient_ids = {request.patient_id for request in requests}
        points = contact_points_of(patient_ids)
        accompanied = {
            patient_id
            for patient_id, own in points.items()
            if any(point.representative_id is not None for point in own)
        }
        clinic = get_clinic(clinic_id)
        today = now.astimezone(ZoneInfo(clinic.time_zone)).date()
        children = {
            patient_id
            for patient_id, profile in reveal_profiles(accompanied, entry=entry).items()
            if profile.birth_date is not None and _is_child(profile.birth_date, today, clinic.country)
        }
        return cls(
            patients=patients_by_id(patient_ids),
            points=points,
            preferences=preferences_of(patient_ids),
            templates=latest_templates(clinic_id),
            purposes=purposes_of(clinic_id),
            children=frozenset(children),
        )

    def options(self, request: PlanRequest) -> list[Option]:
        """The channels of this request, the patient's own order first."""
        preferences = self.preferences.get(request.patient_id) or PreferenceRow()
        template = self.templates.get(request.template)
        purpose = self.purposes.get(request.purpose_id)
        spoken = set(purpose.channels if purpose else ()) & set(template.channels if template else Channel)
        spoken -= request.tried
        wanted = [channel for channel in preferences.channel_order if channel in spoken]
        wanted += [channel for channel in Channel if channel in spoken and channel not in wanted]
        return [self.option(request, channel) for channel in wanted or preferences.channel_order]

    def option(self, request: AsksFor, channel: Channel) -> Option:
        """The address, language and tone that this request would have on one channel."""
        preferences = self.preferences.get(request.patient_id) or PreferenceRow()
        template = self.templates.get(request.template)
        patient = self.patients.get(request.patient_id)
        language = preferences.language or (patient.language if patient else None) or Language.FRENCH
        tone = preferences.tone or Tone.FORMAL
        variant = template.best(channel, language, tone) if template else None
        point = best_contact_point(
            self.points.get(request.patient_id, ()),
            channel,
            of_representatives=request.patient_id in self.children,
        )
        return Option(
            channel=channel,
            point=point,
            language=variant[0] if variant else language,
            tone=variant[1] if variant else tone,
            template_version_id=template.version_id if template and variant else None,
        )


def _is_child(birth_date: date, today: date, country: str) -> bool:
    # Born tomorrow is a mistake of the source; until it is put right, it is the parents who are written to.
    return birth_date > today or consent_needs_guardian(birth_date, today, country)


def _best(request: PlanRequest, decided: Sequence[tuple[Option, Verdict]]) -> Choice:
    """The patient's first channel that is not denied; where all are, the one that came furthest."""
    going = [(option, verdict) for option, verdict in decided if verdict.decided is not Decided.DENY]
    option, verdict = going[0] if going else max(decided, key=lambda pair: _distance(pair[1]))
    return Choice(
        request=request,
        channel=option.channel,
        contact_point_id=None if option.point is None else option.point.id,
        language=option.language,
        tone=option.tone,
        template_version_id=option.template_version_id,
        verdict=verdict,
        considered={other.channel: said for other, said in decided},
    )


def _distance(verdict: Verdict) -> tuple[int, int]:
    """How far a denied channel came: by its first reason, then by how few there are."""
    return min((REASON_ORDER[reason] for reason in verdict.reasons), default=0), -len(verdict.reasons)


# ------------------------------------------------------------------------------------------------------- writing


def _key(request: PlanRequest) -> tuple[UUID, str, str]:
    return (request.enrolment_id, request.step, request.occurrence)


def _standing_messages(requests: Iterable[PlanRequest]) -> dict[tuple[UUID, str, str], Message]:
    rows = Message.objects.filter(enrolment_id__in={request.enrolment_id for request in requests})
    return {(row.enrolment_id, row.step, row.occurrence): row for row in rows.defer("sent_text")}


def _is_open(message: Message | None) -> bool:
    """May planning decide on it? On what was never handed over, and was stopped by what can pass.

    That is: by planning itself, by its occasion, or because its programme was paused when it came due.
    """
    if message is None:
        return True
    if message.state == MessageState.CANCELLED:
        # The appointment was moved away and back again.
        return bool(message.failure == OCCASION_CHANGED)
    if message.state != MessageState.WITHHELD:
        return False
    reasons = message.verdict.get("reasons") or ()
    return message.verdict.get("stage") == PLANNING or (bool(reasons) and set(reasons) <= MAY_PASS)


def _message(choice: Choice, *, clinic_id: UUID, now: datetime) -> Message:
    request = choice.request
    row = Message(
        id=new_id(),
        clinic_id=clinic_id,
        patient_id=request.patient_id,
        enrolment_id=request.enrolment_id,
        programme_id=request.programme_id,
        occasion_id=request.occasion_id,
        occasion_starts_at=request.occasion_starts_at,
        step=request.step,
        occurrence=request.occurrence,
        purpose_id=request.purpose_id,
        expires_at=request.expires_at,
    )
    _fill(row, choice, now=now)
    return row


def _fill(row: Message, choice: Choice, *, now: datetime) -> None:
    row.channel = choice.channel
    row.contact_point_id = choice.contact_point_id
    row.template_version_id = choice.template_version_id
    row.language = choice.language
    row.tone = choice.tone
    row.verdict = choice.as_record(stage=PLANNING)
    row.planned_at = now
    row.due_at = choice.verdict.until or choice.request.due_at
    row.state = MessageState.PLANNED if choice.will_go else MessageState.WITHHELD
    row.settled_at = None if choice.will_go else now
    row.failure = ""


def _draft(row: Message, choice: Choice, purpose: str) -> Draft:
    details: dict[str, object] = {"message": row.id, "purpose": purpose, "channel": choice.channel.value}
    if choice.will_go:
        action = Action.MESSAGE_PLANNED
        details["step"] = choice.request.step
    else:
        action = Action.MESSAGE_WITHHELD
        details["reasons"] = [reason.value for reason in choice.verdict.reasons]
        details["rules"] = choice.verdict.rules_version
        details["consent_event"] = str(choice.verdict.standing_event_id or "none")
    return Draft(action=action, clinic_id=row.clinic_id, about=(row.patient_id,), details=details)
