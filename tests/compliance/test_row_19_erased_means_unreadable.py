"""Row 19, GDPR Art. 17: erased means unreadable; the suppression stays, and so does the log.

One person of the clinic asks for it and another confirms, the officer among them; who asks is told what stays, and why.
"""

import pytest

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.recording import record
from backend.audit.verification import check_entries, stored_entries
from backend.consent.models import ConsentEvent
from backend.messaging.delivery import deliver_due_messages
from backend.patients.models import ContactKind, ContactPoint, ErasureRequest, Patient, SuppressionEntry
from backend.patients.operations import erase_patient
from backend.patients.queries import find_patients, patients_by_id
from backend.patients.suppression import owners_of_address
from backend.policy.vocabulary import Channel
from backend.programmes.operations import plan_programmes
from backend.vault.fields import Shredded
from tests.conftest import DAY, HOUR
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import CHANNELS, REMINDER

NUMBER, ADDRESS = "+33639990033", "gone@example.org"


@pytest.fixture
def leaving(northgate, now):
    patient = make_patient(northgate.id, now=now - DAY, family_name="Disparue", phone=NUMBER, email=ADDRESS)
    consent(patient, purpose=REMINDER, channels=CHANNELS, now=now - DAY)
    return patient


@pytest.fixture
def app(leaving, as_patient):
    return as_patient(leaving)


@pytest.fixture
def erased(leaving, app, northgate, now):
    done = erase_patient(clinic_id=northgate.id, patient_id=leaving.id, actor=system_actor(), now=now)
    assert (done.confirmed, done.in_doubt) == (True, ())
    return leaving


def test_nobody_reads_what_was_erased(erased, app, desk, northgate):
    assert patients_by_id([erased.id])[erased.id].is_erased
    found = desk.post("/api/v1/clinics/northgate/patients/search", {"family_name": "Disparue"})
    assert (found.status_code, found.json()["results"]) == (200, [])
    assert app.get("/api/v1/me").status_code in {401, 404}
    assert desk.get(f"/api/v1/clinics/northgate/patients/{erased.id}").status_code == 404


def test_no_index_finds_them_by_name_or_address(leaving, northgate, now):
    rows = ContactPoint.objects.filter(patient_id=leaving.id).values_list("kind", "value_index")
    points = [(ContactKind(kind), bytes(index)) for kind, index in rows]
    assert all(owners_of_address(*point, clinic_id=northgate.id) == (leaving.id,) for point in points)

    erase_patient(clinic_id=northgate.id, patient_id=leaving.id, actor=system_actor(), now=now)

    assert len(points) == 3
    assert all(owners_of_address(*point, clinic_id=northgate.id) == () for point in points)
    assert Patient.objects.get(id=leaving.id).family_name_index is None
    assert find_patients(clinic_id=northgate.id, family_name="Disparue") == []


def test_who_comes_back_in_a_file_is_not_written_to_at_the_old_addresses(erased, northgate, now):
    again = make_patient(northgate.id, now=now + HOUR, phone=NUMBER, email=ADDRESS, device=False)
    consent(again, purpose=REMINDER, channels=[Channel.SMS, Channel.EMAIL], now=now + HOUR)
    make_appointment(again, starts_at=now + DAY + 4 * HOUR, now=now + HOUR)
    carriers = carriers_in_test()

    plan_programmes(now=now + HOUR)
    deliver_due_messages(now=now + HOUR, carriers=carriers)

    assert given_to(carriers) == []


def test_the_log_is_whole_after_an_erasure(erased, now):
    check = check_entries(stored_entries())

    assert check.holds, check.findings


# ----------------------------------------------------------------------------------------------- asking, and confirming

ASKED = {"ground": "consent_withdrawn"}


def of(patient, path=""):
    return f"/api/v1/clinics/northgate/patients/{patient.id}/erasure{path}"


def ask(client, patient):
    answer = client.post(of(patient), ASKED)
    assert answer.status_code == 201, answer.content
    return answer.json()


def confirm(client, patient, asked):
    return client.post(of(patient, f"/{asked['id']}/confirm"), {})


def test_the_desk_asks_the_officer_confirms_and_nobody_reads_anything_any_more(leaving, app, desk, officer, northgate):
    asked = ask(desk, leaving)
    assert (asked["asked_by_you"], asked["officer_needed"]) == (True, True)
    assert officer.get(of(leaving)).json()["asked_by_you"] is False
    assert patients_by_id([leaving.id])[leaving.id].is_erased is False

    answer = confirm(officer, leaving, asked)

    told = answer.json()
    assert answer.status_code == 201
    assert (told["confirmed"], told["already_left"], told["in_doubt"]) == (True, [], [])
    assert told["keys_destroyed"] == 2
    assert told["suppressed"] == SuppressionEntry.objects.filter(clinic_id=northgate.id).count() > 0
    assert {one["what"] for one in told["stays"]} == {
        "suppression",
        "proof_of_consent",
        "proof_of_messages",
        "identifiers",
        "log",
        "care_record",
    }
    assert all("Art." in one["sentence"] for one in told["stays"])
    assert patients_by_id([leaving.id])[leaving.id].is_erased
    assert app.get("/api/v1/me").status_code in {401, 404}
    for client in (desk, officer):
        assert client.get(of(leaving)).status_code == 404
    row = ErasureRequest.objects.get(patient_id=leaving.id)
    assert row.confirmed_at is not None
    assert row.confirmed_by != row.asked_by


def test_what_stays_is_what_the_answer_says(leaving, desk, officer, northgate, now):
    assert ConsentEvent.objects.filter(patient_id=leaving.id, evidence__isnull=False).exists()

    confirm(officer, leaving, ask(desk, leaving))

    proof = ConsentEvent.objects.filter(patient_id=leaving.id)
    assert {one.kind for one in proof} == {"given"}
    assert all(one.notice_sha256 for one in proof)
    with record(Action.CONSENTS_READ, by=system_actor(), now=now, clinic_id=northgate.id, whole_clinic=True) as entry:
        assert {isinstance(one.evidence.open(entry), Shredded) for one in proof} == {True}


def test_nobody_erases_alone(leaving, desk, doctor, officer):
    asked = ask(desk, leaving)

    assert confirm(desk, leaving, asked).json()["code"] == "second_person_needed"
    assert confirm(doctor, leaving, asked).json()["code"] == "officer_needed"
    assert desk.delete(of(leaving)).status_code == 204
    asked = ask(officer, leaving)
    assert asked["officer_needed"] is False
    assert confirm(officer, leaving, asked).json()["code"] == "second_person_needed"
    assert patients_by_id([leaving.id])[leaving.id].is_erased is False
    assert confirm(doctor, leaving, asked).status_code == 201


def test_what_was_taken_back_or_asked_anew_is_not_confirmed(leaving, desk, officer):
    first = ask(desk, leaving)
    assert ask(desk, leaving)["id"] == first["id"]
    assert desk.delete(of(leaving)).status_code == 204
    assert desk.delete(of(leaving)).status_code == 404
    assert officer.get(of(leaving)).status_code == 404
    assert confirm(officer, leaving, first).status_code == 404
    ask(desk, leaving)

    assert confirm(officer, leaving, first).status_code == 404
    assert patients_by_id([leaving.id])[leaving.id].is_erased is False


def test_it_is_not_for_the_patient_nor_for_another_clinic(leaving, app, stranger, desk, officer):
    asked = ask(desk, leaving)

    for client, statuses in ((app, {403, 404}), (stranger, {404})):
        assert client.post(of(leaving), ASKED).status_code in statuses
        assert client.get(of(leaving)).status_code in statuses
        assert confirm(client, leaving, asked).status_code in statuses
        assert client.delete(of(leaving)).status_code in statuses
    elsewhere = of(leaving, f"/{asked['id']}/confirm").replace("northgate", "southbank")
    assert stranger.post(elsewhere, {}).status_code == 404
    assert desk.post(of(leaving), {"ground": "tidying_up"}).status_code == 400
    assert patients_by_id([leaving.id])[leaving.id].is_erased is False


def test_a_message_that_waits_is_not_sent_after_it(leaving, desk, officer, now):
    make_appointment(leaving, starts_at=now + DAY + 4 * HOUR, now=now)
    plan_programmes(now=now)
    carriers = carriers_in_test()

    confirm(officer, leaving, ask(desk, leaving))
    deliver_due_messages(now=now + HOUR, carriers=carriers)

    assert given_to(carriers) == []
