"""A whole year, hour by hour, in three zones: what the rules let through, held against a second reading of the law.

Nothing here is taken from the product but the rules themselves: the calendar of holidays is written out.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from backend.policy.contact import FrequencyCap, PreferenceFacts, QuietHours, Verdict
from backend.policy.holidays import closed_days_around, region_of_time_zone
from backend.policy.vocabulary import Channel, Decided, Nature
from tests.policy.facts import OFFERS, REMINDER, consent, decide

HOUR = timedelta(hours=1)
YEAR = 2027
ZONES = ("Europe/Paris", "America/Martinique", "Europe/Lisbon")
IN_FRANCE = frozenset({date(YEAR + 1, 1, 1)}) | frozenset(
    date(YEAR, *day)
    for day in (
        *((1, 1), (3, 29), (5, 1), (5, 6), (5, 8), (5, 17)),
        *((7, 14), (8, 15), (11, 1), (11, 11), (12, 25)),
    )
)
IN_MARTINIQUE = IN_FRANCE | {date(YEAR, 5, 22), date(YEAR, 7, 21)}
QUIET = {"Europe/Paris": (time(21), time(8, 30)), "America/Martinique": (time(12), time(14)), "Europe/Lisbon": None}
CAPS = (FrequencyCap(max=1, per="day"), FrequencyCap(max=3, per="week"), FrequencyCap(max=5, per="month"))


def hours_of_the_year():
    start = datetime(YEAR, 1, 1, tzinfo=UTC) - 14 * HOUR
    return [start + HOUR * count for count in range(365 * 24 + 28)]


def is_lawful(moment, zone):
    local = moment.astimezone(ZoneInfo(zone))
    holidays = IN_MARTINIQUE if zone == "America/Martinique" else IN_FRANCE
    return local.isoweekday() <= 6 and local.date() not in holidays and 8 <= local.hour < 20


def is_quiet(moment, zone):
    hours = QUIET[zone]
    if hours is None:
        return False
    shown = moment.astimezone(ZoneInfo(zone)).time()
    starts, ends = hours
    return starts <= shown < ends if starts < ends else shown >= starts or shown < ends


def live_through(zone, cap, *, purpose, digest=False, most_per_day=8):
    """Every hour one more message wants to leave; what was let through, and what was put off until when."""
    hours = QUIET[zone]
    quiet = None if hours is None else QuietHours(starts=hours[0], ends=hours[1], time_zone=zone)
    region = region_of_time_zone(zone)
    regions = frozenset() if region is None else frozenset({region})
    left: list[datetime] = []
    put_off: list[tuple[datetime, Verdict]] = []
    for moment in hours_of_the_year():
        recent = tuple(one for one in left[-60:] if one > moment - timedelta(days=30))
        verdict = decide(
            now=moment,
            purpose=purpose,
            consents=(consent(purpose=purpose.slug),),
            preference=PreferenceFacts(quiet_hours=quiet, cap=cap, digest=digest, recent_contacts=recent),
            time_zone=zone,
            closed_days=closed_days_around("FR", moment.astimezone(ZoneInfo(zone)).date(), regions),
            most_per_day=most_per_day,
        )
        if verdict.decided is Decided.ALLOW:
            left.append(moment)
        else:
            put_off.append((moment, verdict))
    return left, put_off


def most_within(moments, window):
    return max(
        sum(one <= other < one + window for other in moments[place : place + 60]) for place, one in enumerate(moments)
    )


@pytest.mark.parametrize("cap", CAPS, ids=lambda cap: f"{cap.max}-per-{cap.per}")
@pytest.mark.parametrize("zone", ZONES)
def test_no_offer_leaves_outside_of_the_window_beyond_the_cap_or_in_quiet_hours(zone, cap):
    left, put_off = live_through(zone, cap, purpose=OFFERS)

    assert not [moment for moment in left if not is_lawful(moment, zone) or is_quiet(moment, zone)]
    assert most_within(left, cap.window) == cap.max
    # Nobody waits in vain: every deferral names a later hour that is lawful and not quiet.
    for moment, verdict in put_off:
        assert verdict.decided is Decided.DEFER
        assert verdict.until > moment
        assert is_lawful(verdict.until, zone)
        assert not is_quiet(verdict.until, zone)


@pytest.mark.parametrize("zone", ZONES)
def test_without_a_cap_every_lawful_hour_is_used_until_the_daily_limit(zone):
    left, _put_off = live_through(zone, None, purpose=OFFERS, most_per_day=24)

    assert left == [moment for moment in hours_of_the_year() if is_lawful(moment, zone) and not is_quiet(moment, zone)]


@pytest.mark.parametrize("zone", ZONES)
def test_of_care_messages_no_more_than_the_daily_limit_leaves_in_any_24_hours(zone):
    left, _put_off = live_through(zone, None, purpose=REMINDER, most_per_day=3)

    assert most_within(left, timedelta(hours=24)) == 3
    assert not [moment for moment in left if is_quiet(moment, zone)]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("nature", [Nature.CARE, Nature.MARKETING])
def test_a_digest_leaves_once_a_day_and_as_lawfully(zone, nature):
    purpose = OFFERS if nature is Nature.MARKETING else REMINDER

    left, put_off = live_through(zone, None, purpose=purpose, digest=True)

    assert most_within(left, timedelta(hours=12)) == 1
    assert 295 < len(left) <= 367
    if nature is Nature.MARKETING:
        assert not [moment for moment in left if not is_lawful(moment, zone)]
    assert not [moment for moment in left if is_quiet(moment, zone)]
    assert not [moment for moment, verdict in put_off if verdict.decided is Decided.DENY]


@pytest.mark.parametrize("zone", ZONES)
def test_other_channels_and_care_messages_know_no_window(zone):
    noon_of_christmas = datetime(YEAR, 12, 25, 3, tzinfo=UTC)
    by_mail = consent(purpose=OFFERS.slug, channel=Channel.EMAIL)
    closed = closed_days_around("FR", noon_of_christmas.date())

    mail = decide(
        now=noon_of_christmas,
        channel=Channel.EMAIL,
        purpose=OFFERS,
        consents=(by_mail,),
        time_zone=zone,
        closed_days=closed,
    )
    care = decide(now=noon_of_christmas, time_zone=zone, closed_days=closed)

    assert mail.decided is care.decided is Decided.ALLOW
