"""The page of an e-mail: one column, large enough to read, in light and dark, with nothing from elsewhere.

No picture, no pixel, no script, no font, no address but our own: opening it tells nobody anything (obligation row 39).
Every colour is said twice, since a mail program that paints the page dark may change one and leave the other; contrast
is 7:1 or more in both (WCAG 2.2, 1.4.6). What is in the style sheet is only dark colours and a narrower margin: where a
mail program throws it away, the page is as readable without.
"""

import html
from typing import Final

from backend.policy.vocabulary import Language

FONT: Final = "17px/1.5"
# Large print is 18 points, which is 24 pixels (UK Association for Accessible Formats, clear and large print).
LARGE_FONT: Final = "24px/1.6"
SANS: Final = "system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif"
INK, PAPER, DESK, QUIET, LINE, LINKED = "#1b1f24", "#ffffff", "#f4f5f7", "#434a54", "#c9ced6", "#1b4f9c"
DARK: Final = (
    "@media (prefers-color-scheme:dark){"
    "body{background:#101418!important}"
    ".p{background:#1b2026!important;color:#eceff3!important}"
    ".q{color:#c3cad3!important;border-color:#4a525d!important}"
    "a{color:#a9cbff!important}}"
    "@media (max-width:480px){.p{padding:16px!important}}"
)
OPEN_PAGE: Final = {Language.FRENCH: "Ouvrir la page", Language.ENGLISH: "Open the page"}
END: Final = "</article></div></body></html>"


def as_html(text: str, *, language: Language, large_print: bool = False, title: str = "", link: str = "") -> str:
    """The text as a page: a heading, paragraphs, and the link that the text gives, as one that says where it leads."""
    width, font = (680, LARGE_FONT) if large_print else (560, FONT)
    shown_link = html.escape(link)
    anchor = f'<a style="color:{LINKED}" href="{shown_link}">{OPEN_PAGE[language]}</a>'
    paragraphs = "".join(
        f'<p style="margin:0 0 16px">{_lines(part, shown_link, anchor)}</p>'
        for part in text.split("\n\n")
        if part.strip()
    )
    name = html.escape(title)
    heading = f'<h1 style="margin:0 0 20px;font-size:1.3em;line-height:1.3">{name}</h1>' if title else ""
    return (
        f'<!doctype html><html lang="{language.value}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{name}</title><style>{DARK}</style></head>'
        f'<body style="margin:0;background:{DESK}">'
        f'<div class="p" style="max-width:{width}px;margin:0 auto;padding:24px;background:{PAPER};'
        f'color:{INK};font:{font} {SANS};overflow-wrap:break-word"><article>'
        f"{heading}{paragraphs}{END}"
    )


def with_footer(page: str, *, clinic: str, why: str, way_out: tuple[str, str] | None) -> str:
    """The page with who writes, why, and, where there is one, the way out: its words and its address."""
    lines = [f"<strong>{html.escape(clinic)}</strong>", html.escape(why)]
    if way_out is not None:
        words, address = way_out
        # The way out is as large as the text, and high enough for a thumb (WCAG 2.2, 2.5.8).
        lines.append(
            f'<a style="color:{LINKED};display:inline-block;padding:10px 0" href="{html.escape(address)}">'
            f"{html.escape(words)}</a>"
        )
    footer = "".join(f'<p style="margin:0 0 8px">{line}</p>' for line in lines)
    place, _end, _nothing = page.rpartition(END)
    return (
        f'{place}</article><footer class="q" style="margin-top:32px;padding-top:16px;border-top:1px solid {LINE};'
        f'color:{QUIET}">{footer}</footer></div></body></html>'
    )


def _lines(part: str, shown_link: str, anchor: str) -> str:
    escaped = html.escape(part)
    if shown_link:
        escaped = escaped.replace(shown_link, anchor)
    return escaped.replace("\n", "<br>")
