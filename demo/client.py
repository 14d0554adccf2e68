"""Asks our own API over HTTP, as the clinic's mobile app and its practice software do."""

import json
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

SECONDS: Final = 60

# Our own server is on this machine: a proxy, which the environment may name, knows nothing of it.
_ON_THIS_MACHINE = build_opener(ProxyHandler({}))


class Refused(Exception):
    """The API said no; `problem` is its answer."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('code', '')}")
        self.status, self.problem = status, problem


class Client:
    """One bearer of a token."""

    def __init__(self, base_url: str, token: str) -> None:
        self._base, self._token = base_url, token

    def get(self, path: str) -> Any:
        """Read."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Any = None) -> Any:
        """Do."""
        return self._ask("POST", path, body if body is not None else {})

    def download(self, path: str, body: Any) -> bytes:
        """Have a file made."""
        request = self._request("POST", path, body, {"Accept": "*/*"})
        with _ON_THIS_MACHINE.open(request, timeout=SECONDS) as answer:
            return bytes(answer.read())

    def patch(self, path: str, body: Any, *, version: str) -> Any:
        """Change what was read at this version."""
        return self._ask("PATCH", path, body, {"If-Match": version})

    def version_of(self, path: str) -> str:
        """The version that stands now."""
        with _ON_THIS_MACHINE.open(self._request("GET", path, None, {}), timeout=SECONDS) as answer:
            return str(answer.headers["ETag"])

    def _ask(self, method: str, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        try:
            with _ON_THIS_MACHINE.open(self._request(method, path, body, headers or {}), timeout=SECONDS) as answer:
                text = answer.read()
                return json.loads(text) if text else None
        except HTTPError as error:
            raise Refused(error.code, json.loads(error.read() or b"{}")) from None

    def _request(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Request:
        data = None if body is None else json.dumps(body).encode()
        return Request(  # noqa: S310 - our own server
            f"{self._base}/api/v1{path}",
            data=data,
            method=method,
            headers={
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                **headers,
            },
        )
