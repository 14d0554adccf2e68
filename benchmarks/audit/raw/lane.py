"""The limit: no ORM, no check, no guard. Rows alone, and rows with entries sealed in the shortest way that there is."""

import hashlib
import hmac
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import connection, transaction

from backend.vault.identifiers import new_id
from benchmarks.audit.contestants import BATCH
from benchmarks.audit.shape import CHANNEL, METHOD, PURPOSE, event
from benchmarks.lanes import Question, Task

CLINIC: Final = new_id()
PATIENTS: Final = [(new_id(), new_id().bytes, AESGCM(os.urandom(32))) for _ in range(200)]
WRITER: Final = os.urandom(32)
REQUEST: Final = new_id().hex
ROW_COLUMNS: Final = (
    "id", "clinic_id", "patient_id", "purpose", "channel", "decision", "method", "occurred_at", "recorded_at",
    "notice_version", "number",
)  # fmt: skip
ROW_TYPES: Final = (
    "uuid", "uuid", "uuid", "varchar", "varchar", "varchar", "varchar", "timestamptz", "timestamptz", "int4", "int4",
)  # fmt: skip
ENTRY_COLUMNS: Final = ("log_id", "id", "ts", "leaf", "wmac")
ENTRY_TYPES: Final = ("int4", "uuid", "int8", "bytea", "bytea")


def set_up() -> None:
    """Nothing to do."""


def _rows(count: int) -> Iterator[tuple[Any, ...]]:
    for turn in range(count):
        yield (new_id(), *event(clinic_id=CLINIC, patient_id=PATIENTS[turn % len(PATIENTS)][0]).values())


def _entry(turn: int, row: Sequence[Any]) -> tuple[Any, ...]:
    patient_id, key_id, cipher = PATIENTS[turn % len(PATIENTS)]
    entry_id, moment = new_id(), 1_791_964_800_000_000
    header = orjson.dumps({
        "a": "consent.given", "ac": "u:k7Qe2mVx", "cid": REQUEST, "id": str(entry_id), "ks": 1, "o": "ok",
        "ot": "consent", "t": moment, "tn": str(CLINIC), "v": 1,
    })  # fmt: skip
    content = orjson.dumps({
        "d": {"channel": CHANNEL, "event": str(row[0]), "method": METHOD, "notice_version": 3, "purpose": PURPOSE},
        "s": str(patient_id),
    })  # fmt: skip
    content += b"\x80"
    content += bytes(-len(content) % 64)
    framed = b"\x01" + len(header).to_bytes(4, "big") + header
    bound = b"\x00\x00\x00\x0daudit-part-v1" + len(framed).to_bytes(4, "big") + framed
    bound += b"\x00\x00\x00\x01\x00\x00\x00\x00\x10" + key_id
    nonce = os.urandom(12)
    sealed = cipher.encrypt(nonce, content, bound)
    leaf = framed + b"\x01" + key_id + nonce + len(sealed).to_bytes(4, "big") + sealed
    return 1, entry_id, moment, leaf, hmac.digest(WRITER, leaf, hashlib.sha256)


def _insert_sqlite(table: str, columns: Sequence[str], _types: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    marks = ",".join("?" * len(columns))
    connection.connection.executemany(
        f"INSERT INTO {table} ({','.join(columns)}) VALUES ({marks})",  # noqa: S608 - our own words
        [[getattr(value, "hex", value) if hasattr(value, "int") else value for value in row] for row in rows],
    )


def _insert_postgres(table: str, columns: Sequence[str], types: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    with (
        connection.connection.cursor() as cursor,
        cursor.copy(f"COPY {table} ({','.join(columns)}) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def _insert() -> Callable[..., None]:
    return _insert_postgres if connection.vendor == "postgresql" else _insert_sqlite


def _batch(units: int, *, with_entries: bool) -> None:
    insert = _insert()
    for start in range(0, units, BATCH):
        with transaction.atomic():
            rows = list(_rows(min(BATCH, units - start)))
            if with_entries:
                entries = [_entry(turn, row) for turn, row in enumerate(rows)]
                insert("raw_entry", ENTRY_COLUMNS, ENTRY_TYPES, entries)
            insert("raw_event", ROW_COLUMNS, ROW_TYPES, rows)


def _written() -> dict[str, int]:
    with connection.cursor() as cursor:
        counts = {}
        for table in ("raw_event", "raw_entry"):
            cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 - our own words
            counts[table] = int(cursor.fetchone()[0])
    return counts


TASKS: Final[Mapping[str, Task]] = {
    "batch": partial(_batch, with_entries=True),
    "batch_rows_only": partial(_batch, with_entries=False),
}
QUESTIONS: Final[Mapping[str, Question]] = {"written": _written}
