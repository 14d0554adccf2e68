"""Model fields encrypted under the patient's own key, which stay closed until somebody is recorded as looking.

A stored value is `suite (1 byte) | key id (16) | nonce (12) | ciphertext and tag`; table, column, row and clinic are
authenticated, so a value that is moved elsewhere can not be opened there.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, Self, cast, overload
from uuid import UUID

import orjson
from django.db import models

from backend.vault.ciphers import (
    NONCE_BYTES,
    SUITE_AES_256_GCM,
    TAG_BYTES,
    Tampered,
    decrypt,
    encrypt,
    field_binding,
)
from backend.vault.keyring import KeyDestroyed, Scope, keyring

CLOSED: Final = "•••"
KEY_ID: Final = slice(1, 17)
BODY: Final = 17
SHORTEST: Final = BODY + NONCE_BYTES + TAG_BYTES
# Is it there, and is it this very ciphertext? Nothing else can be asked of a column that nobody can read.
LOOKUPS: Final = frozenset({"isnull", "exact", "in"})

Json = str | int | bool | list["Json"] | dict[str, "Json"] | None
Revealed = dict[UUID, Json]


class NotRecorded(Exception):
    """Sealed data was asked for without an audit entry that covers this patient."""


class ValueShredded(Exception):
    """The key of this value was destroyed: nobody can read it any more."""


class Shredded:
    """What stands where a value was whose key is destroyed."""

    def __repr__(self) -> str:
        return "<shredded>"


SHREDDED: Final = Shredded()


class Looking(Protocol):
    """Whatever proves that looking was recorded: an audit entry."""

    def covers(self, *, clinic_id: UUID, subject_id: UUID | None) -> bool:
        """Does this entry say that this patient's data (None: the clinic's own) is looked at?"""
        ...


class SealingRow(Protocol):
    """What a model with sealed fields must tell: whose key, and which clinic's."""

    pk: Any
    clinic_id: UUID
    _meta: Any

    @property
    def sealing_subject(self) -> UUID | None:
        """The patient under whose key this row is sealed; None for the clinic's own."""
        ...


class Blob(bytes):
    """A sealed value as stored; a type of its own, so that no text is ever mistaken for one."""

    __slots__ = ()

    def __repr__(self) -> str:
        return CLOSED

    __str__ = __repr__

    @property
    def key_id(self) -> UUID:
        """Under which key it is sealed."""
        return UUID(bytes=bytes(self[KEY_ID]))


class Sealed:
    """A value that shows nothing until it is revealed under an audit entry."""

    __slots__ = ("_blob", "_column", "_plain", "_row")

    def __init__(self, *, row: SealingRow, column: str, blob: Blob | None, plain: Json = None) -> None:
        self._row, self._column, self._blob, self._plain = row, column, blob, plain

    def __repr__(self) -> str:
        return CLOSED

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return CLOSED

    def __bool__(self) -> bool:
        raise TypeError("Whether a sealed value is empty can not be told without revealing it.")

    def __eq__(self, other: object) -> bool:
        raise TypeError("Sealed values are not compared: compare blind indexes, or reveal both.")

    __hash__ = None  # type: ignore[assignment] # not hashable, and object says it is

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        # Before it was saved it holds the plain value, which a pickle would carry out of the process.
        raise TypeError("Sealed values are neither copied nor pickled.")

    @property
    def key_id(self) -> UUID | None:
        """Under which key the value is sealed; None before it was saved."""
        return self._blob.key_id if self._blob is not None else None

    def open(self, entry: Looking, /) -> Json | Shredded:
        """The value, or SHREDDED. Raises NotRecorded, Tampered, KeyUnavailable."""
        row = self._row
        if not entry.covers(clinic_id=row.clinic_id, subject_id=row.sealing_subject):
            raise NotRecorded
        if self._blob is None:
            return self._plain
        try:
            return _opened(row, self._column, self._blob)
        except KeyDestroyed:
            return SHREDDED

    def moved_to(self, row: SealingRow, /) -> "Sealed":
        """The same value on another copy of the same row, as a reload makes one. Raises TypeError for another row."""
        own = self._row
        if (own._meta.concrete_model, own.pk) != (row._meta.concrete_model, row.pk) or row.pk is None:  # noqa: SLF001 - Django's public-by-convention name
            raise TypeError("A sealed value belongs to its row: reveal it and seal it anew.")
        return Sealed(row=row, column=self._column, blob=self._blob, plain=self._plain)

    def reveal(self, entry: Looking, /) -> str:
        """The text. Raises ValueShredded besides what `open` raises."""
        value = self.open(entry)
        if isinstance(value, Shredded):
            raise ValueShredded
        if not isinstance(value, str):
            raise TypeError("This sealed value is no text: use reveal_data.")
        return value

    def reveal_data(self, entry: Looking, /) -> Any:
        """The structured value. Raises ValueShredded besides what `open` raises."""
        value = self.open(entry)
        if isinstance(value, Shredded):
            raise ValueShredded
        return value


class _SealedAttribute:
    """Hands out `Sealed`, takes plain values, which are encrypted when the row is saved."""

    def __init__(self, field: "SealedField") -> None:
        self.field = field

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: SealingRow, owner: type) -> Sealed | None: ...
    def __get__(self, instance: SealingRow | None, owner: type) -> Self | Sealed | None:
        if instance is None:
            return self
        name = self.field.attname
        if name not in instance.__dict__:
            # Left out by only() or defer(): read now, or a value that is there would look as if it were not.
            cast("models.Model", instance).refresh_from_db(fields=[name])
        held = instance.__dict__[name]
        if held is None or isinstance(held, Sealed):
            return held
        return Sealed(row=instance, column=str(self.field.column), blob=held)

    def __set__(self, instance: SealingRow, value: Json | Sealed | Blob) -> None:
        name, column = self.field.attname, str(self.field.column)
        if value is None or isinstance(value, Blob):
            instance.__dict__[name] = value
        elif isinstance(value, Sealed):
            moved = value.moved_to(instance)
            if moved._column != column:  # noqa: SLF001 - the field and its values are one mechanism
                raise TypeError("A sealed value belongs to its column: reveal it and seal it anew.")
            instance.__dict__[name] = moved if moved._blob is None else moved._blob  # noqa: SLF001 - as above
        else:
            instance.__dict__[name] = Sealed(row=instance, column=column, blob=None, plain=value)


if TYPE_CHECKING:
    _Binary = models.BinaryField[Any, Any]
else:
    _Binary = models.BinaryField


class SealedField(_Binary):
    """A column whose JSON value is encrypted when its row is saved. It can not be searched or bulk-updated."""

    description = "A value under the patient's own key"

    def __init__(self, *, scope: Scope = Scope.PROFILE, **options: Any) -> None:
        self.scope = scope
        super().__init__(**options)

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        """For migrations: the scope, where it is not the usual one."""
        name, path, args, options = super().deconstruct()
        if self.scope is not Scope.PROFILE:
            options["scope"] = self.scope
        return name, path, args, options

    def contribute_to_class(self, cls: type[models.Model], name: str, private_only: bool = False) -> None:  # noqa: FBT001, FBT002 - Django's signature
        """Put the attribute that opens nothing by itself on the model."""
        super().contribute_to_class(cls, name, private_only=private_only)
        setattr(cls, self.attname, _SealedAttribute(self))

    def from_db_value(self, value: bytes | memoryview | None, *_context: object) -> Blob | None:
        """Mark what comes from the database as sealed."""
        return None if value is None else Blob(value)

    def get_lookup(self, lookup_name: str) -> "type[models.Lookup[Any]] | None":
        """Refuse to compare: `contains` and its like would send the plain text into a query, and find nothing."""
        if lookup_name not in LOOKUPS:
            raise TypeError(f"{self.name} is sealed: it can not be searched.")
        return super().get_lookup(lookup_name)

    def pre_save(self, model_instance: models.Model, add: bool) -> Blob | None:  # noqa: FBT001 - Django's signature
        """Encrypt a value that was set since the row was loaded."""
        row: Any = model_instance
        held: Blob | Sealed | None = row.__dict__.get(self.attname)
        if isinstance(held, Sealed):
            held = row.__dict__[self.attname] = self.seal(row, held._plain)  # noqa: SLF001 - the field and its values are one mechanism
        elif add and held is not None:
            # A new row with an old ciphertext: fine after a save that was rolled back, but the copy of another row
            # would hold what nobody can ever open.
            _opened(row, str(self.column), held)
        return held

    def seal(self, row: SealingRow, value: Json) -> Blob:
        """Encrypt a value for this column of this row under the key that is current for its patient."""
        subject = row.sealing_subject
        scope = self.scope if subject is not None else Scope.CLINIC
        key = keyring().current(clinic_id=row.clinic_id, scope=scope, subject_id=subject)
        body = encrypt(key.cipher, plain=orjson.dumps(value), bound=_binding(row, str(self.column), key.key_id))
        return Blob(bytes([SUITE_AES_256_GCM]) + key.key_id.bytes + body)

    def get_prep_value(self, value: Any) -> Any:
        """Let nothing but ciphertext into a statement."""
        if value is not None and not isinstance(value, Blob):
            raise TypeError(f"{self.name} is sealed: set it on its row and save that; no query can search or set it.")
        return super().get_prep_value(value)

    def value_to_string(self, obj: models.Model) -> NoReturn:  # noqa: ARG002 - Django's signature
        """Refuse: a fixture or export would carry ciphertext that opens nowhere else."""
        raise TypeError("Sealed values are not serialised.")


def reveal_column(field: SealedField, rows: Sequence[tuple[UUID, UUID, UUID, Blob | None]], entry: Looking) -> Revealed:
    """One sealed column of many rows, by their ids: each row is its id, clinic, patient and value.

    The keys come with one query. Rows without a value, and those whose key was destroyed, are left out. Raises
    NotRecorded, Tampered, KeyUnavailable.
    """
    table, column, ring = field.model._meta.db_table, str(field.column), keyring()  # noqa: SLF001 - Django's public-by-convention name
    ring.prefetch({blob.key_id for _row, _clinic, _subject, blob in rows if blob is not None})
    told: Revealed = {}
    for row_id, clinic_id, subject_id, blob in rows:
        if blob is None:
            continue
        if not entry.covers(clinic_id=clinic_id, subject_id=subject_id):
            raise NotRecorded
        with suppress(KeyDestroyed):
            told[row_id] = _opened_at(_Place(table, column, row_id, clinic_id, subject_id), blob)
    return told


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value stands, and whose it is."""

    table: str
    column: str
    row_id: UUID
    clinic_id: UUID
    subject_id: UUID | None

    def binding(self, key_id: UUID) -> bytes:
        return field_binding(
            table=self.table, column=self.column, row=self.row_id.bytes, clinic_id=self.clinic_id, key_id=key_id
        )


def _place_of(row: SealingRow, column: str) -> _Place:
    table = row._meta.db_table  # noqa: SLF001 - Django's public-by-convention name
    return _Place(table, column, UUID(str(row.pk)), row.clinic_id, row.sealing_subject)


def _opened(row: SealingRow, column: str, blob: Blob) -> Json:
    """Decrypt a value of a row. Raises Tampered, KeyUnavailable, KeyDestroyed."""
    return _opened_at(_place_of(row, column), blob)


def _opened_at(place: _Place, blob: Blob) -> Json:
    """Decrypt a value for its place. Raises Tampered, KeyUnavailable, KeyDestroyed."""
    if len(blob) < SHORTEST or blob[0] != SUITE_AES_256_GCM:
        raise Tampered
    key = keyring().by_id(blob.key_id)
    # Whose it is does not depend on what the row says by now: given to another patient, it would open under the
    # entry of that one.
    if (key.clinic_id, key.subject_id) != (place.clinic_id, place.subject_id):
        raise Tampered
    plain = decrypt(key.cipher, blob=bytes(blob[BODY:]), bound=place.binding(key.key_id))
    opened: Json = orjson.loads(plain)
    return opened


def _binding(row: SealingRow, column: str, key_id: UUID) -> bytes:
    return _place_of(row, column).binding(key_id)
