"""What bin/compliance runs: writes docs/reference/compliance.md from the tests under tests/compliance.

With --check it compares instead; exit code 1 when the page is not what the tests say.
"""

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
TESTS: Final = ROOT / "tests" / "compliance"
PAGE: Final = ROOT / "docs" / "reference" / "compliance.md"
FIRST_LINE: Final = re.compile(r"Row (\d+), (.+?): (.+)")
NOT_YET: Final = re.compile(r"^Not yet: (.+?)(?:\n\n|\Z)", re.MULTILINE | re.DOTALL)
HEAD: Final = """# Compliance, row by row

Made by `bin/compliance` from the tests under `tests/compliance`; `bin/check` compares. Each row is an obligation, what
Accord does for it, and the tests that try to show otherwise. **Kept**: all of it is tested. **Partly**: what is missing
is said. **Not yet**: nobody should rely on it. This is engineering, not legal advice.

"""


class PageImpossible(Exception):
    """A test or a row says nothing that a page could be made of."""


@dataclass(frozen=True, slots=True)
class Tested:
    """One module of tests: the row it is about, and what it says is missing."""

    row: int
    path: Path
    missing: str


def tested() -> list[Tested]:
    """Every module, by its first line."""
    return [_read(path) for path in sorted(TESTS.glob("test_row_*.py"))]


def _read(path: Path) -> Tested:
    tree = ast.parse(path.read_text("utf-8"))
    docstring = ast.get_docstring(tree) or ""
    first = FIRST_LINE.match(docstring)
    if first is None or not path.name.startswith(f"test_row_{int(first[1]):02}_"):
        raise PageImpossible(f'{path.name} has to begin with "Row N, source: feature", N as in its name.')
    if not any(isinstance(node, ast.FunctionDef) and node.name.startswith("test_") for node in ast.walk(tree)):
        raise PageImpossible(f"{path.name} tests nothing.")
    missing = NOT_YET.search(docstring)
    return Tested(int(first[1]), path, "" if missing is None else " ".join(missing[1].split()).rstrip("."))


def page() -> str:
    """The page, from the rows and the tests."""
    rows = {int(number): row for number, row in tomllib.loads((TESTS / "obligations.toml").read_text("utf-8")).items()}
    by_row = defaultdict(list)
    for one in tested():
        by_row[one.row].append(one)
    if unknown := by_row.keys() - rows.keys():
        raise PageImpossible(f"There is no row {min(unknown)}.")
    states = {number: _state(number, row, by_row[number]) for number, row in rows.items()}
    counts = {word: sum(said.startswith(f"**{word}**") for said in states.values()) for word in ("kept", "partly")}
    return (
        HEAD
        + f"{counts['kept']} of {len(rows)} rows are kept, {counts['partly']} partly.\n\n"
        + "| row | source | what Accord does | state | tests |\n|---|---|---|---|---|\n"
        + "".join(
            f"| {number} | {row['source']} | {row['feature']} | {states[number]} | {_links(by_row[number])} |\n"
            for number, row in sorted(rows.items())
        )
    )


def _state(number: int, row: dict[str, str], tests: Sequence[Tested]) -> str:
    if tests:
        missing = "; ".join(one.missing for one in tests if one.missing)
        return f"**partly**; not yet: {missing}" if missing else "**kept**"
    if "never" in row:
        return f"not applicable: {row['never']}"
    if "without" not in row:
        raise PageImpossible(f"Row {number} has no test, and does not say what is missing.")
    return f"not yet: {row['without']}"


def _links(tests: Sequence[Tested]) -> str:
    return "<br>".join(f"[{one.path.stem}](../../{one.path.relative_to(ROOT).as_posix()})" for one in tests)


def main(arguments: Sequence[str]) -> int:
    """Write the page, or compare it."""
    try:
        made = page()
    except PageImpossible as problem:
        print(problem, file=sys.stderr)
        return 1
    if "--check" not in arguments:
        PAGE.write_text(made, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text("utf-8") != made:
        print("docs/reference/compliance.md is not what the tests say. Run bin/compliance.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
