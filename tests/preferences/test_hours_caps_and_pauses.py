"""Quiet hours, caps and pauses, compared with a clock that is read minute by minute."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backend.policy.contact import CAP_WINDOWS, FrequencyCap, decide
from backend.policy.vocabulary import Decided, Reason
from backend.preferences.queries import PreferenceRow
from tests.policy.facts import CONSENTING

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
# Changes of the clocks, each of another kind: forward, back, by half an hour, at midnight, over a whole day, none.
CHANGES = [
    ("Europe/Paris", datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
    ("Europe/Paris", datetime(2026, 10, 25, 1, 0, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, 0, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("America/Havana", datetime(2026, 3, 8, 5, 0, tzinfo=UTC)),
    ("America/Miquelon", datetime(2026, 11, 1, 4, 0, tzinfo=UTC)),
    ("Africa/Casablanca", datetime(2026, 2, 15, 2, 0, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, 0, tzinfo=UTC)),
    ("Indian/Reunion", datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
    ("Pacific/Tahiti", datetime(2026, 10, 25, 1, 0, tzinfo=UTC)),
]
minutes = st.integers(0, 24 * 60 - 1)


def of_day(minute: int) -> time:
    return time(minute // 60, minute % 60)


def verdict_at(instant, row, *, contacts=(), expires_at=None, clinic_zone="Europe/Paris"):
    preference = row.facts(time_zone=clinic_zone, recent_contacts=contacts)
    return decide(replace(CONSENTING, now=instant, preference=preference, expires_at=expires_at))


def is_quiet(instant, zone, starts, ends):
    """Said in minutes of the day, apart from how the policy says it."""
    shown = instant.astimezone(ZoneInfo(zone))
    minute = shown.hour * 60 + shown.minute
    return (minute - starts) % 1440 < (ends - starts) % 1440


@settings(max_examples=150, deadline=None)
@given(change=st.sampled_from(CHANGES), before=st.integers(-1500, 1500), starts=minutes, ends=minutes)
@example(change=CHANGES[1], before=15, starts=22 * 60, ends=150)
def test_quiet_hours_end_when_the_clock_on_the_wall_says_so(change, before, starts, ends):
    zone, changes_at = change
    now = changes_at + before * MINUTE
    row = PreferenceRow(quiet_from=of_day(starts), quiet_to=of_day(ends), time_zone=zone)

    verdict = verdict_at(now, row)

    expected = now
    while is_quiet(expected, zone, starts, ends):
        expected += MINUTE
    if expected == now:
        assert verdict.decided is Decided.ALLOW
    else:
        assert (verdict.decided, verdict.until, verdict.reasons) == (Decided.DEFER, expected, (Reason.QUIET_HOURS,))


@pytest.mark.parametrize(
    ("night", "asked", "until"),
    [
        # The clocks jump from 02:00 to 03:00: 02:30 never comes, and three o'clock is no quiet hour.
        ("spring", datetime(2026, 3, 28, 22, 0, tzinfo=UTC), datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        # The clocks show 02:15 twice, and both are quiet.
        ("autumn, before", datetime(2026, 10, 25, 0, 15, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("autumn, again", datetime(2026, 10, 25, 1, 15, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
    ],
)
def test_the_night_on_which_the_clocks_change(night, asked, until):
    row = PreferenceRow(quiet_from=time(22), quiet_to=time(2, 30), time_zone="Europe/Paris")

    assert verdict_at(asked, row).until == until, night


def test_the_zone_is_the_patients_and_the_clinics_where_none_was_said():
    eight_in_paris = datetime(2026, 10, 12, 6, 0, tzinfo=UTC)
    row = PreferenceRow(quiet_from=time(21), quiet_to=time(9))

    assert verdict_at(eight_in_paris, row).decided is Decided.DEFER
    assert verdict_at(eight_in_paris, row, clinic_zone="Indian/Reunion").decided is Decided.ALLOW
    on_reunion = replace(row, time_zone="Indian/Reunion")
    assert verdict_at(eight_in_paris, on_reunion).decided is Decided.ALLOW


@settings(max_examples=100, deadline=None)
@given(
    most=st.integers(0, 4),
    per=st.sampled_from(sorted(CAP_WINDOWS)),
    gaps=st.lists(st.integers(0, 60 * 24 * 10).map(lambda some: some * MINUTE), max_size=30),
)
def test_no_window_wherever_it_begins_holds_more_than_the_cap(most, per, gaps):
    row = PreferenceRow(frequency=FrequencyCap(max=most, per=per))
    window = CAP_WINDOWS[per]
    sent: list[datetime] = []
    instant = CONSENTING.now
    for gap in gaps:
        instant += gap
        verdict = verdict_at(instant, row, contacts=sent)
        if verdict.decided is Decided.ALLOW:
            sent.append(instant)
        else:
            assert Reason.FREQUENCY_CAP in verdict.reasons
        if verdict.decided is Decided.DEFER:
            assert verdict_at(verdict.until, row, contacts=sent).decided is Decided.ALLOW

    assert all(sum(first <= one < first + window for one in sent) <= most for first in sent)
    assert most > 0 or sent == []


def test_a_cap_is_not_doubled_around_midnight_or_the_first_of_the_month():
    last_of_october = datetime(2026, 10, 31, 22, 59, tzinfo=UTC)
    for per in CAP_WINDOWS:
        row = PreferenceRow(frequency=FrequencyCap(max=1, per=cast("Any", per)))
        verdict = verdict_at(last_of_october + 2 * MINUTE, row, contacts=[last_of_october])
        assert verdict.until == last_of_october + CAP_WINDOWS[per]


@given(st.timedeltas(timedelta(microseconds=1), timedelta(days=400)))
def test_a_pause_ends_at_its_instant_and_not_before(left):
    until = CONSENTING.now + left
    row = PreferenceRow(paused_until=until)

    assert (verdict_at(CONSENTING.now, row).until, verdict_at(CONSENTING.now, row).reasons) == (until, (Reason.PAUSED,))
    assert verdict_at(until - timedelta(microseconds=1), row).decided is Decided.DEFER
    assert verdict_at(until, row).decided is Decided.ALLOW


@given(st.timedeltas(timedelta(microseconds=1), timedelta(days=30)), st.timedeltas(timedelta(0), timedelta(days=30)))
def test_what_is_of_no_more_use_after_the_pause_is_not_sent(useful, longer):
    expires_at = CONSENTING.now + useful
    verdict = verdict_at(CONSENTING.now, PreferenceRow(paused_until=expires_at + longer), expires_at=expires_at)

    assert (verdict.decided, verdict.reasons) == (Decided.DENY, (Reason.TOO_LATE, Reason.PAUSED))


def test_a_pause_that_ends_at_night_ends_in_the_morning():
    row = PreferenceRow(
        paused_until=datetime(2026, 10, 13, 1, 0, tzinfo=UTC),
        quiet_from=time(21),
        quiet_to=time(8),
        time_zone="Europe/Paris",
    )

    assert verdict_at(CONSENTING.now, row).until == datetime(2026, 10, 13, 6, 0, tzinfo=UTC)
