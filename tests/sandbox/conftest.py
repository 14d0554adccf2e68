"""One sandbox for all tests of this folder, emptied before each, and the real clients that talk to it."""

from collections.abc import Callable, Iterator
from email.message import EmailMessage
from http.client import HTTPConnection
from pathlib import Path
from smtplib import SMTP
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import firebase_admin
import pytest
from firebase_admin import credentials, messaging
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from sandbox import Sandbox


class Reply(NamedTuple):
    """What a plain HTTP client got."""

    status: int
    headers: dict[str, str]
    text: str


class TwilioHere(TwilioHttpClient):  # type: ignore[misc] # the library ships no types
    """The library's own client, sent to another host: it has no setting for that."""

    def __init__(self, base: str) -> None:
        super().__init__(timeout=5)
        self._base = base

    def request(self, method: str, url: str, *args: Any, **options: Any) -> Any:
        return super().request(method, url.replace("https://api.twilio.com", self._base), *args, **options)


@pytest.fixture(scope="session")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_running: Sandbox) -> Sandbox:
    _running.clear()
    return _running


@pytest.fixture
def mailbox(sandbox: Sandbox) -> Iterator[SMTP]:
    address = urlsplit(sandbox.email_url)
    with SMTP(address.hostname or "", address.port or 0, timeout=5) as connection:
        yield connection


@pytest.fixture
def twilio(sandbox: Sandbox) -> Iterator[Client]:
    http = TwilioHere(sandbox.twilio_url)
    yield Client(sandbox.twilio_account_sid, sandbox.twilio_auth_token, http_client=http)
    http.session.close()


@pytest.fixture
def firebase(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[firebase_admin.App]:
    # The library has no setting for another host, and asks Google in the background where the account may be used.
    url = f"{sandbox.fcm_url}/v1/projects/{{0}}/messages:send"
    monkeypatch.setattr(messaging._MessagingService, "FCM_URL", url)  # noqa: SLF001
    certificate = credentials.Certificate(str(sandbox.fcm_credentials))
    signer = certificate.get_credential()
    monkeypatch.setattr(signer, "_is_regional_access_boundary_lookup_required", lambda: False)
    app = firebase_admin.initialize_app(certificate, name="tests")
    yield app
    firebase_admin.delete_app(app)


@pytest.fixture
def browse(sandbox: Sandbox) -> Iterator[Callable[..., Reply]]:
    """Ask the HTTP side for something, over one connection that stays open."""
    address = urlsplit(sandbox.inbox_url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=1)

    def ask(path: str, method: str = "GET", body: str | None = None, headers: dict[str, str] | None = None) -> Reply:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return Reply(answer.status, dict(answer.getheaders()), answer.read().decode("utf-8"))

    yield ask
    connection.close()


@pytest.fixture
def letter() -> EmailMessage:
    """A French e-mail in two parts, as Accord writes them."""
    message = EmailMessage()
    message["From"] = "Clinique des Tilleuls <contact@tilleuls.example>"
    message["To"] = "Claire <claire@patients.example>"
    message["Subject"] = "Votre rendez-vous à 14 h 30"
    message["Message-ID"] = "<1@accord.example>"
    message["X-Accord-Message"] = "9d3f0f3e-9f1a-4a7e-9f5e-0a1b2c3d4e5f"
    message.set_content("Bonjour Claire,\n\nà mardi.\n")
    message.add_alternative("<p>Bonjour Claire, <b>à mardi</b>.</p>", subtype="html")
    return message


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"
