"""How the story is printed: chapters, sentences, small tables, and what was expected of it."""

import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

WIDTH: Final = 96
CELL: Final = 72


class Telling:
    """Prints the story, and keeps count of what did not hold."""

    def __init__(self) -> None:
        self._chapter = 0
        self.failed: list[str] = []

    def title(self, words: str) -> None:
        """The first line."""
        self._line(words)
        self._line("=" * len(words))

    def chapter(self, words: str) -> None:
        """A new chapter."""
        self._chapter += 1
        self._line("")
        self._line(f"{self._chapter}. {words}")

    def say(self, words: str) -> None:
        """A sentence or two."""
        for line in textwrap.wrap(words, WIDTH - 3, break_long_words=False, break_on_hyphens=False):
            self._line(f"   {line}")

    def quote(self, words: str) -> None:
        """Words that somebody receives."""
        for paragraph in words.splitlines():
            for line in textwrap.wrap(paragraph, WIDTH - 8, break_on_hyphens=False) or [""]:
                self._line(f"      | {line}".rstrip())

    def command(self, *pieces: str) -> None:
        """What to type, each piece on a line of its own."""
        for line in " \\\n  ".join(pieces).splitlines():
            self._line(f"      {line}")

    def table(self, rows: Iterable[Sequence[str]]) -> None:
        """Rows of words, lined up."""
        cells = [[_short(cell) for cell in row] for row in rows]
        widths = [max(len(row[place]) for row in cells) for place in range(len(cells[0]))] if cells else []
        for row in cells:
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self._line(f"      {line}".rstrip())

    def expect(self, holds: bool, words: str) -> None:  # noqa: FBT001 - reads like a sentence
        """Something that the story stands on."""
        self._line(f"   {'✓' if holds else '✗'} {words}")
        if not holds:
            self.failed.append(words)

    def _line(self, words: str) -> None:
        sys.stdout.write(f"{words}\n")
        sys.stdout.flush()


def _short(cell: str) -> str:
    return cell if len(cell) <= CELL else cell[: CELL - 1] + "…"
