"""Row 46, GDPR Art. 26: a consent given to one clinic is none for another, for the same person and the same number.

Not yet: groups of clinics that decide together (joint controllers).
"""

import pytest

from backend.consent.operations import give_consent
from backend.errors import NotFound
from backend.policy.vocabulary import Channel
from tests.conftest import DAY
from tests.consent.test_deciding import say
from tests.consent.test_ending import answer
from tests.factories.patients import make_patient

NUMBER = "+33639990044"


@pytest.fixture
def twice(northgate, southbank, now):
    """One person, a patient of two clinics."""
    return [make_patient(clinic.id, now=now - DAY, phone=NUMBER) for clinic in (northgate, southbank)]


def test_a_yes_here_is_silence_there(twice, now):
    here, there = twice
    say(give_consent, here, now)

    assert answer(here, now)[0] == "allow"
    assert answer(there, now) == ("deny", {"no_consent"})


def test_nobody_takes_a_yes_down_for_another_clinic(twice, northgate, stranger, now):
    here, there = twice
    with pytest.raises(NotFound):
        say(give_consent, there, now, clinic_id=northgate.id, channels=[Channel.SMS])

    path = f"/api/v1/clinics/northgate/patients/{here.id}/consents"
    assert stranger.get(path).status_code == 404
    assert answer(there, now) == ("deny", {"no_consent"})
