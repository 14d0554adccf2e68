"""A birth date that was put right: every yes is judged by it as if it had been known when it was said."""

from datetime import UTC, date, datetime

import pytest

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.consent.models import ConsentEvent, ConsentState
from backend.consent.operations import end_consents, give_consent, judge_ages_anew, refuse_consent
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.patients.models import Patient
from backend.patients.operations import erase_patient
from backend.policy.vocabulary import Channel, Method
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.consent.test_deciding import mother_of, say, status, withdraw
from tests.consent.test_ending import SECOND, answer, assert_rebuilt_alike
from tests.factories.carriers import carriers_in_test
from tests.factories.log import actions_recorded
from tests.factories.patients import correct_birth_date, make_appointment, make_patient

AT = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)
CHILD = date(2012, 1, 1)
"""Fourteen years old when it was said: child and parent both said yes."""
MINOR = date(2009, 6, 1)
ADULT = date(1980, 5, 17)


def judge(now):
    return judge_ages_anew(actor=system_actor("consent"), now=now)


def end_of(patient):
    return ConsentState.objects.get(patient_id=patient.id).guardian_until


def kinds(patient):
    return [one.kind for one in ConsentEvent.objects.filter(patient_id=patient.id).order_by("number")]


def together(clinic, born, at=AT):
    """A patient for whom a parent said yes as well."""
    patient = make_patient(clinic.id, now=at, birth_date=born)
    say(give_consent, patient, at, representatives=(mother_of(patient, at),))
    return patient


@pytest.mark.parametrize(
    ("before", "after", "ends"),
    [
        # Younger and older; into and out of the three years for which the yes is valid.
        (date(2008, 2, 29), date(2008, 6, 1), datetime(2026, 5, 31, 22, 0, tzinfo=UTC)),
        (date(2008, 6, 1), date(2008, 2, 29), datetime(2026, 2, 28, 23, 0, tzinfo=UTC)),
        (date(2008, 6, 1), CHILD, None),
        (CHILD, date(2010, 6, 1), datetime(2028, 5, 31, 22, 0, tzinfo=UTC)),
    ],
)
def test_the_end_of_a_guardians_word_moves_with_the_birth_date(northgate, before, after, ends):
    teenager = together(northgate, before)
    said = ConsentEvent.objects.get(patient_id=teenager.id)

    correct_birth_date(teenager, after, now=AT + HOUR)
    assert judge(AT + HOUR) == 1

    assert end_of(teenager) == ends
    assert kinds(teenager) == ["given", "age_corrected"]
    state = ConsentState.objects.get(patient_id=teenager.id)
    assert (state.status, state.since, state.standing_event_id) == ("given", AT, said.id)
    assert ConsentEvent.objects.get(id=said.id).guardian_until == said.guardian_until
    last = ends or state.valid_until
    assert last is not None
    assert answer(teenager, last - SECOND)[0] == "allow"
    assert answer(teenager, last)[0] == "deny"
    assert_rebuilt_alike(teenager, AT + HOUR)


def test_who_is_of_age_by_now_is_not_written_to_on_a_parents_word(northgate):
    teenager = together(northgate, date(2008, 12, 1))
    later = AT + 90 * DAY
    assert answer(teenager, later)[0] == "allow"

    correct_birth_date(teenager, date(2008, 3, 1), now=later)
    judge(later)

    assert answer(teenager, later) == ("deny", {"consent_ended"})
    assert end_consents(actor=system_actor("consent"), now=later) == 1
    assert kinds(teenager) == ["given", "age_corrected", "ended"]
    assert_rebuilt_alike(teenager, later)


def test_until_it_is_judged_nothing_is_allowed(northgate):
    teenager = together(northgate, date(2008, 12, 1))

    correct_birth_date(teenager, date(2008, 11, 1), now=AT + HOUR)

    assert answer(teenager, AT + HOUR) == ("deny", {"consent_pending"})
    judge(AT + HOUR)
    assert answer(teenager, AT + HOUR)[0] == "allow"
    assert judge(AT + HOUR) == 0


@pytest.mark.parametrize(("before", "after"), [(MINOR, CHILD), (ADULT, CHILD), (CHILD, MINOR), (ADULT, MINOR)])
def test_who_was_under_fifteen_said_it_alone_in_vain(northgate, before, after):
    somebody = make_patient(northgate.id, now=AT, birth_date=before)
    say(give_consent, somebody, AT)
    was = status(somebody)

    correct_birth_date(somebody, after, now=AT + HOUR)
    judge(AT + HOUR)

    # Child and parent: it waits for the parent, and a date makes no yes of it.
    expected = {(MINOR, CHILD): "ended", (ADULT, CHILD): "ended", (CHILD, MINOR): "pending", (ADULT, MINOR): "given"}
    assert was == ("pending" if before == CHILD else "given")
    assert status(somebody) == expected[before, after]
    assert answer(somebody, AT + HOUR)[0] == ("allow" if expected[before, after] == "given" else "deny")
    assert_rebuilt_alike(somebody, AT + HOUR)
    # Said again, it is judged by the age that is known.
    assert say(give_consent, somebody, AT + 2 * HOUR).status == ("pending" if after == CHILD else "given")


def test_what_was_attested_to_be_of_age_is_judged_once_the_date_is_known(northgate):
    evidence = {"form_reference": "F-1", "signed_on": "2026-01-15", "of_age": True}
    child, adult = (make_patient(northgate.id, now=AT, birth_date=None) for _ in range(2))
    for one in (child, adult):
        say(give_consent, one, AT, method=Method.PAPER_FORM, evidence=evidence)

    correct_birth_date(child, CHILD, now=AT + HOUR)
    correct_birth_date(adult, ADULT, now=AT + HOUR)
    assert judge(AT + HOUR) == 2

    assert [kinds(child), kinds(adult)] == [["given", "invalidated"], ["given"]]
    assert ConsentEvent.objects.get(kind="invalidated").reason == "birth_date_corrected"
    assert_rebuilt_alike(child, AT + HOUR)


def test_a_file_that_lost_the_date_puts_nothing_right(northgate):
    teenager = together(northgate, date(2008, 6, 1))
    until = end_of(teenager)

    correct_birth_date(teenager, None, now=AT + HOUR)

    assert judge(AT + HOUR) == 0
    assert end_of(teenager) == until
    assert answer(teenager, AT + HOUR)[0] == "allow"


def test_a_parents_yes_for_who_was_of_age_is_the_patients_own(northgate):
    """Both said yes: that of the adult is enough, and no guardian's word ends."""
    somebody = together(northgate, date(2008, 6, 1))

    correct_birth_date(somebody, ADULT, now=AT + HOUR)
    judge(AT + HOUR)

    assert end_of(somebody) is None
    assert answer(somebody, AT + 200 * DAY)[0] == "allow"


def test_a_no_stays_a_no(northgate):
    child = together(northgate, date(2008, 6, 1))
    say(refuse_consent, child, AT + HOUR)
    other = together(northgate, date(2008, 6, 1))
    withdraw(other, AT + HOUR)

    for one in (child, other):
        correct_birth_date(one, CHILD, now=AT + 2 * HOUR)
    judge(AT + 2 * HOUR)

    assert [status(child), status(other)] == ["refused", "withdrawn"]
    assert ConsentEvent.objects.filter(kind="age_corrected").count() == 0


def test_a_name_that_changes_puts_no_age_in_question(northgate):
    teenager = together(northgate, date(2008, 6, 1))

    correct_birth_date(teenager, date(2008, 6, 1), now=AT + HOUR)

    assert not Patient.objects.exclude(birth_date_corrected_at=None).exists()


def test_each_judging_is_in_the_log(northgate):
    teenager = together(northgate, date(2008, 6, 1))
    correct_birth_date(teenager, CHILD, now=AT + HOUR)
    judge(AT + HOUR)

    told = actions_recorded(northgate.id)
    assert (told[Action.AGES_JUDGED], told[Action.CONSENT_AGE_CORRECTED]) == (1, 1)


def test_an_erased_patient_is_judged_no_more_and_holds_up_nobody(northgate):
    erased, other = together(northgate, date(2008, 6, 1)), together(northgate, date(2008, 6, 1))
    for one in (erased, other):
        correct_birth_date(one, CHILD, now=AT + HOUR)
    erase_patient(clinic_id=northgate.id, patient_id=erased.id, actor=system_actor(), now=AT + HOUR)

    assert judge(AT + HOUR) == 2

    assert [kinds(erased), kinds(other)] == [["given"], ["given", "age_corrected"]]
    assert judge(AT + HOUR) == 0


@pytest.mark.parametrize(
    ("after", "state"), [(CHILD, "sent"), (date(2007, 6, 1), "sent"), (date(2008, 1, 16), "withheld")]
)
def test_what_is_due_is_judged_before_it_leaves_though_no_tick_came(northgate, after, state):
    """Nothing is lost because an age was in question, and nothing leaves on a word that has ended."""
    teenager = together(northgate, date(2008, 6, 1))
    make_appointment(teenager, starts_at=AT + 3 * DAY, now=AT)
    plan_programmes(now=AT)
    (message,) = Message.objects.filter(patient_id=teenager.id, channel=Channel.SMS)

    correct_birth_date(teenager, after, now=AT + HOUR)
    deliver_due_messages(now=max(message.due_at, AT + DAY), carriers=carriers_in_test())

    assert Message.objects.get(id=message.id).state == state
