"""Each rule of the decision core, one example at a time."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal
from uuid import UUID

import pytest

from backend.policy.contact import (
    EARLIEST,
    LATEST,
    RULES_VERSION,
    ConsentFact,
    ContactPointFacts,
    FrequencyCap,
    PreferenceFacts,
    PurposeFacts,
    QuietHours,
    Remedy,
    Verdict,
)
from backend.policy.vocabulary import Channel, ConsentStatus, ContactStatus, Decided, Nature, Reason
from tests.policy.facts import CONSENT_EVENT, NOW, OFFERS, REMINDER, SIGN_IN_CODE, consent, decide, paris

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def quiet(starts: str, ends: str, zone: str = "Europe/Paris") -> PreferenceFacts:
    return PreferenceFacts(
        quiet_hours=QuietHours(starts=time.fromisoformat(starts), ends=time.fromisoformat(ends), time_zone=zone)
    )


def offer(**changes: Any) -> Verdict:
    said = consent(purpose=OFFERS.slug)
    return decide(**({"purpose": OFFERS, "consents": (said,)} | changes))


def test_a_consenting_patient_may_be_contacted_and_the_consent_is_named() -> None:
    verdict = decide()

    assert verdict == Verdict(decided=Decided.ALLOW, consent_event_id=CONSENT_EVENT, rules_version=RULES_VERSION)


@pytest.mark.parametrize(
    ("changes", "reason", "remedy"),
    [
        ({"deceased": True}, Reason.DECEASED, Remedy.NONE),
        ({"erased": True}, Reason.ERASED, Remedy.NONE),
        ({"restricted": True}, Reason.RESTRICTED, Remedy.LIFT_RESTRICTION),
        ({"objections": frozenset({REMINDER.slug})}, Reason.OBJECTED, Remedy.TAKE_BACK_OBJECTION),
        ({"objections": frozenset({"*"})}, Reason.OBJECTED, Remedy.TAKE_BACK_OBJECTION),
        ({"purpose": None}, Reason.PURPOSE_UNKNOWN, Remedy.NONE),
        (
            {"purpose": replace(REMINDER, channels=frozenset({Channel.EMAIL}))},
            Reason.CHANNEL_NOT_OF_PURPOSE,
            Remedy.CHOOSE_OTHER_CHANNEL,
        ),
        ({"contact_point": ContactPointFacts(status=None)}, Reason.NO_CONTACT_POINT, Remedy.ADD_CONTACT_POINT),
        (
            {"contact_point": ContactPointFacts(status=ContactStatus.UNUSABLE)},
            Reason.CONTACT_UNUSABLE,
            Remedy.ADD_CONTACT_POINT,
        ),
        (
            {"contact_point": ContactPointFacts(status=ContactStatus.UNVERIFIED)},
            Reason.CONTACT_UNVERIFIED,
            Remedy.VERIFY_CONTACT_POINT,
        ),
        (
            {"contact_point": ContactPointFacts(status=ContactStatus.VERIFIED, suppressed=True)},
            Reason.SUPPRESSED,
            Remedy.LIFT_SUPPRESSION,
        ),
        ({"programme_running": False}, Reason.PROGRAMME_NOT_RUNNING, Remedy.RUN_PROGRAMME),
        ({"occasion_stands": False}, Reason.OCCASION_CHANGED, Remedy.NONE),
        ({"template_exists": False}, Reason.NO_TEMPLATE, Remedy.WRITE_TEMPLATE),
        ({"expires_at": NOW}, Reason.TOO_LATE, Remedy.NONE),
        (
            {"preference": PreferenceFacts(purposes_off=frozenset({REMINDER.slug}))},
            Reason.PURPOSE_SWITCHED_OFF,
            Remedy.SWITCH_PURPOSE_ON,
        ),
        (
            {"preference": PreferenceFacts(channels_off=frozenset({Channel.SMS}))},
            Reason.CHANNEL_SWITCHED_OFF,
            Remedy.SWITCH_CHANNEL_ON,
        ),
    ],
)
def test_one_fact_that_speaks_against_it_is_enough_and_is_named(
    changes: dict[str, Any], reason: Reason, remedy: Remedy
) -> None:
    verdict = decide(**changes)

    assert verdict == Verdict(decided=Decided.DENY, reasons=(reason,), remedies=(remedy,))


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        ("deceased", Reason.DECEASED),
        ("erased", Reason.ERASED),
        ("restricted", Reason.RESTRICTED),
        ("objections", Reason.OBJECTED),
    ],
)
def test_what_is_not_known_counts_against_sending(fact: str, reason: Reason) -> None:
    assert decide(**{fact: None}).reasons == (reason,)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (ConsentStatus.NONE, Reason.NO_CONSENT),
        (ConsentStatus.PENDING, Reason.CONSENT_PENDING),
        (ConsentStatus.REFUSED, Reason.CONSENT_REFUSED),
        (ConsentStatus.WITHDRAWN, Reason.CONSENT_WITHDRAWN),
        (ConsentStatus.OBJECTED, Reason.OBJECTED),
        (ConsentStatus.EXPIRED, Reason.CONSENT_EXPIRED),
        (ConsentStatus.RECONSENT_REQUIRED, Reason.RECONSENT_REQUIRED),
        (ConsentStatus.ENDED, Reason.CONSENT_ENDED),
    ],
)
def test_only_a_consent_that_is_given_permits(status: ConsentStatus, reason: Reason) -> None:
    verdict = decide(consents=(consent(status),))

    assert verdict.decided is Decided.DENY
    assert verdict.reasons == (reason,)
    assert verdict.consent_event_id is None


def test_silence_is_no() -> None:
    assert decide(consents=()).reasons == (Reason.NO_CONSENT,)


def test_a_consent_that_nobody_can_show_is_none() -> None:
    assert decide(consents=(consent(event_id=None),)).reasons == (Reason.NO_CONSENT,)


def test_consent_by_mail_is_no_consent_by_sms() -> None:
    assert decide(consents=(consent(channel=Channel.EMAIL),)).reasons == (Reason.NO_CONSENT,)


def test_consent_to_one_purpose_is_no_consent_to_another() -> None:
    assert decide(consents=(consent(purpose="vaccination_recall"),)).reasons == (Reason.NO_CONSENT,)


def test_a_withdrawal_for_another_channel_or_purpose_leaves_this_one_alone() -> None:
    others = (
        consent(ConsentStatus.WITHDRAWN, channel=Channel.EMAIL),
        consent(ConsentStatus.REFUSED, purpose="vaccination_recall"),
    )

    assert decide(consents=(consent(), *others)).decided is Decided.ALLOW


def test_when_facts_contradict_each_other_the_most_restrictive_counts() -> None:
    said = frozenset({consent(), consent(ConsentStatus.WITHDRAWN), consent(ConsentStatus.PENDING)})

    verdict = decide(consents=said)

    assert verdict.decided is Decided.DENY
    assert verdict.reasons == (Reason.CONSENT_PENDING, Reason.CONSENT_WITHDRAWN)


def test_of_several_consents_that_hold_the_newest_is_relied_upon() -> None:
    newer = UUID("01999999-0000-7000-8000-000000000002")

    assert decide(consents=(consent(event_id=newer), consent())).consent_event_id == newer


def test_a_consent_holds_from_its_first_instant() -> None:
    assert decide(consents=(consent(valid_from=NOW),)).decided is Decided.ALLOW
    assert decide(consents=(consent(valid_from=NOW + HOUR),)).reasons == (Reason.CONSENT_NOT_YET_VALID,)


def test_a_consent_no_longer_holds_at_its_end() -> None:
    assert decide(consents=(consent(valid_until=NOW + timedelta(microseconds=1)),)).decided is Decided.ALLOW
    assert decide(consents=(consent(valid_until=NOW),)).reasons == (Reason.CONSENT_EXPIRED,)


def test_all_reasons_are_named_in_the_fixed_order_each_once() -> None:
    verdict = decide(
        deceased=True,
        objections=frozenset({"*"}),
        consents=(consent(ConsentStatus.OBJECTED), consent(ConsentStatus.EXPIRED), consent(valid_until=NOW)),
        contact_point=ContactPointFacts(status=None, suppressed=True),
        preference=quiet("09:00", "12:00"),
        template_exists=False,
    )

    assert verdict.reasons == (
        Reason.DECEASED,
        Reason.OBJECTED,
        Reason.CONSENT_EXPIRED,
        Reason.SUPPRESSED,
        Reason.NO_CONTACT_POINT,
        Reason.QUIET_HOURS,
        Reason.NO_TEMPLATE,
    )
    assert verdict.decided is Decided.DENY
    assert verdict.until is None
    assert verdict.remedies == (Remedy.NONE,)


def test_all_that_would_have_to_change_is_named() -> None:
    verdict = decide(consents=(), contact_point=ContactPointFacts(status=ContactStatus.UNVERIFIED))

    assert verdict.remedies == (Remedy.GIVE_CONSENT, Remedy.VERIFY_CONTACT_POINT)


def test_a_sign_in_code_needs_no_consent() -> None:
    verdict = decide(purpose=SIGN_IN_CODE, consents=())

    assert verdict == Verdict(decided=Decided.ALLOW)


def test_a_sign_in_code_that_was_asked_for_is_not_held_back() -> None:
    verdict = decide(
        purpose=SIGN_IN_CODE,
        consents=(),
        restricted=True,
        objections=frozenset({"*"}),
        contact_point=ContactPointFacts(status=ContactStatus.UNVERIFIED, suppressed=True),
        preference=PreferenceFacts(
            purposes_off=frozenset({SIGN_IN_CODE.slug}),
            channels_off=frozenset({Channel.SMS}),
            paused_until=NOW + DAY,
            quiet_hours=QuietHours(starts=time(9), ends=time(12), time_zone="Europe/Paris"),
            cap=FrequencyCap(max=1, per="day"),
            recent_contacts=(NOW - HOUR,),
        ),
    )

    assert verdict.decided is Decided.ALLOW


@pytest.mark.parametrize(
    "changes",
    [
        {"deceased": True},
        {"deceased": None},
        {"erased": True},
        {"contact_point": ContactPointFacts(status=None)},
        {"contact_point": ContactPointFacts(status=ContactStatus.UNUSABLE)},
        {"expires_at": NOW - HOUR},
        {"template_exists": False},
    ],
)
def test_the_closed_list_too_has_its_limits(changes: dict[str, Any]) -> None:
    assert decide(purpose=SIGN_IN_CODE, consents=(), **changes).decided is Decided.DENY


@pytest.mark.parametrize(
    "purpose",
    [
        replace(REMINDER, requires_consent=False),
        replace(OFFERS, requires_consent=False),
        replace(SIGN_IN_CODE, requires_consent=True),
        replace(REMINDER, nature=Nature.CLOSED_LIST),
    ],
)
def test_no_configuration_creates_a_permission(purpose: PurposeFacts) -> None:
    assert decide(purpose=purpose, consents=()).reasons == (Reason.NO_CONSENT,)


def test_a_pause_defers_until_it_ends() -> None:
    verdict = decide(preference=PreferenceFacts(paused_until=NOW + DAY))

    assert verdict == Verdict(
        decided=Decided.DEFER,
        reasons=(Reason.PAUSED,),
        until=NOW + DAY,
        consent_event_id=CONSENT_EVENT,
        remedies=(Remedy.END_PAUSE,),
    )


def test_a_pause_that_is_over_holds_nothing_back() -> None:
    assert decide(preference=PreferenceFacts(paused_until=NOW)).decided is Decided.ALLOW


def test_a_pause_without_end_is_a_no() -> None:
    verdict = decide(preference=PreferenceFacts(paused_until=datetime(9999, 12, 31, tzinfo=UTC)))

    assert verdict.decided is Decided.DENY
    assert verdict.reasons == (Reason.TOO_LATE, Reason.PAUSED)
    assert verdict.remedies == (Remedy.END_PAUSE,)


def test_at_most_no_message_at_all_is_a_no() -> None:
    verdict = decide(preference=PreferenceFacts(cap=FrequencyCap(max=0, per="week")))

    assert verdict.decided is Decided.DENY
    assert verdict.reasons == (Reason.TOO_LATE, Reason.FREQUENCY_CAP)
    assert verdict.remedies == (Remedy.CHANGE_PREFERENCES,)


def test_waiting_until_it_is_of_no_more_use_is_too_late() -> None:
    paused = PreferenceFacts(paused_until=NOW + DAY)

    assert decide(preference=paused, expires_at=NOW + DAY + HOUR).decided is Decided.DEFER
    verdict = decide(preference=paused, expires_at=NOW + DAY)
    assert verdict.decided is Decided.DENY
    assert verdict.reasons == (Reason.TOO_LATE, Reason.PAUSED)
    assert verdict.remedies == (Remedy.END_PAUSE,)


def test_what_comes_up_while_waiting_may_make_it_too_late() -> None:
    chosen = replace(quiet("20:00", "09:00"), paused_until=paris("2026-10-12 21:00+02:00"))

    verdict = decide(preference=chosen, expires_at=paris("2026-10-13 08:00+02:00"))

    assert verdict.reasons == (Reason.TOO_LATE, Reason.PAUSED, Reason.QUIET_HOURS)
    assert verdict.remedies == (Remedy.END_PAUSE, Remedy.CHANGE_PREFERENCES)


def test_nothing_helps_when_the_law_makes_it_too_late() -> None:
    verdict = offer(now=paris("2026-10-17 20:30+02:00"), expires_at=paris("2026-10-19 08:00+02:00"))

    assert verdict.reasons == (Reason.TOO_LATE, Reason.LEGAL_WINDOW)
    assert verdict.remedies == (Remedy.NONE,)


def test_what_is_not_due_yet_waits_without_a_reason() -> None:
    verdict = decide(not_before=NOW + HOUR)

    assert verdict == Verdict(
        decided=Decided.DEFER, until=NOW + HOUR, consent_event_id=CONSENT_EVENT, remedies=(Remedy.WAIT,)
    )


def test_what_was_due_already_does_not_wait() -> None:
    assert decide(not_before=NOW).decided is Decided.ALLOW


def test_a_message_due_only_after_its_end_is_too_late() -> None:
    assert decide(not_before=NOW + DAY, expires_at=NOW + DAY).reasons == (Reason.TOO_LATE,)


def test_a_plan_already_names_the_hour_at_which_it_will_leave() -> None:
    verdict = decide(not_before=paris("2026-10-12 23:00+02:00"), preference=quiet("21:00", "08:00"))

    assert verdict.reasons == (Reason.QUIET_HOURS,)
    assert verdict.until == paris("2026-10-13 08:00+02:00")


@pytest.mark.parametrize(
    ("per", "window"), [("day", timedelta(hours=24)), ("week", timedelta(days=7)), ("month", timedelta(days=30))]
)
def test_a_cap_counts_in_a_rolling_window(per: Literal["day", "week", "month"], window: timedelta) -> None:
    capped = PreferenceFacts(cap=FrequencyCap(max=2, per=per), recent_contacts=(NOW - HOUR, NOW - 2 * HOUR))

    verdict = decide(preference=capped)

    assert verdict.reasons == (Reason.FREQUENCY_CAP,)
    assert verdict.until == NOW - 2 * HOUR + window
    assert verdict.remedies == (Remedy.WAIT,)


def test_a_contact_that_has_left_the_window_no_longer_counts() -> None:
    capped = PreferenceFacts(cap=FrequencyCap(max=1, per="day"), recent_contacts=(NOW - DAY,))

    assert decide(preference=capped).decided is Decided.ALLOW


def test_a_contact_that_is_already_reserved_counts() -> None:
    capped = PreferenceFacts(cap=FrequencyCap(max=1, per="day"), recent_contacts=(NOW + HOUR,))

    assert decide(preference=capped).until == NOW + HOUR + DAY


def test_quiet_hours_during_the_day_defer_to_their_end() -> None:
    assert decide(preference=quiet("09:30", "12:15")).until == paris("2026-10-12 12:15+02:00")


def test_quiet_hours_start_at_their_first_instant_and_are_over_at_their_last() -> None:
    assert decide(preference=quiet("10:00", "10:30")).decided is Decided.DEFER
    assert decide(preference=quiet("09:30", "10:00")).decided is Decided.ALLOW


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-10-12 22:00+02:00", "2026-10-13 07:00+02:00"),
        ("2026-10-12 03:00+02:00", "2026-10-12 07:00+02:00"),
    ],
)
def test_quiet_hours_may_cross_midnight(now: str, until: str) -> None:
    assert decide(now=paris(now), preference=quiet("21:00", "07:00")).until == paris(until)


def test_the_same_hour_twice_means_no_quiet_hours() -> None:
    assert decide(preference=quiet("10:00", "10:00")).decided is Decided.ALLOW


def test_quiet_hours_are_those_of_the_patients_own_zone() -> None:
    assert decide(preference=quiet("22:00", "07:00", "America/Martinique")).until == datetime(
        2026, 10, 12, 11, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("zone", "now", "hours", "until"),
    [
        # Clocks go from 02:00 to 03:00: half past two never comes, and three is not quiet any more.
        ("Europe/Paris", "2026-03-28T23:00+01:00", ("22:00", "02:30"), "2026-03-29T03:00+02:00"),
        ("Europe/Paris", "2026-03-28T23:00+01:00", ("22:00", "03:00"), "2026-03-29T03:00+02:00"),
        ("Europe/Paris", "2026-03-28T23:00+01:00", ("22:00", "07:00"), "2026-03-29T07:00+02:00"),
        # Clocks go from 03:00 back to 02:00: the first half past two ends the quiet, the second two begins it again.
        ("Europe/Paris", "2026-10-25T00:00+02:00", ("22:00", "02:30"), "2026-10-25T02:30+02:00"),
        ("Europe/Paris", "2026-10-25T02:10+01:00", ("22:00", "02:30"), "2026-10-25T02:30+01:00"),
        ("Europe/Paris", "2026-10-25T02:45+02:00", ("02:40", "07:00"), "2026-10-25T02:00+01:00"),
        ("Europe/Paris", "2026-10-24T23:00+02:00", ("22:00", "07:00"), "2026-10-25T07:00+01:00"),
        # Lisbon: from 01:00 to 02:00, and from 02:00 back to 01:00.
        ("Europe/Lisbon", "2026-03-28T23:00+00:00", ("22:00", "01:30"), "2026-03-29T02:00+01:00"),
        ("Europe/Lisbon", "2026-10-25T00:00+01:00", ("22:00", "01:30"), "2026-10-25T01:30+01:00"),
        # Martinique keeps its clocks.
        ("America/Martinique", "2026-03-28T23:00-04:00", ("22:00", "02:30"), "2026-03-29T02:30-04:00"),
        ("America/Martinique", "2026-10-25T00:00-04:00", ("22:00", "02:30"), "2026-10-25T02:30-04:00"),
        # Both hours lie in the one that is skipped: quiet goes on until the next day's end.
        ("Europe/Paris", "2026-03-29T01:00+01:00", ("02:45", "02:30"), "2026-03-30T02:30+02:00"),
    ],
)
def test_nights_when_the_clocks_change(zone: str, now: str, hours: tuple[str, str], until: str) -> None:
    verdict = decide(now=datetime.fromisoformat(now), preference=quiet(*hours, zone))

    assert verdict.reasons == (Reason.QUIET_HOURS,)
    assert verdict.until == datetime.fromisoformat(until)


def test_with_several_things_to_wait_for_all_must_be_over() -> None:
    chosen = replace(
        quiet("20:00", "09:00"),
        paused_until=paris("2026-10-13 21:00+02:00"),
        cap=FrequencyCap(max=1, per="day"),
        recent_contacts=(paris("2026-10-12 09:30+02:00"),),
    )

    verdict = decide(preference=chosen)

    assert verdict.reasons == (Reason.PAUSED, Reason.FREQUENCY_CAP)
    assert verdict.until == paris("2026-10-14 09:00+02:00")
    assert verdict.remedies == (Remedy.END_PAUSE, Remedy.WAIT)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-10-12 07:59+02:00", "2026-10-12 08:00+02:00"),
        ("2026-10-12 20:00+02:00", "2026-10-13 08:00+02:00"),
        ("2026-10-17 20:30+02:00", "2026-10-19 08:00+02:00"),
        ("2026-10-18 12:00+02:00", "2026-10-19 08:00+02:00"),
        ("2026-10-24 21:00+02:00", "2026-10-26 08:00+01:00"),
    ],
)
def test_marketing_by_sms_waits_for_a_working_day(now: str, until: str) -> None:
    verdict = offer(now=paris(now))

    assert verdict.reasons == (Reason.LEGAL_WINDOW,)
    assert verdict.until == paris(until)
    assert verdict.remedies == (Remedy.WAIT,)


@pytest.mark.parametrize("now", ["2026-10-12 08:00+02:00", "2026-10-17 19:59+02:00"])
def test_marketing_by_sms_may_leave_on_a_working_day(now: str) -> None:
    assert offer(now=paris(now)).decided is Decided.ALLOW


def test_marketing_by_sms_does_not_leave_on_a_closed_day() -> None:
    all_saints, armistice = date(2026, 11, 1), date(2026, 11, 11)

    verdict = offer(now=paris("2026-11-11 10:00+01:00"), closed_days=frozenset({all_saints, armistice}))

    assert verdict.until == paris("2026-11-12 08:00+01:00")


def test_the_legal_window_is_counted_where_the_patient_is() -> None:
    assert offer(time_zone="America/Martinique").until == datetime(2026, 10, 12, 12, tzinfo=UTC)


def test_the_legal_window_is_for_marketing_by_sms_alone() -> None:
    sunday = paris("2026-10-18 23:00+02:00")

    assert decide(now=sunday).decided is Decided.ALLOW
    by_mail = consent(purpose=OFFERS.slug, channel=Channel.EMAIL)
    assert offer(now=sunday, channel=Channel.EMAIL, consents=(by_mail,)).decided is Decided.ALLOW
    assert decide(now=sunday, purpose=None).reasons == (Reason.PURPOSE_UNKNOWN,)


def test_when_no_hour_is_both_lawful_and_wanted_the_answer_is_no() -> None:
    verdict = offer(preference=quiet("07:00", "21:00"))

    assert verdict.decided is Decided.DENY
    assert verdict.reasons == (Reason.TOO_LATE, Reason.LEGAL_WINDOW, Reason.QUIET_HOURS)
    assert verdict.remedies == (Remedy.CHANGE_PREFERENCES,)


def test_a_time_without_a_zone_is_refused() -> None:
    naive = datetime(2026, 10, 12, 10, 0)  # noqa: DTZ001 - the very thing that is refused

    for change in ({"now": naive}, {"not_before": naive}, {"expires_at": naive}):
        with pytest.raises(ValueError, match="time zone"):
            decide(**change)
    for field in ("valid_from", "valid_until"):
        with pytest.raises(ValueError, match="time zone"):
            consent(ConsentStatus.GIVEN, **{field: naive})
    with pytest.raises(ValueError, match="time zone"):
        PreferenceFacts(paused_until=naive)
    with pytest.raises(ValueError, match="time zone"):
        PreferenceFacts(recent_contacts=(naive,))


@pytest.mark.parametrize("now", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), EARLIEST, LATEST])
def test_a_now_outside_of_the_calendar_is_refused(now: datetime) -> None:
    with pytest.raises(ValueError, match="calendar"):
        decide(now=now)


@pytest.mark.parametrize("zone", ["", "Europe", "Europe/Nowhere", "../etc/passwd"])
def test_a_zone_that_does_not_exist_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="no such time zone"):
        decide(time_zone=zone)
    with pytest.raises(ValueError, match="no such time zone"):
        quiet("22:00", "07:00", zone)


def test_quiet_hours_with_a_second_zone_are_refused() -> None:
    with pytest.raises(ValueError, match="wall clock"):
        QuietHours(starts=time(22, tzinfo=UTC), ends=time(7), time_zone="Europe/Paris")


@pytest.mark.parametrize(("most", "per"), [(-1, "week"), (1, "year")])
def test_a_cap_that_means_nothing_is_refused(most: int, per: Any) -> None:
    with pytest.raises(ValueError, match="frequency cap"):
        FrequencyCap(max=most, per=per)


def test_times_are_held_in_utc_and_for_ever_has_a_date() -> None:
    fact = ConsentFact(
        purpose=REMINDER.slug,
        channel=Channel.SMS,
        status=ConsentStatus.GIVEN,
        event_id=CONSENT_EVENT,
        valid_from=datetime.min.replace(tzinfo=UTC),
        valid_until=datetime.max.replace(tzinfo=UTC),
    )

    assert (fact.valid_from, fact.valid_until) == (EARLIEST, LATEST)
    assert str(consent(valid_from=paris("2026-10-12 10:00+02:00")).valid_from) == "2026-10-12 08:00:00+00:00"


def test_a_verdict_is_stored_as_codes_and_times() -> None:
    verdict = decide(preference=PreferenceFacts(paused_until=NOW + DAY, version=4))

    assert verdict.as_record() == {
        "decided": "defer",
        "reasons": ["paused"],
        "until": "2026-10-13T08:00:00+00:00",
        "consent_event_id": str(CONSENT_EVENT),
        "standing_event_id": str(CONSENT_EVENT),
        "preferences_version": 4,
        "rules_version": RULES_VERSION,
        "remedies": ["end_pause"],
    }
    assert Verdict.from_record(verdict.as_record()) == verdict


@pytest.mark.parametrize(
    "damage",
    [
        {"decided": "perhaps"},
        {"reasons": "paused"},
        {"reasons": ["because"]},
        {"remedies": None},
        {"until": "tomorrow"},
        {"until": "2026-10-13T08:00:00"},
        {"consent_event_id": "7"},
        {"preferences_version": "7"},
    ],
)
def test_a_record_that_was_never_written_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Verdict.from_record(decide().as_record() | damage)


@pytest.mark.parametrize("status", [ConsentStatus.REFUSED, ConsentStatus.WITHDRAWN, ConsentStatus.GIVEN])
def test_a_verdict_names_what_was_last_said(status: ConsentStatus) -> None:
    elsewhere = consent(status, channel=Channel.EMAIL, event_id=UUID(int=9))

    verdict = decide(consents=(elsewhere, consent(status, event_id=UUID(int=7))))

    assert verdict.standing_event_id == UUID(int=7)
    assert Verdict.from_record(verdict.as_record()).standing_event_id == UUID(int=7)


def test_where_nothing_was_said_there_is_nothing_to_name() -> None:
    assert decide(consents=()).standing_event_id is None
