"""What other preferences would have changed: the real messages, decided again, and nothing changed by looking."""

from datetime import time, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.audit.actions import Action
from backend.audit.recording import record
from backend.errors import InvalidInput, NotFound
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.messaging.previewing import MOST_MESSAGES, preview_preferences
from backend.policy.contact import FrequencyCap
from backend.policy.vocabulary import Channel, MessageState, Reason
from backend.preferences.models import Preferences, PreferenceVersion
from backend.preferences.operations import PreferenceChange, change_preferences
from backend.programmes.operations import plan_programmes
from backend.vault.identifiers import new_id
from tests.conftest import DAY, HOUR
from tests.factories.carriers import carriers_in_test
from tests.factories.log import actions_recorded
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import REMINDER

TOMORROW = timedelta(days=1, hours=4)


def preview(patient, now, *, days=30, clinic_id=None, **said):
    return preview_preferences(
        clinic_id=clinic_id or patient.clinic_id,
        patient_id=patient.id,
        change=PreferenceChange(**said),
        days=days,
        actor=patient.actor,
        now=now,
    )


def prefer(patient, now, **said):
    change_preferences(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        change=PreferenceChange(**said),
        actor=patient.actor,
        now=now,
    )


def live(now, days, *patients):
    """On each of these days, an appointment is coming up; each hour, what is due goes out."""
    for day in days:
        at = now + day * DAY
        for patient in patients:
            make_appointment(patient, starts_at=at + TOMORROW, now=at)
        plan_programmes(now=at)
        for hour in range(3):
            deliver_due_messages(now=at + hour * HOUR, carriers=carriers_in_test())


@pytest.fixture
def twins(northgate, now):
    pair = [make_patient(northgate.id, now=now - 29 * DAY) for _twin in range(2)]
    for patient in pair:
        consent(patient, purpose=REMINDER, channels=[Channel.SMS, Channel.EMAIL], now=now - 29 * DAY)
    return pair


def test_four_messages_instead_of_nine(twins, now):
    patient = twins[0]
    live(now, [-28, -27, -20, -19, -18, -12, -11, -4, -3], patient)

    seen = preview(patient, now, frequency=FrequencyCap(max=1, per="week"))

    assert (seen.would_receive, seen.received) == (4, 9)
    assert [one.at for one in seen.kept] == [now + day * DAY for day in (-28, -20, -12, -4)]
    assert {one.reasons for one in seen.not_sent} == {(Reason.TOO_LATE, Reason.FREQUENCY_CAP)}
    assert (seen.later, seen.added) == ([], [])


CHOICES: dict[str, dict[str, Any]] = {
    "nothing else": {},
    "one in two days": {"frequency": FrequencyCap(max=1, per="day")},
    "two a week": {"frequency": FrequencyCap(max=2, per="week")},
    "not before eleven": {"quiet_from": time(20), "quiet_to": time(11)},
    "not before eleven, and one a week": {
        "quiet_from": time(20),
        "quiet_to": time(11),
        "frequency": FrequencyCap(max=1, per="week"),
    },
    "by e-mail first": {"channel_order": (Channel.EMAIL, Channel.SMS)},
    "by a channel without consent": {"channel_order": (Channel.PUSH,)},
    "no reminders": {"purposes": {REMINDER: False}},
}


@pytest.mark.parametrize("choice", CHOICES)
def test_the_preview_says_what_happened_to_a_twin_who_chose_so_from_the_start(twins, now, choice):
    undecided, decided = twins
    if CHOICES[choice]:
        prefer(decided, now - 29 * DAY, **CHOICES[choice])
    live(now, [-20, -19, -18, -8, -2], undecided, decided)

    seen = preview(undecided, now, **CHOICES[choice])

    really = Message.objects.filter(patient_id=decided.id, state=MessageState.SENT).order_by("claimed_at")
    foretold = sorted((one.would_come_at, one.channel) for one in (*seen.kept, *seen.later))
    assert foretold == [(one.claimed_at, one.channel) for one in really]
    assert (seen.would_receive, seen.received) == (len(really), 5)
    withheld = Message.objects.filter(patient_id=decided.id, state=MessageState.WITHHELD)
    assert {reason for one in seen.not_sent for reason in one.reasons} == {
        reason for one in withheld for reason in one.verdict["reasons"]
    }


def test_what_preferences_withheld_would_come_without_them(twins, now):
    patient = twins[0]
    prefer(patient, now - 29 * DAY, purposes={REMINDER: False})
    live(now, [-3, -1], patient)

    seen = preview(patient, now, purposes={REMINDER: True})

    assert (seen.received, seen.would_receive) == (0, 2)
    # At the hour at which each was due: nine.
    assert [one.would_come_at for one in seen.added] == [now - 3 * DAY - HOUR, now - DAY - HOUR]
    assert preview(patient, now).added == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    said=st.fixed_dictionaries(
        {"channel_order": st.lists(st.sampled_from(Channel), min_size=1, unique=True).map(tuple)},
        optional={
            "frequency": st.none() | st.builds(FrequencyCap, max=st.integers(0, 5), per=st.just("week")),
            "purposes": st.dictionaries(st.just(REMINDER), st.booleans()),
            "paused_until": st.none(),
        },
    )
)
def test_no_settings_bring_what_was_not_consented_to(silent, withdrawn, now, said):
    if not Message.objects.exists():
        live(now, [-2, -1], silent, withdrawn)
        assert Message.objects.count() == 4

    for patient in (silent, withdrawn):
        seen = preview(patient, now, **said)
        assert (seen.received, seen.would_receive, seen.added) == (0, 0, [])


def test_a_message_that_would_still_wait_is_not_counted_yet(twins, now):
    patient = twins[0]
    live(now - 2 * HOUR, [0], patient)

    seen = preview(patient, now, paused_until=now + HOUR)

    assert (seen.received, seen.would_receive) == (1, 0)
    assert [(one.would_come_at, one.reasons) for one in seen.later] == [(now + HOUR, (Reason.PAUSED,))]


def test_looking_changes_nothing_and_is_recorded(twins, now):
    patient = twins[0]
    live(now, [-2, -1], patient)
    before = list(Message.objects.order_by("id").values())

    preview(patient, now, digest=True, frequency=FrequencyCap(max=0, per="day"))

    assert list(Message.objects.order_by("id").values()) == before
    assert not Preferences.objects.exists()
    assert not PreferenceVersion.objects.exists()
    assert actions_recorded(patient.clinic_id)[Action.PREFERENCES_PREVIEWED] == 1


def test_only_the_period_and_only_this_patient_is_looked_at(twins, now):
    patient, other = twins
    live(now, [-20, -2], patient)
    live(now, [-1], other)

    assert preview(patient, now, days=10).received == 1
    assert preview(patient, now, days=30).received == 2


@pytest.mark.parametrize("days", [0, 91, -1])
def test_the_period_is_bounded(silent, now, days):
    with pytest.raises(InvalidInput):
        preview(silent, now, days=days)


def test_nonsense_is_refused_before_anything_is_looked_at(silent, now):
    with pytest.raises(InvalidInput):
        preview(silent, now, channel_order=())

    assert Action.PREFERENCES_PREVIEWED not in actions_recorded(silent.clinic_id)


def test_a_patient_of_another_clinic_is_not_there(southbank, silent, now):
    with pytest.raises(NotFound):
        preview(silent, now, clinic_id=southbank.id, digest=True)


def test_of_very_many_messages_the_newest_are_looked_at(twins, now):
    patient = twins[0]
    live(now, [-1], patient)
    (sent,) = Message.objects.filter(patient_id=patient.id)
    with record(
        Action.MESSAGE_CANCELLED,
        by=patient.actor,
        now=now,
        clinic_id=patient.clinic_id,
        about=patient.id,
        message=sent.id,
        reason="test",
    ):
        for place in range(MOST_MESSAGES + 5):
            sent.pk, sent.occurrence, sent.sent_text = new_id(), f"copy-{place}", None
            sent.save(force_insert=True)

    seen = preview(patient, now, frequency=FrequencyCap(max=1, per="day"))

    assert (seen.truncated, seen.received) == (True, MOST_MESSAGES)
    assert seen.would_receive == 1
