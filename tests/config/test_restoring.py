"""What a restore refuses, and what it brings to an end: run as somebody runs it who has a fresh clone and SQLite."""

import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.config.test_commands_tell import assert_told, run

ERASE = """
from backend import clock
from backend.audit.actors import system_actor
from backend.audit.keys import destroy_subject_keys
from backend.audit.sequencing import sequence_all
from backend.clinics.queries import get_clinic_by_slug
from backend.patients.models import Patient
clinic, patient = get_clinic_by_slug("lilas"), Patient.objects.get()
destroy_subject_keys(
    subject_id=patient.id, clinic_id=clinic.id, reason="erasure", actor=system_actor(), now=clock.now()
)
sequence_all(now=clock.now())
"""
SETTLE = """
from backend import clock
from backend.audit.actors import system_actor
from backend.clinics.queries import get_clinic_by_slug
from backend.patients.operations import import_records
from tests.factories import records
clinic, people = get_clinic_by_slug("lilas"), [records.patient("one")]
import_records(clinic_id=clinic.id, records=people, source="test", actor=system_actor(), now=clock.now())
"""
CLINIC = ("lilas", "--name", "X", "--telephone", "01 99 00 00 01", "--address", "Y")


@dataclass(frozen=True)
class Place:
    """An installation in a folder, with one patient and a backup from before they were erased."""

    folder: Path

    def run(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return run(name, self.folder, *arguments)

    def done(self, name: str, *arguments: str) -> str:
        ended = self.run(name, *arguments)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def restore(self, *options: str) -> "subprocess.CompletedProcess[str]":
        return self.run("restore", "--data", str(self.data), "--keys", str(self.keys), *options)

    @property
    def data(self) -> Path:
        return self.folder / "data.backup"

    @property
    def keys(self) -> Path:
        return self.folder / "keys.backup"

    @property
    def database(self) -> Path:
        return self.folder / "accord.sqlite3"

    @property
    def ledger(self) -> Path:
        return self.folder / "destroyed-keys"

    def destroyed(self) -> int:
        """How many data keys are destroyed in the database as it is."""
        with closing(sqlite3.connect(self.database)) as there:
            return int(there.execute("SELECT count(*) FROM audit_data_key WHERE wrapped IS NULL").fetchone()[0])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = Place(tmp_path_factory.mktemp("made"))
    place.done("prepare", "--verbosity", "0")
    place.done("set_up_clinic", *CLINIC)
    place.done("shell", "--no-imports", "--command", SETTLE)
    place.done("backup_data", str(place.data))
    place.done("backup_keys", str(place.keys))
    place.done("shell", "--no-imports", "--command", ERASE)
    return place.folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Place:
    """A copy that a test may spoil; the person was erased after the backups."""
    shutil.copytree(made, tmp_path / "place")
    return Place(tmp_path / "place")


# ---------------------------------------------------------------------------------------------------------- the ledger


def test_without_the_ledger_nothing_is_restored_where_accord_ran_before(place):
    assert place.destroyed() == 2
    place.ledger.unlink()

    refused = place.restore("--replace")
    assert_told(refused, "destroyed-keys, is not there")
    assert "ACCORD_DESTROYED_KEYS_FILE" in refused.stderr
    assert "--without-ledger" in refused.stderr
    # The checkpoints alone tell it, too.
    place.database.unlink()
    assert_told(place.restore(), "destroyed-keys, is not there")
    assert not place.database.exists()
    assert not place.ledger.exists()

    ended = place.restore("--without-ledger")
    assert ended.returncode == 0, ended.stderr
    assert "of which 0 were destroyed again" in ended.stdout


def test_what_was_destroyed_in_the_database_that_is_put_aside_is_destroyed_again(place):
    place.ledger.unlink()

    ended = place.restore("--replace", "--without-ledger")

    assert ended.returncode == 0, ended.stderr
    assert "of which 2 were destroyed again" in ended.stdout
    assert "2 destroyed keys were added to the ledger" in ended.stdout
    assert place.destroyed() == 2
    assert len({line.split()[0] for line in place.ledger.read_text().splitlines()}) == 2


def test_a_damaged_database_is_put_aside_all_the_same(place):
    place.database.write_bytes(b"no database" * 100)

    ended = place.restore("--replace")

    assert ended.returncode == 0, ended.stderr
    assert "could not be read" in ended.stderr
    assert "of which 2 were destroyed again" in ended.stdout
