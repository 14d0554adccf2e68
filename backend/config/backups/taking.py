"""Taking both backups. The data first: the keys must be no older than what they are to open."""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader

from backend.audit.actors import Actor
from backend.audit.models import AuditLog
from backend.audit.recording import Outcome
from backend.audit.restoring import note_backup, reconcile_ledger
from backend.config.backups.archive import About, BackupRefused, write_archive
from backend.config.backups.databases import dump_postgresql, dump_sqlite
from backend.config.backups.keys import dump_keys
from backend.vault.keyring import SYSTEM

DATA, KEYS = "data", "keys"


def take_data(path: Path, *, actor: Actor, now: datetime) -> int:
    """Everything but the wrapped keys, into one file; its size. Raises BackupRefused."""
    about = _about(DATA, now)
    content = dump_postgresql(connection) if connection.vendor == "postgresql" else dump_sqlite(connection)
    return _taken(path, about, content, actor=actor, now=now)


def take_keys(path: Path, *, actor: Actor, now: datetime) -> int:
    """The wrapped keys, into one file; its size. Raises BackupRefused, and KeysRevived: such keys are not kept."""
    about = _about(KEYS, now)
    reconcile_ledger()
    return _taken(path, about, dump_keys(), actor=actor, now=now)


def _taken(path: Path, about: About, content: Iterable[bytes], *, actor: Actor, now: datetime) -> int:
    """The archive, and its entry: once it is written, before anybody finds it. One that failed is recorded as such."""

    def note() -> None:
        note_backup(about.kind, actor=actor, now=now)

    try:
        return write_archive(path, about, content, written=note)
    except BackupRefused:
        # Where the database is on the full disk, too, the command's own sentence must do.
        with suppress(DatabaseError):
            note_backup(about.kind, actor=actor, now=now, outcome=Outcome.ERROR)
        raise


def _about(kind: str, now: datetime) -> About:
    origin = AuditLog.objects.filter(clinic_id=SYSTEM).values_list("origin", flat=True).first()
    if origin is None:
        raise BackupRefused("There is nothing to back up yet: run manage.py prepare first.")
    return About(
        kind=kind, schema=schema_of_this_version(), taken_at=now, database=connection.vendor, origin=str(origin)
    )


def schema_of_this_version() -> str:
    """Stands for the tables as this version of Accord has them: the last migration of each part."""
    newest = MigrationLoader(None).graph.leaf_nodes()
    return hashlib.sha256("\n".join(f"{app}.{name}" for app, name in sorted(newest)).encode()).hexdigest()
