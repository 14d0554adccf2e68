"""A document that says which test shows something names one that is there, and its links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_test_that_a_document_names_is_there(path):
    named = re.findall(r"(tests/[\w/]+\.py)::(\w+)", path.read_text("utf-8"))

    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (ROOT / file).is_file() or f"\ndef {name}(" not in (ROOT / file).read_text("utf-8")
    ]

    assert missing == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_to_a_file_leads_to_one(path):
    links = re.findall(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)", path.read_text("utf-8"))

    assert [link for link in links if not (path.parent / link).exists()] == []
