"""Draws messages as a phone or a mailbox would show them. Data in, HTML out."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from itertools import groupby
from urllib.parse import urlencode, urlsplit

from sandbox.language import language_of
from sandbox.markup import Html, element, joined
from sandbox.segments import size_of
from sandbox.store import Headers, Received

NAMES = {"push": "Push", "sms": "SMS", "email": "E-mail"}
LINK = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?)\]]")
SECRET_HEADERS = frozenset({"authorization"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What one page shows. `newer` and `older` are addresses, empty when there is no such page."""

    messages: Sequence[Received]
    counts: Mapping[str, int]
    channel: str
    to: str
    recipients: Sequence[str]
    newer: str
    older: str


def listing_page(listing: Listing) -> tuple[str, set[str]]:
    """The whole page, and the origins that its one-click unsubscribe buttons post to."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="robots", content="noindex"),
        element("title", "Sandbox inbox – Accord"),
        element("link", rel="stylesheet", href="/inbox.css"),
    )
    body = element(
        "body",
        element("a", "Skip to the messages", class_="skip", href="#messages"),
        element(
            "header",
            element("p", element("strong", "This is a sandbox."), " Nothing on this page was sent to anyone."),
            class_="notice",
        ),
        element(
            "main",
            element("h1", "Sandbox inbox"),
            element(
                "p",
                "Each message as the patient’s phone or mailbox would show it, newest first. ",
                element("a", "Refresh", href=_query(channel=listing.channel, to=listing.to)),
                class_="lead",
            ),
            _filters(listing),
            element("div", *_messages(listing), id="messages", tabindex="-1"),
            _turn_pages(listing),
        ),
        element(
            "footer",
            element("p", "The same ", element("a", "as JSON", href=_here("/inbox.json", listing)), " for programs."),
            _clear_form() if any(listing.counts.values()) else None,
        ),
    )
    posts_to = {origin for received in listing.messages if (origin := _origin(_one_click(received)))}
    return f"<!doctype html>{element('html', head, body, lang='en-GB')}", posts_to


def _filters(listing: Listing) -> Html:
    tabs = [("", "All", sum(listing.counts.values())), *((key, NAMES[key], listing.counts[key]) for key in NAMES)]
    links = [
        element(
            "li",
            element(
                "a",
                f"{name} ",
                element("span", str(count), class_="count"),
                href=_query(channel=channel, to=listing.to),
                aria_current="page" if channel == listing.channel else None,
            ),
        )
        for channel, name, count in tabs
    ]
    form = element(
        "form",
        element("label", "Recipient", for_="to"),
        element("span", "Number, address or device, in full", class_="hint", id="to-hint"),
        element(
            "div",
            element(
                "input",
                id="to",
                name="to",
                value=listing.to,
                list="recipients",
                autocomplete="off",
                aria_describedby="to-hint",
            ),
            element("input", type="hidden", name="channel", value=listing.channel) if listing.channel else None,
            element("button", "Show"),
            element("a", "Everyone", href=_query(channel=listing.channel, to="")) if listing.to else None,
            class_="row",
        ),
        element("datalist", *(element("option", value=recipient) for recipient in listing.recipients), id="recipients"),
        method="get",
        action="/inbox",
    )
    return element("div", element("nav", element("ul", *links), aria_label="Channels"), form, class_="filters")


def _messages(listing: Listing) -> Iterator[Html]:
    if not listing.messages:
        yield _empty(listing)
        return
    # Recipients in the order of their latest message, each with all that this page holds for them.
    order = {received.to: place for place, received in reversed(list(enumerate(listing.messages)))}
    for to, group in groupby(sorted(listing.messages, key=lambda received: order[received.to]), lambda one: one.to):
        messages = list(group)
        count = f"{len(messages)} message{'s' if len(messages) > 1 else ''}"
        yield element(
            "section",
            element("h2", element("span", to, class_="address"), " ", element("span", count, class_="count")),
            element("div", *(_message(received) for received in messages), class_="messages"),
            class_="recipient",
        )


def _empty(listing: Listing) -> Html:
    if listing.to or listing.channel:
        what = f"{NAMES[listing.channel]} message" if listing.channel else "message"
        whom = f" to {listing.to}" if listing.to else ""
        return element(
            "div",
            element("h2", "Nothing matches"),
            element("p", f"No {what}{whom} has arrived so far."),
            element("p", element("a", "Show all messages", href="/inbox")),
            class_="empty",
        )
    return element(
        "div",
        element("h2", "Nothing has arrived yet"),
        element("p", "Messages that Accord hands over to its carriers appear here, and go no further."),
        element(
            "ol",
            element("li", "In the console, approve a programme, or plan an appointment for a patient who said yes."),
            element("li", "Wait for the next round of deliveries; it comes within a minute."),
            element("li", "Come back and choose Refresh."),
        ),
        element("p", "A patient who never said yes does not appear here: silence means no."),
        class_="empty",
    )


def _message(received: Received) -> Html:
    drawn = {"push": _push, "sms": _sms, "email": _email}[received.channel](received)
    return element(
        "article",
        element(
            "header",
            element("h3", _title(received), id=f"m{received.number}"),
            element("p", _moment(received, "%-d %B %Y, %H:%M:%S"), class_="meta"),
        ),
        drawn,
        _details(received),
        class_=f"message {received.channel}",
        aria_labelledby=f"m{received.number}",
    )


def _title(received: Received) -> str:
    # Which app a notification belongs to is known to the phone, not to the message.
    if received.channel == "push":
        return "Push notification"
    name, address = parseaddr(received.sender)
    return f"{NAMES[received.channel]} from {name or address or received.sender or 'nobody'}"


def _push(received: Received) -> Html:
    local = received.received_at.astimezone()
    hidden = _visibility(received)
    words = [
        element("p", received.subject or None, class_="push-title") if received.subject else None,
        element("p", received.text, class_="push-body") if received.text else None,
    ]
    language = language_of(received)
    if not any(words):
        words = [element("p", "Data only: a phone shows nothing.", class_="push-body", lang="en-GB")]
    locked: list[Html | None] = [element("p", hidden, class_="push-body", lang="en-GB")] if hidden else words
    return element(
        "div",
        element("p", element("time", f"{local:%H:%M}", datetime=local.isoformat()), class_="clock"),
        element("p", f"{local:%A} {local.day} {local:%B}", class_="day"),
        _bubble(locked, language=None if hidden else language),
        element("p", "Once unlocked", class_="unlocked") if hidden else None,
        _bubble(words, language=language) if hidden else None,
        class_="lock-screen",
    )


def _bubble(words: list[Html | None], *, language: str | None) -> Html:
    app = element("p", element("span", "A", class_="app", aria_hidden="true"), "Clinic app", class_="push-app")
    return element("div", app, *words, class_="bubble", lang=language)


def _sms(received: Received) -> Html:
    size = size_of(received.text)
    joined_up = "" if size.segments == 1 else " joined"
    unit = "characters" if size.encoding == "GSM-7" else "16-bit units"
    facts = [f"{size.segments} SMS{joined_up}", size.encoding, f"{size.units} {unit}"]
    if size.costly:
        facts.append(f"because of {' '.join(size.costly)}")
    return element(
        "div",
        element(
            "p",
            element("span", (received.sender.lstrip("+") or "?")[0].upper(), class_="avatar", aria_hidden="true"),
            element("span", received.sender, class_="thread-name"),
            class_="thread-head",
        ),
        element("p", _linked(received.text), class_="bubble", lang=language_of(received)),
        element("p", f"{received.received_at.astimezone():%H:%M}", class_="thread-time"),
        element("p", " · ".join(facts), class_="thread-size"),
        class_="thread",
    )


def _email(received: Received) -> Html:
    language = language_of(received)
    lines = [
        ("From", received.sender),
        ("To", received.headers.get("To", received.to)),
        ("Date", received.headers.get("Date", "")),
    ]
    plain = element(
        "div",
        element("h4", "Plain text"),
        element("div", _linked(received.text), class_="plain", lang=language)
        if received.text
        else element("p", "This message has no plain-text part."),
        class_="part",
    )
    address = f"/inbox/html/{received.number}"
    drawn = element(
        "div",
        element("h4", "As a mailbox draws it"),
        element(
            "iframe",
            src=address,
            title=f"HTML part of message {received.number}",
            sandbox="allow-popups allow-popups-to-escape-sandbox",
            loading="lazy",
            referrerpolicy="no-referrer",
        ),
        element("p", element("a", "Open this part alone", href=address), class_="meta"),
        class_="part",
    )
    return element(
        "div",
        element("p", received.subject or "(no subject)", class_="subject", lang=language),
        element("dl", *(joined((element("dt", name), element("dd", value))) for name, value in lines if value)),
        _unsubscribe(received),
        element("div", drawn if received.html else None, plain, class_="parts"),
        class_="mail",
    )


def _unsubscribe(received: Received) -> Html | None:
    """What a mailbox offers when a message carries the List-Unsubscribe headers (RFC 2369, RFC 8058)."""
    page = _unsubscribe_page(received)
    if not page:
        return None
    link = element("a", "Unsubscribe page", href=page, rel="noreferrer noopener", target="_blank")
    if not (address := _one_click(received)):
        return element("p", link, class_="unsubscribe")
    return element(
        "form",
        element("input", type="hidden", name="List-Unsubscribe", value="One-Click"),
        element("button", "Unsubscribe", class_="quiet"),
        element("span", "the mailbox’s own button: it acts at once", class_="hint"),
        link,
        method="post",
        action=address,
        target="_blank",
        class_="unsubscribe",
    )


def _unsubscribe_page(received: Received) -> str:
    offered = re.findall(r"<([^<>]*)>", received.headers.get("List-Unsubscribe", ""))
    return next((address.strip() for address in offered if _origin(address.strip())), "")


def _one_click(received: Received) -> str:
    post = received.headers.get("List-Unsubscribe-Post", "").strip().lower()
    return _unsubscribe_page(received) if post == "list-unsubscribe=one-click" else ""


def _origin(address: str) -> str:
    """Scheme, host and port of a web address; empty for everything else. What comes back is safe in a policy."""
    try:
        parts = urlsplit(address)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not re.fullmatch(r"[a-z0-9.-]+", host):
        return ""
    return f"{parts.scheme}://{host}{port}"


def _details(received: Received) -> Html:
    rows = [*_facts(received), *redacted(received.headers)]
    lines = (element("tr", element("th", name, scope="row"), element("td", value)) for name, value in rows)
    source = element("pre", element("code", received.raw.decode("utf-8", "replace")))
    return element(
        "div",
        _fold(
            "Headers" if received.channel == "email" else "Headers of the request", received, element("table", *lines)
        ),
        _fold("Source", received, source),
        class_="details",
    )


def _fold(name: str, received: Received, content: Html) -> Html:
    # Wide content scrolls inside a box that the keyboard can reach and that says what it is.
    label = f"{name} of message {received.number}"
    box = element("div", content, class_="scroll", role="group", aria_label=label, tabindex="0")
    return element("details", element("summary", name), box)


def _facts(received: Received) -> list[tuple[str, str]]:
    known = [("Reference", received.reference), ("Message of Accord", received.message_id)]
    if received.channel == "email":
        known.append(("Envelope from", str(received.payload.get("mail_from", ""))))
        known.append(("Envelope to", received.to))
    return [(name, value) for name, value in known if value]


def redacted(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Header lines without what signs a client in."""
    for name, value in headers.pairs if isinstance(headers, Headers) else headers.items():
        yield name, f"{value.partition(' ')[0]} •••" if name.lower() in SECRET_HEADERS else value


def _visibility(received: Received) -> str:
    """What a locked Android phone shows in place of a notification that asks to be kept private."""
    android = received.payload.get("message", {}).get("android") or {}
    notification = android.get("notification") if isinstance(android, dict) else None
    wanted = str(notification.get("visibility", "")).lower() if isinstance(notification, dict) else ""
    return {
        "private": "Contents hidden until the phone is unlocked.",
        "secret": "Nothing is shown until the phone is unlocked.",
    }.get(wanted, "")


def _linked(text: str) -> Html:
    pieces: list[Html | str] = []
    end = 0
    for found in LINK.finditer(text):
        pieces.append(text[end : found.start()])
        pieces.append(element("a", found[0], href=found[0], rel="noreferrer noopener", target="_blank"))
        end = found.end()
    return joined([*pieces, text[end:]])


def _moment(received: Received, form: str) -> Html:
    local = received.received_at.astimezone()
    return element("time", local.strftime(form), datetime=local.isoformat(timespec="seconds"))


def _turn_pages(listing: Listing) -> Html | None:
    if not listing.newer and not listing.older:
        return None
    return element(
        "nav",
        element("a", "Newer messages", href=listing.newer, rel="prev") if listing.newer else None,
        element("a", "Older messages", href=listing.older, rel="next") if listing.older else None,
        aria_label="Pages",
        class_="pages",
    )


def _clear_form() -> Html:
    return element("form", element("button", "Empty the inbox", class_="quiet"), method="post", action="/inbox/clear")


def _query(*, channel: str, to: str) -> str:
    used = {name: value for name, value in (("channel", channel), ("to", to)) if value}
    return f"/inbox?{urlencode(used)}" if used else "/inbox"


def _here(path: str, listing: Listing) -> str:
    return _query(channel=listing.channel, to=listing.to).replace("/inbox", path, 1)
