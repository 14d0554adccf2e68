"""The commands set themselves up: once, again when the lock changes, and anew after an interruption."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("sh", "cat", "cmp", "cp", "rm", "mkdir", "sleep", "dirname", "grep", "tail", "env")
# Stands in for uv: makes a real environment, "installs" a django, and notes what it was asked.
INSTALLER = """#!/bin/sh
echo "$*" >> "$ASKED"
case $1 in
venv) for last; do :; done; "$REAL_PYTHON" -m venv --without-pip "$last" ;;
pip) for last; do :; done; [ -z "${FAIL:-}" ] || exit 1
     place=$(dirname "$last")/../.venv; : > "$(echo "$place"/lib/python3*/site-packages)/django.py" ;;
esac
"""


class Clone:
    """A fresh clone in a folder with a space in its name, with only the tools that are named on its path."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a clone"
        self.tools = folder / "tools"
        self.asked = folder / "asked"
        shutil.copytree(ROOT / "bin", self.root / "bin", ignore=shutil.ignore_patterns("__pycache__"))
        (self.root / "requirements").mkdir()
        for name in ("runtime", "dev"):
            (self.root / "requirements" / f"{name}.txt").write_text("django==5\n")
        (self.root / "demo").mkdir()
        (self.root / "demo" / "__main__.py").write_text("import os, sys\nprint(os.getcwd(), *sys.argv[1:], sep='|')\n")
        self.tools.mkdir()
        for name in NEEDED:
            (self.tools / name).symlink_to(shutil.which(name) or name)

    def add_tool(self, name: str, text: str) -> None:
        (self.tools / name).write_text(text)
        (self.tools / name).chmod(0o755)

    def add_python(self, *, without: str = "nothing") -> None:
        self.add_tool("python3", f'#!/bin/sh\ncase "$*" in *{without}*) exit 1 ;; esac\nexec {sys.executable} "$@"\n')

    def demo(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.root / "bin" / "demo", *arguments],
            cwd=self.tools,
            env={
                "PATH": str(self.tools),
                "ASKED": str(self.asked),
                "REAL_PYTHON": sys.executable,
                "HOME": str(self.root),
                **environment,
            },
            text=True,
            capture_output=True,
            check=False,
        )

    def asked_for(self) -> list[str]:
        lines = self.asked.read_text().splitlines() if self.asked.exists() else []
        self.asked.unlink(missing_ok=True)
        return [line.split()[0] for line in lines]


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


@pytest.fixture
def clone_with_installer(clone):
    clone.add_python()
    clone.add_tool("uv", INSTALLER)
    return clone


def test_the_first_run_sets_up_and_the_second_does_not(clone_with_installer):
    first = clone_with_installer.demo("--once", "two words")
    assert clone_with_installer.asked_for() == ["venv", "pip"]
    second = clone_with_installer.demo("--once", "two words")

    assert clone_with_installer.asked_for() == []
    assert first.stdout == second.stdout == f"{clone_with_installer.tools}|--once|two words\n"
    assert "Setting up" in first.stderr
    assert second.stderr == ""


def test_a_changed_lock_is_followed_in_place(clone_with_installer):
    clone_with_installer.demo()
    clone_with_installer.asked_for()
    (clone_with_installer.root / "requirements" / "runtime.txt").write_text("django==6\n")

    assert "up to the lock" in clone_with_installer.demo().stderr
    assert clone_with_installer.asked_for() == ["pip"]


def test_a_half_finished_installation_is_made_anew(clone_with_installer):
    failed = clone_with_installer.demo(FAIL="yes")
    (clone_with_installer.root / ".venv" / "left-over").touch()
    clone_with_installer.asked_for()

    assert failed.returncode != 0
    assert clone_with_installer.demo().returncode == 0
    assert clone_with_installer.asked_for() == ["venv", "pip"]
    assert not (clone_with_installer.root / ".venv" / "left-over").exists()


def test_a_turn_left_by_a_process_that_died_is_taken_over(clone_with_installer):
    turn = clone_with_installer.root / ".tools" / "setting-up"
    turn.mkdir(parents=True)
    child = os.posix_spawn("/bin/sh", ["sh", "-c", ":"], {})
    os.waitpid(child, 0)
    (turn / "process").write_text(f"{child}\n")

    assert clone_with_installer.demo().returncode == 0
    assert not turn.exists()


@pytest.mark.parametrize(
    ("python", "advice"),
    [(None, "apt-get install python3 python3-venv"), ("ensurepip", "-venv) and run this again")],
    ids=["no Python", "no venv"],
)
def test_what_is_missing_is_said_in_one_sentence(clone, python, advice):
    if python:
        clone.add_python(without=python)

    done = clone.demo()

    assert done.returncode == 2
    assert done.stdout == ""
    assert advice in done.stderr.splitlines()[-1]
    assert len(done.stderr.splitlines()) == 1
