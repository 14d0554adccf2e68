"""`bin/bench NAME`: runs one benchmark, and prints what it measured as a table or as JSON."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final, Protocol, cast

from benchmarks.lanes import LaneFailed
from benchmarks.results import Result

# Each is a module with `run`; its first line of documentation says what it measures.
BENCHMARKS: Final = {
    "audit": "benchmarks.audit.contest",
    "consent": "benchmarks.consent.scale",
    "delivery": "benchmarks.delivery.contest",
}
SETTINGS: Final = ("ACCORD_", "DJANGO_")
KEPT: Final = "ACCORD_TEST_"


class Benchmark(Protocol):
    """What a benchmark's module offers."""

    SIZE: int

    def run(self, *, size: int, is_long: bool) -> Result:
        """Measure; whatever there is to say meanwhile goes to stderr."""
        ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        prog="bin/bench",
        description="Measures Accord beside its peers: in one run, in turns, each in a process of its own.",
    )
    parser.add_argument("name", choices=sorted(BENCHMARKS), help="what to measure")
    parser.add_argument("--json", action="store_true", help="print JSON alone on stdout")
    parser.add_argument("--size", type=_count, help="actions of each kind that each contestant carries out")
    parser.add_argument("--long", action="store_true", help="measure at a million entries too; takes many minutes")
    asked = parser.parse_args(arguments)

    # The shell of whoever calls has no say in what is measured, except where the servers are.
    for name in [name for name in os.environ if name.startswith(SETTINGS) and not name.startswith(KEPT)]:
        del os.environ[name]
    benchmark = cast("Benchmark", importlib.import_module(BENCHMARKS[asked.name]))
    try:
        result = benchmark.run(size=asked.size or benchmark.SIZE, is_long=asked.long)
    except LaneFailed as failure:
        print(f"Nothing was measured: the process of {failure}; its own words stand above.", file=sys.stderr)
        return 1
    print(result.json() if asked.json else result.table())
    return 0


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
