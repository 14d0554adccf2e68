"""A reminder that a yes ends soon: once, where it still stands, by its own channel, and never where nobody wants it."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, transaction

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.recording import record
from backend.consent.models import ConsentEvent, ConsentState
from backend.consent.operations import end_consents, give_consent, refuse_consent, remind_of_renewal
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.linting import lint
from backend.messaging.models import Message
from backend.messaging.names import example_values, longest_values
from backend.messaging.operations import plan_renewals, publish_template
from backend.messaging.operations.renewing import template_of
from backend.messaging.rendering import Words, render
from backend.messaging.segments import Encoding, count
from backend.messaging.ways_out import SMS_LINE
from backend.patients.models import ContactPoint, Representative
from backend.patients.operations import attest_contact_point, import_records
from backend.policy.contact import FrequencyCap
from backend.policy.vocabulary import Channel, Language, Nature
from backend.preferences.operations import PreferenceChange, change_preferences
from backend.programmes.library.catalogue import load_renewal_words
from backend.programmes.operations import plan_programmes
from backend.vault.identifiers import new_id
from tests.conftest import DAY, HOUR
from tests.consent.test_deciding import say, withdraw
from tests.consent.test_objecting import object_now, restrict
from tests.factories import records
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.log import actions_recorded
from tests.factories.patients import make_appointment, make_patient
from tests.factories.programmes import CHANNELS, RECALL, REMINDER
from tests.messaging.linting.texts import around

PARIS = ZoneInfo("Europe/Paris")
SAID = datetime(2026, 10, 14, 10, 0, tzinfo=PARIS).astimezone(UTC)
ENDS = datetime(2029, 10, 14, 10, 0, tzinfo=PARIS).astimezone(UTC)
SOON = ENDS - 20 * DAY


def offer_renewal(clinic, dpo, purpose=REMINDER, *, reminds=True):
    these = {"clinic_id": clinic.id, "purpose": purpose, "actor": dpo, "now": SAID}
    publish_template(**these, slug=template_of(purpose), variants=load_renewal_words())
    remind_of_renewal(**these, reminds=reminds)


def reminders():
    return Message.objects.filter(step="renew")


def sent(now):
    carriers = carriers_in_test()
    deliver_due_messages(now=now, carriers=carriers)
    return given_to(carriers)


@pytest.fixture
def somebody(northgate, dpo):
    """A patient who said yes three years ago, by SMS, of a clinic that says when a yes ends."""
    offer_renewal(northgate, dpo)
    patient = make_patient(northgate.id, now=SAID)
    say(give_consent, patient, SAID)
    return patient


def test_in_the_last_thirty_days_one_reminder_says_until_when(somebody):
    assert plan_renewals(now=ENDS - 30 * DAY - HOUR) == 0
    assert plan_renewals(now=SOON) == 1
    (message,) = sent(SOON)

    assert (message.channel, "14/10/2029" in message.text) == (Channel.SMS, True)
    # It needs a consent, so it carries the way out of it.
    assert "/u/" in message.text
    row = reminders().get()
    said = ConsentEvent.objects.get(patient_id=somebody.id)
    assert (row.state, row.occurrence, row.expires_at) == ("sent", said.id.hex, ENDS)
    assert row.verdict["consent_event_id"] == str(said.id)


def test_it_is_said_once_though_the_tick_comes_again(somebody):
    assert [plan_renewals(now=SOON + days * DAY) for days in range(3)] == [1, 0, 0]
    assert len(sent(SOON + 3 * DAY)) == 1
    assert plan_renewals(now=SOON + 4 * DAY) == 0


def test_a_new_yes_is_reminded_of_anew_at_its_own_end(somebody):
    plan_renewals(now=SOON)
    sent(SOON)
    say(give_consent, somebody, SOON + HOUR)

    assert plan_renewals(now=SOON + 2 * HOUR) == 0
    assert plan_renewals(now=SOON + 3 * 365 * DAY) == 1


def test_it_is_off_until_the_officer_switched_it_on_and_needs_words(northgate, dpo):
    patient = make_patient(northgate.id, now=SAID)
    for purpose in (REMINDER, RECALL):
        say(give_consent, patient, SAID, purpose=purpose)
    offer_renewal(northgate, dpo, reminds=False)
    # Switched on, and nobody has written anything.
    remind_of_renewal(clinic_id=northgate.id, purpose=RECALL, reminds=True, actor=dpo, now=SAID)

    assert plan_renewals(now=SOON) == 0


@pytest.mark.parametrize("say_no", ["withdraw", "refuse", "object", "expire"])
def test_nobody_is_reminded_of_what_does_not_stand(somebody, say_no):
    if say_no == "expire":
        at = ENDS
    else:
        at = SOON
        {
            "withdraw": lambda: withdraw(somebody, SOON - DAY),
            "refuse": lambda: say(refuse_consent, somebody, SOON - DAY),
            "object": lambda: object_now(somebody, SOON - DAY),
        }[say_no]()

    assert plan_renewals(now=at) == 0


@pytest.mark.parametrize(
    ("meanwhile", "reason"),
    [
        ("withdraw", "consent_withdrawn"),
        ("object", "objected"),
        ("restrict", "restricted"),
        ("renew", "occasion_changed"),
        ("end", "consent_expired"),
    ],
)
def test_what_is_said_after_it_was_planned_stops_it(somebody, meanwhile, reason):
    plan_renewals(now=SOON)
    at = SOON + HOUR
    if meanwhile == "withdraw":
        withdraw(somebody, at)
    elif meanwhile == "object":
        object_now(somebody, at)
    elif meanwhile == "restrict":
        restrict(somebody, at)
    elif meanwhile == "renew":
        say(give_consent, somebody, at)
    else:
        at = ENDS

    assert sent(at + HOUR) == []
    row = reminders().get()
    assert row.state in {"withheld", "expired"}
    assert reason in row.verdict["reasons"]


def test_a_restricted_patient_is_not_written_to(somebody):
    restrict(somebody, SOON - DAY)

    plan_renewals(now=SOON)

    assert sent(SOON) == []
    assert reminders().get().state == "withheld"


def test_by_another_channel_nothing_is_said(somebody):
    """The yes was to SMS: the e-mail address is known and verified, and stays unused."""
    say(give_consent, somebody, SAID + DAY, channels=[Channel.EMAIL])
    withdraw(somebody, SAID + 2 * DAY)

    plan_renewals(now=SOON)

    assert [one.channel for one in sent(SOON)] == [Channel.EMAIL]


def test_each_channel_that_was_agreed_to_says_so_itself(somebody):
    say(give_consent, somebody, SAID, channels=CHANNELS)

    assert plan_renewals(now=SOON) == 3
    assert {one.channel for one in sent(SOON)} == set(CHANNELS)


@pytest.mark.parametrize(("hour", "day"), [(3, 0), (21, 1)])
def test_nobody_is_woken_for_it(somebody, hour, day):
    night = datetime(2029, 9, 20, hour, 30, tzinfo=PARIS).astimezone(UTC)
    plan_renewals(now=night)

    assert reminders().get().due_at.astimezone(PARIS) == datetime(2029, 9, 20 + day, 9, 0, tzinfo=PARIS)
    assert sent(night) == []


def test_a_pause_is_waited_for_and_the_end_is_not(somebody):
    change = PreferenceChange(paused_until=SOON + 5 * DAY)
    change_preferences(
        clinic_id=somebody.clinic_id, patient_id=somebody.id, change=change, actor=somebody.actor, now=SOON - DAY
    )
    plan_renewals(now=SOON)
    assert sent(SOON + DAY) == []

    assert len(sent(SOON + 6 * DAY)) == 1


def test_the_planning_of_programmes_leaves_it_alone(somebody):
    plan_renewals(now=SOON)

    plan_programmes(now=SOON)

    assert reminders().get().state == "planned"


def test_the_parents_of_a_child_are_written_to(northgate, dpo):
    offer_renewal(northgate, dpo)
    child = make_patient(northgate.id, now=SAID, birth_date=date(2018, 1, 1), device=False)
    import_records(
        clinic_id=northgate.id, records=[records.mother(child.ipp)], source="test", actor=system_actor(), now=SAID
    )
    for point in ContactPoint.objects.filter(patient_id=child.id):
        attest_contact_point(
            clinic_id=northgate.id,
            patient_id=child.id,
            contact_point_id=point.id,
            how="seen_in_person",
            actor=system_actor(),
            now=SAID,
        )
    mother = Representative.objects.get(patient_id=child.id)
    say(give_consent, child, SAID, representatives=(mother.id,))

    plan_renewals(now=SOON)

    (message,) = sent(SOON)
    assert message.to == "+33639980002"
    assert "votre enfant" in message.text


def test_a_birth_date_put_right_makes_the_date_in_it_another(somebody):
    """The end moved: what was planned would say the wrong day."""
    plan_renewals(now=SOON)
    state = ConsentState.objects.get(patient_id=somebody.id)
    entry = record(
        Action.STATES_REBUILT, by=system_actor(), now=SOON, clinic_id=somebody.clinic_id, count=1, different=1
    )
    with entry:
        ConsentState.objects.filter(id=state.id).update(valid_until=ENDS - 2 * DAY)

    assert sent(SOON) == []
    assert reminders().get().verdict["reasons"] == ["occasion_changed"]


def test_the_database_lets_no_yes_be_asked_for_twice(somebody, dpo):
    plan_renewals(now=SOON)
    row = reminders().get()
    row.pk, row.contact_point_id = None, None
    entry = record(
        Action.STATES_REBUILT, by=system_actor(), now=SOON, clinic_id=somebody.clinic_id, count=1, different=1
    )

    with pytest.raises(IntegrityError), transaction.atomic(), entry:
        row.save(force_insert=True)


def test_it_is_in_the_log_and_counts_under_a_cap(somebody):
    change_preferences(
        clinic_id=somebody.clinic_id,
        patient_id=somebody.id,
        change=PreferenceChange(frequency=FrequencyCap(max=1, per="month")),
        actor=somebody.actor,
        now=SAID,
    )
    plan_renewals(now=SOON)
    sent(SOON)

    assert actions_recorded(somebody.clinic_id)[Action.MESSAGE_PLANNED] == 1
    make_appointment(somebody, starts_at=SOON + 3 * DAY, now=SOON)
    plan_programmes(now=SOON + HOUR)
    assert sent(SOON + DAY) == []
    assert Message.objects.get(enrolment__isnull=False, step="d3").verdict["reasons"] == ["too_late", "frequency_cap"]


def test_after_its_end_it_is_expired_and_nothing_was_said(somebody):
    plan_renewals(now=SOON)
    end_consents(actor=system_actor("consent"), now=ENDS)

    assert sent(ENDS + HOUR) == []
    assert plan_renewals(now=ENDS + HOUR) == 0


# ------------------------------------------------------------------------------------------------------- the words


def test_the_words_are_whole_short_and_say_nothing_about_health():
    words = load_renewal_words()

    assert len(words) == 3 * len(Language) * 3
    for nature in (Nature.CARE, Nature.PREVENTION, Nature.MARKETING):
        assert lint(words, around(nature, channels=CHANNELS)) == []


@pytest.mark.parametrize("variant", load_renewal_words(), ids=lambda one: f"{one.channel} {one.language} {one.tone}")
@pytest.mark.parametrize("for_child", [False, True])
def test_each_says_the_day_and_to_a_parent_that_it_is_about_a_child(variant, for_child):
    words = Words(
        id=new_id(),
        channel=variant.channel,
        language=variant.language,
        subject=variant.subject,
        body=variant.body,
        discreet_subject=variant.discreet_subject,
        discreet_body=variant.discreet_body,
    )
    values = {**example_values(variant.language), "for_child": for_child}
    said = render(words, values, discreet=False).text

    assert "2029" in said
    assert ("enfant" in said or "child" in said) == for_child
    if variant.channel is Channel.SMS:
        longest = render(words, {**longest_values(variant.language), "for_child": for_child}, discreet=True).text
        told = count(f"{longest}\n{SMS_LINE[variant.language]} https://accord.example.org/u/AbCdEfGhIjKlMnOpQrStUv")
        assert (told.encoding, told.parts <= 2) == (Encoding.GSM7, True)
