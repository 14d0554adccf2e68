"""Objections and restrictions: first of all reasons, whoever asks; fenced and drained as a withdrawal is."""

import pytest

from backend.audit.actors import system_actor
from backend.consent.models import ConsentEvent, Notice, Objection
from backend.consent.operations import (
    Expression,
    ObjectionStands,
    define_purpose,
    give_consent,
    object_to,
    refuse_consent,
    take_back_objection,
)
from backend.consent.operations.standing import standing_after
from backend.errors import InvalidInput, NotFound
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.patients.models import ContactPoint, Patient, Representative
from backend.patients.operations import (
    attest_contact_point,
    hide_purposes,
    import_records,
    lift_restriction,
    restrict_processing,
    set_representation,
)
from backend.policy.vocabulary import (
    Channel,
    ConsentStatus,
    EventKind,
    LiftingReason,
    Method,
    Nature,
    ObjectionScope,
    RepresentationKind,
    RepresentationScope,
    RestrictionGround,
)
from backend.programmes.operations import plan_programmes
from backend.vault.identifiers import new_id
from tests.conftest import DAY, HOUR
from tests.consent.test_deciding import say, status, withdraw
from tests.consent.test_ending import answer, assert_rebuilt_alike
from tests.factories import records
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import make_appointment, make_patient
from tests.factories.programmes import CHANNELS, RECALL, REMINDER

OFFERS = "offers"


def define_offers(clinic, now, slug=OFFERS):
    define_purpose(
        clinic_id=clinic.id,
        slug=slug,
        nature=Nature.MARKETING,
        channels=CHANNELS,
        names={},
        statements={},
        actor=system_actor(),
        now=now,
    )


def object_now(patient, now, purpose=REMINDER, **changes):
    scope = ObjectionScope.DIRECT_MARKETING if purpose is None else ObjectionScope.PURPOSE
    return object_to(
        **{
            "clinic_id": patient.clinic_id,
            "patient_id": patient.id,
            "scope": scope,
            "purpose": purpose,
            "expression": Expression(method=Method.APP, occurred_at=now),
            "actor": patient.actor,
            "now": now,
            **changes,
        }
    )


def refuse_now(patient, now, **changes):
    return say(refuse_consent, patient, now, **changes)


def take_back(patient, objection_id, now, **changes):
    return take_back_objection(
        **{
            "clinic_id": patient.clinic_id,
            "patient_id": patient.id,
            "objection_id": objection_id,
            "expression": Expression(method=Method.APP, occurred_at=now),
            "actor": patient.actor,
            "now": now,
            **changes,
        }
    )


def restrict(patient, now, **changes):
    return restrict_processing(
        **{
            "clinic_id": patient.clinic_id,
            "patient_id": patient.id,
            "ground": RestrictionGround.ACCURACY_CONTESTED,
            "actor": patient.actor,
            "now": now,
            **changes,
        }
    )


def lift(patient, now, **changes):
    lift_restriction(
        **{
            "clinic_id": patient.clinic_id,
            "patient_id": patient.id,
            "because": LiftingReason.PATIENT_ASKED,
            "informed_on": None,
            "actor": patient.actor,
            "now": now,
            **changes,
        }
    )


def test_an_objection_ends_the_consent_and_is_confirmed(consenting, now):
    told = object_now(consenting, now)

    assert (told.confirmed, told.already_left, told.in_doubt) == (True, (), ())
    assert status(consenting) == "objected"
    assert status(consenting, purpose=RECALL) == "given"
    decided, reasons = answer(consenting, now)
    assert (decided, reasons) == ("deny", {"objected"})
    assert answer(consenting, now, purpose=RECALL)[0] == "allow"
    assert_rebuilt_alike(consenting, now)


def test_objecting_again_drains_again_and_changes_nothing(consenting, now):
    first, second = object_now(consenting, now), object_now(consenting, now + HOUR)

    assert first.id == second.id
    assert Objection.objects.count() == 1
    assert_rebuilt_alike(consenting, now)


@pytest.mark.parametrize("by", ["patient", "reception", "manager", "dpo", "system"])
def test_nobody_brings_a_yes_against_an_objection(consenting, now, request, by):
    actor = {"patient": consenting.actor, "system": system_actor()}.get(by) or request.getfixturevalue(by)
    object_now(consenting, now)
    on_paper = {"form_reference": "F-1", "signed_on": "2026-10-14"}
    imported = {"file_sha256": "0" * 64, "proof_reference": "row 1"}

    for method, evidence in (
        (Method.APP, {"notice_version": 1, "initial_state": "off"}),
        (Method.PAPER_FORM, on_paper),
        (Method.IMPORT, imported),
    ):
        with pytest.raises(ObjectionStands):
            say(give_consent, consenting, now + HOUR, actor=actor, method=method, evidence=evidence)
    assert answer(consenting, now + HOUR) == ("deny", {"objected"})


def test_a_withdrawal_does_not_weaken_an_objection(consenting, now):
    object_now(consenting, now)
    withdraw(consenting, now + HOUR)

    assert status(consenting) == "objected"
    assert_rebuilt_alike(consenting, now)


def test_an_objection_to_marketing_holds_against_purposes_that_come_later(northgate, silent, now):
    define_offers(northgate, now)
    say(give_consent, silent, now, purpose=OFFERS)
    say(give_consent, silent, now)
    object_now(silent, now + HOUR, None)
    define_offers(northgate, now, "more_offers")

    assert answer(silent, now + HOUR, purpose=OFFERS) == ("deny", {"objected"})
    assert "objected" in answer(silent, now + HOUR, purpose="more_offers")[1]
    assert answer(silent, now + HOUR)[0] == "allow"
    with pytest.raises(ObjectionStands):
        say(give_consent, silent, now + HOUR, purpose="more_offers")


def test_taken_back_it_leaves_silence_and_a_new_yes_counts(consenting, now):
    told = object_now(consenting, now)
    take_back(consenting, told.id, now + HOUR)

    assert status(consenting) == "none"
    assert answer(consenting, now + HOUR) == ("deny", {"no_consent"})
    say(give_consent, consenting, now + 2 * HOUR)
    assert answer(consenting, now + 2 * HOUR)[0] == "allow"
    assert_rebuilt_alike(consenting, now)


@pytest.mark.parametrize(("say_no", "stands"), [(refuse_now, "refused"), (withdraw, "withdrawn")])
def test_taking_an_objection_back_does_not_turn_a_no_into_silence(northgate, silent, now, say_no, stands):
    """The purpose came after the objection to all marketing: of it there is no objection, only the no (1.2)."""
    told = object_now(silent, now, purpose=None)
    define_offers(northgate, now + HOUR)
    say_no(silent, now + HOUR, purpose=OFFERS)

    take_back(silent, told.id, now + 2 * HOUR)

    assert status(silent, purpose=OFFERS) == stands
    assert answer(silent, now + 2 * HOUR, purpose=OFFERS) == ("deny", {f"consent_{stands}"})
    said = ConsentEvent.objects.filter(patient_id=silent.id, channel=Channel.SMS).order_by("number")
    assert [one.kind for one in said] == [stands, "objection_lifted"]
    assert_rebuilt_alike(silent, now + 2 * HOUR)


@pytest.mark.parametrize("yes", [EventKind.GIVEN, EventKind.RENEWED, EventKind.PENDING])
def test_a_yes_that_came_although_an_objection_stood_ends_when_it_is_taken_back(now, yes):
    """Should one get by: the patient said that they may be asked again, not that they had agreed."""
    told = ConsentEvent(id=new_id(), kind=yes, recorded_at=now, valid_until=now + DAY, notice=Notice(version=1))
    lifted = ConsentEvent(id=new_id(), kind=EventKind.OBJECTION_LIFTED, recorded_at=now + HOUR)

    after = standing_after(standing_after(None, told), lifted)

    assert (after.status, after.standing_event_id, after.valid_until) == (ConsentStatus.NONE, lifted.id, None)


def test_of_two_objections_the_one_that_is_left_stands(northgate, silent, now):
    define_offers(northgate, now)
    one, both = object_now(silent, now, OFFERS), object_now(silent, now, None)
    take_back(silent, one.id, now + HOUR)

    assert status(silent, purpose=OFFERS) == "objected"
    take_back(silent, both.id, now + 2 * HOUR)
    assert status(silent, purpose=OFFERS) == "none"


def test_staff_take_an_objection_down_without_proof_and_back_only_with_the_patients_word(consenting, reception, now):
    told = object_now(consenting, now, actor=reception)
    for expression in (
        Expression(method=Method.APP, occurred_at=now),
        Expression(method=Method.STAFF_WITHDRAWAL, occurred_at=now),
        Expression(method=Method.PAPER_FORM, occurred_at=now),
    ):
        with pytest.raises(InvalidInput):
            take_back(consenting, told.id, now, actor=reception, expression=expression)
    shown = {"form_reference": "F-2", "signed_on": "2026-10-14"}
    expression = Expression(method=Method.PAPER_FORM, occurred_at=now, evidence=shown)
    take_back(consenting, told.id, now, actor=reception, expression=expression)
    with pytest.raises(NotFound):
        take_back(consenting, told.id, now)


@pytest.mark.parametrize(
    ("scope", "purpose"),
    [(ObjectionScope.PURPOSE, None), (ObjectionScope.DIRECT_MARKETING, REMINDER)],
)
def test_an_objection_has_one_object(consenting, now, scope, purpose):
    with pytest.raises(InvalidInput):
        object_now(consenting, now, scope=scope, purpose=purpose)


@pytest.mark.parametrize("stop", [object_now, restrict])
def test_what_was_planned_is_withheld(consenting, now, stop):
    make_appointment(consenting, starts_at=now + DAY + 4 * HOUR, now=now)
    plan_programmes(now=now)
    stop(consenting, now)
    carriers = carriers_in_test()
    deliver_due_messages(now=now, carriers=carriers)

    assert given_to(carriers) == []
    assert Message.objects.get().state == "withheld"


def test_a_restriction_freezes_every_purpose_and_lifted_leaves_all_as_it_was(consenting, now):
    told = restrict(consenting, now)

    assert told.confirmed
    assert answer(consenting, now) == ("deny", {"restricted"})
    assert answer(consenting, now, purpose=RECALL) == ("deny", {"restricted"})
    assert restrict(consenting, now + HOUR).id == told.id
    lift(consenting, now + 2 * HOUR)
    assert answer(consenting, now + 2 * HOUR)[0] == "allow"
    with pytest.raises(NotFound):
        lift(consenting, now + 2 * HOUR)


def test_before_a_restriction_is_lifted_the_patient_is_told(consenting, reception, now):
    restrict(consenting, now)
    said = {"because": LiftingReason.GROUND_ENDED, "actor": reception}
    for day in (None, (now + 2 * DAY).date()):
        with pytest.raises(InvalidInput):
            lift(consenting, now, informed_on=day, **said)
    with pytest.raises(InvalidInput):
        lift(consenting, now, because=LiftingReason.GROUND_ENDED, informed_on=now.date())
    lift(consenting, now, informed_on=now.date(), **said)
    assert Patient.objects.get(id=consenting.id).restricted_at is None


# ---------------------------------------------------------------------------------------------- representatives


def mothers_phone(northgate, child, now):
    import_records(
        clinic_id=northgate.id, records=[records.mother(child.ipp)], source="test", actor=system_actor(), now=now
    )
    mother = Representative.objects.get(patient_id=child.id).id
    point = ContactPoint.objects.filter(representative_id=mother, kind="phone").first()
    assert point is not None
    attest_contact_point(
        clinic_id=northgate.id,
        patient_id=child.id,
        contact_point_id=point.id,
        how="seen_in_person",
        actor=system_actor(),
        now=now,
    )
    return mother, point.id


def represent(patient, mother, now, **changes):
    set_representation(
        **{
            "clinic_id": patient.clinic_id,
            "patient_id": patient.id,
            "representative_id": mother,
            "kind": RepresentationKind.PARENTAL_AUTHORITY,
            "scope": frozenset(RepresentationScope),
            "starts_on": None,
            "ends_on": None,
            "proof": {"document": "family_record"},
            "patient_agrees": False,
            "actor": system_actor(),
            "now": now,
            **changes,
        }
    )


def test_what_is_kept_from_a_parent_is_not_sent_to_them(northgate, now):
    teenager = make_patient(northgate.id, now=now, birth_date=(now - 16 * 366 * DAY).date())
    mother, point = mothers_phone(northgate, teenager, now)
    say(give_consent, teenager, now)
    assert answer(teenager, now, point=point)[0] == "allow"

    hidden = {"clinic_id": northgate.id, "patient_id": teenager.id, "representative_id": mother}
    hide_purposes(**hidden, purposes=[REMINDER], actor=teenager.actor, now=now)
    assert answer(teenager, now, point=point) == ("deny", {"confidential_from_representative"})
    assert answer(teenager, now)[0] == "allow"


def test_after_its_last_day_a_representation_carries_no_message_and_no_consent(northgate, now):
    child = make_patient(northgate.id, now=now, birth_date=(now - 10 * 366 * DAY).date())
    mother, point = mothers_phone(northgate, child, now)
    represent(child, mother, now, ends_on=now.date())
    say(give_consent, child, now, representatives=(mother,))
    assert answer(child, now, point=point)[0] == "allow"

    assert answer(child, now + DAY, point=point) == ("deny", {"representation_ended"})
    with pytest.raises(InvalidInput):
        say(give_consent, child, now + DAY, representatives=(mother,))


def test_a_representative_without_the_right_to_consent_consents_to_nothing(northgate, now):
    child = make_patient(northgate.id, now=now, birth_date=(now - 10 * 366 * DAY).date())
    mother, point = mothers_phone(northgate, child, now)
    represent(child, mother, now, scope=frozenset({RepresentationScope.PREFERENCES}))

    with pytest.raises(InvalidInput):
        say(give_consent, child, now, representatives=(mother,))
    assert "representation_ended" in answer(child, now, point=point)[1]


def test_an_adults_carer_needs_the_adults_word_and_consents_to_nothing(northgate, silent, now):
    carer, point = mothers_phone(northgate, silent, now)
    with pytest.raises(InvalidInput):
        represent(silent, carer, now, kind=RepresentationKind.CARER)
    represent(silent, carer, now, kind=RepresentationKind.CARER, patient_agrees=True)
    say(give_consent, silent, now)

    assert answer(silent, now, point=point)[0] == "allow"
    with pytest.raises(InvalidInput):
        say(give_consent, silent, now, representatives=(carer,), by_patient=False)


def test_a_guardian_of_an_adult_consents_in_their_place(northgate, silent, now):
    guardian, _point = mothers_phone(northgate, silent, now)
    represent(silent, guardian, now, kind=RepresentationKind.GUARDIANSHIP)

    assert say(give_consent, silent, now, representatives=(guardian,), by_patient=False).status == "given"
    assert answer(silent, now, channel=Channel.SMS)[0] == "allow"
