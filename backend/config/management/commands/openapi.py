"""`manage.py openapi`: write the description of the API, or compare it with the one that is written."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import translation
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

PLACE: Final = Path("docs") / "reference" / "openapi.json"


class Command(BaseCommand):
    """Describe the API as OpenAPI 3.1."""

    help = "Write docs/reference/openapi.json; with --check, say whether it is what the code serves."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Write or compare."""
        parser.add_argument(
            "--check", action="store_true", help="compare instead of writing; exit code 1 if it differs"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run."""
        path = settings.BASE_DIR / PLACE
        text = described()
        if not options["check"]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            self.stdout.write(f"Wrote {PLACE}.")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            raise CommandError(
                f"{PLACE} is not what the code serves. Run `manage.py openapi` and look at what changed."
            )


def described() -> str:
    """The description, as it is written: sorted, so that a change shows as the lines that changed."""
    # Sentences of the framework follow the language; the reference is English.
    with translation.override("en"), GENERATOR_STATS.silence():
        schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call] # no types there
    if GENERATOR_STATS:
        problems = [*GENERATOR_STATS._warn_cache, *GENERATOR_STATS._error_cache]  # noqa: SLF001 - told no other way
        raise CommandError("The description is not complete:\n" + "\n".join(map(str, problems)))
    validate_schema(schema)  # type: ignore[no-untyped-call] # no types there
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
