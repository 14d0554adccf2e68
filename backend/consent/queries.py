"""Questions about purposes, notices, consent events and states."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Q

from backend.audit.leaf import canonical_json
from backend.consent.models import ConsentEvent, ConsentState, Notice, Objection, Purpose, ReceiptKey
from backend.errors import NotFound
from backend.policy.contact import EVERY_MARKETING, ConsentFact, PurposeFacts
from backend.policy.vocabulary import (
    Audience,
    Channel,
    ConsentStatus,
    Decision,
    EventKind,
    Language,
    Materiality,
    Method,
    Nature,
    ObjectionScope,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PurposeRow:
    """A purpose of a clinic."""

    id: UUID
    slug: str
    nature: Nature
    channels: tuple[Channel, ...]
    names: dict[str, str]
    statements: dict[str, str]
    child_statements: dict[str, str]
    requires_consent: bool
    validity_months: int
    rests_on_health_data: bool = False
    impact_assessment: str = ""
    renewal_reminders: bool = False

    @property
    def facts(self) -> PurposeFacts:
        """As the decision core reads it."""
        return PurposeFacts(
            slug=self.slug,
            nature=self.nature,
            requires_consent=self.requires_consent,
            channels=frozenset(self.channels),
        )

    @property
    def is_assessed(self) -> bool:
        """What rests on health data waits for an impact assessment (GDPR Art. 35)."""
        return not self.rests_on_health_data or bool(self.impact_assessment)

    def name(self, language: Language) -> str:
        """How people call it."""
        return self.names.get(language) or self.slug


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRow:
    """A published notice."""

    id: UUID
    version: int
    language: Language
    title: str
    body: str
    statements: dict[str, str]
    sha256: str
    published_at: datetime
    audience: Audience = Audience.EVERYBODY

    @property
    def shown(self) -> bytes:
        """The exact bytes that stand for it, in canonical JSON (RFC 8785)."""
        return words_shown(
            version=self.version,
            language=self.language,
            title=self.title,
            body=self.body,
            statements=self.statements,
            audience=self.audience,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRow:
    """Where one purpose on one channel stands. `none` where nothing was ever said."""

    purpose: str
    channel: Channel
    status: ConsentStatus
    since: datetime | None = None
    valid_until: datetime | None = None
    guardian_until: datetime | None = None
    event_id: UUID | None = None
    method: Method | None = None
    notice_version: int | None = None
    language: Language | None = None

    def renew_by(self, now: datetime) -> datetime | None:
        """Until when it has to be said again, in the last thirty days of a yes. Silence is expiry."""
        ends = min((one for one in (self.valid_until, self.guardian_until) if one is not None), default=None)
        is_near = self.status is ConsentStatus.GIVEN and ends is not None and now < ends <= now + ASK_AGAIN
        return ends if is_near else None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One consent event, without its sealed evidence."""

    id: UUID
    purpose: str
    channel: Channel
    kind: EventKind
    method: Method
    occurred_at: datetime
    recorded_at: datetime
    valid_until: datetime | None
    notice_version: int | None
    notice_sha256: str
    language: str
    expressed_by: tuple[str, ...]
    reason: str = ""

    @property
    def decision(self) -> Decision | None:
        """What a person said of it; None where nobody said anything, because a rule or somebody else ended it."""
        return DECISION_OF.get(self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectionRow:
    """An objection (GDPR Art. 21); one that was taken back has an end."""

    id: UUID
    scope: ObjectionScope
    purpose: str | None
    objected_at: datetime
    lifted_at: datetime | None


ASK_AGAIN: Final = timedelta(days=30)
DECISION_OF: Final = {
    EventKind.PENDING: Decision.GIVEN,
    EventKind.GIVEN: Decision.GIVEN,
    EventKind.RENEWED: Decision.GIVEN,
    EventKind.REFUSED: Decision.REFUSED,
    EventKind.WITHDRAWN: Decision.WITHDRAWN,
}


def purposes_of(clinic_id: UUID) -> dict[UUID, PurposeRow]:
    """A clinic's purposes, in their order."""
    rows = Purpose.objects.in_clinic(clinic_id).order_by("rank", "slug")
    return {row.id: _purpose(row) for row in rows}


def get_purpose(*, clinic_id: UUID, slug: str) -> PurposeRow:
    """One purpose by its slug. Raises NotFound."""
    row = Purpose.objects.in_clinic(clinic_id).filter(slug=slug).first()
    if row is None:
        raise NotFound("This purpose does not exist here.", field="purpose")
    return _purpose(row)


def purposes_by_id(purpose_ids: Iterable[UUID]) -> dict[UUID, PurposeRow]:
    """Purposes of any clinic, with one query."""
    return {row.id: _purpose(row) for row in Purpose.objects.filter(id__in=set(purpose_ids))}


def latest_notices(clinic_id: UUID, audience: Audience = Audience.EVERYBODY) -> dict[Language, NoticeRow]:
    """The newest notice in each language; for children the one for everybody where it has no text of theirs."""
    latest: dict[Language, NoticeRow] = {}
    for row in Notice.objects.in_clinic(clinic_id).order_by("version"):
        known = latest.get(Language(row.language))
        if row.audience in {audience, Audience.EVERYBODY} and not (
            known is not None and known.version == row.version and row.audience != audience
        ):
            latest[Language(row.language)] = _notice(row)
    return latest


def get_notice(
    *, clinic_id: UUID, version: int, language: Language, audience: Audience = Audience.EVERYBODY
) -> NoticeRow:
    """One published notice. Raises NotFound."""
    rows = Notice.objects.in_clinic(clinic_id).filter(version=version, language=language, audience=audience)
    row = rows.first()
    if row is None:
        raise NotFound("This version of the notice does not exist.", field="notice_version")
    return _notice(row)


def notices_by_id(clinic_id: UUID) -> dict[UUID, NoticeRow]:
    """Every notice that a clinic ever published, in the order in which they were."""
    rows = Notice.objects.in_clinic(clinic_id).order_by("version", "language", "-audience")
    return {row.id: _notice(row) for row in rows}


def words_shown(
    *,
    version: int,
    language: Language,
    title: str,
    body: str,
    statements: dict[str, str],
    audience: Audience = Audience.EVERYBODY,
) -> bytes:
    """The exact bytes that stand for a notice: what was shown, in canonical JSON (RFC 8785). Its hash is over these."""
    shown = {"version": version, "language": language.value, "title": title, "body": body, "statements": statements}
    # The text for everybody is older than that for children, and its hash stays what it was.
    return canonical_json(shown if audience is Audience.EVERYBODY else {**shown, "audience": audience.value})


def consent_facts_of(patient_ids: Iterable[UUID]) -> dict[UUID, tuple[ConsentFact, ...]]:
    """What the decision core needs to know, for many patients with two queries.

    A material notice stops what was said to the versions before it at its date, whether the tick was there or not.
    """
    facts: defaultdict[UUID, list[ConsentFact]] = defaultdict(list)
    rows = list(
        ConsentState.objects.filter(patient_id__in=set(patient_ids)).values_list(
            "patient_id",
            "clinic_id",
            "purpose__slug",
            "channel",
            "status",
            "standing_event_id",
            "since",
            "valid_until",
            "guardian_until",
            "notice_version",
        )
    )
    changes = material_changes({row[1] for row in rows})
    for patient_id, clinic_id, purpose, channel, status, event_id, since, valid_until, guardian_until, notice in rows:
        later = [change.effective_from for change in changes.get(clinic_id, ()) if change.version > (notice or 0)]
        facts[patient_id].append(
            ConsentFact(
                purpose=purpose,
                channel=Channel(channel),
                status=ConsentStatus(status),
                event_id=event_id,
                valid_from=since,
                valid_until=valid_until,
                guardian_until=guardian_until,
                reconsent_from=min(later, default=None),
            )
        )
    return {patient_id: tuple(own) for patient_id, own in facts.items()}


@dataclass(frozen=True, slots=True)
class MaterialChange:
    """A version of a notice from whose date on what was said to earlier ones no longer permits anything."""

    version: int
    effective_from: datetime


def material_changes(clinic_ids: Iterable[UUID]) -> dict[UUID, list[MaterialChange]]:
    """The material versions of these clinics' notices, with one query."""
    rows = Notice.objects.filter(clinic_id__in=set(clinic_ids), materiality=Materiality.MATERIAL)
    found: defaultdict[UUID, list[MaterialChange]] = defaultdict(list)
    for clinic_id, version, begins in rows.values_list("clinic_id", "version", "effective_from").distinct():
        if begins is not None:
            found[clinic_id].append(MaterialChange(version, begins))
    return found


def objections_by_patient(patient_ids: Iterable[UUID]) -> dict[UUID, frozenset[str]]:
    """To which purposes these patients object, and whether to all direct marketing; with one query."""
    found: defaultdict[UUID, set[str]] = defaultdict(set)
    rows = Objection.objects.filter(patient_id__in=set(patient_ids), lifted_at=None)
    for patient_id, slug in rows.values_list("patient_id", "purpose__slug"):
        found[patient_id].add(slug or EVERY_MARKETING)
    return {patient_id: frozenset(own) for patient_id, own in found.items()}


def is_objected(*, patient_id: UUID, purpose: PurposeRow) -> bool:
    """Does an objection of this patient stand against this purpose?"""
    objected = objections_by_patient([patient_id]).get(patient_id, frozenset())
    return purpose.slug in objected or (purpose.nature is Nature.MARKETING and EVERY_MARKETING in objected)


def objections_of(*, clinic_id: UUID, patient_id: UUID) -> list[ObjectionRow]:
    """Every objection of one patient, those taken back included, oldest first."""
    rows = Objection.objects.in_clinic(clinic_id).filter(patient_id=patient_id).select_related("purpose")
    return [
        ObjectionRow(
            id=row.id,
            scope=ObjectionScope(row.scope),
            purpose=None if row.purpose is None else row.purpose.slug,
            objected_at=row.objected_at,
            lifted_at=row.lifted_at,
        )
        for row in rows.defer("lifted_evidence").order_by("objected_at", "id")
    ]


def states_of(*, clinic_id: UUID, patient_id: UUID) -> list[StateRow]:
    """Every purpose on every channel of one patient: `none` where nothing was said."""
    rows = (
        ConsentState.objects.in_clinic(clinic_id)
        .filter(patient_id=patient_id)
        .select_related("last_event__notice", "standing_event__notice")
    )
    known: dict[tuple[UUID, str], Any] = {(row.purpose_id, row.channel): row for row in rows}
    states = []
    for purpose in purposes_of(clinic_id).values():
        if not purpose.requires_consent:
            continue
        for channel in purpose.channels:
            row = known.get((purpose.id, channel))
            states.append(
                StateRow(purpose=purpose.slug, channel=channel, status=ConsentStatus.NONE)
                if row is None
                else _state(purpose.slug, row)
            )
    return states


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentToRenew:
    """A yes in its last thirty days: which event it rests on, and when it ends by itself."""

    state_id: UUID
    patient_id: UUID
    purpose_id: UUID
    channel: Channel
    event_id: UUID
    ends_at: datetime


def consents_to_renew(
    *, clinic_id: UUID, purpose_ids: Iterable[UUID], now: datetime, after: UUID | None, limit: int
) -> list[ConsentToRenew]:
    """A page of the yeses to these purposes that end within thirty days, and have not ended yet."""
    soon = now + ASK_AGAIN
    rows = (
        ConsentState.objects.in_clinic(clinic_id)
        .filter(status=ConsentStatus.GIVEN, purpose_id__in=list(purpose_ids), standing_event__isnull=False)
        .filter(Q(valid_until__gt=now) | Q(valid_until=None), Q(guardian_until__gt=now) | Q(guardian_until=None))
        .filter(Q(valid_until__lte=soon) | Q(guardian_until__lte=soon))
        .order_by("id")
    )
    if after is not None:
        rows = rows.filter(id__gt=after)
    found = rows.values_list(
        "id", "patient_id", "purpose_id", "channel", "standing_event_id", "valid_until", "guardian_until"
    )
    return [
        ConsentToRenew(
            state_id=state_id,
            patient_id=patient_id,
            purpose_id=purpose_id,
            channel=Channel(channel),
            event_id=event_id,
            ends_at=min(one for one in ends if one is not None),
        )
        for state_id, patient_id, purpose_id, channel, event_id, *ends in found[:limit]
    ]


def events_of(*, clinic_id: UUID, patient_id: UUID) -> list[EventRow]:
    """Everything a patient ever said, oldest first."""
    rows = (
        ConsentEvent.objects.in_clinic(clinic_id)
        .filter(patient_id=patient_id)
        .select_related("purpose", "notice")
        .defer("evidence")
        .order_by("recorded_at", "number", "id")
    )
    return [_event(row) for row in rows]


def events_by_id(event_ids: Iterable[UUID]) -> dict[UUID, EventRow]:
    """Some events, with one query."""
    rows = ConsentEvent.objects.filter(id__in=set(event_ids)).select_related("purpose", "notice").defer("evidence")
    return {row.id: _event(row) for row in rows}


def _purpose(row: Purpose) -> PurposeRow:
    return PurposeRow(
        id=row.id,
        slug=row.slug,
        nature=Nature(row.nature),
        channels=tuple(Channel(channel) for channel in row.channels),
        names=dict(row.names),
        statements=dict(row.statements),
        child_statements=dict(row.child_statements),
        requires_consent=row.requires_consent,
        validity_months=row.validity_months,
        rests_on_health_data=bool(row.health_data_condition),
        impact_assessment=row.impact_assessment,
        renewal_reminders=row.renewal_reminders,
    )


def _notice(row: Notice) -> NoticeRow:
    return NoticeRow(
        id=row.id,
        version=row.version,
        language=Language(row.language),
        title=row.title,
        body=row.body,
        statements=dict(row.statements),
        sha256=row.sha256,
        published_at=row.published_at,
        audience=Audience(row.audience),
    )


def _state(purpose: str, row: ConsentState) -> StateRow:
    event = row.standing_event or row.last_event
    return StateRow(
        purpose=purpose,
        channel=Channel(row.channel),
        status=ConsentStatus(row.status),
        since=row.since,
        valid_until=row.valid_until,
        guardian_until=row.guardian_until,
        event_id=event.id,
        method=Method(event.method),
        notice_version=None if event.notice is None else event.notice.version,
        language=Language(event.language) if event.language else None,
    )


def _event(row: ConsentEvent) -> EventRow:
    return EventRow(
        id=row.id,
        purpose=row.purpose.slug,
        channel=Channel(row.channel),
        kind=EventKind(row.kind),
        method=Method(row.method),
        occurred_at=row.occurred_at,
        recorded_at=row.recorded_at,
        valid_until=row.valid_until,
        notice_version=None if row.notice is None else row.notice.version,
        notice_sha256=row.notice_sha256,
        language=row.language,
        expressed_by=tuple(one["role"] for one in row.expressed_by),
        reason=row.reason,
    )


@dataclass(frozen=True, slots=True)
class ReceiptKeyRow:
    """The public half of a key that signs receipts; one that is retired signs no more."""

    public: bytes
    published_at: datetime
    retired_at: datetime | None


def receipt_keys() -> list[ReceiptKeyRow]:
    """Every key that ever signed a receipt of this installation, the newest first."""
    rows = ReceiptKey.objects.order_by("-published_at", "-id")
    return [ReceiptKeyRow(bytes(row.public), row.published_at, row.retired_at) for row in rows]
