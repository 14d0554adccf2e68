"""No version of what a patient preferred is lost, and each says who made it so."""

import pytest
from django.db import IntegrityError, transaction

from backend.audit.actions import Action
from backend.audit.actors import Actor, ActorKind, system_actor
from backend.audit.recording import record
from backend.messaging.models import Message
from backend.patients.models import Representative
from backend.patients.operations import import_records
from backend.policy.vocabulary import Language, Tone
from backend.preferences.models import Preferences, PreferenceVersion
from backend.preferences.operations import PreferenceChange, PreferencesChanged, change_preferences
from backend.preferences.queries import get_preferences, preference_versions
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.factories.patients import make_appointment
from tests.factories.programmes import REMINDER
from tests.factories.records import mother


def change(patient, now, *, actor=None, expected_version=None, **said):
    return change_preferences(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        change=PreferenceChange(**said),
        expected_version=expected_version,
        actor=actor or patient.actor,
        now=now,
    )


def history(patient, **asked):
    return preference_versions(clinic_id=patient.clinic_id, patient_id=patient.id, **asked)


def test_every_version_is_kept_with_who_made_it_and_when(silent, reception, now):
    change(silent, now, tone=Tone.PLAIN)
    change(silent, now + HOUR, actor=reception, large_print=True)
    change(silent, now + DAY, actor=system_actor("import"), tone=None, language=Language.ENGLISH)

    newest, second, first = history(silent)
    assert [one.preferences.version for one in (first, second, newest)] == [1, 2, 3]
    assert [one.changed_by for one in (first, second, newest)] == [
        ActorKind.PATIENT,
        ActorKind.STAFF,
        ActorKind.SYSTEM,
    ]
    assert [one.changed for one in (first, second, newest)] == [("tone",), ("large_print",), ("tone", "language")]
    assert [one.changed_at for one in (first, second, newest)] == [now, now + HOUR, now + DAY]
    assert (first.preferences.tone, first.preferences.large_print) == (Tone.PLAIN, False)
    assert (second.preferences.tone, second.preferences.large_print) == (Tone.PLAIN, True)


def test_the_newest_version_is_what_stands(silent, now):
    change(silent, now, tone=Tone.PLAIN, purposes={REMINDER: False})
    change(silent, now, purposes={REMINDER: True, "other": False})

    assert history(silent)[0].preferences == get_preferences(clinic_id=silent.clinic_id, patient_id=silent.id)


def test_what_applied_at_a_moment_can_be_told(silent, now):
    change(silent, now, tone=Tone.PLAIN)
    change(silent, now + DAY, tone=Tone.FORMAL)

    assert history(silent, until=now - HOUR) == []
    assert history(silent, until=now + HOUR)[0].preferences.tone is Tone.PLAIN
    assert history(silent, until=now + DAY)[0].preferences.tone is Tone.FORMAL


def test_a_message_names_the_version_it_was_decided_by(consenting, now):
    make_appointment(consenting, starts_at=now + DAY + 4 * HOUR, now=now)
    plan_programmes(now=now)
    change(consenting, now, tone=Tone.PLAIN)
    make_appointment(consenting, starts_at=now + DAY + 5 * HOUR, now=now)
    plan_programmes(now=now)

    versions = Message.objects.order_by("occasion_starts_at").values_list("verdict__preferences_version", flat=True)
    assert list(versions) == [0, 1]


def test_a_representative_is_named(silent, now):
    import_records(
        clinic_id=silent.clinic_id, records=[mother(silent.ipp)], source="test", actor=system_actor(), now=now
    )
    representative = Representative.objects.get().id
    change(silent, now, actor=Actor(kind=ActorKind.REPRESENTATIVE, id=representative), digest=True)

    assert history(silent)[0].changed_by is ActorKind.REPRESENTATIVE
    assert history(silent)[0].representative_id == representative


def test_a_change_that_is_refused_leaves_no_version(silent, now):
    change(silent, now, tone=Tone.PLAIN)

    with pytest.raises(PreferencesChanged):
        change(silent, now, expected_version=0, tone=Tone.FORMAL)

    assert len(history(silent)) == 1


def test_a_version_is_never_changed_nor_taken_away(silent, now):
    change(silent, now, tone=Tone.PLAIN)

    for act in (lambda: PreferenceVersion.objects.update(tone="formal"), PreferenceVersion.objects.all().delete):
        with (
            pytest.raises(IntegrityError),
            transaction.atomic(),
            record(
                Action.PREFERENCES_CHANGED,
                by=silent.actor,
                now=now,
                clinic_id=silent.clinic_id,
                about=silent.id,
                fields=["tone"],
                version=2,
            ),
        ):
            act()

    assert history(silent)[0].preferences.tone is Tone.PLAIN


def test_no_version_is_skipped_and_none_is_lost_when_changes_meet(silent, now):
    for place in range(5):
        change(silent, now, digest=bool(place % 2))

    assert [one.preferences.version for one in history(silent)] == [5, 4, 3, 2, 1]
    assert [one.preferences.version for one in history(silent, before=4, limit=2)] == [3, 2]
    assert Preferences.objects.get().version == 5
