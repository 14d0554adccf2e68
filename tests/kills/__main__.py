"""`bin/kill-test`: the whole of it, on SQLite and, where a server answers, on PostgreSQL."""

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import databases
from tests.kills.trial import run

FAILED = 1


def main() -> int:
    """Run what was asked for; exit code 0 only if all of it held."""
    parser = argparse.ArgumentParser(
        prog="bin/kill-test", description="Kills workers at random while they send, and looks what came of it."
    )
    parser.add_argument("--messages", type=int, default=10_000, help="how many are queued, over three channels")
    parser.add_argument("--kills", type=int, default=50, help="how often a worker is killed")
    parser.add_argument("--seed", type=int, default=1, help="when, and which")
    parser.add_argument("--database", help="one empty database, by its address; without it: fresh ones")
    asked = parser.parse_args()
    if asked.database:
        return _one(asked)
    ended = 0
    server = databases.server()
    for vendor in ("sqlite", *(["postgres"] if server else [])):
        with tempfile.TemporaryDirectory(prefix="accord-kills-") as folder, ExitStack() as stack:
            address = stack.enter_context(
                databases.sqlite_file(Path(folder), "kills")
                if vendor == "sqlite" or server is None
                else databases.postgres_database(server, "kills")
            )
            options = ["--messages", str(asked.messages), "--kills", str(asked.kills), "--seed", str(asked.seed)]
            command = [sys.executable, "-m", "tests.kills", *options, "--database", address]
            ended |= subprocess.run(command, check=False).returncode
    return ended


def _one(asked: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="accord-kills-") as folder:
        outcome = run(
            messages=asked.messages,
            kills=asked.kills,
            database_url=asked.database,
            folder=Path(folder),
            seed=asked.seed,
            say=databases.say,
        )
        sys.stdout.write(json.dumps(outcome.as_json(), indent=2) + "\n")
        if outcome.complaints():
            for log in sorted(Path(folder).glob("worker-*.log")):
                databases.say(log.name, log.read_text(errors="replace")[-4000:])
    return FAILED if outcome.complaints() else 0


if __name__ == "__main__":
    sys.exit(main())
