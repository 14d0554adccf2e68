"""What the product logs and exports, from consent to hand-over, verified by the file that knows nothing of it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from backend.audit.actors import system_actor
from backend.audit.bundle.exporting import export_log
from backend.audit.keys import destroy_subject_keys
from backend.consent.operations import withdraw_consent
from backend.messaging.carriers.base import Carrier
from backend.messaging.delivery import deliver_due_messages
from backend.policy.vocabulary import Channel, Method
from backend.programmes.operations import plan_programmes
from sandbox import Sandbox
from tests.factories.carriers import carriers_to, settings_for
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import CHANNELS, REMINDER

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def carriers(tmp_path: Path) -> Iterator[dict[Channel, Carrier]]:
    """The product's own carriers, to a sandbox that takes everything."""
    with Sandbox(tmp_path) as sandbox, carriers_to(settings_for(sandbox)) as built:
        yield built


def verified(desk, clinic, *, now):
    key = X25519PrivateKey.generate()
    with (desk.folder / "bundle.zip").open("w+b") as file:
        export_log(file, clinic_id=clinic.id, actor=system_actor(), now=now, recipient=key.public_key())
    pem = desk.put("dpo.pem", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return desk.run(f"{desk.folder}/bundle.zip", "--keys", pem, "--messages", "--json")


def send_reminders(patients, carriers, *, now):
    for patient in patients:
        make_appointment(patient, starts_at=now + DAY + 4 * HOUR, now=now)
    plan_programmes(now=now)
    deliver_due_messages(now=now, carriers=carriers)


def test_every_message_the_product_hands_over_has_its_consent(
    committed, desk, northgate, consenting, silent, withdrawn, carriers, now
):
    send_reminders([consenting, silent, withdrawn], carriers, now=now)

    answer = verified(desk, northgate, now=now)

    assert (answer.code, answer.document["findings"]) == (0, [])
    messages = answer.document["messages"]
    assert (messages["handed_over"], messages["with_consent"], messages["without_consent"]) == (1, 1, [])
    assert messages["permitted"][0]["patient"] == str(consenting.id)
    assert messages["permitted"][0]["consent_event"]


def test_a_withdrawal_a_new_consent_and_an_erasure_later_all_of_it_still_holds(
    committed, desk, northgate, consenting, silent, carriers, now
):
    other = make_patient(northgate.id, now=now - DAY, family_name="Encore")
    consent(other, purpose=REMINDER, channels=CHANNELS, now=now - HOUR)
    send_reminders([consenting, other, silent], carriers, now=now)
    withdraw_consent(
        clinic_id=northgate.id,
        patient_id=consenting.id,
        purpose=REMINDER,
        channels=CHANNELS,
        method=Method.APP,
        actor=consenting.actor,
        now=now + HOUR,
    )
    consent(consenting, purpose=REMINDER, channels=CHANNELS, now=now + 2 * HOUR)
    send_reminders([consenting], carriers, now=now + DAY)
    destroy_subject_keys(
        subject_id=other.id, clinic_id=northgate.id, reason="erasure", actor=system_actor(), now=now + DAY + HOUR
    )

    answer = verified(desk, northgate, now=now + 2 * DAY)

    assert (answer.code, answer.document["findings"]) == (0, [])
    messages = answer.document["messages"]
    assert (messages["with_consent"], messages["unreadable"], answer.document["erased"]) == (2, 1, 1)
