"""What happens to preferences. They narrow what consent permits and never widen it."""

from dataclasses import dataclass, fields
from datetime import datetime, time
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import IntegrityError

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import record
from backend.errors import DomainError, InvalidInput
from backend.patients.queries import require_patient
from backend.policy.contact import FrequencyCap
from backend.policy.vocabulary import Channel, Language, Tone
from backend.preferences.models import Preferences
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
    purposes: dict[str, bool] = UNSAID

    @property
    def said(self) -> tuple[str, ...]:
        """The names of what is to be changed."""
        return tuple(one.name for one in fields(self) if getattr(self, one.name) is not UNSAID)


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
    _refuse_nonsense(change)
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
        if row is None:
            row = Preferences(clinic_id=clinic_id, patient_id=patient_id)
        _apply(row, change)
        row.version = version + 1
        row.updated_at = now
        row.save(force_insert=version == 0)
    return as_row(row)


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


def _apply(row: Preferences, change: PreferenceChange) -> None:
    for name in change.said:
        value = getattr(change, name)
        if name == "frequency":
            row.frequency_max = None if value is None else value.max
            row.frequency_per = "" if value is None else value.per
        elif name == "purposes":
            row.purposes = {**row.purposes, **value}
            if len(row.purposes) > MOST_PURPOSES:
                raise InvalidInput(f"At most {MOST_PURPOSES} purposes.", field="purposes")
        elif name == "channel_order":
            row.channel_order = [channel.value for channel in value]
        elif name in {"tone", "language"}:
            setattr(row, name, "" if value is None else value.value)
        else:
            setattr(row, name, value)
