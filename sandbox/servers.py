"""The sandbox as a whole: three servers, one memory of what they received, one page to look at it."""

import contextlib
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox.callbacks import Callbacks
from sandbox.credentials import service_account, twilio_account
from sandbox.faults import Faults
from sandbox.fcm import FcmApi
from sandbox.inbox import Inbox
from sandbox.smtp import MailServer
from sandbox.store import Received, Store
from sandbox.twilio import TwilioApi
from sandbox.web import Answer, Request, Response, WebServer


class Sandbox:
    """Local servers that speak SMTP, the Twilio messages API and the FCM v1 API, and send nothing to anyone.

    A port of 0 means a free one. `public_host` is the name under which clients reach it, when that is not `host` (a
    container listens on 0.0.0.0). `report_hosts` may be called besides this machine, to report what became of an SMS.
    What was received stays in `data_dir`; credentials are made there at the first start. With fixed ports every address
    and credential is known before `start`.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        host: str = "127.0.0.1",
        smtp_port: int = 0,
        http_port: int = 0,
        public_host: str | None = None,
        report_hosts: Collection[str] = (),
    ) -> None:
        self.faults = Faults()
        self.store = Store(data_dir)
        self._data_dir = data_dir
        self._host = host
        self._public_host = public_host or host
        self._smtp_port = smtp_port
        self._http_port = http_port
        self._mail: MailServer | None = None
        self._web: WebServer | None = None
        self._callbacks: Callbacks | None = None
        self._report_hosts = tuple(report_hosts)
        self._routes: dict[str, TwilioApi | FcmApi] = {}
        self._inbox = Inbox(self.store, hosts=(host, self._public_host))

    def start(self) -> Self:
        """Begin to take messages; returns when all addresses answer."""
        if self._web is not None:
            message = "this sandbox runs already"
            raise RuntimeError(message)
        self._web = WebServer((self._host, self._http_port), self._answer)
        try:
            token_uri = f"{self.fcm_url}/token"
            self._routes = {
                "/twilio": TwilioApi(twilio_account(self._data_dir), self.store, self.faults, self.callbacks),
                "/fcm": FcmApi(self.fcm_credentials, token_uri, self.store, self.faults),
            }
            self.callbacks.start()
            self._web.start()
            self._mail = MailServer((self._host, self._smtp_port), self.store, self.faults)
            self._mail.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Close every connection and free the ports. What was received stays."""
        mail, web, callbacks = self._mail, self._web, self._callbacks
        self._mail = self._web = self._callbacks = None
        with contextlib.ExitStack() as stack:
            stack.callback(self.store.close)
            if callbacks is not None:
                stack.callback(callbacks.stop)
            if web is not None:
                stack.callback(web.stop)
            if mail is not None:
                stack.callback(mail.stop)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def email_url(self) -> str:
        """Where e-mail goes, as a smtp:// address."""
        return f"smtp://{self._shown_host}:{self._mail.port if self._mail else _known(self._smtp_port)}"

    @property
    def twilio_url(self) -> str:
        """What stands for the address of Twilio's API."""
        return f"{self._http_url}/twilio"

    @property
    def fcm_url(self) -> str:
        """What stands for the address of the FCM API."""
        return f"{self._http_url}/fcm"

    @property
    def inbox_url(self) -> str:
        """The page that shows what was received."""
        return f"{self._http_url}/inbox"

    @property
    def twilio_account_sid(self) -> str:
        """The account that the Twilio side knows; valid here only."""
        return twilio_account(self._data_dir).sid

    @property
    def twilio_auth_token(self) -> str:
        """The password of that account; valid here only."""
        return twilio_account(self._data_dir).auth_token

    @property
    def fcm_credentials(self) -> Path:
        """A service-account file, as the FCM SDK reads it; valid here only."""
        return service_account(self._data_dir, token_uri=f"{self.fcm_url}/token")

    @property
    def callbacks(self) -> Callbacks:
        """What the Twilio side reports: by itself for messages whose sender asked for it, and whatever a test says."""
        if self._callbacks is None:
            self._callbacks = Callbacks(twilio_account(self._data_dir), hosts=self._report_hosts)
        return self._callbacks

    def received(self) -> tuple[Received, ...]:
        """Every message so far, oldest first."""
        return self.store.received()

    def clear(self) -> None:
        """Forget every message and every fault still to come."""
        self.store.clear()
        self.faults.clear()

    @property
    def _shown_host(self) -> str:
        return f"[{self._public_host}]" if ":" in self._public_host else self._public_host

    @property
    def _http_url(self) -> str:
        return f"http://{self._shown_host}:{self._web.port if self._web else _known(self._http_port)}"

    def _answer(self, request: Request) -> Answer:
        for prefix, api in self._routes.items():
            if request.path.startswith(f"{prefix}/"):
                return api.answer(
                    Request(
                        method=request.method,
                        path=request.path.removeprefix(prefix),
                        query=request.query,
                        headers=request.headers,
                        body=request.body,
                    )
                )
        if request.path == "/":
            return Response(status=302, headers={"Location": "/inbox"})
        return self._inbox.answer(request)


def _known(port: int) -> int:
    if not port:
        message = "start the sandbox first: its port is not chosen yet"
        raise RuntimeError(message)
    return port
