"""Databases that are there for one run: a file each on SQLite, a fresh database each on PostgreSQL."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

VARIABLE: Final = "ACCORD_TEST_POSTGRES_URL"
WAIT_SECONDS: Final = 3
OLDEST_POSTGRES: Final = 150000


def say(*words: object) -> None:
    """Tell whoever watches; stdout belongs to the result."""
    print(*words, file=sys.stderr, flush=True)


def server() -> str | None:
    """The PostgreSQL server on which databases may be made; None, and a word about it, where there is none."""
    named = os.environ.get(VARIABLE) or "postgres://postgres@127.0.0.1:5432/postgres"
    scheme, _, rest = named.partition("://")
    address = f"postgres://{rest}" if scheme in {"postgres", "postgresql"} else named
    try:
        with psycopg.connect(address, connect_timeout=WAIT_SECONDS) as connection:
            if connection.info.server_version >= OLDEST_POSTGRES:
                return address
    except psycopg.Error:
        pass
    say(f"PostgreSQL is left out: no server of version 15 or newer answers (set {VARIABLE}).")
    return None


@contextmanager
def sqlite_file(folder: Path, name: str) -> Iterator[str]:
    """The address of a file of its own; the folder goes with the run."""
    yield f"sqlite:///{quote(str(folder / f'{name}.sqlite3').lstrip('/'))}"


@contextmanager
def postgres_database(address: str, name: str) -> Iterator[str]:
    """The address of a fresh database, which is dropped afterwards."""
    own = f"accord_bench_{os.getpid()}_{name}"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(own)))
    try:
        yield urlunsplit(urlsplit(address)._replace(path=f"/{own}"))
    finally:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(own)))
