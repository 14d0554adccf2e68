"""A push token belongs to one patient of a clinic at a time, ends at sign-out, and when nobody confirms it for long."""

from datetime import timedelta

import pytest

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.queries import entries_of, open_entries
from backend.audit.recording import record
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.patients.models import ContactPoint
from backend.patients.operations import end_old_devices, register_device, remove_device
from backend.patients.operations.devices import CONFIRMED_EVERY, LIFE
from backend.policy.vocabulary import Channel, MessageState
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.log import actions_recorded
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import REMINDER

TOKEN = "token:abc"


def of(patient, now):
    return {"clinic_id": patient.clinic_id, "patient_id": patient.id, "actor": patient.actor, "now": now}


def devices(patient):
    return ContactPoint.objects.filter(patient_id=patient.id, kind="push", ended_at=None)


@pytest.fixture
def patient(northgate, now):
    return make_patient(northgate.id, now=now - DAY, device=False)


@pytest.fixture
def other(northgate, now):
    return make_patient(northgate.id, now=now - DAY, device=False)


def test_signing_in_again_confirms_a_device_and_is_written_down_once_a_day(patient, northgate, now):
    first = register_device(**of(patient, now), token=TOKEN)

    assert register_device(**of(patient, now + HOUR), token=TOKEN) == first
    assert devices(patient).get().confirmed_at == now
    later = now + CONFIRMED_EVERY + HOUR
    assert register_device(**of(patient, later), token=TOKEN) == first

    assert devices(patient).get().confirmed_at == later
    assert actions_recorded(northgate.id)[Action.CONTACT_POINT_VERIFIED] == 1


def test_a_device_that_nobody_confirms_ends_when_it_does_at_firebase(patient, other, northgate, now):
    register_device(**of(patient, now), token=TOKEN)
    register_device(**of(other, now), token="token:other")
    register_device(**of(other, now + 30 * DAY), token="token:other")

    assert end_old_devices(now=now + LIFE) == 0
    assert end_old_devices(now=now + LIFE + HOUR) == 1
    assert end_old_devices(now=now + LIFE + HOUR) == 0

    assert timedelta(days=270) == LIFE
    assert not devices(patient).exists()
    assert devices(other).exists()
    assert actions_recorded(northgate.id)[Action.CONTACT_POINT_REMOVED] == 1


def test_only_devices_grow_old(patient, now):
    before = ContactPoint.objects.filter(ended_at=None).exclude(kind="push").count()

    end_old_devices(now=now + 10 * LIFE)

    assert before
    assert ContactPoint.objects.filter(ended_at=None).exclude(kind="push").count() == before


def test_many_old_devices_end_in_portions(northgate, now):
    for number in range(5):
        register_device(**of(make_patient(northgate.id, now=now, device=False), now), token=f"token:{number}")

    told = [end_old_devices(now=now + LIFE + HOUR, limit=2) for _tick in range(4)]

    assert told == [2, 2, 1, 0]


def test_an_ended_device_may_sign_in_again(patient, now):
    first = register_device(**of(patient, now), token=TOKEN)
    end_old_devices(now=now + LIFE + HOUR)

    assert register_device(**of(patient, now + LIFE + DAY), token=TOKEN) != first


def test_neither_patient_learns_of_the_other_when_a_device_changes_hands(patient, other, northgate, now):
    register_device(**of(patient, now), token=TOKEN)
    register_device(**of(other, now + HOUR), token=TOKEN)

    told = entries_about_devices(northgate, now)

    assert [(entry.code, entry.actor_kind) for entry in told] == [
        ("contact_point.added", "patient"),
        ("contact_point.removed", "system"),
        ("contact_point.added", "patient"),
    ]
    whose = [{part.subject_id for part in entry.parts} | {part.actor_id for part in entry.parts} for entry in told]
    assert whose == [{other.id}, {patient.id, None}, {patient.id}]


def entries_about_devices(clinic, now):
    """The newest first, opened as the data protection officer sees them."""
    stored = entries_of(clinic_id=clinic.id, before=None, limit=3)
    reading = record(Action.LOG_READ, by=system_actor(), now=now, clinic_id=clinic.id, whole_clinic=True, count=3)
    with reading as entry:
        return open_entries(stored, entry=entry)


@pytest.mark.parametrize("leave", ["another_signs_in", "signed_out", "grown_old"])
def test_what_was_queued_for_a_device_that_ended_is_not_sent_there(patient, other, now, leave):
    point = register_device(**of(patient, now - LIFE), token=TOKEN)
    consent(patient, purpose=REMINDER, channels=[Channel.PUSH], now=now - DAY)
    make_appointment(patient, starts_at=now + DAY + 4 * HOUR, now=now)
    plan_programmes(now=now)
    assert Message.objects.get().contact_point_id == point

    match leave:
        case "another_signs_in":
            register_device(**of(other, now), token=TOKEN)
        case "signed_out":
            remove_device(**of(patient, now), contact_point_id=point)
        case _:
            end_old_devices(now=now + HOUR)
    carriers = carriers_in_test()
    deliver_due_messages(now=now + HOUR, carriers=carriers)

    assert given_to(carriers) == []
    assert Message.objects.get().state == MessageState.WITHHELD
