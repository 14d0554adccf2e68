"""Planning makes each message once, with its verdict; the dry run says before what planning then does."""

from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.audit.actions import Action
from backend.audit.recording import record
from backend.consent.operations import withdraw_consent
from backend.errors import InvalidInput
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.messaging.operations import PlanRequest, cancel_changed_messages, plan_messages
from backend.policy.contact import FrequencyCap
from backend.policy.vocabulary import Channel, Language, Method, Reason
from backend.preferences.operations import PreferenceChange, change_preferences
from backend.programmes.models import Enrolment, Programme, ProgrammeVersion
from backend.programmes.operations import compute_reach, pause_programme, plan_programmes, start_programme
from backend.programmes.queries import get_programme_by_slug
from tests.conftest import DAY, HOUR
from tests.factories.background import all_at_once
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import consent, make_appointment, make_immunisation, make_patient
from tests.factories.programmes import CHANNELS, RECALL, REMINDER

TOMORROW = timedelta(days=1, hours=4)
MONTH = timedelta(days=30)


def states(**which):
    return sorted(Message.objects.filter(**which).values_list("state", flat=True))


def programme_id(clinic, slug):
    return get_programme_by_slug(clinic_id=clinic.id, slug=slug).id


def reach_of(clinic, slug, actor, now):
    return compute_reach(clinic_id=clinic.id, programme_id=programme_id(clinic, slug), actor=actor, now=now)


# -------------------------------------------------------------------------------------------------------- reach


PEOPLE: dict[str, dict[str, Any]] = {
    "consenting": {},
    "silent": {"channels": ()},
    "by e-mail only": {"channels": (Channel.EMAIL,)},
    "withdrawn": {"withdraws": True},
    "dead": {"deceased": True},
    "unreachable": {"reachable": False},
    "without a device": {"device": False},
    "paused": {"change": PreferenceChange(purposes={REMINDER: False})},
    "capped": {"change": PreferenceChange(frequency=FrequencyCap(max=0, per="day"))},
    "without e-mail": {"channels": (Channel.EMAIL,), "change": PreferenceChange(channel_order=(Channel.SMS,))},
    "English": {"language": Language.ENGLISH},
    "of no language": {"language": None},
}


def person(clinic, kind, now):
    told = dict(PEOPLE[kind])
    channels, change, withdraws = told.pop("channels", CHANNELS), told.pop("change", None), told.pop("withdraws", False)
    deceased = told.pop("deceased", False)
    patient = make_patient(clinic.id, now=now - DAY, deceased=deceased, **told)
    said = {"clinic_id": clinic.id, "patient_id": patient.id, "actor": patient.actor, "now": now - HOUR}
    if channels and not deceased:
        consent(patient, purpose=REMINDER, channels=channels, now=now - DAY)
    if withdraws:
        withdraw_consent(**said, purpose=REMINDER, channels=channels, method=Method.APP)
    if change:
        change_preferences(**said, change=change)
    return patient


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cast=st.lists(st.sampled_from(sorted(PEOPLE)), min_size=1, max_size=6))
def test_the_dry_run_says_what_planning_then_does(northgate, reception, now, cast):
    people = [person(northgate, kind, now) for kind in cast]
    own = {patient.id for patient in people}
    for patient in people:
        make_appointment(patient, starts_at=now + TOMORROW, now=now)
    before = Message.objects.count()

    reach = reach_of(northgate, REMINDER, reception, now)

    assert Message.objects.count() == before
    plan_programmes(now=now)
    said = {
        (line.patient_id, line.step): (line.channel, "planned" if line.would else "withheld", list(line.reasons))
        for line in reach.lines
        if line.patient_id in own
    }
    made = {
        (row.patient_id, row.step): (row.channel, row.state, [Reason(one) for one in row.verdict["reasons"]])
        for row in Message.objects.filter(patient_id__in=own)
    }
    assert said == made


def test_the_dry_run_changes_nothing_and_counts_reasons(northgate, consenting, silent, withdrawn, reception, now):
    for patient in (consenting, silent, withdrawn):
        make_appointment(patient, starts_at=now + TOMORROW, now=now)

    reach = reach_of(northgate, REMINDER, reception, now)

    assert (reach.would, reach.would_not) == (1, 2)
    assert reach.channels == {Channel.PUSH: 1}
    assert reach.reasons == {Reason.NO_CONSENT: 1, Reason.CONSENT_WITHDRAWN: 1}
    assert Message.objects.count() == Enrolment.objects.count() == 0


def test_the_dry_run_of_a_paused_programme_says_whom_it_would_reach(northgate, consenting, reception, manager, now):
    make_appointment(consenting, starts_at=now + TOMORROW, now=now)
    pause_programme(clinic_id=northgate.id, programme_id=programme_id(northgate, REMINDER), actor=manager, now=now)

    assert reach_of(northgate, REMINDER, reception, now).would == 1


# ---------------------------------------------------------------------------------------------- again and changed


def test_planning_again_changes_nothing(consenting, silent, now):
    for patient in (consenting, silent):
        make_appointment(patient, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    before = sorted(Message.objects.values_list("id", "state", "due_at", "planned_at"))

    plan_programmes(now=now + HOUR)

    assert sorted(Message.objects.values_list("id", "state", "due_at", "planned_at")) == before
    assert Enrolment.objects.count() == 2


def test_what_was_withheld_is_planned_once_consent_comes(silent, now):
    make_appointment(silent, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    assert states() == ["withheld"]
    consent(silent, purpose=REMINDER, channels=[Channel.SMS], now=now + HOUR)

    plan_programmes(now=now + HOUR)

    message = Message.objects.get()
    assert (message.state, message.channel, message.settled_at) == ("planned", "sms", None)
    assert message.verdict["reasons"] == []


def test_a_moved_appointment_is_reminded_of_at_its_new_time_only(consenting, now):
    source_id = make_appointment(consenting, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    make_appointment(consenting, starts_at=now + TOMORROW + HOUR, now=now, source_id=source_id)
    carriers = carriers_in_test()

    plan_programmes(now=now)
    deliver_due_messages(now=now, carriers=carriers)

    assert states() == ["cancelled", "sent"]
    assert Message.objects.get(state="cancelled").failure == "occasion_changed"
    assert len(given_to(carriers)) == 1


def test_an_appointment_moved_away_and_back_is_reminded_of_once(consenting, now):
    source_id = make_appointment(consenting, starts_at=now + TOMORROW, now=now)
    for moved in (timedelta(0), HOUR, timedelta(0)):
        make_appointment(consenting, starts_at=now + TOMORROW + moved, now=now, source_id=source_id)
        plan_programmes(now=now)
    carriers = carriers_in_test()

    deliver_due_messages(now=now, carriers=carriers)

    assert states() == ["cancelled", "sent"]
    assert Message.objects.get(state="sent").failure == ""


def test_an_appointment_moved_back_after_its_reminder_left_is_not_reminded_of_again(consenting, now):
    source_id = make_appointment(consenting, starts_at=now + TOMORROW, now=now)
    carriers = carriers_in_test()
    for moved in (timedelta(0), HOUR, timedelta(0)):
        make_appointment(consenting, starts_at=now + TOMORROW + moved, now=now, source_id=source_id)
        plan_programmes(now=now)
        deliver_due_messages(now=now, carriers=carriers)

    assert len(given_to(carriers)) == 2
    assert states() == ["sent", "sent"]


@pytest.mark.parametrize("status", ["cancelled", "entered_in_error", "missed"])
def test_what_does_not_take_place_is_not_reminded_of(consenting, now, status):
    source_id = make_appointment(consenting, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    make_appointment(consenting, starts_at=now + TOMORROW, now=now, source_id=source_id, status=status)

    plan_programmes(now=now)

    assert states() == ["cancelled"]


def test_an_appointment_cancelled_after_planning_is_caught_at_the_gate_too(consenting, now):
    source_id = make_appointment(consenting, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    make_appointment(consenting, starts_at=now + TOMORROW, now=now, source_id=source_id, status="cancelled")
    carriers = carriers_in_test()

    deliver_due_messages(now=now, carriers=carriers)

    assert given_to(carriers) == []
    assert Message.objects.get().verdict["reasons"] == ["occasion_changed"]


def test_many_cancellations_come_piece_by_piece(northgate, consenting, reception, now):
    sources = [make_appointment(consenting, starts_at=now + TOMORROW + place * HOUR / 4, now=now) for place in range(5)]
    plan_programmes(now=now)
    for place, source_id in enumerate(sources):
        make_appointment(
            consenting, starts_at=now + TOMORROW + place * HOUR / 4, now=now, source_id=source_id, status="cancelled"
        )

    assert cancel_changed_messages(clinic_id=northgate.id, actor=reception, now=now, at_once=2) == 5

    assert states() == ["cancelled"] * 5


# ------------------------------------------------------------------------------------------------------- recalls


def recalled(clinic, now):
    patient = make_patient(clinic.id, now=now - DAY)
    consent(patient, purpose=RECALL, channels=CHANNELS, now=now - DAY)
    return patient


def test_a_recall_counts_from_the_last_dose_only(northgate, now):
    twice, once = recalled(northgate, now), recalled(northgate, now)
    make_immunisation(twice, at=now - 11 * MONTH - 5 * DAY, now=now)
    make_immunisation(twice, at=now - 2 * MONTH, now=now)
    make_immunisation(once, at=now - 11 * MONTH - 5 * DAY, now=now)

    plan_programmes(now=now)

    assert states(patient_id=twice.id) == []
    assert states(patient_id=once.id) == ["planned"]


def test_a_dose_given_after_planning_withholds_the_recall(northgate, now):
    patient = recalled(northgate, now)
    make_immunisation(patient, at=now - 11 * MONTH - 5 * DAY, now=now)
    plan_programmes(now=now)
    make_immunisation(patient, at=now - HOUR, now=now)
    carriers = carriers_in_test()

    deliver_due_messages(now=now + HOUR, carriers=carriers)

    assert given_to(carriers) == []
    assert Message.objects.get().verdict["reasons"] == ["occasion_changed"]


def test_a_dose_of_another_vaccine_recalls_nobody(northgate, now):
    patient = recalled(northgate, now)
    make_immunisation(patient, at=now - 11 * MONTH - 5 * DAY, now=now, topic="tetanus")

    plan_programmes(now=now)

    assert Message.objects.count() == 0


# -------------------------------------------------------------------------------------------------------- pauses


def test_what_is_queued_when_a_programme_is_paused_is_withheld(northgate, consenting, manager, now):
    make_appointment(consenting, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    these = {"clinic_id": northgate.id, "programme_id": programme_id(northgate, REMINDER), "actor": manager}
    pause_programme(**these, now=now)
    carriers = carriers_in_test()

    deliver_due_messages(now=now, carriers=carriers)

    assert given_to(carriers) == []
    assert Message.objects.get().verdict["reasons"] == ["programme_not_running"]


def test_what_a_pause_withheld_goes_out_once_the_programme_runs_again(northgate, consenting, manager, now):
    make_appointment(consenting, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    these = {"clinic_id": northgate.id, "programme_id": programme_id(northgate, REMINDER), "actor": manager}
    pause_programme(**these, now=now)
    carriers = carriers_in_test()
    deliver_due_messages(now=now, carriers=carriers)

    start_programme(**these, now=now + HOUR)
    plan_programmes(now=now + HOUR)
    deliver_due_messages(now=now + HOUR, carriers=carriers)

    assert states() == ["sent"]
    assert len(given_to(carriers)) == 1


def test_a_pause_that_outlives_the_use_of_a_message_keeps_it_back_for_good(northgate, consenting, manager, now):
    make_appointment(consenting, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    these = {"clinic_id": northgate.id, "programme_id": programme_id(northgate, REMINDER), "actor": manager}
    pause_programme(**these, now=now)
    carriers = carriers_in_test()
    deliver_due_messages(now=now, carriers=carriers)

    start_programme(**these, now=now + TOMORROW + HOUR)
    plan_programmes(now=now + TOMORROW + HOUR)
    deliver_due_messages(now=now + TOMORROW + HOUR, carriers=carriers)

    assert states() == ["withheld"]
    assert given_to(carriers) == []


def test_a_withdrawal_that_the_gate_saw_is_not_decided_again(northgate, consenting, manager, now):
    make_appointment(consenting, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    these = {"clinic_id": northgate.id, "programme_id": programme_id(northgate, REMINDER), "actor": manager}
    pause_programme(**these, now=now)
    said = {"clinic_id": northgate.id, "patient_id": consenting.id, "actor": consenting.actor, "now": now}
    withdraw_consent(**said, purpose=REMINDER, channels=CHANNELS, method=Method.APP)
    carriers = carriers_in_test()
    deliver_due_messages(now=now, carriers=carriers)

    consent(consenting, purpose=REMINDER, channels=CHANNELS, now=now + HOUR)
    start_programme(**these, now=now + HOUR)
    plan_programmes(now=now + HOUR)
    deliver_due_messages(now=now + HOUR, carriers=carriers)

    assert states() == ["withheld"]
    assert given_to(carriers) == []


def test_a_paused_programme_plans_nothing(northgate, consenting, manager, now):
    pause_programme(clinic_id=northgate.id, programme_id=programme_id(northgate, REMINDER), actor=manager, now=now)
    make_appointment(consenting, starts_at=now + TOMORROW, now=now)

    assert f"northgate/{REMINDER}" not in plan_programmes(now=now)
    assert Message.objects.count() == 0


def test_one_programme_that_fails_stops_no_other(northgate, consenting, reception, now):
    """And the tick is told all the same."""
    purpose = Programme.objects.get(slug=REMINDER).purpose_id
    with record(
        Action.PROGRAMME_CREATED, by=reception, now=now, clinic_id=northgate.id, programme="a_first", version=1
    ):
        # Before the others in their order, and with a definition that nobody could have written.
        broken = Programme.objects.create(clinic_id=northgate.id, slug="a_first", purpose_id=purpose, state="running")
        ProgrammeVersion.objects.create(
            programme=broken, number=1, definition={}, sha256="0" * 64, written_at=now, written_by="system"
        )
    make_appointment(consenting, starts_at=now + TOMORROW, now=now)

    with pytest.raises(InvalidInput):
        plan_programmes(now=now)

    assert states() == ["planned"]


# ------------------------------------------------------------------------------------------------- who and in what


def test_the_words_come_in_the_patients_language_and_tone(northgate, now):
    patient = make_patient(northgate.id, now=now - DAY, language=Language.ENGLISH)
    consent(patient, purpose=REMINDER, channels=[Channel.EMAIL], now=now - DAY)
    make_appointment(patient, starts_at=now + TOMORROW, now=now)
    carriers = carriers_in_test()

    plan_programmes(now=now)
    deliver_due_messages(now=now, carriers=carriers)

    (message,) = given_to(carriers)
    assert message.language is Language.ENGLISH
    assert message.text.startswith("[formal] Northgate: appointment 15 Oct 14:00.\n\nNorthgate\nWhy this email:")
    assert "\nStop these messages: http" in message.text


def test_a_birth_date_in_the_future_does_not_stop_planning(northgate, consenting, now):
    strange = make_patient(northgate.id, now=now - DAY, birth_date=date(2099, 1, 1))
    for patient in (strange, consenting):
        make_appointment(patient, starts_at=now + TOMORROW, now=now)

    plan_programmes(now=now)

    assert Counter(Message.objects.values_list("state", flat=True)) == {"planned": 1, "withheld": 1}


def test_an_appointment_of_another_clinic_is_never_planned_here(northgate, southbank, now):
    theirs = make_patient(southbank.id, now=now - DAY)
    consent(theirs, purpose=REMINDER, channels=CHANNELS, now=now - DAY)
    make_appointment(theirs, starts_at=now + TOMORROW, now=now)

    plan_programmes(now=now)

    assert Message.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_what_one_planner_sends_off_another_does_not_plan_again(silent, now):
    """Both saw it withheld; one planned it, a worker sent it, and the other must not turn it back."""
    make_appointment(silent, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    consent(silent, purpose=REMINDER, channels=[Channel.SMS], now=now)
    carriers = carriers_in_test()

    def plan_and_deliver():
        plan_programmes(now=now)
        deliver_due_messages(now=now, carriers=carriers)

    for _round in range(3):
        assert not [told for told in all_at_once(*[plan_and_deliver] * 3) if isinstance(told, Exception)]

    assert len(given_to(carriers)) == 1
    assert states() == ["sent"]


class Interposed(list[PlanRequest]):
    """Requests between whose first and second reading something else happens."""

    def __init__(self, requests, meanwhile):
        super().__init__(requests)
        self._readings = 0
        self._meanwhile = meanwhile

    def __iter__(self):
        self._readings += 1
        if self._readings == 2:
            self._meanwhile()
        return super().__iter__()


def test_what_left_after_a_planner_read_it_is_not_planned_again(silent, reception, now):
    make_appointment(silent, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    consent(silent, purpose=REMINDER, channels=[Channel.SMS], now=now)
    carriers = carriers_in_test()
    row: Any = Message.objects.get()
    request = PlanRequest(
        enrolment_id=row.enrolment_id,
        programme_id=row.programme_id,
        programme_running=True,
        patient_id=row.patient_id,
        occasion_id=row.occasion_id,
        occasion_starts_at=row.occasion_starts_at,
        step=row.step,
        occurrence=row.occurrence,
        purpose_id=row.purpose_id,
        template=REMINDER,
        due_at=now,
        expires_at=now + DAY,
    )

    def plan_and_deliver():
        plan_programmes(now=now)
        deliver_due_messages(now=now, carriers=carriers)
        assert states() == ["sent"]

    requests = Interposed([request], plan_and_deliver)
    plan_messages(clinic_id=silent.clinic_id, requests=requests, actor=reception, now=now)
    deliver_due_messages(now=now, carriers=carriers)

    assert states() == ["sent"]
    assert len(given_to(carriers)) == 1
