"""One archive, a file: what it holds, streamed, and a manifest that says what it is and pins every byte."""

import hashlib
import json
import os
import re
import secrets
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final

FORMAT: Final = 1
CONTENT: Final = "content"
MANIFEST: Final = "manifest.json"
LARGEST_MANIFEST: Final = 1 << 20
PIECE: Final = 1 << 20
DRAFT: Final = re.compile(r"\..+\.[0-9a-f]{16}")
# A backup that is being written is written to all the time: one that was not for so long was killed.
ABANDONED_AFTER: Final = timedelta(hours=1)
# APPNOTE.TXT 4.3.7: a zip file begins with the header of its first member, the name of which stands at byte 30.
ZIP_BEGINS: Final = b"PK\x03\x04"
NAME_AT: Final = 30
# APPNOTE.TXT 4.3.16: the record at the end of a zip file.
ZIP_ENDS: Final = b"PK\x05\x06"
END: Final = struct.Struct("<4s4H2LH")
ELSEWHERE: Final = 0xFFFFFFFF


class BackupRefused(Exception):
    """A backup can not be taken or brought back; the sentence says why, and nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What an archive says of itself.

    `origin` is the id of the system's log, which tells installations apart; `schema` stands for what Accord's tables
    were like.
    """

    kind: str
    schema: str
    taken_at: datetime
    database: str
    origin: str


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that is whole and of the kind that was asked for."""

    path: Path
    about: About

    @contextmanager
    def content(self) -> Iterator[IO[bytes]]:
        """What it holds."""
        with zipfile.ZipFile(self.path) as file, file.open(CONTENT) as content:
            yield content


def write_archive(
    path: Path, about: About, content: Iterable[bytes], *, written: Callable[[], None] = lambda: None
) -> int:
    """Write an archive beside its place, then put it there; its size. Raises BackupRefused.

    `written` is called once the content is on the disk, and before it is found under its name.
    What one that was killed has left in the folder is removed: it holds keys, or data, and nobody would look for it.
    """
    if not path.name:
        raise BackupRefused("The name of the file is missing.")
    if path.exists():
        raise BackupRefused(f"{path.name} is there already: a backup is never overwritten.")
    _remove_abandoned(path.parent, now=about.taken_at)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    digest, size = hashlib.sha256(), 0
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as plain:
            with zipfile.ZipFile(plain, "w", zipfile.ZIP_STORED) as file:
                with file.open(CONTENT, "w", force_zip64=True) as member:
                    for piece in content:
                        digest.update(piece)
                        size += len(piece)
                        member.write(piece)
                file.writestr(MANIFEST, _manifest(about, digest.hexdigest(), size))
            plain.flush()
            os.fsync(plain.fileno())
        written()
        os.link(draft, path)
    except OSError as error:
        raise BackupRefused(f"{path.name} can not be written ({error.strerror}).") from error
    finally:
        # Where nothing can be written nothing can be removed; a draft that stays is removed by the next backup.
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return path.stat().st_size


def open_archive(path: Path, *, kind: str) -> Archive:
    """Read an archive through, once, before anything is done with it. Raises BackupRefused."""
    try:
        _require_end(path)
        with zipfile.ZipFile(path) as file:
            if sorted(file.namelist()) != [CONTENT, MANIFEST] or file.getinfo(MANIFEST).file_size > LARGEST_MANIFEST:
                raise BackupRefused(f"{path.name} is no backup of Accord.")
            told = json.loads(file.read(MANIFEST))
            about = _about(told, path)
            if about.kind != kind:
                raise BackupRefused(f"{path.name} is a backup of the {about.kind}, not of the {kind}.")
            digest, size = hashlib.sha256(), 0
            with file.open(CONTENT) as content:
                while piece := content.read(PIECE):
                    digest.update(piece)
                    size += len(piece)
    except OSError as error:
        raise BackupRefused(f"{path.name} can not be read ({error.strerror or 'it is cut off'}).") from error
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, RuntimeError, NotImplementedError) as error:
        raise BackupRefused(f"{path.name} is damaged, or no backup of Accord.") from error
    if (told.get("sha256"), told.get("bytes")) != (digest.hexdigest(), size):
        raise BackupRefused(f"{path.name} is damaged: its content is not what its manifest says.")
    return Archive(path, about)


def _require_end(path: Path) -> None:
    """The record that ends a zip file ends this one, says what ours says, and has no comment: no byte is left over."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - END.size))
        tail = file.read()
    if len(tail) != END.size:
        raise zipfile.BadZipFile
    mark, disk, disk_of_directory, here, members, length, offset, comment = END.unpack(tail)
    if (mark, disk, disk_of_directory, here, members, comment) != (ZIP_ENDS, 0, 0, 2, 2, 0):
        raise zipfile.BadZipFile
    # Beyond 4 GiB the place of the directory is told by a record of its own, which is checked when it is read.
    if offset != ELSEWHERE and offset + length != size - END.size:
        raise zipfile.BadZipFile


def _remove_abandoned(folder: Path, *, now: datetime) -> None:
    """Remove our own drafts that nobody writes to any more; other files that are named alike stay."""
    latest = (now - ABANDONED_AFTER).timestamp()
    try:
        for path in folder.iterdir():
            if DRAFT.fullmatch(path.name) and path.lstat().st_mtime < latest and _is_draft(path):
                path.unlink(missing_ok=True)
    except FileNotFoundError:
        # No such folder, which the writing tells; or somebody else removed a draft at the same time.
        return
    except OSError as error:
        raise BackupRefused(
            f"What an interrupted backup left in {folder.name} can not be removed ({error.strerror}): remove the files "
            "whose names begin with a dot, they may hold keys."
        ) from error


def _is_draft(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        begins = file.read(NAME_AT + len(CONTENT))
    return not begins or (begins.startswith(ZIP_BEGINS) and begins[NAME_AT:] == CONTENT.encode())


def _manifest(about: About, digest: str, size: int) -> str:
    told: Mapping[str, object] = {
        "format": FORMAT,
        "kind": about.kind,
        "taken_at": about.taken_at.isoformat(),
        "database": about.database,
        "origin": about.origin,
        "schema": about.schema,
        "sha256": digest,
        "bytes": size,
    }
    return json.dumps(told, indent=1, sort_keys=True)


def _about(told: Any, path: Path) -> About:
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise BackupRefused(f"{path.name} is a backup of another version of Accord.")
    taken_at = datetime.fromisoformat(str(told["taken_at"]))
    if taken_at.tzinfo is None:
        raise BackupRefused(f"{path.name} is damaged, or no backup of Accord.")
    return About(
        kind=str(told["kind"]),
        schema=str(told["schema"]),
        taken_at=taken_at,
        database=str(told["database"]),
        origin=str(told["origin"]),
    )
