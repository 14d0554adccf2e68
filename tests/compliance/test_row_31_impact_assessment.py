"""Row 31, GDPR Art. 35: what rests on health data starts only once its officer noted where the impact assessment is."""

from io import StringIO

import pytest
from django.core.management import call_command

from backend.accounts.models import Role
from backend.audit.actions import Action
from backend.clinics.models import MembershipRole
from backend.clinics.queries import get_clinic_by_slug
from backend.programmes.models import Programme
from tests.factories.clinics import make_member
from tests.factories.log import actions_recorded

LILAS = "/api/v1/clinics/lilas"
PURPOSE = "appointment_reminder"
ASSESS = f"{LILAS}/purposes/{PURPOSE}/assess"


@pytest.fixture
def lilas(db):
    """A clinic as it is set up: both of its purposes rest on health data."""
    call_command(
        "set_up_clinic",
        "lilas",
        name="Cabinet des Lilas",
        telephone="01 99 00 00 01",
        address="1 rue des Lilas",
        stdout=StringIO(),
    )
    return get_clinic_by_slug("lilas")


@pytest.fixture
def dentist(lilas, as_member, now):
    return as_member(make_member(lilas.id, "dentist@lilas", now=now, is_health_professional=True), lilas)


@pytest.fixture
def officer(lilas, as_member, now):
    return as_member(make_member(lilas.id, "dpo@lilas", now=now, role=MembershipRole.DPO), lilas, Role.DPO)


@pytest.fixture
def approved(lilas, dentist):
    programme = f"{LILAS}/programmes/{Programme.objects.get(clinic_id=lilas.id, slug=PURPOSE).id}"
    assert dentist.post(f"{programme}/approve").json()["state"] == "approved"
    return programme


def test_without_it_an_approved_programme_does_not_start(approved, dentist):
    answer = dentist.post(f"{approved}/start")

    assert (answer.status_code, answer.json()["code"]) == (409, "purpose_not_assessed")
    assert dentist.get(approved).json()["state"] == "approved"


def test_with_it_the_programme_starts_and_everybody_at_the_clinic_sees_it(approved, dentist, officer, lilas):
    assert officer.post(ASSESS, {"reference": " DPIA 2026-1 "}).status_code == 204

    assert dentist.post(f"{approved}/start").json()["state"] == "running"
    shown = {one["slug"]: one["impact_assessment"] for one in dentist.get(LILAS).json()["purposes"]}
    assert (shown[PURPOSE], shown["vaccination_recall"]) == ("DPIA 2026-1", "")
    assert actions_recorded(lilas.id)[Action.PURPOSE_ASSESSED] == 1


@pytest.mark.parametrize("reference", ["", "   ", "x" * 201, None])
def test_it_has_to_be_said(approved, officer, dentist, reference):
    assert officer.post(ASSESS, {"reference": reference}).status_code == 400
    assert dentist.post(f"{approved}/start").status_code == 409


def test_only_the_officer_says_so(approved, dentist, as_patient, consenting):
    for somebody in (dentist, as_patient(consenting)):
        assert somebody.post(ASSESS, {"reference": "DPIA 2026-1"}).status_code in {403, 404}
    assert dentist.post(f"{approved}/start").status_code == 409


def test_what_rests_on_no_health_data_needs_none(desk, doctor, northgate):
    programme = f"/api/v1/clinics/northgate/programmes/{Programme.objects.get(slug=PURPOSE, clinic=northgate.id).id}"

    assert desk.post(f"{programme}/pause").json()["state"] == "paused"
    assert desk.post(f"{programme}/start").json()["state"] == "running"
