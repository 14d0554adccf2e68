"""What is wrong with a value is said in a sentence, in the language that was asked for, without the value."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.utils import translation
from rest_framework import serializers
from rest_framework.settings import api_settings

from backend.api import (
    clinics,
    consents,
    fields,
    me,
    messages,
    patients,
    preferences,
    previewing,
    programmes,
    templates,
)
from backend.api.sentences import FIELDS, NAMED, OURS_BY_CODE, PROBLEMS, field_sentence
from backend.policy.vocabulary import Language
from tests.api.conftest import Client
from tests.factories.programmes import REMINDER

NORTHGATE = "/api/v1/clinics/northgate"
ME = "/api/v1/me"
PLACES = (clinics, consents, fields, me, messages, patients, preferences, previewing, programmes, templates)
# These can not be reached: our fields read no dates, times and numbers through the framework.
FRAMEWORK_ONLY = {
    "overflow",
    "make_aware",
    "date",
    "datetime",
    "max_string_length",
    "surrogate_characters_not_allowed",
}


def is_sentence(text: str) -> bool:
    return text[0].isupper() and text.endswith(".") and " " in text and "|" not in text and "{" not in text


def inputs() -> Iterator[type[fields.Input]]:
    for place in PLACES:
        for found in vars(place).values():
            if isinstance(found, type) and issubclass(found, fields.Input):
                yield found


def fields_of(one: Any) -> Iterator[serializers.Field]:
    yield one
    if isinstance(one, serializers.Serializer):
        for field in one.fields.values():
            yield from fields_of(field)
    if hasattr(one, "child"):
        yield from fields_of(one.child)


@pytest.mark.parametrize("language", list(Language))
def test_every_sentence_is_one(language: Language) -> None:
    said = [field_sentence(key, language, words=["a", "b"]) for key in FIELDS]
    said += [one[language] for one in [*NAMED.values(), *PROBLEMS.values()]]

    assert [one for one in said if not is_sentence(one)] == []


@pytest.mark.parametrize("language", list(Language))
def test_whatever_a_field_of_ours_says_is_a_sentence(language: Language) -> None:
    parts = {"max_length": 5, "min_length": 1, "max_value": 9, "min_value": 1, "datatype": "int", "length": 3}
    with translation.override(language):
        bad = {
            (type(field).__name__, code): str(message)
            for one in inputs()
            for field in fields_of(one())
            for code, message in field.error_messages.items()
            if code not in OURS_BY_CODE | {"invalid_choice", *FRAMEWORK_ONLY}
            and not is_sentence(str(message).format(**parts, input="", input_type="", value="", format=""))
        }

    assert bad == {}


SAYING = {"purpose": REMINDER, "channels": ["sms"], "decision": "given", "notice_version": 1, "language": "fr"}
VACCINE = {"kind": "immunisation", "topic": "influenza"}
SECRET = "zz-secret-zz"
WRONG: list[tuple[str, str, Mapping[str, Any], str, str]] = [
    ("me", f"{ME}/consents", {**SAYING, "language": 5}, "language", "invalid_choice"),
    ("me", f"{ME}/consents", {**SAYING, "language": SECRET}, "language", "invalid_choice"),
    ("me", f"{ME}/consents", {**SAYING, "channels": [SECRET]}, "channels[0]", "invalid_choice"),
    ("me", f"{ME}/consents", {**SAYING, "channels": SECRET}, "channels", "not_a_list"),
    ("me", f"{ME}/consents", {**SAYING, "channels": []}, "channels", "empty"),
    ("me", f"{ME}/consents", {**SAYING, "purpose": "Not A Slug"}, "purpose", "invalid_slug"),
    ("me", f"{ME}/consents", {**SAYING, "shown": SECRET}, "shown", "invalid"),
    ("me", f"{ME}/consents", {**SAYING, "shown": {"initial_state": SECRET}}, "shown.initial_state", "invalid_choice"),
    ("me", f"{ME}/consents", {"purpose": REMINDER, "channels": ["sms"], "decision": "given"}, "language", "required"),
    ("me", f"{ME}/consents", {**SAYING, "surprise": SECRET}, "surprise", "unknown_field"),
    ("me", f"{ME}/devices", {"kind": "token", "token": "\u0001"}, "token", "bad_character"),
    ("me", f"{ME}/devices", {"kind": "token", "token": f"a\n{SECRET}"}, "token", "line"),
    ("me", f"{ME}/devices", {"kind": "token", "token": "\x1fabc"}, "token", "bad_character"),
    ("me", f"{ME}/contact-points", {"kind": "fax", "value": "1"}, "kind", "invalid_choice"),
    ("desk", f"{NORTHGATE}/patients", {"family_name": "A", "birth_date": "2050-01-01"}, "birth_date", "date_in_future"),
    ("desk", f"{NORTHGATE}/patients", {"family_name": "A", "birth_date": "31/12/1980"}, "birth_date", "form"),
    ("desk", f"{NORTHGATE}/patients", {"family_name": "A", "birth_date": "1820-12-31"}, "birth_date", "range"),
    (
        "desk",
        f"{NORTHGATE}/patients",
        {"family_name": "A", "address": {"country": "Narnia"}},
        "address.country",
        "code_not_understood",
    ),
    ("desk", f"{NORTHGATE}/patients", {"family_name": 5}, "family_name", "invalid"),
    ("desk", f"{NORTHGATE}/patients/search", {}, "", "exactly_one"),
    (
        "desk",
        f"{NORTHGATE}/templates",
        {
            "slug": "x",
            "purpose": REMINDER,
            "variants": [{"channel": "sms", "language": "fr", "tone": "formal", "body": "A"}] * 2,
        },
        "variants",
        "variant_twice",
    ),
]


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize(("who", "path", "body", "field", "code"), WRONG)
def test_a_refusal_names_the_field_and_says_why(request, who, path, body, field, code, language) -> None:
    client: Client = request.getfixturevalue(who)

    answer = client.post(f"{path}?language={language}", data=json.dumps(body), content_type="application/json")

    assert answer.status_code == 400, answer.content
    found = {(error["field"], error["code"]): error["message"] for error in answer.json()["errors"]}
    assert (field, code) in found
    assert all(is_sentence(message) for message in found.values()), found
    assert SECRET not in answer.content.decode()


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize(
    "query", ["cursor=abc", "limit=0", "state=zz-secret-zz", "patient=zz-secret-zz", "surprise=zz-secret-zz"]
)
def test_a_query_is_refused_in_a_sentence(desk: Client, query: str, language: str) -> None:
    answer = desk.get(f"{NORTHGATE}/messages?{query}&language={language}")

    assert answer.status_code == 400
    assert all(is_sentence(error["message"]) for error in answer.json()["errors"])
    assert SECRET not in answer.content.decode()


def test_a_parameter_that_no_list_knows_is_refused_for_preferences_too(me: Client) -> None:
    assert me.get(f"{ME}/preferences?surprise=1").json()["errors"][0]["code"] == "unknown_parameter"


def test_a_language_that_there_is_not_is_refused_in_a_sentence(me: Client) -> None:
    [error] = me.get(f"{ME}?language=zz").json()["errors"]

    assert error == {"field": "language", "code": "invalid_choice", "message": "The possible values are: fr, en."}


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"tone": 5}, "tone", "invalid_choice"),
        ({"frequency": {"max": 1, "per": "year"}}, "frequency.per", "invalid_choice"),
        ({"frequency": {"max": 1.5, "per": "day"}}, "frequency.max", "invalid"),
        ({"quiet_hours": {"from": "22:00", "to": "22:00"}}, "quiet_hours.to", "same_hours"),
        ({"quiet_hours": {"from": "22:00", "to": "22:00:00"}}, "quiet_hours.to", "same_hours"),
        ({"quiet_hours": {"from": "10pm", "to": "7am"}}, "quiet_hours.from", "form"),
        ({"paused_until": "1900-01-01T00:00:00+14:00"}, "paused_until", "range"),
        ({"paused_until": "2199-12-31T23:59:00-12:00"}, "paused_until", "range"),
        ({"paused_until": "0001-01-01T00:00:00+14:00"}, "paused_until", "range"),
        ({"paused_until": "9999-12-31T23:59:00-12:00"}, "paused_until", "range"),
        ({"paused_until": "2026-12-01"}, "paused_until", "form"),
        ({"purposes": []}, "purposes", "not_a_dict"),
        ({"digest": "yes"}, "digest", "invalid"),
    ],
)
def test_a_preference_that_makes_no_sense_is_refused(me: Client, change, field: str, code: str) -> None:
    answer = me.patch(f"{ME}/preferences", change, headers={"if-match": "*"})

    assert answer.status_code == 400
    found = {(error["field"], error["code"]): error["message"] for error in answer.json()["errors"]}
    assert (field, code) in found, found
    assert all(is_sentence(message) for message in found.values()), found


@pytest.mark.parametrize("name", ["France", "FR", "fr", "Algérie", "Germany", "Côte d'Ivoire", "USA", "maroc", ""])
def test_a_country_that_exists_is_taken(desk: Client, name: str) -> None:
    answer = desk.post(f"{NORTHGATE}/patients", {"family_name": "Durand", "address": {"country": name}})

    assert answer.status_code == 201, answer.content


@pytest.mark.parametrize(
    ("parts", "field", "code"),
    [
        ({**VACCINE, "status": "done", "starts_at": "2150-01-01T10:00:00Z"}, "starts_at", "date_in_future"),
        ({"status": "fulfilled", "starts_at": "2030-01-01T10:00:00Z"}, "starts_at", "date_in_future"),
        ({"status": "booked", "starts_at": "1900-01-02T10:00:00Z"}, "starts_at", "date_out_of_range"),
        ({"status": "booked", "starts_at": "2150-01-01T10:00:00Z"}, "starts_at", "date_out_of_range"),
        ({"status": "booked", "ends_at": "2190-01-01T10:00:00Z"}, "ends_at", "date_out_of_range"),
        ({"status": "booked", "ends_at": "2020-01-01T10:00:00Z"}, "ends_at", "end_before_start"),
        ({"status": "done"}, "status", "invalid_choice"),
        ({"topic": "influenza"}, "topic", "topic_of_immunisations_only"),
        ({"patient": "00000000-0000-0000-0000-000000000001"}, "patient", "not_found"),
        ({"label": "a\u0007"}, "label", "bad_character"),
        ({"source_id": "a\tb"}, "source_id", "line"),
    ],
)  # fmt: skip
def test_an_occasion_out_of_its_time_is_refused(desk: Client, consenting, parts, field: str, code: str) -> None:
    good = {"patient": str(consenting.id), "kind": "appointment", "status": "booked"}

    answer = desk.post(f"{NORTHGATE}/occasions", {**good, "starts_at": "2026-12-09T14:30:00+01:00", **parts})

    assert answer.status_code == 400, answer.content
    found = {(error["field"], error["code"]): error["message"] for error in answer.json()["errors"]}
    assert (field, code) in found, found
    assert all(is_sentence(message) for message in found.values()), found


def test_the_framework_has_no_other_name_for_errors_about_the_whole() -> None:
    assert api_settings.NON_FIELD_ERRORS_KEY == "non_field_errors"


def test_a_bundle_of_history_is_refused_with_a_code_and_a_sentence(desk: Client) -> None:
    resource = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Durand"}]}

    for kind in ("history", "transaction-response"):
        answer = desk.post(
            f"{NORTHGATE}/fhir", {"resourceType": "Bundle", "type": kind, "entry": [{"resource": resource}]}
        )

        assert answer.json()["counts"]["created"] == 0
        [row] = answer.json()["rows"]
        assert (row["line"], row["field"], row["reason"]) == (0, "type", "bundle_type_not_read")
        assert is_sentence(row["sentence"])
