"""A canonical zip: a fixed order, one date, no extras, and at its end a signed list of what is in it."""

import hashlib
import shutil
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


class Archive:
    """Writes members one after the other, never more than one piece in memory, and remembers their hashes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._zip = zipfile.ZipFile(file, "w", compression=zipfile.ZIP_STORED, allowZip64=True)
        self._lines: list[str] = []

    def add(self, name: str, content: bytes) -> None:
        """A small member, stored."""
        self._zip.writestr(_member(name, len(content)), content)
        self._note(name, len(content), hashlib.sha256(content).hexdigest())

    def add_stream(self, name: str, pieces: Iterable[bytes]) -> None:
        """A member of any size. It is made beside the archive first: how large it is has to be known at its head."""
        digest, size = hashlib.sha256(), 0
        with tempfile.TemporaryFile() as beside:
            for piece in pieces:
                digest.update(piece)
                size += len(piece)
                beside.write(piece)
            beside.seek(0)
            member = _member(name, size)
            with self._zip.open(member, "w") as target:
                shutil.copyfileobj(beside, target)
        self._note(name, size, digest.hexdigest())

    def manifest(self, facts: Iterable[str]) -> str:
        """The text that names every member so far, to be signed and added as the last one."""
        return "".join(f"{line}\n" for line in (FORMAT, *facts, *self._lines))

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
