"""What is tracked belongs to everybody: no index host, no place on somebody's machine, nothing very large."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LARGEST = 1024 * 1024
# Put together from pieces, so that this file does not name what it looks for.
INDEX_HOSTS = [f"{name}.org" for name in ("pypi", "pythonhosted", "registry.npmjs", "deb.debian", "security.debian")]
PLACES = [f"{ROOT}/", f"{Path.home()}/", f"/{'root'}/"]
HOME = re.compile(rb"/(?:home|Users)/[a-z][\w.-]*/")


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("this is not a git working tree")
    paths = (ROOT / name.decode() for name in listed.stdout.split(b"\0") if name)
    return [path for path in paths if path.is_file() and not path.is_symlink()]


@pytest.mark.parametrize("words", [INDEX_HOSTS, PLACES], ids=["index host", "machine path"])
def test_no_tracked_file_names(words):
    pattern = re.compile("|".join(re.escape(word) for word in words if word != "//").encode())

    assert [path.relative_to(ROOT) for path in tracked_files() if pattern.search(path.read_bytes())] == []


def test_no_tracked_file_names_somebodys_home():
    assert [path.relative_to(ROOT) for path in tracked_files() if HOME.search(path.read_bytes())] == []


def test_no_tracked_file_is_very_large():
    assert [path.relative_to(ROOT) for path in tracked_files() if path.stat().st_size > LARGEST] == []


def test_nothing_that_a_run_leaves_behind_is_tracked():
    left = re.compile(r"(^|/)(__pycache__|\.venv|var)/|\.(pyc|sqlite3|key|log)$|(^|/)(secret-key|.*\.env)$")

    assert [name for path in tracked_files() if left.search(name := str(path.relative_to(ROOT)))] == []
