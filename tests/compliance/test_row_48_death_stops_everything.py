"""Row 48, Act 78-17 Art. 85: death stops everything, what was queued and the closed list included.

Not yet: directives of the deceased, and requests of their heirs.
"""

import pytest

from backend.consent.operations import give_consent
from backend.consent.operations.expressing import PatientHasDied
from backend.messaging.delivery import deliver_due_messages
from backend.patients.operations import import_records
from backend.policy.vocabulary import Decided, Reason
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.consent.test_deciding import say
from tests.consent.test_ending import answer
from tests.factories import records
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import make_appointment
from tests.policy.facts import SIGN_IN_CODE, decide


def dies(patient, manager, now):
    told = records.patient(patient.ipp, deceased=True)
    import_records(clinic_id=patient.clinic_id, records=[told], source="test", actor=manager, now=now)


def test_what_was_queued_before_does_not_leave(consenting, manager, now):
    make_appointment(consenting, starts_at=now + DAY + 4 * HOUR, now=now)
    plan_programmes(now=now)
    dies(consenting, manager, now)

    carriers = carriers_in_test()
    deliver_due_messages(now=now, carriers=carriers)

    assert given_to(carriers) == []
    assert "deceased" in answer(consenting, now)[1]


def test_nobody_consents_for_the_dead(silent, manager, now):
    dies(silent, manager, now)

    with pytest.raises(PatientHasDied):
        say(give_consent, silent, now)


def test_not_even_a_code_that_was_asked_for_is_sent():
    verdict = decide(deceased=True, purpose=SIGN_IN_CODE, consents=())

    assert (verdict.decided, verdict.reasons) == (Decided.DENY, (Reason.DECEASED,))
