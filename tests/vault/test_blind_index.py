"""Equal values are found without reading any, within one clinic and for one kind of value only."""

import pytest

from backend.vault.blind import INDEX_BYTES, Indexed, blind_index, normal_form
from backend.vault.identifiers import new_id
from backend.vault.keyring import KeyUnavailable

SPELLINGS = [
    (Indexed.FAMILY_NAME, "Lefèvre", "LEFEVRE"),
    (Indexed.FAMILY_NAME, "Le Fèvre", "Lefèvre"),
    (Indexed.FAMILY_NAME, "D’Artagnan", "d'artagnan"),
    (Indexed.FAMILY_NAME, "Müller", "Mu\u0308ller"),
    (Indexed.FAMILY_NAME, "Saint-Just", " saint just "),
    (Indexed.FAMILY_NAME, "Weiß", "WEISS"),
    (Indexed.FAMILY_NAME, "Ｑuibbler", "Quibbler"),
    (Indexed.EMAIL, "Ottokar@Example.org", " ottokar@example.ORG"),
    (Indexed.EMAIL, "zoë@example.org", "zoe\u0308@example.org"),
    (Indexed.PHONE, "+33639998877", " +33639998877 "),
]
DIFFERENT = [
    (Indexed.FAMILY_NAME, "Quibbler", "Quibblers"),
    (Indexed.EMAIL, "a.b@example.org", "ab@example.org"),
    (Indexed.PHONE, "+33639998877", "+33639998878"),
    (Indexed.DEVICE, "token:A", "token:a"),
    (Indexed.IDENTIFIER, "urn:x|A1", "urn:x|a1"),
    (Indexed.SOURCE, "patient|id|1", "patient|id|2"),
]


@pytest.mark.parametrize(("kind", "one", "other"), SPELLINGS)
def test_two_spellings_of_one_value_are_equal(clinic, kind, one, other):
    assert blind_index(kind, one, clinic_id=clinic.id) == blind_index(kind, other, clinic_id=clinic.id)


@pytest.mark.parametrize(("kind", "one", "other"), DIFFERENT)
def test_two_values_are_different(clinic, kind, one, other):
    assert blind_index(kind, one, clinic_id=clinic.id) != blind_index(kind, other, clinic_id=clinic.id)


def test_no_two_clinics_share_an_index(clinic, elsewhere):
    for kind in Indexed:
        assert blind_index(kind, "same", clinic_id=clinic.id) != blind_index(kind, "same", clinic_id=elsewhere.id)


def test_no_two_kinds_share_an_index(clinic):
    assert len({blind_index(kind, "same", clinic_id=clinic.id) for kind in Indexed}) == len(Indexed)


def test_an_index_is_short_and_tells_nothing_of_the_value(clinic):
    index = blind_index(Indexed.PHONE, "+33639998877", clinic_id=clinic.id)

    assert len(index) == INDEX_BYTES == 16
    assert b"9998877" not in index


def test_a_clinic_that_is_not_there_has_no_index(db):
    with pytest.raises(KeyUnavailable):
        blind_index(Indexed.PHONE, "+33639998877", clinic_id=new_id())


def test_the_normal_forms_are_golden():
    assert normal_form(Indexed.FAMILY_NAME, " d’Évreux-Weiß ") == "devreuxweiss"
    assert normal_form(Indexed.EMAIL, " Zoe\u0308@Example.ORG ") == "zoë@example.org"
    assert normal_form(Indexed.DEVICE, " Token ") == "Token"
