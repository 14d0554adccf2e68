"""Row 35, ePrivacy Art. 13(2) and C-654/23: there is no soft opt-in; to be a patient is no consent to marketing."""

import pytest
from django.db import IntegrityError, transaction

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.recording import record
from backend.consent.models import Purpose
from backend.policy.vocabulary import Channel, LegalBasis
from tests.conftest import DAY
from tests.consent.test_ending import answer
from tests.consent.test_objecting import OFFERS, define_offers
from tests.factories.patients import make_appointment


@pytest.mark.parametrize("channel", [Channel.SMS, Channel.EMAIL, Channel.PUSH])
def test_who_came_to_the_clinic_and_consented_to_care_gets_no_offers(northgate, consenting, now, channel):
    define_offers(northgate, now)
    make_appointment(consenting, starts_at=now - DAY, now=now - 2 * DAY, status="fulfilled")

    assert answer(consenting, now, channel=channel)[0] == "allow"
    assert answer(consenting, now, channel=channel, purpose=OFFERS) == ("deny", {"no_consent"})


@pytest.mark.parametrize("basis", [LegalBasis.CONTRACT, LegalBasis.LEGAL_OBLIGATION, "legitimate_interest", ""])
def test_the_database_takes_no_other_basis_for_marketing(northgate, now, basis):
    define_offers(northgate, now)
    said = {"by": system_actor(), "now": now, "clinic_id": northgate.id, "purpose": OFFERS}

    with (
        pytest.raises(IntegrityError, match="only_the_closed_list_goes_without_consent"),
        transaction.atomic(),
        record(Action.PURPOSE_BASIS_CORRECTED, **said, basis="contract"),
    ):
        Purpose.objects.filter(slug=OFFERS).update(legal_basis=basis)


def test_there_is_no_switch(db, client):
    schema = client.get("/api/schema/?format=json").content.decode()

    for word in ("soft_opt_in", "legitimate_interest", "legal_basis"):
        assert f'"{word}"' not in schema
