"""When a step comes due, by the clinic's calendar and clock; and which definitions are refused."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from backend.errors import InvalidInput
from backend.programmes.steps import Definition

PARIS = "Europe/Paris"
REMINDER: dict[str, Any] = {
    "occasion": {"kind": "appointment", "topic": ""},
    "steps": [{"key": "d1", "offset": {"days": -1}, "at": "09:00", "worth_for_hours": 22, "template": "words"}],
}


def step(*, months=0, days=0, at="09:00", kind="immunisation"):
    definition = {
        "occasion": {"kind": kind, "topic": "influenza"},
        "steps": [
            {
                "key": "one",
                "offset": {"months": months, "days": days},
                "at": at,
                "worth_for_hours": 48,
                "template": "words",
            }
        ],
    }
    return Definition.read(definition).steps[0]


def local(year, month, day, hour=0, minute=0):
    return datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(PARIS))


@pytest.mark.parametrize(
    ("offset", "occasion", "due"),
    [
        # Clocks go forward on 29 March 2026 and back on 25 October: the hour on the wall stays nine.
        ({"days": -1}, local(2026, 3, 29, 15), datetime(2026, 3, 28, 8, 0, tzinfo=UTC)),
        ({"days": -1}, local(2026, 3, 30, 15), datetime(2026, 3, 29, 7, 0, tzinfo=UTC)),
        ({"days": -1}, local(2026, 10, 26, 15), datetime(2026, 10, 25, 8, 0, tzinfo=UTC)),
        ({"days": -3}, local(2026, 10, 26, 15), datetime(2026, 10, 23, 7, 0, tzinfo=UTC)),
        # The day is the clinic's: half past midnight in Paris is still the day before in UTC.
        ({"days": -1}, datetime(2026, 7, 1, 22, 30, tzinfo=UTC), datetime(2026, 7, 1, 7, 0, tzinfo=UTC)),
        # Months end where they end, leap years included.
        ({"months": 1}, local(2027, 1, 31, 10), datetime(2027, 2, 28, 8, 0, tzinfo=UTC)),
        ({"months": 1}, local(2028, 1, 31, 10), datetime(2028, 2, 29, 8, 0, tzinfo=UTC)),
        ({"months": 11}, local(2025, 10, 31, 10), datetime(2026, 9, 30, 7, 0, tzinfo=UTC)),
        ({"months": 12}, local(2028, 2, 29, 10), datetime(2029, 2, 28, 8, 0, tzinfo=UTC)),
        ({"months": 1, "days": 1}, local(2027, 1, 31, 10), datetime(2027, 3, 1, 8, 0, tzinfo=UTC)),
    ],
)
def test_a_step_is_due_by_the_calendar_and_the_clock_on_the_wall(offset, occasion, due):
    kind = "appointment" if offset.get("days", 0) < 0 else "immunisation"

    assert step(**offset, kind=kind).due_at(occasion, PARIS) == due


def test_an_hour_that_does_not_exist_moves_forward():
    assert step(at="02:30", days=-1, kind="appointment").due_at(local(2026, 3, 30, 15), PARIS) == local(
        2026, 3, 29, 3, 30
    )


def test_a_reminder_ends_at_the_latest_when_its_appointment_begins():
    reminder, starts_at = step(days=-1, kind="appointment"), local(2026, 10, 15, 10)

    assert reminder.expires_at(starts_at, PARIS, before_occasion=True) == starts_at
    assert reminder.expires_at(starts_at, PARIS, before_occasion=False) == local(2026, 10, 16, 9)


def test_worth_is_counted_in_hours_that_pass():
    assert step(days=-1, kind="appointment").expires_at(local(2026, 10, 30, 15), PARIS, before_occasion=False) - step(
        days=-1, kind="appointment"
    ).due_at(local(2026, 10, 30, 15), PARIS) == timedelta(hours=48)


def changed(**changes):
    """The reminder with one thing wrong; a dotted name says where."""
    definition = deepcopy(REMINDER)
    for where, value in changes.items():
        *path, last = where.split("__")
        target: Any = definition
        for part in path:
            target = target[int(part) if part.isdigit() else part]
        target[int(last) if last.isdigit() else last] = value
    return definition


@pytest.mark.parametrize(
    ("definition", "field"),
    [
        ({}, "occasion"),
        ({"occasion": []}, "occasion"),
        (changed(occasion__kind="birthday"), "occasion.kind"),
        (changed(occasion__topic=7), "occasion.topic"),
        (changed(occasion={"kind": "immunisation", "topic": ""}), "occasion.topic"),
        (changed(steps=[]), "steps"),
        (changed(steps="d1"), "steps"),
        (changed(steps=["d1"]), "steps[0]"),
        (changed(steps=[REMINDER["steps"][0]] * 2), "steps"),
        (changed(steps__0__key=""), "steps[0].key"),
        (changed(steps__0__key="J-1 "), "steps[0].key"),
        (changed(steps__0__key="D1"), "steps[0].key"),
        (changed(steps__0__key="é"), "steps[0].key"),
        (changed(steps__0__key="x" * 41), "steps[0].key"),
        (changed(steps__0__offset=None), "steps[0].offset"),
        (changed(steps__0__offset={"days": 1.5}), "steps[0].offset.days"),
        (changed(steps__0__offset={"days": True}), "steps[0].offset.days"),
        (changed(steps__0__offset={"days": -99999}), "steps[0].offset.days"),
        (changed(steps__0__offset={"months": 121}), "steps[0].offset.months"),
        (changed(steps__0__offset={"days": 1}), "steps[0].offset"),
        (changed(steps__0__offset={"months": 1}), "steps[0].offset"),
        (changed(steps__0__at="9 o'clock"), "steps[0].at"),
        (changed(steps__0__at="09:00+02:00"), "steps[0].at"),
        (changed(steps__0__worth_for_hours=0), "steps[0].worth_for_hours"),
        (changed(steps__0__worth_for_hours=None), "steps[0].worth_for_hours"),
        (changed(steps__0__template=None), "steps[0].template"),
    ],
)
def test_a_definition_that_makes_no_sense_is_refused_and_the_field_named(definition, field):
    with pytest.raises(InvalidInput) as refused:
        Definition.read(definition)

    assert refused.value.field == field
