"""Processes that rotate keys and that enter patients, on the database of the running test.

`python -m tests.factories.rotating rotate` rotates once; `... write CLINIC NUMBER` enters patients until its input is
closed, and tells how many.
"""

import os
import select
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

ROOT = Path(__file__).resolve().parent.parent.parent
NOW = datetime(2026, 10, 14, 8, 0, tzinfo=UTC)


def start(*arguments: str, key_file: Path, folder: Path) -> "subprocess.Popen[str]":
    """One such process."""
    from tests.services import database_url  # noqa: PLC0415 - the process itself must not load the plugin

    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.factories.rotating", *arguments],
        cwd=ROOT,
        env={
            **kept,
            "DJANGO_SETTINGS_MODULE": "backend.config.settings",
            "ACCORD_DATA_DIR": str(folder),
            "ACCORD_DATABASE_URL": database_url(),
            "ACCORD_SECRET_KEY": "made-up-" * 6,
            "ACCORD_KEY_FILE": str(key_file),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _rotate() -> None:
    from backend.audit import rotation  # noqa: PLC0415 - Django is set up first
    from backend.audit.actors import system_actor  # noqa: PLC0415 - as above

    # Small pieces, so that there are many moments at which to be killed.
    rotation.AT_ONCE = 20  # type: ignore[misc] # this process is a test's
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    rotation.rotate_keys(actor=system_actor("rotation"), now=NOW)
    sys.stdout.write("done\n")


def _write(clinic: str, number: str) -> None:
    from backend.audit.actors import system_actor  # noqa: PLC0415 - Django is set up first
    from backend.patients.operations import import_records  # noqa: PLC0415 - as above
    from tests.factories import records  # noqa: PLC0415 - as above

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    done = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        import_records(
            clinic_id=UUID(clinic),
            records=[records.patient(f"{number}-{done + more}") for more in range(3)],
            source="test",
            actor=system_actor(),
            now=NOW,
        )
        done += 3
    sys.stdout.write(f"{done}\n")


def main() -> None:
    """What the first argument says."""
    import django  # noqa: PLC0415 - this process is one of its own

    django.setup()
    what, *rest = sys.argv[1:]
    if what == "rotate":
        _rotate()
    else:
        _write(*rest)


if __name__ == "__main__":
    main()
