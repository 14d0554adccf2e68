"""`/represented/{patient}`: as far as a representation goes, today, and never what the patient keeps to themselves."""

from datetime import timedelta
from typing import Any

import pytest

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.consent.models import ConsentEvent
from backend.messaging.models import Message
from backend.patients.operations import hide_purposes, set_representation
from backend.policy.vocabulary import Channel, RepresentationKind, RepresentationScope
from backend.programmes.operations import plan_programmes
from backend.vault.identifiers import new_id
from tests.api.conftest import Client, born
from tests.conftest import DAY
from tests.consent.test_deciding import mother_of
from tests.factories.log import actions_recorded
from tests.factories.patients import PatientInTest, consent, make_appointment, make_patient
from tests.factories.programmes import RECALL, REMINDER

NORTHGATE = "/api/v1/clinics/northgate"
YES: dict[str, Any] = {
    "purpose": REMINDER,
    "channels": ["sms"],
    "decision": "given",
    "notice_version": 1,
    "language": "fr",
    "shown": {"initial_state": "off"},
}


def of(patient: PatientInTest, path: str = "") -> str:
    return f"/api/v1/represented/{patient.id}{path}"


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


def test_a_mother_and_her_child_say_yes_together_each_in_their_own_app(child, mother, as_patient) -> None:
    client, _mother_id = mother(child)

    first = client.post(of(child, "/consents"), YES)
    second = as_patient(child).post("/api/v1/me/consents", YES)

    assert (first.status_code, first.json()["state"]) == (201, "pending")
    assert (second.status_code, second.json()["state"]) == (201, "given")
    last = ConsentEvent.objects.filter(patient_id=child.id).latest("number")
    assert [one["role"] for one in last.expressed_by] == ["patient", "representative"]


def test_a_mother_alone_withdraws_and_it_is_her_word(child, mother, now) -> None:
    client, mother_id = mother(child)
    consent(child, purpose=REMINDER, channels=[Channel.SMS], now=now - DAY, representatives=(mother_id,))

    answer = client.post(of(child, "/consents"), {"purpose": REMINDER, "channels": ["sms"], "decision": "withdrawn"})

    assert (answer.status_code, answer.json()["state"]) == (201, "withdrawn")
    last = ConsentEvent.objects.filter(patient_id=child.id).latest("number")
    assert last.expressed_by == [{"role": "representative", "id": str(mother_id)}]
    assert last.recorded_by == "r"


def test_from_the_age_of_consent_on_a_parent_looks_and_does_not_decide(teenager, mother, now) -> None:
    client, _mother_id = mother(teenager)

    assert client.get(of(teenager, "/consents")).status_code == 200
    for path, body in (("/consents", YES), ("/consents", {**YES, "decision": "withdrawn"})):
        answer = client.post(of(teenager, path), body)
        assert (answer.status_code, answer.json()["code"]) == (403, "decides_alone")
    answer = client.patch(of(teenager, "/preferences"), {"digest": True}, headers={"if-match": "*"})
    assert (answer.status_code, answer.json()["code"]) == (403, "decides_alone")


@pytest.mark.parametrize(("years", "days", "status"), [(17, 364, 200), (18, 0, 403), (40, 0, 403)])
def test_parental_authority_ends_with_the_birthday(northgate, mother, now, years, days, status) -> None:
    grown = make_patient(northgate.id, now=now - DAY, birth_date=born(now, years, days))
    client, _mother_id = mother(grown)

    assert client.get(of(grown)).status_code == status


def test_of_whom_the_age_is_not_known_no_parent_sees_anything(northgate, mother, now) -> None:
    ageless = make_patient(northgate.id, now=now - DAY, birth_date=None)

    assert mother(ageless)[0].get(of(ageless)).json()["code"] == "not_represented"


def test_a_guardian_of_an_adult_acts_in_their_place(northgate, mother, now) -> None:
    protected = make_patient(northgate.id, now=now - DAY, birth_date=born(now, 80))
    client, guardian = mother(protected)
    represent(protected, guardian, now - DAY, kind=RepresentationKind.GUARDIANSHIP)

    assert client.post(of(protected, "/consents"), YES).json()["state"] == "given"


def test_only_within_its_dates(child, mother, now) -> None:
    client, mother_id = mother(child)
    for dates, status in (
        ({"ends_on": now.date()}, 200),
        ({"ends_on": now.date() - DAY}, 403),
        ({"starts_on": now.date() + DAY}, 403),
        ({"starts_on": now.date()}, 200),
    ):
        represent(child, mother_id, now, **dates)
        assert client.get(of(child)).status_code == status, dates


def test_only_within_its_scope(child, mother, now) -> None:
    client, mother_id = mother(child)
    represent(child, mother_id, now, scope=frozenset({RepresentationScope.PREFERENCES}))

    assert [client.get(of(child, path)).status_code for path in ("", "/notices", "/preferences")] == [200] * 3
    for path in ("/consents", "/messages"):
        answer = client.get(of(child, path))
        assert (answer.status_code, answer.json()["code"]) == (403, "not_represented")


def test_what_a_teenager_keeps_to_themselves_is_nowhere_and_the_refusal_is_recorded(
    northgate, teenager, mother, now, as_patient
) -> None:
    client, mother_id = mother(teenager)
    for purpose in (REMINDER, RECALL):
        consent(teenager, purpose=purpose, channels=[Channel.SMS, Channel.PUSH], now=now - DAY)
    make_appointment(teenager, starts_at=now + timedelta(days=1, hours=4), now=now)
    plan_programmes(now=now, actor=system_actor("planning"))
    message = Message.objects.get(patient_id=teenager.id)
    assert client.get(of(teenager, f"/messages/{message.id}")).status_code == 200
    before = actions_recorded(northgate.id)[Action.ACCESS_REFUSED]

    hidden = as_patient(teenager).post(
        f"/api/v1/me/representatives/{mother_id}/hidden-purposes", {"purposes": [REMINDER]}
    )

    assert hidden.status_code == 204
    assert {one["purpose"] for one in client.get(of(teenager, "/consents")).json()["results"]} == {RECALL}
    assert client.get(of(teenager, "/messages")).json()["results"] == []
    assert [client.get(of(teenager, f"/messages/{message.id}{end}")).status_code for end in ("", "/why")] == [400, 400]
    for path in ("/preferences", "/preferences/history", "/notices"):
        assert REMINDER not in client.get(of(teenager, path)).content.decode(), path
    refused = actions_recorded(northgate.id)[Action.ACCESS_REFUSED] - before
    assert refused >= 4
    everything = client.get(of(teenager, "/consents")).content.decode()
    assert "hidden" not in everything


def test_what_is_hidden_can_not_be_said_either_and_looks_as_if_it_did_not_exist(child, mother, now) -> None:
    client, mother_id = mother(child)
    hide_purposes(
        clinic_id=child.clinic_id,
        patient_id=child.id,
        representative_id=mother_id,
        purposes=[REMINDER],
        actor=child.actor,
        now=now,
    )

    hidden = client.post(of(child, "/consents"), YES)
    unknown = client.post(of(child, "/consents"), {**YES, "purpose": "no_such_purpose"})

    assert hidden.status_code == unknown.status_code == 400
    without = [{name: value for name, value in one.json().items() if name != "request_id"} for one in (hidden, unknown)]
    assert without[0] == without[1]
    switched = client.patch(of(child, "/preferences"), {"purposes": {REMINDER: False}}, headers={"if-match": "*"})
    assert switched.status_code == 400
    assert REMINDER not in switched.content.decode().replace(f'"{REMINDER}"', "", 0).split("known")[-1]


def test_everything_hidden_leaves_nothing(child, mother, now) -> None:
    client, mother_id = mother(child)
    hide_purposes(
        clinic_id=child.clinic_id,
        patient_id=child.id,
        representative_id=mother_id,
        purposes=["*"],
        actor=child.actor,
        now=now,
    )

    assert client.get(of(child, "/consents")).json()["results"] == []
    assert client.get(of(child, "/preferences")).json()["purposes"] == {}


def test_a_token_opens_one_patient_and_nothing_else(child, teenager, mother, me: Client, desk: Client) -> None:
    client, _mother_id = mother(child)

    assert client.get(of(teenager)).status_code == 404
    for path in ("/api/v1/me", "/api/v1/me/consents", f"{NORTHGATE}/patients"):
        assert client.get(path).json()["code"] == "wrong_role"
    assert me.get(of(child)).json()["code"] == "wrong_role"
    assert desk.get(of(child)).json()["code"] == "wrong_role"


def test_staff_see_set_and_end_a_representation(child, mother, desk: Client, officer: Client, now) -> None:
    client, mother_id = mother(child)
    address = f"{NORTHGATE}/patients/{child.id}/representatives"
    (shown,) = desk.get(address).json()["results"]
    assert (shown["id"], shown["given_names"], shown["stands"]) == (str(mother_id), ["Ada"], True)
    without_proof = desk.post(f"{address}/{mother_id}", {"kind": "guardianship", "scope": ["consents"]})
    assert (without_proof.status_code, without_proof.json()["errors"][0]["field"]) == (400, "proof")

    said = {"kind": "guardianship", "scope": ["consents"], "proof": {"document": "judgment", "seen_on": "2026-10-01"}}
    assert desk.post(f"{address}/{mother_id}", said).status_code == 204
    assert officer.post(f"{address}/{mother_id}", said).status_code == 403
    assert client.get(of(child, "/consents")).status_code == 200
    assert client.get(of(child, "/messages")).status_code == 403

    for _again in range(2):
        assert desk.post(f"{address}/{mother_id}/ended").status_code == 204
        assert client.get(of(child, "/consents")).status_code == 403
    assert desk.get(address).json()["results"][0]["stands"] is False


def test_a_file_that_comes_again_does_not_undo_what_staff_ended(child, mother, desk: Client, now) -> None:
    client, mother_id = mother(child)
    desk.post(f"{NORTHGATE}/patients/{child.id}/representatives/{mother_id}/ended")

    assert mother_of(child, now) == mother_id

    assert client.get(of(child)).status_code == 403


def test_a_representative_gets_the_receipt_of_what_they_may_know_and_of_nothing_else(child, mother, now) -> None:
    client, mother_id = mother(child)
    consent(child, purpose=REMINDER, channels=[Channel.SMS], now=now - DAY, representatives=(mother_id,))
    event = ConsentEvent.objects.filter(patient_id=child.id).latest("number").id
    path = of(child, f"/consents/{event}/receipt?format=dpv")

    told = client.get(path).json()["dpv:hasRecordOfActivity"][0]["dpv:hasConsentStatus"][0]["dpv:isIndicatedBy"]
    assert told == ["dpv:DataSubject", {"@id": f"urn:uuid:{mother_id}", "@type": "dpv:ParentOfDataSubject"}]

    hide_purposes(
        clinic_id=child.clinic_id,
        patient_id=child.id,
        representative_id=mother_id,
        purposes=[REMINDER],
        actor=child.actor,
        now=now,
    )
    refused, missing = client.get(path), client.get(of(child, f"/consents/{new_id()}/receipt"))
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert refused.json()["detail"] == missing.json()["detail"]
