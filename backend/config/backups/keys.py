"""The wrapped keys as lines of JSON: small, apart from the data, and only the newest copy is of use."""

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import IO, Any, Final
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from backend.audit.keys import stored_key
from backend.audit.models import ClinicKey, DataKey
from backend.config.backups.archive import BackupRefused
from backend.vault.keyring import Scope, StoredClinicKey, StoredDataKey

AT_ONCE: Final = 2_000
LONGEST_LINE: Final = 10_000
COLUMNS: Final[dict[str, tuple[type[ClinicKey] | type[DataKey], tuple[str, ...]]]] = {
    "clinic_key": (ClinicKey, ("id", "clinic_id", "epoch", "provider", "wrapped", "created_at", "destroyed_at")),
    "data_key": (
        DataKey,
        (
            *("id", "clinic_id", "scope", "subject_id", "epoch", "wrapped"),
            *("created_at", "destroyed_at", "subject_mark"),
        ),
    ),
}


def dump_keys() -> Iterator[bytes]:
    """Every row of the two tables, as they are at one moment."""
    connection = connections[DEFAULT_DB_ALIAS]
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for kind, (model, columns) in COLUMNS.items():
            for row in _in_pieces(model, columns):
                told = {name: _written(value) for name, value in zip(columns, row, strict=True)}
                yield json.dumps({"kind": kind, **told}, separators=(",", ":")).encode() + b"\n"


def _in_pieces(model: type[ClinicKey] | type[DataKey], columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Each piece read whole: whoever stops before the end, on a full disk for one, leaves no cursor open."""
    rows = model.objects.order_by("id").values_list(*columns)
    piece = list(rows[:AT_ONCE])
    while piece:
        yield from piece
        piece = list(rows.filter(id__gt=piece[-1][0])[:AT_ONCE])


def read_keys(content: IO[bytes]) -> Iterator[ClinicKey | DataKey]:
    """The rows again. Raises BackupRefused."""
    while line := content.readline(LONGEST_LINE):
        try:
            told = json.loads(line)
            model, columns = COLUMNS[told.pop("kind")]
            if told.keys() != set(columns):
                raise BackupRefused("The backup of the keys is of another version of Accord.")
            yield model(**{name: _read(name, told[name]) for name in columns})
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise BackupRefused("The backup of the keys is damaged.") from error


def store_keys(rows: Iterable[ClinicKey | DataKey], *, using: str) -> int:
    """Write the rows into empty tables, inside `record`; how many data keys."""
    count = 0
    waiting: dict[type[ClinicKey | DataKey], list[Any]] = {ClinicKey: [], DataKey: []}
    for row in rows:
        waiting[type(row)].append(row)
        count += isinstance(row, DataKey)
        if len(waiting[type(row)]) >= AT_ONCE:
            type(row).objects.using(using).bulk_create(waiting.pop(type(row)), batch_size=AT_ONCE)
            waiting[type(row)] = []
    for model, left in waiting.items():
        model.objects.using(using).bulk_create(left, batch_size=AT_ONCE)
    return count


class ArchivedKeys:
    """The keys of the clinics themselves, from a backup: enough to write the entry under which all are brought back."""

    def __init__(self, rows: Iterable[ClinicKey | DataKey]) -> None:
        self._clinic_keys: dict[tuple[UUID, int], StoredClinicKey] = {}
        self._own: dict[UUID, StoredDataKey] = {}
        for row in rows:
            if isinstance(row, ClinicKey):
                wrapped = None if row.wrapped is None else bytes(row.wrapped)
                self._clinic_keys[row.clinic_id, row.epoch] = StoredClinicKey(
                    clinic_id=row.clinic_id, epoch=row.epoch, wrapped=wrapped
                )
            elif row.subject_id is None and row.wrapped is not None:
                self._own[row.id] = stored_key(row)

    def clinic_key(self, *, clinic_id: UUID, epoch: int | None) -> StoredClinicKey | None:
        """One clinic key; the newest that lives where `epoch` is None."""
        if epoch is not None:
            return self._clinic_keys.get((clinic_id, epoch))
        living = [key for key in self._clinic_keys.values() if key.clinic_id == clinic_id and key.wrapped is not None]
        return max(living, key=lambda key: key.epoch, default=None)

    def data_keys(self, key_ids: Iterable[UUID]) -> list[StoredDataKey]:
        """Clinics' own keys by their ids."""
        return [self._own[key_id] for key_id in key_ids if key_id in self._own]

    def active_keys(self, *, clinic_id: UUID, scope: Scope, subject_ids: Iterable[UUID | None]) -> list[StoredDataKey]:
        """A clinic's own keys; nobody else's."""
        if None not in set(subject_ids):
            return []
        return [key for key in self._own.values() if (key.clinic_id, key.scope) == (clinic_id, scope)]


def _written(value: object) -> object:
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value


def _read(name: str, value: Any) -> object:
    if value is None:
        return None
    if name in {"wrapped", "subject_mark"}:
        return base64.b64decode(value, validate=True)
    if name in {"id", "clinic_id", "subject_id"}:
        return UUID(value)
    return datetime.fromisoformat(value) if name.endswith("_at") else value
