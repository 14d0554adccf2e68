import json
import tracemalloc
from pathlib import Path

import pytest

from backend.patients.sources.lines import Line, Meter, count_lines, read_lines
from backend.patients.sources.records import Problem


def shape(path: Path, **options):
    return [
        (found.where.line, found.reason if isinstance(found, Problem) else dict(found.data))
        for found in read_lines(path, **options)
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": ', "not_json"),
        (b"[1]", "not_an_object"),
        (b"null", "not_an_object"),
        (b'{"a": 1, "a": 2}', "duplicate_key"),
        (b'{"a": {"b": 1, "b": 1}}', "duplicate_key"),
        (b'{"a": NaN}', "number_not_finite"),
        (b'{"a": -Infinity}', "number_not_finite"),
        (b'{"a": 1e999}', "number_not_finite"),
        (b'{"a": ' + b"9" * 5000 + b"}", "number_not_finite"),
        (b'{"a": "\xe9"}', "bad_utf8"),
        (b'{"a": "\x00"}', "nul_byte"),
        (b"[" * 100_000, "nested_too_deep"),
        (b'{"a": "' + b"x" * 2_000_000 + b'"}', "line_too_long"),
    ],
)
def test_a_bad_line_is_refused_and_the_next_one_is_read(tmp_path, line, reason):
    path = tmp_path / "Patient.ndjson"
    path.write_bytes(line + b'\n{"b": 1}\n')

    assert shape(path) == [(1, reason), (2, {"b": 1})]


def test_a_key_that_is_there_twice_is_named_unless_it_looks_like_a_value(tmp_path):
    path = tmp_path / "Patient.ndjson"
    path.write_text('{"birthDate": "x", "birthDate": "y"}\n{"Zoé Durand": 1, "Zoé Durand": 2}\n', encoding="utf-8")

    assert [found.field for found in read_lines(path)] == ["birthDate", ""]


def test_byte_order_mark_line_ends_of_windows_and_blank_lines_are_no_matter(tmp_path):
    path = tmp_path / "Patient.ndjson"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n   \n{"a": 2}')

    assert shape(path) == [(1, {"a": 1}), (4, {"a": 2})]
    assert count_lines(path) == 2


@pytest.mark.parametrize("end", [b'{"a": "Dur', b'{"a": "Zo\xc3'])
def test_a_last_line_that_breaks_off_is_called_truncated(tmp_path, end):
    path = tmp_path / "Patient.ndjson"
    path.write_bytes(b'{"a": 1}\n' + end)

    assert shape(path) == [(1, {"a": 1}), (2, "line_truncated")]


def test_the_longest_line_is_exactly_as_long_as_allowed(tmp_path):
    path = tmp_path / "Patient.ndjson"
    path.write_bytes(b'{"a":1}\n{"a":12}\n{"a":1}')

    assert shape(path, max_bytes=7) == [(1, {"a": 1}), (2, "line_too_long"), (3, {"a": 1})]


def test_a_file_that_is_not_there_is_a_problem_and_no_crash(tmp_path):
    assert shape(tmp_path / "none.ndjson") == [(1, "file_unreadable")]


def test_the_meter_ends_at_the_size_of_the_file(tmp_path):
    path = tmp_path / "Patient.ndjson"
    path.write_bytes(b'{"a": "' + b"x" * 3_000_000 + b'"}\n{"a": 1}\n')
    meter = Meter()

    list(read_lines(path, meter=meter))

    assert meter.position == path.stat().st_size


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "Patient.ndjson"
    line = json.dumps({"a": "x" * 10_000}).encode() + b"\n"
    with path.open("wb") as file:
        for _ in range(2_000):
            file.write(line)
        file.write(b'{"a": "' + b"x" * 10_000_000 + b'"}\n')

    tracemalloc.start()
    count = sum(isinstance(found, Line) for found in read_lines(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 2_000
    assert peak < 8 * 2**20
