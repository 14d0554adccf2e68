"""Row 38, market rules for SMS in France: marketing leaves Monday to Saturday, 8:00 to 20:00, on the patient’s clock.

Not yet: holidays of one region only; marketing programmes, with their texts.
"""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.consent.operations import give_consent
from backend.policy.vocabulary import Channel, Decided, Reason
from tests.conftest import DAY
from tests.consent.test_deciding import say
from tests.consent.test_ending import answer
from tests.consent.test_objecting import define_offers
from tests.policy.facts import OFFERS, REMINDER, consent, decide

ASKED = {"purpose": OFFERS, "consents": (consent(purpose=OFFERS.slug),)}


def is_sunday(moment):
    return moment.weekday() == 6


def at(text):
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        ("2026-10-17T20:00:00+02:00", "2026-10-19T08:00:00+02:00"),
        ("2026-10-18T12:00:00+02:00", "2026-10-19T08:00:00+02:00"),
        ("2026-10-19T07:59:59+02:00", "2026-10-19T08:00:00+02:00"),
        # The night in which the clocks go back, and the one in which they go forward.
        ("2026-10-24T23:00:00+02:00", "2026-10-26T08:00:00+01:00"),
        ("2027-03-27T23:00:00+01:00", "2027-03-29T08:00:00+02:00"),
    ],
)
def test_it_waits_for_the_next_lawful_hour(moment, until):
    verdict = decide(now=at(moment), **ASKED)

    assert (verdict.decided, verdict.reasons, verdict.until) == (Decided.DEFER, (Reason.LEGAL_WINDOW,), at(until))


@pytest.mark.parametrize("moment", ["2026-10-17T19:59:59+02:00", "2026-10-19T08:00:00+02:00"])
def test_within_them_it_leaves(moment):
    assert decide(now=at(moment), **ASKED).decided is Decided.ALLOW


@pytest.mark.parametrize("holiday", ["2026-11-11", "2026-12-25", "2027-01-01", "2027-03-29", "2027-05-06"])
def test_on_a_public_holiday_the_gate_lets_no_offer_through(northgate, silent, now, holiday):
    define_offers(northgate, now)
    say(give_consent, silent, now, purpose=OFFERS.slug, channels=[Channel.SMS, Channel.EMAIL])
    noon = at(f"{holiday}T12:00:00+01:00")

    assert answer(silent, noon, purpose=OFFERS.slug) == ("defer", {"legal_window"})
    assert answer(silent, noon, purpose=OFFERS.slug, channel=Channel.EMAIL)[0] == "allow"
    assert answer(silent, noon - DAY, purpose=OFFERS.slug)[0] == ("defer" if is_sunday(noon - DAY) else "allow")


def test_the_clock_is_the_patients():
    now = at("2026-10-19T09:00:00+02:00")

    assert decide(now=now, time_zone="America/Guadeloupe", **ASKED).until == at("2026-10-19T08:00:00-04:00")


@given(now=st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.timezones().map(lambda _: None)))  # noqa: DTZ001 - given a zone below
def test_a_care_message_and_an_email_have_no_such_hours(now):
    moment = now.astimezone(at("2026-01-01T00:00:00+01:00").tzinfo)
    by_mail = consent(purpose=OFFERS.slug, channel=Channel.EMAIL)

    assert decide(now=moment, purpose=REMINDER).decided is Decided.ALLOW
    assert decide(now=moment, purpose=OFFERS, channel=Channel.EMAIL, consents=(by_mail,)).decided is Decided.ALLOW
