"""The log as a table: a row for each part, safe to open in a spreadsheet."""

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from backend.audit.actions import Action
from backend.audit.queries import OpenedPart
from backend.audit.views.table import HEADERS, table_lines
from backend.policy.vocabulary import Language
from tests.audit.views.cases import (
    ENTRY,
    ILLEGIBLE,
    NEIGHBOUR,
    PARENT,
    PATIENT,
    REQUEST,
    every_case,
    opened,
    part_of,
)

# What begins a formula in one edition of a spreadsheet or another.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
PARIS = ZoneInfo("Europe/Paris")
FRENCH, ENGLISH = Language.FRENCH, Language.ENGLISH


def written(*entries, language=ENGLISH, zone=PARIS):
    return b"".join(table_lines(enumerate(entries), language=language, zone=zone))


def rows(*entries, language=ENGLISH, zone=PARIS):
    text = written(*entries, language=language, zone=zone).decode("utf-8-sig")
    delimiter = ";" if language is FRENCH else ","
    header, *lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    return [dict(zip(header, line, strict=True)) for line in lines]


def test_a_row_tells_an_entry():
    entry = opened(Action.PATIENT_READ, part_of(Action.PATIENT_READ, reason="care"))

    assert rows(entry) == [
        {
            "position": "0",
            "time": "2026-10-14T10:00:00.000007+02:00",
            "action": "patient.read",
            "sentence": "The patient’s data was looked at (care).",
            "outcome": "ok",
            "who (kind)": "staff",
            "who (pseudonym or id)": "5f0c9a3e",
            "patient": str(PATIENT),
            "request": REQUEST,
            "entry": str(ENTRY),
            "readable": "yes",
        }
    ]


def test_a_french_table_is_french():
    [row] = rows(opened(Action.PATIENT_READ, part_of(Action.PATIENT_READ, reason="care")), language=FRENCH)

    assert row["phrase"] == "Les données du patient ont été consultées (care)."
    assert row["lisible"] == "oui"


def test_excel_reads_the_accents_and_finds_the_columns():
    french, english = (written(opened(Action.PATIENT_READ), language=language) for language in (FRENCH, ENGLISH))

    assert french.startswith("\ufeffposition;date et heure;action;".encode())
    assert english.startswith("\ufeffposition,time,action,".encode())
    assert french.count("\ufeff".encode()) == 1
    assert french.endswith(b"\r\n")


def test_an_entry_about_two_has_two_rows():
    parts = (part_of(Action.PATIENT_READ), part_of(Action.PATIENT_READ, subject=NEIGHBOUR))

    assert [row["patient"] for row in rows(opened(Action.PATIENT_READ, *parts))] == [str(PATIENT), str(NEIGHBOUR)]


def test_what_can_not_be_read_says_why():
    [row] = rows(opened(Action.PATIENT_READ, OpenedPart(unreadable_because="key_destroyed")))

    assert (row["patient"], row["readable"]) == ("", "key_destroyed")
    assert row["sentence"] == "The patient’s data was looked at (•••)."


def test_an_entry_that_can_not_be_read_at_all_has_a_row_and_no_time():
    [row] = rows(ILLEGIBLE)

    assert (row["time"], row["outcome"], row["readable"]) == ("", "error", "tampered")


def test_an_entry_without_parts_has_a_row():
    assert len(rows(replace(opened(Action.PATIENT_READ), parts=()))) == 1


def test_a_representative_who_acted_is_named():
    entry = opened(Action.CONSENT_GIVEN, actor="representative")

    assert rows(entry)[0]["who (pseudonym or id)"] == str(PARENT)


def test_the_hour_that_comes_twice_is_told_apart():
    """The last Sunday of October: 2:30 in Paris, twice."""
    times = [datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1)]

    shown = [row["time"] for row in rows(*(opened(Action.PATIENT_READ, at=at) for at in times))]

    assert shown == ["2026-10-25T02:30:00.000000+02:00", "2026-10-25T02:30:00.000000+01:00"]


@pytest.mark.parametrize("start", FORMULA)
@pytest.mark.parametrize("language", [FRENCH, ENGLISH])
def test_a_cell_is_shown_and_never_computed(start, language):
    """An entry of another make may hold anything: none of it is a formula."""
    entry = replace(
        opened(Action.PATIENT_READ),
        code=f'{start}HYPERLINK("x";"y")',
        pseudonym=f"{start}1;2,3",
        request_id=f"{start}cmd",
    )

    [row] = rows(entry, language=language)

    values = list(row.values())
    assert [value for value in values if value.startswith(FORMULA)] == []
    assert f"'{start}1;2,3" in values


@pytest.mark.parametrize("language", Language)
def test_every_row_has_every_column(language):
    """Semicolons, commas and quotes in a cell move nothing: `rows` reads strictly."""
    entries = [entry for _name, entry in every_case()]

    read = rows(*entries, language=language)

    assert len(read) == sum(len(entry.parts) for entry in entries)
    assert {tuple(row) for row in read} == {HEADERS[language]}


def test_lines_are_made_one_at_a_time():
    taken = []

    def entries():
        for index in range(3):
            taken.append(index)
            yield index, opened(Action.PATIENT_READ)

    lines = table_lines(entries(), language=ENGLISH, zone=UTC)
    next(lines)
    next(lines)

    assert taken == [0]
