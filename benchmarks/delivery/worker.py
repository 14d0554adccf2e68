"""The process of one contestant: `python -m benchmarks.delivery.worker NAME DATABASE_URL FOLDER PORT`."""

import importlib
import sys
import time
from typing import Any, Final

from benchmarks.delivery.meter import postgres_processes, processor_seconds, tree_of
from benchmarks.lanes import peak_mib, serve

CONTESTANTS: Final = {
    "accord": ("benchmarks.delivery.accord", "Accord"),
    "post_office": ("benchmarks.delivery.post_office", "PostOffice"),
    "bare_loop": ("benchmarks.delivery.bare", "Bare"),
}


def main() -> None:
    """Set the contestant up, then do as it is told."""
    name, database_url, folder, port = sys.argv[1:]
    module, kind = CONTESTANTS[name]
    contestant = getattr(importlib.import_module(module), kind)(database_url, folder, int(port))

    def queue(messages: int) -> None:
        contestant.queue(messages)

    def send(messages: int) -> dict[str, float]:
        """How long, and how much of the processor: the contestant's own processes, and the database's."""
        servers = postgres_processes()
        own = {pid for root in contestant.processes() for pid in tree_of(root)}
        before, served, begun = processor_seconds(own), processor_seconds(servers), time.perf_counter()
        contestant.send(messages)
        seconds = time.perf_counter() - begun
        # A server process that was born meanwhile counts with its parent once it is waited for, or by itself.
        later = postgres_processes()
        born = {pid for root in contestant.processes() for pid in tree_of(root)}
        return {
            "seconds": seconds,
            "cpu_seconds": processor_seconds(own | born) - before,
            "server_seconds": processor_seconds({*servers, *later}) - served,
            "peak_mib": peak_mib(),
        }

    questions: dict[str, Any] = {"queue": queue, "send": send}
    questions |= {name: getattr(contestant, name) for name in ("stages", "queue_later") if hasattr(contestant, name)}
    serve({}, questions)


if __name__ == "__main__":
    main()
