"""What a worker writes down on its own disk while it holds messages: before each call it begins, after each answer.

The database learns what came of a call some moments later. A worker that is killed in between leaves its journal, and
whoever finds it knows of each message whether its call had begun and how it ended: only what was in the air is in
doubt. A line needs no flush, since what a killed process wrote is the kernel's to keep; a machine that went down may
have lost lines, so of such a journal only the answers are believed.

Nothing personal: ids, codes, and the names that carriers give to messages.
"""

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import orjson

from backend.messaging.carriers.base import (
    FailureCode,
    InDoubt,
    Outcome,
    PermanentFailure,
    Receipt,
    TemporaryFailure,
)
from backend.messaging.held import Held, verdict_record

log = logging.getLogger("accord.delivery")

SUFFIX: Final = ".journal"
BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
OWNER_ONLY: Final = 0o600
FOLDER_MODE: Final = 0o700


class Journal:
    """The journal of one batch, locked as long as its process lives."""

    def __init__(self, file: int, path: Path) -> None:
        self._file, self._path = file, path
        self._is_open = True

    def begun(self, held: Held) -> None:
        """The call for this message begins with the next instruction; its lot is that of those that go along."""
        self._write({"b": [str(each.attempt_id) for each in (held, *held.together)], "v": _verdicts(held)})

    def ended(self, held: Held, outcome: Outcome) -> None:
        """The call has ended so. One that ended in doubt is one that never ended."""
        told = _told(outcome)
        if told is not None:
            self._write({"a": [str(each.attempt_id) for each in (held, *held.together)], "o": told})

    def forget(self) -> None:
        """Everything in it is in the database."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        self.leave()

    def leave(self) -> None:
        """Not everything in it is in the database: it stays for whoever looks, and nothing is added to it."""
        self._is_open = False
        os.close(self._file)

    def _write(self, line: Mapping[str, object]) -> None:
        if not self._is_open:
            # Whoever reads it takes a missing line for a call that never began: so none may begin any more.
            raise RuntimeError("This journal is closed.")
        # One write for each line, from several threads: the kernel puts each behind the last.
        os.write(self._file, orjson.dumps(line) + b"\n")


@contextmanager
def journal_of(owner: UUID, folder: Path | None) -> Iterator[Journal | None]:
    """A fresh journal, gone at the end unless the block broke off. None where there is no folder to write in.

    It is there, and locked, before anything is claimed: a claim without a journal is one whose journal was lost.
    """
    if folder is None:
        yield None
        return
    path = folder / f"{owner}{SUFFIX}"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, OWNER_ONLY)
    fcntl.flock(file, fcntl.LOCK_EX)
    os.write(file, orjson.dumps({"boot": _this_boot()}) + b"\n")
    journal = Journal(file, path)
    try:
        yield journal
    except BaseException:
        journal.leave()
        raise
    journal.forget()


@dataclass(slots=True)
class LeftBehind:
    """The journal of a process that is no more. `is_whole`: nothing that it wrote can have been lost."""

    owner: UUID
    is_whole: bool
    verdicts: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    begun: set[UUID] = field(default_factory=set)
    outcomes: dict[UUID, Outcome] = field(default_factory=dict)


@contextmanager
def left_behind(path: Path) -> Iterator[LeftBehind | None]:
    """Open a journal if its process is dead: None where it lives, or where somebody else reads it.

    The file goes at the end of the block, unless the block breaks off.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        try:
            # The kernel lets go of a lock when its process ends, and not before: no clock is asked.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        if os.fstat(file).st_nlink == 0:
            yield None
            return
        yield _read(UUID(path.name.removesuffix(SUFFIX)), file)
        path.unlink(missing_ok=True)
    finally:
        os.close(file)


def journals_in(folder: Path) -> list[Path]:
    """The journals that lie in this folder, those of the living among them."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix == SUFFIX and _names_an_owner(path))


def prepared_folder(folder: Path) -> Path | None:
    """The folder, made if need be; None, and a word about it, where nothing can be written."""
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror
    else:
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
        reason = "it is read-only"
    log.warning("No journal is kept in %s (%s): whatever a killed worker held will be in doubt.", folder, reason)
    return None


def _names_an_owner(path: Path) -> bool:
    try:
        UUID(path.name.removesuffix(SUFFIX))
    except ValueError:
        return False
    return True


def _read(owner: UUID, file: int) -> LeftBehind:
    with os.fdopen(os.dup(file), "rb") as stream:
        lines = stream.read().split(b"\n")
    # Whatever stands behind the last line end was being written when the process was killed: its call never began.
    found = [_parsed(line) for line in lines[:-1]]
    boot = found[0].get("boot") if found else None
    left = LeftBehind(owner, is_whole=bool(boot) and boot == _this_boot() and all(found))
    for line in found:
        begun = [UUID(one) for one in line.get("b", ())]
        left.begun.update(begun)
        left.verdicts.update(zip(begun, line.get("v", ()), strict=False))
        outcome = _outcome(line.get("o"))
        if outcome is not None:
            left.outcomes.update((UUID(one), outcome) for one in line.get("a", ()))
    return left


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _verdicts(held: Held) -> list[dict[str, Any]]:
    return [verdict_record(each) for each in (held, *held.together)]


def _told(outcome: Outcome) -> list[object] | None:
    match outcome:
        case Receipt(reference):
            return ["sent", reference]
        case PermanentFailure(code):
            return ["never", code.value]
        case TemporaryFailure(code, retry_after):
            return ["later", code.value, retry_after]
        case InDoubt():
            return None


def _outcome(told: object) -> Outcome | None:
    match told:
        case ["sent", str(reference)]:
            return Receipt(reference)
        case ["never", str(code)]:
            return PermanentFailure(FailureCode(code))
        case ["later", str(code), None | int() | float() as seconds]:
            return TemporaryFailure(FailureCode(code), seconds)
        case _:
            return None


def _this_boot() -> str:
    """Which run of the kernel this is; empty where the system does not say, and then no journal counts as whole."""
    try:
        return BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""
