"""A circuit breaker for each patient: so many messages a day and no more, whatever the programmes say."""

import pytest

from backend.messaging.delivery import deliver_due_messages
from backend.messaging.held import Pace
from backend.messaging.models import Message
from backend.policy.contact import PreferenceFacts
from backend.policy.vocabulary import Channel, Reason
from tests.conftest import DAY, HOUR
from tests.factories.background import all_at_once
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import consent, make_patient
from tests.factories.programmes import CHANNELS, REMINDER
from tests.messaging.test_caps_and_hours import appointments, change, states
from tests.policy.facts import NOW, SIGN_IN_CODE, decide


def contacted(*hours_ago, **more):
    return PreferenceFacts(recent_contacts=tuple(NOW - HOUR * hours for hours in hours_ago), **more)


def test_the_ninth_message_of_a_day_waits_until_the_first_is_a_day_old():
    verdict = decide(preference=contacted(1, 2, 3, 4, 5, 6, 7, 20))

    assert verdict.reasons == (Reason.DAILY_LIMIT,)
    assert verdict.until == NOW + 4 * HOUR
    assert decide(preference=contacted(1, 2, 3, 4, 5, 6, 7)).decided == "allow"
    assert decide(preference=contacted(1, 2, 3, 4, 5, 6, 7, 24)).decided == "allow"


def test_what_the_person_asked_for_is_not_held_up():
    verdict = decide(preference=contacted(*range(1, 20)), purpose=SIGN_IN_CODE, consents=())

    assert verdict.decided == "allow"


def test_no_setting_switches_it_off_or_lets_nothing_pass():
    assert decide(preference=contacted(1), most_per_day=0).reasons == (Reason.DAILY_LIMIT,)
    assert decide(most_per_day=0).decided == "allow"


def test_it_holds_whatever_cap_the_patient_chose(consenting, now, settings):
    """A patient who would take ten a day gets what the installation allows."""
    settings.ACCORD_MOST_PER_DAY = 3
    appointments(consenting, now, how_many=5)
    carriers = carriers_in_test()

    deliver_due_messages(now=now, carriers=carriers)

    assert len(given_to(carriers)) == 3
    assert states() == ["sent"] * 3 + ["withheld"] * 2
    held = Message.objects.filter(state="withheld")
    assert {tuple(one.verdict["reasons"]) for one in held} == {("too_late", "daily_limit")}


def test_it_counts_over_programmes_channels_and_days(northgate, consenting, now, settings):
    settings.ACCORD_MOST_PER_DAY = 2
    appointments(consenting, now, how_many=1)
    carriers = carriers_in_test()
    deliver_due_messages(now=now, carriers=carriers)
    change(consenting, now, channel_order=(Channel.EMAIL,))
    appointments(consenting, now, how_many=2)
    deliver_due_messages(now=now + HOUR, carriers=carriers)
    assert [one.channel for one in given_to(carriers)] == [Channel.PUSH, Channel.EMAIL]

    appointments(consenting, now + DAY + HOUR, how_many=1)
    deliver_due_messages(now=now + DAY + HOUR, carriers=carriers)
    assert len(given_to(carriers)) == 3


def test_one_patients_limit_holds_nobody_else_up(northgate, consenting, now, settings):
    settings.ACCORD_MOST_PER_DAY = 1
    other = make_patient(northgate.id, now=now - DAY)
    consent(other, purpose=REMINDER, channels=CHANNELS, now=now - DAY)
    appointments(consenting, now, how_many=2)
    appointments(other, now, how_many=2)
    carriers = carriers_in_test()

    deliver_due_messages(now=now, carriers=carriers)

    sent = Message.objects.filter(state="sent")
    assert sorted(one.patient_id for one in sent) == sorted([consenting.id, other.id])


@pytest.mark.django_db(transaction=True)
def test_workers_that_claim_at_once_do_not_pass_it(consenting, now, settings):
    settings.ACCORD_MOST_PER_DAY = 2
    appointments(consenting, now, how_many=8)
    carriers = carriers_in_test()

    for _round in range(4):
        works = [lambda: deliver_due_messages(now=now, carriers=carriers, pace=Pace(batch=1))] * 4
        assert not [told for told in all_at_once(*works) if isinstance(told, Exception)]

    assert len(given_to(carriers)) == 2
    assert states() == ["sent"] * 2 + ["withheld"] * 6
