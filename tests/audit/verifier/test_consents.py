"""Consents replayed: each hand-over is held against what the patient had said when the message was taken up."""

from dataclasses import replace

import pytest

from tests.factories.bundles import LogInTest


@pytest.fixture
def log():
    """A clinic with a purpose that asks for consent and one on the closed list."""
    log = LogInTest()
    log.define("recall", "prevention")
    log.define("safety_notice", "closed_list")
    return log


@pytest.fixture
def patient(log):
    """A patient who has not said anything yet."""
    return log.enter()


def ask(desk, log, *, messages=False):
    return desk.ask(log.bundle(), keys=log.private_key(), messages=messages)


def assert_permitted(desk, log):
    answer = ask(desk, log)
    assert (answer.code, answer.findings) == (0, set())
    return answer.document["messages"]


def assert_refused(desk, log, entry):
    answer = ask(desk, log)
    assert (answer.code, answer.findings) == (1, {"message_without_consent"})
    assert answer.first_wrong == (entry, log.ids[entry])
    refused = answer.document["messages"]["without_consent"]
    assert [one["entry"] for one in refused] == [entry]
    return refused[0]["reason"]


def test_a_consent_permits_what_is_handed_over_after_it(desk, log, patient):
    event = log.give(patient)
    log.message(patient, event)
    log.message(patient, event)

    assert assert_permitted(desk, log)["with_consent"] == 2


def test_a_withdrawal_before_the_message_was_taken_up_forbids_it(desk, log, patient):
    event = log.give(patient)
    log.withdraw(patient)

    entry = log.message(patient, event)

    reason = assert_refused(desk, log, entry)
    assert reason == f"the consent of entry {entry - 3} ended with entry {entry - 2}, before entry {entry - 1}"


def test_a_withdrawal_between_taking_up_and_handing_over_comes_too_late_for_this_message(desk, log, patient):
    event = log.give(patient)
    attempt = log.claim(patient)
    log.withdraw(patient)
    log.hand_over(patient, attempt, event)

    assert assert_permitted(desk, log)["with_consent"] == 1


def test_a_refusal_ends_a_consent(desk, log, patient):
    event = log.give(patient)
    log.refuse(patient)

    assert_refused(desk, log, log.message(patient, event))


def test_after_a_withdrawal_a_new_consent_permits_again(desk, log, patient):
    log.give(patient)
    log.withdraw(patient)

    log.message(patient, log.give(patient))

    assert_permitted(desk, log)


def test_a_consent_that_was_given_anew_has_to_be_named_itself(desk, log, patient):
    first = log.give(patient)
    second = log.give(patient)
    log.message(patient, second)

    assert_refused(desk, log, log.message(patient, first))


def test_a_consent_given_while_the_message_was_on_its_way_permits_it(desk, log, patient):
    log.give(patient)
    attempt = log.claim(patient)
    log.hand_over(patient, attempt, log.give(patient))

    assert_permitted(desk, log)


def test_a_consent_that_comes_after_the_hand_over_is_too_late(desk, log, patient):
    early = LogInTest("a copy, to know the event before it is given")
    attempt = log.claim(patient)
    event = str(early.uuid())
    entry = log.hand_over(patient, attempt, event)
    details = {"purpose": "recall", "channel": "sms", "method": "app", "event": event, "notice_version": 1}
    log.record("consent.given", details, about=[patient])

    assert "no entry before it gives" in assert_refused(desk, log, entry)


def test_silence_is_no_consent(desk, log, patient):
    assert "names no consent" in assert_refused(desk, log, log.message(patient, "none"))


def test_a_refusal_is_no_consent_to_be_named(desk, log, patient):
    assert_refused(desk, log, log.message(patient, log.refuse(patient)))


def test_a_consent_that_was_not_recorded_as_done_is_none(desk, log, patient):
    event = str(log.uuid())
    details = {"purpose": "recall", "channel": "sms", "method": "app", "event": event, "notice_version": 1}
    log.record("consent.given", details, about=[patient], o="denied")

    assert_refused(desk, log, log.message(patient, event))


def test_the_consent_of_another_patient_permits_nothing(desk, log, patient):
    event = log.give(log.enter())

    assert_refused(desk, log, log.message(patient, event))


def test_a_consent_for_another_purpose_permits_nothing(desk, log, patient):
    log.define("marketing", "marketing")
    event = log.give(patient, "marketing")

    assert_refused(desk, log, log.message(patient, event))


def test_a_consent_for_another_channel_permits_nothing(desk, log, patient):
    event = log.give(patient, "recall", "email")

    assert_refused(desk, log, log.message(patient, event))


def test_a_withdrawal_for_another_channel_changes_nothing(desk, log, patient):
    event = log.give(patient)
    log.give(patient, "recall", "email")
    log.withdraw(patient, "recall", "email")
    log.message(patient, event)

    assert_permitted(desk, log)


def test_the_closed_list_needs_no_consent_and_is_counted_by_name(desk, log, patient):
    log.message(patient, "none", "safety_notice", "letter")
    log.message(patient, "none", "safety_notice", "sms")

    messages = assert_permitted(desk, log)

    assert messages["closed_list"] == {"safety_notice": 2}
    assert messages["with_consent"] == 0


def test_a_purpose_is_not_put_on_the_closed_list_later(desk, log, patient):
    log.define("recall", "closed_list")

    assert_refused(desk, log, log.message(patient, "none"))


def test_a_purpose_that_was_not_recorded_as_defined_is_not_on_the_closed_list(desk, log, patient):
    log.record("purpose.defined", {"purpose": "late", "nature": "closed_list"}, o="denied")

    assert_refused(desk, log, log.message(patient, "none", "late"))


def test_a_purpose_that_nobody_defined_is_not_on_the_closed_list(desk, log, patient):
    assert_refused(desk, log, log.message(patient, "none", "unheard_of"))


def test_a_purpose_defined_after_the_message_is_too_late(desk, log, patient):
    entry = log.message(patient, "none", "late")
    log.define("late", "closed_list")

    assert_refused(desk, log, entry)


def test_a_consent_on_the_closed_list_still_has_to_hold_where_one_is_named(desk, log, patient):
    assert_refused(desk, log, log.message(patient, str(log.uuid()), "safety_notice"))


def test_a_message_that_nobody_took_up_is_refused(desk, log, patient):
    event = log.give(patient)
    attempt = {"message": str(log.uuid()), "attempt": str(log.uuid()), "purpose": "recall", "channel": "sms"}

    assert "no entry before it says" in assert_refused(desk, log, log.hand_over(patient, attempt, event))


def test_a_message_is_taken_up_before_it_is_handed_over(desk, log, patient):
    event = log.give(patient)
    attempt = {"message": str(log.uuid()), "attempt": str(log.uuid()), "purpose": "recall", "channel": "sms"}
    entry = log.hand_over(patient, attempt, event)
    log.record("message.claimed", attempt, about=[patient])

    assert_refused(desk, log, entry)


def test_an_attempt_is_used_once(desk, log, patient):
    event = log.give(patient)
    attempt = log.claim(patient)
    log.hand_over(patient, attempt, event)

    assert_refused(desk, log, log.hand_over(patient, attempt, event))


@pytest.mark.parametrize("other", [{"message": "01890a5d-ac96-774b-bcce-b302099a8057"}, {"channel": "email"}])
def test_an_attempt_is_for_one_message_only(desk, log, patient, other):
    event = log.give(patient)
    log.give(patient, "recall", "email")
    attempt = log.claim(patient)

    assert "took this attempt up for something else" in assert_refused(
        desk, log, log.hand_over(patient, attempt | other, event)
    )


def test_an_attempt_taken_up_again_counts_from_then(desk, log, patient):
    event = log.give(patient)
    attempt = log.claim(patient)
    log.withdraw(patient)
    log.record("message.claimed", attempt, about=[patient])

    assert_refused(desk, log, log.hand_over(patient, attempt, event))


def test_an_attempt_of_another_patient_is_refused(desk, log, patient):
    other = log.enter()
    event = log.give(other)
    attempt = log.claim(patient)

    assert_refused(desk, log, log.hand_over(other, attempt, event))


def test_an_entry_about_two_patients_is_replayed_for_each(desk, log, patient):
    other = log.enter()
    event = str(log.uuid())
    details = {"purpose": "recall", "channel": "sms", "method": "paper", "event": event, "notice_version": 1}
    log.record("consent.given", details, about=[patient, other])
    log.withdraw(patient)
    log.message(other, event)

    assert_refused(desk, log, log.message(patient, event))


def test_messages_to_a_patient_erased_since_are_counted(desk, log, patient):
    log.message(patient, "none")
    log.erase(patient)

    messages = assert_permitted(desk, log)

    assert (messages["handed_over"], messages["unreadable"]) == (0, 1)


def test_a_patient_entered_anew_starts_in_silence(desk, log, patient):
    event = log.give(patient)
    log.erase(patient)
    again = replace(log.enter(), id=patient.id)

    assert_refused(desk, log, log.message(again, event))


def test_every_violation_is_listed(desk, log, patient):
    entries = [log.message(patient, "none") for _ in range(30)]

    answer = ask(desk, log)

    assert [one["entry"] for one in answer.document["messages"]["without_consent"]] == entries
    assert answer.document["messages"]["without_consent_count"] == 30
    code, out, _ = desk.say(f"{desk.folder}/bundle.zip", "--keys", f"{desk.folder}/dpo.pem")
    assert code == 1
    assert out.count("WRONG: ") == 20
    assert "... and 10 more" in out


def test_each_message_is_shown_with_what_permitted_it(desk, log, patient):
    event = log.give(patient)
    given = len(log.leaves) - 1
    first = log.message(patient, event)
    second = log.message(patient, "none", "safety_notice", "letter")

    shown = ask(desk, log, messages=True).document["messages"]["permitted"]

    assert [(one["entry"], one["consent_entry"], one["consent_event"]) for one in shown] == [
        (first, given, event),
        (second, None, None),
    ]
    assert {one["patient"] for one in shown} == {str(patient.id)}
    _, out, _ = desk.say(f"{desk.folder}/bundle.zip", "--keys", f"{desk.folder}/dpo.pem", "--messages")
    assert f"consent {event} of entry {given}." in out
    assert "the purpose is on the closed list." in out
    assert "on the closed list: safety_notice, 1" in out


MALFORMED = {
    "no consent named": {"consent_event": None},
    "a consent in words": {"consent_event": "yes"},
    "a consent in capitals": {"consent_event": "01890A5D-AC96-774B-BCCE-B302099A8057"},
    "no attempt": {"attempt": 1},
    "no purpose": {"purpose": {"a": 1}},
    "a purpose with a control character": {"purpose": "recall\u001b[2J"},
    "a channel that is no word": {"channel": ""},
    "a message that is a list": {"message": []},
}


@pytest.mark.parametrize("change", MALFORMED.values(), ids=MALFORMED)
def test_a_hand_over_that_can_not_be_read_is_found(desk, log, patient, change):
    event = log.give(patient)
    attempt = log.claim(patient)
    details = {**attempt, "carrier": "twilio", "consent_event": event, **change}
    entry = log.record("message.handed_over", details, about=[patient])

    answer = ask(desk, log)

    assert (answer.code, answer.findings, answer.first_wrong[0]) == (1, {"details"}, entry)


def test_a_hand_over_to_nobody_is_found(desk, log):
    log.record("message.handed_over", {"message": "x"})
    log.ids.append(str(log.uuid()))
    assert ask(desk, log).findings == {"details"}


def test_a_message_that_could_not_be_taken_up_was_not(desk, log, patient):
    event = log.give(patient)
    attempt = {"message": str(log.uuid()), "attempt": str(log.uuid()), "purpose": "recall", "channel": "sms"}
    log.record("message.claimed", attempt, about=[patient], o="denied")

    assert "no entry before it says" in assert_refused(desk, log, log.hand_over(patient, attempt, event))


def test_a_purpose_comes_on_the_closed_list_before_the_message_is_taken_up(desk, log, patient):
    attempt = log.claim(patient, "outbreak", "letter")
    log.define("outbreak", "closed_list")

    reason = assert_refused(desk, log, log.hand_over(patient, attempt, "none"))
    assert "not on the closed list before" in reason
