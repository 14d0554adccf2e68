"""`bin/demo`: tells the story of a clinic's morning on real adapters and a sandbox, then serves it."""

import argparse
import os
import shutil
import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import django

MARK: Final = ".accord-demo"
STORY_DAY: Final = date(2026, 10, 12)
STORY_HOUR: Final = time(10, 0)
ZONE: Final = ZoneInfo("Europe/Paris")
HARMLESS: Final = frozenset({"secret-key"})


def main() -> int:
    """Tell the story; exit code 0 only if all of it held, 2 where it could not begin."""
    parser = argparse.ArgumentParser(
        prog="bin/demo",
        description="The main job of Accord on a French demo clinic, told step by step. Nothing is sent to anyone.",
    )
    parser.add_argument("--once", action="store_true", help="stop after the story instead of serving it")
    parser.add_argument("--fhir", type=Path, metavar="DIR", help="tell it on FHIR R4 bulk NDJSON files of this folder")
    parser.add_argument("--today", type=date.fromisoformat, metavar="DATE", help="the day of the story, 10:00 in Paris")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write what happened to this file, as JSON")
    options = parser.parse_args()
    if os.environ.get("ACCORD_DATABASE_URL") or os.environ.get("ACCORD_DATABASE_URL_FILE"):
        return _refuse("The demo makes its own database: unset ACCORD_DATABASE_URL, so that it touches no other.")
    if options.fhir is not None and not options.fhir.is_dir():
        return _refuse(f"There is no folder {options.fhir}.")
    folder = _data_folder()
    if not _is_ours(folder):
        return _refuse(
            f"The folder {folder} holds data that is not the demo's, and is left as it is. "
            "Set ACCORD_DATA_DIR to a folder that does not exist yet."
        )
    _make_anew(folder)
    starts = datetime.combine(options.today or STORY_DAY, STORY_HOUR, tzinfo=ZONE)
    _set_environment(folder, starts)
    django.setup()
    from demo.story import tell  # noqa: PLC0415 - what it imports needs Django's settings, made just above

    held = tell(fhir=options.fhir, report=options.report, once=options.once)
    if held and not options.once:
        for name in ("ACCORD_CLOCK_OFFSET", "ACCORD_REQUESTS_PER_MINUTE"):
            os.environ.pop(name)
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-P", "-m", "backend.config.serve"])  # noqa: S606 - our own server
    return 0 if held else 1


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return 2


def _data_folder() -> Path:
    given = os.environ.get("ACCORD_DATA_DIR")
    return Path(given).expanduser().resolve() if given else Path(__file__).resolve().parent.parent / "var"


def _is_ours(folder: Path) -> bool:
    if not folder.exists():
        return True
    if not folder.is_dir():
        return False
    return (folder / MARK).exists() or {one.name for one in folder.iterdir()} <= HARMLESS


def _make_anew(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700, parents=True)
    (folder / MARK).write_text("Made by bin/demo, which may delete this folder.\n", encoding="utf-8")


def _set_environment(folder: Path, starts: datetime) -> None:
    # The carriers are the sandbox's, whatever the environment says: a demo sends nothing to anyone.
    for name in list(os.environ):
        if name.startswith(("ACCORD_EMAIL_", "ACCORD_TWILIO_", "ACCORD_FCM_", "ACCORD_BROKER_", "ACCORD_KEY_")):
            del os.environ[name]
    # In UTC: Python subtracts two times of one zone by the wall clock, wrongly when the clocks changed in between.
    offset: timedelta = starts.astimezone(UTC) - datetime.now(UTC)
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "backend.config.settings",
        "ACCORD_DATA_DIR": str(folder),
        # A whole clinic's patients and their staff are played by one program.
        "ACCORD_REQUESTS_PER_MINUTE": "100000",
        "ACCORD_CLOCK_OFFSET": str(round(offset.total_seconds())),
    }


if __name__ == "__main__":
    sys.exit(main())
