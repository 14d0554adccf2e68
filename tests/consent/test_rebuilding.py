"""States follow from events: rebuilt, they are the same; tampered with, they are found and put right."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.recording import record
from backend.consent.models import ConsentEvent, ConsentState, Purpose
from backend.consent.operations import (
    Rebuilt,
    give_consent,
    rebuild_states,
    rebuild_states_of_an_earlier_version,
    refuse_consent,
)
from backend.policy.vocabulary import Channel
from tests.consent.test_deciding import say, withdraw
from tests.factories.background import Background
from tests.factories.log import actions_recorded
from tests.factories.patients import make_patient
from tests.factories.programmes import CHANNELS, RECALL

MINUTE = timedelta(minutes=1)
COLUMNS = (
    "patient_id",
    "purpose_id",
    "channel",
    "status",
    "since",
    "valid_until",
    "guardian_until",
    "notice_version",
    "last_event_id",
    "standing_event_id",
)


def states():
    return sorted(ConsentState.objects.values_list(*COLUMNS), key=str)


def tamper(clinic, now, work):
    with record(Action.STATES_REBUILT, by=system_actor(), now=now, clinic_id=clinic.id, count=0, different=0):
        return work()


def rebuild(clinic, now):
    return rebuild_states(clinic_id=clinic.id, actor=system_actor(), now=now)


words = st.lists(
    st.tuples(
        st.sampled_from(["give", "refuse", "withdraw"]), st.lists(st.sampled_from(CHANNELS), min_size=1, unique=True)
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=words)
def test_whatever_was_said_the_states_rebuilt_are_those_that_stand(northgate, now, said):
    patient = make_patient(northgate.id, now=now, reachable=False)
    for minutes, (what, channels) in enumerate(said):
        at = now + minutes * MINUTE
        if what == "withdraw":
            withdraw(patient, at, channels=channels)
        else:
            say(give_consent if what == "give" else refuse_consent, patient, at, channels=channels)
    before = states()

    assert rebuild(northgate, now).different == 0
    assert states() == before


@pytest.mark.parametrize(
    "change",
    [
        {"status": "given"},
        {"status": "none"},
        {"since": "now"},
        {"valid_until": None, "status": "given"},
    ],
)
def test_a_state_that_was_tampered_with_is_found_and_put_right(northgate, withdrawn, now, change):
    change = {name: now if value == "now" else value for name, value in change.items()}
    before = states()
    victim = ConsentState.objects.filter(patient_id=withdrawn.id, channel=Channel.SMS).first()
    tamper(northgate, now, lambda: ConsentState.objects.filter(id=victim.id).update(**change))
    assert states() != before

    assert rebuild(northgate, now) == Rebuilt(states=6, different=1)
    assert states() == before
    assert rebuild(northgate, now) == Rebuilt(states=6, different=0)


def test_a_state_that_was_removed_comes_back(northgate, withdrawn, now):
    before = states()
    tamper(northgate, now, lambda: ConsentState.objects.all().delete())

    assert rebuild(northgate, now) == Rebuilt(states=6, different=6)
    assert states() == before


def test_a_state_that_no_event_made_is_removed(northgate, withdrawn, silent, now):
    before = states()
    event = ConsentEvent.objects.filter(patient_id=withdrawn.id, kind="given")[0]
    purpose = Purpose.objects.get(clinic_id=northgate.id, slug=RECALL)
    tamper(
        northgate,
        now,
        lambda: ConsentState.objects.create(
            clinic_id=northgate.id,
            patient_id=silent.id,
            purpose=purpose,
            channel=Channel.SMS,
            status="given",
            since=now,
            last_event=event,
        ),
    )

    assert rebuild(northgate, now) == Rebuilt(states=6, different=1)
    assert states() == before


def test_what_was_put_right_is_in_the_log(northgate, withdrawn, now):
    tamper(northgate, now, lambda: ConsentState.objects.filter(patient_id=withdrawn.id).update(status="given"))
    before = actions_recorded(northgate.id)[Action.STATES_REBUILT]

    rebuild(northgate, now)

    assert actions_recorded(northgate.id)[Action.STATES_REBUILT] == before + 6 + 1


def test_a_rebuild_of_one_clinic_leaves_the_other_alone(northgate, southbank, withdrawn, now):
    tamper(northgate, now, lambda: ConsentState.objects.filter(patient_id=withdrawn.id).update(status="given"))

    assert rebuild(southbank, now) == Rebuilt(states=0, different=0)
    assert set(ConsentState.objects.values_list("status", flat=True)) == {"given"}


@pytest.mark.django_db(transaction=True)
def test_a_withdrawal_in_the_middle_of_a_rebuild_is_not_undone(northgate, silent, now):
    """The rebuild has read the yes; the patient withdraws; the rebuild goes on."""
    say(give_consent, silent, now, channels=CHANNELS)
    seen: list[object] = []

    def meanwhile():
        if not seen:
            seen.append(Background(lambda: withdraw(silent, now + MINUTE, channels=CHANNELS)).result())

    rebuild_states(clinic_id=northgate.id, actor=system_actor(), now=now, on_state=meanwhile)

    assert set(ConsentState.objects.values_list("status", flat=True)) == {"withdrawn"}
    assert rebuild(northgate, now).different == 0


def test_states_from_before_they_named_their_event_permit_again_after_the_start(consenting, now):
    with record(
        Action.STATES_REBUILT, by=system_actor(), now=now, clinic_id=consenting.clinic_id, count=0, different=0
    ):
        ConsentState.objects.update(standing_event=None)

    assert rebuild_states_of_an_earlier_version(actor=system_actor(), now=now) == 1

    states = ConsentState.objects.filter(patient_id=consenting.id, status="given")
    assert states.exists()
    assert not states.filter(standing_event=None).exists()
    assert rebuild_states_of_an_earlier_version(actor=system_actor(), now=now) == 0
