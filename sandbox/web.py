"""A small HTTP/1.1 server with keep-alive, for the APIs and the inbox page. A request goes in, an answer comes out."""

import contextlib
import json
import logging
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from sandbox.faults import Fault
from sandbox.store import Headers

BODY_LIMIT = 1024 * 1024
STOP_SECONDS = 5.0

log = logging.getLogger("sandbox")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asked, read to the end."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Headers
    body: bytes

    def form(self) -> dict[str, str]:
        """The body as an HTML form sends it."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What the client gets, `delay` seconds later."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The client gets nothing: a connection that stays silent until the server stops, or one that is reset."""

    reset: bool


Answer = Response | NoAnswer


def json_response(
    value: object, *, status: int = 200, headers: Mapping[str, str] | None = None, delay: float = 0.0
) -> Response:
    """An answer in JSON."""
    body = json.dumps(value, ensure_ascii=False).encode("utf-8")
    content_type = "application/json; charset=utf-8"
    return Response(status=status, body=body, content_type=content_type, headers=headers or {}, delay=delay)


def broken_answer(fault: Fault | None, *, status: int) -> Answer | None:
    """The faults that look alike whatever the API is; None for all others."""
    match fault:
        case Fault(kind="reset"):
            return NoAnswer(reset=True)
        case Fault(kind="hang"):
            return NoAnswer(reset=False)
        case Fault(kind="garbage"):
            return Response(status=status, body=b"<html>\x00 it works", content_type="text/html")
        case _:
            return None


def retry_after(fault: Fault) -> dict[str, str]:
    """The Retry-After header of a fault, in whole seconds as the standard asks."""
    return {} if fault.retry_after is None else {"Retry-After": str(round(fault.retry_after))}


def delay_of(fault: Fault | None) -> float:
    """How long a fault holds the right answer back, in seconds."""
    return fault.seconds if fault is not None and fault.kind == "slow" else 0.0


def reset_on_close(connection: Any) -> None:
    """Make the next close of a socket a reset, so that the other side sees the connection break."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class WebServer:
    """Serves one function on one address, each connection in a thread of its own."""

    def __init__(self, address: tuple[str, int], answer: Callable[[Request], Answer]) -> None:
        self._server = _Listener(address, answer)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="sandbox-http")
        self._thread.daemon = True

    @property
    def port(self) -> int:
        """The port it listens on."""
        port: int = self._server.server_address[1]
        return port

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Close every connection, those that wait for an answer too, and return when their threads are done."""
        self._server.stopping.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(STOP_SECONDS)
        self._server.server_close()
        self._server.hang_up(timeout=STOP_SECONDS)


class _Listener(ThreadingMixIn, TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], answer: Callable[[Request], Answer]) -> None:
        self.answer = answer
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Connection)

    def opened(self, connection: socket.socket) -> None:
        with self._changed:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._changed:
            self._open.discard(connection)
            self._changed.notify_all()

    def hang_up(self, *, timeout: float) -> None:
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._open, timeout)

    def shutdown_request(self, request: Any) -> None:
        # Without the polite shutdown that the standard library adds: it would come before the reset of a fault.
        self.close_request(request)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the standard library's signature
        # Clients that go away are normal here, and a traceback could show what a message said.
        log.debug("a connection ended early")


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Listener

    def setup(self) -> None:
        super().setup()
        self.server.opened(self.connection)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.server.closed(self.connection)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        # An address line can hold a phone number.
        del format, args

    def handle_any(self) -> None:
        """Read the request to the end, ask for the answer, give it."""
        body = self._read_body()
        if body is None:
            return
        split = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=unquote(split.path),
            query=dict(parse_qsl(split.query, keep_blank_values=True)),
            headers=Headers(self.headers.items()),
            body=body,
        )
        try:
            answer = self.server.answer(request)
        except Exception as error:  # noqa: BLE001 - one bad request must not end the server
            log.error("a request could not be answered: %s", type(error).__name__)  # noqa: TRY400 - no traceback: it may show a message
            answer = Response(status=500, body=b"The sandbox could not answer.", content_type="text/plain")
        self._give(answer)

    do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = handle_any  # noqa: N815 - the standard library's names

    def _read_body(self) -> bytes | None:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self._refuse(HTTPStatus.LENGTH_REQUIRED)
            return None
        length = self.headers.get("Content-Length", "0")
        if not length.isascii() or not length.isdigit():
            self._refuse(HTTPStatus.BAD_REQUEST)
            return None
        if int(length) > BODY_LIMIT:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return None
        return self.rfile.read(int(length))

    def _refuse(self, status: HTTPStatus) -> None:
        # What follows on this connection can not be told from the body that was not read.
        self.close_connection = True
        self._give(Response(status=status, body=status.phrase.encode("ascii"), content_type="text/plain"))

    def _give(self, answer: Answer) -> None:
        if isinstance(answer, NoAnswer):
            self.close_connection = True
            if answer.reset:
                reset_on_close(self.connection)
            else:
                self.server.stopping.wait()
            return
        if answer.delay:
            self.server.stopping.wait(answer.delay)
        self.send_response_only(answer.status)
        self.send_header("Date", self.date_time_string())
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()
