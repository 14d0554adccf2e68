"""Row 21, GDPR Art. 20: what a patient gave, for themselves, in forms that other systems read; nothing of others."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import jsonschema_rs
import pytest
from fhir.resources.R4B.bundle import Bundle

from backend.audit.actions import Action
from backend.audit.leaf import canonical_json
from backend.consent.models import ConsentEvent, Notice
from backend.patients.models import ContactPoint, Patient
from backend.policy.vocabulary import Channel, RepresentationScope
from tests.api.conftest import born
from tests.api.conftest import mother as mother  # noqa: PLC0414 - a fixture
from tests.api.test_represented import of, represent
from tests.conftest import DAY
from tests.consent.standards import pcf
from tests.consent.test_objecting import mothers_phone
from tests.factories.log import actions_recorded
from tests.factories.patients import consent, make_patient
from tests.factories.programmes import RECALL, REMINDER

EXPORT = "/api/v1/me/export"
PHONE, ADDRESS = "+33639980021", "takes.it@example.org"


@pytest.fixture
def leaver(northgate, as_patient, now):
    """Chose, changed their mind, withdrew one thing: and takes all of it along."""
    patient = make_patient(northgate.id, now=now - DAY, family_name="Partante", phone=PHONE, email=ADDRESS)
    consent(patient, purpose=REMINDER, channels=[Channel.SMS, Channel.EMAIL], now=now - DAY)
    app = as_patient(patient)
    for body in ({"tone": "plain"}, {"tone": "informal", "discreet": False}):
        tag = app.get("/api/v1/me/preferences")["etag"]
        assert app.patch("/api/v1/me/preferences", body, headers={"if-match": tag}).status_code == 200
    gone = {"purpose": REMINDER, "channels": ["sms"], "decision": "withdrawn"}
    assert app.post("/api/v1/me/consents", gone).status_code == 201
    assert app.post("/api/v1/me/objections", {"scope": "direct_marketing"}).status_code == 201
    return patient


@pytest.fixture
def app(leaver, as_patient):
    return as_patient(leaver)


def take(client, form, path=EXPORT):
    answer = client.get(f"{path}?format={form}")
    assert answer.status_code == 200, answer.content
    return answer


def test_it_holds_what_the_patient_gave_in_the_exact_words(app, leaver):
    told = take(app, "json").json()

    assert {one["value"] for one in told["contact_points"]} == {PHONE, ADDRESS}
    assert told["patient"]["family_name"] == "Partante"
    assert (told["preferences"]["tone"], told["preferences"]["discreet"]) == ("informal", False)
    assert [one["preferences"]["tone"] for one in told["preference_history"]] == ["informal", "plain"]
    assert [one["scope"] for one in told["objections"]] == ["direct_marketing"]
    by_channel = {(one["purpose"], one["channel"]): one for one in told["consents"]}
    assert by_channel[REMINDER, "email"]["state"] == "given"
    assert [one["kind"] for one in by_channel[REMINDER, "sms"]["events"]] == ["given", "withdrawn"]
    [notice] = told["notices"]
    said = by_channel[REMINDER, "email"]["events"][0]
    stored = Notice.objects.get(clinic_id=leaver.clinic_id, version=said["notice_version"], language=said["language"])
    assert notice["body"] == stored.body
    assert said["statement"] == stored.statements[REMINDER] == notice["statements"][REMINDER]
    shown = {name: notice[name] for name in ("version", "language", "title", "body", "statements")}
    assert hashlib.sha256(canonical_json(shown)).hexdigest() == said["notice_sha256"] == stored.sha256
    every_event = {one["id"] for consent in told["consents"] for one in consent["events"]}
    assert every_event == {str(one.id) for one in ConsentEvent.objects.filter(patient_id=leaver.id)}


def test_the_answer_is_what_the_description_announces(app):
    described = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "openapi.json").read_text("utf-8"))
    told = {**described, "$ref": "#/components/schemas/OwnData"}
    validator = jsonschema_rs.validator_for({"$schema": "https://json-schema.org/draft/2020-12/schema", **told})

    assert [str(one) for one in validator.iter_errors(take(app, "json").json())] == []
    announced = described["paths"]["/api/v1/me/export"]["get"]["responses"]["200"]["content"]
    for form in ("json", "fhir", "dpv", "zip"):
        assert take(app, form)["content-type"] in announced


def test_every_form_tells_the_same_and_the_archive_holds_them_all(app):
    forms = {form: take(app, form) for form in ("json", "fhir", "dpv")}
    default = app.get(EXPORT)

    assert default["content-type"] == "application/zip"
    assert "attachment" in default["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(default.content)) as archive:
        assert set(archive.namelist()) == {
            "READ-ME.txt",
            "own-data.json",
            "fhir.json",
            "consents.jsonld",
            "notices/1-fr.json",
        }
        told = json.loads(archive.read("own-data.json"))
        for name, form in (("fhir.json", "fhir"), ("consents.jsonld", "dpv")):
            assert archive.read(name).count(b'"id"') == forms[form].content.count(b'"id"')
        assert hashlib.sha256(archive.read("notices/1-fr.json")).hexdigest() == told["notices"][0]["sha256"]
    hashes = {one["sha256"] for consent in told["consents"] for one in consent["events"]}
    assert len(hashes) == 3
    for form in ("fhir", "dpv"):
        assert all(one in forms[form].content.decode() for one in hashes)


def test_strangers_read_the_bundle(app, leaver):
    bundle = take(app, "fhir").json()

    Bundle.model_validate(bundle)
    resources = {entry["fullUrl"].partition("/fhir/")[2]: entry["resource"] for entry in bundle["entry"]}
    assert {"Patient", "Organization", "Consent", "Provenance"} == {one["resourceType"] for one in resources.values()}
    consents = [one for one in resources.values() if one["resourceType"] == "Consent"]
    assert [pcf.broken_rules(one) for one in consents] == [[]] * len(consents)
    for one in consents:
        assert {one["patient"]["reference"], one["organization"][0]["reference"]} <= resources.keys()
    patient = resources[f"Patient/{leaver.id}"]
    assert [(one["system"], one["value"]) for one in patient["telecom"]] == [("phone", PHONE), ("email", ADDRESS)]


@pytest.mark.needs_data
def test_the_official_schema_accepts_every_resource_of_it(app, third_party_data):
    path = third_party_data / "oracles" / "fhir-r4" / "fhir.schema.R4.subset.json"
    schema = json.loads(path.read_text("utf-8"))
    seen = set()
    for entry in take(app, "fhir").json()["entry"]:
        kind = entry["resource"]["resourceType"]
        # The subset at hand holds neither Patient nor Organization: fhir.resources reads those above.
        if kind in schema["definitions"]:
            checked = {
                "$schema": schema["$schema"],
                "definitions": schema["definitions"],
                "$ref": f"#/definitions/{kind}",
            }
            assert list(jsonschema_rs.validator_for(checked).iter_errors(entry["resource"])) == []
            seen.add(kind)
    assert seen == {"Consent", "Provenance"}


def test_the_records_of_iso_27560_name_the_same_person_and_every_state(app, leaver):
    told = take(app, "dpv").json()

    assert {one["dpv:hasDataSubject"]["@id"] for one in told["@graph"]} == {f"urn:uuid:{leaver.id}"}
    states = {(one["dpv:hasProcess"][0]["accord:channel"], one["accord:state"]) for one in told["@graph"]}
    assert {("sms", "withdrawn"), ("email", "given")} <= states
    [given] = [one for one in told["@graph"] if one["accord:state"] == "given"]
    assert given["dpv:hasNotice"]["accord:text"]
    assert given["dct:conformsTo"].endswith("#record-eu-gdpr")


def test_another_clinic_takes_over_the_addresses_and_no_yes(app, southbank, stranger):
    """A consent names the clinic that it was given to (row 46), and a file is no proof of one to another (row 47)."""
    taken = stranger.post("/api/v1/clinics/southbank/fhir", take(app, "fhir").json())

    assert taken.status_code == 200, taken.content
    assert taken.json()["counts"]["created"] == 1
    patient = Patient.objects.get(clinic_id=southbank.id)
    assert set(ContactPoint.objects.filter(patient_id=patient.id).values_list("kind", "status")) == {
        ("phone", "unverified"),
        ("email", "unverified"),
    }
    states = stranger.get(f"/api/v1/clinics/southbank/patients/{patient.id}/consents").json()
    assert {one["state"] for one in states["results"]} == {"none"}
    assert states["events"] == []


def test_nothing_of_other_people_is_in_it(northgate, as_patient, desk, now):
    child = make_patient(northgate.id, now=now - DAY, birth_date=born(now, 10), phone=PHONE)
    mother_id, _point = mothers_phone(northgate, child, now)
    hers = ContactPoint.objects.get(patient_id=child.id, representative_id=mother_id)
    consent(child, purpose=REMINDER, channels=[Channel.SMS], now=now - DAY, representatives=(mother_id,))
    path = f"/api/v1/clinics/northgate/patients/{child.id}/consents"
    assert desk.post(path, {"purpose": REMINDER, "channels": ["sms"], "decision": "withdrawn"}).status_code == 201
    other = make_patient(northgate.id, now=now - DAY, family_name="Autre", email="autre@example.org")
    consent(other, purpose=REMINDER, channels=[Channel.EMAIL], now=now - DAY)

    written = {form: take(as_patient(child), form).content.decode() for form in ("json", "fhir", "dpv")}

    staff = ConsentEvent.objects.get(patient_id=child.id, kind="withdrawn").recorded_by.removeprefix("u:")
    for text in written.values():
        for foreign in (str(hers.id), staff, str(other.id), "Autre", "autre@example.org"):
            assert foreign not in text
        # By whom the yes was said, by an id and a right: without it the consent of a child is none.
        assert str(mother_id) in text
    assert [one["value"] for one in json.loads(written["json"])["contact_points"] if one["kind"] == "phone"] == [PHONE]


def test_who_represents_a_patient_takes_what_their_right_covers_and_not_what_is_kept_from_them(
    northgate, mother, as_patient, now
):
    teenager = make_patient(northgate.id, now=now - DAY, birth_date=born(now, 16), phone=PHONE, email=ADDRESS)
    client, mother_id = mother(teenager)
    for purpose in (REMINDER, RECALL):
        consent(teenager, purpose=purpose, channels=[Channel.SMS], now=now - DAY)
    app = as_patient(teenager)
    app.post("/api/v1/me/objections", {"scope": "purpose", "purpose": RECALL})
    hide = f"/api/v1/me/representatives/{mother_id}/hidden-purposes"
    assert app.post(hide, {"purposes": [RECALL]}).status_code in {200, 204}

    told = take(client, "json", of(teenager, "/export")).json()

    assert {one["purpose"] for one in told["consents"]} == {REMINDER}
    assert RECALL not in told["preferences"]["purposes"]
    assert (told["objections"], told["contact_points"], told["patient"]["address"]) == ([], [], {})
    for form in ("fhir", "dpv"):
        written = take(client, form, of(teenager, "/export")).content.decode()
        assert not any(kept in written for kept in (RECALL, PHONE, ADDRESS, "rue des Lilas"))
    # What was left out is recorded as refused (CSP, L.1111-5).
    assert actions_recorded(northgate.id)[Action.ACCESS_REFUSED] == 3


def test_only_who_it_is_about_gets_it_and_each_time_is_recorded(
    app, leaver, desk, officer, stranger, nobody, northgate
):
    before = actions_recorded(northgate.id)[Action.OWN_DATA_EXPORTED]
    take(app, "json")

    assert actions_recorded(northgate.id)[Action.OWN_DATA_EXPORTED] == before + 1
    for client in (desk, officer, stranger):
        assert client.get(EXPORT).status_code == 403
        assert client.get(of(leaver, "/export")).status_code == 403
    assert nobody.get(EXPORT).status_code == 401
    assert app.get(of(leaver, "/export")).status_code == 403
    assert app.get(f"{EXPORT}?format=xml").status_code == 400
    assert actions_recorded(northgate.id)[Action.OWN_DATA_EXPORTED] == before + 1


def test_a_right_to_read_messages_alone_takes_nothing_along(northgate, now, mother):
    child = make_patient(northgate.id, now=now - DAY, birth_date=born(now, 10))
    client, mother_id = mother(child)
    represent(child, mother_id, now - DAY, scope=frozenset({RepresentationScope.MESSAGES}))

    assert client.get(of(child, "/export")).status_code == 403
