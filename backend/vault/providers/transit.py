"""The topmost key in HashiCorp Vault's transit engine, or in OpenBao, which speaks the same: it never leaves there.

What is wrapped is the text that Vault answers, `vault:v3:...`, whose number is the key's version: our epoch. The
context is bound as `associated_data`. https://developer.hashicorp.com/vault/api-docs/secret/transit
"""

import base64
import binascii
import http.client
import json
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlsplit

from backend.vault.ciphers import KEY_BYTES, Tampered, new_key
from backend.vault.providers.base import EpochDestroyed, KeysUnavailable

CALL_SECONDS: Final = 5.0
LARGEST_ANSWER: Final = 1 << 20
WRAPPED: Final = re.compile(rb"vault:v([1-9][0-9]{0,8}):[A-Za-z0-9+/=]+")
# What AES-GCM and ChaCha20-Poly1305 keys are called; only they bind associated data.
WITH_CONTEXT: Final = frozenset({"aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305"})
TOO_OLD: Final = "too old"
TOO_NEW: Final = "too new"
NOT_AUTHENTIC: Final = ("invalid ciphertext", "message authentication failed", "unable to decrypt")


class VaultSettingRefused(ValueError):
    """A setting of Vault can not be used; the sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultSettings:
    """Where Vault is, and which of its keys is ours."""

    url: str
    key: str
    token: str = field(repr=False)
    mount: str = "transit"
    namespace: str = ""

    def refuse_unfit(self) -> None:
        """Raises VaultSettingRefused."""
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise VaultSettingRefused("The address of Vault is https://, a host, and perhaps a port and a path.")
        if parts.username is not None:
            raise VaultSettingRefused("The address of Vault holds no credentials.")
        if parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "::1", "localhost"}:
            raise VaultSettingRefused("The address of Vault must be https://: keys would go over the network in clear.")
        if not self.token or not self.token.isascii() or not self.token.isprintable() or " " in self.token:
            raise VaultSettingRefused("The token of Vault is missing, or holds more than printable ASCII.")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", self.key):
            raise VaultSettingRefused("The name of Vault's key is letters, digits, `_`, `-` and `.`.")
        for path in (self.mount, self.namespace):
            if path and not re.fullmatch(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*/?", path):
                raise VaultSettingRefused("A mount or a namespace of Vault is a path such as `transit`.")


class TransitKeyProvider:
    """Asks Vault to wrap and unwrap. Each call has `seconds` in all; certificates are checked, redirects not followed.

    Certificates are checked against the system's list, or the file that SSL_CERT_FILE names.
    """

    name = "vault"

    def __init__(self, settings: VaultSettings, *, seconds: float = CALL_SECONDS) -> None:
        self._settings, self._seconds = settings, seconds
        parts = urlsplit(settings.url)
        self._secure, self._host = parts.scheme == "https", parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        self._path = f"{parts.path.rstrip('/')}/v1/{settings.mount.strip('/')}"
        self._place = f"Vault at {parts.scheme}://{self._host}:{self._port}"

    def describe(self) -> str:
        """Vault's key by its name."""
        return f"The key {self._settings.key} of {self._place}"

    def prepare(self, *, has_keys: bool) -> None:
        """Make the key at first start; see that it binds the context. Raises KeysUnavailable."""
        if self._find_key() is None:
            if has_keys:
                raise KeysUnavailable(
                    f"The database holds keys, but {self._place} has no key {self._settings.key}. Bring it back from "
                    "Vault's own backup: without it nothing that is sealed can be read."
                )
            self._ask("POST", f"keys/{self._settings.key}", {"type": "aes256-gcm96"})
        found = self._key()
        if found.get("type") not in WITH_CONTEXT or found.get("derived"):
            raise KeysUnavailable(
                f"{self.describe()} is of a kind that binds no context: it must be aes256-gcm96, and not derived."
            )
        self._see_that_context_is_bound()

    def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """The key, encrypted by Vault under the newest version of its key."""
        answer = self._ask(
            "POST", f"encrypt/{self._settings.key}", {"plaintext": _text(key), "associated_data": _text(context)}
        )
        wrapped = answer.get("ciphertext")
        if not isinstance(wrapped, str) or not WRAPPED.fullmatch(wrapped.encode()):
            raise self._unreadable()
        return wrapped.encode()

    def unwrap(self, blob: bytes, *, context: bytes) -> bytes:
        """The key again; raises Tampered for another context, EpochDestroyed, KeysUnavailable."""
        self.epoch_of(blob)
        answer = self._ask(
            "POST",
            f"decrypt/{self._settings.key}",
            {"ciphertext": blob.decode(), "associated_data": _text(context)},
            is_decrypting=True,
        )
        try:
            key = base64.b64decode(str(answer.get("plaintext")), validate=True)
        except binascii.Error as error:
            raise self._unreadable() from error
        if len(key) != KEY_BYTES:
            raise self._unreadable()
        return key

    def epoch_of(self, blob: bytes) -> int:
        """The version of Vault's key under which something was wrapped."""
        match = WRAPPED.fullmatch(blob)
        if match is None:
            raise KeysUnavailable(
                "These keys were not wrapped by Vault, but ACCORD_KEY_PROVIDER is vault: set it to what wrapped them."
            )
        return int(match[1])

    def epochs(self) -> list[int]:
        """The versions of Vault's key that were not trimmed away."""
        found = self._key()
        # A version below the lowest that may decrypt opens nothing; but whoever may configure the key brings it back.
        first = max(1, _number(found, "min_available_version"))
        return list(range(first, _number(found, "latest_version") + 1))

    def begin_epoch(self) -> int:
        """Have Vault make a new version of its key."""
        self._ask("POST", f"keys/{self._settings.key}/rotate", {})
        return self.epochs()[-1]

    def fingerprint(self, epoch: int) -> str:
        """The version: no two machines have different keys under one."""
        return f"version-{epoch}"

    def name_of(self, epoch: int) -> str:
        """The version by its number."""
        return f"Version {epoch} of {self.describe()[:1].lower()}{self.describe()[1:]}"

    def destroy(self, epoch: int) -> None:
        """Have Vault forget this version and those before it, for good: `trim`. Refuses the newest one.

        Raising the lowest version that may decrypt would hide them only; what is trimmed is deleted from Vault's
        storage, though not from its own snapshots and backups.
        """
        found = self._key()
        first = epoch + 1
        if first > _number(found, "latest_version"):
            raise KeysUnavailable(f"The newest version of {self.describe().lower()} is never destroyed.")
        if _number(found, "min_available_version") >= first:
            return
        lowest = {
            name: max(first, _number(found, name)) for name in ("min_decryption_version", "min_encryption_version")
        }
        self._ask("POST", f"keys/{self._settings.key}/config", lowest)
        self._ask("POST", f"keys/{self._settings.key}/trim", {"min_available_version": first})
        if _number(self._key(), "min_available_version") < first:
            raise KeysUnavailable(f"{self._place} did not trim its key: it is of a version that can not destroy one.")

    def _see_that_context_is_bound(self) -> None:
        # A Vault before 1.13 takes no notice of `associated_data`, and would open what was wrapped for another clinic.
        probe = self.wrap(new_key(), context=b"one")
        try:
            self.unwrap(probe, context=b"another")
        except Tampered:
            return
        raise KeysUnavailable(f"{self._place} takes no notice of associated data: Vault 1.13 or newer, or OpenBao.")

    def _key(self) -> Mapping[str, Any]:
        found = self._find_key()
        if found is None:
            raise KeysUnavailable(f"{self._place} has no key {self._settings.key} at {self._settings.mount}.")
        return found

    def _find_key(self) -> Mapping[str, Any] | None:
        return self._ask("GET", f"keys/{self._settings.key}", None, may_be_missing=True) or None

    def _ask(
        self,
        method: str,
        path: str,
        content: Mapping[str, object] | None,
        *,
        is_decrypting: bool = False,
        may_be_missing: bool = False,
    ) -> Mapping[str, Any]:
        """One call. Nothing that Vault says is quoted: only what it means."""
        try:
            self._settings.refuse_unfit()
        except VaultSettingRefused as error:
            raise KeysUnavailable(f"ACCORD_VAULT_*: {error}") from error
        status, body = self._exchange(method, path, content)
        if status == HTTPStatus.NO_CONTENT:
            return {}
        if status == HTTPStatus.NOT_FOUND and may_be_missing:
            return {}
        if status != HTTPStatus.OK:
            raise self._refusal(status, body, is_decrypting=is_decrypting)
        try:
            data = json.loads(body).get("data")
        except (ValueError, AttributeError) as error:
            raise self._unreadable() from error
        return data if isinstance(data, dict) else {}

    def _exchange(self, method: str, path: str, content: Mapping[str, object] | None) -> tuple[int, bytes]:
        deadline = time.monotonic() + self._seconds
        if self._secure:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self._seconds, context=ssl.create_default_context()
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self._seconds)
        headers = {"X-Vault-Token": self._settings.token, "X-Vault-Request": "true", "Accept": "application/json"}
        if self._settings.namespace:
            headers["X-Vault-Namespace"] = self._settings.namespace
        body = None if content is None else json.dumps(content).encode()
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, f"{self._path}/{quote(path)}", body=body, headers=headers)
            response = connection.getresponse()
            return response.status, _whole(response, connection.sock, deadline)
        except TimeoutError:
            raise KeysUnavailable(f"{self._place} did not answer within {self._seconds:g} seconds.") from None
        except ssl.SSLCertVerificationError:
            raise KeysUnavailable(
                f"{self._place} shows a certificate that is not trusted here: see SSL_CERT_FILE."
            ) from None
        except OSError as error:
            raise KeysUnavailable(f"{self._place} can not be reached ({error.strerror or 'no connection'}).") from None
        except http.client.HTTPException:
            raise self._unreadable() from None
        finally:
            connection.close()

    def _refusal(self, status: int, body: bytes, *, is_decrypting: bool) -> Exception:
        if status == HTTPStatus.BAD_REQUEST and is_decrypting:
            said = body.decode(errors="replace").lower()
            if TOO_OLD in said:
                return EpochDestroyed(f"a version of {self.describe().lower()} that was")
            if TOO_NEW not in said and any(words in said for words in NOT_AUTHENTIC):
                return Tampered()
        if status == HTTPStatus.FORBIDDEN:
            why = "refuses the token: it has expired, or its policy does not allow this"
        elif status == HTTPStatus.SERVICE_UNAVAILABLE:
            why = "is sealed or being maintained: unseal it"
        elif status == HTTPStatus.NOT_FOUND:
            why = f"has nothing at {self._settings.mount}: see ACCORD_VAULT_MOUNT and ACCORD_VAULT_KEY"
        elif status == HTTPStatus.TOO_MANY_REQUESTS:
            why = "has too many requests to answer"
        elif HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            why = "sends to another address: name that one in ACCORD_VAULT_URL"
        else:
            why = "refuses"
        return KeysUnavailable(f"{self._place} {why} (status {status}).")

    def _unreadable(self) -> KeysUnavailable:
        return KeysUnavailable(f"{self._place} gave no answer that Vault would give: see ACCORD_VAULT_URL.")


def _whole(response: http.client.HTTPResponse, wire: socket.socket | None, deadline: float) -> bytes:
    """The whole answer, within the deadline however slowly it drips."""
    pieces: list[bytes] = []
    size = 0
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if wire is not None and wire.fileno() >= 0:
            wire.settimeout(left)
        piece = response.read1(1 << 16)
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST_ANSWER:
            raise http.client.HTTPException
    if response.length:
        raise http.client.IncompleteRead(b"".join(pieces))
    return b"".join(pieces)


def _number(found: Mapping[str, Any], name: str) -> int:
    value = found.get(name)
    return value if isinstance(value, int) else 0


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
