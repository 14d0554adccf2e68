"""Real sequencer processes on the database of the running test, to be killed at any moment.

`python -m tests.factories.sequencers` prepares once; each line on its input makes one process more, whose number it
tells. They end with it.
"""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

ROOT = Path(__file__).resolve().parent.parent.parent
# Few entries a round, so that a kill often falls into the middle of something.
A_ROUND = 40


class Sequencers:
    """Makes sequencer processes, and kills them."""

    def __init__(self) -> None:
        from tests.services import database_url  # noqa: PLC0415 - the process itself must not load the plugin

        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "backend.config.settings",
            "ACCORD_DATABASE_URL": database_url(),
        }
        self._maker = subprocess.Popen(
            [sys.executable, "-m", "tests.factories.sequencers"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self) -> int:
        """One more; its process number."""
        assert self._maker.stdin is not None
        assert self._maker.stdout is not None
        self._maker.stdin.write("one\n")
        self._maker.stdin.flush()
        return int(self._maker.stdout.readline())

    def kill(self, process: int) -> None:
        """SIGKILL: no time to finish anything."""
        os.kill(process, signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._maker.stdin is not None
        assert self._maker.stdout is not None
        self._maker.stdin.close()
        self._maker.wait(30)
        self._maker.stdout.close()


def _sequence_for_ever() -> NoReturn:
    from backend.audit.sequencing import sequence_entries  # noqa: PLC0415 - Django comes first

    while True:
        sequence_entries(now=datetime(2026, 10, 14, 8, 0, tzinfo=UTC), at_most=A_ROUND)


def main() -> None:
    """Make processes as asked; with the end of the input, end them."""
    import django  # noqa: PLC0415 - only the process itself needs it

    django.setup()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    made = []
    for _line in sys.stdin:
        child = os.fork()
        if not child:
            _sequence_for_ever()
        made.append(child)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
    for child in made:
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    main()
