"""Rebuilding and exporting the consents of a large clinic: how fast, and whether memory stays where it is."""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks import databases
from benchmarks.databases import say
from benchmarks.lanes import Lane
from benchmarks.results import Result, Row, Sample

# Events; a tenth as many patients. Each is measured beside ten times as many.
SIZE: Final = 5_000
LARGE: Final = 1_000_000
GROWTH: Final = 10
TASKS: Final = ("rebuild", "export_tables", "export_fhir", "export_dpv", "export_all")


def run(*, size: int, is_long: bool) -> Result:
    """At two sizes, each task in a process of its own; `is_long`: at a million events, 100,000 patients, too."""
    result = Result()
    sizes = [size, size * GROWTH, *([LARGE] if is_long else [])]
    address = databases.server()
    with tempfile.TemporaryDirectory(prefix="accord-bench-") as folder:
        for vendor, server in (("sqlite", None), ("postgres", address)):
            if vendor == "sqlite" or server is not None:
                _measure(vendor, server, Path(folder) / vendor, sizes, result)
    return result


def _measure(vendor: str, server: str | None, folder: Path, sizes: Sequence[int], result: Result) -> None:
    peaks: dict[str, list[float]] = {}
    for size in sizes:
        own = folder / str(size)
        own.mkdir(parents=True)
        with ExitStack() as stack:
            database = stack.enter_context(
                databases.sqlite_file(own, "crowd")
                if server is None
                else databases.postgres_database(server, f"crowd_{size}")
            )
            for task in ("populate", *TASKS):
                say(f"{vendor}: {task}, {size:,} events")
                sample = _once(task, size, database, own)
                peaks.setdefault(task, []).append(sample.peak_mib)
                result.rows.append(Row.of(f"{vendor} {task} {size:,} events", [sample]))
    result.ratios |= {f"{task}_memory_growth_{vendor}": round(peaks[task][-1] / peaks[task][0], 3) for task in TASKS}


def _once(task: str, size: int, database: str, folder: Path) -> Sample:
    """In a process that did nothing before: what it needs is what this task needs."""
    lane = Lane(task, ["benchmarks.consent.worker", database, str(folder)])
    try:
        return lane.wait_until_ready().run(task, size)
    finally:
        lane.close()
