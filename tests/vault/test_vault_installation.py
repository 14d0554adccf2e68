"""A whole installation whose topmost key is in Vault: first start, rotation, restore; and settings that do not fit."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.config.checks import complaints
from backend.vault.providers import FileKeyProvider, TransitKeyProvider
from backend.vault.providers.configured import configured_provider
from tests.vault.vault_server import TOKEN, VaultServer, send

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server() -> Iterator[VaultServer]:
    """A Vault without our key."""
    with VaultServer() as running:
        yield running


def manage(server: VaultServer, folder: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    token = folder / "vault-token"
    token.write_text(f"{TOKEN}\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    given = {
        "ACCORD_DATA_DIR": str(folder / "data"),
        "ACCORD_SECRET_KEY": "made-up-" * 6,
        "ACCORD_KEY_PROVIDER": "vault",
        "ACCORD_VAULT_URL": server.url,
        "ACCORD_VAULT_TOKEN_FILE": str(token),
        **settings,
    }
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**kept, **given},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_an_installation_lives_with_vault(server, tmp_path):
    started = manage(server, tmp_path, "prepare", "--verbosity", "0")
    assert (started.returncode, started.stderr) == (0, "")
    assert list(server.keys["accord"].versions) == [1]
    assert not (tmp_path / "data" / "keys").exists()
    made = manage(
        server, tmp_path, "set_up_clinic", "lilas", "--name", "X", "--telephone", "01 99 00 00 01", "--address", "Y"
    )
    assert made.returncode == 0, made.stderr
    old = tmp_path / "old-keys"
    data = tmp_path / "data-backup"
    assert manage(server, tmp_path, "backup_data", str(data)).returncode == 0
    assert manage(server, tmp_path, "backup_keys", str(old)).returncode == 0

    rotated = manage(server, tmp_path, "rotate_keys")
    assert rotated.returncode == 0, rotated.stderr
    assert list(server.keys["accord"].versions) == [2]
    checked = manage(server, tmp_path, "check_log")
    assert checked.returncode == 0, checked.stderr

    # It is asked for clinic keys, never for each record.
    asked = [path for _method, path in server.asked if "/decrypt/" in path]
    assert len(asked) < 30

    refused = manage(server, tmp_path, "restore", "--data", str(data), "--keys", str(old), "--replace")
    assert refused.returncode == 1
    assert "destroyed when the keys were rotated" in refused.stderr


def test_a_vault_that_is_sealed_stops_the_start_in_a_sentence(server, tmp_path):
    assert manage(server, tmp_path, "prepare", "--verbosity", "0").returncode == 0

    def sealed(handler):
        send(handler, 503, {"errors": ["Vault is sealed"]})
        return True

    server.misbehave = sealed
    ended = manage(server, tmp_path, "prepare", "--verbosity", "0")

    assert ended.returncode == 1
    assert (
        ended.stderr == f"CommandError: Vault at {server.url} is sealed or being maintained: unseal it (status 503).\n"
    )


def test_what_vault_wrapped_is_not_opened_by_a_file(server, tmp_path):
    assert manage(server, tmp_path, "prepare", "--verbosity", "0").returncode == 0
    key_file = tmp_path / "root.key"
    FileKeyProvider(key_file).create()

    ended = manage(
        server, tmp_path, "prepare", "--verbosity", "0", ACCORD_KEY_PROVIDER="file", ACCORD_KEY_FILE=str(key_file)
    )

    assert ended.returncode == 1
    assert "wrapped by Vault, but ACCORD_KEY_PROVIDER is file" in ended.stderr


# ---------------------------------------------------------------------------------------------------------- settings


@pytest.fixture
def vault_settings(settings):
    """A setting for everything."""
    settings.ACCORD_KEY_PROVIDER = "vault"
    settings.ACCORD_VAULT_URL = "https://vault.example:8200"
    settings.ACCORD_VAULT_TOKEN = f"hvs.{secrets.token_hex(8)}"
    return settings


def test_settings_that_fit_are_taken(vault_settings):
    assert list(complaints()) == []
    provider = configured_provider()
    assert isinstance(provider, TransitKeyProvider)
    assert provider.describe() == "The key accord of Vault at https://vault.example:8200"


WRONG = {
    "URL": {"": "ACCORD_VAULT_URL is not set", "http://vault.example": "must be https://"},
    "TOKEN": {"": "ACCORD_VAULT_TOKEN is not set", "two words": "token"},
    "KEY": {"": "name of Vault's key", "a/b": "name of Vault's key"},
    "MOUNT": {"/x": "path such as"},
    "NAMESPACE": {"a b": "path such as"},
}


@pytest.mark.parametrize(
    ("name", "value", "told"), [(name, value, told) for name, these in WRONG.items() for value, told in these.items()]
)
def test_settings_that_do_not_fit_are_told_at_the_start(vault_settings, name, value, told):
    setattr(vault_settings, f"ACCORD_VAULT_{name}", value)

    (sentence,) = complaints()

    assert told in sentence
    assert vault_settings.ACCORD_VAULT_TOKEN not in sentence or value == vault_settings.ACCORD_VAULT_TOKEN == ""
