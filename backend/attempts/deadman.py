"""Stops a worker that was stalled past its lease, before it can go on: the kernel does it, not the worker.

A process that was stopped, swapped out or stuck and whose timer ran out is killed before it runs another instruction of
ours, so it can not hand over what was taken away from it. Does not cover a paused virtual machine: what such a worker
held is answered as in doubt, never as confirmed.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def can_arm() -> bool:
    """Is the timer free, and are we in the one thread that may set it?"""
    return (
        threading.current_thread() is threading.main_thread()
        and hasattr(signal, "setitimer")
        and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
        and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    )


@contextmanager
def deadman(seconds: float) -> Iterator[bool]:
    """Inside this block the process dies after so many seconds. Yields whether the timer could be set."""
    armed = can_arm()
    if armed:
        signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield armed
    finally:
        if armed:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
