"""Questions about preferences."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any, Final, Literal, cast
from uuid import UUID

from backend.audit.actors import ActorKind
from backend.policy.contact import FrequencyCap, PreferenceFacts, QuietHours
from backend.policy.vocabulary import Channel, Language, Tone
from backend.preferences.models import Preferences, PreferenceVersion, Wishes

DEFAULT_ORDER: Final = (Channel.PUSH, Channel.SMS, Channel.EMAIL, Channel.LETTER, Channel.CALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceRow:
    """What a patient chose; where they chose nothing, the defaults."""

    version: int = 0
    channel_order: tuple[Channel, ...] = DEFAULT_ORDER
    frequency: FrequencyCap | None = None
    digest: bool = False
    tone: Tone | None = None
    language: Language | None = None
    quiet_from: time | None = None
    quiet_to: time | None = None
    time_zone: str = ""
    paused_until: datetime | None = None
    discreet: bool = True
    large_print: bool = False
    no_first_name: bool = False
    no_personalisation: bool = False
    purposes: dict[str, bool] = field(default_factory=dict)

    def facts(self, *, time_zone: str, recent_contacts: Iterable[datetime] = ()) -> PreferenceFacts:
        """As the decision core reads them. A channel that is not in the order is switched off."""
        quiet = None
        if self.quiet_from is not None and self.quiet_to is not None:
            quiet = QuietHours(starts=self.quiet_from, ends=self.quiet_to, time_zone=self.time_zone or time_zone)
        return PreferenceFacts(
            purposes_off=frozenset(slug for slug, on in self.purposes.items() if not on),
            channels_off=frozenset(Channel) - frozenset(self.channel_order),
            paused_until=self.paused_until,
            quiet_hours=quiet,
            cap=self.frequency,
            digest=self.digest,
            recent_contacts=tuple(recent_contacts),
            version=self.version,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceVersionRow:
    """One version of a patient's preferences: what was changed, when, and by whom."""

    preferences: PreferenceRow
    changed: tuple[str, ...]
    changed_at: datetime
    changed_by: ActorKind
    representative_id: UUID | None


def preferences_of(patient_ids: Iterable[UUID]) -> dict[UUID, PreferenceRow]:
    """The preferences of many patients with one query; whoever chose nothing is left out."""
    return {row.patient_id: as_row(row) for row in Preferences.objects.filter(patient_id__in=set(patient_ids))}


def who_want_a_digest(patient_ids: Iterable[UUID]) -> frozenset[UUID]:
    """Those of these patients who want their messages together."""
    rows = Preferences.objects.filter(patient_id__in=set(patient_ids), digest=True)
    return frozenset(rows.values_list("patient_id", flat=True))


def get_preferences(*, clinic_id: UUID, patient_id: UUID) -> PreferenceRow:
    """One patient's preferences, the defaults where nothing was chosen."""
    row = Preferences.objects.in_clinic(clinic_id).filter(patient_id=patient_id).first()
    return PreferenceRow() if row is None else as_row(row)


def preference_versions(
    *, clinic_id: UUID, patient_id: UUID, before: int | None = None, until: datetime | None = None, limit: int = 50
) -> list[PreferenceVersionRow]:
    """A page of a patient's versions, the newest first; with `until`, only those that were made by then."""
    rows = PreferenceVersion.objects.in_clinic(clinic_id).filter(patient_id=patient_id).order_by("-version")
    if before is not None:
        rows = rows.filter(version__lt=before)
    if until is not None:
        rows = rows.filter(changed_at__lte=until)
    return [
        PreferenceVersionRow(
            preferences=as_row(row),
            changed=tuple(row.changed),
            changed_at=row.changed_at,
            changed_by=ActorKind(row.changed_by),
            representative_id=row.representative_id,
        )
        for row in rows[:limit]
    ]


def as_row(row: Wishes) -> PreferenceRow:
    """A stored row as the rest of Accord reads it."""
    cap = None
    if row.frequency_max is not None:
        per = cast("Literal['day', 'week', 'month']", row.frequency_per)
        cap = FrequencyCap(max=row.frequency_max, per=per)
    order: list[Any] = row.channel_order
    return PreferenceRow(
        version=row.version,
        channel_order=tuple(Channel(one) for one in order) if order else DEFAULT_ORDER,
        frequency=cap,
        digest=row.digest,
        tone=Tone(row.tone) if row.tone else None,
        language=Language(row.language) if row.language else None,
        quiet_from=row.quiet_from,
        quiet_to=row.quiet_to,
        time_zone=row.time_zone,
        paused_until=row.paused_until,
        discreet=row.discreet,
        large_print=row.large_print,
        no_first_name=row.no_first_name,
        no_personalisation=row.no_personalisation,
        purposes=dict(row.purposes),
    )
