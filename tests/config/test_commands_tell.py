"""What commonly goes wrong around a command is told in a sentence, with exit code 1."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.config.serve import free_port

ROOT = Path(__file__).parents[2]
SECONDS = 60
COMMANDS = {
    "audit_export": ("--system", "--out", "out.zip"),
    "audit_restored": (),
    "check_log": (),
    "backup_data": ("data.backup",),
    "backup_keys": ("keys.backup",),
    "rotate_keys": (),
    "replay_destroyed_keys": (),
    "grant_roles": ("--app", "accord_app"),
}


def run(name: str, folder: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ACCORD_")}
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), name, *arguments],
        env={**kept, "ACCORD_DATA_DIR": str(folder), **settings},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def assert_told(ended: "subprocess.CompletedProcess[str]", *words: str) -> None:
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert any(word in ended.stderr for word in words), ended.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_database_that_is_not_reached(tmp_path: Path, name: str) -> None:
    address = f"postgres://accord:accord@127.0.0.1:{free_port()}/accord"

    ended = run(name, tmp_path, *COMMANDS[name], ACCORD_DATABASE_URL=address)

    assert_told(ended, "can not be used", "can not be reached")
    assert "accord:accord" not in ended.stderr


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - {"grant_roles"}))
def test_a_database_that_was_never_prepared(tmp_path: Path, name: str) -> None:
    assert_told(run(name, tmp_path, *COMMANDS[name]), "prepare", "no key")
