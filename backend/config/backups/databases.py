"""The data of a database without its wrapped keys: by PostgreSQL's own tools, or by SQLite's backup interface."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from backend.audit.guard import POSTGRESQL_BODIES
from backend.audit.models import ClinicKey, DataKey
from backend.config.backups.archive import PIECE, BackupRefused

KEY_TABLES: Final = tuple(model._meta.db_table for model in (ClinicKey, DataKey))  # noqa: SLF001 - Django's own API


def dump_postgresql(connection: BaseDatabaseWrapper) -> Iterator[bytes]:
    """`pg_dump` in its own format, everything but the rows of the key tables, as it is at one moment."""
    without_keys = [f"--exclude-table-data=public.{table}" for table in KEY_TABLES]
    command = [_tool("pg_dump"), "--format=custom", "--no-owner", "--no-privileges", "--no-comments", *without_keys]
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(command, env=_environment(connection), stdout=subprocess.PIPE, stderr=complaints)  # noqa: S603 - our own command
        try:
            if process.stdout is not None:
                while piece := process.stdout.read(PIECE):
                    yield piece
            if process.wait():
                raise BackupRefused(f"pg_dump ended with an error: {_last_line(complaints)}")
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def load_postgresql(connection: BaseDatabaseWrapper, content: IO[bytes]) -> None:
    """`pg_restore` in one transaction: all of it or nothing. Triggers come after the data, as they were dumped."""
    command = [_tool("pg_restore"), "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
    command += ["--dbname", str(connection.settings_dict["NAME"])]
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            env=_environment(connection),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
        )
        try:
            if process.stdin is not None:
                with process.stdin as pipe:
                    shutil.copyfileobj(content, pipe, PIECE)
        except BrokenPipeError:
            # It ended early, and says why.
            pass
        finally:
            status = process.wait()
        if status:
            raise BackupRefused(f"pg_restore ended with an error, nothing was restored: {_last_line(complaints)}")


def is_empty_postgresql(connection: BaseDatabaseWrapper) -> bool:
    """Is there nothing in the schema yet?"""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = 'public' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass "
            "AND d.objid = c.oid AND d.deptype = 'e'))"
        )
        return bool(cursor.fetchone()[0])


def empty_postgresql(connection: BaseDatabaseWrapper) -> None:
    """Take away again what was just restored into a database that had been empty."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f"DROP TABLE IF EXISTS public.{connection.ops.quote_name(table)} CASCADE")
        for function in POSTGRESQL_BODIES:
            cursor.execute(f"DROP FUNCTION IF EXISTS public.{function}()")


def dump_sqlite(connection: BaseDatabaseWrapper) -> Iterator[bytes]:
    """A copy of the file as it is at one moment, without the rows of the key tables nor what deleting them leaves."""
    with tempfile.TemporaryDirectory(prefix="accord-backup-") as folder:
        path = Path(folder) / "copy.sqlite3"
        copy = sqlite3.connect(path)
        try:
            connection.ensure_connection()
            connection.connection.backup(copy)
            _take_keys_out(copy)
        except sqlite3.Error as error:
            raise BackupRefused(f"The database can not be copied to {folder}, see TMPDIR ({error}).") from error
        finally:
            copy.close()
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece


def load_sqlite(path: Path, content: IO[bytes]) -> None:
    """The file again, at a place where there is none."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        shutil.copyfileobj(content, file, PIECE)
    restored = sqlite3.connect(path)
    try:
        sound = restored.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.DatabaseError as error:
        raise BackupRefused("The backup of the data holds no database.") from error
    finally:
        restored.close()
    if sound != ("ok",):
        raise BackupRefused("The database in the backup of the data is damaged.")


def _take_keys_out(copy: sqlite3.Connection) -> None:
    # Nobody works on the copy. Its guards are lifted for these two tables, and stand again before anybody will.
    marks = ", ".join("?" * len(KEY_TABLES))
    triggers = copy.execute(
        f"SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ({marks})",  # noqa: S608 - question marks
        KEY_TABLES,
    ).fetchall()
    for name, _sql in triggers:
        copy.execute(f'DROP TRIGGER "{name}"')
    for table in KEY_TABLES:
        copy.execute(f'DELETE FROM "{table}"')  # noqa: S608 - our own names
    for _name, sql in triggers:
        copy.execute(sql)
    copy.commit()
    copy.execute("PRAGMA journal_mode = DELETE")
    # What was deleted lies in free pages until the file is written anew.
    copy.execute("VACUUM")


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise BackupRefused(f"{name} is not installed here: it comes with PostgreSQL's client (postgresql-client).")
    return found


def _environment(connection: BaseDatabaseWrapper) -> Mapping[str, str]:
    """How the tools learn where the database is. A password in their arguments could be seen by everybody."""
    settings: Mapping[str, Any] = connection.settings_dict
    given = {
        "PGHOST": settings["HOST"],
        "PGPORT": str(settings["PORT"]),
        "PGUSER": settings["USER"],
        "PGPASSWORD": settings["PASSWORD"],
        "PGDATABASE": str(settings["NAME"]),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    return kept | {name: value for name, value in given.items() if value}


def _last_line(complaints: IO[bytes]) -> str:
    complaints.seek(0)
    lines = complaints.read(1 << 16).decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing."
