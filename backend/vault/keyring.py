"""Finds, unwraps and remembers keys: provider, then clinic key, then data key.

The rows that hold wrapped keys belong to `audit`, because each step of a key's life is logged; this module reads them
through the `KeyStore` that `audit` installs at start.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock
from typing import Final, Generic, Protocol, TypeVar
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from backend.vault.ciphers import data_key_binding, decrypt, encrypt, length_prefixed, new_key
from backend.vault.identifiers import new_id
from backend.vault.providers import KeyProvider

SYSTEM: Final = UUID(int=0)
DATA_KEY_SECONDS: Final = 300.0
CLINIC_KEY_SECONDS: Final = 600.0
REMEMBERED_KEYS: Final = 20_000

Key = TypeVar("Key")
Value = TypeVar("Value")


class Scope(StrEnum):
    """What a data key is for. A patient has two, so that erasing the profile and the log can differ (GDPR 17(3))."""

    PROFILE = "profile"
    AUDIT = "audit"
    CLINIC = "clinic"
    BLIND_INDEX = "blind_index"
    WRITER_MAC = "writer_mac"


class KeyUnavailable(Exception):
    """A key is not there and no tombstone says that it was destroyed: something is wrong with the key tables."""


class KeyDestroyed(Exception):
    """The key was destroyed on purpose: what was encrypted under it can not be read by anybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredClinicKey:
    """A clinic key as its row holds it: wrapped by the provider; `wrapped` is None once destroyed."""

    clinic_id: UUID
    epoch: int
    wrapped: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDataKey:
    """A data key as its row holds it: wrapped by a clinic key; `wrapped` is None once destroyed."""

    key_id: UUID
    clinic_id: UUID
    scope: Scope
    subject_id: UUID | None
    epoch: int
    wrapped: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKey:
    """A data key ready for use. Its secret is never shown."""

    key_id: UUID
    clinic_id: UUID
    scope: Scope
    subject_id: UUID | None
    secret: bytes = field(repr=False)
    cipher: AESGCM = field(repr=False)


class KeyStore(Protocol):
    """Where wrapped keys are kept."""

    def clinic_key(self, *, clinic_id: UUID, epoch: int | None) -> StoredClinicKey | None:
        """One clinic key; the newest that lives where `epoch` is None."""
        ...

    def data_keys(self, key_ids: Iterable[UUID]) -> list[StoredDataKey]:
        """Data keys by their ids, destroyed ones included."""
        ...

    def active_keys(self, *, clinic_id: UUID, scope: Scope, subject_ids: Iterable[UUID | None]) -> list[StoredDataKey]:
        """The living data keys of these subjects (None: the clinic's own)."""
        ...


class _Remembered(Generic[Key, Value]):
    """A bounded memory whose items end after some seconds: a destroyed key is forgotten in every process by then."""

    def __init__(self, *, seconds: float, at_most: int) -> None:
        self._seconds, self._at_most = seconds, at_most
        self._items: OrderedDict[Key, tuple[float, Value]] = OrderedDict()
        self._lock = Lock()

    def find(self, key: Key) -> Value | None:
        with self._lock:
            held = self._items.get(key)
            if held is None:
                return None
            since, value = held
            if time.monotonic() - since > self._seconds:
                del self._items[key]
                return None
            return value

    def keep(self, key: Key, value: Value) -> None:
        with self._lock:
            self._items[key] = (time.monotonic(), value)
            while len(self._items) > self._at_most:
                self._items.popitem(last=False)

    def forget(self, key: Key) -> None:
        with self._lock:
            self._items.pop(key, None)

    def forget_where(self, is_meant: Callable[[Value], bool]) -> None:
        with self._lock:
            for key in [key for key, (_since, value) in self._items.items() if is_meant(value)]:
                del self._items[key]

    def clear(self) -> None:
        with self._lock:
            self._items.clear()


_at_hand: ContextVar[dict[tuple[UUID, Scope, UUID | None], DataKey] | None] = ContextVar("keys_at_hand", default=None)


@contextmanager
def keys_at_hand(keys: Iterable[DataKey]) -> Iterator[None]:
    """Inside this block these keys are used without looking them up: new ones, and those fetched for a batch."""
    held = {**(_at_hand.get() or {}), **{(key.clinic_id, key.scope, key.subject_id): key for key in keys}}
    token = _at_hand.set(held)
    try:
        yield
    finally:
        _at_hand.reset(token)


class Keyring:
    """Every key of this installation, found when needed."""

    def __init__(self, *, provider: KeyProvider, store: KeyStore) -> None:
        self.provider, self.store = provider, store
        self._clinic_keys: _Remembered[tuple[UUID, int], AESGCM] = _Remembered(
            seconds=CLINIC_KEY_SECONDS, at_most=REMEMBERED_KEYS
        )
        self._data_keys: _Remembered[UUID, DataKey] = _Remembered(seconds=DATA_KEY_SECONDS, at_most=REMEMBERED_KEYS)
        # A clinic's own keys are needed at every entry and look-up; a patient's are fetched by batch instead.
        self._own: _Remembered[tuple[UUID, Scope], DataKey] = _Remembered(
            seconds=DATA_KEY_SECONDS, at_most=REMEMBERED_KEYS
        )

    def new_clinic_key(self, *, clinic_id: UUID, epoch: int) -> StoredClinicKey:
        """A fresh clinic key, wrapped; the caller stores it."""
        key = new_key()
        self._clinic_keys.keep((clinic_id, epoch), AESGCM(key))
        wrapped = self.provider.wrap(key, context=_clinic_binding(clinic_id, epoch))
        return StoredClinicKey(clinic_id=clinic_id, epoch=epoch, wrapped=wrapped)

    def new_data_key(
        self, *, clinic_id: UUID, scope: Scope, subject_id: UUID | None, epoch: int | None = None
    ) -> tuple[StoredDataKey, DataKey]:
        """A fresh data key under the clinic's newest key: the row to store, and the key to use meanwhile."""
        if epoch is None:
            newest = self.store.clinic_key(clinic_id=clinic_id, epoch=None)
            if newest is None:
                raise KeyUnavailable
            epoch = newest.epoch
        secret, key_id = new_key(), new_id()
        bound = data_key_binding(key_id=key_id, clinic_id=clinic_id, scope=scope, epoch=epoch)
        wrapped = encrypt(self._clinic_key(clinic_id, epoch), plain=secret, bound=bound)
        stored = StoredDataKey(
            key_id=key_id, clinic_id=clinic_id, scope=scope, subject_id=subject_id, epoch=epoch, wrapped=wrapped
        )
        return stored, _ready(stored, secret)

    def current(self, *, clinic_id: UUID, scope: Scope, subject_id: UUID | None = None) -> DataKey:
        """The key to encrypt with now. Raises KeyUnavailable; it never makes a key in place of one that is gone."""
        held = (_at_hand.get() or {}).get((clinic_id, scope, subject_id))
        if held is None and subject_id is None:
            held = self._own.find((clinic_id, scope))
        if held is not None:
            return held
        found = self.store.active_keys(clinic_id=clinic_id, scope=scope, subject_ids=[subject_id])
        if not found:
            raise KeyUnavailable
        key = self._unwrapped(found[0])
        if subject_id is None:
            self._own.keep((clinic_id, scope), key)
        return key

    def is_at_hand(self, *, clinic_id: UUID, scope: Scope, subject_id: UUID) -> bool:
        """Can `current` answer without asking the store?"""
        return (clinic_id, scope, subject_id) in (_at_hand.get() or {})

    def current_of(self, *, clinic_id: UUID, scope: Scope, subject_ids: Iterable[UUID]) -> list[DataKey]:
        """The keys of many subjects with one query; subjects without a living key are left out."""
        found = self.store.active_keys(clinic_id=clinic_id, scope=scope, subject_ids=list(subject_ids))
        return [self._unwrapped(stored) for stored in found]

    def by_id(self, key_id: UUID) -> DataKey:
        """The key that something was encrypted under. Raises KeyDestroyed or KeyUnavailable."""
        held = self._data_keys.find(key_id)
        if held is not None:
            return held
        for key in (_at_hand.get() or {}).values():
            if key.key_id == key_id:
                return key
        found = self.store.data_keys([key_id])
        if not found:
            raise KeyUnavailable
        return self._unwrapped(found[0])

    def prefetch(self, key_ids: Iterable[UUID]) -> None:
        """Fetch the keys of a batch with one query; those destroyed are left for `by_id` to tell."""
        missing = [key_id for key_id in set(key_ids) if self._data_keys.find(key_id) is None]
        if missing:
            for stored in self.store.data_keys(missing):
                if stored.wrapped is not None:
                    self._unwrapped(stored)

    def forget(self, key_ids: Iterable[UUID]) -> None:
        """Drop destroyed keys from this process at once; other processes follow within DATA_KEY_SECONDS."""
        gone = frozenset(key_ids)
        for key_id in gone:
            self._data_keys.forget(key_id)
        self._own.forget_where(lambda key: key.key_id in gone)

    def clear(self) -> None:
        """Forget everything: after a restore, and between tests."""
        self._data_keys.clear()
        self._clinic_keys.clear()
        self._own.clear()

    def _unwrapped(self, stored: StoredDataKey) -> DataKey:
        held = self._data_keys.find(stored.key_id)
        if held is not None:
            return held
        if stored.wrapped is None:
            raise KeyDestroyed
        bound = data_key_binding(
            key_id=stored.key_id, clinic_id=stored.clinic_id, scope=stored.scope, epoch=stored.epoch
        )
        secret = decrypt(self._clinic_key(stored.clinic_id, stored.epoch), blob=stored.wrapped, bound=bound)
        key = _ready(stored, secret)
        self._data_keys.keep(stored.key_id, key)
        return key

    def _clinic_key(self, clinic_id: UUID, epoch: int) -> AESGCM:
        held = self._clinic_keys.find((clinic_id, epoch))
        if held is not None:
            return held
        stored = self.store.clinic_key(clinic_id=clinic_id, epoch=epoch)
        if stored is None:
            raise KeyUnavailable
        if stored.wrapped is None:
            raise KeyDestroyed
        cipher = AESGCM(self.provider.unwrap(stored.wrapped, context=_clinic_binding(clinic_id, epoch)))
        self._clinic_keys.keep((clinic_id, epoch), cipher)
        return cipher


def _ready(stored: StoredDataKey, secret: bytes) -> DataKey:
    return DataKey(
        key_id=stored.key_id,
        clinic_id=stored.clinic_id,
        scope=stored.scope,
        subject_id=stored.subject_id,
        secret=secret,
        cipher=AESGCM(secret),
    )


def _clinic_binding(clinic_id: UUID, epoch: int) -> bytes:
    return length_prefixed(b"kek-v1", clinic_id.bytes, epoch.to_bytes(4, "big"))


_installed: Keyring | None = None


def install(ring: Keyring) -> None:
    """Make this the keyring of the process."""
    global _installed  # noqa: PLW0603 - one keyring per process, installed once by the composition root
    _installed = ring


def keyring() -> Keyring:
    """The keyring of the process."""
    if _installed is None:
        raise KeyUnavailable
    return _installed
