"""The sandbox as a whole: credentials, restarts, other processes, and the command."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from http.client import HTTPConnection
from pathlib import Path
from smtplib import SMTP
from time import monotonic
from urllib.parse import urlsplit

import pytest

from sandbox import Fault, Sandbox, Store
from sandbox.credentials import twilio_account
from sandbox.faults import Faults


def send(sandbox: Sandbox, letter: EmailMessage) -> None:
    """Send one e-mail to a sandbox."""
    address = urlsplit(sandbox.email_url)
    with SMTP(address.hostname or "", address.port or 0, timeout=5) as connection:
        connection.send_message(letter)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_restart_keeps_the_inbox_and_the_credentials(data_dir: Path, letter: EmailMessage) -> None:
    sandbox = Sandbox(data_dir)
    with sandbox:
        send(sandbox, letter)
        before = (sandbox.twilio_account_sid, sandbox.twilio_auth_token)
        kept = json.loads(sandbox.fcm_credentials.read_text())

    with Sandbox(data_dir) as again:
        send(again, letter)
        after = json.loads(again.fcm_credentials.read_text())
        assert [received.subject for received in again.received()] == ["Votre rendez-vous à 14 h 30"] * 2
        assert (again.twilio_account_sid, again.twilio_auth_token) == before
        assert after["private_key"] == kept["private_key"]
        assert after["token_uri"] == f"{again.fcm_url}/token"


def test_what_was_received_can_be_read_after_the_stop(data_dir: Path, letter: EmailMessage) -> None:
    with Sandbox(data_dir) as sandbox:
        send(sandbox, letter)

    (received,) = sandbox.received()

    assert Store(data_dir).received() == (received,)
    assert "claire" not in repr(received)


def test_nobody_else_on_the_machine_can_read_it(data_dir: Path, letter: EmailMessage) -> None:
    with Sandbox(data_dir) as sandbox:
        send(sandbox, letter)

        assert mode(data_dir / "sandbox") == 0o700
        assert mode(data_dir / "sandbox.json") == 0o600
        assert mode(sandbox.fcm_credentials) == 0o600
        assert re.fullmatch(r"AC[0-9a-f]{32}", sandbox.twilio_account_sid)


def test_the_first_start_makes_one_account_whoever_asks_first(data_dir: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        accounts = set(pool.map(twilio_account, [data_dir] * 16))

    assert len(accounts) == 1
    assert [path.name for path in data_dir.iterdir()] == ["sandbox.json"]


def test_fixed_ports_are_known_before_the_start(data_dir: Path) -> None:
    sandbox = Sandbox(data_dir, smtp_port=8025, http_port=8026, public_host="sandbox")

    assert sandbox.email_url == "smtp://sandbox:8025"
    assert sandbox.twilio_url == "http://sandbox:8026/twilio"
    assert sandbox.fcm_url == "http://sandbox:8026/fcm"
    assert sandbox.inbox_url == "http://sandbox:8026/inbox"
    assert json.loads(sandbox.fcm_credentials.read_text())["token_uri"] == "http://sandbox:8026/fcm/token"


def test_a_free_port_is_not_known_before_the_start(data_dir: Path) -> None:
    with pytest.raises(RuntimeError, match="start the sandbox first"):
        _ = Sandbox(data_dir).inbox_url


def test_a_port_that_is_taken_is_said_and_nothing_is_left_behind(data_dir: Path) -> None:
    with Sandbox(data_dir) as first:
        taken = urlsplit(first.email_url).port or 0
        second = Sandbox(data_dir, smtp_port=taken)

        with pytest.raises(OSError, match="in use"):
            second.start()
        with pytest.raises(RuntimeError, match="start the sandbox first"):
            _ = second.inbox_url


def test_a_sandbox_starts_once(data_dir: Path) -> None:
    with Sandbox(data_dir) as sandbox, pytest.raises(RuntimeError, match="runs already"):
        sandbox.start()


def test_stopping_lets_go_of_those_who_wait(data_dir: Path) -> None:
    sandbox = Sandbox(data_dir).start()
    address = urlsplit(sandbox.inbox_url)
    idle = HTTPConnection(address.hostname or "", address.port, timeout=5)
    idle.request("GET", "/inbox")
    idle.getresponse().read()
    sandbox.faults.push(Fault(channel="push", kind="hang", on="token"))
    waiting = HTTPConnection(address.hostname or "", address.port, timeout=5)
    waiting.request("POST", "/fcm/token", "")
    before = monotonic()

    sandbox.stop()

    assert monotonic() - before < 2
    with pytest.raises(ConnectionError):
        waiting.getresponse()
    waiting.close()
    idle.close()


def test_many_clients_at_once_lose_nothing(data_dir: Path, letter: EmailMessage) -> None:
    with Sandbox(data_dir) as sandbox:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: send(sandbox, letter), range(40)))

        assert [received.number for received in sandbox.received()] == list(range(1, 41))


def test_a_body_that_is_too_big_is_refused(sandbox: Sandbox) -> None:
    address = urlsplit(sandbox.inbox_url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=5)
    connection.putrequest("POST", "/fcm/token")
    connection.putheader("Content-Length", str(2**40))
    connection.endheaders()

    assert connection.getresponse().status == 413
    connection.close()


def test_faults_happen_in_their_order_and_number() -> None:
    faults = Faults()
    faults.push(Fault(channel="sms", kind="hang", times=2), Fault(channel="sms", kind="reset"))

    kinds = [fault.kind if (fault := faults.take("sms")) else None for _ in range(4)]

    assert kinds == ["hang", "hang", "reset", None]
    assert faults.take("email") is None
    assert faults.pending() == ()


@pytest.mark.parametrize("wrong", [{"kind": "explode"}, {"channel": "fax"}, {"times": 0}, {"on": "never"}])
def test_a_fault_that_means_nothing_is_refused(wrong: dict[str, object]) -> None:
    values: dict[str, object] = {"channel": "sms", "kind": "hang"}

    with pytest.raises(ValueError, match="fault"):
        Fault(**{**values, **wrong})  # type: ignore[arg-type] # wrong on purpose


def test_the_command_serves_until_it_is_told_to_stop(data_dir: Path) -> None:
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "sandbox",
        "--data-dir",
        str(data_dir),
        "--smtp-port",
        "0",
        "--http-port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = re.search(r"smtp://127\.0\.0\.1:([0-9]+)", line)
        assert address is not None
        with SMTP("127.0.0.1", int(address[1]), timeout=5) as connection:
            connection.sendmail("a@accord.example", ["b@patients.example"], b"Subject: Hello\r\n\r\nHello\r\n")
        os.kill(process.pid, signal.SIGTERM)
        _, complaints = process.communicate(timeout=10)

    assert (process.returncode, complaints) == (0, "")
    assert line.count("\n") == 1
    assert [received.subject for received in Store(data_dir).received()] == ["Hello"]
