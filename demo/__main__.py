"""`bin/demo`: tells the story of a clinic's morning on real adapters and a sandbox, then serves it."""

import argparse
import os
import shutil
import signal
import sys
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from io import TextIOWrapper
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from backend.config import env
from backend.config.serve import INTERRUPTED, LOCK, REFUSED, hold_folder, is_free

MARK: Final = ".accord-demo"
STORY_DAY: Final = date(2026, 10, 12)
STORY_HOUR: Final = time(10, 0)
FIRST_YEAR: Final = 1920
LAST_YEAR: Final = 2100
ZONE: Final = ZoneInfo("Europe/Paris")
HARMLESS: Final = frozenset({"secret-key", LOCK})
# A demo is told as it stands: nothing else that is set for a real installation has a part in it.
HEEDED: Final = frozenset({"ACCORD_DATA_DIR", "ACCORD_DATA_DIR_FILE", "ACCORD_PORT", "ACCORD_PORT_FILE"})


def main() -> int:
    """Tell the story; exit code 0 only if all of it held, 2 where it could not begin, 130 after Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    options = _read_arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _tell(options)
    except env.SettingRefused as refused:
        sys.stderr.write(f"{refused}\n")
        return REFUSED
    except KeyboardInterrupt:
        with suppress(OSError):
            sys.stdout.flush()
        sys.stderr.write("\nThe story was stopped; bin/demo begins it anew.\n")
        return INTERRUPTED


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/demo",
        description="The main job of Accord on a French demo clinic, told step by step. Nothing is sent to anyone.",
    )
    parser.add_argument("--once", action="store_true", help="stop after the story instead of serving it")
    parser.add_argument("--fhir", type=Path, metavar="DIR", help="tell it on FHIR R4 bulk NDJSON files of this folder")
    parser.add_argument("--today", type=date.fromisoformat, metavar="DATE", help="the day of the story, 10:00 in Paris")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write what happened to this file, as JSON")
    return parser.parse_args()


def _tell(options: argparse.Namespace) -> int:
    _look_at(options)
    folder = env.data_folder()
    if not _is_ours(folder):
        raise env.SettingRefused(
            f"The folder {folder} holds data that is not the demo's, and is left as it is. "
            "Set ACCORD_DATA_DIR to a folder that does not exist yet."
        )
    port = env.port()
    lock = hold_folder(folder)
    if not options.once and not is_free(port):
        raise env.SettingRefused(
            f"Port {port}, where the demo is served after its story, is taken: set ACCORD_PORT to another one, "
            "or tell the story alone with --once."
        )
    starts = datetime.combine(options.today or STORY_DAY, STORY_HOUR, tzinfo=ZONE)
    _make_anew(folder)
    _set_environment(folder, port, starts)
    import django  # noqa: PLC0415 - it takes a moment, in which Ctrl-C is met already

    django.setup()
    from demo.story import tell  # noqa: PLC0415 - what it imports needs Django's settings, made just above

    held = tell(fhir=options.fhir, report=options.report, once=options.once)
    if held and not options.once:
        for name in ("ACCORD_CLOCK_OFFSET", "ACCORD_REQUESTS_PER_MINUTE"):
            os.environ.pop(name)
        sys.stdout.flush()
        os.set_inheritable(lock, True)  # noqa: FBT003 - the library's signature
        command = [sys.executable, "-P", "-m", "backend.config.serve", "--held-lock", str(lock)]
        os.execv(sys.executable, command)  # noqa: S606 - our own server
    return 0 if held else 1


def _look_at(options: argparse.Namespace) -> None:
    """Refuse what could only fail half-way."""
    if env.is_given("DATABASE_URL"):
        raise env.SettingRefused(
            "The demo makes its own database: unset ACCORD_DATABASE_URL, so that it touches no other."
        )
    if options.today is not None and not FIRST_YEAR <= options.today.year <= LAST_YEAR:
        raise env.SettingRefused(f"--today must be a day between the years {FIRST_YEAR} and {LAST_YEAR}.")
    if options.report is not None:
        if options.report.is_dir():
            raise env.SettingRefused(f"--report names a folder, {options.report}: name a file.")
        place = options.report if options.report.exists() else options.report.absolute().parent
        if not os.access(place, os.W_OK):
            raise env.SettingRefused(f"The report can not be written to {options.report}: is its folder there?")
    if options.fhir is not None:
        if not options.fhir.is_dir():
            raise env.SettingRefused(f"There is no folder {options.fhir}.")
        from backend.patients.sources.fhir import SourceRefused, read_folder  # noqa: PLC0415 - where it is asked for

        try:
            read_folder(options.fhir)
        except SourceRefused:
            raise env.SettingRefused(
                f"The folder {options.fhir} holds no FHIR bulk file that can be imported (*.ndjson)."
            ) from None


def _is_ours(folder: Path) -> bool:
    if not folder.exists():
        return True
    if not folder.is_dir():
        return False
    return (folder / MARK).exists() or {one.name for one in folder.iterdir()} <= HARMLESS


def _make_anew(folder: Path) -> None:
    """Empty it but for the lock, which this process holds."""
    # First, so that a demo that is stopped in between is still known as one.
    (folder / MARK).write_text("Made by bin/demo, which may delete this folder.\n", encoding="utf-8")
    for one in folder.iterdir():
        if one.name in {MARK, LOCK}:
            continue
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        else:
            one.unlink()


def _set_environment(folder: Path, port: int, starts: datetime) -> None:
    for name in [name for name in os.environ if name.startswith("ACCORD_")]:
        if name not in HEEDED:
            del os.environ[name]
    env.give("DATA_DIR", str(folder))
    env.give("PORT", str(port))
    # A whole clinic's patients and their staff are played by one program.
    env.give("REQUESTS_PER_MINUTE", "100000")
    # In UTC: Python subtracts two times of one zone by the wall clock, wrongly when the clocks changed in between.
    offset: timedelta = starts.astimezone(UTC) - datetime.now(UTC)
    env.give("CLOCK_OFFSET", str(round(offset.total_seconds())))
    os.environ["DJANGO_SETTINGS_MODULE"] = "backend.config.settings"


if __name__ == "__main__":
    sys.exit(main())
