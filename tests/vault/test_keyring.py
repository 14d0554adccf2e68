"""How keys are found: missing, destroyed and moved ones are three different things."""

from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

import pytest

from backend.vault.ciphers import Tampered, decrypt, encrypt, new_key
from backend.vault.identifiers import new_id
from backend.vault.keyring import (
    DataKey,
    KeyDestroyed,
    Keyring,
    KeyUnavailable,
    Scope,
    StoredClinicKey,
    StoredDataKey,
    keys_at_hand,
)
from backend.vault.providers import FileKeyProvider

CLINIC, PATIENT = new_id(), new_id()


class Shelf:
    """Keeps wrapped keys in memory, and counts how often it is asked."""

    def __init__(self) -> None:
        self.clinic_keys: dict[tuple[UUID, int], StoredClinicKey] = {}
        self.keys: dict[UUID, StoredDataKey] = {}
        self.asked = 0

    def clinic_key(self, *, clinic_id: UUID, epoch: int | None) -> StoredClinicKey | None:
        self.asked += 1
        found = [key for key in self.clinic_keys.values() if key.clinic_id == clinic_id and epoch in {None, key.epoch}]
        return max(found, key=lambda key: key.epoch, default=None)

    def data_keys(self, key_ids: Iterable[UUID]) -> list[StoredDataKey]:
        self.asked += 1
        return [self.keys[key_id] for key_id in key_ids if key_id in self.keys]

    def active_keys(self, *, clinic_id: UUID, scope: Scope, subject_ids: Iterable[UUID | None]) -> list[StoredDataKey]:
        self.asked += 1
        wanted = set(subject_ids)
        return [
            key
            for key in self.keys.values()
            if (key.clinic_id, key.scope) == (clinic_id, scope) and key.subject_id in wanted and key.wrapped
        ]

    def destroy(self, key_id: UUID) -> None:
        self.keys[key_id] = replace(self.keys[key_id], wrapped=None, subject_id=None)


@pytest.fixture
def shelf() -> Shelf:
    """Where the keys are kept."""
    return Shelf()


@pytest.fixture
def provider(tmp_path) -> FileKeyProvider:
    """The topmost key."""
    made = FileKeyProvider(tmp_path / "root.key")
    made.create()
    return made


@pytest.fixture
def ring(shelf, provider) -> Keyring:
    """A keyring with one clinic."""
    made = Keyring(provider=provider, store=shelf)
    stored = made.new_clinic_key(clinic_id=CLINIC, epoch=1)
    shelf.clinic_keys[CLINIC, 1] = stored
    return made


@pytest.fixture
def key(ring, shelf) -> DataKey:
    """The patient's key, stored."""
    return issue(ring, shelf, subject_id=PATIENT)


def issue(ring: Keyring, shelf: Shelf, *, subject_id: UUID | None, scope: Scope = Scope.PROFILE) -> DataKey:
    stored, ready = ring.new_data_key(clinic_id=CLINIC, scope=scope, subject_id=subject_id)
    shelf.keys[stored.key_id] = stored
    return ready


def test_a_key_is_found_again_by_another_process(key, shelf, provider):
    other = Keyring(provider=provider, store=shelf)

    assert other.current(clinic_id=CLINIC, scope=Scope.PROFILE, subject_id=PATIENT).secret == key.secret
    assert other.by_id(key.key_id).secret == key.secret


def test_a_key_that_never_was_is_unavailable(ring):
    with pytest.raises(KeyUnavailable):
        ring.by_id(new_id())
    with pytest.raises(KeyUnavailable):
        ring.current(clinic_id=CLINIC, scope=Scope.PROFILE, subject_id=new_id())
    with pytest.raises(KeyUnavailable):
        ring.new_data_key(clinic_id=new_id(), scope=Scope.PROFILE, subject_id=None)


def test_a_key_that_was_destroyed_is_told_apart_and_never_made_anew(ring, shelf, key):
    ring.clear()
    shelf.destroy(key.key_id)

    with pytest.raises(KeyDestroyed):
        ring.by_id(key.key_id)
    with pytest.raises(KeyUnavailable):
        ring.current(clinic_id=CLINIC, scope=Scope.PROFILE, subject_id=PATIENT)
    assert ring.current_of(clinic_id=CLINIC, scope=Scope.PROFILE, subject_ids=[PATIENT]) == []
    assert len(shelf.keys) == 1


def test_a_destroyed_clinic_key_takes_every_key_under_it_along(ring, shelf, key):
    ring.clear()
    shelf.clinic_keys[CLINIC, 1] = replace(shelf.clinic_keys[CLINIC, 1], wrapped=None)

    with pytest.raises(KeyDestroyed):
        ring.by_id(key.key_id)


def test_a_missing_clinic_key_is_unavailable(ring, shelf, key):
    ring.clear()
    shelf.clinic_keys.clear()

    with pytest.raises(KeyUnavailable):
        ring.by_id(key.key_id)


def test_forgotten_keys_are_looked_up_again(ring, shelf, key):
    own = issue(ring, shelf, subject_id=None, scope=Scope.CLINIC)
    ring.by_id(key.key_id)
    ring.current(clinic_id=CLINIC, scope=Scope.CLINIC)
    shelf.destroy(key.key_id)
    shelf.destroy(own.key_id)

    ring.forget([key.key_id, own.key_id])

    with pytest.raises(KeyDestroyed):
        ring.by_id(key.key_id)
    with pytest.raises(KeyUnavailable):
        ring.current(clinic_id=CLINIC, scope=Scope.CLINIC)


def test_a_patients_key_is_remembered_for_a_while_and_never_answered_as_current(ring, shelf, key):
    assert ring.remembered(clinic_id=CLINIC, scope=Scope.PROFILE, subject_id=PATIENT) is None
    ring.current_of(clinic_id=CLINIC, scope=Scope.PROFILE, subject_ids=[PATIENT])
    assert ring.remembered(clinic_id=CLINIC, scope=Scope.PROFILE, subject_id=PATIENT).key_id == key.key_id
    assert ring.remembered(clinic_id=CLINIC, scope=Scope.AUDIT, subject_id=PATIENT) is None

    shelf.destroy(key.key_id)
    with pytest.raises(KeyUnavailable):
        ring.current(clinic_id=CLINIC, scope=Scope.PROFILE, subject_id=PATIENT)
    ring.forget([key.key_id])
    assert ring.remembered(clinic_id=CLINIC, scope=Scope.PROFILE, subject_id=PATIENT) is None


MOVED = {
    "another key's place": {"key_id": UUID(int=7)},
    "another clinic": {"clinic_id": UUID(int=7)},
    "another scope": {"scope": Scope.AUDIT},
    "another epoch": {"epoch": 2},
}


@pytest.mark.parametrize("change", MOVED.values(), ids=MOVED.keys())
def test_a_wrapped_key_that_was_moved_is_refused(ring, shelf, key, change):
    moved = replace(shelf.keys[key.key_id], **change)
    # The clinic key of the other place, as if somebody had copied that row as well.
    shelf.clinic_keys[moved.clinic_id, moved.epoch] = replace(
        shelf.clinic_keys[CLINIC, 1], clinic_id=moved.clinic_id, epoch=moved.epoch
    )
    shelf.keys = {moved.key_id: moved}
    ring.clear()

    with pytest.raises(Tampered):
        ring.by_id(moved.key_id)


def test_a_wrapped_key_with_a_flipped_byte_is_refused(ring, shelf, key):
    stored = shelf.keys[key.key_id]
    wrapped = stored.wrapped
    assert wrapped is not None
    for place in range(len(wrapped)):
        changed = wrapped[:place] + bytes([wrapped[place] ^ 1]) + wrapped[place + 1 :]
        shelf.keys[key.key_id] = replace(stored, wrapped=changed)
        ring.clear()
        with pytest.raises(Tampered):
            ring.by_id(key.key_id)


def test_keys_at_hand_are_not_looked_up(ring, shelf):
    _stored, fresh = ring.new_data_key(clinic_id=CLINIC, scope=Scope.PROFILE, subject_id=PATIENT)
    before = shelf.asked

    with keys_at_hand([fresh]):
        assert ring.at_hand(clinic_id=CLINIC, scope=Scope.PROFILE, subject_id=PATIENT) is fresh
        assert ring.current(clinic_id=CLINIC, scope=Scope.PROFILE, subject_id=PATIENT) is fresh
        assert ring.by_id(fresh.key_id) is fresh
    assert shelf.asked == before
    assert ring.at_hand(clinic_id=CLINIC, scope=Scope.PROFILE, subject_id=PATIENT) is None
    with pytest.raises(KeyUnavailable):
        ring.by_id(fresh.key_id)


def test_many_keys_are_fetched_at_once(ring, shelf):
    keys = [issue(ring, shelf, subject_id=new_id()) for _ in range(50)]
    ring.clear()
    ring.by_id(keys[0].key_id)
    before = shelf.asked

    ring.prefetch([key.key_id for key in keys])
    assert [ring.by_id(key.key_id).secret for key in keys] == [key.secret for key in keys]

    assert shelf.asked == before + 1


def test_destroyed_keys_do_not_stop_the_others_of_a_batch(ring, shelf):
    gone, there = issue(ring, shelf, subject_id=new_id()), issue(ring, shelf, subject_id=new_id())
    ring.clear()
    shelf.destroy(gone.key_id)

    ring.prefetch([gone.key_id, there.key_id])

    assert ring.by_id(there.key_id).secret == there.secret
    with pytest.raises(KeyDestroyed):
        ring.by_id(gone.key_id)


def test_a_secret_is_never_shown(key):
    shown = f"{key!r} {key} {key.cipher!r}"

    assert key.secret.hex() not in shown
    assert repr(key.secret) not in shown
    assert "secret" not in shown


def test_two_patients_have_different_keys(ring, shelf):
    one, two = issue(ring, shelf, subject_id=new_id()), issue(ring, shelf, subject_id=new_id())

    with pytest.raises(Tampered):
        decrypt(two.cipher, blob=encrypt(one.cipher, plain=b"x", bound=b""), bound=b"")
    assert new_key() != one.secret != two.secret
