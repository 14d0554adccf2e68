"""Consents replayed: whatever ends a consent forbids what is handed over after it, and a restriction all of it."""

import pytest

from tests.audit.verifier.test_consents import assert_permitted, assert_refused
from tests.factories.bundles import LogInTest

ENDS = (
    "pending",
    "objected",
    "expired",
    "reconsent_required",
    "ended",
    "revoked",
    "invalidated",
    "entered_in_error",
)


@pytest.fixture
def log():
    """A clinic with a purpose that asks for consent and one on the closed list."""
    log = LogInTest()
    log.define("recall", "prevention")
    log.define("sign_in", "closed_list")
    return log


@pytest.fixture
def patient(log):
    """A patient who has not said anything yet."""
    return log.enter()


def end(log, patient, kind, channel="sms"):
    details = {"purpose": "recall", "channel": channel, "event": str(log.uuid())}
    return log.record(f"consent.{kind}", details, about=[patient])


@pytest.mark.parametrize("kind", ENDS)
def test_what_ends_a_consent_forbids_what_comes_after_it(desk, log, patient, kind):
    event = log.give(patient)
    ended = end(log, patient, kind)

    reason = assert_refused(desk, log, log.message(patient, event))
    assert f"ended with entry {ended}" in reason


@pytest.mark.parametrize("kind", ENDS)
def test_what_ends_a_consent_by_one_channel_leaves_the_others_alone(desk, log, patient, kind):
    event = log.give(patient)
    end(log, patient, kind, channel="email")
    log.message(patient, event)

    assert_permitted(desk, log)


@pytest.mark.parametrize("kind", ["requested", "deferred", "unknown", "objection_lifted"])
def test_a_question_ends_nothing(desk, log, patient, kind):
    event = log.give(patient)
    end(log, patient, kind)
    log.message(patient, event)

    assert_permitted(desk, log)


@pytest.mark.parametrize("kind", ["requested", "deferred", "unknown", "objection_lifted", "pending"])
def test_a_question_permits_nothing(desk, log, patient, kind):
    event = str(log.uuid())
    log.record(f"consent.{kind}", {"purpose": "recall", "channel": "sms", "event": event}, about=[patient])

    assert_refused(desk, log, log.message(patient, event))


def test_a_renewed_consent_permits_and_ends_the_one_before_it(desk, log, patient):
    first, second = log.give(patient), str(log.uuid())
    log.record("consent.renewed", {"purpose": "recall", "channel": "sms", "event": second}, about=[patient])
    log.message(patient, second)
    assert_permitted(desk, log)

    assert_refused(desk, log, log.message(patient, first))


def restrict(log, patient):
    return log.record("patient.restricted", {"restriction": str(log.uuid()), "ground": "unlawful"}, about=[patient])


def test_a_restriction_forbids_every_purpose_and_channel(desk, log, patient):
    event = log.give(patient)
    restricted = restrict(log, patient)

    assert f"entry {restricted} restricted" in assert_refused(desk, log, log.message(patient, event))


def test_once_a_restriction_is_lifted_what_was_given_permits_again(desk, log, patient):
    event = log.give(patient)
    restrict(log, patient)
    log.record("patient.restriction_lifted", {"because": "patient_asked"}, about=[patient])
    log.message(patient, event)

    assert_permitted(desk, log)


def test_a_message_taken_up_while_restricted_is_refused_although_it_was_lifted_since(desk, log, patient):
    event = log.give(patient)
    restrict(log, patient)
    attempt = log.claim(patient)
    log.record("patient.restriction_lifted", {"because": "patient_asked"}, about=[patient])

    assert_refused(desk, log, log.hand_over(patient, attempt, event))


def test_a_restriction_that_comes_after_a_message_was_taken_up_is_too_late_for_it(desk, log, patient):
    event = log.give(patient)
    attempt = log.claim(patient)
    restrict(log, patient)
    log.hand_over(patient, attempt, event)

    assert_permitted(desk, log)


def test_the_restriction_of_another_patient_forbids_nothing(desk, log, patient):
    event = log.give(patient)
    restrict(log, log.enter())
    log.message(patient, event)

    assert_permitted(desk, log)


def test_what_a_restricted_patient_asks_for_themselves_is_sent(desk, log, patient):
    restrict(log, patient)
    log.message(patient, "none", "sign_in", "sms")

    assert assert_permitted(desk, log)["closed_list"] == {"sign_in": 1}
