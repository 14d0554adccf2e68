"""The commands with which whoever runs Accord sets up a first clinic."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from rest_framework.test import APIClient

from backend.audit.models import AuditEntry
from backend.clinics.models import Clinic

pytestmark = pytest.mark.django_db


def said(name: str, /, *arguments: str, **options: object) -> str:
    words = StringIO()
    call_command(name, *arguments, stdout=words, stderr=StringIO(), **options)
    return words.getvalue()


def set_up() -> None:
    said("set_up_clinic", "lilas", name="Cabinet des Lilas", telephone="01 99 00 00 01", address="1 rue des Lilas")


def asked(token: str, path: str) -> int:
    return APIClient(headers={"Authorization": f"Bearer {token}"}).get(f"/api/v1{path}").status_code


def test_a_clinic_is_set_up_with_the_library_and_sends_nothing():
    set_up()

    token = said("add_staff", "dr.martin", clinic="lilas", role="staff", health_professional=True).strip()
    answer = APIClient(headers={"Authorization": f"Bearer {token}"}).get("/api/v1/clinics/lilas/programmes")
    assert {one["slug"]: one["state"] for one in answer.json()["results"]} == {
        "appointment_reminder": "draft",
        "vaccination_recall": "draft",
    }


def test_a_clinic_is_set_up_whole_or_not_at_all():
    set_up()

    with pytest.raises(CommandError, match="short name already"):
        set_up()
    with pytest.raises(CommandError):
        said("set_up_clinic", "nowhere", name="X", telephone="", address="")
    assert [clinic.slug for clinic in Clinic.objects.all()] == ["lilas"]


def test_staff_get_a_token_for_their_clinic_and_role_only():
    set_up()
    token = said("add_staff", "dpo", clinic="lilas", role="dpo").strip()

    assert asked(token, "/clinics/lilas/audit/entries") == 200
    assert asked(token, "/me") == 403
    with pytest.raises(CommandError, match="as dpo"):
        said("add_staff", "dpo", clinic="lilas", role="staff")
    with pytest.raises(CommandError):
        said("add_staff", "dpo", clinic="elsewhere", role="dpo")


def test_a_patient_gets_a_token_of_their_own(consenting, northgate):
    token = said("issue_patient_token", str(consenting.id), clinic=northgate.slug).strip()

    assert asked(token, "/me") == 200
    assert asked(token, f"/clinics/{northgate.slug}") == 403


def test_another_clinics_patient_gets_no_token(consenting, southbank):
    with pytest.raises(CommandError):
        said("issue_patient_token", str(consenting.id), clinic=southbank.slug)


def test_the_log_is_checked_entry_by_entry():
    set_up()

    assert f"{AuditEntry.objects.count()} entries" in said("check_log")


def test_a_made_up_entry_is_found():
    set_up()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_entry (log_id, id, ts, leaf, wmac) "
            "SELECT log_id, %s, ts, leaf, wmac FROM (SELECT * FROM audit_entry ORDER BY seq LIMIT 1) AS first",
            ["0" * 31 + "1" if connection.vendor == "sqlite" else "00000000-0000-0000-0000-000000000001"],
        )

    with pytest.raises(CommandError, match="not as they were written"):
        said("check_log")
