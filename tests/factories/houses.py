"""A database of its own on the PostgreSQL of the tests, with its owner and the three roles, as the how-to makes it."""

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from backend.audit.roles import Role
from tests.services import postgres_url

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class House:
    """A database of its own with its owner and three roles, prepared and granted as the how-to says."""

    folder: Path
    name: str
    password: str = field(default_factory=lambda: secrets.token_hex(12))

    def role(self, who: str) -> str:
        # A name that has to be quoted, as hosted databases make them.
        return f"{self.name}-{who}"

    def address(self, who: str) -> str:
        admin = urlsplit(postgres_url())
        if who == "admin":
            return urlunsplit(admin._replace(path=f"/{self.name}"))
        server = admin.netloc.rpartition("@")[2]
        return f"postgres://{quote(self.role(who))}:{self.password}@{server}/{self.name}"

    @contextmanager
    def connect(self, who: str) -> Iterator["psycopg.Connection[Any]"]:
        with closing(psycopg.connect(self.address(who), autocommit=True, connect_timeout=5)) as opened:
            yield opened

    def execute(self, who: str, *statements: str) -> None:
        with self.connect(who) as opened:
            for statement in statements:
                opened.execute(statement)

    def value(self, who: str, statement: str, *values: str) -> Any:
        with self.connect(who) as opened:
            row = opened.execute(statement, values or None).fetchone()
            assert row is not None
            return row[0]

    def python(self, who: str, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ACCORD_", "DJANGO_"))}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={
                **kept,
                "DJANGO_SETTINGS_MODULE": "backend.config.settings",
                "ACCORD_DATA_DIR": str(self.folder),
                "ACCORD_SECRET_KEY": "made-up-" * 6,
                "ACCORD_DATABASE_URL": self.address(who),
                **settings,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def manage(self, who: str, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        return self.python(who, "manage.py", *arguments, **settings)

    def serve(self, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """As the processes that serve are configured."""
        sequencer = {"ACCORD_SEQUENCER_DATABASE_URL": self.address("sequencer"), "ACCORD_REQUIRE_ROLES": "yes"}
        return self.python("app", *arguments, **{**sequencer, **settings})

    def grant(self, who: str = "owner", *more: str) -> "subprocess.CompletedProcess[str]":
        names = [word for role in Role for word in (f"--{role}", self.role(role))]
        return self.manage(who, "grant_roles", *names, *more)


def worked(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def _clear_after_killed_runs(admin: "psycopg.Connection[Any]") -> None:
    """A run that was killed leaves its database and its roles."""
    for kind, names in (("DATABASE", "SELECT datname FROM pg_database"), ("ROLE", "SELECT rolname FROM pg_roles")):
        for (name,) in admin.execute(names).fetchall():
            left = re.match(r"accord_roles_(\d+)_", name)
            if left and not Path(f"/proc/{left[1]}").exists() and Path("/proc/self").exists():
                # Another run may be clearing the same.
                with suppress(psycopg.Error):
                    admin.execute(sql.SQL(f"DROP {kind} IF EXISTS {{}}").format(sql.Identifier(name)))


@contextmanager
def a_house(folder: Path) -> Iterator[House]:
    """Make one, prepared and granted, and take it away again. Skips where the PostgreSQL user may not make roles."""
    made = House(folder, f"accord_roles_{os.getpid()}_{secrets.token_hex(3)}")
    with closing(psycopg.connect(postgres_url(), autocommit=True, connect_timeout=5)) as admin:
        allowed = admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        if allowed != (True,):
            pytest.skip("Not run here: tests of database roles (the PostgreSQL user is no superuser)")
        _clear_after_killed_runs(admin)
        everybody = [made.role(who) for who in ("owner", *Role)]
        try:
            for name in everybody:
                admin.execute(
                    sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(made.password))
                )
            owner, database = sql.Identifier(made.role("owner")), sql.Identifier(made.name)
            admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, owner))
            worked(made.manage("owner", "prepare", "--migrate"))
            worked(made.grant())
            yield made
        finally:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(made.name)))
            for name in everybody:
                admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
