"""Handing messages over: Accord with everything on, beside its peers and the bare loop, to the same mail server."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks import databases
from benchmarks.databases import say
from benchmarks.lanes import Lane
from benchmarks.results import Result, Row, Sample, paired

SIZE: Final = 4_000
ROUNDS: Final = 3
STAGE_MESSAGES: Final = 1_000
SHORT_QUEUE: Final = 10_000
LONG_QUEUE: Final = 1_000_000
OURS: Final = "accord"
BARE: Final = "bare_loop"
PEERS: Final = ("post_office",)


def run(*, size: int, is_long: bool) -> Result:
    """So many messages a round and contestant, in turns; `is_long`: besides, from a queue of a million rows."""
    result = Result()
    address = databases.server()
    if address is None:
        return result
    with tempfile.TemporaryDirectory(prefix="accord-bench-") as folder, ExitStack() as stack:
        port = stack.enter_context(_sink())
        names = [OURS, *PEERS, BARE]
        lanes = {name: stack.enter_context(_lane(name, address, Path(folder) / name, port)) for name in names}
        samples: dict[str, list[_Turn]] = {name: [] for name in names}
        for number in range(ROUNDS + 1):
            order = names[number % len(names) :] + names[: number % len(names)]
            for name in order:
                lanes[name].ask("queue", messages=size)
                turn = _Turn(size, **lanes[name].ask("send", messages=size))
                say(f"round {number}: {name}, {size / turn.seconds:,.0f} per second")
                # The first round warms up: what is compiled or connected once is not what a message costs.
                if number:
                    samples[name].append(turn)
        _tell(result, samples)
        result.stages |= lanes[OURS].ask("stages", messages=min(size, STAGE_MESSAGES))
        if is_long:
            _growth(result, address, Path(folder), port)
    return result


class _Turn:
    """What one contestant needed for one round."""

    def __init__(
        self, units: int, *, seconds: float, cpu_seconds: float, server_seconds: float, peak_mib: float
    ) -> None:
        self.seconds = seconds
        self.own = Sample(units=units, seconds=seconds, cpu_seconds=cpu_seconds, peak_mib=peak_mib)
        # Application and database together: what a message costs whoever pays for the machine.
        self.whole = Sample(units=units, seconds=seconds, cpu_seconds=cpu_seconds + server_seconds, peak_mib=peak_mib)


def _tell(result: Result, samples: dict[str, list[_Turn]]) -> None:
    whole = {name: [turn.whole for turn in turns] for name, turns in samples.items()}
    result.rows += [Row.of(f"postgres {name}", turns) for name, turns in whole.items()]
    peers = [name for name in PEERS if name in whole]
    cost = {name: median(one.cpu_seconds / one.units for one in turns) for name, turns in whole.items()}
    for name in peers:
        result.ratios[f"cpu_vs_{name}"] = round(cost[name] / cost[OURS], 3)
        result.ratios[f"rate_vs_{name}"] = paired(whole[OURS], whole[name])
    result.ratios["cpu_vs_best_peer"] = min(result.ratios[f"cpu_vs_{name}"] for name in peers)
    result.ratios["rate_vs_best_peer"] = min(result.ratios[f"rate_vs_{name}"] for name in peers)
    result.ratios["rate_vs_bare_loop"] = paired(whole[OURS], whole[BARE])
    own = median(turn.own.cpu_seconds / turn.own.units for turn in samples[OURS]) * 1e6
    result.stages["application"] = round(own, 1)
    result.stages["postgresql"] = round(cost[OURS] * 1e6 - own, 1)


def _growth(result: Result, address: str, folder: Path, port: int) -> None:
    """What a message costs where a million rows wait, to what it costs where ten thousand do."""
    cost: dict[int, list[float]] = {}
    for queued in (SHORT_QUEUE, LONG_QUEUE):
        with _lane(OURS, address, folder / f"queue_{queued}", port) as lane:
            say(f"queueing {queued:,} messages that are not due yet")
            lane.ask("queue_later", messages=queued)
            turns: list[Any] = []
            for _ in range(ROUNDS):
                lane.ask("queue", messages=SHORT_QUEUE // 10)
                turns.append(_Turn(SHORT_QUEUE // 10, **lane.ask("send", messages=SHORT_QUEUE // 10)))
            cost[queued] = [turn.whole.cpu_seconds / turn.whole.units for turn in turns]
            result.rows.append(Row.of(f"postgres accord, {queued:,} rows wait", [turn.whole for turn in turns]))
    result.ratios["growth_postgres"] = round(median(cost[LONG_QUEUE]) / median(cost[SHORT_QUEUE]), 3)


@contextmanager
def _sink() -> Iterator[int]:
    """The mail server, in a process of its own; its port."""
    command = [sys.executable, "-P", "-m", "benchmarks.delivery.sink"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdin is None or process.stdout is None:
        raise ValueError("It was started with pipes.")
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


@contextmanager
def _lane(name: str, address: str, folder: Path, port: int) -> Iterator[Lane]:
    folder.mkdir(parents=True)
    with databases.postgres_database(address, folder.name) as database:
        lane = Lane(name, ["benchmarks.delivery.worker", name, database, str(folder), str(port)])
        try:
            yield lane.wait_until_ready()
        finally:
            lane.close()
