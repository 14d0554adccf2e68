"""`bin/bench audit` prints what other programs rely on. How fast it finds us is not judged here: machines are busy."""

import filecmp
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.services import MARK_OF_A_SKIP

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".venv-bench"
UNREACHABLE = "postgres://nobody@127.0.0.1:9/nothing"


@pytest.fixture(scope="module")
def measured():
    lock, installed = ROOT / "requirements" / "bench.txt", PEERS / "accord-bench.lock"
    if not installed.exists() or not filecmp.cmp(lock, installed, shallow=False):
        pytest.skip(f"{MARK_OF_A_SKIP}benchmarks (their peers are not installed: run bin/bench audit once)")
    return subprocess.run(
        [ROOT / "bin" / "bench", "audit", "--json", "--size", "20"],
        env={**os.environ, "ACCORD_TEST_POSTGRES_URL": UNREACHABLE},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_benchmark_prints_json_alone_and_tells_the_rest_elsewhere(measured):
    assert (measured.returncode, measured.stdout[:1]) == (0, "{"), measured.stderr
    assert set(json.loads(measured.stdout)) == {"rows", "ratios", "stages"}
    assert "PostgreSQL is left out" in measured.stderr


def test_a_row_says_rate_processor_time_and_memory(measured):
    rows = json.loads(measured.stdout)["rows"]

    assert {"sqlite create accord", "sqlite create unaudited", "sqlite create auditlog"} <= {
        row["name"] for row in rows
    }
    for row in rows:
        assert row.keys() == {"name", "units_per_s", "cpu_us_per_unit", "peak_mib"}
        assert min(row["units_per_s"], row["cpu_us_per_unit"], row["peak_mib"]) > 0


def test_a_ratio_that_was_not_measured_is_absent(measured):
    ratios = json.loads(measured.stdout)["ratios"]

    assert {"vs_auditlog_sqlite", "vs_unaudited_sqlite", "batch_vs_raw_sqlite"} <= ratios.keys()
    assert [name for name in ratios if name.endswith("_postgres")] == []
    assert min(ratios.values()) > 0


def test_stages_are_numbers_by_name(measured):
    stages = json.loads(measured.stdout)["stages"]

    assert stages
    assert all(isinstance(microseconds, float) and microseconds > 0 for microseconds in stages.values())
