"""What a backup that was killed leaves behind holds keys: the next one removes it, and nothing else."""

import os
import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from backend.config.backups.archive import About, BackupRefused, write_archive

ROOT = Path(__file__).resolve().parent.parent.parent
HEX = "0123456789abcdef"


def take(path: Path, *, now: datetime) -> int:
    about = About(kind="keys", schema="s", taken_at=now, database="sqlite", origin="o")
    return write_archive(path, about, [b"wrapped keys"])


def killed(folder: Path, name: str, *, at: datetime, size: int | None = None) -> Path:
    """As much of a backup as was written before somebody killed it."""
    whole = folder / "whole"
    take(whole, now=at)
    draft = folder / name
    draft.write_bytes(whole.read_bytes()[: 50 if size is None else size])
    whole.unlink()
    os.utime(draft, (at.timestamp(), at.timestamp()))
    return draft


@pytest.mark.parametrize("size", [0, 50])
@pytest.mark.parametrize("name", [f".keys.{HEX}", f".accord-keys-20261101T000000Z.{HEX}"])
def test_what_a_killed_backup_left_is_removed_by_the_next(tmp_path, now, name, size):
    draft = killed(tmp_path, name, at=now - timedelta(minutes=61), size=size)

    take(tmp_path / "next", now=now)

    assert not draft.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["next"]


def test_a_backup_that_is_being_written_is_left_alone(tmp_path, now):
    draft = killed(tmp_path, f".keys.{HEX}", at=now - timedelta(minutes=59))

    take(tmp_path / "next", now=now)

    assert draft.exists()


@pytest.mark.parametrize("name", [f".root.key.{HEX}", f".keys.{HEX}0", f"keys.{HEX}", ".keys"])
def test_nobody_elses_files_are_removed(tmp_path, now, name):
    """The first one is named like a draft, but holds a key."""
    path = tmp_path / name
    path.write_bytes(bytes(range(32)))
    long_ago = (now - timedelta(days=9)).timestamp()
    os.utime(path, (long_ago, long_ago))

    take(tmp_path / "next", now=now)

    assert path.exists()


def test_a_folder_that_is_not_there_is_told(tmp_path, now):
    with pytest.raises(BackupRefused, match="can not be written"):
        take(tmp_path / "none" / "next", now=now)


def test_a_name_that_is_missing_is_told(now):
    with pytest.raises(BackupRefused, match="name of the file is missing"):
        take(Path(""), now=now)  # noqa: PTH201 - what an empty argument becomes


def test_the_script_removes_them_too(tmp_path, now):
    """Before it takes a backup: also where taking one fails, as it does here, where there is no Accord."""
    script = tmp_path / "accord" / "deploy" / "backup"
    script.parent.mkdir(parents=True)
    shutil.copy(ROOT / "deploy" / "backup", script)
    python = tmp_path / "accord" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    python.chmod(0o755)
    keys = tmp_path / "keys"
    keys.mkdir()
    old = killed(keys, f".accord-keys-20200101T000000Z.{HEX}", at=now.replace(year=2020))
    kept = killed(keys, f".root.key.{HEX}", at=now.replace(year=2020))
    fresh = keys / f".accord-keys-20200102T000000Z.{HEX}"
    fresh.write_bytes(b"")

    done = subprocess.run([script, tmp_path / "data", keys], capture_output=True, check=False, timeout=30)

    assert done.returncode == 3
    assert sorted(keys.iterdir()) == sorted([kept, fresh])
    assert not old.exists()
