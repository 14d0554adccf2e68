"""Row 2, GDPR Art. 7(1): for every yes that stands, the export has the words that were agreed to, and their hash."""

import hashlib
import json

import pytest

from backend.audit.actors import system_actor
from backend.consent.models import ConsentState, Notice
from backend.consent.operations import publish_notice
from backend.policy.vocabulary import Channel, Language
from tests.conftest import DAY
from tests.factories.exports import exported
from tests.factories.patients import consent, make_patient
from tests.factories.programmes import RECALL, REMINDER
from tests.factories.tampering import tamper


@pytest.fixture(autouse=True)
def _committed(transactional_db: None) -> None:
    """A log is signed only once it was committed."""


@pytest.fixture
def reworded(northgate, consenting, now):
    """The notice was published anew after some had said yes, and others said yes to the new one, in English."""
    words = {
        Language.FRENCH: ("Vos messages, autrement dit", "Nous vous écrivons seulement si vous dites oui."),
        Language.ENGLISH: ("Your messages, in other words", "We write to you only if you say yes."),
    }
    publish_notice(clinic_id=northgate.id, texts=words, actor=system_actor(), now=now - 3 * DAY)
    later = make_patient(northgate.id, now=now - 3 * DAY)
    consent(later, purpose=REMINDER, channels=[Channel.SMS], now=now - 2 * DAY, language=Language.ENGLISH)
    return later


def test_each_yes_comes_with_who_when_how_and_the_exact_words(northgate, consenting, reworded, now):
    export = exported(northgate.id, now=now)

    given = [row for row in export.table("consents") if row["status"] == "given"]
    assert len(given) == ConsentState.objects.filter(status="given").count() == 7
    for row in given:
        state = ConsentState.objects.select_related("standing_event__notice").get(
            patient_id=row["patient"], purpose__slug=row["purpose"], channel=row["channel"]
        )
        event = state.standing_event
        assert (row["said by"], row["method"], row["event it rests on"]) == ("patient", "app", str(event.id))
        assert row["said at"].startswith(event.occurred_at.date().isoformat())
        words = export.zip.read(row["notice text (file)"])
        assert hashlib.sha256(words).hexdigest() == row["notice hash"] == event.notice_sha256 == event.notice.sha256
        shown = json.loads(words)
        assert (shown["title"], shown["body"]) == (event.notice.title, event.notice.body)
        assert row["sentence of the purpose"] == shown["statements"][row["purpose"]] != ""
        assert row["words fit the hash"] == "yes"
    assert {(row["notice version"], row["language"]) for row in given} == {("1", "fr"), ("2", "en")}
    assert {row["purpose"] for row in given} == {REMINDER, RECALL}


def test_words_that_were_changed_afterwards_do_not_pass_for_those_agreed_to(northgate, consenting, now):
    tamper("UPDATE consent_notice SET body = 'Something else.' WHERE language = 'fr'", tables="consent")
    assert Notice.objects.filter(body="Something else.").exists()

    rows = exported(northgate.id, now=now).table("consents")

    assert {row["words fit the hash"] for row in rows} == {"no"}
