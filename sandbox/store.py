"""What was received, kept in one SQLite file so that the inbox survives a restart and other processes can read it."""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.faults import ChannelName

SCHEMA = """
CREATE TABLE IF NOT EXISTS received (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL,
    recipient TEXT NOT NULL,
    sender TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    html TEXT NOT NULL,
    headers TEXT NOT NULL,
    raw BLOB NOT NULL,
    reference TEXT NOT NULL,
    message_id TEXT NOT NULL,
    received_at TEXT NOT NULL,
    monotonic REAL NOT NULL,
    payload TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS received_reference ON received (reference);
CREATE INDEX IF NOT EXISTS received_recipient ON received (recipient, channel);
"""
COLUMNS = (
    "number, channel, recipient, sender, subject, body, html, headers, raw, reference, message_id, received_at, "
    "monotonic, payload"
)


class Headers(Mapping[str, str]):
    """Header lines by name, whatever the case of the letters; of a repeated name the first counts."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self.pairs = tuple((name, value) for name, value in pairs)
        self._by_name: dict[str, str] = {}
        for name, value in self.pairs:
            self._by_name.setdefault(name.lower(), value)

    def __getitem__(self, name: str) -> str:
        return self._by_name[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One message as it came in over the wire. An e-mail to three recipients is three of these.

    `reference` is the name that the server gave or found: SID, FCM name, Message-ID. `message_id` is what the client
    put in to recognise the message: the X-Accord-Message header, the id in the StatusCallback address, the FCM data key
    `message_id`. `monotonic` only compares within one run of one machine. `payload` is the parsed form or JSON, and the
    envelope for e-mail. `number` counts what this sandbox received.
    """

    channel: ChannelName
    to: str
    sender: str
    text: str
    raw: bytes
    reference: str
    received_at: datetime
    monotonic: float
    subject: str = ""
    html: str = ""
    headers: Mapping[str, str] = field(default_factory=lambda: Headers(()))
    message_id: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0

    def __repr__(self) -> str:
        return f"Received(number={self.number}, channel={self.channel!r}, reference={self.reference!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which messages are asked for. An empty value does not narrow."""

    channel: str = ""
    to: str = ""
    sender: str = ""
    reference: str = ""
    sent_from: datetime | None = None
    sent_before: datetime | None = None
    number: int | None = None
    limit: int = -1
    offset: int = 0

    def where(self) -> tuple[str, list[object]]:
        """The SQL condition and its values."""
        wanted: list[tuple[str, object]] = [
            ("channel = ?", self.channel),
            ("recipient = ?", self.to),
            ("sender = ?", self.sender),
            ("reference = ?", self.reference),
            ("received_at >= ?", self.sent_from and _stamp(self.sent_from)),
            ("received_at < ?", self.sent_before and _stamp(self.sent_before)),
            ("number = ?", self.number),
        ]
        used = [(condition, value) for condition, value in wanted if value not in ("", None)]
        return " AND ".join(condition for condition, _ in used) or "1", [value for _, value in used]


class Store:
    """The messages of one data folder. Several processes may read and write at once."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "sandbox"
        self._path = self.folder / "received.sqlite3"
        self._lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None

    def add(self, received: Received) -> Received:
        """Keep a message, and give it back with its number."""
        values = (
            received.channel,
            *(
                # Half a surrogate pair is text in Python and in JSON, but not in a database.
                text.encode("utf-8", "replace").decode("utf-8")
                for text in (received.to, received.sender, received.subject, received.text, received.html)
            ),
            json.dumps(_pairs(received.headers)),
            received.raw,
            received.reference,
            received.message_id.encode("utf-8", "replace").decode("utf-8"),
            _stamp(received.received_at),
            received.monotonic,
            json.dumps(received.payload),
        )
        marks = ", ".join("?" * len(values))
        statement = f"INSERT INTO received ({COLUMNS.removeprefix('number, ')}) VALUES ({marks})"  # noqa: S608 - constants
        with self._lock:
            cursor = self._open_writer().execute(statement, values)
        return replace(received, number=cursor.lastrowid or 0)

    def received(self, selection: Selection | None = None, *, newest_first: bool = False) -> tuple[Received, ...]:
        """The messages asked for, oldest first unless told otherwise."""
        chosen = selection or Selection()
        where, values = chosen.where()
        order = "DESC" if newest_first else "ASC"
        rows = self._read(
            f"SELECT {COLUMNS} FROM received WHERE {where} ORDER BY number {order} LIMIT ? OFFSET ?",  # noqa: S608 - constants
            [*values, chosen.limit, chosen.offset],
        )
        return tuple(_received(row) for row in rows)

    def counts(self, selection: Selection | None = None) -> dict[str, int]:
        """How many messages there are, channel by channel."""
        where, values = (selection or Selection()).where()
        return dict(
            self._read(f"SELECT channel, count(*) FROM received WHERE {where} GROUP BY channel", values)  # noqa: S608 - constants
        )

    def recipients(self, *, limit: int) -> list[str]:
        """Who got something, latest first."""
        statement = "SELECT recipient FROM received GROUP BY recipient ORDER BY max(number) DESC LIMIT ?"
        return [row[0] for row in self._read(statement, [limit])]

    def clear(self) -> None:
        """Forget every message."""
        if not self._path.exists():
            return
        with self._lock:
            self._open_writer().execute("DELETE FROM received")

    def close(self) -> None:
        """Give the file back. The next call opens it again."""
        with self._lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def _open_writer(self) -> sqlite3.Connection:
        if self._writer is None:
            # Even invented messages look like health data: nobody else on this machine reads them.
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder.chmod(0o700)
            self._path.touch(mode=0o600)
            self._writer = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=30)
            self._writer.execute("PRAGMA journal_mode = WAL")
            # A power cut may cost the last messages of a sandbox; waiting for the disk at each one would cost more.
            self._writer.execute("PRAGMA synchronous = OFF")
            self._writer.executescript(SCHEMA)
        return self._writer

    def _read(self, statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        if not self._path.exists():
            return []
        with closing(sqlite3.connect(self._path, timeout=30)) as reader:
            known = reader.execute("SELECT 1 FROM sqlite_master WHERE name = 'received'").fetchone()
            return reader.execute(statement, values).fetchall() if known else []


def _pairs(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return list(headers.pairs if isinstance(headers, Headers) else headers.items())


def _stamp(moment: datetime) -> str:
    # A fixed width, so that the order of the texts is the order of the moments.
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _received(row: tuple[Any, ...]) -> Received:
    return Received(
        number=row[0],
        channel=row[1],
        to=row[2],
        sender=row[3],
        subject=row[4],
        text=row[5],
        html=row[6],
        headers=Headers([(name, value) for name, value in json.loads(row[7])]),
        raw=row[8],
        reference=row[9],
        message_id=row[10],
        received_at=datetime.strptime(row[11], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC),
        monotonic=row[12],
        payload=json.loads(row[13]),
    )
