"""The ledger of destroyed keys: whole lines only, whoever adds them and whenever the power fails."""

import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backend.audit.actors import system_actor
from backend.audit.keys import destroy_subject_keys
from backend.audit.ledger import LINE_BYTES, DestroyedKeys, LedgerUnusable, is_destroyed_for_good, ledger
from backend.audit.models import DataKey
from backend.audit.restoring import reconcile_ledger
from backend.vault.identifiers import new_id
from tests.factories.patients import make_patient

ROOT = Path(__file__).parents[2]
AT = datetime(2026, 10, 14, 8, 0, tzinfo=UTC)


@pytest.fixture
def book(tmp_path: Path) -> DestroyedKeys:
    """A ledger without a line."""
    return DestroyedKeys(tmp_path / "folder" / "destroyed-keys")


@pytest.fixture
def own_ledger(settings, tmp_path: Path) -> DestroyedKeys:
    """The installation's, in a folder of this test."""
    settings.ACCORD_DESTROYED_KEYS_FILE = tmp_path / "destroyed-keys"
    return ledger()


def test_a_line_is_an_id_and_a_time_and_nothing_else(book):
    key_id = new_id()

    book.add({key_id: AT})

    assert book.path.read_text() == f"{key_id} 2026-10-14T08:00:00Z\n"
    assert len(book.path.read_bytes()) == LINE_BYTES + 1
    assert stat.S_IMODE(book.path.stat().st_mode) == 0o600
    assert book.read() == {key_id}


def test_no_file_is_an_empty_ledger(book):
    assert book.read() == set()
    book.add({})
    assert not book.path.exists()
    book.see_that_it_can_be_kept()
    assert book.path.read_bytes() == b""


@pytest.mark.parametrize("length", range(1, LINE_BYTES + 1))
def test_a_torn_last_line_is_tolerated_and_completed(book, length):
    first, torn, later = new_id(), new_id(), new_id()
    book.add({first: AT, torn: AT})
    whole = book.path.read_bytes()
    book.path.write_bytes(whole[: LINE_BYTES + 1 + length])

    # Once the id is whole the key counts as destroyed; before, the database adds it again.
    assert book.read() == ({first, torn} if length >= 36 else {first})
    book.add({later: AT})
    assert book.read() >= {first, later}
    assert book.path.read_bytes().endswith(f"\n{later} 2026-10-14T08:00:00Z\n".encode())


@pytest.mark.parametrize(
    "line", ["something else", "0" * 36 + " 2026-10-14T08:00:00Z", "x" * LINE_BYTES, "0198-torn and more"], ids=str
)
def test_a_line_that_nobody_wrote_is_not_passed_over(book, line):
    book.add({new_id(): AT})
    with book.path.open("a") as file:
        file.write(f"{line}\n")

    with pytest.raises(LedgerUnusable, match=r"holds a line \(2\) that nobody wrote"):
        book.read()


def test_a_ledger_that_can_not_be_kept_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "destroyed-keys", tmp_path):
        with pytest.raises(LedgerUnusable, match="ACCORD_DESTROYED_KEYS_FILE"):
            DestroyedKeys(path).see_that_it_can_be_kept()


ADD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID
import django
django.setup()
from backend.audit.ledger import DestroyedKeys
book = DestroyedKeys(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(300):
    book.add({UUID(int=(int(sys.argv[2]) << 64) + number): datetime(2026, 1, 1, tzinfo=UTC)})
"""


def test_processes_that_add_at_once_lose_and_mix_no_line(book):
    book.add({new_id(): AT})
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ADD, str(book.path), str(number)],
            cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "backend.config.settings"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(1, 5)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)

    lines = book.path.read_bytes().splitlines()
    assert len(lines) == 1201
    assert {len(line) for line in lines} == {LINE_BYTES}
    assert len(book.read()) == 1201


def test_a_destruction_is_in_the_ledger_once_it_is_committed(transactional_db, own_ledger, clinic, now):
    patient = make_patient(clinic.id, now=now, reachable=False)

    destroyed = destroy_subject_keys(
        subject_id=patient.id, clinic_id=clinic.id, reason="erasure", actor=system_actor(), now=now
    )

    assert own_ledger.read() == set(destroyed)
    assert own_ledger.path.read_text().count("2026-10-14T08:00:00Z") == 2


def test_a_destruction_that_is_not_committed_is_not(db, own_ledger, clinic, patient, now):
    destroy_subject_keys(subject_id=patient.id, clinic_id=clinic.id, reason="erasure", actor=system_actor(), now=now)

    assert own_ledger.read() == set()


def test_a_ledger_that_can_not_be_added_to_stops_no_erasure(transactional_db, settings, clinic, tmp_path, now, caplog):
    patient = make_patient(clinic.id, now=now, reachable=False)
    settings.ACCORD_DESTROYED_KEYS_FILE = tmp_path / "folder" / "destroyed-keys"
    assert is_destroyed_for_good([new_id()]) == set()
    (tmp_path / "folder").write_text("a file in its place")

    destroyed = destroy_subject_keys(
        subject_id=patient.id, clinic_id=clinic.id, reason="erasure", actor=system_actor(), now=now
    )

    assert DataKey.objects.filter(id__in=destroyed, wrapped=None).count() == 2
    assert "can not be added to" in caplog.text
    (tmp_path / "folder").unlink()
    assert reconcile_ledger() == 2
    assert ledger().read() == set(destroyed)


def test_what_the_ledger_lacks_is_added(db, own_ledger, clinic, patient, now):
    destroyed = destroy_subject_keys(
        subject_id=patient.id, clinic_id=clinic.id, reason="erasure", actor=system_actor(), now=now
    )

    assert reconcile_ledger() == 2
    assert own_ledger.read() == set(destroyed)
    assert reconcile_ledger() == 0
