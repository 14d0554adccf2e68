"""Epochs of the key file: one file each, what was wrapped tells which, and a destroyed one opens nothing."""

import os
import stat
from pathlib import Path

import pytest

from backend.vault.ciphers import KEY_BYTES, Tampered, encrypt, new_key
from backend.vault.providers import EpochDestroyed, FileKeyProvider, KeysUnavailable


@pytest.fixture
def provider(tmp_path: Path) -> FileKeyProvider:
    """A provider with its first file."""
    made = FileKeyProvider(tmp_path / "keys" / "root.key")
    made.create()
    return made


def names(provider: FileKeyProvider) -> list[str]:
    return sorted(path.name for path in provider.path.parent.iterdir())


def test_what_the_first_version_of_accord_wrapped_still_opens(provider):
    """It was nonce, ciphertext and tag under the first file's key, without an epoch."""
    key = new_key()
    old = encrypt(provider._cipher(1), plain=key, bound=b"context")  # noqa: SLF001 - as it was written

    assert provider.epoch_of(old) == 1
    assert provider.unwrap(old, context=b"context") == key
    with pytest.raises(Tampered):
        provider.unwrap(old, context=b"another")


def test_a_new_epoch_is_a_file_beside_the_first(provider):
    first = provider.path.read_bytes()
    key = new_key()
    old = provider.wrap(key, context=b"x")

    assert provider.begin_epoch() == 2
    new = FileKeyProvider(provider.path).wrap(key, context=b"x")

    assert names(provider) == ["root.key", "root.key.2"]
    assert provider.path.read_bytes() == first != provider.file_of(2).read_bytes()
    assert stat.S_IMODE(provider.file_of(2).stat().st_mode) == 0o400
    assert provider.file_of(2).stat().st_size == KEY_BYTES
    assert [provider.epoch_of(old), provider.epoch_of(new)] == [1, 2]
    assert provider.unwrap(old, context=b"x") == provider.unwrap(new, context=b"x") == key


def test_an_epoch_can_not_be_passed_off_as_another(provider):
    provider.begin_epoch()
    wrapped = provider.wrap(new_key(), context=b"x")

    with pytest.raises(Tampered):
        provider.unwrap((1).to_bytes(4, "big") + wrapped[4:], context=b"x")


def test_a_destroyed_epoch_opens_nothing_any_more(provider):
    old = provider.wrap(new_key(), context=b"x")
    provider.begin_epoch()
    new = provider.wrap(new_key(), context=b"x")
    held_open = provider.path.open("rb")
    before = held_open.read()

    provider.destroy(1)
    provider.destroy(1)

    assert names(provider) == ["root.key.2"]
    held_open.seek(0)
    assert held_open.read() != before, "what was in the file was overwritten, for whoever has it open"
    held_open.close()
    assert provider.exists()
    assert not provider.create()
    assert provider.unwrap(new, context=b"x")
    with pytest.raises(EpochDestroyed, match="destroyed when the keys were rotated"):
        provider.unwrap(old, context=b"x")


def test_destroying_an_epoch_destroys_those_before_it(provider):
    provider.begin_epoch()
    provider.begin_epoch()

    provider.destroy(2)

    assert names(provider) == ["root.key.3"]
    assert provider.epochs() == [3]
    assert provider.begin_epoch() == 4


@pytest.mark.parametrize("epoch", [1, 2, 7])
def test_the_newest_file_is_never_destroyed(provider, epoch):
    with pytest.raises(KeysUnavailable, match="never destroyed"):
        provider.destroy(epoch)
    assert names(provider) == ["root.key"]


def test_other_files_in_the_folder_are_no_epochs(provider):
    for name in ("root.key.1", "root.key.02", "root.key.bak", "root.key.2~", "root.key.2.old", "other.key.2"):
        (provider.path.parent / name).write_bytes(new_key())

    assert provider.epochs() == [1]


@pytest.mark.parametrize("name", ["root.key.20261101", "root.key.261101", "root.key.20261"])
def test_a_dated_copy_is_no_epoch(provider, name):
    """Taken for one, a rotation would be told as done, and whoever had the old key would open everything still."""
    (provider.path.parent / name).write_bytes(provider.path.read_bytes())

    assert provider.epochs() == [1]
    assert provider.begin_epoch() == 2


@pytest.mark.parametrize("epoch", [3, 2026])
def test_a_gap_between_epochs_is_refused(provider, epoch):
    provider.file_of(epoch).write_bytes(new_key())

    for step in (provider.epochs, provider.begin_epoch, lambda: provider.wrap(new_key(), context=b"x")):
        with pytest.raises(
            KeysUnavailable, match=rf"lies root\.key\.{epoch}, but the next one can only be root\.key\.2"
        ):
            step()
    assert names(provider) == ["root.key", f"root.key.{epoch}"]


def test_what_was_wrapped_opens_in_spite_of_a_gap(provider):
    key = new_key()
    wrapped = provider.wrap(key, context=b"x")
    provider.file_of(3).write_bytes(new_key())

    assert provider.unwrap(wrapped, context=b"x") == key


def test_a_copy_under_the_name_of_the_next_epoch_is_no_new_key(provider):
    provider.file_of(2).write_bytes(provider.path.read_bytes())
    provider.file_of(2).chmod(0o400)

    with pytest.raises(KeysUnavailable, match=r"root\.key\.2 holds the same key as root\.key:"):
        provider.epochs()
    with pytest.raises(KeysUnavailable, match="no new key"):
        provider.destroy(1)
    assert names(provider) == ["root.key", "root.key.2"]


def test_a_lost_file_is_not_taken_for_a_destroyed_one(provider):
    """On a machine that the newest file has not reached yet."""
    provider.begin_epoch()
    wrapped = provider.wrap(new_key(), context=b"x")
    provider.file_of(2).unlink()

    with pytest.raises(KeysUnavailable, match=r"root\.key\.2 can not be read") as told:
        provider.unwrap(wrapped, context=b"x")
    assert not isinstance(told.value, EpochDestroyed)


def test_a_file_that_others_can_read_is_refused_whatever_its_epoch(provider):
    provider.begin_epoch()
    provider.file_of(2).chmod(0o440)

    with pytest.raises(KeysUnavailable, match=r"root\.key\.2 can be read by others"):
        provider.wrap(new_key(), context=b"x")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root; see the test with a mount below")
def test_a_folder_that_can_not_be_written_to_is_told(provider):
    provider.path.parent.chmod(0o500)

    with pytest.raises(KeysUnavailable, match="can not be written to"):
        provider.begin_epoch()


def test_a_folder_that_is_read_only_for_everybody_is_told():
    """/proc stands for a mounted secret: not even root makes a file there."""
    provider = FileKeyProvider(Path("/proc/self/limits"))

    with pytest.raises(KeysUnavailable, match=r"limits\.2 can not be made"):
        provider.begin_epoch()


def test_what_vault_wrapped_is_not_a_files(provider):
    with pytest.raises(KeysUnavailable, match="ACCORD_KEY_PROVIDER is file"):
        provider.unwrap(b"vault:v1:" + b"A" * 55, context=b"x")


def test_a_key_file_that_is_gone_is_never_made_anew(tmp_path):
    provider = FileKeyProvider(tmp_path / "root.key")

    with pytest.raises(KeysUnavailable, match="is gone"):
        provider.prepare(has_keys=True)
    assert not provider.exists()
    provider.prepare(has_keys=False)
    assert provider.exists()
