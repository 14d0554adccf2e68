"""What happens to preferences. They narrow what consent permits and never widen it."""

from dataclasses import dataclass, fields, replace
from datetime import datetime, time
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import IntegrityError

from backend.audit.actions import Action
from backend.audit.actors import Actor, ActorKind
from backend.audit.recording import record
from backend.errors import DomainError, InvalidInput
from backend.patients.queries import require_patient
from backend.policy.contact import FrequencyCap
from backend.policy.vocabulary import Channel, Language, Tone
from backend.preferences.models import Preferences, PreferenceVersion
from backend.preferences.queries import PreferenceRow, as_row


class _Unsaid:
    def __repr__(self) -> str:
        return "UNSAID"


UNSAID: Final[Any] = _Unsaid()
CHANGES_AT_ONCE: Final = 5
MOST_PER_PERIOD: Final = 1_000
MOST_PURPOSES: Final = 100
LONGEST_SLUG: Final = 60


class PreferencesChanged(DomainError):
    """Somebody changed the preferences meanwhile."""

    code = "preferences_changed"
    sentence = "The preferences were changed meanwhile: read them again."
    status = 412


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceChange:
    """What is to be changed; what is UNSAID stays as it is."""

    channel_order: tuple[Channel, ...] = UNSAID
    frequency: FrequencyCap | None = UNSAID
    digest: bool = UNSAID
    tone: Tone | None = UNSAID
    language: Language | None = UNSAID
    quiet_from: time | None = UNSAID
    quiet_to: time | None = UNSAID
    time_zone: str = UNSAID
    paused_until: datetime | None = UNSAID
    discreet: bool = UNSAID
    large_print: bool = UNSAID
    no_first_name: bool = UNSAID
    no_personalisation: bool = UNSAID
    purposes: dict[str, bool] = UNSAID

    @property
    def said(self) -> tuple[str, ...]:
        """The names of what is to be changed."""
        return tuple(one.name for one in fields(self) if getattr(self, one.name) is not UNSAID)

    def applied_to(self, row: PreferenceRow) -> PreferenceRow:
        """The preferences with this change. Raises InvalidInput for what can not be preferred."""
        _refuse_nonsense(self)
        said = {name: getattr(self, name) for name in self.said}
        if "purposes" in said:
            said["purposes"] = {**row.purposes, **self.purposes}
            if len(said["purposes"]) > MOST_PURPOSES:
                raise InvalidInput(f"At most {MOST_PURPOSES} purposes.", field="purposes")
        return replace(row, **said)


def change_preferences(
    *,
    clinic_id: UUID,
    patient_id: UUID,
    change: PreferenceChange,
    expected_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> PreferenceRow:
    """Change what the patient says. Raises InvalidInput, and PreferencesChanged where the version is another one."""
    # Nonsense is refused before anything is looked up or locked.
    change.applied_to(PreferenceRow())
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    for _again in range(CHANGES_AT_ONCE):
        try:
            return _change(clinic_id, patient_id, change, expected_version, actor=actor, now=now)
        except (_ChangedMeanwhile, IntegrityError):
            # Two changed at once, and this one named no version: it goes on top of the other.
            continue
    raise PreferencesChanged


class _ChangedMeanwhile(Exception):
    """Between reading the version and locking the row, somebody else was faster."""


def _change(
    clinic_id: UUID,
    patient_id: UUID,
    change: PreferenceChange,
    expected_version: int | None,
    *,
    actor: Actor,
    now: datetime,
) -> PreferenceRow:
    rows = Preferences.objects.in_clinic(clinic_id).filter(patient_id=patient_id)
    version = rows.values_list("version", flat=True).first() or 0
    if expected_version not in {None, version}:
        raise PreferencesChanged
    with record(
        Action.PREFERENCES_CHANGED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=patient_id,
        fields=list(change.said),
        version=version + 1,
    ):
        row = rows.select_for_update(of=("self",)).first()
        if (0 if row is None else row.version) != version:
            raise _ChangedMeanwhile
        wanted = change.applied_to(PreferenceRow() if row is None else as_row(row))
        wanted = replace(wanted, version=version + 1)
        columns = _columns(wanted)
        if row is None:
            Preferences.objects.create(clinic_id=clinic_id, patient_id=patient_id, updated_at=now, **columns)
        else:
            rows.update(updated_at=now, **columns)
        PreferenceVersion.objects.create(
            clinic_id=clinic_id,
            patient_id=patient_id,
            changed=list(change.said),
            changed_at=now,
            changed_by=actor.kind,
            recorded_by=actor.header,
            representative_id=actor.id if actor.kind is ActorKind.REPRESENTATIVE else None,
            **columns,
        )
    return wanted


def _refuse_nonsense(change: PreferenceChange) -> None:
    said = set(change.said)
    if not said:
        raise InvalidInput("Nothing was said that could be changed.")
    if "channel_order" in said:
        _refuse_channel_order(change.channel_order)
    if said & {"quiet_from", "quiet_to"}:
        _refuse_quiet_hours(change.quiet_from, change.quiet_to)
    if "time_zone" in said and change.time_zone:
        _refuse_time_zone(change.time_zone)
    if "paused_until" in said and change.paused_until is not None and change.paused_until.tzinfo is None:
        raise InvalidInput("A time needs its zone.", field="paused_until")
    if "frequency" in said and change.frequency is not None and change.frequency.max > MOST_PER_PERIOD:
        raise InvalidInput(f"At most {MOST_PER_PERIOD}.", field="frequency.max")
    if "purposes" in said and not all(
        len(slug) <= LONGEST_SLUG and isinstance(on, bool) for slug, on in change.purposes.items()
    ):
        raise InvalidInput("Purposes are switched on or off by their short names.", field="purposes")


def _refuse_channel_order(order: tuple[Channel, ...]) -> None:
    if len(set(order)) != len(order):
        raise InvalidInput("A channel stands twice.", field="channel_order")
    if not order:
        raise InvalidInput("Name at least one channel; to hear nothing, pause or withdraw.", field="channel_order")


def _refuse_quiet_hours(starts: Any, ends: Any) -> None:
    if UNSAID in (starts, ends) or (starts is None) != (ends is None):
        raise InvalidInput("Quiet hours need a beginning and an end.", field="quiet_hours")
    if any(one is not None and one.tzinfo is not None for one in (starts, ends)):
        raise InvalidInput("Quiet hours are times of a wall clock; their zone is said once.", field="quiet_hours")


def _refuse_time_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput("This time zone does not exist.", field="quiet_hours.time_zone") from error


def _columns(row: PreferenceRow) -> dict[str, Any]:
    """As it is stored: the table and its history have the same columns."""
    return {
        "version": row.version,
        "channel_order": [channel.value for channel in row.channel_order],
        "frequency_max": None if row.frequency is None else row.frequency.max,
        "frequency_per": "" if row.frequency is None else row.frequency.per,
        "digest": row.digest,
        "tone": "" if row.tone is None else row.tone.value,
        "language": "" if row.language is None else row.language.value,
        "quiet_from": row.quiet_from,
        "quiet_to": row.quiet_to,
        "time_zone": row.time_zone,
        "paused_until": row.paused_until,
        "discreet": row.discreet,
        "large_print": row.large_print,
        "no_first_name": row.no_first_name,
        "no_personalisation": row.no_personalisation,
        "purposes": row.purposes,
    }
