"""The call list: asked again when a call is taken, and how it ended is said from a closed list."""

from datetime import timedelta

import pytest

from backend.attempts.models import Attempt
from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.recording import record
from backend.consent.operations import define_purpose, withdraw_consent
from backend.consent.queries import states_of
from backend.errors import NotFound
from backend.messaging.calls import (
    CallNotAllowed,
    CallNotTaken,
    CallNotWaiting,
    CallOutcome,
    calls_waiting,
    end_call,
    take_call,
)
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.messaging.operations import VariantText, publish_template
from backend.messaging.outcomes import reconcile_attempts
from backend.patients.models import ContactPoint
from backend.policy.contact import FrequencyCap
from backend.policy.vocabulary import Channel, ConsentStatus, Language, Method, Nature, Tone
from backend.programmes.operations import approve_programme, plan_programmes, start_programme, write_programme
from tests.conftest import DAY, HOUR
from tests.factories.background import all_at_once
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import consent, make_appointment, make_patient
from tests.messaging.test_caps_and_hours import TOMORROW, change

VISIT = "visit_reminder"
WORDS = "Bonjour, ici {{ clinic.name }}. Rendez-vous {{ appointment.date }} à {{ appointment.time }}."


def offer_by(channels, clinic, *, doctor, now):
    """A reminder for those who are not online."""
    actor = system_actor()
    define_purpose(
        clinic_id=clinic.id,
        slug=VISIT,
        nature=Nature.CARE,
        channels=channels,
        names=dict.fromkeys(Language, VISIT),
        statements=dict.fromkeys(Language, VISIT),
        actor=actor,
        now=now,
    )
    publish_template(
        clinic_id=clinic.id,
        slug=VISIT,
        purpose=VISIT,
        variants=[
            VariantText(
                channel=channel,
                language=Language.FRENCH,
                tone=Tone.FORMAL,
                subject="" if channel is not Channel.LETTER else "Votre rendez-vous",
                body=WORDS,
            )
            for channel in channels
        ],
        actor=actor,
        now=now,
    )
    programme_id = write_programme(
        clinic_id=clinic.id,
        slug=VISIT,
        names=dict.fromkeys(Language, VISIT),
        purpose=VISIT,
        definition={
            "occasion": {"kind": "appointment", "topic": ""},
            "steps": [
                {"key": "d1", "offset": {"days": -1}, "at": "09:00", "worth_for_hours": 22, "template": VISIT},
            ],
        },
        actor=actor,
        now=now,
    )
    approve_programme(clinic_id=clinic.id, programme_id=programme_id, actor=doctor, now=now)
    start_programme(clinic_id=clinic.id, programme_id=programme_id, actor=actor, now=now)


@pytest.fixture
def by_phone(northgate, manager, now):
    """Not online, and said yes to calls."""
    offer_by((Channel.CALL,), northgate, doctor=manager, now=now - 10 * DAY)
    patient = make_patient(northgate.id, now=now - 9 * DAY, device=False, family_name="Auboutdufil")
    consent(patient, purpose=VISIT, channels=[Channel.CALL], now=now - 8 * DAY)
    return patient


@pytest.fixture
def waiting(by_phone, now):
    make_appointment(by_phone, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    return Message.objects.get(purpose__slug=VISIT)


def take(message, actor, now):
    return take_call(clinic_id=message.clinic_id, message_id=message.id, actor=actor, now=now)


def end(message, outcome, actor, now):
    return end_call(clinic_id=message.clinic_id, message_id=message.id, outcome=outcome, actor=actor, now=now)


def test_a_call_waits_for_staff_and_no_worker_takes_it(waiting, now):
    carriers = carriers_in_test()

    deliver_due_messages(now=now, carriers=carriers)

    assert given_to(carriers) == []
    (call,) = calls_waiting(clinic_id=waiting.clinic_id, now=now)
    assert (call.message_id, call.purpose, call.tries) == (waiting.id, VISIT, 0)


def test_whoever_takes_it_sees_the_number_and_the_words(waiting, by_phone, reception, now):
    call = take(waiting, reception, now)

    assert call.family_name == "Auboutdufil"
    assert call.number.startswith("+336399")
    assert call.words == "Bonjour, ici Clinique Northgate. Rendez-vous jeudi 15 octobre à 14h00."
    assert call.until == now + timedelta(minutes=15)
    assert "Auboutdufil" not in repr(call)
    assert calls_waiting(clinic_id=waiting.clinic_id, now=now) == []
    with pytest.raises(CallNotWaiting):
        take(waiting, reception, now)


def test_reached_is_sent_with_its_words(waiting, reception, now):
    call = take(waiting, reception, now)

    assert end(waiting, CallOutcome.REACHED, reception, now).state == "sent"

    waiting.refresh_from_db()
    assert waiting.carrier == "call_list"
    assert waiting.verdict["decided"] == "allow"
    assert waiting.sent_text is not None
    assert call.words
    assert Attempt.objects.get().outcome == "sent"
    with pytest.raises(CallNotTaken):
        end(waiting, CallOutcome.REACHED, reception, now)


def test_who_does_not_answer_is_called_again_later_and_not_for_ever(waiting, reception, now):
    for times in range(3):
        moment = now + times * 3 * HOUR
        take(waiting, reception, moment)
        ended = end(waiting, CallOutcome.NO_ANSWER, reception, moment)
        assert ended.state == ("planned" if times < 2 else "failed")
        assert calls_waiting(clinic_id=waiting.clinic_id, now=moment) == []
    waiting.refresh_from_db()
    assert (waiting.failure, waiting.sent_text) == ("not_reached", None)


def test_who_asks_not_to_be_called_is_not_called_for_anything(waiting, by_phone, reception, now):
    take(waiting, reception, now)

    ended = end(waiting, CallOutcome.ASKED_NOT_TO_BE_CALLED, reception, now)

    assert (ended.state, ended.withdrawn, ended.confirmed) == ("failed", 1, True)
    (state,) = [
        one for one in states_of(clinic_id=by_phone.clinic_id, patient_id=by_phone.id) if one.channel is Channel.CALL
    ]
    assert state.status is ConsentStatus.WITHDRAWN
    make_appointment(by_phone, starts_at=now + TOMORROW + HOUR, now=now)
    plan_programmes(now=now)
    assert calls_waiting(clinic_id=by_phone.clinic_id, now=now) == []
    # Cut off before the answer came, it is said again, and nothing is done twice.
    again = end(waiting, CallOutcome.ASKED_NOT_TO_BE_CALLED, reception, now)
    assert (again.withdrawn, again.confirmed) == (0, True)


def test_a_wrong_number_is_not_called_until_it_was_checked_anew(waiting, by_phone, reception, now):
    take(waiting, reception, now)

    assert end(waiting, CallOutcome.WRONG_NUMBER, reception, now).state == "failed"

    assert ContactPoint.objects.get(id=waiting.contact_point_id).status == "unverified"


def test_the_gate_is_asked_when_it_is_taken(waiting, by_phone, reception, now):
    withdraw_consent(
        clinic_id=by_phone.clinic_id,
        patient_id=by_phone.id,
        purpose=VISIT,
        channels=[Channel.CALL],
        method=Method.APP,
        actor=by_phone.actor,
        now=now,
    )

    with pytest.raises(CallNotAllowed) as refused:
        take(waiting, reception, now)

    assert refused.value.extra["reasons"] == ["consent_withdrawn"]
    waiting.refresh_from_db()
    assert waiting.state == "withheld"


def test_a_call_of_which_nobody_says_how_it_ended_is_in_doubt_and_can_still_be_told(waiting, reception, now):
    take(waiting, reception, now)
    # Leases are told by the database's clock: this one ended long ago.
    with record(
        Action.PATIENT_UPDATED, by=reception, now=now, clinic_id=waiting.clinic_id, about=waiting.patient_id,
        source="test", fields=["x"],
    ):  # fmt: skip
        Attempt.objects.update(lease_until=now - 400 * DAY)
    reconcile_attempts(now=now + HOUR)
    waiting.refresh_from_db()
    assert waiting.state == "in_doubt"

    assert end(waiting, CallOutcome.REACHED, reception, now + HOUR).state == "sent"
    assert Attempt.objects.get().outcome == "sent"


def test_a_moved_appointment_takes_its_call_off_the_list(waiting, by_phone, reception, now):
    source = make_appointment(by_phone, starts_at=now + TOMORROW + 2 * HOUR, now=now)
    plan_programmes(now=now)
    assert len(calls_waiting(clinic_id=waiting.clinic_id, now=now)) == 2

    make_appointment(by_phone, starts_at=now + TOMORROW + 40 * DAY, now=now, source_id=source)
    plan_programmes(now=now)

    assert [call.message_id for call in calls_waiting(clinic_id=waiting.clinic_id, now=now)] == [waiting.id]


def test_another_clinic_has_no_part_in_it(waiting, southbank, outsider, now):
    with pytest.raises(NotFound):
        take_call(clinic_id=southbank.id, message_id=waiting.id, actor=outsider, now=now)
    assert calls_waiting(clinic_id=southbank.id, now=now) == []


@pytest.mark.django_db(transaction=True)
def test_of_two_who_take_the_same_call_one_gets_it(waiting, reception, manager, now):
    told = all_at_once(lambda: take(waiting, reception, now), lambda: take(waiting, manager, now))

    assert sorted(type(one).__name__ for one in told) == ["Call", "CallNotWaiting"]
    assert Attempt.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_under_a_cap_of_one_only_one_of_two_calls_is_made(waiting, by_phone, reception, manager, now):
    change(by_phone, now, frequency=FrequencyCap(max=1, per="day"))
    make_appointment(by_phone, starts_at=now + TOMORROW + HOUR, now=now)
    plan_programmes(now=now)
    other = Message.objects.filter(purpose__slug=VISIT).exclude(id=waiting.id).get()

    told = all_at_once(lambda: take(waiting, reception, now), lambda: take(other, manager, now))

    assert sum(type(one).__name__ == "Call" for one in told) == 1
