"""Several processes of one machine as if they were one: they start, talk on one terminal, and stop together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock, Thread
from types import FrameType
from typing import Final

LOOK_SECONDS: Final = 0.1
# A shell's way to say that a signal ended a program.
BY_SIGNAL: Final = 128


@dataclass(slots=True)
class _Child:
    name: str
    process: "subprocess.Popen[bytes]"
    grace: float
    reader: Thread


class Processes:
    """Children that live and end with each other.

    Each is the head of a session of its own, so that Ctrl-C reaches this process alone, which then ends the others in
    order: last started first to go, so that what a worker is talking to is still there while it finishes.
    """

    def __init__(self, *, held: Sequence[int] = ()) -> None:
        """`held` are descriptors that the children keep open, such as a lock that must outlive this process."""
        self._held, self._children = tuple(held), list[_Child]()
        self._asked: int | None = None
        self._impatient = False
        self._printing = Lock()

    def start(
        self, name: str, command: Sequence[str], *, environment: Mapping[str, str], grace: float, announces: bytes = b""
    ) -> bool:
        """Start one, which gets `grace` seconds to end when it is asked to.

        With `announces`, wait for a line that begins so, and be False where it ended without one.
        """
        process = subprocess.Popen(  # noqa: S603 - our own commands
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=self._held,
        )
        child = _Child(name, process, grace, Thread(target=self._print, args=(name, process), daemon=True))
        self._children.append(child)
        if announces and process.stdout is not None and not any(line.startswith(announces) for line in process.stdout):
            process.stdout.close()
            process.wait()
            self._children.remove(child)
            return False
        child.reader.start()
        return True

    def run(self) -> int:
        """Wait until Ctrl-C, SIGTERM, or the end of one of them; end the others; the exit code."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        ended: _Child | None = None
        while self._asked is None and ended is None:
            time.sleep(LOOK_SECONDS)
            ended = next((child for child in self._children if child.process.poll() is not None), None)
        if ended is not None and self._asked is None:
            self._say(f"The {ended.name} ended by itself (exit code {ended.process.returncode}): stopping the others.")
        else:
            self._say("Stopping ...")
        self.stop()
        if self._asked is not None:
            return BY_SIGNAL + self._asked
        return abs(ended.process.returncode) or 1 if ended is not None else 0

    def stop(self) -> None:
        """End them all, the last started first; who takes longer than its grace is killed."""
        for child in reversed(self._children):
            if child.process.poll() is None:
                child.process.terminate()
                self._wait(child)
            # The processes that it started, should one be left.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()
            if child.reader.is_alive():
                child.reader.join(timeout=1)
        self._children.clear()

    def _wait(self, child: _Child) -> None:
        deadline = time.monotonic() + child.grace
        while child.process.poll() is None:
            if self._impatient or time.monotonic() > deadline:
                self._say(f"The {child.name} is killed.")
                return
            time.sleep(LOOK_SECONDS / 2)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        # Twice means: now.
        self._impatient = self._asked is not None
        self._asked = self._asked or number

    def _print(self, name: str, process: "subprocess.Popen[bytes]") -> None:
        if process.stdout is not None:
            with process.stdout as lines:
                for line in lines:
                    self._write(f"{name:<8}| ".encode() + line)

    def _say(self, sentence: str) -> None:
        self._write(f"{sentence}\n".encode())

    def _write(self, line: bytes) -> None:
        # Nobody may be reading any more; what is run goes on all the same.
        with self._printing, suppress(OSError, ValueError):
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
