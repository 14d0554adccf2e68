"""Every action has its place in the mapping, and the reference page says the same."""

import re
from pathlib import Path

import pytest

from backend.audit.actions import BY_CODE, Action
from backend.audit.views.mapping import FAMILIES, ROWS, is_mapped, mapped

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "audit-views.md"


@pytest.mark.parametrize("action", Action, ids=lambda action: action.spec.code)
def test_every_action_is_mapped(action):
    """A new action needs a row in backend/audit/views/mapping.py (`key.` and `log.` have a default)."""
    assert is_mapped(action.spec.code)


def test_no_row_is_for_an_action_that_does_not_exist():
    """Families grow, and a row may be there before its action."""
    assert [code for code in sorted(ROWS.keys() - BY_CODE.keys()) if not code.startswith(tuple(FAMILIES))] == []


def test_a_row_names_only_details_that_its_action_has():
    wrong = {}
    for code in ROWS.keys() & BY_CODE.keys():
        row = ROWS[code]
        named = {row.object_in, *row.reasons, row.outcome_by[0] if row.outcome_by else ""} - {""}
        if unknown := named - BY_CODE[code].spec.details.keys():
            wrong[code] = unknown

    # One that is put off names no consent, and one that was handed over no reasons against it.
    assert wrong == {"message.deferred": {"consent_event"}, "message.handed_over": {"reasons"}}


def test_only_families_are_guessed():
    assert not is_mapped("moon.landed")
    assert is_mapped("key.moved")
    assert mapped("key.moved") is FAMILIES["key."]


def row_of_the_page(code, row):
    subtypes = ", ".join(one["code"] for one in row.subtype) or "–"
    outcomes = sorted(set(row.outcome_by[1].values())) if row.outcome_by else [row.outcome]
    return f"| `{code}` | {row.type['code']} | {subtypes} | {row.action} | {' or '.join(outcomes)} |"


def test_the_reference_page_lists_every_row():
    """Where this fails: copy the expected lines into docs/reference/audit-views.md."""
    listed = re.findall(r"^\| `[a-z_]+\.[a-z_]*` \|.*\|$", PAGE.read_text("utf-8"), flags=re.MULTILINE)

    assert listed == [row_of_the_page(code, row) for code, row in sorted({**ROWS, **FAMILIES}.items())]
