"""One process at work on a clinic with many consents: `python -m benchmarks.consent.worker DATABASE_URL FOLDER`."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import django
from django.core.management import call_command

from benchmarks.lanes import serve

NOW: Final = datetime(2026, 10, 14, 8, 0, tzinfo=UTC)
SLUG: Final = "crowd"


def main() -> None:
    """Work with Accord's own settings, on the database and in the folder that are named."""
    database_url, folder = sys.argv[1:]
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "backend.config.settings",
        "ACCORD_DATABASE_URL": database_url,
        "ACCORD_DATA_DIR": folder,
    }
    django.setup()
    serve(
        {
            "populate": populate,
            "rebuild": rebuild,
            "export_tables": export_tables,
            "export_fhir": export_fhir,
            "export_dpv": export_dpv,
            "export_all": export_all,
        }
    )


def populate(units: int) -> None:
    """A database with so many events."""
    from benchmarks.consent.population import EVENTS_EACH, found_clinic  # noqa: PLC0415 - once Django is set up
    from benchmarks.consent.population import populate as fill  # noqa: PLC0415 - as above

    call_command("prepare", verbosity=0)
    clinic_id = found_clinic(SLUG, now=NOW)
    fill(clinic_id, patients=max(1, units // EVENTS_EACH), now=NOW)


def rebuild(_units: int) -> None:
    """Every state made anew, and compared."""
    from backend.audit.actors import system_actor  # noqa: PLC0415 - as above
    from backend.clinics.queries import get_clinic_by_slug  # noqa: PLC0415 - as above
    from backend.consent.operations import rebuild_states  # noqa: PLC0415 - as above

    clinic = get_clinic_by_slug(SLUG)
    rebuilt = rebuild_states(clinic_id=clinic.id, actor=system_actor("benchmark"), now=NOW)
    if rebuilt.different:
        raise ValueError("The states did not follow from their events.")


def export_tables(units: int) -> None:
    """The export as CSV."""
    _export(units, ["csv"])


def export_fhir(units: int) -> None:
    """The export as FHIR R4 Consent and Provenance."""
    _export(units, ["fhir"])


def export_dpv(units: int) -> None:
    """The export as DPV JSON-LD."""
    _export(units, ["dpv"])


def export_all(units: int) -> None:
    """The export in every form."""
    _export(units, [])


def _export(units: int, forms: list[str]) -> None:
    from backend.audit.actors import system_actor  # noqa: PLC0415 - as above
    from backend.clinics.queries import get_clinic_by_slug  # noqa: PLC0415 - as above
    from backend.consent.export.exporting import export_consents  # noqa: PLC0415 - as above
    from backend.consent.export.selection import Form, Selection  # noqa: PLC0415 - as above
    from backend.policy.vocabulary import Language  # noqa: PLC0415 - as above

    with (Path(sys.argv[2]) / "consents.zip").open("w+b") as file:
        exported = export_consents(
            file,
            clinic_id=get_clinic_by_slug(SLUG).id,
            selection=Selection(),
            forms=[Form(one) for one in forms] or list(Form),
            language=Language.FRENCH,
            actor=system_actor("benchmark"),
            now=NOW,
        )
    # A standard tells a record for each stream, the tables a row for each event.
    if exported.rows.get("events.csv", units) != units or not all(exported.rows.values()):
        raise ValueError("The export does not hold every event.")


if __name__ == "__main__":
    main()
