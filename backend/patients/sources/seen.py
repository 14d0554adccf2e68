"""Remembers what an import has already met, on disk once it is a lot, and without keeping any of it."""

import secrets
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from hashlib import blake2b
from types import TracebackType
from typing import Final, Self

_CACHE_KIB: Final = 16_384


class Seen:
    """What was met in one import: hashes under a key that lives as long as this object, in a file that SQLite deletes.

    A set in memory would grow with the import; this stays within a few tens of megabytes for millions of records.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        # The empty name is SQLite's own: a private temporary database, in memory until the cache is full.
        self._store = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._store.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._store.execute("PRAGMA journal_mode = OFF")
        self._store.execute("PRAGMA synchronous = OFF")
        self._store.execute("CREATE TABLE seen (mark BLOB PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.close()

    def first_known(self, marks: Sequence[tuple[str, ...]]) -> int | None:
        """The place of the first mark that was added before; None when all are new."""
        for place, mark in enumerate(marks):
            if self.content_of(mark) is not None:
                return place
        return None

    def content_of(self, mark: tuple[str, ...]) -> bytes | None:
        """The hash of the content that a mark was added with; None when it was not."""
        with closing(self._store.execute("SELECT content FROM seen WHERE mark = ?", (self.hash_of(mark),))) as rows:
            row = rows.fetchone()
        return None if row is None else bytes(row[0])

    def add(self, marks: Sequence[tuple[str, ...]], content: bytes = b"") -> None:
        """Remember these marks; the first content that came with a mark stays."""
        rows = [(self.hash_of(mark), content) for mark in marks]
        self._store.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", rows)

    def hash_of(self, parts: Sequence[str]) -> bytes:
        """A hash of several texts that tells ("ab", "c") from ("a", "bc")."""
        digest = blake2b(key=self._key, digest_size=16)
        for part in parts:
            encoded = part.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8))
            digest.update(encoded)
        return digest.digest()
