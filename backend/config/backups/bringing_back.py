"""Bringing both backups back: into an empty database, or beside SQLite's file; nothing is half-written.

The keys are written under an entry, like everything: the one that says that the log was restored. It is sealed with
keys from the backup itself, so that no guard is lifted.
"""

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections

from backend.audit.actors import Actor
from backend.audit.checks import every_trigger_is_in_the_database
from backend.audit.growing import sequencer_memory
from backend.audit.ledger import ledger
from backend.audit.models import ClinicKey
from backend.audit.recording import forget_log_numbers
from backend.audit.restoring import Restored, add_tombstones, note_restore, replay_destroyed_keys
from backend.config.backups.archive import Archive, BackupRefused, open_archive
from backend.config.backups.databases import (
    empty_postgresql,
    is_empty_postgresql,
    load_postgresql,
    load_sqlite,
)
from backend.config.backups.keys import ArchivedKeys, read_keys, store_keys
from backend.config.backups.taking import DATA, KEYS, schema_of_this_version
from backend.vault.ciphers import Tampered
from backend.vault.keyring import SYSTEM, KeyDestroyed, Keyring, KeyUnavailable, Scope, install, keyring
from backend.vault.providers import EpochDestroyed

RESTORING: Final = "restoring"


@dataclass(frozen=True, slots=True, kw_only=True)
class BroughtBack:
    """What a restore did."""

    restored: Restored
    data_keys: int
    destroyed_again: int
    set_aside: Path | None
    # Of the database that was put aside: what the ledger lacked; None where it could not be read.
    tombstones: int | None


def bring_back(
    data: Path,
    keys: Path,
    *,
    actor: Actor,
    now: datetime,
    replace: bool = False,
    accept_older_keys: bool = False,
    without_ledger: bool = False,
) -> BroughtBack:
    """Restore, then destroy again what was destroyed since. Raises BackupRefused, KeysUnavailable.

    `replace` puts SQLite's present file aside; PostgreSQL's database must be empty. `without_ledger` says that the
    ledger of destroyed keys is lost. Nobody else may be at work there.
    """
    of_data, of_keys = open_archive(data, kind=DATA), open_archive(keys, kind=KEYS)
    _refuse_strangers(of_data, of_keys, accept_older_keys=accept_older_keys)
    with of_keys.content() as content:
        ring = Keyring(provider=keyring().provider, store=ArchivedKeys(read_keys(content)))
    _see_that_they_open(ring)
    if not without_ledger:
        _require_ledger()
    aside: Path | None = None
    learned: int | None = 0
    if connection.vendor == "postgresql":
        restored, count = _into_postgresql(of_data, of_keys, ring, actor=actor, now=now)
    else:
        target = _place_of_sqlite(replace=replace)
        learned = _learn_from(target)
        restored, count, aside = _into_sqlite(of_data, of_keys, ring, target, actor=actor, now=now)
    keyring().clear()
    forget_log_numbers()
    again = replay_destroyed_keys(actor=actor, now=now)
    return BroughtBack(restored=restored, data_keys=count, destroyed_again=again, set_aside=aside, tombstones=learned)


def _require_ledger() -> None:
    """Where Accord ran before there is a ledger: without it, whoever was erased since would be back unnoticed."""
    book = ledger()
    if book.exists():
        return
    ran_before = not sequencer_memory().is_empty()
    if connection.vendor == "sqlite":
        ran_before = ran_before or Path(str(connection.settings_dict["NAME"])).exists()
    if ran_before:
        raise BackupRefused(
            f"The ledger of destroyed keys, {book.path.name}, is not there, although Accord ran here before: see "
            "ACCORD_DESTROYED_KEYS_FILE. Bring its newest copy back: without it, whoever was erased since the backup "
            "would be readable again. If there is no copy left: --without-ledger."
        )


def _refuse_strangers(of_data: Archive, of_keys: Archive, *, accept_older_keys: bool) -> None:
    if of_data.about.database != connection.vendor:
        raise BackupRefused(
            f"{of_data.path.name} is of a {of_data.about.database} database; ACCORD_DATABASE_URL names one of "
            f"{connection.vendor}."
        )
    for archive in (of_data, of_keys):
        if archive.about.schema != schema_of_this_version():
            raise BackupRefused(
                f"{archive.path.name} was taken by another version of Accord: restore it with that one, then upgrade."
            )
    if of_data.about.origin != of_keys.about.origin:
        raise BackupRefused(f"{of_keys.path.name} and {of_data.path.name} are of two different installations.")
    if of_keys.about.taken_at < of_data.about.taken_at and not accept_older_keys:
        raise BackupRefused(
            f"{of_keys.path.name} is older than {of_data.path.name}: whoever was entered between them could not be "
            "read. Take a newer backup of the keys; or, should there be none, --accept-older-keys."
        )


def _see_that_they_open(ring: Keyring) -> None:
    """Before anything is written: does the topmost key that is here open these keys?"""
    try:
        ring.current(clinic_id=SYSTEM, scope=Scope.WRITER_MAC)
        ring.current(clinic_id=SYSTEM, scope=Scope.CLINIC)
    except EpochDestroyed as error:
        raise BackupRefused(f"{error} Give a backup of the keys that is newer than the last rotation.") from error
    except Tampered as error:
        raise BackupRefused(f"{ring.provider.describe()} is not the one that these keys were wrapped with.") from error
    except (KeyUnavailable, KeyDestroyed) as error:
        raise BackupRefused("The backup of the keys lacks those of the system: it is not whole.") from error


def _into_postgresql(
    of_data: Archive, of_keys: Archive, ring: Keyring, *, actor: Actor, now: datetime
) -> tuple[Restored, int]:
    if not is_empty_postgresql(connection):
        raise BackupRefused(
            "The database that ACCORD_DATABASE_URL names is not empty: make a new one, and name that one."
        )
    # The tool comes over a connection of its own.
    connection.close()
    with of_data.content() as content:
        load_postgresql(connection, content)
    try:
        found = _take_up(of_keys, ring, using=DEFAULT_DB_ALIAS, actor=actor, now=now)
    except BaseException as error:
        try:
            connection.close()
            empty_postgresql(connection)
        except DatabaseError:
            raise BackupRefused(
                f"The data was restored, its keys were not ({error}): make a new, empty database and try again."
            ) from error
        raise
    connection.close()
    return found


def _place_of_sqlite(*, replace: bool) -> Path:
    target = Path(str(connection.settings_dict["NAME"]))
    connection.close()
    if target.exists() and not replace:
        raise BackupRefused(f"{target.name} is there already: --replace puts it aside.")
    return target


def _learn_from(target: Path) -> int | None:
    """Before a database is put aside: the tombstones it holds belong in the ledger. None where it can not be read."""
    if not target.exists():
        return 0
    try:
        return add_tombstones()
    except DatabaseError:
        # A damaged file is put aside as it is.
        return None
    finally:
        connection.close()


def _into_sqlite(
    of_data: Archive, of_keys: Archive, ring: Keyring, target: Path, *, actor: Actor, now: datetime
) -> tuple[Restored, int, Path | None]:
    draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        with of_data.content() as content:
            load_sqlite(draft, content)
        with _as_database(draft):
            restored, count = _take_up(of_keys, ring, using=RESTORING, actor=actor, now=now)
        _settle(draft)
        aside = _put_in_place(draft, target, now=now)
    except (OSError, sqlite3.Error) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise BackupRefused(f"{target.name} can not be written ({why}): nothing was restored.") from error
    finally:
        for left in (draft, *(draft.with_name(draft.name + end) for end in ("-wal", "-shm", "-journal"))):
            with suppress(OSError):
                left.unlink(missing_ok=True)
    return restored, count, aside


def _take_up(of_keys: Archive, ring: Keyring, *, using: str, actor: Actor, now: datetime) -> tuple[Restored, int]:
    """Bring the keys back under the entry that says so, and see that every guard stands."""
    if ClinicKey.objects.using(using).exists():
        raise BackupRefused("The backup of the data holds keys: it was not made by manage.py backup_data.")
    counted: list[int] = []

    def bring_keys() -> None:
        with of_keys.content() as content:
            counted.append(store_keys(read_keys(content), using=using))

    before = keyring()
    install(ring)
    try:
        restored = note_restore(actor=actor, now=now, using=using, bring=bring_keys)
    finally:
        install(before)
        forget_log_numbers()
    for complaint in every_trigger_is_in_the_database(databases=[using]):
        raise BackupRefused(f"The restored database lacks a guard: {complaint.msg}")
    return restored, counted[0]


@contextmanager
def _as_database(path: Path) -> Iterator[None]:
    """Django's second database, for as long as this takes."""
    connections.databases[RESTORING] = {**connections.databases[DEFAULT_DB_ALIAS], "NAME": str(path)}
    try:
        yield
    finally:
        connections[RESTORING].close()
        with suppress(AttributeError):
            del connections[RESTORING]
        del connections.databases[RESTORING]


def _settle(path: Path) -> None:
    """One file, with nothing beside it, written through."""
    database = sqlite3.connect(path)
    try:
        database.execute("PRAGMA journal_mode = DELETE")
    finally:
        database.close()
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put_in_place(draft: Path, target: Path, *, now: datetime) -> Path | None:
    aside: Path | None = None
    if target.exists():
        aside = target.with_name(f"{target.name}.before-{now:%Y%m%dT%H%M%SZ}")
        old = sqlite3.connect(target, timeout=2)
        try:
            # What stands beside the old file would be taken for the new one's.
            settled = old.execute("PRAGMA journal_mode = DELETE").fetchone()
        except sqlite3.OperationalError:
            settled = None
        except sqlite3.DatabaseError:
            # A damaged file is put aside as it is.
            settled = ("delete",)
        finally:
            old.close()
        if settled != ("delete",):
            raise BackupRefused(f"{target.name} is in use: stop Accord first.")
        os.link(target, aside)
    for end in ("-wal", "-shm", "-journal"):
        target.with_name(target.name + end).unlink(missing_ok=True)
    draft.replace(target)
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return aside
