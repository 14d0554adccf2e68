"""Row 18, GDPR Art. 16 and 19: an address that changed is checked before it is used; the old one is used no more."""

from backend.messaging.delivery import deliver_due_messages
from backend.patients.models import ContactPoint
from backend.patients.operations import import_records
from backend.policy.vocabulary import Channel
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.consent.test_ending import answer
from tests.factories import records
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import REMINDER

OLD, NEW = "+33639990011", "+33639990022"


def moved(patient, manager, now):
    """The practice software says that the telephone number is another."""
    told = records.patient(patient.ipp, telecoms=(records.phone(NEW),))
    import_records(clinic_id=patient.clinic_id, records=[told], source="test", actor=manager, now=now)


def remind(patient, now):
    make_appointment(patient, starts_at=now + DAY + 4 * HOUR, now=now)
    carriers = carriers_in_test()
    plan_programmes(now=now)
    deliver_due_messages(now=now, carriers=carriers)
    return [message.to for message in given_to(carriers)]


def test_nothing_goes_to_the_old_number_or_to_the_new_one_until_it_was_checked(northgate, manager, as_patient, now):
    patient = make_patient(northgate.id, now=now - DAY, phone=OLD, device=False)
    consent(patient, purpose=REMINDER, channels=[Channel.SMS], now=now - DAY)
    moved(patient, manager, now)

    assert answer(patient, now) == ("deny", {"contact_unverified"})
    assert remind(patient, now) == []


def test_once_it_was_checked_the_new_number_is_used(northgate, manager, desk, now):
    patient = make_patient(northgate.id, now=now - DAY, phone=OLD, device=False)
    consent(patient, purpose=REMINDER, channels=[Channel.SMS], now=now - DAY)
    moved(patient, manager, now)
    (point,) = ContactPoint.objects.filter(patient_id=patient.id, kind="phone", ended_at=None)

    path = f"/api/v1/clinics/northgate/patients/{patient.id}/contact-points/{point.id}/attest"
    assert desk.post(path, {"how": "seen_in_person"}).status_code in {200, 201, 204}

    assert remind(patient, now) == [NEW]
