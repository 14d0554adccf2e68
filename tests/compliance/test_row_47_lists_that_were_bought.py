"""Row 47, CNIL SAN-2023-015 and SAN-2025-001: a claimed consent without proof is none, and sends nothing."""

import pytest

from backend.consent.operations import give_consent, note_asked
from backend.consent.operations.expressing import EvidenceMissing
from backend.policy.vocabulary import Channel, EventKind, Method
from tests.consent.test_deciding import say, status
from tests.consent.test_ending import answer
from tests.factories.programmes import REMINDER


def test_an_import_without_proof_is_refused_as_a_yes(silent, dpo, now):
    with pytest.raises(EvidenceMissing):
        say(give_consent, silent, now, method=Method.IMPORT, evidence={"file_sha256": "0" * 64}, actor=dpo)


def test_what_is_claimed_without_proof_is_kept_as_unknown_and_sends_nothing(silent, dpo, now):
    note_asked(
        EventKind.UNKNOWN,
        clinic_id=silent.clinic_id,
        patient_id=silent.id,
        purpose=REMINDER,
        channels=[Channel.SMS],
        method=Method.IMPORT,
        actor=dpo,
        now=now,
    )

    assert status(silent) == "none"
    assert answer(silent, now) == ("deny", {"no_consent"})
