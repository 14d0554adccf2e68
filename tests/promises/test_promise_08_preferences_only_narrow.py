"""Promise 8: preferences turn a yes into a later or a no, and never a no into a yes."""

from datetime import datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.policy.contact import FrequencyCap
from backend.policy.vocabulary import Channel, Language, MessageState, Tone
from backend.preferences.operations import PreferenceChange, change_preferences
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import REMINDER

TOMORROW = timedelta(days=1, hours=4)


def change(patient, now, **said):
    change_preferences(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        change=PreferenceChange(**said),
        actor=patient.actor,
        now=now,
    )


def deliver(now):
    carriers = carriers_in_test()
    plan_programmes(now=now)
    deliver_due_messages(now=now, carriers=carriers)
    return given_to(carriers)


NARROWING: dict[str, Any] = {
    "the purpose is off": ({"purposes": {REMINDER: False}}, MessageState.WITHHELD, ["purpose_switched_off"]),
    "paused beyond use": ({"paused_until": timedelta(days=30)}, MessageState.WITHHELD, ["paused", "too_late"]),
    "paused for an hour": ({"paused_until": HOUR}, MessageState.PLANNED, ["paused"]),
    "none a week": (
        {"frequency": FrequencyCap(max=0, per="week")},
        MessageState.WITHHELD,
        ["too_late", "frequency_cap"],
    ),
    "quiet until eleven": ({"quiet_from": time(22), "quiet_to": time(11)}, MessageState.PLANNED, ["quiet_hours"]),
}


@pytest.mark.parametrize("what", NARROWING)
def test_a_preference_narrows_a_yes(consenting, now, what):
    said, state, reasons = NARROWING[what]
    said = {name: now + value if isinstance(value, timedelta) else value for name, value in said.items()}
    change(consenting, now - DAY, **said)
    make_appointment(consenting, starts_at=now + TOMORROW, now=now)

    assert deliver(now) == []
    message = Message.objects.get()
    assert message.state == state
    assert sorted(message.verdict["reasons"]) == sorted(reasons)


def test_a_channel_that_is_off_is_passed_over(consenting, now):
    change(consenting, now - DAY, channel_order=(Channel.EMAIL, Channel.SMS))
    make_appointment(consenting, starts_at=now + TOMORROW, now=now)

    assert [message.channel for message in deliver(now)] == [Channel.EMAIL]


def test_all_channels_with_consent_off_means_no(northgate, now):
    patient = make_patient(northgate.id, now=now - DAY)
    consent(patient, purpose=REMINDER, channels=[Channel.SMS], now=now - DAY)
    change(patient, now - DAY, channel_order=(Channel.PUSH, Channel.EMAIL))
    make_appointment(patient, starts_at=now + TOMORROW, now=now)

    assert deliver(now) == []


def test_a_preference_changed_after_planning_counts_at_the_gate(consenting, now):
    make_appointment(consenting, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    change(consenting, now, purposes={REMINDER: False})

    assert deliver(now) == []
    assert Message.objects.get().verdict["reasons"] == ["purpose_switched_off"]


hours = st.times(timezones=st.none()).map(lambda at: at.replace(microsecond=0))
wishes = st.fixed_dictionaries(
    {},
    optional={
        "channel_order": st.lists(st.sampled_from(Channel), min_size=1, unique=True).map(tuple),
        "frequency": st.none()
        | st.builds(FrequencyCap, max=st.integers(0, 9), per=st.sampled_from(["day", "week", "month"])),
        "digest": st.booleans(),
        "tone": st.none() | st.sampled_from(Tone),
        "language": st.none() | st.sampled_from(Language),
        "discreet": st.booleans(),
        "purposes": st.dictionaries(st.sampled_from([REMINDER, "nothing_known"]), st.booleans()),
        "time_zone": st.sampled_from(["", "Europe/Paris", "Indian/Reunion", "America/Cayenne"]),
        "paused_until": st.none()
        | st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2027, 1, 1)).map(  # noqa: DTZ001 - the zone comes next
            lambda at: at.astimezone()
        ),
    },
).filter(bool)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wish=wishes, quiet=st.none() | st.tuples(hours, hours))
def test_whatever_somebody_prefers_silence_stays_silence(silent, withdrawn, now, wish, quiet):
    if quiet is not None:
        wish = {**wish, "quiet_from": quiet[0], "quiet_to": quiet[1]}
    for patient in (silent, withdrawn):
        change(patient, now - DAY, **wish)
        make_appointment(patient, starts_at=now + TOMORROW, now=now)

    assert deliver(now) == []
    states = set(Message.objects.filter(patient_id__in=[silent.id, withdrawn.id]).values_list("state", flat=True))
    assert states == {MessageState.WITHHELD}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wish=wishes)
def test_whatever_somebody_prefers_only_consented_channels_are_used(northgate, now, wish):
    patient = make_patient(northgate.id, now=now - DAY)
    consent(patient, purpose=REMINDER, channels=[Channel.SMS], now=now - DAY)
    change(patient, now - DAY, **wish)
    make_appointment(patient, starts_at=now + TOMORROW, now=now)

    assert {message.channel for message in deliver(now)} <= {Channel.SMS}
