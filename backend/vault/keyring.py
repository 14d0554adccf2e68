"""Finds, unwraps and remembers keys: provider, then clinic key, then data key.

The rows that hold wrapped keys belong to `audit`, because each step of a key's life is logged; this module reads them
through the `KeyStore` that `audit` installs at start.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from enum import StrEnum
from threading import Lock
from typing import Final, Generic, Protocol, TypeVar
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from backend.vault.ciphers import data_key_binding, decrypt, encrypt, length_prefixed, new_key
from backend.vault.identifiers import new_id
from backend.vault.providers import EpochDestroyed, KeyProvider

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
    SIGNING = "signing"
    RECEIPTS = "receipts"


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
    # Known only of one that was just made, so that it can be wrapped again should a rotation overtake it.
    secret: bytes | None = field(default=None, repr=False, compare=False)


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
        # A clinic's own keys are needed at every entry and look-up.
        self._own: _Remembered[tuple[UUID, Scope], DataKey] = _Remembered(
            seconds=DATA_KEY_SECONDS, at_most=REMEMBERED_KEYS
        )
        # A patient's key as it was last seen: `current` never answers from here, see `remembered`.
        self._last_seen: _Remembered[tuple[UUID, Scope, UUID], DataKey] = _Remembered(
            seconds=DATA_KEY_SECONDS, at_most=REMEMBERED_KEYS
        )

    def new_clinic_key(self, *, clinic_id: UUID, epoch: int) -> StoredClinicKey:
        """A fresh clinic key, wrapped; the caller stores it."""
        key = new_key()
        self._clinic_keys.keep((clinic_id, epoch), AESGCM(key))
        wrapped = self.provider.wrap(key, context=_clinic_binding(clinic_id, epoch))
        return StoredClinicKey(clinic_id=clinic_id, epoch=epoch, wrapped=wrapped, secret=key)

    def wrap_clinic_key_again(self, fresh: StoredClinicKey) -> StoredClinicKey:
        """A clinic key that was just made, wrapped under the provider's newest epoch."""
        if fresh.secret is None:
            raise KeyUnavailable
        binding = _clinic_binding(fresh.clinic_id, fresh.epoch)
        return replace(fresh, wrapped=self.provider.wrap(fresh.secret, context=binding))

    def newest_epoch(self, clinic_id: UUID) -> int:
        """The epoch of a clinic's newest key, which opens. Raises KeyUnavailable."""
        tried = 0
        while True:
            newest = self.store.clinic_key(clinic_id=clinic_id, epoch=None)
            if newest is None:
                raise KeyUnavailable
            try:
                self._clinic_key(clinic_id, newest.epoch)
            except (KeyDestroyed, EpochDestroyed):
                # A rotation took its place between the two looks.
                if newest.epoch == tried:
                    raise
                tried = newest.epoch
            else:
                return newest.epoch

    def rewrap(self, stored: StoredDataKey, *, epoch: int, secret: bytes | None = None) -> StoredDataKey:
        """The same data key, wrapped under the clinic key of another epoch; opened from its row unless it is given."""
        opened = self._secret_of(stored) if secret is None else secret
        return replace(stored, epoch=epoch, wrapped=self._wrapped(replace(stored, epoch=epoch), opened))

    def new_data_key(
        self, *, clinic_id: UUID, scope: Scope, subject_id: UUID | None, epoch: int | None = None
    ) -> tuple[StoredDataKey, DataKey]:
        """A fresh data key under the clinic's newest key: the row to store, and the key to use meanwhile."""
        epoch = self.newest_epoch(clinic_id) if epoch is None else epoch
        secret = new_key()
        bare = StoredDataKey(
            key_id=new_id(), clinic_id=clinic_id, scope=scope, subject_id=subject_id, epoch=epoch, wrapped=None
        )
        stored = replace(bare, wrapped=self._wrapped(bare, secret))
        return stored, _ready(stored, secret)

    def current(self, *, clinic_id: UUID, scope: Scope, subject_id: UUID | None = None) -> DataKey:
        """The key to encrypt with now. Raises KeyUnavailable; it never makes a key in place of one that is gone."""
        given = _at_hand.get()
        held = given.get((clinic_id, scope, subject_id)) if given else None
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

    def at_hand(self, *, clinic_id: UUID, scope: Scope, subject_id: UUID) -> DataKey | None:
        """The key that `keys_at_hand` says is to be used, where it says so."""
        held = _at_hand.get()
        return held.get((clinic_id, scope, subject_id)) if held else None

    def remembered(self, *, clinic_id: UUID, scope: Scope, subject_id: UUID) -> DataKey | None:
        """A patient's key as this process last saw it living. Another process may have destroyed it since then.

        So nothing may be written under it unless the database says, in the statement that writes, that it still lives.
        """
        return self._last_seen.find((clinic_id, scope, subject_id))

    def current_of(self, *, clinic_id: UUID, scope: Scope, subject_ids: Iterable[UUID]) -> list[DataKey]:
        """The keys of many subjects with one query; subjects without a living key are left out."""
        found = self.store.active_keys(clinic_id=clinic_id, scope=scope, subject_ids=list(subject_ids))
        keys = [self._unwrapped(stored) for stored in found]
        for key in keys:
            if key.subject_id is not None:
                self._last_seen.keep((clinic_id, scope, key.subject_id), key)
        return keys

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
        self._last_seen.forget_where(lambda key: key.key_id in gone)

    def clear(self) -> None:
        """Forget everything: after a restore, and between tests."""
        self._data_keys.clear()
        self._clinic_keys.clear()
        self._own.clear()
        self._last_seen.clear()

    def _unwrapped(self, stored: StoredDataKey) -> DataKey:
        held = self._data_keys.find(stored.key_id)
        if held is not None:
            return held
        try:
            key = _ready(stored, self._secret_of(stored))
        except (KeyDestroyed, EpochDestroyed):
            # A rotation may have come between the two looks: then its row is wrapped under a newer clinic key now.
            again = self.store.data_keys([stored.key_id])
            if not again or again[0].epoch == stored.epoch:
                raise
            return self._unwrapped(again[0])
        self._data_keys.keep(stored.key_id, key)
        return key

    def _secret_of(self, stored: StoredDataKey) -> bytes:
        if stored.wrapped is None:
            raise KeyDestroyed
        return decrypt(self._clinic_key(stored.clinic_id, stored.epoch), blob=stored.wrapped, bound=_binding(stored))

    def _wrapped(self, stored: StoredDataKey, secret: bytes) -> bytes:
        return encrypt(self._clinic_key(stored.clinic_id, stored.epoch), plain=secret, bound=_binding(stored))

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


def _binding(stored: StoredDataKey) -> bytes:
    return data_key_binding(key_id=stored.key_id, clinic_id=stored.clinic_id, scope=stored.scope, epoch=stored.epoch)


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
