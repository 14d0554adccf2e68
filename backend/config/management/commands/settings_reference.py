"""`manage.py settings_reference`: write the list of settings, or compare it with the one that is written."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from backend.config.env import DECLARED

PLACE: Final = Path("docs") / "reference" / "settings.md"
HEAD: Final = """# Settings

Made by `manage.py settings_reference` from what `backend/config/settings.py` declares; a test keeps it current.

Each setting is an environment variable. Instead of `NAME`, `NAME_FILE` may hold the path of a file with the value, as
secrets are mounted; both at once are refused. A value that can not be read stops the start, and the message names it.

| name | kind | if unset | meaning |
|---|---|---|---|
"""


class Command(BaseCommand):
    """List every setting."""

    help = "Write docs/reference/settings.md; with --check, say whether it lists what the settings read."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Write or compare."""
        parser.add_argument(
            "--check", action="store_true", help="compare instead of writing; exit code 1 if it differs"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run."""
        path = settings.BASE_DIR / PLACE
        text = listed()
        if not options["check"]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            self.stdout.write(f"Wrote {PLACE}.")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            raise CommandError(f"{PLACE} is not what the settings read. Run `manage.py settings_reference`.")


def listed() -> str:
    """The page."""
    rows = [
        f"| `{one.name}` | {_cell(one.kind)} | {_cell(one.default) or 'empty'} | {_cell(one.meaning)} |"
        for one in sorted(DECLARED.values(), key=lambda declared: declared.name)
    ]
    return HEAD + "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
