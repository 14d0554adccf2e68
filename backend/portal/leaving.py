"""`/u/{token}`: messages are stopped by whoever has the link, without signing in, without a script, without a cookie.

GET and HEAD show and change nothing, however often a mail scanner opens them. POST stops, once. A token that leads
nowhere, a spoilt one and that of an erased patient get the same page: nobody learns from it who was ever a patient.
"""

from typing import Any, Final

from csp.decorators import csp
from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt

from backend import clock
from backend.messaging.links import WayOut, find_way_out
from backend.messaging.operations.leaving import withdraw_by_link
from backend.policy.vocabulary import Channel, Language, Method, Nature
from backend.portal.frame import framed
from backend.portal.leaving_words import BY_CHANNEL, KIND, WORDS, moment
from backend.portal.start import language_of

POLICY: Final = {
    "default-src": ["'none'"],
    "style-src": ["'self'"],
    "img-src": ["'self'"],
    "form-action": ["'self'"],
    "base-uri": ["'none'"],
    "frame-ancestors": ["'none'"],
}
ONE_CLICK: Final = ("List-Unsubscribe", "One-Click")
A_MINUTE: Final = 60
# What a mail program may take for part of the address; none of it occurs in a token.
HANGING_ON: Final = "/.,;:!?)>] \t"


# A mail provider posts without ever having seen the page (RFC 8058, section 3.1): the token is the secret.
@csrf_exempt
@csp(POLICY)  # type: ignore[arg-type] # its types know only views without an argument
def leave(request: HttpRequest, token: str) -> HttpResponseBase:
    """Show what the link stops, or stop it."""
    if request.method not in {"GET", "HEAD", "POST"}:
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    token = token.rstrip(HANGING_ON)
    if request.method == "POST":
        return _stop(request, token)
    found = find_way_out(token)
    if found is None:
        return _nowhere(request)
    if found.is_open:
        return _page(request, "ask", found)
    return _page(request, "stopping" if found.is_in_hand else "already", found)


def _stop(request: HttpRequest, token: str) -> HttpResponse:
    one_click = _is_one_click(request)
    left = withdraw_by_link(token=token, method=Method.ONE_CLICK if one_click else Method.WEB, now=clock.now())
    if left is None:
        return _nowhere(request)
    if one_click:
        # Whoever posts this reads no page, and must not be sent elsewhere.
        return with_headers(HttpResponse(status=200, content_type="text/plain; charset=utf-8"))
    if not left.confirmed:
        return _page(request, "stopping", left.way_out)
    return _page(request, "done" if left.way_out.is_open else "already", left.way_out)


def _is_one_click(request: HttpRequest) -> bool:
    """Did a mail program post it? A body that can not be read is no reason not to stop."""
    name, value = ONE_CLICK
    try:
        return bool(request.POST.get(name) == value)
    except (BadRequest, MultiPartParserError, SuspiciousOperation, UnreadablePostError):
        return False


def _nowhere(request: HttpRequest) -> HttpResponse:
    """One page for every token that stops nothing. Whoever tries many of them is slowed down; a good link never is."""
    if knocks_too_often(request):
        response = _page(request, "slow", None, status=429)
        response["Retry-After"] = str(A_MINUTE)
        return response
    return _page(request, "nowhere", None)


def knocks_too_often(request: HttpRequest) -> bool:
    """Did this address try many tokens within a minute that lead nowhere?"""
    key = f"leave:address:{_address(request)}"
    cache.add(key, 0, A_MINUTE)
    try:
        return int(cache.incr(key)) > settings.ACCORD_REQUESTS_WITHOUT_TOKEN
    except ValueError:
        # It ran out between the two.
        return False


def _address(request: HttpRequest) -> str:
    """Who asks: as the last of our own proxies says, where there are any."""
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",") if hop.strip()]
    proxies = settings.ACCORD_PROXIES
    if proxies and hops:
        return hops[-min(proxies, len(hops))]
    return str(request.META.get("REMOTE_ADDR", ""))


def _page(request: HttpRequest, step: str, found: WayOut | None, *, status: int = 200) -> HttpResponse:
    language = language_of(request)
    words = _filled(language, step, found)
    frame = framed(
        language,
        title=words["title"],
        clinic="" if found is None else found.clinic.discreet_name,
        telephone="" if found is None else found.clinic.telephone,
    )
    response = render(request, "portal/leave.html", {**frame, "step": step, "words": words}, status=status)
    response["Content-Language"] = language.value
    return with_headers(response)


def _filled(language: Language, step: str, found: WayOut | None) -> dict[str, Any]:
    """The words of one page. Of the clinic it names what a lock screen may show, of the purpose its kind."""
    words = WORDS[language]
    common = {name: words[name] for name in ("space", "skip", "language", "nothing_to_explain", "call")}
    if found is None:
        return {**common, **words[step]}
    named = {
        "kind": KIND[language][Nature(found.purpose.nature)],
        "channel": BY_CHANNEL[language][Channel(found.way.channel)],
        "since": ""
        if found.stopped_since is None
        else words["since"].format(moment=moment(found.stopped_since, language, found.clinic.time_zone)),
    }
    return {**common, **{name: text.format(**named) for name, text in words[step].items()}}


def with_headers(response: HttpResponse) -> HttpResponse:
    """No cache keeps it, no address bar passes it on, no search engine shows it."""
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response
