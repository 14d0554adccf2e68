"""What this machine remembers of the checkpoints it signed, outside of the database.

A database can be set back to an earlier state without leaving a trace in it; what was signed before can not be taken
back. So the last checkpoint of every log is kept in a folder, and nothing is signed that does not continue it.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from backend.audit.notes import Checkpoint, NoteRefused, note_from
from backend.errors import DomainError

SUFFIX = ".checkpoint"


class MemoryDamaged(DomainError):
    """What this machine remembers of a log can not be read; the sentence says which file, and what to do."""

    code = "log_memory_damaged"
    sentence = "What was kept of the checkpoints that were signed can not be read."


class SignedMemory:
    """A folder with the last checkpoint of each log, a signed note each, under the id of the log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def last(self, origin: str) -> Checkpoint | None:
        """What was signed last for this log, as far as this machine knows. Raises MemoryDamaged."""
        path = self._path(origin)
        try:
            held = _read(path)
        except FileNotFoundError:
            return None
        if held.origin != origin:
            raise _damaged(path, "is of another log")
        return held

    def keep(self, origin: str, note: str) -> None:
        """Remember a checkpoint that was signed and stored; an older one never takes the place of a newer one.

        Written through: what a power cut leaves is the one before or this one, whole. Raises MemoryDamaged.
        """
        held, new = self.last(origin), Checkpoint.parse(note.rpartition("\n\n")[0] + "\n")
        if held is not None and held.size >= new.size:
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(origin)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with draft.open("w", encoding="utf-8") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _write_through(self.folder)

    def damaged(self) -> list[str]:
        """The names of the files that can not be read."""
        names = []
        for path in self._paths():
            try:
                _read(path)
            except MemoryDamaged:
                names.append(path.name)
        return names

    def is_empty(self) -> bool:
        """Does this machine remember nothing, not even what was set aside once?"""
        return not self.folder.exists() or next(self.folder.iterdir(), None) is None

    def set_aside(self, *, now: datetime) -> list[Checkpoint]:
        """After a restore that lost entries: keep what was signed under another name, and begin anew.

        Returns what was remembered, as far as it can be read. The notes stay in the folder, damaged ones too: they are
        the proof of what was lost.
        """
        remembered = []
        for path in self._paths():
            # Of a damaged one nothing can be told; but as long as it lies there, nothing is signed.
            with suppress(MemoryDamaged):
                remembered.append(_read(path))
            path.replace(path.with_name(f"{path.stem}.lost-{int(now.timestamp())}"))
        if self.folder.is_dir():
            _write_through(self.folder)
        return remembered

    def _paths(self) -> Iterator[Path]:
        if self.folder.is_dir():
            yield from sorted(self.folder.glob(f"*{SUFFIX}"))

    def _path(self, origin: str) -> Path:
        name = origin.rpartition("/")[2]
        if not name or name.startswith("."):
            raise NoteRefused("The origin of a log ends with its id.")
        return self.folder / f"{name}{SUFFIX}"


def _read(path: Path) -> Checkpoint:
    """One file. Raises FileNotFoundError, MemoryDamaged."""
    try:
        return Checkpoint.parse(note_from(path.read_bytes()).rpartition("\n\n")[0] + "\n")
    except NoteRefused as error:
        raise _damaged(path, "holds no checkpoint") from error
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _damaged(path, f"can not be read ({error.strerror})") from error


def _damaged(path: Path, why: str) -> MemoryDamaged:
    return MemoryDamaged(
        f"{path.name} in ACCORD_CHECKPOINT_DIR {why}, so nobody can tell whether the log continues what was signed. "
        "Bring the file back from a copy; if there is none, compare the log with a checkpoint that was kept elsewhere, "
        "then run audit_restored, which sets the file aside and says so in the log."
    )


def _write_through(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
