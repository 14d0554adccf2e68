"""Typed readers for settings: environment in, a value or a loud refusal out.

Each setting is declared once, by calling a reader in settings.py; the declarations are what `manage.py
settings_reference` prints. `NAME_FILE` may hold the path of a file with the value instead of `NAME` (secrets mounted as
files).
"""

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

PREFIX: Final = "ACCORD_"
BASE_DIR: Final = Path(__file__).resolve().parent.parent.parent
HIGHEST_PORT: Final = 65_535
SHORTEST_SECRET: Final = 32
WITH_HOST: Final = frozenset({"http", "https", "smtp"})
POSTGRESQL: Final = "django.db.backends.postgresql"
TRUE: Final = frozenset({"1", "true", "yes", "on"})
FALSE: Final = frozenset({"0", "false", "no", "off"})


class SettingRefused(Exception):
    """A setting is missing or can not be read; the sentence names it and what it should look like."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One setting, as the reference lists it."""

    name: str
    kind: str
    default: str
    meaning: str


DECLARED: Final[dict[str, Declared]] = {}


def _raw(name: str, *, kind: str, default: str, meaning: str) -> str | None:
    full = PREFIX + name
    DECLARED[full] = Declared(full, kind, default, meaning)
    given, path = os.environ.get(full), os.environ.get(f"{full}_FILE")
    if given is not None and path is not None:
        raise SettingRefused(f"{full} and {full}_FILE are both set: keep one of them.")
    if path is not None:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingRefused(f"{full}_FILE names a file that can not be read ({error.strerror}).") from error
        except UnicodeDecodeError as error:
            raise SettingRefused(f"{full}_FILE names a file that holds no text in UTF-8.") from error
    return given


def is_given(name: str) -> bool:
    """Is this setting in the environment, itself or as a file?"""
    return bool(os.environ.get(PREFIX + name) or os.environ.get(f"{PREFIX}{name}_FILE"))


def give(name: str, value: str) -> None:
    """Put a setting into the environment for this process and those it starts, in place of what is there."""
    os.environ.pop(f"{PREFIX}{name}_FILE", None)
    os.environ[PREFIX + name] = value


def text(name: str, *, default: str = "", meaning: str, shown: str | None = None) -> str:
    """A text; `shown` replaces the default in the reference."""
    value = _raw(name, kind="text", default=shown if shown is not None else default, meaning=meaning)
    return default if value is None else value


def flag(name: str, *, default: bool, meaning: str) -> bool:
    """Yes or no; anything else is refused."""
    value = _raw(name, kind="yes/no", default="yes" if default else "no", meaning=meaning)
    if value is None:
        return default
    if value.lower() in TRUE:
        return True
    if value.lower() in FALSE:
        return False
    raise SettingRefused(f"{PREFIX}{name} must be yes or no, not what it holds now.")


def whole(name: str, *, default: int, at_least: int = 0, at_most: int | None = None, meaning: str) -> int:
    """A whole number, not below `at_least` nor above `at_most`."""
    value = _raw(name, kind="number", default=str(default), meaning=meaning)
    if value is None:
        return default
    try:
        number = int(value)
    except ValueError as error:
        raise SettingRefused(f"{PREFIX}{name} must be a whole number.") from error
    if number < at_least:
        raise SettingRefused(f"{PREFIX}{name} must be {at_least} or more.")
    if at_most is not None and number > at_most:
        raise SettingRefused(f"{PREFIX}{name} must be {at_most} or less.")
    return number


def listed(name: str, *, default: tuple[str, ...] = (), meaning: str) -> list[str]:
    """Several texts, separated by commas."""
    value = _raw(name, kind="list", default=", ".join(default), meaning=meaning)
    if value is None:
        return list(default)
    found = [part.strip() for part in value.split(",") if part.strip()]
    if not found:
        raise SettingRefused(f"{PREFIX}{name} is empty: name one or more, separated by commas, or do not set it.")
    return found


def folder(name: str, *, default: Path, shown: str, meaning: str) -> Path:
    """A folder; it need not exist yet."""
    value = _raw(name, kind="folder", default=shown, meaning=meaning)
    try:
        return Path(value).expanduser().resolve() if value else default
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingRefused(f"{PREFIX}{name} is no path that can be used.") from error


def choice(name: str, *, default: str, among: tuple[str, ...], meaning: str) -> str:
    """One of a few words."""
    value = _raw(name, kind=" | ".join(among), default=default, meaning=meaning)
    if value is None:
        return default
    if value not in among:
        raise SettingRefused(f"{PREFIX}{name} must be one of: {', '.join(among)}.")
    return value


def url(name: str, *, default: str = "", schemes: tuple[str, ...], meaning: str, shown: str | None = None) -> str:
    """An address whose scheme is one of `schemes`; empty where there is none."""
    value = _raw(name, kind="address", default=shown if shown is not None else default, meaning=meaning)
    if not value:
        return default
    # What urllib says quotes what it read, which can be a password: the sentences here quote nothing.
    try:
        parts = urlsplit(value)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise SettingRefused(f"{PREFIX}{name} can not be read as an address: look at its host and its port.") from None
    if parts.scheme not in schemes:
        raise SettingRefused(
            f"{PREFIX}{name} must be an address that starts with {' or '.join(s + '://' for s in schemes)}."
        )
    if parts.scheme in WITH_HOST and not host:
        raise SettingRefused(f"{PREFIX}{name} names no host: it looks like {parts.scheme}://host.")
    return value


def data_folder() -> Path:
    """Where everything lies that has no server of its own. Read by bin/serve and bin/demo, too."""
    return folder(
        "DATA_DIR",
        default=BASE_DIR / "var",
        shown="var/",
        meaning="Folder for the embedded database, keys and sandbox.",
    )


def port() -> int:
    """Where bin/serve listens."""
    return whole("PORT", default=8000, at_least=1, at_most=HIGHEST_PORT, meaning="The port bin/serve listens on.")


def call_seconds() -> int:
    """How long one call to a carrier may take; bin/serve gives a worker that long to stop."""
    return whole(
        "CALL_SECONDS",
        default=10,
        at_least=1,
        meaning="The whole time one call to a carrier may take. The lease must be three seconds longer, or more.",
    )


def made_folder(path: Path) -> Path:
    """The data folder, made where it is not there yet, readable by its owner only."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingRefused(f"{PREFIX}DATA_DIR names a folder that can not be made ({error.strerror}).") from error
    return path


def kept_secret(path: Path) -> str:
    """A secret of this installation's own: made once, readable by its owner only."""
    try:
        if not path.exists():
            # A link, not a rename: of two processes that start at once, one wins and the other reads what it made.
            draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
            draft.touch(mode=0o600)
            try:
                draft.write_text(secrets.token_urlsafe(48), encoding="utf-8")
                with suppress(FileExistsError):
                    path.hardlink_to(draft)
            finally:
                draft.unlink()
        found = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingRefused(
            f"The file {path.name} in {PREFIX}DATA_DIR can not be made or read ({error.strerror})."
        ) from error
    if len(found) < SHORTEST_SECRET:
        raise SettingRefused(f"The file {path.name} in {PREFIX}DATA_DIR is too short: remove it, a new one is made.")
    return found


def database(address: str, *, data_dir: Path) -> Mapping[str, object]:
    """Django's description of a database, from an address such as `postgres://user:secret@host:5432/name`."""
    if not address:
        return _sqlite(data_dir / "accord.sqlite3")
    parts = urlsplit(address)  # `url` has seen that it can be read.
    if parts.scheme == "sqlite":
        return _sqlite(Path(unquote(parts.path)))
    if not parts.path.strip("/"):
        raise SettingRefused(f"{PREFIX}DATABASE_URL names no database: it ends with /name.")
    return {
        "ENGINE": POSTGRESQL,
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 5,
            # Lets `record` prepare its one statement; Django's own cursors prepare none. A pooler in transaction mode
            # has to know prepared statements (PgBouncer from 1.21 on).
            "prepare_threshold": 5,
            "options": "-c idle_in_transaction_session_timeout=60000 -c lock_timeout=10000",
        },
    }


def sequencer_database(address: str, *, default: Mapping[str, object]) -> Mapping[str, object]:
    """The same database as another user: the one that writes the log's tree."""
    parts = urlsplit(address)  # `url` has seen that it can be read.
    if default["ENGINE"] != POSTGRESQL or unquote(parts.path.lstrip("/")) != default["NAME"]:
        raise SettingRefused(
            f"{PREFIX}SEQUENCER_DATABASE_URL is the database of {PREFIX}DATABASE_URL (PostgreSQL) with another user."
        )
    # Tests make no second database for it.
    return {**database(address, data_dir=BASE_DIR), "TEST": {"MIRROR": "default"}}


def _sqlite(path: Path) -> Mapping[str, object]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": {
            # A writer takes its lock at the first statement: two of them wait in line instead of failing half-way.
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            # The log appends to several trees at once: moved into the file every 16 MB, a page that changes often is
            # written once.
            "init_command": (
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; "
                "PRAGMA wal_autocheckpoint=4000;"
            ),
        },
    }
