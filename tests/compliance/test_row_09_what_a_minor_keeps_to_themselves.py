"""Row 9, CSP L.1111-5: what a minor keeps from their parents is not sent to them; the minor hears of it all the same.

Not yet: pages for representatives, which would leave the same things out; what they take along does (row 21).
"""

from backend.audit.actions import Action
from backend.consent.operations import give_consent
from backend.patients.operations import hide_purposes
from tests.conftest import DAY
from tests.consent.test_deciding import say
from tests.consent.test_ending import answer
from tests.consent.test_objecting import mothers_phone
from tests.factories.log import actions_recorded
from tests.factories.patients import make_patient
from tests.factories.programmes import RECALL, REMINDER


def test_what_is_hidden_goes_to_the_minor_alone_and_the_rest_to_the_parent_too(northgate, now):
    teenager = make_patient(northgate.id, now=now, birth_date=(now - 16 * 366 * DAY).date())
    mother, point = mothers_phone(northgate, teenager, now)
    for purpose in (REMINDER, RECALL):
        say(give_consent, teenager, now, purpose=purpose)

    hide_purposes(
        clinic_id=northgate.id,
        patient_id=teenager.id,
        representative_id=mother,
        purposes=[RECALL],
        actor=teenager.actor,
        now=now,
    )

    assert answer(teenager, now, purpose=RECALL, point=point) == ("deny", {"confidential_from_representative"})
    assert answer(teenager, now, purpose=RECALL)[0] == "allow"
    assert answer(teenager, now, purpose=REMINDER, point=point)[0] == "allow"
    assert actions_recorded(northgate.id)[Action.REPRESENTATION_CHANGED] == 1
