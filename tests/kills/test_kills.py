"""Promise 3, at the size of every run: a thousand messages, three channels, ten kills. `bin/kill-test` is the whole."""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from django.db import connection

from benchmarks import databases
from tests.services import postgres_url

ROOT = Path(__file__).resolve().parent.parent.parent
MESSAGES, KILLS = 1_000, 10


@pytest.mark.django_db
def test_killed_workers_send_nothing_twice_and_lose_nothing_and_doubt_only_what_was_in_the_air():
    with TemporaryDirectory(prefix="accord-kills-") as folder:
        place = (
            databases.sqlite_file(Path(folder), "kills")
            if connection.vendor == "sqlite"
            else databases.postgres_database(postgres_url(), "kills")
        )
        with place as address:
            size = ["--messages", str(MESSAGES), "--kills", str(KILLS)]
            command = [sys.executable, "-m", "tests.kills", *size, "--database", address]
            ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ended.stdout, ended.stderr
    told = json.loads(ended.stdout)
    assert not told["complaints"], f"{told}\n{ended.stderr}"
    assert told["kills"] == KILLS
    assert told["wipes"] > 0
    assert told["received"] >= MESSAGES - told["most_in_the_air"]
    if connection.vendor == "postgresql":
        assert told["cuts"] > 0
