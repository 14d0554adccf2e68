"""Clinics are set up with keys and a log of their own, and know who works there."""

import pytest

from backend.audit.actors import system_actor
from backend.audit.models import AuditLog, ClinicKey
from backend.clinics.models import Clinic, MembershipRole
from backend.clinics.operations import ClinicExists, create_clinic
from backend.clinics.queries import all_clinics, find_membership, get_clinic, get_clinic_by_slug
from backend.errors import InvalidInput, NotFound
from backend.vault.identifiers import new_id
from tests.factories.clinics import make_clinic, make_member


def create(now, **changes):
    return create_clinic(
        **{"slug": "eastside", "name": "Clinique de l’Est", "actor": system_actor(), "now": now, **changes}
    )


def test_a_clinic_has_keys_and_a_log_of_its_own(db, now):
    one, other = create(now), create(now, slug="westside")

    assert AuditLog.objects.filter(clinic_id__in=[one, other]).count() == 2
    assert ClinicKey.objects.filter(clinic_id__in=[one, other]).count() == 2


def test_a_clinic_is_shown_discreetly_by_its_name_unless_told_otherwise(db, now):
    assert get_clinic(create(now, name="x" * 100)).discreet_name == "x" * 40
    assert get_clinic(create(now, slug="quiet", discreet_name="Est")).discreet_name == "Est"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"time_zone": "Europe/Lyon"}, "time_zone"),
        ({"time_zone": "/etc/passwd"}, "time_zone"),
        ({"slug": "Est"}, "slug"),
        ({"slug": ""}, "slug"),
        ({"slug": "est/ouest"}, "slug"),
    ],
)
def test_a_clinic_that_could_not_work_is_refused(db, now, changes, field):
    with pytest.raises(InvalidInput) as refused:
        create(now, **changes)

    assert refused.value.field == field
    assert Clinic.objects.count() == 0


def test_a_short_name_stands_for_one_clinic(db, now):
    create(now)
    with pytest.raises(ClinicExists):
        create(now)
    assert [clinic.slug for clinic in all_clinics()] == ["eastside"]


def test_a_clinic_that_is_not_there_is_not_found(db):
    with pytest.raises(NotFound):
        get_clinic(new_id())
    with pytest.raises(NotFound):
        get_clinic_by_slug("nowhere")


def test_a_member_of_one_clinic_is_nobody_in_another(northgate, southbank, now):
    doctor = make_member(northgate.id, "somebody@northgate", now=now, is_health_professional=True)
    officer = make_member(northgate.id, "officer@northgate", now=now, role=MembershipRole.DPO)

    def membership(actor, clinic):
        return find_membership(account_id=actor.id, clinic_id=clinic.id)

    assert membership(doctor, northgate).is_health_professional
    assert membership(officer, northgate).role is MembershipRole.DPO
    assert membership(doctor, southbank) is None


def test_clinics_come_in_the_order_of_their_names(db, now):
    for slug in ("bravo", "alpha"):
        make_clinic(slug, now=now)

    assert [clinic.slug for clinic in all_clinics()] == ["alpha", "bravo"]
