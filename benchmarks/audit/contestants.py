"""Who takes part, with which apps and settings, and what each does and does not do.

Every contestant writes the same columns with the same Django, driver, server, durability and SQLite pragmas, which are
those of Accord's own settings. A write is one `save` in one transaction. Peers are set up as their documentation says
for production, in the cheapest way that it allows.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

# Rows of one batch, which is one transaction.
BATCH: Final = 500
SQLITE: Final = "sqlite"
POSTGRES: Final = "postgres"
KEPT: Final = frozenset({"DEFAULT_AUTO_FIELD", "SECRET_KEY", "TIME_ZONE", "USE_TZ"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One way of writing rows. `package` holds its models and, in `lane`, its tasks."""

    name: str
    package: str
    apps: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    vendors: tuple[str, ...] = (SQLITE, POSTGRES)


CONTESTANTS: Final = {
    contestant.name: contestant
    for contestant in (
        # Accord: the entry first, encrypted under the patient's key, MAC and guards on, the entry table append-only;
        # it names actor, patient, request and what was done. It keeps no copy of the old and new values of a row:
        # consent events are themselves never changed, and the entry names them.
        Contestant(name="accord", package="benchmarks.audit.sealed", apps=("backend.audit.apps.AuditConfig",)),
        # Django alone: the same row, no entry at all.
        Contestant(name="unaudited", package="benchmarks.audit.plain", apps=()),
        # django-auditlog: an entry in clear text with the old and new value of each column, by signals; the actor by
        # its own context, which is opened once for each round. It does not notice bulk_create and QuerySet.update, so
        # a batch is saved row by row. Entries can be changed and deleted.
        Contestant(
            name="auditlog",
            package="benchmarks.audit.auditlogged",
            apps=("django.contrib.contenttypes", "django.contrib.auth", "auditlog"),
        ),
        # django-pghistory: a copy of each new version of a row in clear text, by triggers, with the actor in a context
        # of its own for each action, as its middleware opens one for each request. It does not record reading.
        # Entries can be changed and deleted.
        Contestant(
            name="pghistory",
            package="benchmarks.audit.tracked",
            apps=("pgtrigger", "pghistory"),
            vendors=(POSTGRES,),
        ),
        # No ORM, no guard, no check: rows by executemany or COPY; and with entries of the same bytes as Accord's, which
        # are sealed in the shortest way that there is.
        Contestant(name="raw", package="benchmarks.audit.raw", apps=()),
    )
}


def settings_of(contestant: Contestant, *, database_url: str, folder: Path) -> dict[str, Any]:
    """The settings of a contestant's process: Accord's own, but for the apps."""
    os.environ |= {"ACCORD_DATABASE_URL": database_url, "ACCORD_DATA_DIR": str(folder)}
    from backend.config import settings  # noqa: PLC0415 - it reads the environment when it is imported

    kept = {name: value for name, value in vars(settings).items() if name in KEPT or name.startswith("ACCORD_")}
    return {
        **kept,
        "DATABASES": {"default": settings.DATABASES["default"]},
        "INSTALLED_APPS": [*contestant.apps, contestant.package],
        **contestant.settings,
    }
