"""Row 19, GDPR Art. 17: erased means unreadable; the suppression stays, and so does the log.

Not yet: a page or route that asks for it; an operation does it.
"""

import pytest

from backend.audit.actors import system_actor
from backend.audit.verification import check_entries, stored_entries
from backend.messaging.delivery import deliver_due_messages
from backend.patients.models import ContactKind, ContactPoint, Patient
from backend.patients.operations import erase_patient
from backend.patients.queries import find_patients, patients_by_id
from backend.patients.suppression import owners_of_address
from backend.policy.vocabulary import Channel
from backend.programmes.operations import plan_programmes
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
