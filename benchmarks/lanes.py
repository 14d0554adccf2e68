"""Contestants in processes of their own, which take turns.

A process of its own gives each contestant its settings, its memory and its processor time; turns in an order that
changes from round to round give each the same share of a machine that is busy with other things too.
"""

import gc
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, Self

from benchmarks.results import Sample

ROOT: Final = Path(__file__).resolve().parent.parent
ROUNDS_AT_LEAST: Final = 5
ROUNDS_AT_MOST: Final = 40
UNITS_PER_ROUND: Final = 100
# Linux: starts the count of the most memory that was ever used anew; says how much it was.
FORGET_PEAK: Final = Path("/proc/self/clear_refs")
STATUS: Final = Path("/proc/self/status")

Task = Callable[[int], None]
Question = Callable[..., Any]


class LaneFailed(Exception):
    """A contestant's process ended or answered with an error; its own words stand on stderr."""


class Lane:
    """One contestant at work in another process, which was started with `serve`."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", *command], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.tasks: frozenset[str] = frozenset()

    def wait_until_ready(self) -> Self:
        """Lanes set themselves up side by side; then each says what it can do."""
        self.tasks = frozenset(self._answer()["tasks"])
        return self

    def ask(self, question: str, **arguments: Any) -> Any:
        """What the contestant answers to a question of its own."""
        stdin = self._pipe(self._process.stdin)
        stdin.write(json.dumps({"ask": question, **arguments}) + "\n")
        stdin.flush()
        return self._answer()["answer"]

    def run(self, task: str, units: int) -> Sample:
        """One round of one task."""
        answer = self.ask("run", task=task, units=units)
        return Sample(units=units, **answer)

    def close(self) -> None:
        """Let the process end."""
        self._pipe(self._process.stdin).close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._pipe(self._process.stdout).close()

    def _answer(self) -> Any:
        line = self._pipe(self._process.stdout).readline()
        if not line:
            raise LaneFailed(f"{self.name} ended too early")
        return json.loads(line)

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        if pipe is None:
            raise LaneFailed("nobody has no pipe")
        return pipe


# Who does what, when it is its turn.
Turn = tuple[Lane, str]


def rounds_and_units(size: int, *, at_most: int = ROUNDS_AT_MOST) -> tuple[int, int]:
    """How to cut so many actions into rounds: many short ones, since a pair is compared within its round."""
    rounds = min(at_most, max(ROUNDS_AT_LEAST, size // UNITS_PER_ROUND))
    return rounds, max(1, size // rounds)


def interleave(turns: Mapping[str, Turn], *, rounds: int, units: int) -> dict[str, list[Sample]]:
    """Let each have its turn in every round, in an order drawn anew for each; the answer is in the order of `turns`."""
    samples: dict[str, list[Sample]] = {name: [] for name in turns}
    order = random.Random(units)  # noqa: S311 - an order that nobody has to guess, the same in every run
    for lane, task in turns.values():
        lane.run(task, max(1, units // 2))
    names = list(turns)
    for _ in range(rounds):
        order.shuffle(names)
        for name in names:
            lane, task = turns[name]
            samples[name].append(lane.run(task, units))
    return samples


def serve(tasks: Mapping[str, Task], questions: Mapping[str, Question] | None = None) -> None:
    """In the contestant's process: carry out what is asked for on stdin until it is closed.

    stdout is for answers; whatever else is printed goes to stderr.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(answer: object) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    known: dict[str, Question] = {"run": lambda task, units: _measured(tasks[task], units), **(questions or {})}
    say({"tasks": sorted(tasks)})
    for line in sys.stdin:
        asked = json.loads(line)
        say({"answer": known[asked.pop("ask")](**asked)})


def cpu_us(act: Callable[[], object], *, times: int) -> float:
    """Processor time of one call in microseconds: the median of five goes."""
    goes = []
    for _ in range(5):
        before = time.process_time()
        for _ in range(times):
            act()
        goes.append(time.process_time() - before)
    return round(sorted(goes)[2] / times * 1e6, 2)


def _measured(task: Task, units: int) -> dict[str, float]:
    gc.collect()
    forget_peak()
    cpu, started = time.process_time(), time.perf_counter()
    task(units)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mib": peak_mib()}


def forget_peak() -> None:
    """Count the most memory that this process uses anew from here, where the system can."""
    try:
        FORGET_PEAK.write_text("5")
    except OSError:
        return


def peak_mib() -> float:
    """The most memory that this process used since then, in MiB."""
    try:
        found = [line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(found[0].split()[1]) / 1024
    except (OSError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1024 if sys.platform == "linux" else peak / 1024 / 1024
