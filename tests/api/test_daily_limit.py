"""What the daily limit held back: staff find it, and read why."""

from backend.messaging.delivery import deliver_due_messages
from tests.factories.carriers import carriers_in_test
from tests.messaging.test_caps_and_hours import appointments


def test_staff_find_what_it_held_back_and_why(desk, consenting, now, settings):
    settings.ACCORD_MOST_PER_DAY = 1
    appointments(consenting, now, how_many=2)
    deliver_due_messages(now=now, carriers=carriers_in_test())
    clinic = "/api/v1/clinics/northgate"

    (held,) = desk.get(f"{clinic}/messages?reason=daily_limit").json()["results"]
    why = desk.get(f"{clinic}/messages/{held['id']}/why").json()

    assert held["state"] == "withheld"
    assert desk.get(f"{clinic}/messages?reason=paused,quiet_hours").json()["results"] == []
    occasion = next(rule for rule in why["rules"] if rule["group"] == "occasion")
    assert [reason["code"] for reason in occasion["reasons"]] == ["too_late", "daily_limit"]
    assert occasion["reasons"][1]["sentence"].startswith("Enough messages went to this person")
