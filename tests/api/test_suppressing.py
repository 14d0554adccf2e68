"""Addresses through the API: suppressed and shown so, lifted by the officer who says why, and taken away."""

from backend.audit.actors import system_actor
from backend.patients.models import ContactPoint, SuppressedBy
from backend.patients.suppression import suppress_contact_points_of
from tests.api.conftest import Client

NORTHGATE = "/api/v1/clinics/northgate"


def test_the_officer_takes_an_address_off_and_nobody_else_does(
    consenting, desk: Client, officer: Client, me: Client, now
) -> None:
    suppress_contact_points_of(
        clinic_id=consenting.clinic_id,
        patient_id=consenting.id,
        source=SuppressedBy.COMPLAINT,
        actor=system_actor(),
        now=now,
    )
    point = ContactPoint.objects.get(patient_id=consenting.id, kind="phone").id
    points = f"{NORTHGATE}/patients/{consenting.id}/contact-points"
    said = {"channel": "sms", "reason": "owner_asked"}

    def shown(client: Client, address: str) -> list[str]:
        return next(one["suppressed"] for one in client.get(address).json()["results"] if one["id"] == str(point))

    assert shown(desk, points) == shown(me, "/api/v1/me/contact-points") == ["call", "sms"]
    assert desk.post(f"{points}/{point}/suppression-lifted", said).status_code == 403
    assert officer.post(f"{points}/{point}/suppression-lifted", {"channel": "sms"}).status_code == 400
    assert officer.post(f"{points}/{point}/suppression-lifted", said).status_code == 204
    assert officer.post(f"{points}/{point}/suppression-lifted", said).status_code == 404

    assert shown(desk, points) == ["call"]


def test_patient_and_staff_take_an_address_away_and_nobody_elses(
    consenting, silent, desk: Client, officer: Client, me: Client
) -> None:
    points = {one.kind: one.id for one in ContactPoint.objects.filter(patient_id=consenting.id)}
    foreign = ContactPoint.objects.get(patient_id=silent.id, kind="email").id
    staff = f"{NORTHGATE}/patients/{consenting.id}/contact-points"

    assert me.delete(f"/api/v1/me/contact-points/{foreign}").status_code == 404
    assert me.delete(f"/api/v1/me/contact-points/{points['push']}").status_code == 404
    assert officer.delete(f"{staff}/{points['phone']}").status_code == 403
    assert me.delete(f"/api/v1/me/contact-points/{points['email']}").status_code == 204
    assert desk.delete(f"{staff}/{points['phone']}").status_code == 204

    assert me.get("/api/v1/me/contact-points").json()["results"] == []
    assert me.delete(f"/api/v1/me/contact-points/{points['email']}").status_code == 404
