"""The legal basis of a purpose follows from its nature; what was stored with another is put right, and logged."""

import pytest

from backend.audit.actions import Action
from backend.consent.models import Purpose
from backend.consent.operations import correct_legal_bases, define_purpose
from backend.policy.vocabulary import Channel, LegalBasis, Nature
from tests.conftest import HOUR
from tests.factories.log import actions_recorded
from tests.factories.programmes import make_mistaken_purpose


@pytest.mark.parametrize("nature", Nature)
def test_only_what_a_person_asked_for_rests_on_anything_but_consent(northgate, manager, now, nature):
    purpose_id = define_purpose(
        clinic_id=northgate.id,
        slug="another",
        nature=nature,
        channels=(Channel.SMS,),
        names={},
        statements={},
        actor=manager,
        now=now,
    )

    expected = LegalBasis.CONTRACT if nature is Nature.CLOSED_LIST else LegalBasis.CONSENT
    assert Purpose.objects.get(id=purpose_id).legal_basis == expected


def test_what_was_stored_as_a_duty_by_law_is_put_right_and_logged_in_each_clinic(northgate, southbank, manager, now):
    clinics = (northgate, southbank)
    mistaken = [make_mistaken_purpose(clinic.id, actor=manager, now=now) for clinic in clinics]
    others = Purpose.objects.exclude(id__in=mistaken)
    before = set(others.values_list("id", "legal_basis"))

    assert correct_legal_bases(actor=manager, now=now) == 2

    assert set(Purpose.objects.filter(id__in=mistaken).values_list("legal_basis", flat=True)) == {"contract"}
    assert set(others.values_list("id", "legal_basis")) == before
    assert [actions_recorded(clinic.id)[Action.PURPOSE_BASIS_CORRECTED] for clinic in clinics] == [1, 1]


def test_where_all_is_right_nothing_is_put_right_and_nothing_logged(northgate, manager, now):
    make_mistaken_purpose(northgate.id, actor=manager, now=now)
    correct_legal_bases(actor=manager, now=now)

    assert correct_legal_bases(actor=manager, now=now + HOUR) == 0

    assert actions_recorded(northgate.id)[Action.PURPOSE_BASIS_CORRECTED] == 1
