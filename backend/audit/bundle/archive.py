"""A canonical zip: a fixed order, one date, no extras, and at its end a signed list of what is in it."""

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterable
from types import TracebackType
from typing import IO, Final, Self

A_DATE: Final = (1980, 1, 1, 0, 0, 0)
PLAIN_FILE: Final = 0o100644 << 16
UNIX: Final = 3
MANIFEST: Final = "manifest"
FORMAT: Final = "accord-audit-bundle/v1"
AT_ONCE: Final = 64 * 1024


class Archive:
    """Writes members one after the other, never more than one piece in memory, and remembers their hashes."""

    def __init__(self, file: IO[bytes], *, form: str = FORMAT) -> None:
        self._file, self._form = file, form
        self._zip = zipfile.ZipFile(file, "w", compression=zipfile.ZIP_STORED, allowZip64=True)
        self._lines: list[str] = []

    def add(self, name: str, content: bytes) -> None:
        """A small member, stored."""
        self._zip.writestr(_member(name, len(content)), content)
        self._note(name, len(content), hashlib.sha256(content).hexdigest())

    def add_stream(self, name: str, pieces: Iterable[bytes]) -> None:
        """A member of any size. It is made beside the archive first: how large it is has to be known at its head."""
        with tempfile.TemporaryFile() as beside:
            for piece in pieces:
                beside.write(piece)
            self.add_file(name, beside)

    def add_file(self, name: str, content: IO[bytes]) -> None:
        """A member of any size that was made beside the archive, in a file that can be wound back."""
        digest, size = hashlib.sha256(), content.seek(0, os.SEEK_END)
        content.seek(0)
        with self._zip.open(_member(name, size), "w") as target:
            while piece := content.read(AT_ONCE):
                digest.update(piece)
                target.write(piece)
        self._note(name, size, digest.hexdigest())

    def manifest(self, facts: Iterable[str]) -> str:
        """The text that names every member so far, to be signed and added as the last one."""
        return "".join(f"{line}\n" for line in (self._form, *facts, *self._lines))

    def close(self, signed_manifest: str) -> None:
        """Add the signed list, and end the archive."""
        content = signed_manifest.encode()
        self._zip.writestr(_member(MANIFEST, len(content)), content)
        self._zip.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing half-written behind: where the block failed, the file is empty again."""
        if kind is not None:
            self._zip.close()
            self._file.seek(0)
            self._file.truncate()

    def _note(self, name: str, size: int, digest: str) -> None:
        self._lines.append(f"{digest} {size} {name}")


def _member(name: str, size: int) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, date_time=A_DATE)
    member.create_system = UNIX
    member.external_attr = PLAIN_FILE
    # Packed, a member would have bits that mean nothing, and that no signature covers.
    member.compress_type = zipfile.ZIP_STORED
    if size > zipfile.ZIP64_LIMIT:
        # Told beforehand, the module makes room for longer numbers, and it does so too early when the size comes near.
        member.file_size = size
    return member
