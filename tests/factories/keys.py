"""A topmost key that a test may destroy."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.vault.keyring import Keyring, install, keyring
from backend.vault.providers import FileKeyProvider


@contextmanager
def key_file_of_its_own() -> Iterator[FileKeyProvider]:
    """Inside this block the keyring uses a copy of the key file: what becomes of it costs this test alone."""
    before = keyring()
    assert isinstance(before.provider, FileKeyProvider)
    with tempfile.TemporaryDirectory(prefix="accord-keys-") as folder:
        copy = FileKeyProvider(Path(folder) / "root.key")
        shutil.copy(before.provider.path, copy.path)
        install(Keyring(provider=copy, store=before.store))
        try:
            yield copy
        finally:
            install(before)
            before.clear()
