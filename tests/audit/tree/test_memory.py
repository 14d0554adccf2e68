"""What this machine remembers of what it signed: damaged, it stops the signing, in a sentence, and can be set aside."""

import logging
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from backend.audit.growing import LogInconsistent, sequencer_memory
from backend.audit.memory import MemoryDamaged, SignedMemory
from backend.audit.notes import Checkpoint, origin_of
from backend.audit.sequencing import sequence_all
from backend.audit.tree_check import check_trees
from backend.audit.watching import check_every_log
from backend.vault.identifiers import new_id
from tests.audit.tree.test_sequencing import add_entries, log_of
from tests.factories.clinics import make_clinic

DAMAGES = pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe\x00", b"no checkpoint\n\n", b"accord/audit/x\n7\n"],
    ids=["empty", "bytes", "text", "cut"],
)


@pytest.fixture
def clinic(committed, now):
    return make_clinic("lindens", now=now - timedelta(days=1))


@pytest.fixture
def log(clinic, now):
    add_entries(clinic.id, 3, now=now)
    sequence_all(now=now)
    return log_of(clinic.id)


def file_of(log) -> Path:
    return sequencer_memory().folder / f"{log.origin}.checkpoint"


@DAMAGES
def test_a_damaged_file_is_told_in_a_sentence(log, content):
    file_of(log).write_bytes(content)

    with pytest.raises(MemoryDamaged, match=rf"{log.origin}\.checkpoint in ACCORD_CHECKPOINT_DIR.*audit_restored"):
        sequencer_memory().last(origin_of(log.origin))


def test_a_file_of_another_log_is_damaged(tmp_path):
    memory = SignedMemory(tmp_path)
    one, other = origin_of(new_id()), origin_of(new_id())
    memory.keep(one, Checkpoint(origin=other, size=1, root=bytes(32)).text + "\n")

    with pytest.raises(MemoryDamaged, match="is of another log"):
        memory.last(one)


@DAMAGES
def test_nothing_is_signed_and_the_commands_say_why(log, clinic, now, content, tmp_path, caplog):
    file_of(log).write_bytes(content)
    add_entries(clinic.id, 1, now=now)

    with caplog.at_level(logging.ERROR, "accord.audit.alarm"):
        with pytest.raises(LogInconsistent, match="audit_restored"):
            sequence_all(now=now)
        with pytest.raises(CommandError, match=r"ACCORD_CHECKPOINT_DIR"):
            call_command("audit_export", "--clinic", "lindens", "--out", str(tmp_path / "bundle"))
        assert not check_every_log()
    assert "what_was_kept_is_damaged" in caplog.text
    with pytest.raises(CommandError, match="not as they were signed"):
        call_command("check_log")


@DAMAGES
def test_a_damaged_file_is_set_aside_after_a_restore(log, clinic, now, content, capsys):
    file_of(log).write_bytes(content)

    call_command("audit_restored")

    assert file_of(log).name in capsys.readouterr().err
    assert [path.read_bytes() for path in file_of(log).parent.glob(f"{log.origin}.lost-*")] == [content]
    add_entries(clinic.id, 1, now=now)
    sequence_all(now=now)
    assert check_trees([log_of(clinic.id)]).holds
