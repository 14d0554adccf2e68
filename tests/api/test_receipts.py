"""Receipts over the API: each form, who may have which, and the keys that anybody may read."""

import json

import pytest
from django.core.management import call_command
from fhir.resources.R4B.bundle import Bundle
from rest_framework.test import APIClient

from backend.accounts.models import Role
from backend.audit import verifier
from backend.audit.actions import Action
from backend.consent.models import ConsentEvent
from backend.vault.identifiers import new_id
from tests.api.conftest import Client
from tests.factories.log import actions_recorded

KINDS = {
    "jws": "application/jose",
    "dpv": "application/ld+json",
    "kantara": "application/json",
    "fhir": "application/fhir+json",
}


def event_of(patient):
    return ConsentEvent.objects.filter(patient_id=patient.id).latest("id").id


def mine(patient):
    return f"/api/v1/me/consents/{event_of(patient)}/receipt"


@pytest.mark.parametrize("form", KINDS)
def test_a_patient_gets_each_form_by_name_and_by_media_type(me: Client, consenting, form) -> None:
    by_name = me.get(f"{mine(consenting)}?format={form}")
    by_media = me.get(mine(consenting), headers={"accept": KINDS[form]})

    for answer in (by_name, by_media):
        assert answer.status_code == 200, answer.content
        assert answer.headers["content-type"] == KINDS[form]
        assert answer.headers["cache-control"] == "no-store"
        assert "attachment" in answer.headers["content-disposition"]
    assert actions_recorded(consenting.clinic_id)[Action.RECEIPT_ISSUED] == 2


def test_the_state_says_which_event_to_ask_for(me: Client, consenting) -> None:
    states = me.get("/api/v1/me/consents").json()["results"]
    given = next(one for one in states if one["state"] == "given")

    told = me.get(f"/api/v1/me/consents/{given['event_id']}/receipt?format=dpv").json()

    [record] = told["dpv:hasRecordOfActivity"]
    assert record["dpv:hasProcess"][0]["accord:channel"] == given["channel"]
    assert record["dpv:hasProcess"][0]["dct:identifier"] == given["purpose"]


def test_a_bundle_of_fhir_is_one(me: Client, consenting) -> None:
    bundle = me.get(f"{mine(consenting)}?format=fhir").json()

    Bundle.model_validate(bundle)
    assert [one["resource"]["resourceType"] for one in bundle["entry"]] == ["Consent", "Provenance"]
    assert bundle["entry"][1]["resource"]["target"][0]["reference"] == f"Consent/{bundle['entry'][0]['resource']['id']}"


def test_staff_and_the_officer_hand_it_out(desk: Client, dpo, northgate, as_member, consenting) -> None:
    path = f"/api/v1/clinics/northgate/patients/{consenting.id}/consents/{event_of(consenting)}/receipt"

    assert desk.get(path).status_code == 200
    assert as_member(dpo, northgate, Role.DPO).get(path).status_code == 200
    assert actions_recorded(consenting.clinic_id)[Action.RECEIPT_ISSUED] == 2


def test_nobody_else_gets_it(me: Client, as_patient, silent, outsider, southbank, as_member, consenting) -> None:
    stranger = as_member(outsider, southbank)
    path = f"patients/{consenting.id}/consents/{event_of(consenting)}/receipt"

    assert as_patient(silent).get(mine(consenting)).status_code == 404
    assert stranger.get(f"/api/v1/clinics/northgate/{path}").status_code == 404
    assert stranger.get(f"/api/v1/clinics/southbank/{path}").status_code == 404
    assert me.get(f"/api/v1/clinics/northgate/{path}").status_code in {403, 404}
    assert APIClient().get(mine(consenting)).status_code == 401
    assert me.get(f"/api/v1/me/consents/{new_id()}/receipt").status_code == 404
    assert Action.RECEIPT_ISSUED not in actions_recorded(consenting.clinic_id)


def test_what_is_not_known_is_refused(me: Client, consenting) -> None:
    for query in ("format=xml", "form=jws", "format=jws&sign=no"):
        assert me.get(f"{mine(consenting)}?{query}").status_code == 400


def test_a_form_that_knows_only_a_yes_is_refused_where_there_is_none(me: Client, consenting) -> None:
    said = {"purpose": "appointment_reminder", "channels": ["sms"], "decision": "withdrawn"}
    event = me.post("/api/v1/me/consents", said).json()["events"]["sms"]

    answer = me.get(f"/api/v1/me/consents/{event}/receipt?format=kantara")

    assert (answer.status_code, answer.json()["code"]) == (409, "no_yes_stands")


def test_anybody_reads_the_keys_and_changes_nothing(me: Client, consenting) -> None:
    signed = me.get(mine(consenting)).content
    stranger = APIClient()

    answer = stranger.get("/receipts/keys")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/jwk-set+json"
    [key] = json.loads(answer.content)["keys"]
    assert {key["kty"], key["crv"], key["alg"]} == {"OKP", "Ed25519"}
    assert signed.count(b".") == 2
    assert stranger.post("/receipts/keys").status_code == 405


def test_what_the_api_hands_out_is_checked_by_the_one_file_also_after_the_key_was_replaced(
    me: Client, consenting, tmp_path, capsys
) -> None:
    signed = me.get(mine(consenting)).content
    call_command("replace_receipt_key")
    later = me.get(mine(consenting)).content
    (tmp_path / "keys.json").write_bytes(APIClient().get("/receipts/keys").content)

    def check(receipt: bytes) -> int:
        (tmp_path / "receipt.jws").write_bytes(receipt)
        return verifier.main(["--receipt", str(tmp_path / "receipt.jws"), "--jwks", str(tmp_path / "keys.json")])

    assert (check(signed), check(later)) == (0, 0)
    assert signed.split(b".")[0] != later.split(b".")[0]
    assert "VALID: the receipt is as it was signed." in capsys.readouterr().out
    changed = signed.replace(signed.split(b".")[1][:8], b"AAAAAAAA")
    assert check(changed) == 1
