"""The check on the spot finds what was done to the log behind its back."""

import logging
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from backend.audit.growing import log_key, sequencer_memory
from backend.audit.models import AuditCheckpoint, AuditEntry, AuditLeaf, AuditRefusedEntry
from backend.audit.notes import Checkpoint, origin_of
from backend.audit.sequencing import sequence_all
from backend.audit.tree_check import check_trees
from backend.audit.watching import check_every_log
from backend.vault.keyring import keyring
from tests.audit.tree.test_sequencing import add_entries, log_of
from tests.factories.clinics import make_clinic
from tests.factories.tampering import forge, tamper


@pytest.fixture
def clinic(committed, now):
    return make_clinic("lindens", now=now - timedelta(days=1))


@pytest.fixture
def log(clinic, now):
    """A log of over 256 entries, signed several times."""
    add_entries(clinic.id, 20, now=now)
    sequence_all(now=now)
    add_entries(clinic.id, 300, now=now)
    sequence_all(now=now)
    return log_of(clinic.id)


def found(log):
    return {finding.what for finding in check_trees([log]).findings}


def test_a_log_that_nobody_touched_holds(log):
    check = check_trees()

    assert check.findings == []
    assert check.entries == AuditEntry.objects.count()
    assert (check.waiting, check.refused) == (0, 0)
    assert check.logs == 3


def test_an_entry_that_waits_is_counted(log, clinic, now):
    add_entries(clinic.id, 2, now=now)

    assert check_trees([log]).waiting == 2
    assert check_trees([log]).holds


@pytest.mark.parametrize(
    ("attack", "what"),
    [
        ("UPDATE audit_entry SET leaf = wmac WHERE seq = {seq}", "changed"),
        ("DELETE FROM audit_entry WHERE seq = {seq}", "entry_missing"),
        ("DELETE FROM audit_leaf WHERE entry_seq = {seq}", "missing"),
        ("UPDATE audit_leaf SET h = (SELECT n.h FROM audit_node n LIMIT 1) WHERE entry_seq = {seq}", "changed"),
        ("UPDATE audit_node SET h = (SELECT l.h FROM audit_leaf l LIMIT 1) WHERE log_id = {log}", "node_wrong"),
        ("DELETE FROM audit_node WHERE log_id = {log}", "node_wrong"),
        ("UPDATE audit_checkpoint SET note = 'gone' WHERE log_id = {log}", "signature_wrong"),
        ("UPDATE audit_checkpoint SET root = (SELECT h FROM audit_leaf LIMIT 1) WHERE log_id = {log}", "root_wrong"),
        ("DELETE FROM audit_checkpoint WHERE log_id = {log}", "not_signed_to_its_end"),
        ("DELETE FROM audit_part WHERE log_id = {log} AND idx = 7", "index_of_keys_wrong"),
    ],
)
def test_tampering_is_found(log, attack, what):
    victim = AuditLeaf.objects.get(log_id=log.id, idx=7)

    tamper(attack.format(seq=victim.entry_seq, log=log.id))

    assert what in found(log)


def test_the_entry_that_was_changed_is_named(log):
    victim = AuditLeaf.objects.get(log_id=log.id, idx=7)
    tamper(f"UPDATE audit_entry SET leaf = wmac WHERE seq = {victim.entry_seq}")  # noqa: S608 - a number of ours

    first = check_trees([log]).findings[0]

    assert (first.index, first.what) == (7, "changed")


def test_a_log_that_was_cut_off_and_fits_together_again_is_found_by_what_was_kept(log):
    first = AuditCheckpoint.objects.filter(log_id=log.id).order_by("size").first()
    last_kept = AuditLeaf.objects.get(log_id=log.id, idx=first.size - 1).entry_seq
    for attack in (
        f"DELETE FROM audit_checkpoint WHERE log_id = {log.id} AND size > {first.size}",  # noqa: S608 - numbers of ours
        f"DELETE FROM audit_node WHERE log_id = {log.id}",  # noqa: S608 - as above
        f"DELETE FROM audit_leaf WHERE log_id = {log.id} AND idx >= {first.size}",  # noqa: S608 - as above
        f"DELETE FROM audit_entry WHERE log_id = {log.id} AND seq > {last_kept}",  # noqa: S608 - as above
    ):
        tamper(attack)

    assert found(log) == {"shorter_than_signed", "index_of_keys_wrong"}


def test_another_history_with_a_stolen_key_is_found_by_what_was_kept(log):
    origin = origin_of(log.origin)
    kept = sequencer_memory().last(origin)
    signed = log_key(origin).sign(Checkpoint(origin=origin, size=kept.size, root=bytes(32)).text)
    (sequencer_memory().folder / f"{log.origin}.checkpoint").write_text(signed)

    assert found(log) == {"not_what_was_signed"}


def test_the_command_says_what_it_found(log, capsys):
    call_command("check_log")
    assert "3 logs" in capsys.readouterr().out

    victim = AuditLeaf.objects.get(log_id=log.id, idx=7)
    tamper(f"DELETE FROM audit_entry WHERE seq = {victim.entry_seq}")  # noqa: S608 - a number of ours
    with pytest.raises(CommandError):
        call_command("check_log")
    assert f"log {origin_of(log.origin)}, entry 7: entry_missing" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["check_log", "audit_export"])
def test_a_foreign_line_in_the_ledger_of_destroyed_keys_is_told_in_a_sentence(log, settings, tmp_path, command):
    """By a process that begins with it: nothing is opened before it is put right."""
    settings.ACCORD_DESTROYED_KEYS_FILE = tmp_path / "destroyed-keys"
    settings.ACCORD_DESTROYED_KEYS_FILE.write_bytes(b"nobody wrote this\n")
    keyring().clear()
    options = ["--clinic", "lindens", "--out", str(tmp_path / "bundle.zip")] if command == "audit_export" else []

    with pytest.raises(CommandError, match=r"destroyed-keys, holds a line \(1\) that nobody wrote there"):
        call_command(command, *options)
    assert not (tmp_path / "bundle.zip").exists()


def test_a_genuine_entry_that_somebody_put_among_the_refused_is_found(log, clinic, now, caplog):
    """It would wait for ever, and nobody would count it as waiting."""
    add_entries(clinic.id, 1, now=now)
    hidden = AuditEntry.objects.order_by("-seq").first()
    AuditRefusedEntry.objects.create(entry_seq=hidden.seq, reason="not_written_by_us", at=now)

    assert found(log) == {"refused_without_reason"}
    with caplog.at_level(logging.ERROR, "accord.audit.alarm"):
        assert not check_every_log()
    assert "refused_without_reason" in caplog.text


@pytest.mark.parametrize("changes", [{"wmac": bytes(32)}, {"leaf": b"\x01forged"}, {}])
def test_a_row_that_was_refused_for_a_reason_is_no_finding(log, clinic, now, changes):
    add_entries(clinic.id, 1, now=now)
    forge(**changes)
    sequence_all(now=now)
    sequence_all(now=now)

    check = check_trees()

    assert (check.refused, check.findings) == (1, [])
