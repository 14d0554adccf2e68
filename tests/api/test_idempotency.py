"""A client that lost the answer asks again, and what it asked for is done once."""

from datetime import timedelta

import pytest

from backend.api.models import IdempotencyKey
from backend.consent.models import ConsentEvent
from backend.patients.models import Patient
from tests.api.conftest import Client
from tests.factories.programmes import REMINDER

NORTHGATE = "/api/v1/clinics/northgate"
PERSON: dict[str, object] = {
    "family_name": "Secrète",
    "given_names": ["Ophélie"],
    "contact_points": [{"kind": "phone", "value": "06 39 98 11 22"}],
}


def test_the_same_request_again_is_answered_and_not_done_again(desk: Client) -> None:
    key = {"idempotency-key": "b0c7b7a2"}

    first = desk.post(f"{NORTHGATE}/patients", PERSON, headers=key)
    again = desk.post(f"{NORTHGATE}/patients", PERSON, headers=key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again["Location"] == first["Location"]
    assert again["Idempotency-Replayed"] == "true"
    assert Patient.objects.count() == 1


def test_without_a_key_it_is_done_again(desk: Client) -> None:
    for _ in range(2):
        desk.post(f"{NORTHGATE}/patients", PERSON)

    assert Patient.objects.count() == 2


def test_a_key_belongs_to_one_request(desk: Client) -> None:
    desk.post(f"{NORTHGATE}/patients", PERSON, headers={"idempotency-key": "k"})

    answer = desk.post(f"{NORTHGATE}/patients", {**PERSON, "family_name": "Autre"}, headers={"idempotency-key": "k"})

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def test_a_key_belongs_to_whoever_sent_it(desk: Client, doctor: Client) -> None:
    for client in (desk, doctor):
        assert client.post(f"{NORTHGATE}/patients", PERSON, headers={"idempotency-key": "k"}).status_code == 201

    assert Patient.objects.count() == 2


def test_what_was_refused_may_be_asked_again(desk: Client) -> None:
    key = {"idempotency-key": "k"}
    bad = {**PERSON, "contact_points": [{"kind": "phone", "value": "1"}]}

    assert desk.post(f"{NORTHGATE}/patients", bad, headers=key).status_code == 400
    assert desk.post(f"{NORTHGATE}/patients", PERSON, headers=key).status_code == 201


@pytest.mark.parametrize("key", ["", "two words", "é", "x" * 256])
def test_a_key_has_a_form(desk: Client, key: str) -> None:
    answer = desk.post(f"{NORTHGATE}/patients", PERSON, headers={"idempotency-key": key})

    assert answer.status_code == 400


def test_two_at_once_are_one(desk: Client, silent) -> None:
    desk.post(f"{NORTHGATE}/patients", PERSON, headers={"idempotency-key": "k"})
    IdempotencyKey.objects.update(status=None, answer=None)

    meanwhile = desk.post(f"{NORTHGATE}/patients", PERSON, headers={"idempotency-key": "k"})

    assert (meanwhile.status_code, meanwhile.json()["code"]) == (409, "idempotency_key_in_use")


def test_what_was_cut_off_is_done_again_after_a_while(desk: Client) -> None:
    desk.post(f"{NORTHGATE}/patients", PERSON, headers={"idempotency-key": "k"})
    long_ago = IdempotencyKey.objects.get().created_at - timedelta(minutes=3)
    IdempotencyKey.objects.update(status=None, answer=None, created_at=long_ago)

    assert desk.post(f"{NORTHGATE}/patients", PERSON, headers={"idempotency-key": "k"}).status_code == 201


def test_after_a_day_a_key_is_forgotten(desk: Client, settings) -> None:
    desk.post(f"{NORTHGATE}/patients", PERSON, headers={"idempotency-key": "old"})

    IdempotencyKey.objects.update(created_at=IdempotencyKey.objects.get().created_at - timedelta(hours=25))
    desk.post(f"{NORTHGATE}/patients", PERSON, headers={"idempotency-key": "new"})

    assert IdempotencyKey.objects.count() == 1


def test_a_withdrawal_that_is_repeated_is_one_event(me: Client, consenting) -> None:
    said = {"purpose": REMINDER, "channels": ["sms"], "decision": "withdrawn"}
    before = ConsentEvent.objects.count()

    answers = [me.post("/api/v1/me/consents", said, headers={"idempotency-key": "k"}).json() for _ in range(2)]

    assert answers[0] == answers[1]
    assert ConsentEvent.objects.count() == before + 1


def test_nothing_personal_is_kept_with_a_key(desk: Client, me: Client, consenting) -> None:
    keys = iter(range(100))

    def post(client: Client, path: str, body: dict[str, object]) -> None:
        answer = client.post(path, body, headers={"idempotency-key": f"k{next(keys)}"})
        assert answer.status_code == 201, answer.content

    post(desk, f"{NORTHGATE}/patients", PERSON)
    post(me, "/api/v1/me/devices", {"kind": "fid", "token": "device-of-ophelie"})
    post(me, "/api/v1/me/consents", {"purpose": REMINDER, "channels": ["sms"], "decision": "withdrawn"})
    post(
        desk,
        f"{NORTHGATE}/occasions",
        {
            "patient": str(consenting.id),
            "kind": "appointment",
            "status": "booked",
            "starts_at": "2026-12-01T09:00:00Z",
            "place": "Oncologie",
            "practitioner": "Dr Secret",
        },
    )

    kept = " ".join(str(list(row)) for row in IdempotencyKey.objects.values_list())
    for secret in ("Secr", "Oph", "0639981122", "device-of", "Oncologie", "Dr "):
        assert secret not in kept
