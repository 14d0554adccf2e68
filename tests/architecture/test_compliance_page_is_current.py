"""docs/reference/compliance.md says what the tests of the obligations say, and a test that says nothing is told."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def house(tmp_path):
    """The page, its maker and the tests, to spoil."""
    for folder in ("bin", "docs/reference", "tests/compliance"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def check(house):
    return subprocess.run(
        [sys.executable, "bin/_compliance.py", "--check"], cwd=house, capture_output=True, text=True, check=False
    )


def test_the_page_is_what_the_tests_say():
    done = check(ROOT)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("test_row_20_restriction.py", None, "Row 20 has no test"),
        (
            "test_row_21_more.py",
            '"""Row 21, GDPR: more."""\n\n\ndef test_it():\n    assert True\n',
            "Run bin/compliance",
        ),
        ("test_row_21_empty.py", '"""Row 21, GDPR: nothing."""\n', "tests nothing"),
        ("test_row_21_other.py", '"""Row 22, GDPR: other."""\n\n\ndef test_it():\n    pass\n', "Row N"),
        ("test_row_99_none.py", '"""Row 99, GDPR: none."""\n\n\ndef test_it():\n    pass\n', "no row 99"),
    ],
)
def test_a_row_that_came_or_went_is_told(house, name, text, told):
    path = house / "tests" / "compliance" / name
    if text is None:
        path.unlink()
    else:
        path.write_text(text, encoding="utf-8")

    done = check(house)

    assert done.returncode == 1
    assert told in done.stderr
