"""Small servers that do what the sandbox does not: drip, speak TLS, or give any answer a test wants."""

import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Talk = Callable[[socket.socket], None]


@dataclass
class Listener:
    """A running server: its port, how many came, and what they said."""

    port: int
    connections: int = 0
    said: list[bytes] = field(default_factory=list)


@contextlib.contextmanager
def listening(
    talk: Callable[[socket.socket, Listener], None], *, tls: ssl.SSLContext | None = None
) -> Iterator[Listener]:
    """Run `talk` for every connection, each in a thread of its own, until the test is over."""
    opened: list[socket.socket] = []
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = Listener(port=server.getsockname()[1])

        def serve(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                if tls is None:
                    talk(connection, listener)
                    return
                with tls.wrap_socket(connection, server_side=True) as secured:
                    talk(secured, listener)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _address = server.accept()
                    listener.connections += 1
                    opened.append(connection)
                    threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
                    threads[-1].start()

        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        try:
            yield listener
        finally:
            server.shutdown(socket.SHUT_RDWR)
            acceptor.join(5)
            for connection in opened:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(5)


def silence(connection: socket.socket, listener: Listener) -> None:
    """Listen, and never say a word."""
    while heard := connection.recv(65536):
        listener.said.append(heard)


def door_shut(connection: socket.socket, listener: Listener) -> None:
    """Close at once."""
    del listener
    connection.close()


def dripping(beginning: bytes) -> Callable[[socket.socket, Listener], None]:
    """Say the beginning of something, then one letter twenty times a second, for ever."""

    def talk(connection: socket.socket, listener: Listener) -> None:
        del listener
        connection.sendall(beginning)
        while True:
            connection.sendall(b"a")
            time.sleep(0.05)

    return talk


def http_answer(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """Write one HTTP answer."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answering(answer: bytes, *, token: bytes | None = None) -> Callable[[socket.socket, Listener], None]:
    """Give the same answer to every HTTP request, or another one to those for a token."""

    def talk(connection: socket.socket, listener: Listener) -> None:
        with connection.makefile("rb") as lines:
            while first := lines.readline():
                length = 0
                while (line := lines.readline()) not in {b"\r\n", b""}:
                    name, _colon, value = line.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                listener.said.append(first + lines.read(length))
                connection.sendall(token if token is not None and b"/token" in first else answer)

    return talk


def smtp(
    replies: Mapping[str, bytes | None], *, tls: ssl.SSLContext | None = None
) -> Callable[[socket.socket, Listener], None]:
    """Speak SMTP by a script: a reply for each verb, None to hang up; TEXT is the reply to the final dot.

    What is said is kept: each command as it came, and each text with its dots.
    """
    script: dict[str, bytes | None] = {
        "GREETING": b"220 script",
        "EHLO": b"250-script\r\n250 ENHANCEDSTATUSCODES",
        "MAIL": b"250 2.1.0 OK",
        "RCPT": b"250 2.1.5 OK",
        "DATA": b"354 go on",
        "TEXT": b"250 2.0.0 OK",
        "RSET": b"250 OK",
        "QUIT": b"221 bye",
        **replies,
    }

    def talk(connection: socket.socket, listener: Listener) -> None:
        greeting = script["GREETING"]
        if greeting is None:
            return
        connection.sendall(greeting + b"\r\n")
        _converse(connection, listener, script, tls)

    return talk


def _converse(
    connection: socket.socket, listener: Listener, script: Mapping[str, bytes | None], tls: ssl.SSLContext | None
) -> None:
    with connection.makefile("rb") as lines:
        while command := lines.readline():
            listener.said.append(command)
            verb = command[:4].decode("ascii", "replace").strip().upper()
            if verb == "STAR" and tls is not None:
                connection.sendall(b"220 go on\r\n")
                with tls.wrap_socket(connection, server_side=True) as secured:
                    _converse(secured, listener, script, None)
                return
            reply = script.get(verb, b"502 5.5.1 what?")
            if reply is None:
                return
            connection.sendall(reply + b"\r\n")
            if verb == "DATA" and reply.startswith(b"354"):
                text = b""
                while not text.endswith(b"\r\n.\r\n") and (line := lines.readline()):
                    text += line
                listener.said.append(text)
                reply = script["TEXT"]
                if reply is None:
                    return
                connection.sendall(reply + b"\r\n")


def make_certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Make a certificate for this machine: the file that a client must trust, and what a server speaks TLS with."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
