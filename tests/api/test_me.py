"""What the app of one patient can ask and say."""

from tests.api.conftest import Client
from tests.factories.programmes import RECALL, REMINDER


def test_the_app_shows_who_the_clinic_says_you_are(me: Client, consenting) -> None:
    answer = me.get("/api/v1/me")

    assert answer.status_code == 200
    assert answer.json()["id"] == str(consenting.id)
    assert answer.json()["family_name"] == "Oui"
    assert answer.json()["clinic"]["slug"] == "northgate"
    assert answer["Cache-Control"] == "no-store"


def test_every_purpose_is_listed_on_every_channel_and_silence_is_none(as_patient, silent) -> None:
    answer = as_patient(silent).get("/api/v1/me/consents")

    states = answer.json()["results"]
    assert {(one["purpose"], one["channel"]) for one in states} == {
        (purpose, channel) for purpose in (REMINDER, RECALL) for channel in ("push", "sms", "email")
    }
    assert {one["state"] for one in states} == {"none"}


def test_a_patient_says_yes_to_the_notice_and_then_no_longer(as_patient, silent) -> None:
    app = as_patient(silent)
    version = app.get("/api/v1/me/notices?language=fr").json()["results"][0]["version"]
    yes = {
        "purpose": REMINDER,
        "channels": ["sms"],
        "decision": "given",
        "notice_version": version,
        "language": "fr",
        "shown": {"initial_state": "off"},
    }

    given = app.post("/api/v1/me/consents", yes)
    withdrawn = app.post("/api/v1/me/consents", {"purpose": REMINDER, "channels": ["sms"], "decision": "withdrawn"})
    again = app.post("/api/v1/me/consents", {"purpose": REMINDER, "channels": ["sms"], "decision": "withdrawn"})

    assert given.status_code == 201, given.content
    assert given.json()["state"] == "given"
    for answer in (withdrawn, again):
        assert answer.status_code == 201
        assert answer.json()["confirmed"] is True
        assert answer.json()["already_left"] == []
        assert answer.json()["in_doubt"] == []
    states = {
        one["channel"]: one for one in app.get("/api/v1/me/consents").json()["results"] if one["purpose"] == REMINDER
    }
    assert states["sms"]["state"] == "withdrawn"


def test_a_yes_needs_the_notice_it_is_said_to(as_patient, silent) -> None:
    answer = as_patient(silent).post(
        "/api/v1/me/consents", {"purpose": REMINDER, "channels": ["sms"], "decision": "given"}
    )

    assert answer.status_code == 400
    assert {error["field"] for error in answer.json()["errors"]} == {"notice_version", "language"}


def test_a_box_ticked_beforehand_is_no_consent(as_patient, silent) -> None:
    answer = as_patient(silent).post(
        "/api/v1/me/consents",
        {
            "purpose": REMINDER,
            "channels": ["sms"],
            "decision": "given",
            "notice_version": 1,
            "language": "en",
            "shown": {"initial_state": "on"},
        },
    )

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "evidence.initial_state"


def test_preferences_are_changed_from_the_version_that_was_read(me: Client) -> None:
    read = me.get("/api/v1/me/preferences")
    change = {
        "channel_order": ["email", "sms"],
        "frequency": {"max": 2, "per": "week"},
        "tone": "plain",
        "language": "en",
        "quiet_hours": {"from": "21:00", "to": "08:00", "time_zone": "Europe/Paris"},
        "purposes": {REMINDER: False},
        "discreet": False,
        "digest": True,
        "paused_until": "2026-12-01T00:00:00+01:00",
    }

    without = me.patch("/api/v1/me/preferences", change)
    changed = me.patch("/api/v1/me/preferences", change, headers={"if-match": read["ETag"]})
    stale = me.patch("/api/v1/me/preferences", {"tone": "formal"}, headers={"if-match": read["ETag"]})

    assert without.status_code == 428
    assert changed.status_code == 200, changed.content
    assert stale.status_code == 412
    wire = changed.json()
    assert {name: wire[name] for name in change if name not in {"purposes", "paused_until"}} == {
        name: change[name] for name in change if name not in {"purposes", "paused_until"}
    }
    assert wire["purposes"] == {REMINDER: False, RECALL: True}
    assert wire["paused_until"] == "2026-11-30T23:00:00Z"
    assert me.get("/api/v1/me/preferences", headers={"if-none-match": changed["ETag"]}).status_code == 304


def test_a_device_signs_in_and_out(me: Client) -> None:
    signed_in = me.post("/api/v1/me/devices", {"token": "abc", "kind": "fid"})
    device = signed_in.json()["id"]

    assert signed_in.status_code == 201, signed_in.content
    assert device in {one["id"] for one in me.get("/api/v1/me/devices").json()["results"]}
    assert me.delete(f"/api/v1/me/devices/{device}").status_code == 204
    assert device not in {one["id"] for one in me.get("/api/v1/me/devices").json()["results"]}
    assert me.delete(f"/api/v1/me/devices/{device}").status_code == 404


def test_contact_points_are_shown_to_their_owner_only_with_their_value(me: Client) -> None:
    points = me.get("/api/v1/me/contact-points").json()["results"]

    assert {one["kind"] for one in points} == {"phone", "email"}
    assert all(one["status"] == "attested" for one in points)


def test_a_wrong_code_is_refused_and_counted(me: Client) -> None:
    point = me.get("/api/v1/me/contact-points").json()["results"][0]["id"]

    answer = me.post(f"/api/v1/me/contact-points/{point}/verify", {"code": "000000"})

    assert answer.status_code == 409
    assert answer.json()["code"] == "code_refused"
