"""Lines of a file, one at a time: however long the file or a line of it is, memory stays small and no line is lost."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from backend.patients.sources.reasons import Why
from backend.patients.sources.records import Problem, Where

MAX_LINE_BYTES: Final = 1_048_576
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_WHITESPACE: Final = b" \t\r\n"
# A key is shown in a problem only if it looks like the name of an element: anything may be written where a key stands.
_ELEMENT_NAME: Final = re.compile(r"_?[a-z][A-Za-z]{0,49}")


@dataclass(slots=True)
class Meter:
    """How many bytes were read so far, for a progress bar."""

    position: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RawLine:
    """One line that is not blank, without its end. `ended` is False for a last line that no line break follows."""

    where: Where
    content: bytes
    ended: bool


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Line:
    """One JSON object, and where it stood."""

    where: Where
    data: Mapping[str, object]


class Unreadable(Exception):
    """Text that can not be taken as what it should be; `why` is the code, `field` the name of an element or nothing."""

    def __init__(self, why: Why, field: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.field = field


def read_lines(
    path: Path, *, max_bytes: int = MAX_LINE_BYTES, name: str | None = None, meter: Meter | None = None
) -> Iterator[Line | Problem]:
    """Every line of an NDJSON file: a JSON object, or a problem that refuses this line. Blank lines are skipped.

    `max_bytes` is the longest line that is taken into memory. `name` stands for the file in problems.
    """
    for raw in read_raw_lines(path, max_bytes=max_bytes, name=name, meter=meter):
        if isinstance(raw, Problem):
            yield raw
            continue
        try:
            yield Line(where=raw.where, data=parse_object(raw.content))
        except Unreadable as error:
            cut = not raw.ended and error.why in {Why.NOT_JSON, Why.BAD_UTF8}
            why = Why.LINE_TRUNCATED if cut else error.why
            yield Problem(where=raw.where, field=error.field, reason=why, kind="refused")


def read_raw_lines(
    path: Path, *, max_bytes: int = MAX_LINE_BYTES, name: str | None = None, meter: Meter | None = None
) -> Iterator[RawLine | Problem]:
    """Every line of a file that is not blank, as bytes; a line that is too long or holds NUL is a problem instead."""
    file_name = path.name if name is None else name
    meter = Meter() if meter is None else meter
    line = 0
    try:
        with path.open("rb") as file:
            while chunk := file.readline(max_bytes + 1):
                line += 1
                where = Where(file=file_name, line=line)
                meter.position += len(chunk)
                ended = chunk.endswith(b"\n")
                if len(chunk) > max_bytes and not ended:
                    meter.position += _skip_to_line_end(file, max_bytes)
                    yield Problem(where=where, field="", reason=Why.LINE_TOO_LONG, kind="refused")
                    continue
                content = chunk.removeprefix(_BYTE_ORDER_MARK) if line == 1 else chunk
                # Only the line break goes: where tabs separate cells, the last of them may be empty.
                content = content.rstrip(b"\r\n")
                if not content.strip(_WHITESPACE):
                    continue
                if b"\0" in content:
                    yield Problem(where=where, field="", reason=Why.NUL_BYTE, kind="refused")
                    continue
                yield RawLine(where=where, content=content, ended=ended)
    except OSError:
        yield Problem(where=Where(file=file_name, line=line + 1), field="", reason=Why.FILE_UNREADABLE, kind="refused")


def count_lines(path: Path) -> int:
    """How many lines of a file are not blank; 0 when it can not be read."""
    return sum(1 for _ in read_raw_lines(path))


def parse_object(content: bytes) -> Mapping[str, object]:
    """One JSON object, stricter than Python is: no key twice, no NaN. Raises `Unreadable`."""
    try:
        found = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_each_key_once,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
    except UnicodeDecodeError:
        raise Unreadable(Why.BAD_UTF8) from None
    except RecursionError:
        raise Unreadable(Why.NESTED_TOO_DEEP) from None
    except json.JSONDecodeError:
        raise Unreadable(Why.NOT_JSON) from None
    if not isinstance(found, dict):
        raise Unreadable(Why.NOT_AN_OBJECT)
    return found


def _skip_to_line_end(file: BinaryIO, step: int) -> int:
    skipped = 0
    while chunk := file.readline(step):
        skipped += len(chunk)
        if chunk.endswith(b"\n"):
            break
    return skipped


def _each_key_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise Unreadable(Why.DUPLICATE_KEY, twice if _ELEMENT_NAME.fullmatch(twice) else "")
    return found


def _refuse_constant(_name: str) -> object:
    raise Unreadable(Why.NUMBER_NOT_FINITE)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise Unreadable(Why.NUMBER_NOT_FINITE)
    return number


def _whole(digits: str) -> int:
    # Python itself refuses to read integers of thousands of digits, with another kind of error.
    try:
        return int(digits)
    except ValueError:
        raise Unreadable(Why.NUMBER_NOT_FINITE) from None
