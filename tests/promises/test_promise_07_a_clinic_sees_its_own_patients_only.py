# ruff: noqa: F811 - an argument has the name of the fixture it asks for.
"""Promise 7: a clinic sees its own patients only, and a patient only themselves."""

from uuid import uuid4

import pytest

from backend.api.urls import urlpatterns
from tests.api.conftest import (  # noqa: F401 - the clients of the cast are fixtures
    _nothing_counted_yet,
    _the_clock_shows_now,
    as_member,
    as_patient,
    desk,
    me,
    patient_token,
    stranger,
)
from tests.factories.patients import make_appointment
from tests.factories.programmes import REMINDER

METHODS = ("get", "post", "patch", "delete")


def addresses(prefix: str) -> list[str]:
    return [str(route.pattern) for route in urlpatterns if str(route.pattern).startswith(prefix)]


def fill(route: str, *, slug: str = "northgate", patient: object = None) -> str:
    filled = route.replace("<slug:slug>", slug).replace("<uuid:patient_id>", str(patient or uuid4()))
    filled = filled.replace("<slug:purpose>", REMINDER).replace("<slug:template>", REMINDER)
    while "<uuid:" in filled:
        head, _, tail = filled.partition("<uuid:")
        filled = f"{head}{uuid4()}{tail.partition('>')[2]}"
    return f"/api/v1/{filled}"


@pytest.mark.parametrize("route", addresses("clinics/"))
def test_another_clinic_looks_like_a_missing_one(stranger, northgate, consenting, route) -> None:
    for method in METHODS:
        there = getattr(stranger, method)(fill(route, patient=consenting.id), {})
        nowhere = getattr(stranger, method)(fill(route, slug="no-such-clinic", patient=consenting.id), {})

        assert there.status_code in {403, 404, 405}
        assert {**there.json(), "request_id": ""} == {**nowhere.json(), "request_id": ""}


@pytest.mark.parametrize("route", [route for route in addresses("clinics/") if "<uuid:patient_id>" in route])
def test_another_clinics_patient_looks_like_a_missing_one(stranger, consenting, route) -> None:
    for method in METHODS:
        there = getattr(stranger, method)(fill(route, slug="southbank", patient=consenting.id), {})
        nowhere = getattr(stranger, method)(fill(route, slug="southbank", patient=uuid4()), {})

        assert there.status_code in {403, 404, 405}
        assert {**there.json(), "request_id": ""} == {**nowhere.json(), "request_id": ""}


def test_no_list_of_another_clinic_holds_our_patients(stranger, consenting, northgate, now) -> None:
    make_appointment(consenting, starts_at=now, now=now)
    for name in ("patients", "occasions", "enrolments", "messages", "programmes"):
        answer = stranger.get(f"/api/v1/clinics/southbank/{name}")
        assert answer.status_code == 200
        assert answer.json()["results"] == [], name
    for asked in ({"family_name": "Oui"}, {"identifier": {"system": "urn:test:ipp", "value": consenting.ipp}}):
        assert stranger.post("/api/v1/clinics/southbank/patients/search", asked).json()["results"] == []


def test_no_filter_leads_to_another_clinic(stranger, consenting, now) -> None:
    make_appointment(consenting, starts_at=now, now=now)
    for name in ("occasions", "enrolments", "messages"):
        answer = stranger.get(f"/api/v1/clinics/southbank/{name}?patient={consenting.id}")
        assert answer.json()["results"] == []


@pytest.mark.parametrize("route", addresses("clinics/"))
def test_a_patients_token_never_reaches_a_clinic(me, consenting, route) -> None:
    for method in METHODS:
        assert getattr(me, method)(fill(route, patient=consenting.id), {}).status_code in {403, 405}


@pytest.mark.parametrize("route", addresses("me"))
def test_a_members_token_never_reaches_a_patient(desk, route) -> None:
    for method in METHODS:
        assert getattr(desk, method)(fill(route), {}).status_code in {403, 405}


def test_a_patient_sees_nothing_of_another(me, as_patient, silent, consenting) -> None:
    other = as_patient(silent)
    device = other.get("/api/v1/me/devices").json()["results"][0]["id"]
    point = other.get("/api/v1/me/contact-points").json()["results"][0]["id"]

    assert me.delete(f"/api/v1/me/devices/{device}").status_code == 404
    assert me.post(f"/api/v1/me/contact-points/{point}/verify", {"code": "1"}).status_code == 404
    assert device in {one["id"] for one in other.get("/api/v1/me/devices").json()["results"]}
