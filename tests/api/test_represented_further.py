"""`/represented/{patient}` further: objecting, addresses, devices, other preferences; and entering somebody."""

import pytest

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.consent.models import ConsentEvent, Objection
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.patients.models import Representative
from backend.patients.operations import hide_purposes, import_records
from backend.policy.vocabulary import Channel, RepresentationKind, RepresentationScope
from backend.programmes.operations import plan_programmes
from tests.api.conftest import born
from tests.api.test_represented import NORTHGATE, of, represent
from tests.conftest import DAY
from tests.consent.test_deciding import status
from tests.consent.test_objecting import define_offers, object_now
from tests.factories import records
from tests.factories.carriers import carriers_in_test
from tests.factories.log import actions_recorded
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import RECALL, REMINDER

OBJECTING = {"scope": "purpose", "purpose": REMINDER}
NOTICE = {"notice_version": 1, "language": "fr"}
SEEING = ("/objections", "/contact-points", "/devices")
AUNT = {
    "family_name": "Exemple",
    "given_names": ["Ada"],
    "relationship": "guardian",
    "kind": "guardianship",
    "scope": ["consents", "messages"],
    "proof": {"document": "judgment", "seen_on": "2026-10-01"},
}


def hide(patient, representative_id, now, *purposes):
    hide_purposes(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        representative_id=representative_id,
        purposes=purposes,
        actor=patient.actor,
        now=now,
    )


def with_a_message(patient, now, **said):
    """A reminder that was sent, and the message."""
    consent(patient, purpose=REMINDER, channels=[Channel.SMS], now=now - DAY, **said)
    make_appointment(patient, starts_at=now + 2 * DAY, now=now - DAY)
    plan_programmes(now=now - DAY)
    deliver_due_messages(now=now, carriers=carriers_in_test())
    return Message.objects.filter(patient_id=patient.id, state="sent").get()


# ------------------------------------------------------------------------------------------------------- objecting


def test_a_mother_objects_and_it_is_her_word(child, mother, now) -> None:
    client, mother_id = mother(child)
    consent(child, purpose=REMINDER, channels=[Channel.SMS], now=now - DAY, representatives=(mother_id,))

    answer = client.post(of(child, "/objections"), OBJECTING)

    assert (answer.status_code, answer.json()["confirmed"]) == (201, True)
    assert status(child) == "objected"
    objection = Objection.objects.get(patient_id=child.id)
    assert objection.expressed_by == [{"role": "representative", "id": str(mother_id)}]
    listed = client.get(of(child, "/objections")).json()["results"]
    assert [(one["id"], one["purpose"]) for one in listed] == [(str(objection.id), REMINDER)]


def test_a_representative_takes_no_objection_back(child, mother, now) -> None:
    client, _mother_id = mother(child)
    told = object_now(child, now - DAY)

    assert client.delete(of(child, f"/objections/{told.id}")).status_code == 404
    assert Objection.objects.get(id=told.id).lifted_at is None


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/objections", OBJECTING),
        ("/preferences/preview", {}),
        ("/notices/served", NOTICE),
    ],
)
def test_from_the_age_of_consent_on_a_parent_does_none_of_it(teenager, mother, path, body) -> None:
    client, _mother_id = mother(teenager)

    answer = client.post(of(teenager, path), body)

    assert (answer.status_code, answer.json()["code"]) == (403, "decides_alone")
    assert Objection.objects.count() == 0


def test_what_is_kept_from_a_parent_is_objected_to_as_if_it_did_not_exist(child, mother, now) -> None:
    client, mother_id = mother(child)
    hide(child, mother_id, now, RECALL)
    object_now(child, now, purpose=RECALL)
    before = actions_recorded(child.clinic_id)[Action.ACCESS_REFUSED]

    hidden = client.post(of(child, "/objections"), {**OBJECTING, "purpose": RECALL})
    unknown = client.post(of(child, "/objections"), {**OBJECTING, "purpose": "no_such_purpose"})

    assert (hidden.status_code, hidden.json()["code"]) == (unknown.status_code, unknown.json()["code"])
    assert client.get(of(child, "/objections")).json()["results"] == []
    assert actions_recorded(child.clinic_id)[Action.ACCESS_REFUSED] > before


def test_an_objection_to_all_marketing_names_no_message_to_who_may_not_know(northgate, child, mother, now) -> None:
    client, mother_id = mother(child)
    define_offers(northgate, now - DAY)
    hide(child, mother_id, now, RECALL)

    answer = client.post(of(child, "/objections"), {"scope": "direct_marketing"})

    assert (answer.status_code, answer.json()["already_left"], answer.json()["in_doubt"]) == (201, [], [])
    assert status(child, purpose="offers") == "objected"


# --------------------------------------------------------------------------------------- addresses, devices, preview


def test_a_parent_sees_where_they_are_written_to_and_not_the_patients_own(child, mother, now) -> None:
    import_records(
        clinic_id=child.clinic_id,
        records=[records.mother(child.ipp, source_id=f"mother-{child.ipp}")],
        source="test",
        actor=system_actor(),
        now=now - DAY,
    )
    client, _mother_id = mother(child)

    values = [one["value"] for one in client.get(of(child, "/contact-points")).json()["results"]]
    devices = client.get(of(child, "/devices")).json()["results"]

    own = [one for one in values if not one.endswith("0002")]
    assert own == []
    assert [set(one) for one in devices] == [{"id", "status"}]


def test_a_preview_is_of_the_messages_that_this_person_may_see(child, mother, now) -> None:
    client, mother_id = mother(child)
    message = with_a_message(child, now, representatives=(mother_id,))
    asked = {"preferences": {"frequency": {"max": 0, "per": "week"}}, "days": 7}

    seen = client.post(of(child, "/preferences/preview"), asked).json()
    hide(child, mother_id, now, REMINDER)
    kept_from_her = client.post(of(child, "/preferences/preview"), asked).json()
    hide(child, mother_id, now, "*")
    everything = client.post(of(child, "/preferences/preview"), asked).json()

    assert seen["received"] == 1
    assert str(message.id) in str(seen)
    for told in (kept_from_her, everything):
        assert told["received"] == told["would_receive"] == 0
        assert str(message.id) not in str(told)
    assert Message.objects.get(id=message.id).state == "sent"


def test_what_is_kept_from_a_parent_can_not_be_switched_in_a_preview(child, mother, now) -> None:
    client, mother_id = mother(child)
    hide(child, mother_id, now, RECALL)

    hidden = client.post(of(child, "/preferences/preview"), {"preferences": {"purposes": {RECALL: False}}})
    unknown = client.post(of(child, "/preferences/preview"), {"preferences": {"purposes": {"no_such": False}}})

    assert hidden.status_code == unknown.status_code == 400
    assert hidden.json()["code"] == unknown.json()["code"]
    assert RECALL not in hidden.content.decode()


def test_who_may_know_nothing_sees_no_device_and_no_objection(teenager, mother, now) -> None:
    client, mother_id = mother(teenager)
    object_now(teenager, now)
    assert client.get(of(teenager, "/devices")).json()["results"] != []
    hide(teenager, mother_id, now, "*")
    before = actions_recorded(teenager.clinic_id)[Action.ACCESS_REFUSED]

    told = {path: client.get(of(teenager, path)).json()["results"] for path in SEEING}

    assert told == {path: [] for path in SEEING}
    assert actions_recorded(teenager.clinic_id)[Action.ACCESS_REFUSED] == before + 2


@pytest.mark.parametrize(
    ("path", "method", "needs"),
    [
        ("/objections", "get", RepresentationScope.CONSENTS),
        ("/contact-points", "get", RepresentationScope.MESSAGES),
        ("/devices", "get", RepresentationScope.MESSAGES),
        ("/preferences/preview", "post", RepresentationScope.PREFERENCES),
        ("/preferences/preview", "post", RepresentationScope.MESSAGES),
    ],
)
def test_without_its_scope_none_of_it_is_there(child, mother, now, path, method, needs) -> None:
    client, mother_id = mother(child)
    represent(child, mother_id, now, scope=frozenset(RepresentationScope) - {needs})

    answer = getattr(client, method)(of(child, path), *([{}] if method == "post" else []))

    assert (answer.status_code, answer.json()["code"]) == (403, "not_represented")


def test_nobody_elses_child_is_seen(child, northgate, mother, now) -> None:
    client, _mother_id = mother(child)
    other = make_patient(northgate.id, now=now - DAY, birth_date=born(now, 10))

    for path in SEEING:
        assert client.get(of(other, path)).status_code == 404
    assert client.post(of(other, "/objections"), OBJECTING).status_code == 404


def test_a_yes_names_the_showing_of_its_notice_for_a_parent_too(child, mother) -> None:
    client, _mother_id = mother(child)
    served = client.post(of(child, "/notices/served"), NOTICE).json()["id"]

    said = {"purpose": REMINDER, "channels": ["sms"], "decision": "given", **NOTICE}
    shown = {"initial_state": "off", "notice_served": served}
    assert client.post(of(child, "/consents"), {**said, "shown": shown}).json()["state"] == "pending"
    assert ConsentEvent.objects.filter(patient_id=child.id).count() == 1


# ------------------------------------------------------------------------------------------------- entering somebody


def test_staff_enter_a_representative_whom_no_file_names_with_proof(silent, desk, officer) -> None:
    path = f"{NORTHGATE}/patients/{silent.id}/representatives"

    answer = desk.post(path, AUNT)

    assert answer.status_code == 201
    row = Representative.objects.get(id=answer.json()["id"])
    assert (row.kind, row.scope, row.patient_id) == (
        RepresentationKind.GUARDIANSHIP,
        ["consents", "messages"],
        silent.id,
    )
    assert row.proof is not None
    assert row.proof_checked_by.startswith("u:")
    (listed,) = desk.get(path).json()["results"]
    assert (listed["family_name"], listed["relationship"], listed["stands"]) == ("Exemple", "guardian", True)
    assert officer.post(path, AUNT).status_code == 403


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"proof": {}}, "proof"),
        ({"family_name": ""}, "family_name"),
        ({"given_names": []}, "given_names"),
        ({"relationship": "friend of a friend"}, "relationship"),
        ({"scope": []}, "scope"),
        ({"kind": "carer"}, "patient_agrees"),
        ({"starts_on": "2026-10-02", "ends_on": "2026-10-01"}, "ends_on"),
    ],
)
def test_without_proof_or_a_right_nobody_is_entered(silent, desk, changes, field) -> None:
    answer = desk.post(f"{NORTHGATE}/patients/{silent.id}/representatives", {**AUNT, **changes})

    assert (answer.status_code, field in answer.content.decode()) == (400, True)
    assert Representative.objects.count() == 0


def test_a_representative_of_another_clinics_patient_can_not_be_entered(southbank, desk, now) -> None:
    other = make_patient(southbank.id, now=now)

    assert desk.post(f"{NORTHGATE}/patients/{other.id}/representatives", AUNT).status_code == 404
    assert Representative.objects.count() == 0
