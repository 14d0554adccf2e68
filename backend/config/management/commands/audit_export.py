"""`manage.py audit_export --clinic SLUG --out FILE`: the log of a clinic as a bundle that anybody can verify."""

import sys
from argparse import ArgumentParser
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from django.core.management.base import CommandError
from tqdm import tqdm

from backend import clock
from backend.audit.actors import system_actor
from backend.audit.bundle.exporting import Views, export_log
from backend.audit.bundle.releasing import DpoKeyRefused, read_public_key
from backend.audit.growing import LogInconsistent
from backend.audit.management.drafts import draft_of, require_file
from backend.audit.management.telling import TellingCommand
from backend.audit.sequencing import NotSequenced
from backend.clinics.queries import get_clinic_by_slug
from backend.errors import DomainError
from backend.policy.vocabulary import Language
from backend.vault.keyring import SYSTEM
from backend.vault.providers import KeysUnavailable


class Command(TellingCommand):
    """Write the bundle beside its place first and then move it there: no half-written bundle is ever found."""

    help = (
        "Export a clinic's audit log with its proofs. `python backend/audit/verifier.py FILE` verifies it anywhere; "
        "keep the checkpoint that is printed: it shows later that nothing was taken away since."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which log, where to, and what goes along."""
        whose = parser.add_mutually_exclusive_group(required=True)
        whose.add_argument("--clinic", metavar="SLUG")
        whose.add_argument("--system", action="store_true", help="the installation's own log")
        parser.add_argument("--out", required=True, type=Path, metavar="FILE")
        parser.add_argument(
            "--dpo-key",
            type=Path,
            metavar="FILE",
            help="public X25519 key (PEM) of the data protection officer: the keys of the entries go along, for them",
        )
        parser.add_argument(
            "--views", action="store_true", help="the entries in clear, too: CSV and FHIR AuditEvent (personal data!)"
        )
        parser.add_argument("--language", choices=[one.value for one in Language], default=Language.FRENCH.value)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run, with a progress bar where somebody watches."""
        out: Path = options["out"]
        require_file(out)
        clinic_id, zone = _whose(options["clinic"])
        views = Views(language=Language(options["language"]), zone=zone)
        recipient = _recipient(options["dpo_key"])
        try:
            with draft_of(out, prefix=".audit_export-") as draft:
                with draft.open("w+b") as file, tqdm(unit=" entries", disable=not sys.stderr.isatty()) as bar:
                    exported = export_log(
                        file,
                        clinic_id=clinic_id,
                        actor=system_actor("audit_export"),
                        now=clock.now(),
                        recipient=recipient,
                        views=views if options["views"] else None,
                        progress=bar.update,
                    )
                draft.replace(out)
        except OSError as error:
            raise CommandError(f"{out} can not be written: {error.strerror}.") from error
        except NotSequenced as error:
            raise CommandError(
                "The log did not come to rest: a transaction has been open for long, or the sequencer does not get on."
            ) from error
        except (LogInconsistent, KeysUnavailable) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{out}: {exported.size} entries. Keep this checkpoint apart from this installation:\n")
        self.stdout.write(exported.checkpoint)


def _whose(slug: str | None) -> tuple[UUID, tzinfo]:
    if slug is None:
        return SYSTEM, UTC
    try:
        clinic = get_clinic_by_slug(slug)
    except DomainError as error:
        raise CommandError(f"There is no clinic {slug}.") from error
    return clinic.id, ZoneInfo(clinic.time_zone)


def _recipient(path: Path | None) -> X25519PublicKey | None:
    if path is None:
        return None
    try:
        return read_public_key(path.read_bytes())
    except OSError as error:
        raise CommandError(f"{path} can not be read: {error.strerror}.") from error
    except DpoKeyRefused as error:
        raise CommandError(f"{path}: {error}") from error
