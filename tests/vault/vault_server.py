"""A server on loopback that speaks Vault's transit protocol, with real encryption and Vault's own words.

https://developer.hashicorp.com/vault/api-docs/secret/transit
"""

import base64
import json
import os
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "hvs.only-for-tests"
NONCE = 12
TOO_OLD = "ciphertext or signature version is disallowed by policy (too old)"


class TransitKey:
    """One key with its versions."""

    def __init__(self, kind: str) -> None:
        self.kind, self.versions = kind, {1: os.urandom(32)}
        self.min_decryption_version, self.min_encryption_version, self.min_available_version = 1, 0, 0

    @property
    def latest(self) -> int:
        return max(self.versions)

    def told(self) -> dict[str, Any]:
        return {
            "type": self.kind,
            "derived": False,
            "latest_version": self.latest,
            "min_decryption_version": self.min_decryption_version,
            "min_encryption_version": self.min_encryption_version,
            "min_available_version": self.min_available_version,
            "keys": {str(version): 0 for version in self.versions if version >= self.min_decryption_version},
        }


class Refused(Exception):
    """What Vault answers instead."""

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(status, *errors)
        self.status, self.errors = status, errors


class VaultServer:
    """One Vault. `answer` may be replaced by another behaviour; `asked` tells what was asked for."""

    def __init__(self, *, binds_context: bool = True, upserts: bool = False) -> None:
        self.keys: dict[str, TransitKey] = {}
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.binds_context, self.upserts, self.trims = binds_context, upserts, True
        self.misbehave: Callable[[BaseHTTPRequestHandler], bool] = lambda _handler: False
        self._lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._do("GET")

            def do_POST(self) -> None:
                self._do("POST")

            def log_message(self, *_: object) -> None:
                """Nothing on the terminal."""

            def _do(self, method: str) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                server.asked.append((method, self.path))
                server.headers.append(dict(self.headers.items()))
                if server.misbehave(self):
                    return
                if self.headers.get("X-Vault-Token") != TOKEN:
                    send(self, 403, {"errors": ["permission denied"]})
                    return
                try:
                    with server._lock:
                        data = server._answer(method, self.path, json.loads(body or b"{}"))
                except Refused as refused:
                    send(self, refused.status, {"errors": list(refused.errors)})
                else:
                    send(self, 200 if data is not None else 204, None if data is None else {"data": data})

        server = self
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, method: str, path: str, told: dict[str, Any]) -> dict[str, Any] | None:
        version, mount, verb, *rest = path.strip("/").split("/")
        if (version, mount) != ("v1", "transit"):
            raise Refused(404, f"no handler for route {path!r}")
        if verb == "keys":
            return self._keys(method, rest, told)
        name = rest[0]
        if verb == "encrypt" and name not in self.keys and self.upserts:
            self.keys[name] = TransitKey("aes256-gcm96")
        if name not in self.keys:
            raise Refused(400 if verb == "decrypt" else 404, "encryption key not found")
        return self._encrypt(name, told) if verb == "encrypt" else self._decrypt(name, told)

    def _keys(self, method: str, rest: list[str], told: dict[str, Any]) -> dict[str, Any] | None:
        name, *verb = rest
        if method == "POST" and not verb:
            self.keys.setdefault(name, TransitKey(told.get("type", "aes256-gcm96")))
            return self.keys[name].told()
        if name not in self.keys:
            raise Refused(404)
        key = self.keys[name]
        if verb == ["rotate"]:
            key.versions[key.latest + 1] = os.urandom(32)
        elif verb == ["config"]:
            for setting in ("min_decryption_version", "min_encryption_version"):
                value = told.get(setting, getattr(key, setting))
                if value > key.latest:
                    raise Refused(400, f"cannot set {setting} to {value}, latest version is {key.latest}")
                if value < key.min_available_version:
                    raise Refused(400, f"{setting} is lower than the minimum available version")
                setattr(key, setting, value)
        elif verb == ["trim"]:
            self._trim(key, told["min_available_version"])
        return key.told()

    def _trim(self, key: TransitKey, lowest: int) -> None:
        if key.min_encryption_version == 0:
            raise Refused(400, "minimum available version cannot be set when minimum encryption version is not set")
        if lowest > min(key.min_decryption_version, key.min_encryption_version):
            raise Refused(400, "minimum available version cannot be greater than minimum decryption version")
        if self.trims:
            key.min_available_version = lowest
            key.versions = {number: secret for number, secret in key.versions.items() if number >= lowest}

    def _bound(self, told: dict[str, Any]) -> bytes:
        return base64.b64decode(told.get("associated_data", "")) if self.binds_context else b""

    def _encrypt(self, name: str, told: dict[str, Any]) -> dict[str, Any]:
        key, nonce = self.keys[name], os.urandom(NONCE)
        sealed = nonce + AESGCM(key.versions[key.latest]).encrypt(
            nonce, base64.b64decode(told["plaintext"]), self._bound(told)
        )
        return {"ciphertext": f"vault:v{key.latest}:{base64.b64encode(sealed).decode()}", "key_version": key.latest}

    def _decrypt(self, name: str, told: dict[str, Any]) -> dict[str, Any]:
        key = self.keys[name]
        _vault, version, sealed = told["ciphertext"].split(":")
        number, blob = int(version[1:]), base64.b64decode(sealed)
        if number > key.latest:
            raise Refused(400, "invalid ciphertext: version is too new")
        if number < max(key.min_decryption_version, key.min_available_version):
            raise Refused(400, TOO_OLD)
        try:
            plain = AESGCM(key.versions[number]).decrypt(blob[:NONCE], blob[NONCE:], self._bound(told))
        except InvalidTag:
            raise Refused(400, "invalid ciphertext: unable to decrypt") from None
        return {"plaintext": base64.b64encode(plain).decode()}


def send(handler: BaseHTTPRequestHandler, status: int, content: object) -> None:
    """One whole answer."""
    body = b"" if content is None else json.dumps(content).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
