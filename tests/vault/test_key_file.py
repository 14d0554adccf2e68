"""The key file: made once, never overwritten, refused where others can read it."""

import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from backend.vault.ciphers import KEY_BYTES, Tampered, new_key
from backend.vault.providers import FileKeyProvider, KeysUnavailable

ROOT = Path(__file__).parents[2]


@pytest.fixture
def provider(tmp_path: Path) -> FileKeyProvider:
    """A provider whose file is not there yet."""
    return FileKeyProvider(tmp_path / "keys" / "root.key")


def test_the_file_is_made_for_its_owner_to_read(provider):
    assert not provider.exists()

    assert provider.create()

    assert provider.exists()
    assert stat.S_IMODE(provider.path.stat().st_mode) == 0o400
    assert stat.S_IMODE(provider.path.parent.stat().st_mode) == 0o700
    assert len(provider.path.read_bytes()) == KEY_BYTES
    assert [path.name for path in provider.path.parent.iterdir()] == ["root.key"]


def test_the_file_is_never_overwritten(provider):
    provider.create()
    before = provider.path.read_bytes()

    assert not provider.create()
    assert not FileKeyProvider(provider.path).create()

    assert provider.path.read_bytes() == before
    assert [path.name for path in provider.path.parent.iterdir()] == ["root.key"]


def test_every_file_holds_another_key(tmp_path):
    first, second = FileKeyProvider(tmp_path / "one"), FileKeyProvider(tmp_path / "two")
    first.create()
    second.create()

    assert first.path.read_bytes() != second.path.read_bytes()


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o644, 0o600 | stat.S_IWGRP, 0o600 | stat.S_IXOTH, 0o777])
def test_a_file_that_others_can_reach_is_refused(provider, mode):
    provider.create()
    provider.path.chmod(mode)

    with pytest.raises(KeysUnavailable, match="others than its owner"):
        provider.wrap(new_key(), context=b"")


@pytest.mark.parametrize("mode", [0o400, 0o600])
def test_a_file_that_only_its_owner_can_reach_is_taken(provider, mode):
    provider.create()
    provider.path.chmod(mode)

    assert provider.wrap(new_key(), context=b"")


@pytest.mark.parametrize("content", [b"", b"short", bytes(31), bytes(33), bytes(64)])
def test_a_file_of_another_size_is_refused(provider, content):
    provider.path.parent.mkdir()
    provider.path.write_bytes(content)
    provider.path.chmod(0o400)

    with pytest.raises(KeysUnavailable, match="32 bytes"):
        provider.unwrap(b"", context=b"")


def test_a_file_that_is_not_there_is_named(provider):
    with pytest.raises(KeysUnavailable, match=r"root\.key can not be read"):
        provider.wrap(new_key(), context=b"")


def test_a_folder_in_its_place_is_refused(provider):
    provider.path.mkdir(parents=True)

    with pytest.raises(KeysUnavailable):
        provider.wrap(new_key(), context=b"")
    assert not provider.create()


def test_what_was_wrapped_is_unwrapped_in_its_context_only(provider):
    provider.create()
    key = new_key()
    wrapped = provider.wrap(key, context=b"clinic one")

    assert provider.unwrap(wrapped, context=b"clinic one") == key
    assert FileKeyProvider(provider.path).unwrap(wrapped, context=b"clinic one") == key
    with pytest.raises(Tampered):
        provider.unwrap(wrapped, context=b"clinic two")


def test_another_file_unwraps_nothing(provider, tmp_path):
    provider.create()
    other = FileKeyProvider(tmp_path / "other.key")
    other.create()

    with pytest.raises(Tampered):
        other.unwrap(provider.wrap(new_key(), context=b""), context=b"")


def test_threads_that_start_at_once_end_with_one_key(provider):
    together = threading.Barrier(8)
    made: list[bool] = []

    def start() -> None:
        together.wait()
        made.append(FileKeyProvider(provider.path).create())

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(made) == [False] * 7 + [True]


def test_processes_that_start_at_once_end_with_one_key(provider):
    script = (
        "import sys; from pathlib import Path; from backend.vault.providers import FileKeyProvider; "
        "provider = FileKeyProvider(Path(sys.argv[1])); sys.stdin.readline(); "
        "made = provider.create(); print(made, provider.path.read_bytes().hex())"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(provider.path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0].split() for process in processes]

    assert sorted(made for made, _key in said) == ["False", "False", "False", "True"]
    assert len({key for _made, key in said}) == 1
    assert [path.name for path in provider.path.parent.iterdir()] == ["root.key"]
