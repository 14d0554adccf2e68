"""Processor time of processes that are not ours to ask: by what the kernel says of them."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

TICKS: Final = os.sysconf("SC_CLK_TCK")
PROC: Final = Path("/proc")


def processor_seconds(pids: Iterable[int]) -> float:
    """What these processes used so far, with those of their children that have ended and were waited for."""
    return sum(_used(pid) for pid in pids)


def tree_of(root: int) -> list[int]:
    """A process and everything below it."""
    parents = dict(_all())
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def postgres_processes() -> list[int]:
    """Every process of a PostgreSQL server on this machine; none where it runs elsewhere or is hidden."""
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "comm").read_text().strip() == "postgres":
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def _all() -> list[tuple[int, int]]:
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            found.append((int(entry.name), int(fields[1])))
    return found


def _used(pid: int) -> float:
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    # utime, stime, and those of children that were waited for (proc(5)).
    return sum(int(field) for field in fields[11:15]) / TICKS
