"""The tables of an export as files: CSV for every program, XLSX for a spreadsheet. No cell of either is a formula."""

import tempfile
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from xlsxwriter import Workbook

from backend.audit.views.table import csv_line
from backend.consent.export.columns import Cells, Writing
from backend.consent.export.reading import ToldConsent

CONSENTS: Final = "consents"
EVENTS: Final = "events"
NOTICES: Final = "notices"
# A sheet holds 1,048,576 rows; with half of them it stays below the two gigabytes that a plain zip file can name.
ROWS_PER_SHEET: Final = 500_000
LONGEST_CELL: Final = 32_767
NEVER_COMPUTED: Final = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}


class Output:
    """One form in which the consents are written while they go by. Whatever happens, its files do not stay."""

    def __init__(self) -> None:
        self.stack = ExitStack()
        self.rows: dict[str, int] = {}

    def add(self, told: ToldConsent) -> None:
        """One consent more."""
        raise NotImplementedError

    def files(self) -> Iterator[tuple[str, IO[bytes]]]:
        """What came of it: each file with its name."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the files, which are gone then."""
        self.stack.__exit__(kind, error, trace)


class CsvOutput(Output):
    """Two tables: where each consent stands, and everything that happened."""

    def __init__(self, writing: Writing) -> None:
        super().__init__()
        self._writing = writing
        self._files: dict[str, IO[bytes]] = {}
        for table in (CONSENTS, EVENTS):
            file = tempfile.TemporaryFile()  # noqa: SIM115 - the stack closes it
            self._files[table] = self.stack.enter_context(file)
            file.write(BOM_UTF8 + csv_line(writing.headings(table), writing.language))
            self.rows[f"{table}.csv"] = 0

    def add(self, told: ToldConsent) -> None:
        """A row for where it stands, and one for each event."""
        consent = self._writing.consent(told)
        if consent is not None:
            self._write(CONSENTS, consent)
        for event in told.events:
            self._write(EVENTS, self._writing.event(told, event))

    def files(self) -> Iterator[tuple[str, IO[bytes]]]:
        """The two tables."""
        for table, file in self._files.items():
            yield f"{table}.csv", file

    def _write(self, table: str, cells: Cells) -> None:
        self._files[table].write(csv_line(cells, self._writing.language))
        self.rows[f"{table}.csv"] += 1


class XlsxOutput(Output):
    """The same tables, and the notices, as sheets of one workbook; a long table goes on in a further sheet."""

    def __init__(self, writing: Writing, *, made_at: datetime) -> None:
        super().__init__()
        self._writing = writing
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="accord-consents-")))
        self._path = folder / "consents.xlsx"
        # Without the last option every cell would be kept in memory until the end.
        self._book = Workbook(str(self._path), {**NEVER_COMPUTED, "tmpdir": str(folder), "constant_memory": True})
        self._book.set_properties({"created": made_at.astimezone(UTC).replace(tzinfo=None)})
        self.stack.callback(self._give_up)
        self._sheets: dict[str, Any] = {}
        self._lines: dict[str, int] = {}
        for table in (CONSENTS, EVENTS, NOTICES):
            self._begin_sheet(table, number=1)
            self.rows[_label(table)] = 0
        for notice in writing.notices.by_id.values():
            for cells in writing.notice(notice):
                self._add(NOTICES, cells)

    def add(self, told: ToldConsent) -> None:
        """A row for where it stands, and one for each event."""
        consent = self._writing.consent(told)
        if consent is not None:
            self._add(CONSENTS, consent)
        for event in told.events:
            self._add(EVENTS, self._writing.event(told, event))

    def files(self) -> Iterator[tuple[str, IO[bytes]]]:
        """The workbook."""
        self._book.close()
        yield "consents.xlsx", self.stack.enter_context(self._path.open("rb"))

    def _add(self, table: str, cells: Cells) -> None:
        rows = self.rows[_label(table)]
        if rows and rows % ROWS_PER_SHEET == 0 and self._lines[table] > 1:
            self._begin_sheet(table, number=rows // ROWS_PER_SHEET + 1)
        self._write(table, cells)
        self.rows[_label(table)] += 1

    def _begin_sheet(self, table: str, *, number: int) -> None:
        name = self._writing.name(table)
        self._sheets[table] = self._book.add_worksheet(name if number == 1 else f"{name} {number}")
        self._sheets[table].freeze_panes(1, 0)
        self._lines[table] = 0
        self._write(table, self._writing.headings(table))

    def _write(self, table: str, cells: Cells) -> None:
        sheet, line = self._sheets[table], self._lines[table]
        for column, cell in enumerate(cells):
            if cell:
                sheet.write_string(line, column, cell[:LONGEST_CELL])
        self._lines[table] = line + 1

    def _give_up(self) -> None:
        """Nothing to do for a workbook that is finished; another is not written any more, and its files are closed."""
        if not self._book.fileclosed:
            self._book.fileclosed = 1
            for sheet in self._book.worksheets():
                sheet.row_data_fh.close()


def _label(table: str) -> str:
    return f"consents.xlsx:{table}"
