"""`manage.py consent_export --clinic SLUG --out FILE`: consents and their events as one signed archive."""

import sys
from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError
from tqdm import tqdm

from backend import clock
from backend.audit.actors import system_actor
from backend.audit.management.drafts import draft_of, require_file
from backend.audit.management.telling import TellingCommand
from backend.audit.sequencing import NotSequenced
from backend.clinics.queries import get_clinic_by_slug
from backend.consent.export.exporting import export_consents
from backend.consent.export.selection import Form, Selection
from backend.errors import DomainError
from backend.policy.vocabulary import Language


class Command(TellingCommand):
    """Write the archive beside its place first and then move it there: no half-written one is ever found."""

    help = (
        "Export a clinic's consents, everything that happened to them and the notices word by word, signed. "
        "`python backend/audit/verifier.py FILE` verifies it anywhere."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Of which clinic, where to, in which forms, and which consents."""
        parser.add_argument("--clinic", required=True, metavar="SLUG")
        parser.add_argument("--out", required=True, type=Path, metavar="FILE")
        parser.add_argument(
            "--format",
            action="append",
            choices=[form.value for form in Form],
            help="repeatable; all of them where none is named",
        )
        parser.add_argument("--from", type=date.fromisoformat, metavar="DAY", help="what was recorded from this day on")
        parser.add_argument("--to", type=date.fromisoformat, metavar="DAY", help="what was recorded up to this day")
        parser.add_argument("--purpose", action="append", default=[], metavar="SLUG", help="repeatable")
        parser.add_argument("--patient", type=UUID, metavar="ID")
        parser.add_argument("--language", choices=[one.value for one in Language], default=Language.FRENCH.value)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run, with a progress bar where somebody watches."""
        out: Path = options["out"]
        require_file(out)
        try:
            clinic = get_clinic_by_slug(options["clinic"])
            selection = Selection(
                first_day=options["from"],
                last_day=options["to"],
                purposes=tuple(dict.fromkeys(options["purpose"])),
                patient_id=options["patient"],
            )
            with draft_of(out, prefix=".consent_export-") as draft:
                with draft.open("w+b") as file, tqdm(unit=" patients", disable=not sys.stderr.isatty()) as bar:

                    def told(done: int, of: int) -> None:
                        bar.total = of
                        bar.update(done - bar.n)

                    exported = export_consents(
                        file,
                        clinic_id=clinic.id,
                        selection=selection,
                        forms=[Form(one) for one in options["format"] or Form],
                        language=Language(options["language"]),
                        actor=system_actor("consent_export"),
                        now=clock.now(),
                        progress=told,
                    )
                draft.replace(out)
        except OSError as error:
            raise CommandError(f"{out} can not be written: {error.strerror}.") from error
        except NotSequenced as error:
            raise CommandError(
                "The log did not come to rest: a transaction has been open for long, or the sequencer does not get on."
            ) from error
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{out}:")
        for name, count in exported.rows.items():
            self.stdout.write(f"  {name}: {count} rows")
