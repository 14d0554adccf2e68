"""Model fields whose values are encrypted under the patient's own key, and stay closed until somebody is recorded
as looking.

A stored value is `suite (1 byte) | key id (16) | nonce (12) | ciphertext and tag`; table, column, row and clinic are
authenticated, so a value that is moved elsewhere can not be opened there.
"""

from typing import TYPE_CHECKING, Any, Final, Protocol, Self, overload
from uuid import UUID

import orjson
from django.db import models

from backend.vault.ciphers import SUITE_AES_256_GCM, Tampered, decrypt, encrypt, field_binding
from backend.vault.keyring import KeyDestroyed, Scope, keyring

CLOSED: Final = "•••"
KEY_ID: Final = slice(1, 17)
BODY: Final = 17

Json = str | int | bool | list["Json"] | dict[str, "Json"] | None


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
        if self._blob[0] != SUITE_AES_256_GCM:
            raise Tampered
        try:
            key = keyring().by_id(self._blob.key_id)
        except KeyDestroyed:
            return SHREDDED
        bound = _binding(row, self._column, key.key_id)
        opened: Json = orjson.loads(decrypt(key.cipher, blob=bytes(self._blob[BODY:]), bound=bound))
        return opened

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
        held = instance.__dict__.get(self.field.attname)
        if held is None or isinstance(held, Sealed):
            return held
        return Sealed(row=instance, column=str(self.field.column), blob=held)

    def __set__(self, instance: SealingRow, value: Json | Sealed | Blob) -> None:
        if value is None or isinstance(value, Blob):
            instance.__dict__[self.field.attname] = value
        elif isinstance(value, Sealed):
            raise TypeError("A sealed value belongs to its row: reveal it and seal it anew.")
        else:
            sealed = Sealed(row=instance, column=str(self.field.column), blob=None, plain=value)
            instance.__dict__[self.field.attname] = sealed


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

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, path, args, options = super().deconstruct()
        if self.scope is not Scope.PROFILE:
            options["scope"] = self.scope
        return name, path, args, options

    def contribute_to_class(self, cls: type[models.Model], name: str, private_only: bool = False) -> None:  # noqa: FBT001, FBT002 - Django's signature
        super().contribute_to_class(cls, name, private_only=private_only)
        setattr(cls, self.attname, _SealedAttribute(self))

    def from_db_value(self, value: bytes | memoryview | None, *_context: object) -> Blob | None:
        return None if value is None else Blob(value)

    def pre_save(self, model_instance: models.Model, add: bool) -> Blob | None:  # noqa: ARG002, FBT001 - Django's signature
        row: Any = model_instance
        held = row.__dict__.get(self.attname)
        if isinstance(held, Sealed):
            held = self.seal(row, held._plain)  # noqa: SLF001 - the field and its values are one mechanism
            row.__dict__[self.attname] = held
        return held

    def seal(self, row: SealingRow, value: Json) -> Blob:
        """Encrypt a value for this column of this row under the key that is current for its patient."""
        subject = row.sealing_subject
        scope = self.scope if subject is not None else Scope.CLINIC
        key = keyring().current(clinic_id=row.clinic_id, scope=scope, subject_id=subject)
        body = encrypt(key.cipher, plain=orjson.dumps(value), bound=_binding(row, str(self.column), key.key_id))
        return Blob(bytes([SUITE_AES_256_GCM]) + key.key_id.bytes + body)

    def get_prep_value(self, value: Any) -> Any:
        if value is not None and not isinstance(value, Blob):
            raise TypeError(f"{self.name} is sealed: set it on its row and save that; it can not be searched or updated.")
        return super().get_prep_value(value)

    def value_to_string(self, obj: models.Model) -> str:
        raise TypeError("Sealed values are not serialised.")


def _binding(row: SealingRow, column: str, key_id: UUID) -> bytes:
    return field_binding(
        table=row._meta.db_table,  # noqa: SLF001 - Django's public-by-convention name
        column=column,
        row=UUID(str(row.pk)).bytes,
        clinic_id=row.clinic_id,
        key_id=key_id,
    )
