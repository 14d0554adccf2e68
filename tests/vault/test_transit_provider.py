"""Vault as key provider, on the wire: what it wraps opens in its context only, and every refusal names the service."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from backend.vault.ciphers import Tampered, new_key
from backend.vault.providers import EpochDestroyed, KeysUnavailable, TransitKeyProvider
from backend.vault.providers.transit import VaultSettingRefused, VaultSettings
from tests.vault.vault_server import TOKEN, VaultServer, send


@pytest.fixture
def server() -> Iterator[VaultServer]:
    """A Vault without our key."""
    with VaultServer() as running:
        yield running


def settings_of(server: VaultServer, **changes: str) -> VaultSettings:
    return replace(VaultSettings(url=server.url, key="accord", token=TOKEN), **changes)


@pytest.fixture
def provider(server) -> TransitKeyProvider:
    """A provider whose key is there."""
    made = TransitKeyProvider(settings_of(server), seconds=2)
    made.prepare(has_keys=False)
    return made


def test_the_key_is_made_at_first_start_and_kept_at_later_ones(server, provider):
    before = server.keys["accord"].versions[1]

    provider.prepare(has_keys=True)

    assert server.keys["accord"].versions == {1: before}
    assert server.keys["accord"].kind == "aes256-gcm96"


def test_what_was_wrapped_is_unwrapped_in_its_context_only(provider):
    key = new_key()
    wrapped = provider.wrap(key, context=b"clinic one")

    assert wrapped.startswith(b"vault:v1:")
    assert provider.unwrap(wrapped, context=b"clinic one") == key
    for context in (b"clinic two", b""):
        with pytest.raises(Tampered):
            provider.unwrap(wrapped, context=context)


def test_a_changed_ciphertext_is_found(provider):
    wrapped = bytearray(provider.wrap(new_key(), context=b"x"))
    wrapped[20] = ord("A") if wrapped[20] != ord("A") else ord("B")

    with pytest.raises(Tampered):
        provider.unwrap(bytes(wrapped), context=b"x")


def test_what_was_wrapped_tells_its_epoch_and_older_ones_open(provider):
    key = new_key()
    old = provider.wrap(key, context=b"x")

    assert provider.begin_epoch() == 2
    new = provider.wrap(key, context=b"x")

    assert [provider.epoch_of(old), provider.epoch_of(new)] == [1, 2]
    assert provider.epochs() == [1, 2]
    assert provider.unwrap(old, context=b"x") == provider.unwrap(new, context=b"x") == key


def test_a_destroyed_epoch_is_trimmed_for_good(server, provider):
    old = provider.wrap(new_key(), context=b"x")
    provider.begin_epoch()
    new = provider.wrap(new_key(), context=b"x")

    provider.destroy(1)
    provider.destroy(1)

    assert list(server.keys["accord"].versions) == [2]
    assert provider.epochs() == [2]
    assert provider.unwrap(new, context=b"x")
    with pytest.raises(EpochDestroyed, match="destroyed when the keys were rotated"):
        provider.unwrap(old, context=b"x")
    # The floor can not be lowered again.
    assert server.keys["accord"].min_available_version == 2


def test_the_newest_version_is_never_destroyed(server, provider):
    with pytest.raises(KeysUnavailable, match="never destroyed"):
        provider.destroy(1)
    assert list(server.keys["accord"].versions) == [1]


def test_a_vault_that_does_not_trim_is_not_believed(server, provider):
    server.trims = False
    provider.begin_epoch()

    with pytest.raises(KeysUnavailable, match="did not trim"):
        provider.destroy(1)


def test_a_vault_that_takes_no_notice_of_the_context_is_refused():
    with (
        VaultServer(binds_context=False) as old,
        pytest.raises(KeysUnavailable, match="takes no notice of associated data"),
    ):
        TransitKeyProvider(settings_of(old)).prepare(has_keys=False)


def test_a_key_that_is_gone_is_never_made_anew(server):
    with pytest.raises(KeysUnavailable, match="has no key accord"):
        TransitKeyProvider(settings_of(server)).prepare(has_keys=True)
    assert server.keys == {}


def test_a_key_of_another_kind_is_refused(server, provider):
    server.keys["accord"].kind = "ed25519"

    with pytest.raises(KeysUnavailable, match="binds no context"):
        provider.prepare(has_keys=True)


def test_the_namespace_and_a_path_are_told(server, provider):
    inside = TransitKeyProvider(settings_of(server, namespace="clinics/north"))
    inside.wrap(new_key(), context=b"x")

    assert server.headers[-1]["X-Vault-Namespace"] == "clinics/north"
    assert server.headers[-1]["X-Vault-Request"] == "true"
    assert server.asked[-1] == ("POST", "/v1/transit/encrypt/accord")


REFUSALS = {
    403: "refuses the token",
    404: "has nothing at transit",
    429: "too many requests",
    500: "refuses",
    503: "is sealed",
    307: "sends to another address",
    400: "refuses",
}


@pytest.mark.parametrize("status", REFUSALS)
def test_every_refusal_is_a_sentence_without_the_token(server, provider, status):
    wrapped = provider.wrap(new_key(), context=b"x")

    def refuse(handler):
        send(handler, status, {"errors": [f"no: {TOKEN}"]})
        return True

    server.misbehave = refuse
    for call in (lambda: provider.unwrap(wrapped, context=b"x"), lambda: provider.wrap(new_key(), context=b"x")):
        with pytest.raises(KeysUnavailable, match=REFUSALS[status]) as told:
            call()
        assert TOKEN not in str(told.value)
        assert server.url in str(told.value)


def test_a_wrong_token_is_refused(server, provider):
    with pytest.raises(KeysUnavailable, match="refuses the token"):
        TransitKeyProvider(settings_of(server, token="hvs.another")).wrap(new_key(), context=b"x")


@pytest.mark.parametrize(
    "answer",
    [[], "text", {"data": None}, {"data": {"ciphertext": 7}}, {"data": {"plaintext": "c2hvcnQ="}}, {"errors": []}],
    ids=str,
)
def test_an_answer_that_vault_would_not_give_is_refused(server, provider, answer):
    wrapped = provider.wrap(new_key(), context=b"x")

    def talk(handler):
        send(handler, 200, answer)
        return True

    server.misbehave = talk
    with pytest.raises(KeysUnavailable):
        provider.wrap(new_key(), context=b"x")
    with pytest.raises(KeysUnavailable):
        provider.unwrap(wrapped, context=b"x")


def test_a_slow_vault_is_waited_for_only_so_long(server):
    provider = TransitKeyProvider(settings_of(server), seconds=0.2)

    def sleep(_handler):
        time.sleep(1)
        return True

    server.misbehave = sleep
    began = time.monotonic()

    with pytest.raises(KeysUnavailable, match=r"did not answer within 0\.2 seconds"):
        provider.wrap(new_key(), context=b"x")
    assert time.monotonic() - began < 0.9


def test_an_answer_that_drips_is_waited_for_only_so_long(server):
    provider = TransitKeyProvider(settings_of(server), seconds=0.3)
    ended = threading.Event()

    def drip(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        while not ended.wait(0.05):
            try:
                handler.wfile.write(b" ")
            except OSError:
                break
        handler.close_connection = True
        return True

    server.misbehave = drip
    began = time.monotonic()
    with pytest.raises(KeysUnavailable, match="did not answer"):
        provider.wrap(new_key(), context=b"x")
    ended.set()
    assert time.monotonic() - began < 0.9


def test_a_connection_that_is_reset_is_told(server, provider):
    def reset(handler):
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.close_connection = True
        handler.connection.close()
        return True

    server.misbehave = reset
    with pytest.raises(KeysUnavailable, match="Vault at http://127"):
        provider.wrap(new_key(), context=b"x")


def test_half_an_answer_is_none(server, provider):
    def break_off(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"data": {}}')
        handler.close_connection = True
        return True

    server.misbehave = break_off
    with pytest.raises(KeysUnavailable):
        provider.wrap(new_key(), context=b"x")


def test_nobody_there_is_told():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"

    with pytest.raises(KeysUnavailable, match="can not be reached"):
        TransitKeyProvider(VaultSettings(url=url, key="accord", token=TOKEN)).epochs()


def test_what_a_file_wrapped_is_not_vaults(provider):
    with pytest.raises(KeysUnavailable, match="ACCORD_KEY_PROVIDER is vault"):
        provider.unwrap(bytes(64), context=b"x")


WRONG = [
    {"url": "ftp://vault.example"},
    {"url": "http://vault.example:8200"},
    {"url": "https://user:secret@vault.example"},
    {"url": "https://vault.example/?x=1"},
    {"token": ""},
    {"token": "two words"},
    {"token": "line\r\nX-Injected: 1"},
    {"key": "../sys/seal"},
    {"mount": "tran sit"},
    {"namespace": "a//b"},
]


@pytest.mark.parametrize("change", WRONG, ids=str)
def test_unfit_settings_are_refused_before_anything_is_asked(server, change):
    unfit = settings_of(server, **change)

    with pytest.raises(VaultSettingRefused):
        unfit.refuse_unfit()
    with pytest.raises(KeysUnavailable, match="ACCORD_VAULT"):
        TransitKeyProvider(unfit).epochs()
    assert server.asked == []


def test_the_token_is_never_shown(server, provider):
    assert TOKEN not in f"{settings_of(server)!r} {provider!r} {provider.describe()}"
