"""`manage.py data_inventory`: write docs/reference/data-inventory.md, or check that it is current."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from backend.config.inventory import as_markdown


class Command(BaseCommand):
    """Write, or check, the list of what is stored about patients."""

    help = "Write the list of what is stored about patients, sealed and clear."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Only look?"""
        parser.add_argument("--check", action="store_true", help="change nothing; fail where the page is not current")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run."""
        path = settings.BASE_DIR / "docs" / "reference" / "data-inventory.md"
        page = as_markdown()
        if not options["check"]:
            path.write_text(page, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != page:
            raise CommandError("docs/reference/data-inventory.md is not current: run manage.py data_inventory")
