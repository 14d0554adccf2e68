"""A log that is not the one that was signed is not handed out as if it were."""

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from backend.audit.actors import system_actor
from backend.audit.bundle.exporting import export_log
from backend.audit.growing import LogInconsistent
from backend.audit.models import AuditCheckpoint, AuditLeaf
from backend.audit.recording import forget_log_numbers
from backend.audit.sequencing import sequence_all
from backend.vault.identifiers import new_id
from tests.audit.tree.test_sequencing import add_entries, log_of
from tests.factories.clinics import make_clinic
from tests.factories.tampering import tamper

DAY = timedelta(days=1)


@pytest.fixture
def clinic(committed, now):
    return make_clinic("lindens", now=now - DAY)


@pytest.fixture
def log(clinic, now):
    add_entries(clinic.id, 12, now=now)
    sequence_all(now=now)
    add_entries(clinic.id, 3, now=now)
    sequence_all(now=now)
    return log_of(clinic.id)


def log_size(log):
    return AuditLeaf.objects.filter(log_id=log.id).count()


def as_stored(value):
    return str(value) if connection.vendor == "postgresql" else value.hex


def refused(clinic_id, *, now):
    """The sentence with which it is refused; nothing is in the file then."""
    file = io.BytesIO()
    with pytest.raises(LogInconsistent) as found:
        export_log(file, clinic_id=clinic_id, actor=system_actor(), now=now)
    assert file.getvalue() == b""
    return str(found.value)


@pytest.mark.parametrize(
    ("attack", "told"),
    [
        ("UPDATE audit_entry SET leaf = wmac WHERE seq = {seq}", "entry 5 is not as it was signed"),
        ("DELETE FROM audit_entry WHERE seq = {seq}", "entry 5 is missing"),
        (
            "UPDATE audit_leaf SET h = (SELECT h FROM audit_leaf ORDER BY h LIMIT 1) WHERE entry_seq = {seq}",
            "entry 5 is not as it",
        ),
    ],
)
def test_an_entry_that_was_changed_is_named_and_nothing_is_exported(clinic, log, now, attack, told):
    seq = AuditLeaf.objects.get(log_id=log.id, idx=5).entry_seq

    tamper(attack.format(seq=seq))

    assert told in refused(clinic.id, now=now)


def test_an_entry_that_was_changed_together_with_its_hash_does_not_lead_to_the_signed_root(clinic, log, now):
    leaf, later = (AuditLeaf.objects.get(log_id=log.id, idx=idx) for idx in (5, log_size(log) - 2))
    first_signed = AuditCheckpoint.objects.filter(log_id=log.id).order_by("size").first().size
    assert 5 < first_signed < later.idx
    assert leaf.entry_seq is not None
    for changed in (later, leaf):
        tamper(
            f"UPDATE audit_entry SET leaf = (SELECT leaf FROM audit_entry WHERE seq = {leaf.entry_seq - 1}) "  # noqa: S608 - numbers of ours
            f"WHERE seq = {changed.entry_seq}"
        )
        tamper(
            f"UPDATE audit_leaf SET h = (SELECT h FROM audit_leaf WHERE entry_seq = {leaf.entry_seq - 1}) "  # noqa: S608 - numbers of ours
            f"WHERE entry_seq = {changed.entry_seq}"
        )
        named = first_signed if changed is later else 0
        assert f"from entry {named} on it is not as it was signed" in refused(clinic.id, now=now)


def test_two_logs_that_were_given_each_others_clinic_are_found(clinic, log, now):
    other = make_clinic("oaks", now=now - DAY)
    sequence_all(now=now)
    spare, theirs = new_id(), log_of(other.id)
    for number, clinic_id in ((log.id, spare), (theirs.id, clinic.id), (log.id, other.id)):
        tamper(f"UPDATE audit_log SET clinic_id = '{as_stored(clinic_id)}' WHERE id = {number}")  # noqa: S608 - ours
    forget_log_numbers()

    assert "entry 0 is not of this clinic" in refused(clinic.id, now=now)


def test_the_command_ends_with_a_sentence_and_makes_no_file(clinic, log, tmp_path):
    tamper(f"UPDATE audit_entry SET leaf = wmac WHERE seq = {AuditLeaf.objects.get(log_id=log.id, idx=2).entry_seq}")  # noqa: S608 - a number of ours

    with pytest.raises(CommandError, match="entry 2 is not as it was signed") as found:
        call_command("audit_export", clinic="lindens", out=tmp_path / "out.zip")

    assert found.value.returncode == 1
    assert list(tmp_path.iterdir()) == []
