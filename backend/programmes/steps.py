"""What a programme says: from which occasion it counts, and which steps it takes. Read strictly, fields named."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

from backend.errors import InvalidInput
from backend.policy.timing import local_instant, months_after

LONGEST_OFFSET_DAYS = 3660
LONGEST_OFFSET_MONTHS = 120
CODE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One message of a programme, counted from an occasion, in the clinic's time zone."""

    key: str
    days: int
    months: int
    at: time
    worth_for: timedelta
    template: str
    # Whether the next channel is tried where one surely failed; and after how long without a report of delivery.
    falls_back: bool = False
    falls_back_after: timedelta | None = None

    def due_at(self, occasion_at: datetime, zone: str) -> datetime:
        """When it comes due: so many calendar months and days from the occasion's local day, at the step's hour."""
        day: date = occasion_at.astimezone(ZoneInfo(zone)).date()
        return local_instant(months_after(day, self.months) + timedelta(days=self.days), self.at, zone)

    def expires_at(self, occasion_at: datetime, zone: str, *, before_occasion: bool) -> datetime:
        """When it stops being of use: after its time, and, for an appointment, at the latest when that begins."""
        end = self.due_at(occasion_at, zone) + self.worth_for
        return min(end, occasion_at) if before_occasion else end


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A programme as it was written and approved."""

    kind: str
    topic: str
    steps: tuple[Step, ...]

    @property
    def counts_backwards(self) -> bool:
        """Is it about something that is still to come?"""
        return self.kind == "appointment"

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """Read a stored or submitted definition. Raises InvalidInput with the field."""
        occasion = _mapping(given.get("occasion"), "occasion")
        kind = occasion.get("kind")
        if kind not in {"appointment", "immunisation"}:
            raise InvalidInput("Count from an appointment or an immunisation.", field="occasion.kind")
        topic = occasion.get("topic", "")
        if not isinstance(topic, str) or (kind == "immunisation" and not topic):
            raise InvalidInput("Say which immunisation.", field="occasion.topic")
        steps = given.get("steps")
        if not isinstance(steps, list) or not steps:
            raise InvalidInput("A programme needs at least one step.", field="steps")
        read = tuple(_step(step, f"steps[{place}]") for place, step in enumerate(steps))
        if len({step.key for step in read}) != len(read):
            raise InvalidInput("Two steps have the same key.", field="steps")
        for place, step in enumerate(read):
            if kind == "appointment" and (step.months > 0 or step.days > 0):
                # It would be too late before it is due: what is counted from an appointment ends when that begins.
                raise InvalidInput("A reminder comes before its appointment.", field=f"steps[{place}].offset")
        return cls(kind=kind, topic=topic, steps=read)


def _step(given: object, where: str) -> Step:
    step = _mapping(given, where)
    offset = _mapping(step.get("offset"), f"{where}.offset")
    days = _whole(offset.get("days", 0), f"{where}.offset.days", LONGEST_OFFSET_DAYS)
    months = _whole(offset.get("months", 0), f"{where}.offset.months", LONGEST_OFFSET_MONTHS)
    worth = _whole(step.get("worth_for_hours"), f"{where}.worth_for_hours", LONGEST_OFFSET_DAYS * 24)
    if worth < 1:
        raise InvalidInput("A message is worth sending for at least an hour.", field=f"{where}.worth_for_hours")
    try:
        at = time.fromisoformat(str(step.get("at")))
    except ValueError as error:
        raise InvalidInput("Write the hour as 09:00.", field=f"{where}.at") from error
    if at.tzinfo is not None:
        raise InvalidInput("The hour is the clinic's own: write it as 09:00.", field=f"{where}.at")
    return Step(
        key=_code(step.get("key"), f"{where}.key"),
        days=days,
        months=months,
        at=at,
        worth_for=timedelta(hours=worth),
        template=_code(step.get("template"), f"{where}.template"),
        falls_back="fallback" in step,
        falls_back_after=_falls_back_after(step, where),
    )


def _falls_back_after(step: Mapping[str, Any], where: str) -> timedelta | None:
    if "fallback" not in step:
        return None
    hours = _mapping(step["fallback"], f"{where}.fallback").get("after_hours")
    if hours is None:
        return None
    if _whole(hours, f"{where}.fallback.after_hours", LONGEST_OFFSET_DAYS * 24) < 1:
        raise InvalidInput("Wait at least an hour for a delivery.", field=f"{where}.fallback.after_hours")
    return timedelta(hours=hours)


def _mapping(given: object, where: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise InvalidInput("This is missing or no object.", field=where)
    return given


def _whole(given: object, where: str, most: int) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or abs(given) > most:
        raise InvalidInput(f"This must be a whole number, at most {most}.", field=where)
    return given


def _code(given: object, where: str) -> str:
    if not isinstance(given, str) or not CODE.fullmatch(given):
        raise InvalidInput("A short name has up to 40 small letters, digits, - and _.", field=where)
    return given
