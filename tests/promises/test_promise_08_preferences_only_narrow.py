"""Promise 8: preferences turn a yes into a later or a no, and never a no into a yes."""

from dataclasses import fields, replace
from datetime import datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.audit.actors import Actor, ActorKind, system_actor
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.patients.models import Representative
from backend.patients.operations import import_records
from backend.policy.contact import FrequencyCap, decide
from backend.policy.vocabulary import Channel, Decided, Language, MessageState, Tone
from backend.preferences.models import PreferenceVersion
from backend.preferences.operations import PreferenceChange, change_preferences
from backend.preferences.queries import PreferenceRow
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import REMINDER
from tests.factories.records import mother
from tests.policy.test_contact_properties import any_facts

TOMORROW = timedelta(days=1, hours=4)


def change(patient, now, *, actor=None, **said):
    change_preferences(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        change=PreferenceChange(**said),
        actor=actor or patient.actor,
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
WISHES: dict[str, st.SearchStrategy[Any]] = {
    "channel_order": st.lists(st.sampled_from(Channel), min_size=1, unique=True).map(tuple),
    "frequency": st.none()
    | st.builds(FrequencyCap, max=st.integers(0, 9), per=st.sampled_from(["day", "week", "month"])),
    "digest": st.booleans(),
    "tone": st.none() | st.sampled_from(Tone),
    "language": st.none() | st.sampled_from(Language),
    "discreet": st.booleans(),
    "large_print": st.booleans(),
    "no_first_name": st.booleans(),
    "no_personalisation": st.booleans(),
    "purposes": st.dictionaries(st.sampled_from([REMINDER, "nothing_known"]), st.booleans()),
    "time_zone": st.sampled_from(["", "Europe/Paris", "Indian/Reunion", "America/Cayenne"]),
    "paused_until": st.none()
    | st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2027, 1, 1)).map(  # noqa: DTZ001 - the zone comes next
        lambda at: at.astimezone()
    ),
}
wishes = st.fixed_dictionaries({}, optional=WISHES).filter(bool)


def test_every_wish_there_is_is_among_those_tried():
    assert {"quiet_from", "quiet_to", *WISHES} == {one.name for one in fields(PreferenceChange)}


strictness = (Decided.ALLOW, Decided.DEFER, Decided.DENY)


@settings(max_examples=400, deadline=None)
@given(facts=any_facts, wish=wishes, quiet=st.none() | st.tuples(hours, hours))
def test_for_all_facts_no_wish_turns_a_no_into_a_yes(facts, wish, quiet):
    """Through the very code that stores and reads a wish: from what was said to the verdict."""
    if quiet is not None:
        wish = {**wish, "quiet_from": quiet[0], "quiet_to": quiet[1]}
    nothing_said = PreferenceRow(channel_order=tuple(Channel))
    contacts = facts.preference.recent_contacts
    wanted = replace(PreferenceChange(**wish).applied_to(nothing_said), version=7)

    without = decide(replace(facts, preference=nothing_said.facts(time_zone=facts.time_zone, recent_contacts=contacts)))
    with_it = decide(replace(facts, preference=wanted.facts(time_zone=facts.time_zone, recent_contacts=contacts)))

    assert strictness.index(with_it.decided) >= strictness.index(without.decided)
    if without.decided is Decided.DENY:
        assert set(without.reasons) <= set(with_it.reasons)
    if with_it.decided is not Decided.DENY:
        assert with_it.consent_event_id == without.consent_event_id


@settings(max_examples=200, deadline=None)
@given(facts=any_facts, wish=wishes)
def test_a_second_wish_can_not_widen_what_the_facts_deny_without_any(facts, wish):
    """Whatever preferences there are already: changing them again reaches no further than having none."""
    none = decide(replace(facts, preference=PreferenceRow(channel_order=tuple(Channel)).facts(time_zone="UTC")))
    first = PreferenceChange(**wish).applied_to(PreferenceRow())
    again = PreferenceChange(channel_order=tuple(Channel), purposes={REMINDER: True}).applied_to(first)

    verdict = decide(replace(facts, preference=again.facts(time_zone="UTC")))

    assert strictness.index(verdict.decided) >= strictness.index(none.decided)


@pytest.fixture
def roles(silent, reception, dpo, now):
    import_records(
        clinic_id=silent.clinic_id, records=[mother(silent.ipp)], source="test", actor=system_actor(), now=now - DAY
    )
    return {
        ActorKind.PATIENT: silent.actor,
        ActorKind.REPRESENTATIVE: Actor(kind=ActorKind.REPRESENTATIVE, id=Representative.objects.get().id),
        ActorKind.STAFF: reception,
        ActorKind.DPO: dpo,
        ActorKind.SYSTEM: system_actor("import"),
    }


@pytest.mark.parametrize("role", list(ActorKind))
def test_whoever_says_it_a_preference_is_no_consent(silent, roles, now, role):
    change(
        silent,
        now - HOUR,
        actor=roles[role],
        channel_order=tuple(Channel),
        purposes={REMINDER: True},
        frequency=None,
        paused_until=None,
        discreet=False,
    )
    make_appointment(silent, starts_at=now + TOMORROW, now=now)

    assert deliver(now) == []
    assert Message.objects.get().verdict["reasons"] == ["no_consent"]
    assert PreferenceVersion.objects.get().changed_by == role


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
