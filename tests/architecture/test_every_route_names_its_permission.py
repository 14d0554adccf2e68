"""Nothing is open by accident: every address says who may ask, and the default lets nobody in."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.permissions import AllowAny
from rest_framework.views import APIView

from backend.api.hooks import hook_routes
from backend.api.permissions import DenyAll

# Open to everybody, each with its reason.
OPEN = {
    "": "the start page names nobody",
    "^u/(?P<token>.*)$": "the link itself is the permission: a withdrawal asks nobody to sign in (GDPR Art. 7(3))",
    "^c/(?P<token>.*)$": "a yes is confirmed with the link alone; its token is the secret, and GET changes nothing",
    "health": "asked by whatever balances processes; says up or down",
    "notices/<slug:slug>/<int:version>/<str:language>": "a published notice: what everybody is shown who is asked",
    "notices/<slug:slug>/<int:version>/<str:language>/child": "so is the text that children are shown",
    "receipts/keys": "public keys, to check a receipt anywhere; they name nobody",
    "hooks/twilio/<str:key>/sms": "Twilio's signature is the permission, behind a secret; without one it is not there",
    "hooks/twilio/<str:key>/<uuid:message_id>": "as above",
    "api/schema/": "the description of the API is public",
    "api/docs/": "so are the pages that show it",
}


def routes(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        address = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, address)
        else:
            yield address, pattern


def hooks() -> list[URLPattern]:
    """The addresses that are there where a secret is set up."""
    with override_settings(
        ACCORD_TWILIO_HOOK_KEY="k" * 16, ACCORD_TWILIO_ACCOUNT_SID="AC", ACCORD_TWILIO_AUTH_TOKEN="t"
    ):
        return hook_routes()


ROUTES = dict(routes(get_resolver())) | {str(one.pattern): one for one in hooks()}


@pytest.mark.parametrize("address", ROUTES)
def test_an_address_is_open_with_a_reason_or_names_its_permission(address: str) -> None:
    view = getattr(ROUTES[address].callback, "cls", None)
    if address in OPEN:
        assert view is None or view.permission_classes == [AllowAny]
        return
    assert view is not None, f"{address} is a plain view: nothing asks for a token"
    assert issubclass(view, APIView)
    assert "permission_classes" in vars(view), f"{view.__name__} does not name its permission itself"
    assert view.permission_classes
    assert not {AllowAny, DenyAll} & set(view.permission_classes)


@pytest.mark.parametrize("unset", ["HOOK_KEY", "ACCOUNT_SID", "AUTH_TOKEN"])
def test_a_hook_without_a_secret_has_no_route(unset: str, settings: Any) -> None:
    settings.ACCORD_TWILIO_HOOK_KEY, settings.ACCORD_TWILIO_ACCOUNT_SID = "k" * 16, "AC"
    settings.ACCORD_TWILIO_AUTH_TOKEN = "t"
    assert len(hook_routes()) == 2
    setattr(settings, f"ACCORD_TWILIO_{unset}", "")

    assert hook_routes() == []


def test_the_default_lets_nobody_in() -> None:
    assert settings.REST_FRAMEWORK["DEFAULT_PERMISSION_CLASSES"] == ["backend.api.permissions.DenyAll"]
    assert DenyAll().has_permission(None, None) is False  # type: ignore[arg-type] # it looks at neither


def test_every_route_has_a_name_that_the_log_can_hold() -> None:
    from backend.audit.actions import CODE  # noqa: PLC0415 - only this test needs it

    names = [pattern.name for pattern in ROUTES.values()]

    assert len(set(names)) == len(names)
    assert all(name and CODE.fullmatch(f"delete:{name}") for name in names)
