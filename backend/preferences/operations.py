"""What happens to preferences. They narrow what consent permits and never widen it."""

from dataclasses import dataclass, fields
from datetime import datetime, time
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import record
from backend.errors import DomainError, InvalidInput
from backend.policy.contact import FrequencyCap
from backend.policy.vocabulary import Channel, Language, Tone
from backend.preferences.models import Preferences
from backend.preferences.queries import PreferenceRow, as_row


class _Unsaid:
    def __repr__(self) -> str:
        return "UNSAID"


UNSAID: Final[Any] = _Unsaid()


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
    row = Preferences.objects.in_clinic(clinic_id).filter(patient_id=patient_id).first()
    version = 0 if row is None else row.version
    with record(
        Action.PREFERENCES_CHANGED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        about=patient_id,
        fields=list(change.said),
        version=version + 1,
    ):
        rows = Preferences.objects.in_clinic(clinic_id).filter(patient_id=patient_id)
        row = rows.select_for_update(of=("self",)).first()
        found = 0 if row is None else row.version
        if found != version or (expected_version is not None and expected_version != found):
            raise PreferencesChanged
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
    if "channel_order" in said and len(set(change.channel_order)) != len(change.channel_order):
        raise InvalidInput("A channel stands twice.", field="channel_order")
    if "channel_order" in said and not change.channel_order:
        raise InvalidInput("Name at least one channel; to hear nothing, pause or withdraw.", field="channel_order")
    if ("quiet_from" in said) != ("quiet_to" in said):
        raise InvalidInput("Quiet hours need a beginning and an end.", field="quiet_hours")
    if "time_zone" in said and change.time_zone:
        try:
            ZoneInfo(change.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise InvalidInput("This time zone does not exist.", field="quiet_hours.time_zone") from error
    if "paused_until" in said and change.paused_until is not None and change.paused_until.tzinfo is None:
        raise InvalidInput("A time needs its zone.", field="paused_until")


def _apply(row: Preferences, change: PreferenceChange) -> None:
    for name in change.said:
        value = getattr(change, name)
        if name == "frequency":
            row.frequency_max = None if value is None else value.max
            row.frequency_per = "" if value is None else value.per
        elif name == "purposes":
            row.purposes = {**row.purposes, **value}
        elif name == "channel_order":
            row.channel_order = [channel.value for channel in value]
        elif name in {"tone", "language"}:
            setattr(row, name, "" if value is None else value.value)
        else:
            setattr(row, name, value)
