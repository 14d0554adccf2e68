"""What the suite runs on: which database, which servers are there, and what was left out because one is not.

A pytest plugin, loaded by `-p tests.services` (pyproject.toml) before Django reads its settings. A test says what it
needs with a marker (`needs_postgres`, `needs_redis`, `needs_rabbitmq`, `needs_browser`, `needs_data`) or by asking for
one of the fixtures below. Where the server is missing the test is skipped and the summary says so in a sentence;
`ACCORD_TEST_REQUIRE=postgres,redis,...` turns the skip into a failure.

`python -m tests.services postgres` tells bin/test whether a server can be reached: exit code 0, or 1 and the reason.
"""

import atexit
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import pytest

PREFIX: Final = "ACCORD_TEST_"
WAIT_SECONDS: Final = 3
OLDEST_POSTGRES: Final = 150000
CHROMIUM_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MARK_OF_A_SKIP: Final = "Not run here: "


# ------------------------------------------------------------------------------------------------ where things are


def postgres_url() -> str:
    """The PostgreSQL server on which tests may create databases."""
    return _normal_postgres(os.environ.get(f"{PREFIX}POSTGRES_URL") or "postgres://postgres@127.0.0.1:5432/postgres")


def redis_url() -> str:
    """The Redis database that tests may use; they clean up only what they put there."""
    return os.environ.get(f"{PREFIX}REDIS_URL") or "redis://127.0.0.1:6379/0"


def rabbitmq_url() -> str:
    """The RabbitMQ virtual host that tests may use."""
    return os.environ.get(f"{PREFIX}RABBITMQ_URL") or "amqp://guest:guest@127.0.0.1:5672//"


def chromium_path() -> str | None:
    """The browser that is installed here, if one is."""
    return next((found for name in CHROMIUM_NAMES if (found := shutil.which(name))), None)


def data_folder() -> Path | None:
    """The folder with third-party data, if ACCORD_TEST_DATA names one."""
    named = os.environ.get(f"{PREFIX}DATA")
    return Path(named).resolve() if named else None


def chromium_launch_arguments() -> dict[str, object]:
    """What Playwright has to be told to start the browser of this machine instead of one it downloaded."""
    # A root account (containers, CI) can not use Chromium's own sandbox; the pages under test are ours.
    switches = ["--no-sandbox"] if os.geteuid() == 0 else []
    return {"executable_path": chromium_path(), "args": [*switches, "--disable-dev-shm-usage"]}


def database_url() -> str:
    """The address of the database that the running test uses, to hand to another process."""
    from django.db import connection  # noqa: PLC0415 - Django is configured only after this module was loaded

    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{quote(str(settings['NAME']).lstrip('/'))}"
    return with_database(postgres_url(), str(settings["NAME"]))


def _normal_postgres(address: str) -> str:
    """`postgresql://` and `postgres://` mean the same."""
    scheme, _, rest = address.partition("://")
    return f"postgres://{rest}" if scheme in {"postgres", "postgresql"} else address


def with_database(address: str, name: str) -> str:
    parts = urlsplit(address)
    return urlunsplit(parts._replace(path=f"/{quote(name)}"))


# ------------------------------------------------------------------------------------------------- is it reachable?


def _postgres_missing() -> str | None:
    import psycopg  # noqa: PLC0415 - slow to load, and most runs never need it

    install = "start PostgreSQL 15 or newer, or set ACCORD_TEST_POSTGRES_URL"
    try:
        with psycopg.connect(postgres_url(), connect_timeout=WAIT_SECONDS) as connection:
            if connection.info.server_version < OLDEST_POSTGRES:
                return f"the PostgreSQL server is older than 15: {install}"
            allowed = connection.execute("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user")
            if allowed.fetchone() != (True,):
                return f"the PostgreSQL user may not create databases: {install}"
    except psycopg.Error:
        return f"no PostgreSQL server answers: {install}"
    return None


def _redis_missing() -> str | None:
    import redis  # noqa: PLC0415 - slow to load, and most runs never need it
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    once = Retry(NoBackoff(), 0)
    try:
        with redis.Redis.from_url(
            redis_url(), socket_timeout=WAIT_SECONDS, socket_connect_timeout=WAIT_SECONDS, retry=once
        ) as server:
            server.ping()
    except (redis.RedisError, OSError):
        return "no Redis server answers: start Redis or Valkey, or set ACCORD_TEST_REDIS_URL"
    return None


def _rabbitmq_missing() -> str | None:
    import amqp  # noqa: PLC0415 - slow to load, and most runs never need it

    parts = urlsplit(rabbitmq_url())
    host = f"{parts.hostname or '127.0.0.1'}:{parts.port or 5672}"
    try:
        with amqp.Connection(
            host,
            userid=unquote(parts.username or "guest"),
            password=unquote(parts.password or "guest"),
            virtual_host=unquote(parts.path[1:]) or "/",
            connect_timeout=WAIT_SECONDS,
        ):
            pass
    except (amqp.exceptions.AMQPError, OSError):
        return "no RabbitMQ server answers: start RabbitMQ, or set ACCORD_TEST_RABBITMQ_URL"
    return None


def _browser_missing() -> str | None:
    return None if chromium_path() else "no Chromium found: apt-get install chromium"


def _data_missing() -> str | None:
    folder = data_folder()
    if folder is None:
        return "ACCORD_TEST_DATA names no folder with the third-party data"
    return None if folder.is_dir() else "the folder that ACCORD_TEST_DATA names is not there"


PARTS: Final[dict[str, tuple[str, Callable[[], str | None]]]] = {
    "postgres": ("PostgreSQL tests", _postgres_missing),
    "redis": ("Redis tests", _redis_missing),
    "rabbitmq": ("RabbitMQ tests", _rabbitmq_missing),
    "browser": ("browser tests", _browser_missing),
    "data": ("tests on third-party data", _data_missing),
}


@cache
def missing(part: str) -> str | None:
    """Why a part of the suite can not run here, in words that say what to do; None when it can."""
    return PARTS[part][1]()


def required() -> frozenset[str]:
    """The parts whose absence is a failure; an unknown word is refused, so that a typing error hides nothing."""
    asked = frozenset(filter(None, (word.strip() for word in os.environ.get(f"{PREFIX}REQUIRE", "").split(","))))
    if unknown := asked - PARTS.keys():
        raise pytest.UsageError(
            f"ACCORD_TEST_REQUIRE knows {', '.join(sorted(PARTS))}; not {', '.join(sorted(unknown))}."
        )
    return asked


def need(part: str) -> None:
    """Go on where the part can run; skip the test where it can not, or fail it where the part is required."""
    if reason := missing(part):
        if part in required():
            pytest.fail(f"ACCORD_TEST_REQUIRE asks for {part}, but {reason}", pytrace=False)
        pytest.skip(f"{MARK_OF_A_SKIP}{PARTS[part][0]} ({reason})")


# ------------------------------------------------------------------------------------- before Django is configured


def _is_worker() -> bool:
    """Is this one of the processes that pytest-xdist started?"""
    return "PYTEST_XDIST_WORKER" in os.environ


def _prepare_environment() -> None:
    """Nothing from the shell of whoever runs the tests reaches the settings; the suite brings its own."""
    chosen = os.environ.get(f"{PREFIX}DATABASE") or "sqlite"
    if chosen not in {"sqlite", "postgres"}:
        raise pytest.UsageError("ACCORD_TEST_DATABASE is sqlite or postgres.")
    if chosen == "postgres" and (reason := missing("postgres")):
        raise pytest.UsageError(f"ACCORD_TEST_DATABASE asks for PostgreSQL, but {reason}.")
    required()
    for name in [name for name in os.environ if name.startswith("ACCORD_") and not name.startswith(PREFIX)]:
        del os.environ[name]
    folder = Path(tempfile.mkdtemp(prefix="accord-tests-"))
    atexit.register(_remove, folder, owner=os.getpid())
    os.environ["ACCORD_DATA_DIR"] = str(folder / "data")
    (folder / "data").mkdir()
    if chosen == "postgres":
        # Each run has databases of its own, named after its first process, so that two runs never meet.
        run = os.environ.setdefault(f"{PREFIX}RUN", str(os.getpid()))
        if not _is_worker():
            _drop_databases_of_dead_runs()
        os.environ["ACCORD_DATABASE_URL"] = with_database(postgres_url(), f"accord_{run}")
    else:
        os.environ["ACCORD_DATABASE_URL"] = f"sqlite:///{quote(str(folder / 'data' / 'accord.sqlite3').lstrip('/'))}"
    # Playwright's synchronous interface runs an event loop in the thread of the test; our code is not asynchronous.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"


def _remove(folder: Path, *, owner: int) -> None:
    """A test may fork; only the process that made the folder takes it away."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _drop_databases_of_dead_runs() -> None:
    """A run that was killed leaves its databases; the next one clears them, unless somebody is connected."""
    import psycopg  # noqa: PLC0415 - slow to load, and most runs never need it
    from psycopg import sql  # noqa: PLC0415

    with psycopg.connect(postgres_url(), connect_timeout=WAIT_SECONDS, autocommit=True) as connection:
        found = connection.execute(r"SELECT datname FROM pg_database WHERE datname ~ '^test_accord_\d+(_gw\d+)?$'")
        for (name,) in found.fetchall():
            process = int(name.split("_")[2])
            if not Path(f"/proc/{process}").exists() and Path("/proc/self").exists():
                try:
                    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
                except psycopg.Error:
                    continue


# ------------------------------------------------------------------------------------------------- hooks of pytest


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Tests may reach the servers that were named, and the SQLite suite works on a real file."""
    hosts = {urlsplit(address()).hostname for address in (postgres_url, redis_url, rabbitmq_url)} - {None}
    allowed = str(config.getoption("--allow-hosts", default="") or "")
    if allowed:
        config.option.allow_hosts = ",".join(dict.fromkeys([*allowed.split(","), *sorted(filter(None, hosts))]))
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        from django.db import connection  # noqa: PLC0415 - only now is Django configured

        if connection.vendor == "sqlite":
            # Write-ahead log, waiting writers and several processes exist only in a file, not in memory.
            connection.settings_dict["TEST"]["NAME"] = str(Path(os.environ["ACCORD_DATA_DIR"]) / "test.sqlite3")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test that needs what is not here is skipped before any of its fixtures starts."""
    for part in PARTS:
        if item.get_closest_marker(f"needs_{part}"):
            need(part)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In bin/test's second round, leave out what the first has run and no database can change."""
    if not os.environ.get(f"{PREFIX}AGAIN"):
        return
    again = [item for item in items if _depends_on_database(item)]
    left = [item for item in items if not _depends_on_database(item)]
    items[:] = again
    config.hook.pytest_deselected(items=left)


def _depends_on_database(item: pytest.Item) -> bool:
    """Does it open the database of the run, or speak of it at all? In doubt, yes."""
    fixtures = set(getattr(item, "fixturenames", ()))
    if item.get_closest_marker("django_db") or fixtures & {"db", "transactional_db"}:
        return True
    return _speaks_of_database(item.path)


@cache
def _speaks_of_database(path: Path) -> bool:
    words = path.read_text(encoding="utf-8")
    return any(word in words for word in ("connection", "vendor", "DATABASE", "database_url"))


def pytest_report_header() -> str:
    """Which database this run is on, and whether it is bin/test's second round."""
    again = ", without the tests that need none" if os.environ.get(f"{PREFIX}AGAIN") else ""
    return f"database: {os.environ.get(f'{PREFIX}DATABASE') or 'sqlite'}{again}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the parts that did not run, each with what would make it run."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        words = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _, mark, rest = words.partition(MARK_OF_A_SKIP)
        if mark:
            reasons[rest] += 1
    if reasons:
        terminalreporter.section("not run here")
        for reason, count in sorted(reasons.items()):
            terminalreporter.line(f"{count:5d} {reason}")
        # bin/test runs the suite twice, and says at its own end what neither run covered.
        if collected := os.environ.get(f"{PREFIX}LEFT_OUT"):
            with Path(collected).open("a", encoding="utf-8") as file:
                file.writelines(f"{reason}\n" for reason in reasons)


# -------------------------------------------------------------------------------------------------------- fixtures


@pytest.fixture(name="postgres_url", scope="session")
def _postgres_url() -> str:
    """A PostgreSQL server on which the test may create databases, or a skip."""
    need("postgres")
    return postgres_url()


@pytest.fixture(name="redis_url", scope="session")
def _redis_url() -> str:
    """A Redis server, or a skip."""
    need("redis")
    return redis_url()


@pytest.fixture(name="rabbitmq_url", scope="session")
def _rabbitmq_url() -> str:
    """A RabbitMQ server, or a skip."""
    need("rabbitmq")
    return rabbitmq_url()


@pytest.fixture(name="third_party_data", scope="session")
def _third_party_data() -> Path:
    """The folder with third-party data, or a skip."""
    need("data")
    folder = data_folder()
    assert folder is not None
    return folder


def main() -> int:
    """Tell bin/test whether a server can be reached."""
    reason = missing(sys.argv[1])
    if reason:
        sys.stdout.write(f"{reason}\n")
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())

_prepare_environment()
