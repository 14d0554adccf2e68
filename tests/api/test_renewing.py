"""In the last thirty days of a yes the app is told until when to ask again; silence is expiry."""

from datetime import timedelta

import pytest

from backend.accounts.operations import issue_patient_token
from backend.audit.actors import system_actor
from backend.consent.operations import end_consents
from tests.api.conftest import Client
from tests.conftest import DAY, HOUR
from tests.factories.programmes import REMINDER

VALID = timedelta(days=3 * 365 + 1)
"""From 4 October 2026 to 4 October 2029, with a 29 February between."""


@pytest.fixture
def seen_at(consenting, now, settings):
    """What the app is told at another time."""
    offset = settings.ACCORD_CLOCK_OFFSET

    def look(moment):
        settings.ACCORD_CLOCK_OFFSET = offset + (moment - now).total_seconds()
        these = {"clinic_id": consenting.clinic_id, "patient_id": consenting.id, "actor": system_actor()}
        app = Client(issue_patient_token(**these, now=moment - HOUR))
        states = app.get("/api/v1/me/consents").json()["results"]
        shown = next(one for one in states if (one["purpose"], one["channel"]) == (REMINDER, "sms"))
        return shown["state"], shown["renew_by"] and shown["renew_by"][:10]

    return look


@pytest.mark.parametrize(("days", "renew_by"), [(400, None), (31, None), (29, "2029-10-04"), (1, "2029-10-04")])
def test_the_app_shows_until_when_to_say_it_again(seen_at, now, days, renew_by):
    assert seen_at(now - 10 * DAY + VALID - days * DAY) == ("given", renew_by)


def test_who_says_nothing_has_let_it_expire(seen_at, now):
    ends = now - 10 * DAY + VALID

    end_consents(actor=system_actor("consent"), now=ends)

    assert seen_at(ends) == ("expired", None)
