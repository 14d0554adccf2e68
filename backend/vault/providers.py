"""Where the topmost key lives. A provider wraps and unwraps clinic keys; it is never asked once per record."""

import os
import secrets
import stat
from pathlib import Path
from typing import Final, Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from backend.vault.ciphers import KEY_BYTES, decrypt, encrypt, new_key

OPEN_TO_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class KeysUnavailable(Exception):
    """The topmost key can not be used: the sentence says which file or service, and why."""


class KeyProvider(Protocol):
    """Wraps clinic keys under a key that never enters the database. `context` is authenticated."""

    name: str

    def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """The key, encrypted."""
        ...

    def unwrap(self, blob: bytes, *, context: bytes) -> bytes:
        """The key again; raises Tampered for another context, KeysUnavailable where the provider can not answer."""
        ...


class FileKeyProvider:
    """Keeps the topmost key in one file: 32 bytes, mode 0400, made at first start."""

    name = "file"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._cipher: AESGCM | None = None

    def create(self) -> bool:
        """Make the key file; False where there is one already, which is left as it is: a key is never overwritten."""
        folder = self.path.parent
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The name is random, not the process's number: in two containers that share a folder both may be number one.
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(new_key())
                file.flush()
                os.fsync(file.fileno())
            # A link, not a rename: of two processes that start at once, one wins and the other reads what it made.
            os.link(draft, self.path)
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        _write_through(folder)
        return True

    def exists(self) -> bool:
        """Is there a key file?"""
        return self.path.exists()

    def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """The key, encrypted under the file's key."""
        return encrypt(self._opened(), plain=key, bound=context)

    def unwrap(self, blob: bytes, *, context: bytes) -> bytes:
        """The key again; raises Tampered for another context or another file."""
        return decrypt(self._opened(), blob=blob, bound=context)

    def _opened(self) -> AESGCM:
        if self._cipher is None:
            self._cipher = AESGCM(self._read())
        return self._cipher

    def _read(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                key = file.read(KEY_BYTES + 1)
        except OSError as error:
            raise KeysUnavailable(f"The key file {self.path.name} can not be read ({error.strerror}).") from error
        if mode & OPEN_TO_OTHERS:
            raise KeysUnavailable(
                f"The key file {self.path.name} can be read by others than its owner (mode {stat.S_IMODE(mode):04o}): "
                "make it 0400 and change the key if somebody may have read it."
            )
        if len(key) != KEY_BYTES:
            raise KeysUnavailable(f"The key file {self.path.name} does not hold exactly {KEY_BYTES} bytes.")
        return key


def _write_through(folder: Path) -> None:
    """A name that was just made in a folder is lost in a power cut unless the folder itself is written."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
