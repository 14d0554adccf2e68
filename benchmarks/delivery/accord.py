"""Accord at work: two processes that deliver what is due, with everything on that is on in a clinic."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

NOW: Final = datetime(2026, 10, 14, 8, 0, tzinfo=UTC)
SLUG: Final = "delivery"
PROCESSES: Final = 2
BATCH: Final = 500
CONNECTIONS: Final = 4
SENDER: Final = "no-reply@accord.example"


def set_up_django(database_url: str, folder: str) -> None:
    """Accord's own settings on this database."""
    import django  # noqa: PLC0415 - its settings are read from the environment, once that is set

    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "backend.config.settings",
        "ACCORD_DATABASE_URL": database_url,
        "ACCORD_DATA_DIR": folder,
        "ACCORD_PUBLIC_URL": "https://accord.example.org",
    }
    django.setup()


class Accord:
    """The contestant: fills its own queue, and has two workers empty it."""

    def __init__(self, database_url: str, folder: str, port: int) -> None:
        set_up_django(database_url, folder)
        from django.core.management import call_command  # noqa: PLC0415 - once Django is set up

        from benchmarks.delivery.population import found_clinic  # noqa: PLC0415 - as above

        call_command("prepare", verbosity=0)
        self._clinic_id = found_clinic(SLUG, now=NOW)
        command = [sys.executable, "-P", "-m", "benchmarks.delivery.accord", database_url, folder, str(port)]
        self._workers = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(PROCESSES)
        ]
        for worker in self._workers:
            self._answer(worker)

    def queue(self, messages: int) -> None:
        """So many patients more, each with a reminder that is due."""
        from benchmarks.delivery.population import populate  # noqa: PLC0415 - once Django is set up

        populate(self._clinic_id, patients=messages, now=NOW)

    def queue_later(self, messages: int) -> None:
        """So many that are not due yet."""
        from benchmarks.delivery.population import populate  # noqa: PLC0415 - once Django is set up

        populate(self._clinic_id, patients=messages, now=NOW, due_at=NOW + timedelta(days=1))

    def send(self, messages: int) -> None:
        """Until the queue is empty."""
        for worker in self._workers:
            self._say(worker, "send")
        sent = sum(self._answer(worker) for worker in self._workers)
        if sent != messages:
            raise ValueError(f"{sent} of {messages} were sent")

    def processes(self) -> list[int]:
        """Whose processor time counts."""
        return [worker.pid for worker in self._workers]

    def stages(self, messages: int) -> dict[str, float]:
        """Processor time of each step, per message, in one process."""
        self.queue(messages)
        worker = self._workers[0]
        self._say(worker, "stages")
        stages: dict[str, float] = self._answer(worker)
        return stages

    @staticmethod
    def _say(worker: "subprocess.Popen[str]", word: str) -> None:
        if worker.stdin is None:
            raise ValueError("It was started with a pipe.")
        worker.stdin.write(f"{word}\n")
        worker.stdin.flush()

    @staticmethod
    def _answer(worker: "subprocess.Popen[str]") -> Any:
        if worker.stdout is None:
            raise ValueError("It was started with a pipe.")
        return json.loads(worker.stdout.readline())


def work(database_url: str, folder: str, port: int) -> None:
    """One worker: for each line on stdin it delivers what is due, and says how many it sent."""
    set_up_django(database_url, folder)
    from backend.messaging.carriers.registry import CarrierSettings, build_carriers  # noqa: PLC0415 - as above
    from backend.messaging.delivery import deliver_due_messages  # noqa: PLC0415 - as above
    from backend.messaging.held import Pace  # noqa: PLC0415 - as above
    from backend.messaging.journal import prepared_folder  # noqa: PLC0415 - as above

    carriers = build_carriers(CarrierSettings(email_url=f"smtp://127.0.0.1:{port}", email_sender=SENDER))
    pace = Pace(batch=BATCH, parallel=CONNECTIONS)
    journals = prepared_folder(Path(folder) / "journals")

    def deliver() -> int:
        done = deliver_due_messages(now=NOW, carriers=carriers, pace=pace, journals=journals)
        return sum(count for state, count in done.counts.items() if state.value == "sent")

    sys.stdout.write("0\n")
    sys.stdout.flush()
    for line in sys.stdin:
        answer: object = _stages(deliver) if line.strip() == "stages" else deliver()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _stages(deliver: Any) -> dict[str, float]:
    """The steps are timed from outside, on the thread that carries them out; what is left is the carrier's threads."""
    from backend.messaging import delivery  # noqa: PLC0415 - once Django is set up

    used: dict[str, float] = {}
    inside: list[float] = []

    def timed(name: str) -> Any:
        step = getattr(delivery, name)

        def run(*given: Any, **named: Any) -> Any:
            begun = time.thread_time()
            inside.append(0.0)
            try:
                return step(*given, **named)
            finally:
                spent = time.thread_time() - begun
                used[name] = used.get(name, 0.0) + spent - inside.pop()
                if inside:
                    inside[-1] += spent

        return run

    steps = ("claim", "gate", "fill", "hand_over", "settle")
    originals = {name: getattr(delivery, name) for name in steps}
    for name in steps:
        setattr(delivery, name, timed(name))
    try:
        whole, own = time.process_time(), time.thread_time()
        sent = deliver()
        whole, own = time.process_time() - whole, time.thread_time() - own
    finally:
        for name, original in originals.items():
            setattr(delivery, name, original)
    used["carrier"] = whole - own
    return {name: round(seconds / max(sent, 1) * 1e6, 1) for name, seconds in used.items()}


if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2], int(sys.argv[3]))
