"""The inbox: what was received, as a page for people and as JSON for programs."""

import ipaddress
import re
from collections.abc import Iterable
from functools import cache
from importlib import resources
from urllib.parse import urlencode

from sandbox.page import Listing, listing_page, redacted
from sandbox.store import Received, Selection, Store
from sandbox.web import Answer, Request, Response, json_response

CHANNELS = ("push", "sms", "email")
PAGE_SIZE, PAGE_SIZE_LIMIT = 50, 1000
RECIPIENTS_SUGGESTED = 200
HTML_PART = re.compile(r"/inbox/html/([0-9]{1,18})")
SECURITY = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "form-action 'self'"  # stands last: the origins of one-click buttons follow
)
# Mail is drawn with the styles it brings and the pictures inside it. Nothing is fetched and nothing runs; links open
# in a window of their own, as they do in a mailbox.
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
# Ahead of what the mail brings, so that it holds; the doctype keeps browsers out of their quirks mode.
MAIL_START = b'<!doctype html><base target="_blank">'


class Inbox:
    """Answers for the page, its style sheet, the HTML parts of mail, and the JSON."""

    def __init__(self, store: Store, *, hosts: Iterable[str]) -> None:
        self._store = store
        self._hosts = {host.lower() for host in hosts}

    def answer(self, request: Request) -> Answer:
        """Answer one request of a browser or a program."""
        if not self._is_for_us(request):
            # A page elsewhere could otherwise point its own name at this machine and read the inbox.
            return _plain(421, "This sandbox does not answer under this name.")
        read = request.method in {"GET", "HEAD"}
        match request.path:
            case "/inbox/clear" if request.method == "POST":
                answer = self._clear(request)
            case "/inbox" if read:
                answer = self._page(request)
            case "/inbox.json" if read:
                answer = self._json(request)
            case "/inbox.css" if read:
                answer = Response(body=_style(), content_type="text/css; charset=utf-8", headers=SECURITY)
            case path if read and (part := HTML_PART.fullmatch(path)):
                answer = self._html_part(int(part[1]))
            case _:
                answer = _plain(404, "There is nothing here. The inbox is at /inbox.")
        return answer

    def _is_for_us(self, request: Request) -> bool:
        host = re.sub(r":[0-9]+$", "", request.headers.get("Host", "")).strip("[]").lower()
        if host in self._hosts or host == "localhost":
            return True
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True

    def _page(self, request: Request) -> Response:
        selection, page = self._selection(request, PAGE_SIZE)
        found = self._store.received(selection, newest_first=True)
        everyone = Selection(to=selection.to)
        listing = Listing(
            messages=found[: selection.limit - 1],
            counts={channel: self._store.counts(everyone).get(channel, 0) for channel in CHANNELS},
            channel=selection.channel,
            to=selection.to,
            recipients=self._store.recipients(limit=RECIPIENTS_SUGGESTED),
            newer=_address(request, page - 1) if page > 1 else "",
            older=_address(request, page + 1) if len(found) == selection.limit else "",
        )
        html, posts_to = listing_page(listing)
        policy = " ".join([PAGE_POLICY, *sorted(posts_to)])
        headers = {**SECURITY, "Content-Security-Policy": policy}
        return Response(body=html.encode("utf-8"), content_type="text/html; charset=utf-8", headers=headers)

    def _json(self, request: Request) -> Response:
        limit = _positive(request.query.get("limit", ""), PAGE_SIZE_LIMIT)
        selection, page = self._selection(request, min(limit, PAGE_SIZE_LIMIT))
        found = self._store.received(selection, newest_first=True)
        counts = self._store.counts(Selection(to=selection.to))
        body = {
            "counts": {channel: counts.get(channel, 0) for channel in CHANNELS},
            "messages": [_as_json(received) for received in found[: selection.limit - 1]],
            "next": _address(request, page + 1) if len(found) == selection.limit else None,
        }
        return json_response(body, headers=SECURITY)

    def _html_part(self, number: int) -> Response:
        found = self._store.received(Selection(channel="email", number=number, limit=1))
        if not found or not found[0].html:
            return _plain(404, "There is no HTML part under this address.")
        headers = {**SECURITY, "Content-Security-Policy": MAIL_POLICY}
        body = MAIL_START + found[0].html.encode("utf-8", "replace")
        return Response(body=body, content_type="text/html; charset=utf-8", headers=headers)

    def _clear(self, request: Request) -> Response:
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return _plain(403, "Only the inbox page may do this.")
        self._store.clear()
        return Response(status=303, headers={**SECURITY, "Location": "/inbox"})

    def _selection(self, request: Request, size: int) -> tuple[Selection, int]:
        page = _positive(request.query.get("page", ""), 1)
        channel = request.query.get("channel", "")
        to = request.query.get("to", "")
        if re.match(r" [0-9]", to):
            # A plus sign typed into an address line arrives as a blank.
            to = f"+{to[1:]}"
        selection = Selection(
            channel=channel if channel in CHANNELS else "",
            to=to.strip(),
            # One more than is shown, to know whether more follow.
            limit=size + 1,
            offset=(page - 1) * size,
        )
        return selection, page


def _as_json(received: Received) -> dict[str, object]:
    return {
        "number": received.number,
        "channel": received.channel,
        "to": received.to,
        "sender": received.sender,
        "subject": received.subject,
        "text": received.text,
        "html": received.html,
        "headers": dict(redacted(received.headers)),
        "source": received.raw.decode("utf-8", "replace"),
        "reference": received.reference,
        "message_id": received.message_id,
        "received_at": received.received_at.isoformat(),
        "payload": received.payload,
    }


def _address(request: Request, page: int) -> str:
    return f"{request.path}?{urlencode({**request.query, 'page': page})}"


def _positive(text: str, otherwise: int) -> int:
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,8}", text) else otherwise


def _plain(status: int, text: str) -> Response:
    return Response(
        status=status, body=text.encode("utf-8"), content_type="text/plain; charset=utf-8", headers=SECURITY
    )


@cache
def _style() -> bytes:
    return resources.files("sandbox").joinpath("inbox.css").read_bytes()
