"""The log for people: a CSV file that a spreadsheet opens with a double click, a row for each part of each entry.

Quoting and line ends are those of RFC 4180. The file begins with a byte order mark: without it Excel reads UTF-8 as an
old code page and breaks every accent. The separator follows the language, because Excel takes the one of the region:
a semicolon where the comma is the decimal sign (French), else a comma.
"""

import csv
import io
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping
from datetime import tzinfo
from typing import Final

from backend.audit.queries import OpenedEntry, OpenedPart
from backend.audit.views.fhir import ILLEGIBLE_CODE
from backend.policy.vocabulary import Language

SEPARATOR: Final[Mapping[Language, str]] = {Language.FRENCH: ";", Language.ENGLISH: ","}
HEADERS: Final[Mapping[Language, tuple[str, ...]]] = {
    Language.FRENCH: (
        "position",
        "date et heure",
        "action",
        "phrase",
        "résultat",
        "qui (genre)",
        "qui (pseudonyme ou identifiant)",
        "patient",
        "requête",
        "entrée",
        "lisible",
    ),
    Language.ENGLISH: (
        "position",
        "time",
        "action",
        "sentence",
        "outcome",
        "who (kind)",
        "who (pseudonym or id)",
        "patient",
        "request",
        "entry",
        "readable",
    ),
}
YES: Final[Mapping[Language, str]] = {Language.FRENCH: "oui", Language.ENGLISH: "yes"}
# What makes a spreadsheet compute a cell instead of showing it; the wide forms do so in East Asian editions.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def table_lines(
    entries: Iterable[tuple[int | None, OpenedEntry]], *, language: Language, zone: tzinfo
) -> Iterator[bytes]:
    """Entries with their places in the log as CSV. Times are those of `zone`, ISO 8601 with the offset."""
    yield BOM_UTF8 + csv_line(HEADERS[language], language)
    for index, opened in entries:
        # An entry without any part shows too: nothing that stands in the log is left out.
        for part in opened.parts or (OpenedPart(),):
            yield csv_line(_cells(index, opened, part, language=language, zone=zone), language)


def _cells(
    index: int | None, opened: OpenedEntry, part: OpenedPart, *, language: Language, zone: tzinfo
) -> tuple[str, ...]:
    is_legible = opened.code != ILLEGIBLE_CODE
    return (
        "" if index is None else str(index),
        opened.at.astimezone(zone).isoformat(timespec="microseconds") if is_legible else "",
        opened.code,
        opened.sentence(part, language),
        opened.outcome.value,
        opened.actor_kind,
        opened.pseudonym or str(part.actor_id or ""),
        str(part.subject_id or ""),
        opened.request_id,
        str(opened.id),
        part.unreadable_because or YES[language],
    )


def csv_line(cells: Iterable[str], language: Language) -> bytes:
    """One row, in which no cell is a formula."""
    written = io.StringIO()
    csv.writer(written, delimiter=SEPARATOR[language], lineterminator="\r\n").writerow(map(_shown, cells))
    return written.getvalue().encode()


def _shown(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell
