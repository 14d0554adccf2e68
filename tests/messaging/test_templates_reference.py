"""The reference of templates says what the code does: names, filters, tags, and every rule of the linter."""

from pathlib import Path

import pytest
from django.conf import settings

from backend.messaging.linting import Code
from backend.messaging.names import NAMES
from backend.messaging.rendering import FILTERS, LONGEST_OUTPUT, TAGS
from backend.policy.vocabulary import Language

PAGE = Path(settings.BASE_DIR) / "docs" / "reference" / "templates.md"


def row_of_name(name):
    example = name.example[Language.ENGLISH]
    shown = str(example).lower() if isinstance(example, bool) else example or "(empty)"
    return f"| `{name.path}` | {name.means[Language.ENGLISH]} | {shown} | {'yes' if name.tells else ''} |"


def row_of_rule(code):
    said = code.value
    return f"| `{code.slug}` | {said.severity} | {said.english.replace('{found}', '…')} | {said.english_fix} |"


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text("utf-8")


@pytest.mark.parametrize("name", NAMES, ids=lambda one: one.path)
def test_every_name_is_listed(page, name):
    assert row_of_name(name) in page


@pytest.mark.parametrize("code", Code, ids=lambda one: one.slug)
def test_every_rule_is_listed(page, code):
    assert row_of_rule(code) in page


def test_no_row_is_left_over(page):
    rows = {line for line in page.splitlines() if line.startswith("| `")}

    assert rows == {row_of_name(one) for one in NAMES} | {row_of_rule(one) for one in Code}


def test_filters_tags_and_limits_are_those_of_the_code(page):
    assert f"Filters: {', '.join(f'`{one}`' for one in sorted(FILTERS))}." in page
    assert f"Tags: {', '.join(f'`{one}`' for one in sorted(TAGS))}." in page
    assert f"{LONGEST_OUTPUT:,}" in page
