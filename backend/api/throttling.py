"""How often one may ask: per token, and per address for whoever shows none that counts.

The counts live in the cache of the process. With several processes each counts for itself, so the limit is as many
times higher; a shared cache makes it exact.
"""

from typing import TYPE_CHECKING, Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from backend.accounts.queries import Bearer

if TYPE_CHECKING:
    # DRF reads its settings, which name this module, while it loads its views.
    from rest_framework.views import APIView


class _Throttle(SimpleRateThrottle):
    def get_rate(self) -> str:
        """As the settings say now, not as they said when this module was loaded."""
        rates: Any = settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]
        return str(rates[self.scope])


class PerToken(_Throttle):
    """Whoever shows a good token is counted by it, wherever they are."""

    scope = "token"

    def get_cache_key(self, request: Request, view: "APIView") -> Any:  # noqa: ARG002 - DRF's signature
        """The token's id; None, which means not counted here, without a token."""
        bearer = request.auth
        return f"throttle:token:{bearer.token_id}" if isinstance(bearer, Bearer) else None


class PerAddress(_Throttle):
    """Whoever shows no good token is counted by address, so that guessing and knocking stay slow."""

    scope = "address"

    def get_cache_key(self, request: Request, view: "APIView") -> Any:  # noqa: ARG002 - DRF's signature
        """The address; None with a good token: a whole clinic may sit behind one address."""
        if isinstance(getattr(request, "_auth", None), Bearer):
            return None
        return f"throttle:address:{self.get_ident(request)}"
