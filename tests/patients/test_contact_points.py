"""A contact point is used once a code was typed or staff vouched for it; a device is the last patient's to sign in."""

from datetime import timedelta

import pytest

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.errors import InvalidInput, NotFound
from backend.patients.models import ContactKind, ContactPoint
from backend.patients.operations import (
    CodeRefused,
    add_contact_point,
    attest_contact_point,
    import_records,
    register_device,
    remove_contact_point,
    remove_device,
    verify_contact_point,
)
from backend.patients.operations.contact_points import CODE_TRIES, HOWS, ContactPointUnusable, prepare_code
from backend.patients.queries import contact_points_of
from tests.conftest import HOUR
from tests.factories import records
from tests.factories.background import all_at_once
from tests.factories.log import actions_recorded
from tests.factories.patients import make_patient

MINUTE = timedelta(minutes=1)


@pytest.fixture
def patient(northgate, now):
    """Nobody vouched for any contact point yet."""
    return make_patient(northgate.id, now=now, reachable=False)


@pytest.fixture
def point(patient):
    """Their telephone."""
    return ContactPoint.objects.get(patient_id=patient.id, kind="phone")


def of(patient, now, **more):
    return {
        "clinic_id": patient.clinic_id,
        "patient_id": patient.id,
        "actor": patient.actor,
        "now": now,
        **more,
    }


def add(patient, now, *, kind=ContactKind.EMAIL, value="new@example.org"):
    return add_contact_point(**of(patient, now), kind=kind, value=value, region="FR")


def ask_code(patient, point, now):
    return prepare_code(**of(patient, now), contact_point_id=point.id)


def type_code(patient, point, now, code):
    verify_contact_point(**of(patient, now), contact_point_id=point.id, code=code)


def wrong(code):
    return f"{(int(code) + 1) % 1_000_000:06d}"


# --------------------------------------------------------------------------------------------------------- codes


def test_the_right_code_verifies(patient, point, now):
    code = ask_code(patient, point, now)

    type_code(patient, point, now + 5 * MINUTE, f" {code} ")

    point.refresh_from_db()
    assert (point.status, point.how, point.confirmed_at) == ("verified", "one_time_code", now + 5 * MINUTE)
    assert point.code_digest is None


def test_a_code_is_good_once(patient, point, now):
    code = ask_code(patient, point, now)
    type_code(patient, point, now, code)

    with pytest.raises(CodeRefused):
        type_code(patient, point, now, code)


def test_a_wrong_code_is_counted_and_recorded(patient, point, now):
    code = ask_code(patient, point, now)

    with pytest.raises(CodeRefused):
        type_code(patient, point, now, wrong(code))

    point.refresh_from_db()
    assert (point.code_tries, point.status) == (1, "unverified")
    recorded = actions_recorded(patient.clinic_id)
    assert (recorded[Action.ACCESS_REFUSED], recorded[Action.CONTACT_POINT_VERIFIED]) == (1, 0)


def test_after_too_many_wrong_codes_the_right_one_is_refused_too(patient, point, now):
    code = ask_code(patient, point, now)
    for _try in range(CODE_TRIES):
        with pytest.raises(CodeRefused):
            type_code(patient, point, now, wrong(code))

    with pytest.raises(CodeRefused):
        type_code(patient, point, now, code)


def test_a_code_runs_out(patient, point, now):
    code = ask_code(patient, point, now)

    with pytest.raises(CodeRefused):
        type_code(patient, point, now + 15 * MINUTE, code)


def test_the_last_code_that_was_asked_for_counts(patient, point, now):
    first = ask_code(patient, point, now)
    second = ask_code(patient, point, now + MINUTE)

    if first != second:
        with pytest.raises(CodeRefused):
            type_code(patient, point, now + MINUTE, first)
    type_code(patient, point, now + MINUTE, second)


def test_the_code_of_one_contact_point_verifies_no_other(patient, point, now):
    other = ContactPoint.objects.get(patient_id=patient.id, kind="email")
    code = ask_code(patient, point, now)
    if ask_code(patient, other, now) == code:
        pytest.skip("the same six digits twice, once in a million")

    with pytest.raises(CodeRefused):
        type_code(patient, other, now, code)


def test_without_a_code_asked_for_none_is_right(patient, point, now):
    for code in ("", "000000", "None"):
        with pytest.raises(CodeRefused):
            type_code(patient, point, now, code)


@pytest.mark.django_db(transaction=True)
def test_guesses_made_at_once_are_counted_one_by_one(patient, point, now):
    code = ask_code(patient, point, now)

    told = all_at_once(*[lambda: type_code(patient, point, now, wrong(code))] * (CODE_TRIES + 1))

    assert {type(one) for one in told} == {CodeRefused}
    point.refresh_from_db()
    assert point.code_tries == CODE_TRIES
    with pytest.raises(CodeRefused):
        type_code(patient, point, now, code)


# -------------------------------------------------------------------------------------------------- attestations


@pytest.mark.parametrize("how", sorted(HOWS))
def test_staff_vouch_for_a_contact_point_and_say_how_they_know(patient, point, reception, now, how):
    attest_contact_point(**of(patient, now, actor=reception), contact_point_id=point.id, how=how)

    point.refresh_from_db()
    assert (point.status, point.how, point.confirmed_at) == ("attested", how, now)


def test_how_is_one_of_a_few_ways(patient, point, reception, now):
    with pytest.raises(InvalidInput) as refused:
        attest_contact_point(**of(patient, now, actor=reception), contact_point_id=point.id, how="trust me")

    assert refused.value.field == "how"


def test_nobody_vouches_for_a_number_that_can_not_be(northgate, reception, now):
    patient = make_patient(northgate.id, now=now, reachable=False)
    import_records(
        clinic_id=northgate.id,
        records=[records.patient(patient.ipp, telecoms=(records.phone("12", usable=False),))],
        source="test",
        actor=system_actor(),
        now=now,
    )
    unusable = ContactPoint.objects.get(patient_id=patient.id, ended_at=None)

    with pytest.raises(ContactPointUnusable):
        attest_contact_point(**of(patient, now, actor=reception), contact_point_id=unusable.id, how="seen_in_person")
    with pytest.raises(ContactPointUnusable):
        ask_code(patient, unusable, now)


# ------------------------------------------------------------------------------------------------ added, removed


@pytest.mark.parametrize(
    ("kind", "value", "takes_sms"),
    [
        (ContactKind.PHONE, "06 39 98 00 07", True),
        (ContactKind.PHONE, "+33 1 99 00 12 34", False),
        (ContactKind.EMAIL, "New@Example.org", False),
    ],
)
def test_a_contact_point_that_was_added_is_still_to_be_verified(patient, now, kind, value, takes_sms):
    point = ContactPoint.objects.get(id=add(patient, now, kind=kind, value=value))

    assert (point.status, point.takes_sms, point.from_source) == ("unverified", takes_sms, False)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(ContactKind.PHONE, "12"), (ContactKind.PHONE, ""), (ContactKind.EMAIL, "nobody"), (ContactKind.PUSH, "token")],
)
def test_what_can_not_be_reached_is_not_added(patient, now, kind, value):
    with pytest.raises(InvalidInput) as refused:
        add(patient, now, kind=kind, value=value)

    assert not value or value not in str(refused.value)


def test_a_contact_point_in_another_spelling_is_the_same(patient, now):
    first = add(patient, now, kind=ContactKind.PHONE, value="06 39 98 00 07")

    assert add(patient, now, kind=ContactKind.PHONE, value="+33 6 39 98 00 07") == first


@pytest.mark.django_db(transaction=True)
def test_a_contact_point_that_is_added_twice_at_once_is_there_once(patient, now):
    told = all_at_once(*[lambda: add(patient, now)] * 3)

    assert len({str(one) for one in told}) == 1
    assert not isinstance(told[0], Exception)


def test_what_was_removed_is_used_no_more(patient, point, now):
    remove_contact_point(**of(patient, now), contact_point_id=point.id, reason="not_mine")

    assert point.id not in {row.id for row in contact_points_of([patient.id])[patient.id]}
    with pytest.raises(NotFound):
        attest_contact_point(**of(patient, now), contact_point_id=point.id, how="seen_in_person")


def test_a_contact_point_of_another_patient_or_clinic_is_not_there(patient, point, southbank, northgate, now):
    other = make_patient(northgate.id, now=now, reachable=False)

    for who in (of(other, now), of(patient, now, clinic_id=southbank.id)):
        for act in (
            lambda who=who: attest_contact_point(**who, contact_point_id=point.id, how="seen_in_person"),
            lambda who=who: prepare_code(**who, contact_point_id=point.id),
            lambda who=who: verify_contact_point(**who, contact_point_id=point.id, code="1"),
            lambda who=who: remove_contact_point(**who, contact_point_id=point.id, reason="x"),
        ):
            with pytest.raises(NotFound):
                act()
    for other_act in (
        lambda: add_contact_point(
            **of(patient, now, clinic_id=southbank.id), kind=ContactKind.EMAIL, value="a@example.org", region="FR"
        ),
        lambda: register_device(**of(patient, now, clinic_id=southbank.id), token="t"),
    ):
        with pytest.raises(NotFound):
            other_act()


# ------------------------------------------------------------------------------------------------------- devices


def devices(patient):
    return [row for row in contact_points_of([patient.id]).get(patient.id, []) if row.kind is ContactKind.PUSH]


def test_a_device_on_which_somebody_signed_in_is_verified(patient, now):
    point_id = register_device(**of(patient, now), token="token-1")

    (device,) = devices(patient)
    assert (device.id, device.status, device.how) == (point_id, "verified", "signed_in_app")
    assert register_device(**of(patient, now + HOUR), token="token-1") == point_id


def test_a_device_is_the_last_patients_who_signed_in_on_it(patient, northgate, now):
    other = make_patient(northgate.id, now=now, reachable=False)
    register_device(**of(patient, now), token="token-1")

    register_device(**of(other, now + HOUR), token="token-1")

    assert devices(patient) == []
    assert len(devices(other)) == 1
    recorded = actions_recorded(northgate.id)
    assert recorded[Action.CONTACT_POINT_REMOVED] == 1


def test_a_device_may_be_known_in_two_clinics(patient, southbank, now):
    there = make_patient(southbank.id, now=now, reachable=False)
    register_device(**of(patient, now), token="token-1")
    register_device(**of(there, now), token="token-1")

    assert len(devices(patient)) == len(devices(there)) == 1


def test_signing_out_ends_a_device_and_signing_in_again_begins_a_new_one(patient, now):
    first = register_device(**of(patient, now), token="token-1")
    remove_device(**of(patient, now), contact_point_id=first)
    assert devices(patient) == []

    assert register_device(**of(patient, now), token="token-1") != first


@pytest.mark.parametrize("token", ["", "  ", "x" * 4097])
def test_a_token_that_is_none_is_refused(patient, now, token):
    with pytest.raises(InvalidInput):
        register_device(**of(patient, now), token=token)


@pytest.mark.django_db(transaction=True)
def test_patients_who_sign_in_on_one_device_at_once_end_with_one_owner(northgate, now):
    patients = [make_patient(northgate.id, now=now, reachable=False) for _ in range(3)]

    told = all_at_once(*[lambda one=one: register_device(**of(one, now), token="token-1") for one in patients])

    assert not [one for one in told if isinstance(one, Exception)]
    assert sum(len(devices(one)) for one in patients) == 1
