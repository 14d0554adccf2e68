"""The suppression list: who is on it is not written to, whatever a file, a form or a programme says."""

from datetime import timedelta

import pytest
from django.db import models

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.keys import destroy_subject_keys
from backend.errors import NotFound
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.patients.models import ContactKind, ContactPoint, SuppressedBy, SuppressionEntry
from backend.patients.operations import ImportRow, import_records
from backend.patients.suppression import (
    Lifting,
    LiftingRefused,
    lift_suppression,
    suppress_contact,
    suppress_contact_points_of,
    suppressed_points,
)
from backend.policy.vocabulary import Channel
from backend.programmes.operations import plan_programmes
from backend.vault.blind import Indexed, blind_index
from tests.conftest import DAY
from tests.factories import records
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.log import actions_recorded
from tests.factories.patients import consent, make_appointment, make_patient

NUMBER = "+33639981111"
TOMORROW = timedelta(days=1, hours=4)


def suppress(clinic_id, *, now, value=NUMBER, kind=ContactKind.PHONE, channels=(Channel.SMS,)):
    return suppress_contact(
        clinic_id=clinic_id,
        kind=kind,
        value=value,
        channels=channels,
        source=SuppressedBy.STOP,
        actor=system_actor(),
        now=now,
    )


def point_of(patient, kind=ContactKind.PHONE):
    return ContactPoint.objects.get(patient_id=patient.id, kind=kind, ended_at=None)


def lift(patient, point, *, actor, now, channel=Channel.SMS):
    lift_suppression(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        contact_point_id=point.id,
        channel=channel,
        reason=Lifting.OWNER_ASKED,
        actor=actor,
        now=now,
    )


def channels_of_a_reminder(patient, *, now):
    make_appointment(patient, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    carriers = carriers_in_test()
    deliver_due_messages(now=now, carriers=carriers)
    return [message.channel for message in given_to(carriers)]


def test_the_list_holds_a_keyed_hash_and_nothing_about_anybody(northgate, now):
    suppress(northgate.id, now=now)

    row = SuppressionEntry.objects.get()

    assert {field.name for field in SuppressionEntry._meta.concrete_fields} == {  # noqa: SLF001 - Django's API
        "id",
        "clinic",
        "channel",
        "digest",
        "source_event",
        "created_at",
    }
    assert not any(isinstance(field, models.ForeignKey) and field.name != "clinic" for field in row._meta.fields)  # noqa: SLF001 - Django's API
    assert len(bytes(row.digest)) == 16
    assert bytes(row.digest) != blind_index(Indexed.PHONE, NUMBER, clinic_id=northgate.id)


def test_two_clinics_write_the_same_number_differently(northgate, southbank, now):
    for clinic in (northgate, southbank):
        suppress(clinic.id, now=now)

    first, second = SuppressionEntry.objects.all()

    assert bytes(first.digest) != bytes(second.digest)


def test_nothing_leaves_for_a_suppressed_address_although_the_patient_said_yes(consenting, now):
    suppress_contact_points_of(
        clinic_id=consenting.clinic_id,
        patient_id=consenting.id,
        source=SuppressedBy.STAFF,
        actor=system_actor(),
        now=now,
    )

    assert channels_of_a_reminder(consenting, now=now) == [Channel.PUSH]

    considered = Message.objects.get(patient_id=consenting.id).verdict["considered"]
    assert considered["sms"]["reasons"] == considered["email"]["reasons"] == ["suppressed"]
    assert considered["sms"]["remedies"] == ["lift_suppression"]


def test_what_was_planned_before_is_stopped_at_the_gate(northgate, now):
    patient = make_patient(northgate.id, now=now - DAY, phone=NUMBER, device=False)
    consent(patient, purpose="appointment_reminder", channels=[Channel.SMS], now=now - DAY)
    make_appointment(patient, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    assert Message.objects.get().state == "planned"

    suppress(northgate.id, now=now)
    carriers = carriers_in_test()
    deliver_due_messages(now=now, carriers=carriers)

    assert given_to(carriers) == []
    message = Message.objects.get()
    assert (message.state, message.verdict["reasons"]) == ("withheld", ["suppressed"])


def test_an_address_that_a_file_brings_again_stays_blocked_and_the_report_says_so(northgate, now):
    suppress(northgate.id, now=now - DAY)
    lines: list[ImportRow] = []
    import_records(
        clinic_id=northgate.id,
        records=[records.patient("again", telecoms=(records.email(), records.phone(NUMBER)))],
        source="test",
        actor=system_actor(),
        now=now,
        on_row=lines.append,
    )

    assert [(line.outcome, line.field, line.reason) for line in lines] == [
        ("created", "", ""),
        ("unusable", "telecom[1]", "contact_suppressed"),
    ]
    point = ContactPoint.objects.get(kind=ContactKind.PHONE)
    assert [one.channel for one in suppressed_points([point.id])[point.id]] == [Channel.SMS]


def test_a_parents_number_is_told_of_too(northgate, now):
    suppress(northgate.id, now=now - DAY)
    lines: list[ImportRow] = []
    import_records(
        clinic_id=northgate.id,
        records=[
            records.patient("child", telecoms=()),
            records.mother("child", telecoms=(records.phone(NUMBER),)),
        ],
        source="test",
        actor=system_actor(),
        now=now,
        on_row=lines.append,
    )

    assert [line.reason for line in lines if line.reason] == ["contact_suppressed"]


def test_a_number_counts_for_everyone_who_shares_it_and_for_nobody_elsewhere(northgate, southbank, now):
    one, other = (make_patient(northgate.id, now=now, phone=NUMBER) for _ in range(2))
    elsewhere = make_patient(southbank.id, now=now, phone=NUMBER)

    assert suppress(northgate.id, now=now) == tuple(sorted([one.id, other.id]))

    found = suppressed_points([point_of(patient).id for patient in (one, other, elsewhere)])
    assert set(found) == {point_of(one).id, point_of(other).id}


def test_said_twice_it_stands_once_and_since_the_first_time(northgate, now):
    suppress(northgate.id, now=now)
    suppress(northgate.id, now=now + DAY)

    assert SuppressionEntry.objects.get().created_at == now
    assert actions_recorded(northgate.id)[Action.CONTACT_SUPPRESSED] == 2


def test_the_list_outlives_the_erasure_of_the_patient(northgate, now):
    patient = make_patient(northgate.id, now=now, phone=NUMBER, email="gone@example.org")
    these = {"clinic_id": northgate.id, "actor": system_actor(), "now": now}

    put = suppress_contact_points_of(**these, patient_id=patient.id, source=SuppressedBy.ERASURE)
    destroy_subject_keys(subject_id=patient.id, reason="erasure", **these)

    assert put == SuppressionEntry.objects.count() == 3
    again = make_patient(northgate.id, now=now + DAY, phone=NUMBER, email="gone@example.org")
    points = [point_of(again, kind).id for kind in (ContactKind.PHONE, ContactKind.EMAIL)]
    assert {one.channel for found in suppressed_points(points).values() for one in found} == {
        Channel.SMS,
        Channel.CALL,
        Channel.EMAIL,
    }


def test_erasing_one_of_a_family_does_not_silence_the_others(northgate, now):
    erased, staying = (make_patient(northgate.id, now=now, phone=NUMBER) for _ in range(2))

    suppress_contact_points_of(
        clinic_id=northgate.id,
        patient_id=erased.id,
        source=SuppressedBy.ERASURE,
        actor=system_actor(),
        now=now,
    )

    assert suppressed_points([point_of(staying).id]) == {}
    assert suppressed_points([point_of(erased, ContactKind.EMAIL).id])


def test_only_the_officer_takes_an_address_off_without_a_new_consent(northgate, dpo, manager, now):
    patient = make_patient(northgate.id, now=now, phone=NUMBER)
    suppress(northgate.id, now=now)
    point = point_of(patient)

    for actor in (manager, patient.actor, system_actor()):
        with pytest.raises(LiftingRefused):
            lift(patient, point, actor=actor, now=now)
    assert suppressed_points([point.id])

    lift(patient, point, actor=dpo, now=now)

    assert suppressed_points([point.id]) == {}
    assert actions_recorded(northgate.id)[Action.SUPPRESSION_LIFTED] == 1


def test_what_is_not_on_the_list_can_not_be_taken_off_it(northgate, southbank, dpo, now):
    patient, foreign = make_patient(northgate.id, now=now), make_patient(southbank.id, now=now)

    with pytest.raises(NotFound):
        lift(patient, point_of(patient), actor=dpo, now=now)
    with pytest.raises(NotFound):
        lift(patient, point_of(foreign), actor=dpo, now=now)

    assert Action.SUPPRESSION_LIFTED not in actions_recorded(northgate.id)
