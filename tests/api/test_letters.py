"""Letters through the API: an address, a batch, its PDF, and what became of it; for staff only."""

import pytest

from tests.messaging.test_letters import LINES, by_post, due  # noqa: F401 - fixtures

CLINIC = "/api/v1/clinics/northgate"


@pytest.mark.usefixtures("due")
def test_a_batch_is_made_printed_posted_and_one_comes_back(desk):
    assert desk.get(f"{CLINIC}/print-batches").json() == {"waiting": 1, "results": []}

    batch = desk.post(f"{CLINIC}/print-batches").json()
    (letter,) = desk.get(f"{CLINIC}/print-batches/{batch['id']}").json()["results"]
    pdf = desk.get(f"{CLINIC}/print-batches/{batch['id']}/pdf")

    assert batch["to_tell"] == 1
    assert (letter["state"], letter["may_be_posted"], letter["reasons"]) == ("in_doubt", True, [])
    assert pdf["Content-Type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF-")
    told = desk.post(f"{CLINIC}/print-batches/{batch['id']}/posted", {"not_posted": []}).json()
    assert told == {"posted": 1, "not_posted": 0}
    assert desk.post(f"{CLINIC}/letters/{letter['message']}/returned").status_code == 204
    assert desk.get(f"{CLINIC}/print-batches/{batch['id']}").json()["results"][0]["state"] == "failed"
    assert desk.post(f"{CLINIC}/print-batches").json()["code"] == "nothing_to_print"


def test_staff_write_an_address_down_and_attest_it(desk, silent):
    patient = f"{CLINIC}/patients/{silent.id}"

    made = desk.post(f"{patient}/postal-address", {"lines": LINES})

    assert made.status_code == 201
    shown = {one["id"]: one for one in desk.get(f"{patient}/contact-points").json()["results"]}[made.json()["id"]]
    assert (shown["kind"], shown["value"], shown["status"]) == ("postal", "\n".join(LINES), "unverified")
    told = desk.post(f"{patient}/contact-points/{shown['id']}/attest", {"how": "seen_in_person"}).json()
    assert told["status"] == "attested"
    assert desk.post(f"{patient}/postal-address", {"lines": ["a"]}).json()["code"] == "invalid"


def test_nobody_but_staff_of_the_clinic_prints(due, me, officer, stranger, nobody):  # noqa: F811 - a fixture
    for client in (me, officer, stranger, nobody):
        assert client.post(f"{CLINIC}/print-batches").status_code in {401, 403, 404}
        assert client.get(f"{CLINIC}/print-batches").status_code in {401, 403, 404}
        assert client.get(f"{CLINIC}/print-batches/{due.id}/pdf").status_code in {401, 403, 404}
        assert client.post(f"{CLINIC}/letters/{due.id}/returned").status_code in {401, 403, 404}
