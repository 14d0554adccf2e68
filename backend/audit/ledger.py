"""The ledger of destroyed keys: a file outside of the database, so that no restored backup brings one back unnoticed.

One line for each destroyed data key, its id and when. Lines are only ever added, whole and written through, by any
number of processes. An id says nothing about anybody: its row names nobody any more.
"""

import fcntl
import os
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final
from uuid import UUID

from django.conf import settings

from backend.vault.providers import KeysUnavailable

LINE: Final = re.compile(
    rb"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}) \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
)
LINE_BYTES: Final = 57
ID_BYTES: Final = 36
# What a power cut leaves of a line: its beginning. Once the id is whole, the key counts as destroyed.
TORN: Final = re.compile(rb"[0-9a-f-]{1,36}|([0-9a-f-]{36}) [0-9TZ:-]{0,19}")


class LedgerUnusable(KeysUnavailable):
    """The ledger can not be read or added to; the sentence says which file, and why."""


class DestroyedKeys:
    """The ledger in one file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> set[UUID]:
        """The ids of all keys in the ledger; none where there is no file yet. Raises LedgerUnusable."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise self._unusable(f"can not be read ({error.strerror})") from error
        found = set()
        for number, line in enumerate(content.split(b"\n"), start=1):
            if LINE.fullmatch(line):
                found.add(UUID(line[:ID_BYTES].decode()))
            elif line and not (len(line) < LINE_BYTES and TORN.fullmatch(line)):
                raise self._unusable(f"holds a line ({number}) that nobody wrote there: bring it back from its backup")
            elif len(line) >= ID_BYTES:
                found.add(UUID(line[:ID_BYTES].decode()))
        return found

    def add(self, destroyed: Mapping[UUID, datetime]) -> None:
        """Add keys, each with the time of its destruction, and write them through. Raises LedgerUnusable."""
        if not destroyed:
            return
        lines = b"".join(
            f"{key_id} {at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode() for key_id, at in destroyed.items()
        )
        try:
            self._add(lines)
        except OSError as error:
            raise self._unusable(f"can not be added to ({error.strerror})") from error
        known_destroyed(self.path).update(destroyed)

    def exists(self) -> bool:
        """Is there a file, be it without a line? Every start makes one. Raises LedgerUnusable."""
        try:
            return self.path.exists()
        except OSError as error:
            raise self._unusable(f"can not be looked at ({error.strerror})") from error

    def see_that_it_can_be_kept(self) -> None:
        """Can lines be read and added? Raises LedgerUnusable."""
        self.read()
        try:
            self._add(b"")
        except OSError as error:
            raise self._unusable(f"can not be added to ({error.strerror})") from error

    def _add(self, lines: bytes) -> None:
        folder = self.path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_new = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            # Closing the file ends the lock. With it, whether the last line is whole can not change meanwhile.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            if lines and size and os.pread(descriptor, 1, size - 1) != b"\n":
                lines = b"\n" + lines
            while lines:
                lines = lines[os.write(descriptor, lines) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            _write_through(folder)

    def _unusable(self, why: str) -> LedgerUnusable:
        return LedgerUnusable(
            f"The ledger of destroyed keys, {self.path.name}, {why}: see ACCORD_DESTROYED_KEYS_FILE. Without it a "
            "restored backup could bring back what was erased."
        )


def ledger() -> DestroyedKeys:
    """The ledger of this installation."""
    return DestroyedKeys(Path(settings.ACCORD_DESTROYED_KEYS_FILE))


@lru_cache(maxsize=4)
def known_destroyed(path: Path) -> set[UUID]:
    """What the ledger held when this process first asked, and what it added since: such a key is never used.

    What other processes destroy later is a tombstone in the database; this is for a database that was set back.
    """
    return DestroyedKeys(path).read()


def is_destroyed_for_good(key_ids: Iterable[UUID]) -> set[UUID]:
    """Which of these keys are in the ledger. Raises LedgerUnusable."""
    return known_destroyed(Path(settings.ACCORD_DESTROYED_KEYS_FILE)).intersection(key_ids)


def _write_through(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
