"""Real worker processes on the database of the running test.

`python -m tests.factories.workers` is one worker: it delivers what is due until its input is closed.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from backend.messaging.carriers.base import Carrier, OutboundMessage, Outcome
    from backend.messaging.carriers.registry import CarrierSettings
    from backend.messaging.held import Pace
    from backend.policy.vocabulary import Channel

ROOT = Path(__file__).resolve().parent.parent.parent
IDLE_SECONDS = 0.02


class Workers:
    """Some worker processes; they are ended with the block, unless the test killed them."""

    def __init__(
        self, *, how_many: int, carriers: "CarrierSettings", now: datetime, pace: "Pace", stalls: bool = False
    ) -> None:
        self._told = json.dumps(
            {"carriers": asdict(carriers), "now": now.isoformat(), "pace": asdict(pace), "stalls": stalls}
        )
        self.processes = [self._start() for _ in range(how_many)]

    def _start(self) -> "subprocess.Popen[bytes]":
        from tests.services import database_url  # noqa: PLC0415 - a worker itself must not load the plugin

        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "backend.config.settings",
            "ACCORD_DATABASE_URL": database_url(),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "tests.factories.workers", self._told],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def wait_until_ready(self, processes: "Sequence[subprocess.Popen[bytes]] | None" = None) -> None:
        """Each says so once it looks for messages."""
        for process in processes or self.processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"

    def kill(self, place: int) -> None:
        """SIGKILL: no time to say anything."""
        self.processes[place].kill()
        self.processes[place].wait()

    def replace(self, place: int) -> None:
        """As a supervisor does with the dead."""
        _close(self.processes[place])
        self.processes[place] = self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            if process.stdin is not None:
                process.stdin.close()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _close(process)


def _close(process: "subprocess.Popen[bytes]") -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None and not pipe.closed:
            pipe.close()


class _Stalling:
    """Stops its own process between the last look at the lease and the call: what a suspended machine would do."""

    def __init__(self, carrier: "Carrier") -> None:
        self._carrier = carrier
        self.name, self.channel = carrier.name, carrier.channel

    def send(self, message: "OutboundMessage", *, timeout: float) -> "Outcome":
        os.kill(os.getpid(), signal.SIGSTOP)
        return self._carrier.send(message, timeout=timeout)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._carrier, name)


def main() -> None:
    """Deliver until nobody is there any more who wants it."""
    import django  # noqa: PLC0415 - this process is one of its own

    django.setup()
    from backend.messaging.carriers.registry import CarrierSettings, build_carriers  # noqa: PLC0415 - as above
    from backend.messaging.delivery import deliver_due_messages  # noqa: PLC0415 - as above
    from backend.messaging.held import Pace  # noqa: PLC0415 - as above

    told = json.loads(sys.argv[1])
    carriers: Mapping[Channel, Any] = build_carriers(CarrierSettings(**told["carriers"]))
    if told["stalls"]:
        carriers = {channel: _Stalling(carrier) for channel, carrier in carriers.items()}
    # The business day begins with the worker, and goes on: what is put off for some seconds comes due again.
    day, pace = datetime.fromisoformat(told["now"]), Pace(**told["pace"])
    began = time.monotonic()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not select.select([sys.stdin], [], [], 0)[0]:
        now = day + timedelta(seconds=time.monotonic() - began)
        done = deliver_due_messages(now=now, carriers=carriers, pace=pace)
        if not done.batches:
            time.sleep(IDLE_SECONDS)


if __name__ == "__main__":
    main()
