"""Patients are found by exact values, reached where somebody answers for them, and never across clinics."""

from datetime import date

import pytest

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.keys import destroy_subject_keys
from backend.audit.recording import record
from backend.errors import NotFound
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.patients.models import ContactPoint, Occasion, PatientIdentifier
from backend.patients.operations import attest_contact_point, import_records
from backend.patients.queries import (
    best_contact_point,
    contact_points_by_id,
    contact_points_of,
    find_patient_by_identifier,
    find_patients,
    get_patient,
    latest_occasions,
    occasions_between,
    patients_by_id,
    patients_of_clinic,
    require_patient,
    reveal_contact_values,
    reveal_identifiers,
    reveal_occasions,
    reveal_profiles,
    shared_indexes,
)
from backend.policy.vocabulary import Channel
from backend.programmes.operations import plan_programmes
from backend.vault.fields import NotRecorded
from tests.conftest import DAY
from tests.factories import records
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import IPP, PatientInTest, consent, make_appointment, make_immunisation, make_patient
from tests.factories.programmes import REMINDER

ACTOR = system_actor("test")


def looking(patient, now):
    return record(Action.PATIENT_READ, by=ACTOR, now=now, clinic_id=patient.clinic_id, about=patient.id, reason="test")


def take(clinic, now, *lines):
    import_records(clinic_id=clinic.id, records=lines, source="test", actor=ACTOR, now=now)


def named(clinic, name):
    found = find_patient_by_identifier(clinic_id=clinic.id, system=IPP, value=name)
    assert found is not None
    return found


def ids(found):
    return {one.id for one in found}


# ------------------------------------------------------------------------------------------------------ searching


@pytest.mark.parametrize(
    "asked",
    [
        {"family_name": "Éxemple"},
        {"family_name": " exemple "},
        {"phone": "06 39 98 00 01"},
        {"phone": "+33 6 39 98 00 01"},
        {"email": "SOMEBODY@example.org"},
        {"family_name": "Exemple", "email": "somebody@example.org"},
    ],
)
def test_a_patient_is_found_by_an_exact_value_in_any_spelling(northgate, now, asked):
    take(northgate, now, records.patient("1"))
    one = named(northgate, "1")

    assert ids(find_patients(clinic_id=northgate.id, **asked)) == {one}


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"family_name": "  "},
        {"family_name": "Exempl"},
        {"family_name": "!!!"},
        {"phone": "06 39 98 00 02"},
        {"phone": "39980001"},
        {"email": "somebody"},
        {"family_name": "Exemple", "phone": "06 39 98 00 02"},
    ],
)
def test_part_of_a_value_finds_nobody_and_no_value_finds_nobody(northgate, now, asked):
    take(northgate, now, records.patient("1"))

    assert find_patients(clinic_id=northgate.id, **asked) == []


def test_a_number_that_several_share_finds_them_all_and_is_seen_to_be_shared(northgate, now):
    take(
        northgate,
        now,
        records.patient("1"),
        records.patient("2", telecoms=(records.phone(),)),
        records.patient("3", telecoms=()),
    )
    one, two = (named(northgate, name) for name in ("1", "2"))

    assert ids(find_patients(clinic_id=northgate.id, phone="0639980001")) == {one, two}
    phone = ContactPoint.objects.get(patient_id=one, kind="phone").id
    assert shared_indexes(clinic_id=northgate.id, patient_id=one) == {phone}


def test_a_number_is_found_only_where_it_stands(northgate, southbank, now):
    take(northgate, now, records.patient("1"))

    assert find_patients(clinic_id=southbank.id, phone="0639980001", email="") == []
    assert find_patient_by_identifier(clinic_id=southbank.id, system=IPP, value="1") is None


# --------------------------------------------------------------------------------------------------- other clinics


def test_another_clinics_patient_is_not_there(southbank, silent):
    for ask in (get_patient, require_patient):
        with pytest.raises(NotFound):
            ask(clinic_id=southbank.id, patient_id=silent.id)
    assert patients_of_clinic(clinic_id=southbank.id, after=None, limit=10) == []
    assert shared_indexes(clinic_id=southbank.id, patient_id=silent.id) == frozenset()


def test_occasions_are_those_of_one_clinic(northgate, southbank, silent, now):
    make_appointment(silent, starts_at=now + DAY, now=now)
    these = {"kind": "appointment", "topic": "", "since": now, "until": now + 2 * DAY}

    assert len(occasions_between(clinic_id=northgate.id, **these)) == 1
    assert occasions_between(clinic_id=southbank.id, **these) == []


def test_an_entry_about_one_patient_opens_no_other(silent, consenting, now):
    points = ContactPoint.objects.filter(patient_id=consenting.id).values_list("id", flat=True)
    with looking(silent, now) as entry:
        assert set(reveal_profiles([silent.id], entry=entry)) == {silent.id}
        for reveal, about in (
            (reveal_profiles, [consenting.id]),
            (reveal_contact_values, points),
        ):
            with pytest.raises(NotRecorded):
                reveal(about, entry=entry)


def test_pages_of_patients_follow_each_other(northgate, now):
    everybody = {make_patient(northgate.id, now=now, reachable=False).id for _ in range(5)}
    seen, after = [], None
    while page := patients_of_clinic(clinic_id=northgate.id, after=after, limit=2):
        seen += [one.id for one in page]
        after = page[-1].id

    assert len(seen) == 5
    assert set(seen) == everybody


# ------------------------------------------------------------------------------------------------------- revealed


def test_of_two_identifiers_of_one_system_the_first_one_is_told(northgate, now):
    take(northgate, now, records.patient("old"))
    take(northgate, now, records.patient("old", "new", city="Autre"))
    one = named(northgate, "new")
    assert PatientIdentifier.objects.filter(patient_id=one).count() == 2

    with record(Action.PATIENT_READ, by=ACTOR, now=now, clinic_id=northgate.id, about=one, reason="test") as entry:
        assert reveal_identifiers([one], system=IPP, entry=entry) == {one: "old"}


def test_what_is_shredded_is_left_out_and_the_rest_is_told(silent, consenting, now):
    for patient in (silent, consenting):
        make_appointment(patient, starts_at=now + DAY, now=now)
    both = [silent.id, consenting.id]
    points = list(ContactPoint.objects.filter(patient_id__in=both).values_list("id", flat=True))
    occasions = list(Occasion.objects.values_list("id", flat=True))
    with record(Action.PATIENT_READ, by=ACTOR, now=now, clinic_id=silent.clinic_id, about=both, reason="test") as entry:
        destroy_subject_keys(subject_id=silent.id, clinic_id=silent.clinic_id, reason="erasure", actor=ACTOR, now=now)

        assert set(reveal_profiles(both, entry=entry)) == {consenting.id}
        assert len(reveal_contact_values(points, entry=entry)) == len(points) / 2
        assert len(reveal_occasions(occasions, entry=entry)) == 1
        assert set(reveal_identifiers(both, system=IPP, entry=entry)) == {consenting.id}
    assert {one.id: one.is_erased for one in patients_by_id(both).values()} == {silent.id: True, consenting.id: False}


def test_a_profile_shows_nothing_when_it_is_printed(silent, now):
    with looking(silent, now) as entry:
        profile = reveal_profiles([silent.id], entry=entry)[silent.id]

    assert profile.family_name == "Silence"
    assert "Silence" not in repr(profile)


def test_the_last_occasion_is_the_last_that_took_place(silent, now):
    for days in (300, 30, 90):
        make_immunisation(silent, at=now - days * DAY, now=now)

    assert latest_occasions(patient_ids=[silent.id], kind="immunisation", topic="influenza") == {
        silent.id: now - 30 * DAY
    }


# ----------------------------------------------------------------------------------------------- whom to write to


@pytest.fixture
def child(northgate, now):
    """Eight years old, with a telephone of their own, and a mother with hers; both are attested."""
    take(
        northgate,
        now - DAY,
        records.patient("child", birth_date=date(2018, 3, 1), given_names=("Léa",), telecoms=(records.phone(),)),
        records.mother("child"),
    )
    patient_id = named(northgate, "child")
    for point in ContactPoint.objects.filter(patient_id=patient_id):
        attest_contact_point(
            clinic_id=northgate.id,
            patient_id=patient_id,
            contact_point_id=point.id,
            how="seen_in_person",
            actor=ACTOR,
            now=now - DAY,
        )
    return patient_id


def test_a_childs_message_goes_to_who_answers_for_the_child(northgate, child):
    points = contact_points_of([child])[child]

    hers = best_contact_point(points, Channel.SMS, of_representatives=True)
    own = best_contact_point(points, Channel.SMS, of_representatives=False)
    assert hers.representative_id is not None
    assert own.representative_id is None
    assert best_contact_point(points, Channel.EMAIL, of_representatives=True) is None


def test_where_nobody_answers_for_a_child_their_own_number_is_used(silent):
    points = contact_points_of([silent.id])[silent.id]

    assert best_contact_point(points, Channel.SMS, of_representatives=True).representative_id is None


def test_what_can_be_used_comes_before_what_can_not(northgate, now):
    take(
        northgate,
        now,
        records.patient(
            "1",
            telecoms=(
                records.phone("+33199001234", mobile=False, rank=1),
                records.phone("12", usable=False, rank=2),
                records.phone("+33639980005", rank=3),
                records.phone("+33639980006", rank=4),
            ),
        ),
    )
    one = named(northgate, "1")
    last = ContactPoint.objects.get(patient_id=one, rank=4)
    assert best_contact_point(contact_points_of([one])[one], Channel.SMS, of_representatives=False).rank == 3

    attest_contact_point(
        clinic_id=northgate.id,
        patient_id=one,
        contact_point_id=last.id,
        how="called_back",
        actor=ACTOR,
        now=now,
    )

    best = best_contact_point(contact_points_of([one])[one], Channel.SMS, of_representatives=False)
    assert best.id == last.id
    assert contact_points_by_id([last.id])[last.id].status_for(Channel.SMS) == "attested"


def test_a_reminder_of_a_childs_appointment_speaks_to_the_mother(northgate, child, now):
    patient = PatientInTest(child, northgate.id, "child")
    mother = ContactPoint.objects.exclude(representative=None).get().representative_id
    consent(patient, purpose=REMINDER, channels=[Channel.SMS], now=now - DAY, representatives=(mother,))
    make_appointment(patient, starts_at=now + 1.2 * DAY, now=now)
    carriers = carriers_in_test()

    plan_programmes(now=now)
    deliver_due_messages(now=now, carriers=carriers)

    (message,) = given_to(carriers)
    assert message.to == "+33639980002"
    assert Message.objects.get().contact_point.representative_id == mother


def test_from_fifteen_on_it_is_the_patients_own_number(northgate, now):
    take(
        northgate,
        now,
        records.patient("teen", birth_date=date(2011, 10, 14), telecoms=(records.phone(),)),
        records.mother("teen"),
    )
    teen = named(northgate, "teen")
    make_appointment(PatientInTest(teen, northgate.id, "teen"), starts_at=now + 1.2 * DAY, now=now)
    plan_programmes(now=now)

    considered = Message.objects.get(patient_id=teen).verdict["considered"]
    assert "contact_unverified" in considered["sms"]["reasons"]
    assert "no_contact_point" in considered["email"]["reasons"]
