"""Whatever is refused is refused in one form, and by a known bearer it is recorded."""

import json
import logging

import pytest

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.queries import entries_of, open_entries
from backend.audit.recording import record
from tests.api.conftest import Client
from tests.factories.programmes import REMINDER

NORTHGATE = "/api/v1/clinics/northgate"
MEMBERS = {"type", "title", "status", "detail", "code", "errors", "request_id"}


def is_problem(answer, status: int, code: str) -> bool:
    body = answer.json()
    return (
        (answer.status_code, body["status"], body["code"]) == (status, status, code)
        and answer["Content-Type"] == "application/problem+json"
        and body.keys() >= MEMBERS
        and body["request_id"] == answer["X-Request-ID"]
    )


def test_without_a_token_one_is_asked_for(nobody: Client) -> None:
    answer = nobody.get("/api/v1/me")

    assert is_problem(answer, 401, "not_authenticated")
    assert answer["WWW-Authenticate"] == 'Bearer realm="accord"'


@pytest.mark.parametrize("shown", ["Bearer wrong", "Bearer", "Basic abc", "Bearer é", "Bearer " + "x" * 500])
def test_a_token_that_is_none_is_refused(nobody: Client, shown: str) -> None:
    answer = nobody.get("/api/v1/me", headers={"authorization": shown})

    assert is_problem(answer, 401, "authentication_failed")
    assert 'error="invalid_token"' in answer["WWW-Authenticate"]


def test_roles_stay_where_they_belong(me: Client, desk: Client, officer: Client) -> None:
    assert is_problem(me.get(NORTHGATE), 403, "wrong_role")
    assert is_problem(desk.get("/api/v1/me"), 403, "wrong_role")
    assert is_problem(desk.get(f"{NORTHGATE}/audit/entries"), 403, "wrong_role")
    assert is_problem(officer.get("/api/v1/me/consents"), 403, "wrong_role")


def test_whoever_left_the_clinic_opens_nothing(northgate, outsider, as_member) -> None:
    answer = as_member(outsider, northgate).get(NORTHGATE)

    assert is_problem(answer, 403, "not_a_member")


def test_an_address_that_is_none_is_a_problem_too(me: Client) -> None:
    for path in ("/api/v1/nothing", "/nothing", "/api/v1/me/messages/no-id", "/api/v1/me/"):
        assert is_problem(me.get(path), 404, "not_found"), path


@pytest.mark.parametrize("method", ["put", "delete", "options"])
def test_a_method_that_is_none_is_a_problem(me: Client, method: str) -> None:
    answer = getattr(me, method)("/api/v1/me/consents")

    assert is_problem(answer, 405, "method_not_allowed")
    assert answer["Allow"] == "GET, HEAD, POST"


def test_answers_are_json_or_nothing(me: Client) -> None:
    assert is_problem(me.get("/api/v1/me", headers={"accept": "text/html"}), 406, "not_acceptable")
    assert is_problem(
        me.post("/api/v1/me/devices", data="a=b", content_type="application/x-www-form-urlencoded"),
        415,
        "unsupported_media_type",
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"code": \n "1", }', "not_json"),
        (b'{"code": "1", "code": "2"}', "duplicate_key"),
        (b'{"code": NaN}', "number_not_finite"),
        (b'{"code": 1e999}', "number_not_finite"),
        (b'{"code": ' + b"9" * 5000 + b"}", "number_not_finite"),
        (b'{"code": "\xff"}', "bad_utf8"),
        (b'{"code": "\\ud800"}', "bad_character"),
        (b'{"code": "\\u0000"}', "bad_character"),
        (b"[" * 100_000, "nested_too_deep"),
        (b'{"code": ' + b"[" * 80 + b"]" * 80 + b"}", "nested_too_deep"),
    ],
)
def test_a_body_that_is_no_json_says_where(me: Client, body: bytes, reason: str) -> None:
    answer = me.post("/api/v1/me/devices", data=body, content_type="application/json")

    assert is_problem(answer, 400, "malformed")
    assert answer.json()["reason"] == reason
    if reason == "not_json":
        assert (answer.json()["line"], answer.json()["column"]) == (2, 7)


def test_a_body_that_is_too_large_is_not_read(me: Client) -> None:
    answer = me.post("/api/v1/me/devices", data=b'"' + b"x" * 1_100_000 + b'"', content_type="application/json")

    assert is_problem(answer, 413, "too_large")


@pytest.mark.parametrize("body", ["null", "[]", '"text"', "1", "true"])
def test_a_body_that_is_no_object_is_refused(me: Client, body: str) -> None:
    answer = me.post("/api/v1/me/devices", data=body, content_type="application/json")

    assert is_problem(answer, 400, "invalid")


def test_types_are_meant_and_unknown_fields_are_named(me: Client) -> None:
    answer = me.post(
        "/api/v1/me/consents",
        {
            "purpose": 1,
            "channels": "sms",
            "decision": "given",
            "notice_version": "1",
            "language": "fr",
            "surprise": True,
        },
    )

    assert is_problem(answer, 400, "invalid")
    assert {(error["field"], error["code"]) for error in answer.json()["errors"]} == {
        ("purpose", "invalid"),
        ("channels", "not_a_list"),
        ("notice_version", "invalid"),
        ("surprise", "unknown_field"),
    }


def test_nested_errors_name_their_place(desk: Client) -> None:
    variant = {"channel": "sms", "language": "fr", "tone": "formal"}

    answer = desk.post(f"{NORTHGATE}/templates", {"slug": "x", "purpose": REMINDER, "variants": [variant]})

    assert answer.json()["errors"] == [
        {"field": "variants[0].body", "code": "required", "message": "This field is required."}
    ]


@pytest.mark.parametrize(
    "query", ["cursor=abc", "limit=0", "limit=1000", "limit=%C2%B2", "state=nowhere", "surprise=1", "language=de"]
)
def test_a_query_that_makes_no_sense_is_refused(desk: Client, query: str) -> None:
    assert is_problem(desk.get(f"{NORTHGATE}/messages?{query}"), 400, "invalid")


@pytest.mark.parametrize(
    "limit",
    ["", "0", "-1", "+5", "05", "101", "00000000199", "0" * 9 + "1" * 30, "1e1", "5.0", "%205", "5%0A"],
)
def test_a_page_holds_one_to_a_hundred_rows_and_no_other_number(desk: Client, limit: str) -> None:
    answer = desk.get(f"{NORTHGATE}/messages?limit={limit}")

    assert is_problem(answer, 400, "invalid")
    assert [(error["field"], error["code"]) for error in answer.json()["errors"]] == [("limit", "invalid_limit")]


@pytest.mark.parametrize("limit", ["1", "99", "100"])
def test_a_page_may_hold_a_hundred_rows(desk: Client, limit: str) -> None:
    assert desk.get(f"{NORTHGATE}/messages?limit={limit}").status_code == 200


def test_sentences_follow_the_language(me: Client) -> None:
    body = {"purpose": "unheard_of", "channels": ["sms"], "decision": "withdrawn"}

    english = me.post("/api/v1/me/consents", body)
    french = me.post("/api/v1/me/consents?language=fr", body)
    also_french = me.post("/api/v1/me/consents", body, headers={"accept-language": "fr-FR,fr;q=0.9"})

    assert english.json()["detail"] == "This purpose does not exist here."
    assert french.json()["detail"] == also_french.json()["detail"] == "Cette finalité n’existe pas ici."


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/v1/me/consents", {"purpose": "unheard_of", "decision": "given"}, "purpose"),
        ("/api/v1/me/consents", {"purpose": REMINDER, "decision": "given", "notice_version": 99}, "notice_version"),
        ("/api/v1/me/consents", {"purpose": "unheard_of", "decision": "withdrawn"}, "purpose"),
    ],
)
def test_what_a_body_names_and_is_not_there_is_a_mistake_of_the_body(
    me: Client, path: str, body: dict[str, object], field: str
) -> None:
    answer = me.post(path, {"channels": ["sms"], "notice_version": 1, "language": "fr", **body})

    assert is_problem(answer, 400, "invalid")
    assert [(error["field"], error["code"]) for error in answer.json()["errors"]] == [(field, "not_found")]
    assert answer.json()["title"] == "A value can not be used."


@pytest.mark.parametrize("path", ["programmes", "templates"])
def test_a_purpose_that_staff_name_and_is_not_there_is_a_mistake_of_the_body(doctor: Client, path: str) -> None:
    words = {"channel": "sms", "language": "fr", "tone": "formal", "body": "Bonjour"}
    step = {"key": "one", "offset": {"days": -1}, "at": "09:00", "worth_for_hours": 5, "template": REMINDER}
    own: dict[str, dict[str, object]] = {
        "templates": {"variants": [words]},
        "programmes": {
            "names": {"fr": "Un", "en": "One"},
            "definition": {"occasion": {"kind": "appointment"}, "steps": [step]},
        },
    }

    answer = doctor.post(f"{NORTHGATE}/{path}", {"slug": "new", "purpose": "unheard_of", **own[path]})

    assert is_problem(answer, 400, "invalid")
    assert [error["field"] for error in answer.json()["errors"]] == ["purpose"]


def test_a_foreign_host_leaves_one_line_without_its_name(nobody: Client, caplog) -> None:
    with caplog.at_level(logging.INFO):
        answer = nobody.get("/api/v1/me", headers={"host": "evil.example"})

    assert is_problem(answer, 400, "bad_request")
    said = [record for record in caplog.records if record.name == "django.security.DisallowedHost"]
    assert len(said) == 1
    assert "evil" not in caplog.text
    assert "Traceback" not in caplog.text


def test_too_many_requests_are_told_when_to_come_back(me: Client, settings) -> None:
    settings.REST_FRAMEWORK = {
        **settings.REST_FRAMEWORK,
        "DEFAULT_THROTTLE_RATES": {"token": "2/minute", "address": "1/minute"},
    }

    answers = [me.get("/api/v1/me/consents") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert is_problem(answers[2], 429, "throttled")
    assert 1 <= int(answers[2]["Retry-After"]) <= 60


def test_guessing_tokens_is_slow_and_costs_nobody_else(me: Client, nobody: Client, settings) -> None:
    settings.REST_FRAMEWORK = {
        **settings.REST_FRAMEWORK,
        "DEFAULT_THROTTLE_RATES": {"token": "9/minute", "address": "2/minute"},
    }

    guesses = [nobody.get("/api/v1/me", headers={"authorization": f"Bearer guess-{n}"}) for n in range(3)]

    assert [answer.status_code for answer in guesses] == [401, 401, 429]
    assert me.get("/api/v1/me/consents").status_code == 200


def refusals_of(clinic, officer_entry) -> list[tuple[str, str, str]]:
    opened = open_entries(entries_of(clinic_id=clinic.id, before=None, limit=20), entry=officer_entry)
    return [
        (one.actor_kind, str(part.details["reason"]), str(part.details["request"]))
        for one in opened
        for part in one.parts
        if one.code == "access.refused"
    ]


def test_what_is_refused_to_a_known_bearer_is_recorded(me, desk, stranger, nobody, northgate, southbank, now) -> None:
    nobody.get(NORTHGATE)
    me.get(NORTHGATE)
    desk.post(f"{NORTHGATE}/programmes/{desk.get(f'{NORTHGATE}/programmes').json()['results'][0]['id']}/approve")
    stranger.get(f"{NORTHGATE}/patients")

    with record(Action.LOG_READ, by=system_actor(), now=now, clinic_id=northgate.id, count=20) as entry:
        at_northgate = refusals_of(northgate, entry)
    with record(Action.LOG_READ, by=system_actor(), now=now, clinic_id=southbank.id, count=20) as entry:
        at_southbank = refusals_of(southbank, entry)

    assert at_northgate == [
        ("staff", "not_a_health_professional", "post:programme-approve"),
        ("patient", "wrong_role", "get:clinic"),
    ]
    assert at_southbank == [("staff", "not_found", "get:patients")]


def test_what_nobody_expected_is_a_problem_with_an_id_and_nothing_else(me: Client, monkeypatch, caplog) -> None:
    me.raise_request_exception = False
    monkeypatch.setattr("backend.api.me.reveal_profiles", lambda *_args, **_options: {})

    with caplog.at_level(logging.CRITICAL, logger="django.request"):
        answer = me.get("/api/v1/me")

    assert is_problem(answer, 500, "server_error")
    assert json.loads(answer.content).keys() == MEMBERS
