"""What a restore refuses, and what it brings to an end: run as somebody runs it who has a fresh clone and SQLite."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.audit.leaf import parse_leaf
from backend.config.backups.archive import BackupRefused, open_archive
from tests.config.test_commands_tell import ROOT, assert_told, run

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


ROOM = 200 << 10


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
    shutil.copy(place.database, place.folder / "by-hand")
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


def test_a_copy_from_before_a_rotation_is_said_to_be_lost(place):
    """Nobody is sent from one command to the next, none of which can open it."""
    place.done("rotate_keys")
    shutil.copy(place.folder / "by-hand", place.database)

    for name in "prepare", "replay_destroyed_keys", "audit_restored":
        ended = place.run(name)
        assert_told(ended, "from before can not be opened any more")
        assert "Run manage.py replay_destroyed_keys" not in ended.stderr


# --------------------------------------------------------------------------------------------------------- the archives


@pytest.mark.parametrize("kind", ["data", "keys"])
@pytest.mark.parametrize("how", ["added", "comment", *range(-22, 0)], ids=str)
def test_an_archive_with_a_byte_changed_or_added_at_its_end_is_refused(made, tmp_path, kind, how):
    content = (made / f"{kind}.backup").read_bytes()
    path = tmp_path / "archive"
    path.write_bytes(content)
    assert open_archive(path, kind=kind).about.kind == kind

    if how == "added":
        path.write_bytes(content + b"x")
    elif how == "comment":
        path.write_bytes(content[:-2] + b"\x01\x00x")
    else:
        path.write_bytes(content[:how] + bytes([content[how] ^ 1]) + content[len(content) + how + 1 :])

    with pytest.raises(BackupRefused, match="archive is damaged"):
        open_archive(path, kind=kind)


# --------------------------------------------------------------------------------------- a disk that is full, read-only


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for two hundred kilobytes."""
    with _mounted(tmp_path / "full", f"size={ROOM}") as folder:
        yield folder


@contextmanager
def _mounted(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", folder], check=False, capture_output=True
    ).returncode:
        pytest.skip("file systems can not be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def outcomes(place: Place, action: str) -> list[str]:
    """How each of these actions ended, as the log says."""
    with closing(sqlite3.connect(place.database)) as there:
        rows = there.execute("SELECT leaf FROM audit_entry ORDER BY seq").fetchall()
    headers = [parse_leaf(bytes(leaf)).header for (leaf,) in rows]
    return [str(one["o"]) for one in headers if one["a"] == action]


@pytest.mark.parametrize("kind", ["data", "keys"])
def test_a_backup_that_failed_is_not_in_the_log_as_taken(place, full, kind):
    assert outcomes(place, "backup.taken") == ["ok", "ok"]
    (full / "rest").write_bytes(bytes(ROOM))

    ended = place.run(f"backup_{kind}", str(full / "out"))

    assert_told(ended, "No space left on device")
    assert "ignored" not in ended.stderr
    assert [path.name for path in full.iterdir()] == ["rest"]
    subprocess.run(["mount", "-o", "remount,ro", full], check=True)
    ended = place.run(f"backup_{kind}", str(full / "out"))
    assert_told(ended, "Read-only file system")
    assert outcomes(place, "backup.taken") == ["ok", "ok", "error", "error"]


def test_an_export_that_failed_is_in_the_log_as_failed(place, full):
    (full / "rest").write_bytes(bytes(ROOM))

    assert_told(place.run("audit_export", "--clinic", "lilas", "--out", str(full / "out")), "No space left on device")

    assert outcomes(place, "log.exported") == ["ok", "error"]


def test_a_restore_onto_a_full_disk_leaves_what_was_there(place, full):
    (full / "rest").write_bytes(bytes(150_000))
    with closing(sqlite3.connect(full / "accord.sqlite3")) as there:
        there.execute("CREATE TABLE kept (n)")

    ended = run(
        *("restore", place.folder, "--data", str(place.data), "--keys", str(place.keys), "--replace"),
        ACCORD_DATABASE_URL=f"sqlite:///{str(full / 'accord.sqlite3').lstrip('/')}",
    )

    assert_told(ended, "No space left on device")
    with closing(sqlite3.connect(full / "accord.sqlite3")) as there:
        assert there.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    assert not [path for path in full.iterdir() if path.name.startswith(".")]


def test_nobody_reads_what_is_written(place):
    command = [sys.executable, str(ROOT / "manage.py"), "audit_export", "--system", "--out", str(place.folder / "out")]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        ended = subprocess.run(
            command,
            env={**os.environ, "ACCORD_DATA_DIR": str(place.folder), "ACCORD_DATABASE_URL": ""},
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )

    assert (ended.returncode, ended.stderr) == (141, "")
    assert (place.folder / "out").exists()


def test_a_rotation_on_a_full_disk_says_so(place, tmp_path):
    place.done("rotate_keys", "--begin")
    with _mounted(tmp_path / "small", "size=16m") as folder:
        shutil.copytree(place.folder, folder / "place")
        free = shutil.disk_usage(folder).free
        (folder / "rest").write_bytes(bytes(free - (48 << 10)))

        ended = Place(folder / "place").run("rotate_keys")

    assert_told(ended, "database or disk is full")
    assert "did not let the rotation go on" in ended.stderr
    assert "it goes on where it stopped" in ended.stderr
    assert "for a long time" not in ended.stderr
