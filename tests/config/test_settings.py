"""A setting that can not be used stops the start, with one sentence that names it."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backend.config import env
from backend.config.checks import complaints
from backend.config.starting import open_system_keys, prepare_keys
from backend.vault.keyring import Keyring as Ring
from backend.vault.keyring import install, keyring
from backend.vault.providers import FileKeyProvider, KeysUnavailable

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 10, 14, 8, tzinfo=UTC)


def manage(folder: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        env={**kept, "ACCORD_DATA_DIR": str(folder / "data"), **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(autouse=True)
def _declarations_stay() -> Iterator[None]:
    before = dict(env.DECLARED)
    yield
    env.DECLARED.clear()
    env.DECLARED.update(before)


# ------------------------------------------------------------------------------------------------------ one setting


@pytest.mark.parametrize("value", ["abc", "99999", "-1", "0", ""])
def test_a_port_is_a_number_that_a_port_can_have(monkeypatch, value: str) -> None:
    monkeypatch.setenv("ACCORD_PORT", value)

    with pytest.raises(env.SettingRefused, match=r"^ACCORD_PORT must be [^\n]+\.$"):
        env.port()


@pytest.mark.parametrize(
    ("value", "scheme"),
    [
        ("http://[::", "http"),
        ("http://:80", "http"),
        ("http://host:port", "http"),
        ("smtp://user:se/cret@host", "smtp"),
        ("smtp://:25", "smtp"),
        ("postgres://u:p@h:xx/n", "postgres"),
        ("ftp://host", "http"),
    ],
)
def test_an_address_that_can_not_be_read_is_refused_and_not_quoted(monkeypatch, value: str, scheme: str) -> None:
    monkeypatch.setenv("ACCORD_PUBLIC_URL", value)

    with pytest.raises(env.SettingRefused, match=r"^ACCORD_PUBLIC_URL ") as refused:
        env.url("PUBLIC_URL", schemes=(scheme,), meaning="")

    assert "cret" not in str(refused.value)


def test_every_reader_takes_a_file_instead(monkeypatch, tmp_path) -> None:
    (tmp_path / "port").write_text("8123\n", encoding="utf-8")
    (tmp_path / "folder").write_text(f"{tmp_path / 'elsewhere'}\n", encoding="utf-8")
    monkeypatch.setenv("ACCORD_PORT_FILE", str(tmp_path / "port"))
    monkeypatch.delenv("ACCORD_DATA_DIR", raising=False)
    monkeypatch.setenv("ACCORD_DATA_DIR_FILE", str(tmp_path / "folder"))

    assert env.port() == 8123
    assert env.data_folder() == tmp_path / "elsewhere"


def test_the_kept_secret_is_made_once_for_its_owner_only(tmp_path) -> None:
    path = tmp_path / "secret-key"

    made = env.kept_secret(path)

    assert env.kept_secret(path) == made
    assert path.stat().st_mode & 0o077 == 0
    assert [one.name for one in tmp_path.iterdir()] == ["secret-key"]


def test_a_data_folder_that_can_not_be_made_is_refused(tmp_path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(env.SettingRefused, match="ACCORD_DATA_DIR"):
        env.made_folder(tmp_path / "file" / "data")


# ------------------------------------------------------------------------------------------------ settings together


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"EMAIL_URL": "smtp://host?tls=bogus"}, "ACCORD_EMAIL_URL"),
        ({"EMAIL_FROM": "nobody"}, "ACCORD_EMAIL_FROM"),
        ({"FCM_CREDENTIALS": "missing.json"}, "ACCORD_FCM_CREDENTIALS"),
        ({"FCM_CREDENTIALS": str(ROOT / "pyproject.toml")}, "ACCORD_FCM_CREDENTIALS"),
        ({"CALL_SECONDS": 30}, "ACCORD_LEASE_SECONDS"),
        ({"TWILIO_ACCOUNT_SID": "AC1"}, "ACCORD_TWILIO_AUTH_TOKEN"),
        ({"TWILIO_AUTH_TOKEN": "secret"}, "ACCORD_TWILIO_ACCOUNT_SID"),
        ({"TWILIO_FROM": "Clinic of Northgate"}, "ACCORD_TWILIO_FROM"),
        ({"TWILIO_API_URL": "https://user:pass@api.example"}, "ACCORD_TWILIO_API_URL"),
    ],
)
def test_carriers_and_pace_are_looked_at_before_the_first_message(settings, values, named: str) -> None:
    for name, value in values.items():
        setattr(settings, f"ACCORD_{name}", value)

    (complaint,) = complaints()

    assert named in complaint
    assert "secret" not in complaint


@pytest.mark.parametrize("sender", ["Accord", "Les Tilleuls"[:11], "+33639980000", "36180", "MG" + "0" * 32])
def test_every_kind_of_sms_sender_is_taken(settings, sender: str) -> None:
    settings.ACCORD_TWILIO_FROM = sender

    assert list(complaints()) == []


# ------------------------------------------------------------------------------------------------------------- keys


@pytest.fixture
def key_file(db, tmp_path) -> Iterator[Path]:
    """A copy of the key file, of which the keyring of this process knows nothing yet."""
    before = keyring()
    assert isinstance(before.provider, FileKeyProvider)
    copy = tmp_path / "root.key"
    copy.write_bytes(before.provider.path.read_bytes())
    copy.chmod(0o400)
    install(Ring(provider=FileKeyProvider(copy), store=before.store))
    yield copy
    install(before)


def test_the_right_key_opens(key_file: Path) -> None:
    open_system_keys()


def test_a_key_file_that_others_can_read_stops_the_start(key_file: Path) -> None:
    key_file.chmod(0o440)

    with pytest.raises(KeysUnavailable, match="can be read by others"):
        prepare_keys(now=NOW)


def test_a_key_file_of_another_size_stops_the_start(key_file: Path) -> None:
    key_file.chmod(0o600)
    key_file.write_bytes(b"short")

    with pytest.raises(KeysUnavailable, match="32 bytes"):
        prepare_keys(now=NOW)


def test_a_folder_in_its_place_stops_the_start(key_file: Path) -> None:
    key_file.unlink()
    key_file.mkdir()

    with pytest.raises(KeysUnavailable, match="can not be read"):
        prepare_keys(now=NOW)


def test_another_databases_key_stops_the_start_and_is_told_by_health(key_file: Path, client) -> None:
    key_file.chmod(0o600)
    key_file.write_bytes(secrets.token_bytes(32))
    key_file.chmod(0o400)

    answer = client.get("/health")

    assert (answer.status_code, answer.json()["keys"]) == (503, False)
    with pytest.raises(KeysUnavailable, match="not the one"):
        prepare_keys(now=NOW)


# ---------------------------------------------------------------------------------------------------------- commands


def test_a_refused_setting_is_told_in_one_line(tmp_path) -> None:
    ended = manage(tmp_path, "check", ACCORD_SECRET_KEY="short")

    assert ended.returncode == 2
    assert ended.stderr == "ACCORD_SECRET_KEY must have 32 characters or more; fifty are better.\n"


def test_a_new_folder_is_made_whatever_is_set_and_a_bad_key_told_in_one_line(tmp_path) -> None:
    (tmp_path / "root.key").write_bytes(secrets.token_bytes(32))
    (tmp_path / "root.key").chmod(0o440)

    ended = manage(
        tmp_path,
        *("prepare", "--verbosity", "0"),
        ACCORD_SECRET_KEY=secrets.token_urlsafe(48),
        ACCORD_KEY_FILE=str(tmp_path / "root.key"),
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith("CommandError: The key file root.key can be read by others")
    assert ended.stderr.count("\n") == 1


def test_a_worker_that_could_not_deliver_does_not_start(tmp_path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    ended = subprocess.run(
        [sys.executable, "-m", "celery", "--app", "backend.config.celery:app", "worker", "--pool", "solo"],
        env={**kept, "ACCORD_DATA_DIR": str(tmp_path / "data"), "ACCORD_EMAIL_URL": "smtp://host?tls=bogus"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 2
    assert "ACCORD_EMAIL_URL" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_the_packages_a_sentence_says_where_they_are(tmp_path) -> None:
    ended = subprocess.run(
        [sys.executable, "-I", "-S", str(ROOT / "manage.py"), "check"], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 2
    assert ".venv/bin/python manage.py" in ended.stderr
    assert "Traceback" not in ended.stderr
