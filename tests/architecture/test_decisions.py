"""Decision records can be found by their number and read in one shape."""

import re
from collections import Counter
from pathlib import Path

import pytest

RECORDS = sorted((Path(__file__).parents[2] / "docs" / "decisions").glob("*.md"))
PARTS = ("## Status", "## Context", "## Decision", "## Consequences")


def test_every_record_has_a_number_of_its_own():
    numbers = Counter(path.name[:4] for path in RECORDS)

    assert [number for number, times in numbers.items() if times > 1] == []


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_record_is_named_and_shaped_like_the_others(path):
    text = path.read_text("utf-8")

    assert re.fullmatch(r"\d{4}(-[a-z0-9]+)+\.md", path.name)
    assert text.startswith(f"# {path.name[:4]} ")
    assert [line for line in text.splitlines() if line in PARTS] == list(PARTS)
