"""The examples in the description are requests that work."""

import pytest

from backend.api import examples
from backend.patients.models import ContactPoint
from tests.api.conftest import Client
from tests.factories.programmes import offer_confirmations

NORTHGATE = "/api/v1/clinics/northgate"


@pytest.mark.parametrize("said", [examples.YES, examples.NO_LONGER])
def test_an_app_says_it_so(as_patient, silent, said) -> None:
    assert as_patient(silent).post("/api/v1/me/consents", said).status_code == 201


@pytest.mark.parametrize("said", [examples.ON_PAPER, examples.ALOUD, examples.NO_LONGER])
def test_staff_take_it_down_so(desk: Client, silent, said) -> None:
    assert desk.post(f"{NORTHGATE}/patients/{silent.id}/consents", said).status_code == 201


def test_preferences_are_said_so(me: Client) -> None:
    answer = me.patch("/api/v1/me/preferences", examples.EVENINGS_OFF, headers={"if-match": "*"})

    assert answer.status_code == 200


def test_preferences_are_tried(me: Client) -> None:
    assert me.post("/api/v1/me/preferences/preview", examples.TRIAL).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("patients", examples.PERSON, 201),
        ("patients/search", examples.SEARCH, 200),
        ("programmes", examples.PROGRAMME, 201),
        ("templates", examples.TEMPLATE, 201),
        ("fhir", examples.BUNDLE, 200),
    ],
)
def test_staff_send_it_so(desk: Client, path, body, status) -> None:
    answer = desk.post(f"{NORTHGATE}/{path}", body)

    assert answer.status_code == status, answer.content
    if path == "fhir":
        assert answer.json()["counts"] == {"created": 2, "updated": 0, "unchanged": 0, "refused": 0, "unusable": 0}


def test_a_device_signs_in_so(me: Client) -> None:
    assert me.post("/api/v1/me/devices", examples.DEVICE).status_code == 201


def test_a_link_is_sent_so(desk: Client, northgate, silent, reception, now) -> None:
    offer_confirmations(northgate.id, actor=reception, now=now)
    point = ContactPoint.objects.get(patient_id=silent.id, kind="email")

    answer = desk.post(
        f"{NORTHGATE}/patients/{silent.id}/consent-requests", {**examples.BY_LINK, "contact_point": str(point.id)}
    )

    assert answer.status_code == 201, answer.content
