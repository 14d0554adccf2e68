"""Objecting and having the use of data restricted takes one request, for the patient and for staff."""

from tests.factories.programmes import REMINDER


def test_a_patient_objects_and_takes_it_back(consenting, as_patient):
    app = as_patient(consenting)
    made = app.post("/api/v1/me/objections", {"scope": "purpose", "purpose": REMINDER})
    assert (made.status_code, made.json()["confirmed"], made.json()["in_doubt"]) == (201, True, [])
    states = app.get("/api/v1/me/consents").json()["results"]
    assert {one["state"] for one in states if one["purpose"] == REMINDER} == {"objected"}

    assert app.delete(f"/api/v1/me/objections/{made.json()['id']}").status_code == 204
    (kept,) = app.get("/api/v1/me/objections").json()["results"]
    assert (kept["scope"], kept["purpose"], kept["lifted_at"] is not None) == ("purpose", REMINDER, True)


def test_a_patient_has_everything_stopped_and_goes_on(consenting, as_patient):
    app = as_patient(consenting)
    made = app.post("/api/v1/me/restriction", {"ground": "accuracy_contested"})
    assert (made.status_code, made.json()["confirmed"]) == (201, True)
    assert app.get("/api/v1/me/restriction").json()["restricted"] is True
    assert app.delete("/api/v1/me/restriction").status_code == 204
    assert app.get("/api/v1/me/restriction").json()["restricted"] is False


def test_staff_take_an_objection_down_and_only_its_evidence_takes_it_back(consenting, desk):
    path = f"/api/v1/clinics/northgate/patients/{consenting.id}"
    made = desk.post(f"{path}/objections", {"scope": "direct_marketing"})
    assert made.status_code == 201
    back = f"{path}/objections/{made.json()['id']}/taken-back"
    assert desk.post(back, {"method": "paper_form", "evidence": {}}).status_code == 400
    shown = {"form_reference": "F-1", "signed_on": "2026-10-14"}
    assert desk.post(back, {"method": "paper_form", "evidence": shown}).status_code == 204
