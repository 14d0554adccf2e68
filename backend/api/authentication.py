"""Who asks: whoever shows a bearer token (RFC 6750) that is known, not revoked and not expired."""

from typing import Any, Final

from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from backend import clock
from backend.accounts.queries import Bearer, find_bearer

SCHEME: Final = "bearer"
LONGEST_TOKEN: Final = 200


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>`. No cookie and no session counts here, so no form on another site can act."""

    def authenticate(self, request: Request) -> tuple[Any, Bearer] | None:
        """The bearer, twice: as user and as what they showed. None where no token was shown."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        token = token.strip()
        if scheme.lower() != SCHEME or not token or len(token) > LONGEST_TOKEN or not token.isascii():
            raise exceptions.AuthenticationFailed
        bearer = find_bearer(token, now=clock.now())
        if bearer is None:
            raise exceptions.AuthenticationFailed
        return bearer, bearer

    def authenticate_header(self, request: Request) -> str:
        """What to show, for the answer 401."""
        shown = request.headers.get("Authorization", "")
        return 'Bearer realm="accord"' + (', error="invalid_token"' if shown else "")


def bearer_of(request: Request) -> Bearer:
    """Whoever asks. Raises NotAuthenticated."""
    if not isinstance(request.auth, Bearer):
        raise exceptions.NotAuthenticated
    return request.auth
