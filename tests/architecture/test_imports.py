"""Imports go downwards only (ARCHITECTURE, "The house"); the contracts are in pyproject.toml."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    # In a process of its own: the tool reads sources, and must not meet the modules that this run has loaded.
    return subprocess.run(
        [BIN / "lint-imports", "--no-cache"],
        cwd=root,
        env={"PYTHONPATH": str(root), "COLUMNS": "200"},
        text=True,
        capture_output=True,
        check=False,
    )


def test_the_contracts_are_kept():
    done = lint_imports(ROOT)

    assert done.returncode == 0, done.stdout
