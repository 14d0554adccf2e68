"""One HTTP request, one answer, inside one deadline; no redirect, no retry, no proxy, no cookie."""

import http.client
import math
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from backend.messaging.carriers.wire import Deadline, DeadlineSocket, Lost, NotWritten, Pool, connect

# No answer of a carrier comes near this; whatever sends more is not the carrier.
LARGEST_ANSWER: Final = 1 << 20
# A carrier that asks for a longer pause than a day is asked again after a day.
LONGEST_PAUSE: Final = 86_400.0

# A redirect of these kinds says that nothing was done (RFC 9110, section 15.4). It is not followed: the request holds
# personal data, and goes where the settings say.
NOTHING_DONE: Final = frozenset(
    {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)


class Headers(dict[str, str]):
    """Header lines by name, whatever the case of the letters."""

    def __init__(self, lines: Iterable[tuple[str, str]]) -> None:
        super().__init__((name.lower(), value) for name, value in lines)

    def find(self, name: str) -> str:
        """The value of a header, empty when it is absent."""
        return self.get(name.lower(), "")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. It may quote personal data: never log it."""

    status: int
    headers: Headers
    body: bytes

    def __repr__(self) -> str:
        return f"Answer(status={self.status})"

    @property
    def retry_after(self) -> float | None:
        """How many seconds the server asks to wait, when it does (RFC 9110, section 10.2.3)."""
        wish = self.headers.find("Retry-After").strip()
        if not wish:
            return None
        try:
            seconds = float(wish) if wish[0].isdigit() else parsedate_to_datetime(wish).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
        return min(max(seconds, 0.0), LONGEST_PAUSE) if math.isfinite(seconds) else None


class Endpoint:
    """One HTTP server, named by the first part of its URLs, and the connections to it that may be used again.

    Certificates are checked against the system's list, or the file that SSL_CERT_FILE names.
    """

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("The address of an API is http:// or https://, a host, and perhaps a port and a path.")
        if parts.username is not None:
            raise ValueError("The address of an API holds no credentials.")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port or (443 if self._secure else 80)
        self._path = parts.path.rstrip("/")
        self._context: ssl.SSLContext | None = None
        self._context_lock = threading.Lock()
        self._pool: Pool[_Connection] = Pool(discard=http.client.HTTPConnection.close)

    def exchange(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes | None, deadline: Deadline
    ) -> Answer:
        """Send one request and read the whole answer.

        Raises NotWritten when not one byte went out, and Lost when some did and no whole answer came in time.
        """
        connection = self._pool.take()
        if connection is not None and connection.wire.is_stale():
            connection.close()
            connection = None
        if connection is None:
            connection = self._open(deadline)
        else:
            connection.wire.renew(deadline)
        try:
            connection.request(method, self._path + target, body=body, headers=dict(headers))
            answer, reusable = _read(connection)
        except (OSError, http.client.HTTPException):
            connection.close()
            connection.wire.drop()
            raise (Lost if connection.wire.wrote else NotWritten) from None
        if reusable:
            self._pool.put(connection)
        else:
            connection.close()
        return answer

    def close(self) -> None:
        """Close the connections that lie idle."""
        self._pool.close()

    def _open(self, deadline: Deadline) -> "_Connection":
        wire: DeadlineSocket | None = None
        try:
            wire = connect(self._host, self._port, deadline=deadline)
            if self._secure:
                wire = wire.over_tls(self._tls(), host=self._host)
        except OSError:
            if wire is not None:
                wire.drop()
            raise NotWritten from None
        # What TLS wrote was no message.
        wire.renew(deadline)
        return _Connection(self._host, self._port, wire=wire, secure=self._secure)

    def _tls(self) -> ssl.SSLContext:
        with self._context_lock:
            if self._context is None:
                self._context = ssl.create_default_context()
            return self._context


class _Connection(http.client.HTTPConnection):
    """The standard library's HTTP over a socket that keeps to a deadline."""

    def __init__(self, host: str, port: int, *, wire: DeadlineSocket, secure: bool) -> None:
        super().__init__(host, port)
        if secure:
            self.default_port = 443  # So that the Host header names the port only where it is unusual.
        self.wire = wire
        self.sock = wire  # It offers what http.client uses of a socket.
        self.auto_open = 0


def _read(connection: _Connection) -> tuple[Answer, bool]:
    response = connection.getresponse()
    try:
        body = response.read(LARGEST_ANSWER + 1)
        if len(body) > LARGEST_ANSWER or response.length:
            raise http.client.IncompleteRead(b"")
        return Answer(response.status, Headers(response.getheaders()), body), not response.will_close
    finally:
        response.close()
