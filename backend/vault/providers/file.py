"""The topmost key in files, one for each epoch: 32 bytes, mode 0400, made once and never overwritten while it lives."""

import errno
import os
import re
import secrets
import stat
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from backend.vault.ciphers import KEY_BYTES, NONCE_BYTES, TAG_BYTES, decrypt, derive, encrypt, length_prefixed, new_key
from backend.vault.providers.base import EpochDestroyed, KeysUnavailable

OPEN_TO_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
EPOCH_BYTES: Final = 4
# The first version of Accord wrote no epoch before the nonce; what it wrapped is of the first one.
WRAPPED_BYTES: Final = NONCE_BYTES + KEY_BYTES + TAG_BYTES
READ_ONLY: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


class FileKeyProvider:
    """Keeps the topmost key in a file: that of the first epoch at `path`, of later ones beside it (`root.key.2`, ...).

    The files are read anew each time, which is once for each clinic in ten minutes: so a process forgets a key that was
    destroyed, and finds one that was made elsewhere. What was wrapped is `epoch (4 bytes) | nonce | ciphertext | tag`.
    """

    name = "file"

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> bool:
        """Make the first key file; False where there is one already: a key is never overwritten."""
        return not self.exists() and self._make(self.path)

    def exists(self) -> bool:
        """Is there a key file, of whatever epoch?"""
        return self.path.exists() or bool(self._later())

    def prepare(self, *, has_keys: bool) -> None:
        """Make the key file at first start. Raises KeysUnavailable where it is gone, or can not be made."""
        try:
            if self.exists():
                return
            if has_keys:
                raise KeysUnavailable(
                    f"The database holds keys, but the key file {self.path.name} is gone. Bring it back from its own "
                    "backup: without it nothing that is sealed can be read."
                )
            self.create()
        except OSError as error:
            raise KeysUnavailable(
                f"The key file {self.path.name} can not be made or looked at ({error.strerror}): see ACCORD_KEY_FILE."
            ) from error

    def describe(self) -> str:
        """The file by its name."""
        return f"The key file {self.path.name}"

    def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """The key, encrypted under the newest file's key."""
        epoch = self.epochs()[-1]
        return epoch.to_bytes(EPOCH_BYTES, "big") + encrypt(
            self._cipher(epoch), plain=key, bound=_bound(epoch, context)
        )

    def unwrap(self, blob: bytes, *, context: bytes) -> bytes:
        """The key again; raises Tampered for another context or another file, EpochDestroyed."""
        epoch = self.epoch_of(blob)
        if not _has_epoch(blob):
            return decrypt(self._cipher(epoch), blob=blob, bound=context)
        return decrypt(self._cipher(epoch), blob=blob[EPOCH_BYTES:], bound=_bound(epoch, context))

    def epoch_of(self, blob: bytes) -> int:
        """Under which epoch something was wrapped."""
        if blob.startswith(b"vault:"):
            raise KeysUnavailable("These keys were wrapped by Vault, but ACCORD_KEY_PROVIDER is file.")
        return int.from_bytes(blob[:EPOCH_BYTES], "big") if _has_epoch(blob) else 1

    def epochs(self) -> list[int]:
        """The epochs whose files are there. Raises KeysUnavailable where there is none, a gap, or a copy."""
        found = sorted([*([1] if self.path.exists() else []), *self._later()])
        if not found:
            raise KeysUnavailable(f"The key file {self.path.name} can not be read (No such file or directory).")
        for before, epoch in pairwise(found):
            if epoch != before + 1:
                raise KeysUnavailable(
                    f"Beside the key file {self.file_of(before).name} lies {self.file_of(epoch).name}, but the next "
                    f"one can only be {self.file_of(before + 1).name}: bring what is missing, or, if it is a copy that "
                    "somebody made, move it to another folder."
                )
        self._require_different_keys(found)
        return found

    def begin_epoch(self) -> int:
        """Make the next key file, beside the first."""
        epoch = self.epochs()[-1] + 1
        path = self.file_of(epoch)
        try:
            self._make(path)
        except OSError as error:
            advice = (
                f": the folder can not be written to. Put a new {path.name} there yourself (32 random bytes, mode "
                "0400), on every machine that serves, and run this again."
                if error.errno in READ_ONLY
                else "."
            )
            raise KeysUnavailable(f"The key file {path.name} can not be made ({error.strerror}){advice}") from error
        return epoch

    def destroy(self, epoch: int) -> None:
        """Overwrite the files up to this epoch, and take them away. Refuses the newest one.

        Overwriting reaches the same place on a plain disk only: SSDs, copy-on-write file systems and snapshots keep old
        blocks. There, that the file system or the disk is encrypted is what protects.
        """
        there = self.epochs()
        if epoch >= there[-1]:
            raise KeysUnavailable(f"The newest key file ({self.file_of(there[-1]).name}) is never destroyed.")
        for old in (one for one in there if one <= epoch):
            path = self.file_of(old)
            try:
                _overwrite(path)
                path.unlink(missing_ok=True)
                _write_through(path.parent)
            except OSError as error:
                advice = (
                    ": the folder can not be written to. Destroy the file where it comes from, on every machine, and "
                    "run this again."
                    if error.errno in READ_ONLY
                    else "."
                )
                raise KeysUnavailable(
                    f"The key file {path.name} can not be destroyed ({error.strerror}){advice}"
                ) from error

    def fingerprint(self, epoch: int) -> str:
        """Eight bytes of what is derived from the key for this alone, as hexadecimal digits. Raises KeysUnavailable."""
        return derive(self._key(epoch), purpose="root-fingerprint-v1")[:8].hex()

    def name_of(self, epoch: int) -> str:
        """The file by its name."""
        return f"The key file {self.file_of(epoch).name}"

    def file_of(self, epoch: int) -> Path:
        """Where the key of one epoch lies."""
        return self.path if epoch == 1 else self.path.with_name(f"{self.path.name}.{epoch}")

    def _require_different_keys(self, epochs: Sequence[int]) -> None:
        """A copy under the next name is no new key: whoever had the old one would open everything still."""
        seen: dict[bytes, int] = {}
        for epoch in epochs if len(epochs) > 1 else ():
            try:
                key = self.file_of(epoch).read_bytes()
            except OSError:
                # Destroyed just now, or not for us to read: whoever uses it is told.
                continue
            if key in seen:
                raise KeysUnavailable(
                    f"The key file {self.file_of(epoch).name} holds the same key as {self.file_of(seen[key]).name}: it "
                    "is a copy, and no new key. Move it to another folder; rotate_keys makes a new one."
                )
            seen[key] = epoch

    def _later(self) -> list[int]:
        # At one a month, four digits are enough for centuries; more are the date of somebody's copy.
        form = re.compile(re.escape(self.path.name) + r"\.([1-9][0-9]{0,3})")
        try:
            names = [path.name for path in self.path.parent.iterdir()]
        except FileNotFoundError:
            return []
        found = [int(match[1]) for name in names if (match := form.fullmatch(name))]
        return [epoch for epoch in found if epoch > 1]

    def _make(self, path: Path) -> bool:
        folder = path.parent
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The name is random, not the process's number: in two containers that share a folder both may be number one.
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(new_key())
                file.flush()
                os.fsync(file.fileno())
            # A link, not a rename: of two processes that start at once, one wins and the other reads what it made.
            os.link(draft, path)
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        _write_through(folder)
        return True

    def _cipher(self, epoch: int) -> AESGCM:
        return AESGCM(self._key(epoch))

    def _key(self, epoch: int) -> bytes:
        path = self.file_of(epoch)
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                key = file.read(KEY_BYTES + 1)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and any(later > epoch for later in self._later()):
                place = f"the key file {path.name}, which is gone, and there are newer ones: it was"
                raise EpochDestroyed(place) from error
            raise KeysUnavailable(f"The key file {path.name} can not be read ({error.strerror}).") from error
        if mode & OPEN_TO_OTHERS:
            raise KeysUnavailable(
                f"The key file {path.name} can be read by others than its owner (mode {stat.S_IMODE(mode):04o}): "
                "make it 0400 and change the key if somebody may have read it."
            )
        if len(key) != KEY_BYTES:
            raise KeysUnavailable(f"The key file {path.name} does not hold exactly {KEY_BYTES} bytes.")
        return key


def _has_epoch(blob: bytes) -> bool:
    return len(blob) == EPOCH_BYTES + WRAPPED_BYTES


def _bound(epoch: int, context: bytes) -> bytes:
    return length_prefixed(b"root-v2", epoch.to_bytes(EPOCH_BYTES, "big"), context)


def _overwrite(path: Path) -> None:
    try:
        path.chmod(0o600)
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    try:
        size = os.fstat(descriptor).st_size
        os.write(descriptor, secrets.token_bytes(max(size, KEY_BYTES)))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_through(folder: Path) -> None:
    """A name that was just made in a folder is lost in a power cut unless the folder itself is written."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
