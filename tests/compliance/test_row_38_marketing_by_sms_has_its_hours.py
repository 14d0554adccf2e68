"""Row 38, market rules for SMS in France: marketing leaves Monday to Saturday, 8:00 to 20:00, on the patient’s clock.

Not yet: marketing programmes, with their texts.
"""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.audit.actors import system_actor
from backend.consent.operations import give_consent
from backend.policy.vocabulary import Channel, Decided, Reason
from backend.preferences.operations import PreferenceChange, change_preferences
from tests.conftest import DAY
from tests.consent.test_deciding import say
from tests.consent.test_ending import answer
from tests.consent.test_objecting import define_offers
from tests.factories.clinics import make_clinic
from tests.factories.patients import make_patient
from tests.factories.programmes import define_words
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


REGIONAL = [
    ("67000", "2027-03-26"),
    ("57000", "2026-12-26"),
    ("97200", "2027-05-22"),
    ("97110", "2027-05-27"),
    ("97300", "2027-06-10"),
    ("97400", "2027-12-20"),
    ("97600", "2027-04-27"),
    ("97150", "2027-05-28"),
    ("97133", "2027-10-09"),
]


def offered(clinic, patient, now):
    define_offers(clinic, now)
    say(give_consent, patient, now, purpose=OFFERS.slug, channels=[Channel.SMS])


@pytest.mark.parametrize(("postal_code", "holiday"), REGIONAL)
def test_on_a_holiday_where_the_patient_lives_no_offer_leaves(northgate, now, postal_code, holiday):
    patient = make_patient(northgate.id, now=now - DAY, postal_code=postal_code)
    elsewhere = make_patient(northgate.id, now=now - DAY, postal_code="75011")
    offered(northgate, patient, now)
    say(give_consent, elsewhere, now, purpose=OFFERS.slug, channels=[Channel.SMS])
    noon = at(f"{holiday}T12:00:00+01:00")

    assert answer(patient, noon, purpose=OFFERS.slug) == ("defer", {"legal_window"})
    assert answer(elsewhere, noon, purpose=OFFERS.slug)[0] == "allow"


def test_on_a_holiday_where_the_clinic_is_no_offer_leaves(db, now):
    clinic = make_clinic("orme", now=now - DAY, address="2 quai des Bateliers, 67000 Strasbourg")
    define_words(clinic.id, actor=system_actor(), now=now - DAY)
    patient = make_patient(clinic.id, now=now - DAY, postal_code="75011")
    offered(clinic, patient, now)

    # Saturday 26 December 2026, and then a Sunday.
    assert answer(patient, at("2026-12-26T12:00:00+01:00"), purpose=OFFERS.slug) == ("defer", {"legal_window"})
    assert answer(patient, at("2026-12-28T12:00:00+01:00"), purpose=OFFERS.slug)[0] == "allow"


def test_whoever_keeps_the_clock_of_la_reunion_keeps_its_holidays(northgate, silent, now):
    offered(northgate, silent, now)
    noon = at("2027-12-20T12:00:00+04:00")
    assert answer(silent, noon, purpose=OFFERS.slug)[0] == "allow"

    change_preferences(
        clinic_id=northgate.id,
        patient_id=silent.id,
        change=PreferenceChange(time_zone="Indian/Reunion"),
        actor=silent.actor,
        now=now,
    )

    assert answer(silent, noon, purpose=OFFERS.slug) == ("defer", {"legal_window"})


def test_the_clock_is_the_patients():
    now = at("2026-10-19T09:00:00+02:00")

    assert decide(now=now, time_zone="America/Guadeloupe", **ASKED).until == at("2026-10-19T08:00:00-04:00")


@given(now=st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.timezones().map(lambda _: None)))  # noqa: DTZ001 - given a zone below
def test_a_care_message_and_an_email_have_no_such_hours(now):
    moment = now.astimezone(at("2026-01-01T00:00:00+01:00").tzinfo)
    by_mail = consent(purpose=OFFERS.slug, channel=Channel.EMAIL)

    assert decide(now=moment, purpose=REMINDER).decided is Decided.ALLOW
    assert decide(now=moment, purpose=OFFERS, channel=Channel.EMAIL, consents=(by_mail,)).decided is Decided.ALLOW
