"""Whatever starts and balances processes asks here."""

from backend.audit.sequencing import sequence_all
from tests.api.conftest import Client


def test_a_process_that_is_of_use_says_so_without_a_token(nobody: Client) -> None:
    answer = nobody.get("/health")

    assert answer.status_code == 200
    told = answer.json()
    told.pop("log")
    assert told == {"status": "ok", "database": True, "migrations": True, "keys": True}


def test_a_log_that_lags_behind_is_told_and_stops_nothing(transactional_db: None, nobody: Client, now) -> None:
    before = nobody.get("/health")
    sequence_all(now=now)
    after = nobody.get("/health")

    assert (before.status_code, before.json()["log"]) == (200, False)
    assert (after.status_code, after.json()["log"]) == (200, True)


def test_it_is_not_sent_to_https(nobody: Client, settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    nobody.handler.load_middleware()

    assert nobody.get("/health").status_code == 200
    assert nobody.get("/api/v1/me").status_code == 301


def test_a_database_that_is_not_up_to_date_is_of_no_use(nobody: Client) -> None:
    from django.db.migrations.recorder import MigrationRecorder  # noqa: PLC0415 - needs the registry of apps

    MigrationRecorder.Migration.objects.filter(app="api", name="0001_initial").delete()

    answer = nobody.get("/health")

    assert answer.status_code == 503
    assert answer.json() == {
        "status": "unavailable",
        "database": True,
        "migrations": False,
        "keys": False,
        "log": False,
    }


def test_it_is_read_only(nobody: Client) -> None:
    answer = nobody.post("/health")

    assert (answer.status_code, answer["Content-Type"]) == (405, "application/problem+json")
