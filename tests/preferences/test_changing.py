"""What a patient prefers is changed piece by piece, by version, and nonsense is refused."""

from datetime import datetime, time

import pytest

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.keys import destroy_subject_keys
from backend.audit.recording import record
from backend.errors import InvalidInput, NotFound
from backend.patients.models import Patient
from backend.policy.contact import FrequencyCap
from backend.policy.vocabulary import Channel, Language, Tone
from backend.preferences.models import Preferences
from backend.preferences.operations import PreferenceChange, PreferencesChanged, change_preferences
from backend.preferences.queries import DEFAULT_ORDER, PreferenceRow, get_preferences, preferences_of
from tests.factories.background import all_at_once
from tests.factories.log import actions_recorded
from tests.factories.programmes import RECALL, REMINDER


def change(patient, now, *, expected_version=None, clinic_id=None, **said):
    return change_preferences(
        clinic_id=clinic_id or patient.clinic_id,
        patient_id=patient.id,
        change=PreferenceChange(**said),
        expected_version=expected_version,
        actor=patient.actor,
        now=now,
    )


def stored(patient):
    return get_preferences(clinic_id=patient.clinic_id, patient_id=patient.id)


def test_who_chose_nothing_has_the_defaults(silent):
    assert stored(silent) == PreferenceRow()
    assert stored(silent).channel_order == DEFAULT_ORDER
    assert preferences_of([silent.id]) == {}


def test_what_is_not_said_stays_as_it_was(silent, now):
    change(silent, now, tone=Tone.PLAIN, quiet_from=time(21), quiet_to=time(8), purposes={REMINDER: False})
    change(silent, now, language=Language.ENGLISH, purposes={RECALL: False})

    row = stored(silent)
    assert (row.tone, row.language, row.version) == (Tone.PLAIN, Language.ENGLISH, 2)
    assert (row.quiet_from, row.quiet_to) == (time(21), time(8))
    assert row.purposes == {REMINDER: False, RECALL: False}


def test_what_was_chosen_can_be_taken_back(silent, now):
    change(silent, now, tone=Tone.PLAIN, frequency=FrequencyCap(max=2, per="week"), paused_until=now)
    change(silent, now, tone=None, frequency=None, paused_until=None)

    row = stored(silent)
    assert (row.tone, row.frequency, row.paused_until) == (None, None, None)


def test_everything_that_is_said_comes_back_as_it_was_said(silent, now):
    said = {
        "channel_order": (Channel.EMAIL, Channel.SMS),
        "frequency": FrequencyCap(max=1, per="month"),
        "digest": True,
        "tone": Tone.INFORMAL,
        "language": Language.ENGLISH,
        "quiet_from": time(22, 30),
        "quiet_to": time(7),
        "time_zone": "Indian/Reunion",
        "paused_until": now,
        "discreet": False,
        "purposes": {REMINDER: True},
    }

    told = change(silent, now, **said)

    assert told == stored(silent) == PreferenceRow(version=1, **said)


def test_who_read_an_older_version_is_told(silent, now):
    change(silent, now, expected_version=0, digest=True)
    change(silent, now, expected_version=1, digest=False)

    with pytest.raises(PreferencesChanged):
        change(silent, now, expected_version=1, digest=True)
    assert (stored(silent).version, stored(silent).digest) == (2, False)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({}, None),
        ({"channel_order": ()}, "channel_order"),
        ({"channel_order": (Channel.SMS, Channel.SMS)}, "channel_order"),
        ({"quiet_from": time(22)}, "quiet_hours"),
        ({"quiet_to": time(22)}, "quiet_hours"),
        ({"quiet_from": time(22), "quiet_to": None}, "quiet_hours"),
        (
            {"quiet_from": time(22).replace(tzinfo=datetime.now().astimezone().tzinfo), "quiet_to": time(7)},
            "quiet_hours",
        ),
        ({"time_zone": "Europe/Lyon"}, "quiet_hours.time_zone"),
        ({"time_zone": "../../etc/passwd"}, "quiet_hours.time_zone"),
        ({"paused_until": datetime(2026, 12, 1)}, "paused_until"),  # noqa: DTZ001 - that is the nonsense
        ({"frequency": FrequencyCap(max=99_999, per="day")}, "frequency.max"),
        ({"purposes": {"x" * 61: True}}, "purposes"),
        ({"purposes": {REMINDER: "yes"}}, "purposes"),
        ({"purposes": {f"purpose_{number}": True for number in range(101)}}, "purposes"),
    ],
)
def test_nonsense_is_refused_and_the_field_named(silent, now, said, field):
    with pytest.raises(InvalidInput) as refused:
        change(silent, now, **said)

    assert refused.value.field == field
    assert Preferences.objects.count() == 0


def test_purposes_can_not_pile_up(silent, now):
    change(silent, now, purposes={f"purpose_{number}": True for number in range(99)})

    with pytest.raises(InvalidInput):
        change(silent, now, purposes={"one": True, "more": True})


def test_a_patient_of_another_clinic_is_not_there(southbank, silent, now):
    with pytest.raises(NotFound):
        change(silent, now, clinic_id=southbank.id, digest=True)


def test_an_erased_patient_prefers_nothing(silent, now):
    destroy_subject_keys(
        subject_id=silent.id, clinic_id=silent.clinic_id, reason="erasure", actor=system_actor(), now=now
    )
    with record(Action.KEY_DESTROYED, by=system_actor(), now=now, clinic_id=silent.clinic_id, keys=[], reason="x"):
        Patient.objects.filter(id=silent.id).update(erased_at=now)

    with pytest.raises(NotFound):
        change(silent, now, digest=True)


def test_each_change_is_in_the_log(silent, now):
    change(silent, now, digest=True)
    change(silent, now, digest=False)

    assert actions_recorded(silent.clinic_id)[Action.PREFERENCES_CHANGED] == 2


@pytest.mark.django_db(transaction=True)
def test_changes_made_at_once_are_all_kept(silent, now):
    told = all_at_once(
        lambda: change(silent, now, digest=True),
        lambda: change(silent, now, tone=Tone.PLAIN),
        lambda: change(silent, now, language=Language.ENGLISH),
        lambda: change(silent, now, purposes={REMINDER: False}),
    )

    assert not [one for one in told if isinstance(one, Exception)]
    row = stored(silent)
    assert (row.digest, row.tone, row.language, row.purposes, row.version) == (
        True,
        Tone.PLAIN,
        Language.ENGLISH,
        {REMINDER: False},
        4,
    )


@pytest.mark.django_db(transaction=True)
def test_of_two_who_read_the_same_version_one_is_told(silent, now):
    told = all_at_once(
        lambda: change(silent, now, expected_version=0, digest=True),
        lambda: change(silent, now, expected_version=0, tone=Tone.PLAIN),
    )

    assert sorted(type(one).__name__ for one in told) == ["PreferenceRow", "PreferencesChanged"]
    assert stored(silent).version == 1
