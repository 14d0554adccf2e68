"""What staff can do for a clinic, and see."""

import json
from datetime import timedelta

import pytest

from backend.audit.actors import system_actor
from backend.messaging.carriers.base import InDoubt
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.patients.queries import find_patient_by_identifier
from backend.programmes.operations import plan_programmes
from tests.api.conftest import Client
from tests.factories.carriers import carriers_in_test
from tests.factories.patients import IPP, make_appointment, make_patient
from tests.factories.programmes import RECALL, REMINDER

NORTHGATE = "/api/v1/clinics/northgate"


def patient_resource(number: str, **fields: object) -> dict[str, object]:
    return {
        "resourceType": "Patient",
        "id": number,
        "identifier": [{"system": "urn:practice", "value": number}],
        "name": [{"family": "Bertrand", "given": ["Nadia"]}],
        "birthDate": "1990-02-03",
        "telecom": [{"system": "phone", "value": "06 39 98 76 54", "use": "mobile"}],
        **fields,
    }


@pytest.fixture
def reminded(consenting, now):
    """A message is planned for the consenting patient, for tomorrow's appointment."""
    make_appointment(consenting, starts_at=now + timedelta(days=1, hours=6), now=now)
    plan_programmes(now=now, actor=system_actor("planning"))
    return Message.objects.filter(patient_id=consenting.id).latest("id")


def test_the_clinic_shows_its_purposes(desk: Client) -> None:
    answer = desk.get(NORTHGATE).json()

    assert answer["slug"] == "northgate"
    assert {one["slug"] for one in answer["purposes"]} == {REMINDER, RECALL}


def test_a_bundle_is_taken_over_row_by_row_and_again_changes_nothing(desk: Client, northgate) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"resource": patient_resource("p1")},
            {"resource": patient_resource("p2", telecom=[{"system": "phone", "value": "12"}])},
            {"resource": {"resourceType": "Observation", "id": "o1"}},
        ],
    }
    first = desk.post(f"{NORTHGATE}/fhir?language=fr", bundle)
    again = desk.post(f"{NORTHGATE}/fhir", data=json.dumps(bundle).encode(), content_type="application/fhir+json")

    assert first.status_code == 200, first.content
    assert first.json()["counts"] == {"created": 2, "updated": 0, "unchanged": 0, "refused": 1, "unusable": 1}
    refused = next(row for row in first.json()["rows"] if row["outcome"] == "refused")
    assert (refused["file"], refused["line"], refused["reason"]) == ("bundle", 3, "resource_not_read")
    assert refused["sentence"] == "Ce type de ressource n’est pas importé."
    assert again.json()["counts"]["unchanged"] == 2
    assert find_patient_by_identifier(clinic_id=northgate.id, system="urn:practice", value="p1") is not None


def test_a_single_resource_is_taken_over_too(desk: Client) -> None:
    answer = desk.post(f"{NORTHGATE}/fhir", patient_resource("alone"))

    assert answer.json()["counts"]["created"] == 1


def test_a_bundle_that_is_too_large_is_refused_without_reading_it_all(desk: Client, settings) -> None:
    settings.ACCORD_BUNDLE_MAX_BYTES = 2000

    answer = desk.post(f"{NORTHGATE}/fhir", patient_resource("large", text={"div": "x" * 3000}))

    assert answer.status_code == 413
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["most_bytes"] == 2000


def test_a_patient_is_entered_found_and_looked_at(desk: Client) -> None:
    entered = desk.post(
        f"{NORTHGATE}/patients",
        {
            "family_name": "N'Diaye",
            "given_names": ["Awa"],
            "birth_date": "1984-05-06",
            "language": "fr",
            "identifiers": [{"system": "urn:practice", "value": "77"}],
            "contact_points": [
                {"kind": "phone", "value": "06 39 98 00 01"},
                {"kind": "email", "value": "Awa@Example.org"},
            ],
            "address": {"lines": ["2 rue des Lilas"], "postal_code": "00000", "city": "Exempleville"},
        },
    )
    patient = entered.json()["id"]
    searches = [
        {"family_name": "n'diaye"},
        {"phone": "+33639980001"},
        {"email": "awa@example.org"},
        {"identifier": {"system": "urn:practice", "value": "77"}},
    ]

    assert entered.status_code == 201, entered.content
    assert entered["Location"].endswith(f"/patients/{patient}")
    for asked in searches:
        found = desk.post(f"{NORTHGATE}/patients/search", asked)
        assert [one["id"] for one in found.json()["results"]] == [patient], asked
    shown = desk.get(f"{NORTHGATE}/patients/{patient}").json()
    assert (shown["family_name"], shown["birth_date"]) == ("N'Diaye", "1984-05-06")
    assert shown["address"]["city"] == "Exempleville"


def test_a_known_identifier_is_not_overwritten(desk: Client, consenting) -> None:
    answer = desk.post(
        f"{NORTHGATE}/patients",
        {"family_name": "Autre", "identifiers": [{"system": IPP, "value": consenting.ipp}]},
    )

    assert answer.status_code == 409
    assert answer.json()["code"] == "patient_exists"
    assert answer.json()["patient"] == str(consenting.id)


def test_a_number_that_can_not_be_one_is_refused_with_its_field(desk: Client) -> None:
    answer = desk.post(
        f"{NORTHGATE}/patients", {"family_name": "Court", "contact_points": [{"kind": "phone", "value": "12"}]}
    )

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "contact_points[0].value"


def test_patients_are_listed_page_by_page(desk: Client, consenting, silent, withdrawn) -> None:
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        answer = desk.get(f"{NORTHGATE}/patients?limit=1{cursor}").json()
        seen += [one["id"] for one in answer["results"]]
        cursor = f"&cursor={answer['next']}"

    assert sorted(seen) == sorted(str(one.id) for one in (consenting, silent, withdrawn))
    assert answer["next"] is None


def test_consent_on_paper_is_taken_down_with_its_evidence(desk: Client, silent) -> None:
    path = f"{NORTHGATE}/patients/{silent.id}/consents"
    said = {
        "purpose": REMINDER,
        "channels": ["sms", "email"],
        "decision": "given",
        "method": "paper_form",
        "notice_version": 1,
        "language": "fr",
    }

    without = desk.post(path, said)
    foreign = desk.post(path, {**said, "evidence": {"script_version": "2"}})
    given = desk.post(path, {**said, "evidence": {"form_reference": "F-1", "signed_on": "2026-10-01"}})
    withdrawn = desk.post(path, {"purpose": REMINDER, "channels": ["sms"], "decision": "withdrawn"})

    assert without.json()["code"] == "evidence_missing"
    assert foreign.status_code == 400
    assert given.status_code == 201, given.content
    assert withdrawn.json()["confirmed"] is True
    shown = desk.get(path).json()
    assert {one["channel"]: one["state"] for one in shown["results"] if one["purpose"] == REMINDER} == {
        "push": "none",
        "sms": "withdrawn",
        "email": "given",
    }
    assert [one["method"] for one in shown["events"]] == ["paper_form", "paper_form", "staff_withdrawal"]


def test_a_form_signed_tomorrow_is_no_consent(desk: Client, silent, now) -> None:
    tomorrow = (now + timedelta(days=1)).date().isoformat()

    answer = desk.post(
        f"{NORTHGATE}/patients/{silent.id}/consents",
        {
            "purpose": REMINDER,
            "channels": ["sms"],
            "decision": "given",
            "method": "paper_form",
            "notice_version": 1,
            "language": "fr",
            "evidence": {"form_reference": "F-1", "signed_on": tomorrow},
        },
    )

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "occurred_at"


def test_staff_attest_a_contact_point_and_say_how(desk: Client, northgate, now) -> None:
    patient = make_patient(northgate.id, now=now, reachable=False)
    path = f"{NORTHGATE}/patients/{patient.id}/contact-points"
    point = desk.get(path).json()["results"][0]

    answer = desk.post(f"{path}/{point['id']}/attest", {"how": "called_back"})

    assert point["status"] == "unverified"
    assert answer.status_code == 200
    assert desk.get(path).json()["results"][0]["status"] == "attested"


def test_an_appointment_is_entered_and_listed(desk: Client, consenting) -> None:
    asked = {
        "patient": str(consenting.id),
        "kind": "appointment",
        "status": "booked",
        "starts_at": "2026-12-09T14:30:00+01:00",
        "place": "Cabinet 4",
        "source_id": "a-1",
    }

    made = desk.post(f"{NORTHGATE}/occasions", asked)
    twice = desk.post(f"{NORTHGATE}/occasions", asked)

    assert made.status_code == 201, made.content
    assert made.json()["starts_at"] == "2026-12-09T13:30:00Z"
    assert twice.json()["code"] == "occasion_exists"
    listed = desk.get(f"{NORTHGATE}/occasions?patient={consenting.id}&kind=appointment").json()
    assert [one["id"] for one in listed["results"]] == [made.json()["id"]]


def test_a_programme_is_written_looked_at_approved_started_and_paused(desk: Client, doctor: Client) -> None:
    definition = {
        "occasion": {"kind": "appointment"},
        "steps": [{"key": "d2", "offset": {"days": -2}, "at": "09:00", "worth_for_hours": 24, "template": REMINDER}],
    }
    written = desk.post(
        f"{NORTHGATE}/programmes",
        {
            "slug": "two_days",
            "names": {"fr": "Deux jours", "en": "Two days"},
            "purpose": REMINDER,
            "definition": definition,
        },
    )
    programme = f"{NORTHGATE}/programmes/{written.json()['id']}"

    early = desk.post(f"{programme}/start")
    layman = desk.post(f"{programme}/approve")
    reach = desk.post(f"{programme}/reach")
    stale = doctor.post(f"{programme}/approve", headers={"if-match": '"7.draft.open"'})
    approved = doctor.post(f"{programme}/approve", {"version": 1}, headers={"if-match": written["ETag"]})
    started = desk.post(f"{programme}/start")
    paused = desk.post(f"{programme}/pause")

    assert written.status_code == 201, written.content
    assert written.json()["state"] == "draft"
    assert early.json()["code"] == "programme_not_approved"
    assert (layman.status_code, layman.json()["code"]) == (403, "not_a_health_professional")
    assert reach.status_code == 200, reach.content
    assert reach.json()["would"] == 0
    assert stale.status_code == 412
    assert approved.json()["state"] == "approved"
    assert started.json()["state"] == "running"
    assert paused.json()["state"] == "paused"
    assert desk.get(programme, headers={"if-none-match": paused["ETag"]}).status_code == 304


def test_the_dry_run_says_whom_and_why_not(desk: Client, consenting, silent, now) -> None:
    for patient in (consenting, silent):
        make_appointment(patient, starts_at=now + timedelta(days=1, hours=6), now=now)
    programmes = desk.get(f"{NORTHGATE}/programmes").json()["results"]
    reminder = next(one["id"] for one in programmes if one["slug"] == REMINDER)

    reach = desk.post(f"{NORTHGATE}/programmes/{reminder}/reach", {"ahead_hours": 72}).json()

    assert reach["would"] >= 1
    assert reach["would_not"]["no_consent"] >= 1
    assert {line["patient"] for line in reach["lines"] if not line["would"]} == {str(silent.id)}
    assert Message.objects.count() == 0


def test_templates_are_published_in_versions_and_bad_words_are_named(desk: Client) -> None:
    variant = {
        "channel": "sms",
        "language": "fr",
        "tone": "formal",
        "body": "{{ clinic.discreet_name }} : le {{ appointment.date }}",
    }
    path = f"{NORTHGATE}/templates"

    made = desk.post(path, {"slug": "short", "purpose": REMINDER, "variants": [variant]})
    twice = desk.post(path, {"slug": "short", "purpose": REMINDER, "variants": [variant, variant]})
    broken = desk.post(path, {"slug": "short", "purpose": REMINDER, "variants": [{**variant, "body": "{{ secret }}"}]})

    assert made.status_code == 201, made.content
    assert made.json()["version"] == 1
    assert twice.status_code == 400
    assert broken.json()["errors"][0]["field"] == "variants[0].body"
    assert "short" in {one["slug"] for one in desk.get(path).json()["results"]}


def test_messages_are_listed_with_their_reasons(desk: Client, reminded, consenting) -> None:
    listed = desk.get(f"{NORTHGATE}/messages?patient={consenting.id}&state=planned,deferred,withheld").json()
    why = desk.get(f"{NORTHGATE}/messages/{reminded.id}/why").json()

    assert str(reminded.id) in {one["id"] for one in listed["results"]}
    assert why["message"] == str(reminded.id)
    assert why["consent"]["method"] == "app"
    assert why["consent"]["notice_version"] == 1
    assert [rule["group"] for rule in why["rules"]][:2] == ["restriction", "consent"]
    assert any("Consent was given on" in sentence for sentence in why["sentences"])


def test_staff_say_once_what_became_of_a_message_in_doubt(desk: Client, officer: Client, reminded) -> None:
    path = f"{NORTHGATE}/messages/{reminded.id}/doubt"
    too_early = desk.post(path, {"left": True})
    deliver_due_messages(now=reminded.due_at, carriers=carriers_in_test(lambda _message: InDoubt()))

    unclear, by_officer = desk.post(path, {"left": "perhaps"}), officer.post(path, {"left": False})
    said, again = desk.post(path, {"left": False}), desk.post(path, {"left": True})

    assert (too_early.status_code, too_early.json()["code"]) == (409, "not_in_doubt")
    assert (unclear.status_code, by_officer.status_code) == (400, 403)
    assert (said.status_code, said.json()) == (200, {"state": "failed"})
    assert (again.status_code, again.json()["code"]) == (409, "not_in_doubt")
    reminded.refresh_from_db()
    assert (reminded.state, reminded.failure) == ("failed", "not_arrived")


def test_the_patient_sees_the_same_reasons_in_their_language(me: Client, reminded) -> None:
    listed = me.get("/api/v1/me/messages?language=fr").json()["results"]
    why = me.get(f"/api/v1/me/messages/{reminded.id}/why?language=fr").json()

    assert str(reminded.id) in {one["id"] for one in listed}
    assert any("L’accord a été donné le" in sentence for sentence in why["sentences"])
    assert me.get(f"/api/v1/me/messages/{reminded.id}").json()["text"] is None


def test_enrolments_and_statistics_count(desk: Client, reminded, consenting) -> None:
    enrolments = desk.get(f"{NORTHGATE}/enrolments?patient={consenting.id}").json()["results"]
    counted = desk.get(f"{NORTHGATE}/statistics").json()["messages"]

    assert {one["programme"] for one in enrolments} == {REMINDER}
    assert sum(counted.values()) == Message.objects.count()


def test_the_officer_reads_the_log_and_that_is_logged(officer: Client, desk: Client, silent, reception) -> None:
    desk.get(f"{NORTHGATE}/patients/{silent.id}")

    first = officer.get(f"{NORTHGATE}/audit/entries?limit=5&language=fr").json()
    read = next(one for one in first["results"] if one["action"] == "patient.read")
    second = officer.get(f"{NORTHGATE}/audit/entries?limit=5&cursor={first['next']}").json()

    assert read["actor"] == {"kind": "staff", "handle": "reception@northgate", "id": None}
    assert read["parts"][0]["subject"] == str(silent.id)
    assert read["parts"][0]["sentence"] == "Les données du patient ont été consultées (file)."
    assert {one["id"] for one in first["results"]}.isdisjoint(one["id"] for one in second["results"])
    newest = officer.get(f"{NORTHGATE}/audit/entries?limit=1").json()["results"][0]
    assert newest["action"] == "log.read"


def test_the_officer_reads_but_does_not_write(officer: Client, silent) -> None:
    assert officer.get(f"{NORTHGATE}/patients/{silent.id}/preferences").status_code == 200
    refused = officer.patch(
        f"{NORTHGATE}/patients/{silent.id}/preferences", {"tone": "plain"}, headers={"if-match": '"0"'}
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "wrong_role")
