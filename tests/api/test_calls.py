"""The call list through the API: taken, made, told; for staff only."""

import pytest

from tests.messaging.test_calls import by_phone, waiting  # noqa: F401 - fixtures

CALLS = "/api/v1/clinics/northgate/calls"


@pytest.mark.usefixtures("waiting")
def test_a_call_is_taken_and_told(desk):
    (call,) = desk.get(CALLS).json()["results"]
    assert set(call) == {"message", "patient", "purpose", "due_at", "expires_at", "tries"}

    taken = desk.post(f"{CALLS}/{call['message']}/take").json()
    assert taken["family_name"] == "Auboutdufil"
    assert taken["words"].startswith("Bonjour")
    assert desk.post(f"{CALLS}/{call['message']}/take").json()["code"] == "call_not_waiting"
    assert desk.post(f"{CALLS}/{call['message']}/outcome", {"outcome": "hung_up"}).status_code == 400
    ended = desk.post(f"{CALLS}/{call['message']}/outcome", {"outcome": "asked_not_to_be_called"}).json()

    assert ended == {"state": "failed", "withdrawn": 1, "confirmed": True}
    assert desk.get(CALLS).json()["results"] == []


def test_nobody_but_staff_of_the_clinic_sees_it(waiting, me, officer, stranger, nobody):  # noqa: F811 - a fixture
    for client in (me, officer, stranger, nobody):
        assert client.get(CALLS).status_code in {401, 403, 404}
        assert client.post(f"{CALLS}/{waiting.id}/take").status_code in {401, 403, 404}
        assert client.post(f"{CALLS}/{waiting.id}/outcome", {"outcome": "reached"}).status_code in {401, 403, 404}
