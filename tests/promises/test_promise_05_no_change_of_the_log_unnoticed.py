"""Promise 5: whoever holds the database, the keys or a backup can not change the log without somebody noticing.

What is noticed here is noticed by a stranger: one file, a bundle, and a checkpoint that was kept elsewhere.
"""

import io
import json
from datetime import timedelta
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.db import connection

from backend.audit import verifier
from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.bundle.exporting import export_log
from backend.audit.growing import sequencer_memory
from backend.audit.keys import destroy_subject_keys
from backend.audit.leaf import parse_leaf, seal_leaf
from backend.audit.models import AuditCheckpoint, AuditEntry, AuditLeaf, AuditLog
from backend.audit.recording import Draft, record, record_many
from backend.audit.sequencing import require_inclusion, sequence_all, sequence_leftovers
from backend.consent.models import ConsentEvent
from backend.consent.operations import withdraw_consent
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.messaging.operations import plan_checks
from backend.patients.models import ContactKind
from backend.patients.operations.contact_points import add_contact_point, prepare_code
from backend.policy.vocabulary import Channel, Method
from backend.programmes.operations import plan_programmes
from backend.vault.ciphers import mac
from backend.vault.identifiers import new_id
from backend.vault.keyring import SYSTEM, Scope, keyring
from tests.conftest import DAY
from tests.factories.carriers import carriers_in_test
from tests.factories.many import make_patients
from tests.factories.patients import make_appointment
from tests.factories.programmes import REMINDER, offer_checks
from tests.factories.tampering import tamper

TOMORROW = timedelta(days=1, hours=4)


class Officer:
    """The data protection officer: a key pair, what was kept, and the verifier."""

    def __init__(self, clinic_id, folder, capsys):
        self.clinic_id, self.folder, self.capsys = clinic_id, folder, capsys
        self.key = X25519PrivateKey.generate()
        self.private = folder / "dpo.pem"
        self.private.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.kept = folder / "kept.checkpoint"

    def take_away(self, now, *, keep=False):
        file = io.BytesIO()
        done = export_log(
            file, clinic_id=self.clinic_id, actor=system_actor(), now=now, recipient=self.key.public_key()
        )
        if keep:
            self.kept.write_text(done.checkpoint, encoding="utf-8")
        return file.getvalue()

    def verify(self, bundle, *, with_kept=True, with_keys=True):
        path = self.folder / "bundle.zip"
        path.write_bytes(bundle)
        kept = ["--checkpoint", str(self.kept)] if with_kept and self.kept.exists() else []
        keys = ["--keys", str(self.private)] if with_keys else []
        code = verifier.main([str(path), *kept, *keys, "--json"])
        return code, json.loads(self.capsys.readouterr().out)


@pytest.fixture
def officer(transactional_db, northgate, tmp_path, capsys):
    return Officer(northgate.id, tmp_path, capsys)


def remind(patient, now):
    make_appointment(patient, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    deliver_due_messages(now=now, carriers=carriers_in_test())


def test_every_message_that_left_shows_the_consent_that_permitted_it(officer, northgate, consenting, silent, now):
    make_appointment(silent, starts_at=now + TOMORROW, now=now)
    remind(consenting, now)

    code, report = officer.verify(officer.take_away(now))

    assert (code, report["findings"]) == (0, [])
    assert report["messages"]["handed_over"] == Message.objects.filter(state="sent").count() == 1
    assert report["messages"]["with_consent"] == 1
    assert report["messages"]["without_consent"] == []


def test_a_code_that_needs_no_consent_is_named_as_such(officer, northgate, silent, manager, now):
    offer_checks(northgate.id, actor=manager, now=now)
    these = {"clinic_id": northgate.id, "patient_id": silent.id, "actor": silent.actor, "now": now}
    point = add_contact_point(**these, kind=ContactKind.EMAIL, value="silent@example.org", region="FR")
    prepare_code(**these, contact_point_id=point)
    plan_checks(now=now)
    deliver_due_messages(now=now, carriers=carriers_in_test())

    code, report = officer.verify(officer.take_away(now))

    assert (code, report["findings"]) == (0, [])
    assert report["messages"]["closed_list"] == {"contact_point_check": 1}


def hand_over_anyway(patient, *, consent_event, now, purpose=REMINDER):
    """What a programmer who went around the gate would leave in the log."""
    message, attempt = new_id(), new_id()
    common = {"message": message, "attempt": attempt, "purpose": purpose, "channel": "sms"}
    drafts = [
        Draft(
            action=Action.MESSAGE_CLAIMED,
            clinic_id=patient.clinic_id,
            about=(patient.id,),
            details=common,
        ),
        Draft(
            action=Action.MESSAGE_HANDED_OVER,
            clinic_id=patient.clinic_id,
            about=(patient.id,),
            details={
                **common,
                "carrier": "twilio",
                "consent_event": str(consent_event),
                "template_version": new_id(),
                "rules": "1",
            },
        ),
    ]
    for draft in drafts:
        with record_many([draft], by=system_actor("delivery"), now=now):
            pass
    return str(message)


@pytest.mark.parametrize("which", ["none", "invented", "of somebody else"])
def test_a_message_without_a_consent_is_an_error(officer, consenting, silent, now, which):
    given = {"none": "none", "invented": new_id(), "of somebody else": last_event(consenting)}[which]
    message = hand_over_anyway(silent, consent_event=given, now=now)

    code, report = officer.verify(officer.take_away(now))

    assert code == 1
    assert message in json.dumps(report["messages"]["without_consent"])


def last_event(patient, channel="sms"):
    events = ConsentEvent.objects.filter(patient_id=patient.id, purpose__slug=REMINDER, channel=channel)
    return events.latest("occurred_at").id


def test_a_message_after_a_withdrawal_is_an_error_although_it_names_a_consent(officer, consenting, now):
    event = last_event(consenting)
    withdraw_consent(
        clinic_id=consenting.clinic_id,
        patient_id=consenting.id,
        purpose=REMINDER,
        channels=[Channel.SMS],
        method=Method.APP,
        actor=consenting.actor,
        now=now,
    )
    message = hand_over_anyway(consenting, consent_event=event, now=now)

    code, report = officer.verify(officer.take_away(now))

    assert code == 1
    assert message in json.dumps(report["messages"]["without_consent"])


def some_history(clinic_id, now, how_many=40):
    for number in range(how_many):
        with record(Action.LOG_READ, by=system_actor(), now=now, clinic_id=clinic_id, count=number):
            pass
    sequence_all(now=now)


def sign_anew(log, now):
    """What somebody with the database and every key does: a new tree over what is left, signed by the real key."""
    for table in ("audit_leaf", "audit_node", "audit_checkpoint", "audit_part"):
        tamper(f"DELETE FROM {table} WHERE log_id = {log.id}")  # noqa: S608 - names and numbers of ours
    (sequencer_memory().folder / f"{log.origin}.checkpoint").unlink()
    while sequence_leftovers(now=now).sequenced:
        pass


@pytest.mark.parametrize("attack", ["delete one", "change one", "cut off the end"])
def test_a_rewritten_log_fits_no_checkpoint_that_was_kept(officer, northgate, now, attack):
    """With a stolen signing key everything in the bundle is right again; what was kept elsewhere is not."""
    some_history(northgate.id, now)
    officer.take_away(now, keep=True)
    log = AuditLog.objects.get(clinic_id=northgate.id)
    victim = AuditLeaf.objects.get(log_id=log.id, idx=20)
    statement = {
        "delete one": f"DELETE FROM audit_entry WHERE seq = {victim.entry_seq}",  # noqa: S608 - numbers of ours
        "change one": rewrite_of(victim),
        "cut off the end": f"DELETE FROM audit_entry WHERE log_id = {log.id} AND seq >= {victim.entry_seq}",  # noqa: S608 - as above
    }[attack]
    tamper(statement)
    sign_anew(log, now)
    rewritten = officer.take_away(now)

    without, _ = officer.verify(rewritten, with_kept=False, with_keys=False)
    code, report = officer.verify(rewritten, with_keys=False)

    assert without == 0
    assert code == 1
    assert report["pinned"][0]["ok"] is False


def rewrite_of(victim):
    """The same entry saying something else: only one who holds the keys can make it."""
    entry = AuditEntry.objects.get(seq=victim.entry_seq)
    leaf = parse_leaf(bytes(entry.leaf))
    clinic_id = UUID(str(leaf.header["tn"]))
    other = seal_leaf(
        leaf.header, [(keyring().current(clinic_id=clinic_id, scope=Scope.CLINIC), {"d": {"count": 4711}})]
    )
    writer = keyring().current(clinic_id=SYSTEM, scope=Scope.WRITER_MAC)
    if connection.vendor == "postgresql":
        told = f"leaf = '\\x{other.hex()}', wmac = '\\x{mac(writer.secret, other).hex()}'"
    else:
        told = f"leaf = x'{other.hex()}', wmac = x'{mac(writer.secret, other).hex()}'"
    return f"UPDATE audit_entry SET {told} WHERE seq = {entry.seq}"  # noqa: S608 - bytes and numbers of ours


def test_forty_of_a_thousand_are_erased_and_every_proof_holds(officer, northgate, now):
    """Promise 6: their entries can be read by nobody, and the log is as provable as before."""
    patients = make_patients(northgate.id, how_many=1000, now=now - DAY)
    officer.take_away(now, keep=True)
    for patient in patients[::25]:
        destroy_subject_keys(
            subject_id=patient.id, clinic_id=northgate.id, reason="erasure", actor=system_actor(), now=now
        )
    bundle = officer.take_away(now)

    code, report = officer.verify(bundle)

    assert (code, report["findings"]) == (0, [])
    assert report["pinned"][0]["ok"] is True
    assert report["unreadable"] >= 40
    assert report["erased"] >= 40
    assert report["size"] == AuditCheckpoint.objects.filter(log_id=log_number_of(northgate.id)).latest("size").size


def log_number_of(clinic_id):
    return AuditLog.objects.get(clinic_id=clinic_id).id


def test_the_erasure_itself_has_its_place_before_it_is_answered_for(officer, northgate, silent, now):
    destroy_subject_keys(subject_id=silent.id, clinic_id=northgate.id, reason="erasure", actor=system_actor(), now=now)
    entry = AuditEntry.objects.filter(log_id=log_number_of(northgate.id)).latest("seq")

    place = require_inclusion(entry.id, now=now)

    assert AuditLeaf.objects.get(log_id=place.log_id, idx=place.index).entry_seq == entry.seq
