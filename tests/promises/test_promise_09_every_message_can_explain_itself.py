"""Promise 9: every message, sent or not, says why: its verdict, its consent, its words, and its entries in the log."""

from collections import Counter
from datetime import time, timedelta
from uuid import UUID

import orjson
import pytest

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.recording import record
from backend.consent.operations import withdraw_consent
from backend.consent.queries import events_by_id
from backend.messaging.carriers.base import FailureCode, InDoubt, PermanentFailure, Receipt
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.held import Pace
from backend.messaging.models import Message
from backend.messaging.queries import count_by_state, messages_of, reveal_sent_texts
from backend.policy.contact import RULES_VERSION, Verdict
from backend.policy.vocabulary import Channel, Decided, MessageState, Method
from backend.preferences.operations import PreferenceChange, change_preferences
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.factories.carriers import carriers_in_test
from tests.factories.log import actions_recorded
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import CHANNELS, REMINDER

TOMORROW = timedelta(days=1, hours=4)


@pytest.fixture
def stories(northgate, now):
    """One patient for each way that a message can go; the state it must end in."""
    ways = {
        "sent": MessageState.SENT,
        "failed": MessageState.FAILED,
        "in doubt": MessageState.IN_DOUBT,
        "silent": MessageState.WITHHELD,
        "withdrew after planning": MessageState.WITHHELD,
        "asleep": MessageState.DEFERRED,
        "cancelled": MessageState.CANCELLED,
        "too late": MessageState.EXPIRED,
    }
    people = {way: make_patient(northgate.id, now=now - DAY) for way in ways}
    for way, patient in people.items():
        if way != "silent":
            consent(patient, purpose=REMINDER, channels=CHANNELS, now=now - DAY)
    starts_at = dict.fromkeys(ways, now + TOMORROW) | {"too late": now + 3 * HOUR}
    sources = {way: make_appointment(people[way], starts_at=at, now=now - 12 * HOUR) for way, at in starts_at.items()}
    # The evening before: what is about an appointment of the next day is of use until seven in the morning.
    plan_programmes(now=now - 12 * HOUR)
    one = people["withdrew after planning"]
    withdraw_consent(
        clinic_id=northgate.id,
        patient_id=one.id,
        purpose=REMINDER,
        channels=CHANNELS,
        method=Method.APP,
        actor=one.actor,
        now=now,
    )
    change_preferences(
        clinic_id=northgate.id,
        patient_id=people["asleep"].id,
        change=PreferenceChange(quiet_from=time(22), quiet_to=time(12)),
        actor=people["asleep"].actor,
        now=now,
    )
    make_appointment(
        people["cancelled"], starts_at=now + TOMORROW, now=now, source_id=sources["cancelled"], status="cancelled"
    )
    late = {
        message.id: way for way in ("failed", "in doubt") for message in Message.objects.filter(patient=people[way].id)
    }

    def answer(message):
        match late.get(message.message_id):
            case "failed":
                return PermanentFailure(FailureCode.ADDRESS_GONE)
            case "in doubt":
                return InDoubt()
        return Receipt("r-1")

    plan_programmes(now=now)
    deliver_due_messages(now=now + 2 * HOUR - timedelta(minutes=1), carriers=carriers_in_test(answer), pace=Pace())
    return {patient.id: (way, ways[way]) for way, patient in people.items()}


def test_each_way_ends_in_its_state(northgate, stories):
    ended = {stories[row.patient_id][0]: row.state for row in messages_of(clinic_id=northgate.id)}

    assert ended == {way: state.value for way, state in stories.values()}
    assert count_by_state(northgate.id) == Counter(state for _way, state in stories.values())


def test_every_message_has_a_verdict_under_the_rules_that_stood(northgate, stories):
    for row in messages_of(clinic_id=northgate.id):
        assert row.verdict is not None
        assert row.verdict.rules_version == RULES_VERSION
        assert (row.verdict.decided is Decided.DENY) == (row.state in {"withheld", "expired"})


def test_what_was_not_sent_says_why(northgate, stories):
    reasons = {
        stories[row.patient_id][0]: [reason.value for reason in row.verdict.reasons] or [row.failure]
        for row in messages_of(clinic_id=northgate.id)
        if row.state != MessageState.SENT
    }

    assert reasons == {
        "failed": ["address_gone"],
        "in doubt": ["no_answer"],
        "silent": ["no_consent"],
        "withdrew after planning": ["consent_withdrawn"],
        "asleep": ["quiet_hours"],
        "cancelled": ["occasion_changed"],
        "too late": ["too_late"],
    }


def test_what_may_have_left_names_the_consent_it_relied_upon(northgate, stories):
    for row in messages_of(clinic_id=northgate.id, states=[MessageState.SENT, MessageState.IN_DOUBT]):
        relied_upon = row.verdict.consent_event_id if row.verdict else None
        assert relied_upon is not None
        assert row.settled_at is not None
        event = events_by_id([relied_upon])[relied_upon]
        assert (event.purpose, event.channel, event.decision) == (row.purpose, row.channel, "given")
        assert event.notice_version == 1
        assert len(event.notice_sha256) == 64
        assert event.recorded_at <= row.settled_at


def test_what_may_have_left_shows_its_words_and_where_they_come_from(northgate, stories, now):
    rows = messages_of(clinic_id=northgate.id, states=[MessageState.SENT, MessageState.IN_DOUBT])
    with record(
        Action.MESSAGES_READ,
        by=system_actor(),
        now=now,
        clinic_id=northgate.id,
        about=[row.patient_id for row in rows],
    ) as entry:
        texts = reveal_sent_texts([row.id for row in rows], entry=entry)

    for row in rows:
        assert "rendez-vous 15/10" in texts[row.id]["text"]
        assert (row.template, row.template_number) == (REMINDER, 1)
        assert row.carrier == "in_test"


def test_every_message_says_what_was_thought_of_the_other_channels(northgate, stories):
    for row in messages_of(clinic_id=northgate.id):
        assert set(row.considered) == {channel.value for channel in CHANNELS}
    (silent,) = [row for row in messages_of(clinic_id=northgate.id) if stories[row.patient_id][0] == "silent"]
    assert {one["reasons"][0] for one in silent.considered.values()} == {"no_consent"}


def test_every_step_is_in_the_log(northgate, stories):
    recorded = actions_recorded(northgate.id)

    assert recorded[Action.MESSAGE_PLANNED] == 7
    assert recorded[Action.MESSAGE_WITHHELD] == 2
    assert recorded[Action.MESSAGE_CLAIMED] == 6
    for action in (
        Action.MESSAGE_HANDED_OVER,
        Action.MESSAGE_FAILED,
        Action.MESSAGE_IN_DOUBT,
        Action.MESSAGE_DEFERRED,
        Action.MESSAGE_CANCELLED,
        Action.MESSAGE_EXPIRED,
    ):
        assert recorded[action] == 1, action


def test_what_is_stored_of_a_verdict_is_small_and_holds_codes_and_ids_only(northgate, stories):
    """A row for every message of years: it must not grow, and nobody can be named by it."""
    allowed = {channel.value for channel in Channel}
    for row in Message.objects.all():
        assert len(orjson.dumps(row.verdict)) < 2_000
        of_the_verdict = set(Verdict.from_record(row.verdict).as_record())
        assert set(row.verdict) == {*of_the_verdict, "stage", "considered"}
        assert set(row.verdict["considered"]) <= allowed
        for event in (row.verdict["consent_event_id"], row.verdict["standing_event_id"]):
            assert event is None or str(UUID(event)) == event
