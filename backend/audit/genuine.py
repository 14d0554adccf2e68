"""Is a row of the log's table an entry that was written here, as it was written? One rule for all who ask."""

import re
from hmac import compare_digest
from typing import Final
from uuid import UUID

from backend.audit.leaf import Leaf, parse_leaf
from backend.vault.ciphers import Tampered, mac

NOT_WRITTEN_BY_US: Final = "not_written_by_us"
NOT_AN_ENTRY: Final = "not_an_entry"
MOVED: Final = "moved"
REPLAYED: Final = "replayed"


def stored_id(value: object) -> UUID | None:
    """The id of a row as its driver hands it out; None for what the database took and no entry of ours has.

    SQLite takes any text: the same id in capitals would be another value to its unique index, and the same to Python.
    """
    if isinstance(value, UUID):
        return value
    if not isinstance(value, str) or not _WRITTEN(value):
        return None
    return UUID(value)


def stored_bytes(value: object) -> bytes:
    """The bytes of a column; nothing where something else stands there."""
    return bytes(value) if isinstance(value, (bytes, bytearray, memoryview)) else b""


_WRITTEN: Final = re.compile("[0-9a-f]{32}").fullmatch


class NotGenuine(Exception):
    """The row is no entry of this log; the argument is the word for why."""


def genuine_entry(content: bytes, mark: bytes, *, entry_id: UUID | None, clinic_id: UUID, writer: bytes) -> Leaf:
    """What the row says; `mark` is its writer's, `clinic_id` that of the log in which it stands. Raises NotGenuine."""
    if not compare_digest(mac(writer, content), mark):
        raise NotGenuine(NOT_WRITTEN_BY_US)
    try:
        leaf = parse_leaf(content)
    except Tampered as error:
        raise NotGenuine(NOT_AN_ENTRY) from error
    if leaf.header["tn"] != str(clinic_id) or leaf.header["id"] != str(entry_id):
        raise NotGenuine(MOVED)
    return leaf
