"""Files that a command makes beside their place first: whoever finds one finds it whole."""

import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from django.core.management.base import CommandError

TERMINATED: Final = 128 + signal.SIGTERM


def require_file(out: Path) -> None:
    """A device or a folder would be replaced, or fail only once everything was written."""
    try:
        if out.exists() and not out.is_file():
            raise CommandError(f"{out} is no regular file: --out names a file that is made, or replaced.")
    except OSError as error:
        raise CommandError(f"{out} can not be written: {error.strerror}.") from error


@contextmanager
def draft_of(out: Path, *, prefix: str) -> Iterator[Path]:
    """A file beside its place, for the owner only, under a name of its own; whatever happens, it does not stay."""
    with _sigterm_unwinds():
        handle, name = tempfile.mkstemp(dir=out.parent, prefix=prefix, suffix=".part")
        os.close(handle)
        draft = Path(name)
        try:
            yield draft
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def _sigterm_unwinds() -> Iterator[None]:
    """SIGTERM as an exception, so that what was begun is cleared away; only the main thread may ask for it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(_number: int, _frame: object) -> None:
    raise SystemExit(TERMINATED)
