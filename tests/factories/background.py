"""Doing something at the same time, in a thread with a database connection of its own."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from django.db import connections

Told = TypeVar("Told")
LONGEST = 30.0


class Background(Generic[Told]):
    """Starts at once; `result` waits, and raises what went wrong there."""

    def __init__(self, work: Callable[[], Told]) -> None:
        self._work = work
        self._told: list[Told] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._told.append(self._work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the test asks for the result
            self._error = error
        finally:
            connections.close_all()

    def is_going_on(self) -> bool:
        return self._thread.is_alive()

    def result(self) -> Told:
        self._thread.join(LONGEST)
        assert not self._thread.is_alive(), "it never came back"
        if self._error is not None:
            raise self._error
        return self._told[0]


def all_at_once(*works: Callable[[], Told]) -> list[Told | Exception]:
    """What came of each, begun at the same moment; an exception is a result too."""
    barrier = threading.Barrier(len(works))

    def begin(work: Callable[[], Told]) -> Told | Exception:
        barrier.wait(LONGEST)
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            return error

    started = [Background(lambda work=work: begin(work)) for work in works]  # type: ignore[misc] # a default argument
    return [one.result() for one in started]


def wait_until(condition: Callable[[], bool], *, seconds: float = LONGEST) -> None:
    """Wait for something that another thread or process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
