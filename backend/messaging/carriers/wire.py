"""Connections that keep to a deadline, however slowly the other side talks.

The timeout of a socket starts anew with every read, so a server that sends one byte now and then can hold a caller for
ever. Here one deadline covers name look-up, connecting, TLS, every write and every read. Nothing here asks the
environment for a proxy.
"""

import io
import os
import queue
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

Address = tuple[Any, ...]
Resolved = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, Address]]

Kept = TypeVar("Kept")

# Servers that write an answer in pieces, and wait for the first to be acknowledged, else cost 40 ms each time. Linux
# forgets the wish now and then, so it is repeated.
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class NotWritten(Exception):
    """Nothing of the request left this machine: the carrier surely did not take the message."""


class Lost(Exception):
    """Something was written and no whole answer came back: only the carrier knows."""


class Deadline:
    """The moment, on this machine's steady clock, at which a call has to be over."""

    __slots__ = ("_at",)

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def remaining(self) -> float:
        """How many seconds are left. Raises TimeoutError when none are."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class DeadlineSocket:
    """A connected socket, plain or TLS, that obeys a deadline set anew for every message.

    It offers what http.client and smtplib ask of a socket. `wrote` tells whether a byte went out since the deadline
    was set.
    """

    def __init__(self, raw: socket.socket, *, deadline: Deadline) -> None:
        self.raw = raw
        self._readers = 0
        self._closing = False
        self.renew(deadline)

    def renew(self, deadline: Deadline) -> None:
        """Begin another message under its own deadline."""
        self.deadline = deadline
        self.wrote = False

    def over_tls(self, context: ssl.SSLContext, *, host: str) -> "DeadlineSocket":
        """Shake hands for TLS and go on over it."""
        self.raw.settimeout(self.deadline.remaining())
        secured = context.wrap_socket(self.raw, server_hostname=host)
        return DeadlineSocket(secured, deadline=self.deadline)

    def sendall(self, data: bytes) -> None:
        """Write everything. When this raises, the last byte of `data` surely did not go out."""
        rest = memoryview(data)
        while rest:
            self.raw.settimeout(self.deadline.remaining())
            rest = rest[self.raw.send(rest) :]
            self.wrote = True

    def read_into(self, buffer: memoryview) -> int:
        """Read what there is, at least one byte, or 0 when the other side has closed."""
        self.raw.settimeout(self.deadline.remaining())
        if _QUICK_ACK is not None:
            self.raw.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
        return self.raw.recv_into(buffer)

    def makefile(self, _mode: str = "rb") -> io.BufferedReader:
        """Open for reading by line."""
        self._readers += 1
        return io.BufferedReader(_Reader(self))

    def is_stale(self) -> bool:
        """Tell whether the other side closed, or said something out of turn, while the connection lay idle."""
        watch = select.poll()
        watch.register(self.raw, select.POLLIN)
        return bool(watch.poll(0))

    def close(self) -> None:
        """Close, at the latest when those who still read have finished."""
        self._closing = True
        if not self._readers:
            self.raw.close()

    def reader_closed(self) -> None:
        """Count one reader less."""
        self._readers -= 1
        if self._closing and not self._readers:
            self.raw.close()

    def drop(self) -> None:
        """Close now, whoever reads."""
        self.raw.close()


class _Reader(io.RawIOBase):
    """What a buffered reader reads from."""

    def __init__(self, source: DeadlineSocket) -> None:
        super().__init__()
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._source.read_into(memoryview(buffer))

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._source.reader_closed()


def connect(host: str, port: int, *, deadline: Deadline) -> DeadlineSocket:
    """Connect to the first address of this host that answers.

    Raises OSError, of which TimeoutError is one. Each address gets its share of the time that is left, so that one
    that swallows packets does not eat it all.
    """
    addresses = _resolve(host, port, deadline=deadline)
    failure = OSError("no address")
    for tried, (family, kind, protocol, _name, address) in enumerate(addresses):
        candidate = socket.socket(family, kind, protocol)
        try:
            candidate.settimeout(deadline.remaining() / (len(addresses) - tried))
            candidate.connect(address)
            candidate.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as refusal:
            candidate.close()
            failure = refusal
        else:
            return DeadlineSocket(candidate, deadline=deadline)
    raise failure


def _resolve(host: str, port: int, *, deadline: Deadline) -> Resolved:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from None
    except socket.gaierror:
        pass  # A name. Looking it up can not be interrupted, so it is done aside and waited for.
    answer: queue.SimpleQueue[Resolved | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answer.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as failure:
            answer.put(failure)

    threading.Thread(target=look_up, name="name-look-up", daemon=True).start()
    try:
        found = answer.get(timeout=deadline.remaining())
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(found, OSError):
        raise found
    return found


class Pool(Generic[Kept]):
    """Idle connections, the youngest first. Safe to use from many threads, and never shared with a forked child."""

    def __init__(self, *, discard: Callable[[Kept], None], size: int = 32, idle_seconds: float = 20.0) -> None:
        self._discard = discard
        self._size = size
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._idle: list[tuple[float, Kept]] = []
        self._owner = os.getpid()

    def take(self) -> Kept | None:
        """Take a connection out, or None when a new one has to be opened."""
        too_old: list[Kept] = []
        with self._lock:
            self._leave_to_parent()
            taken = None
            if self._idle:
                since, taken = self._idle.pop()
                if time.monotonic() - since > self._idle_seconds:
                    # The youngest is too old, so all are.
                    too_old = [taken, *(kept for _since, kept in self._idle)]
                    self._idle.clear()
                    taken = None
        for kept in too_old:
            self._discard(kept)
        return taken

    def put(self, connection: Kept) -> None:
        """Give a connection back that the next message may use."""
        with self._lock:
            self._leave_to_parent()
            if len(self._idle) < self._size:
                self._idle.append((time.monotonic(), connection))
                return
        self._discard(connection)

    def close(self) -> None:
        """Discard all that lie idle."""
        with self._lock:
            self._leave_to_parent()
            idle, self._idle = self._idle, []
        for _since, kept in idle:
            self._discard(kept)

    def _leave_to_parent(self) -> None:
        # After a fork both processes hold the same sockets: the child forgets them without a word on the wire.
        if self._owner != os.getpid():
            self._owner = os.getpid()
            self._idle.clear()
