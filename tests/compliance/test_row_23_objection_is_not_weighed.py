"""Row 23, GDPR Art. 21(1): an objection to any message stops it at once; nobody weighs interests against it."""

import pytest

from backend.consent.models import Purpose
from backend.messaging.delivery import deliver_due_messages
from backend.policy.vocabulary import LegalBasis, Nature
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import make_appointment
from tests.factories.programmes import REMINDER

ON_PAPER = {"method": "paper_form", "evidence": {"form_reference": "F-1", "signed_on": "2026-10-14"}}


def test_no_message_rests_on_a_legitimate_interest(northgate):
    bases = set(Purpose.objects.exclude(nature=Nature.CLOSED_LIST).values_list("legal_basis", flat=True))

    assert bases == {LegalBasis.CONSENT}
    assert "legitimate_interest" not in set(LegalBasis)


def test_what_was_queued_before_the_objection_stays_here(consenting, as_patient, now):
    make_appointment(consenting, starts_at=now + DAY + 4 * HOUR, now=now)
    plan_programmes(now=now)

    told = as_patient(consenting).post("/api/v1/me/objections", {"scope": "purpose", "purpose": REMINDER}).json()
    carriers = carriers_in_test()
    deliver_due_messages(now=now, carriers=carriers)

    assert told["confirmed"] is True
    assert given_to(carriers) == []


@pytest.mark.parametrize("who", ["desk", "doctor", "officer"])
def test_nobody_at_the_clinic_overrides_it(consenting, as_patient, request, who):
    made = as_patient(consenting).post("/api/v1/me/objections", {"scope": "purpose", "purpose": REMINDER}).json()
    clinic = request.getfixturevalue(who)
    path = f"/api/v1/clinics/northgate/patients/{consenting.id}"

    back = clinic.post(f"{path}/objections/{made['id']}/taken-back", {"method": "paper_form", "evidence": {}})
    said = {"purpose": REMINDER, "channels": ["sms"], "decision": "given", "notice_version": 1, "language": "fr"}
    yes = clinic.post(f"{path}/consents", {**said, **ON_PAPER})

    assert back.status_code in {400, 403}
    assert yes.status_code in {403, 409}
