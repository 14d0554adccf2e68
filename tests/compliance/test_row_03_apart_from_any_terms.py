"""Row 3, GDPR Art. 7(2): consent apart from any terms; who refuses everything is taken on and served all the same."""

from backend.patients.queries import find_patient_by_identifier
from tests.api.test_desk import NORTHGATE, patient_resource
from tests.factories.patients import PatientInTest


def test_a_patient_is_taken_on_without_any_consent_and_signs_in_after_refusing_all(desk, as_patient, northgate):
    assert desk.post(f"{NORTHGATE}/fhir", patient_resource("p1")).json()["counts"]["created"] == 1
    patient_id = find_patient_by_identifier(clinic_id=northgate.id, system="urn:practice", value="p1")
    assert patient_id is not None
    app = as_patient(PatientInTest(patient_id, northgate.id, "p1"))
    streams = [(one["purpose"], one["channel"]) for one in app.get("/api/v1/me/consents").json()["results"]]

    for purpose, channel in streams:
        said = {"purpose": purpose, "channels": [channel], "decision": "refused", "notice_version": 1, "language": "fr"}
        answer = app.post("/api/v1/me/consents", {**said, "shown": {"initial_state": "off"}})
        assert answer.status_code == 201, answer.content

    for page in ("me", "me/notices", "me/messages", "me/preferences", "me/contact-points", "me/consents"):
        assert app.get(f"/api/v1/{page}").status_code == 200, page
    assert desk.get(f"{NORTHGATE}/patients/{patient_id}").status_code == 200
