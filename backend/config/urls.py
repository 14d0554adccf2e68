"""Every address, and what answers where there is none."""

from django.urls import URLPattern, URLResolver, include, path, re_path

from backend.api.docs import Docs, Schema
from backend.api.health import health
from backend.api.hooks import hook_routes
from backend.api.receipts import receipt_keys_page
from backend.portal.confirming import confirm
from backend.portal.leaving import leave
from backend.portal.notices import notice
from backend.portal.start import start

NOTICE = "notices/<slug:slug>/<int:version>/<str:language>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", start, name="start"),
    # Whatever follows is the token, also where a mail program added a stroke or cut a piece off.
    re_path(r"^u/(?P<token>.*)$", leave, name="leave"),
    re_path(r"^c/(?P<token>.*)$", confirm, name="confirm"),
    path(NOTICE, notice, name="notice"),
    path(f"{NOTICE}/child", notice, {"audience": "child"}, name="notice-for-children"),
    path("health", health, name="health"),
    path("receipts/keys", receipt_keys_page, name="receipt-keys"),
    path("api/schema/", Schema.as_view(), name="schema"),
    path("api/docs/", Docs.as_view(), name="docs"),
    path("api/v1/", include("backend.api.urls")),
    *hook_routes(),
]

handler400 = "backend.api.problems.bad_request"
handler403 = "backend.api.problems.permission_denied"
handler404 = "backend.api.problems.not_found"
handler500 = "backend.api.problems.server_error"
