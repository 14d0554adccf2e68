"""Row 5, GDPR Art. 7(4): a no costs nothing; what a patient asks for still comes, and nothing else depends on it."""

from backend.messaging.delivery import deliver_due_messages
from backend.messaging.operations.checks import plan_checks
from backend.policy.vocabulary import Channel
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import make_appointment, make_patient
from tests.factories.programmes import RECALL, REMINDER, offer_checks


def withdraw_all(app):
    for purpose in (REMINDER, RECALL):
        said = {"purpose": purpose, "channels": ["push", "sms", "email"], "decision": "withdrawn"}
        assert app.post("/api/v1/me/consents", said).json()["confirmed"] is True


def pages_of(app):
    """What a patient can see and do, whatever they consented to; times of what they said aside."""
    return {
        name: app.get(f"/api/v1/me/{name}").status_code
        for name in ("", "notices", "messages", "preferences", "contact-points", "devices", "objections", "consents")
        if name
    }


def test_who_withdrew_everything_sees_all_that_others_see(consenting, as_patient):
    app = as_patient(consenting)
    before = pages_of(app)

    withdraw_all(app)

    assert pages_of(app) == before
    assert set(before.values()) <= {200, 405}


def test_a_code_that_was_asked_for_comes_after_everything_was_withdrawn(northgate, manager, as_patient, now):
    offer_checks(northgate.id, actor=manager, now=now - DAY)
    patient = make_patient(northgate.id, now=now - DAY, reachable=False)
    app = as_patient(patient)
    withdraw_all(app)
    (phone,) = [one for one in app.get("/api/v1/me/contact-points").json()["results"] if one["kind"] == "phone"]

    assert app.post(f"/api/v1/me/contact-points/{phone['id']}/code").status_code in {202, 204}
    carriers = carriers_in_test()
    plan_checks(now=now)
    deliver_due_messages(now=now, carriers=carriers)

    assert [message.channel for message in given_to(carriers)] == [Channel.SMS]


def test_the_appointment_stands_although_nobody_reminds_of_it(consenting, as_patient, desk, now):
    make_appointment(consenting, starts_at=now + DAY + 4 * HOUR, now=now)
    path = f"/api/v1/clinics/northgate/patients/{consenting.id}"
    before = desk.get(path).json()

    withdraw_all(as_patient(consenting))
    plan_programmes(now=now)

    assert desk.get(path).json() == before
