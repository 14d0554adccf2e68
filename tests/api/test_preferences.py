"""Preferences over the API: the whole set, its history, and what it would have changed."""

from datetime import timedelta

import pytest

from backend.messaging.delivery import deliver_due_messages
from backend.policy.vocabulary import Tone
from backend.preferences.operations import PreferenceChange, change_preferences
from backend.programmes.operations import plan_programmes
from tests.api.conftest import Client
from tests.factories.carriers import carriers_in_test
from tests.factories.patients import make_appointment
from tests.factories.programmes import RECALL, REMINDER

ME = "/api/v1/me/preferences"
NORTHGATE = "/api/v1/clinics/northgate"
EVERYTHING = {
    "channel_order": ["email", "sms"],
    "frequency": {"max": 2, "per": "month"},
    "digest": True,
    "tone": "plain",
    "language": "en",
    "quiet_hours": {"from": "21:00", "to": "07:30", "time_zone": "Indian/Reunion"},
    "paused_until": "2026-11-01T08:00:00Z",
    "discreet": False,
    "large_print": True,
    "no_first_name": True,
    "no_personalisation": True,
    "purposes": {REMINDER: True, RECALL: False},
}


def test_everything_that_can_be_preferred_comes_back(me: Client) -> None:
    answer = me.patch(ME, EVERYTHING, headers={"if-match": '"0"'})

    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in EVERYTHING} == EVERYTHING
    assert me.get(ME).json() == answer.json() == {"version": 1, **EVERYTHING}


@pytest.mark.parametrize("name", ["snooze", "largePrint", "consent", "version", "clinic"])
def test_a_field_that_is_not_known_is_refused_by_its_name(me: Client, name: str) -> None:
    answer = me.patch(ME, {"digest": True, name: True}, headers={"if-match": "*"})

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [name]
    assert me.get(ME).json()["version"] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"large_print": "yes"},
        {"no_first_name": 1},
        {"no_personalisation": None},
        {"quiet_hours": {"from": "21:00", "to": "07:00", "time_zone": "Europe/Nowhere"}},
        {"quiet_hours": {"from": "21:00", "to": "07:00", "time_zone": "+02:00"}},
        {"frequency": {"max": 1, "per": "year"}},
        {"paused_until": "2026-11-01T08:00:00"},
        {"channel_order": []},
        {"purposes": {"nothing_known": False}},
    ],
)
def test_what_nobody_could_keep_to_is_refused(me: Client, change: dict[str, object]) -> None:
    assert me.patch(ME, change, headers={"if-match": "*"}).status_code == 400
    assert me.get(f"{ME}/history").json()["results"] == []


def test_the_history_tells_who_changed_what_and_when(me: Client, desk: Client, consenting) -> None:
    me.patch(ME, {"tone": "plain", "quiet_hours": {"from": "21:00", "to": "08:00"}}, headers={"if-match": '"0"'})
    theirs = f"{NORTHGATE}/patients/{consenting.id}/preferences"
    desk.patch(theirs, {"large_print": True}, headers={"if-match": '"1"'})

    newest, first = me.get(f"{ME}/history").json()["results"]
    assert (first["version"], first["changed_by"], first["changed"]) == (1, "patient", ["tone", "quiet_hours"])
    assert (newest["version"], newest["changed_by"], newest["changed"]) == (2, "staff", ["large_print"])
    assert first["preferences"]["large_print"] is False
    assert newest["preferences"] == me.get(ME).json()
    assert desk.get(f"{theirs}/history").json() == me.get(f"{ME}/history").json()


def test_what_applied_at_a_moment_is_the_first_of_what_was_said_until_then(me: Client, consenting, now) -> None:
    for days, tone in ((3, Tone.PLAIN), (1, Tone.FORMAL)):
        change_preferences(
            clinic_id=consenting.clinic_id,
            patient_id=consenting.id,
            change=PreferenceChange(tone=tone),
            actor=consenting.actor,
            now=now - timedelta(days=days),
        )

    then = (now - timedelta(days=2)).isoformat().replace("+00:00", "Z")
    answer = me.get(f"{ME}/history", {"at": then}).json()["results"]
    assert [one["preferences"]["tone"] for one in answer] == ["plain"]
    assert me.get(f"{ME}/history", {"at": "yesterday"}).status_code == 400


def test_a_long_history_comes_in_pages(me: Client) -> None:
    for _again in range(5):
        me.patch(ME, {"digest": True}, headers={"if-match": "*"})

    first = me.get(f"{ME}/history", {"limit": 3}).json()
    second = me.get(f"{ME}/history", {"limit": 3, "cursor": first["next"]}).json()
    assert [one["version"] for one in first["results"] + second["results"]] == [5, 4, 3, 2, 1]
    assert second["next"] is None


def test_the_officer_reads_the_history_and_a_stranger_finds_nothing(officer, stranger, consenting) -> None:
    theirs = f"patients/{consenting.id}/preferences/history"

    assert officer.get(f"{NORTHGATE}/{theirs}").status_code == 200
    assert stranger.get(f"{NORTHGATE}/{theirs}").status_code == 404
    assert stranger.get(f"/api/v1/clinics/southbank/{theirs}").status_code == 404


PREVIEW = f"{ME}/preview"


@pytest.fixture
def reminded(consenting, now):
    """Two reminders came yesterday and today."""
    for days in (1, 0):
        at = now - timedelta(days=days, minutes=5)
        make_appointment(consenting, starts_at=at + timedelta(days=1, hours=4), now=at)
        plan_programmes(now=at)
        deliver_due_messages(now=at, carriers=carriers_in_test())
    return consenting


def test_the_patient_sees_what_other_settings_would_have_changed(me: Client, reminded) -> None:
    answer = me.post(PREVIEW, {"preferences": {"frequency": {"max": 1, "per": "week"}}})

    assert answer.status_code == 200
    seen = answer.json()
    assert (seen["received"], seen["would_receive"], seen["truncated"]) == (2, 1, False)
    assert seen["sentence"] == "With these settings, 1 message would have come since 14 September 2026, instead of 2."
    (kept,), (not_sent,) = seen["kept"], seen["not_sent"]
    assert kept["would_come_at"] == kept["at"]
    assert (not_sent["would_come_at"], not_sent["channel"]) == (None, "push")
    assert [reason["code"] for reason in not_sent["reasons"]] == ["too_late", "frequency_cap"]
    assert not_sent["reasons"][1]["sentence"] == "As many messages as wanted were sent already."
    assert me.get(ME).json()["version"] == 0


def test_the_preview_is_in_french_too(me: Client, reminded) -> None:
    french = {"accept-language": "fr"}
    fewer = me.post(PREVIEW, {"preferences": {"purposes": {REMINDER: False}}, "days": 7}, headers=french).json()
    same = me.post(PREVIEW, {}, headers=french).json()

    assert fewer["sentence"] == "Avec ces réglages, 0 message serait arrivé depuis le 7 octobre 2026, au lieu de 2."
    assert fewer["not_sent"][0]["reasons"][0]["sentence"] == "Cette finalité est désactivée dans les préférences."
    assert (
        same["sentence"]
        == "Avec ces réglages, 2 messages seraient arrivés depuis le 14 septembre 2026, autant qu’en réalité."
    )


def test_staff_try_settings_with_the_patient_and_nobody_else_does(desk, officer, stranger, reminded) -> None:
    theirs = f"{NORTHGATE}/patients/{reminded.id}/preferences/preview"
    asked = {"preferences": {"channel_order": ["email"]}}

    seen = desk.post(theirs, asked).json()
    assert [(one["was_channel"], one["channel"]) for one in seen["kept"]] == [("push", "email")] * 2
    assert officer.post(theirs, asked).status_code == 403
    assert stranger.post(theirs, asked).status_code == 404


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"days": 0}, "days"),
        ({"days": 91}, "days"),
        ({"days": "30"}, "days"),
        ({"preferences": {"snooze": True}}, "preferences.snooze"),
        ({"preferences": {"purposes": {"nothing_known": True}}}, "purposes"),
        ({"tone": "plain"}, "tone"),
    ],
)
def test_what_can_not_be_tried_is_refused_by_its_name(me: Client, asked: dict[str, object], field: str) -> None:
    answer = me.post(PREVIEW, asked)

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
