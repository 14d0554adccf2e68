"""What is missing on a machine is named, with what would make it run; nothing is left out silently."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOWHERE = {
    "ACCORD_TEST_POSTGRES_URL": "postgresql://nobody@127.0.0.1:9/postgres",
    "ACCORD_TEST_REDIS_URL": "redis://127.0.0.1:9/0",
    "ACCORD_TEST_RABBITMQ_URL": "amqp://guest:guest@127.0.0.1:9//",
    "ACCORD_TEST_DATA": "/nowhere",
}


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ACCORD_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=kept | NOWHERE | environment,
        text=True,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("part", "advice"),
    [
        ("postgres", "start PostgreSQL 15 or newer, or set ACCORD_TEST_POSTGRES_URL"),
        ("redis", "start Redis or Valkey, or set ACCORD_TEST_REDIS_URL"),
        ("rabbitmq", "start RabbitMQ, or set ACCORD_TEST_RABBITMQ_URL"),
        ("data", "the folder that ACCORD_TEST_DATA names is not there"),
    ],
)
def test_a_server_that_is_not_there_is_named_with_the_remedy(part, advice):
    done = run("tests.services", part)

    assert done.returncode == 1
    assert advice in done.stdout


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "test_small.py"
    path.write_text("import pytest\n\n@pytest.mark.needs_redis\ndef test_it():\n    pass\n")
    return ["pytest", "-q", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), str(path)]


def test_a_test_without_its_server_is_skipped_and_listed(suite, tmp_path):
    left_out = tmp_path / "left-out"

    done = run(*suite, ACCORD_TEST_LEFT_OUT=str(left_out))

    assert done.returncode == 0
    assert "1 skipped" in done.stdout
    assert "Redis tests (no Redis server answers" in done.stdout
    assert left_out.read_text().startswith("Redis tests (no Redis server answers")


def test_where_the_server_is_required_the_test_fails(suite):
    done = run(*suite, ACCORD_TEST_REQUIRE="redis")

    assert done.returncode == 1
    assert "ACCORD_TEST_REQUIRE asks for redis" in done.stdout


def test_a_requirement_that_nobody_knows_is_refused(suite):
    done = run(*suite, ACCORD_TEST_REQUIRE="rediss")

    assert done.returncode != 0
    assert "not rediss" in done.stderr


def test_a_suite_on_postgresql_without_postgresql_is_refused(suite):
    done = run(*suite, ACCORD_TEST_DATABASE="postgres")

    assert done.returncode != 0
    assert "asks for PostgreSQL" in done.stderr


def test_the_second_round_leaves_out_only_what_no_database_can_change(tmp_path):
    pure, deep, doubtful = (tmp_path / f"test_{name}.py" for name in ("pure", "deep", "doubtful"))
    pure.write_text("def test_it():\n    pass\n")
    deep.write_text("import pytest\n\n@pytest.mark.django_db\ndef test_it():\n    pass\n")
    doubtful.write_text("from django.db import connection\n\ndef test_it():\n    assert connection\n")
    command = ["pytest", "-q", "--co", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), str(tmp_path)]

    first, again = run(*command), run(*command, ACCORD_TEST_AGAIN="yes")

    assert "3 tests collected" in first.stdout
    assert "2/3 tests collected (1 deselected)" in again.stdout
    assert "test_pure" not in again.stdout
