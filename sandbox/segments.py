"""How many parts an SMS takes on the air (3GPP TS 23.038): what a clinic pays for, and why one accent can double it."""

from dataclasses import dataclass

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("\f^{}\\[~]|€")
GSM7_SINGLE, GSM7_PART = 160, 153
UCS2_SINGLE, UCS2_PART = 70, 67


@dataclass(frozen=True, slots=True)
class Size:
    """The size of one SMS. `units` counts septets (GSM-7) or 16-bit units (UCS-2).

    `costly` are the characters that GSM-7 does not have: one of them is enough to make the whole text UCS-2.
    """

    encoding: str
    units: int
    segments: int
    costly: tuple[str, ...] = ()


def size_of(text: str) -> Size:
    """Measure a text as a carrier does. A character of two units is never split between two parts."""
    costly = tuple(dict.fromkeys(character for character in text if character not in BASIC | EXTENDED))
    gsm = not costly
    widths = [_width(character, gsm=gsm) for character in text]
    single, part = (GSM7_SINGLE, GSM7_PART) if gsm else (UCS2_SINGLE, UCS2_PART)
    units = sum(widths)
    segments = 1
    if units > single:
        room = part
        for width in widths:
            if width > room:
                segments += 1
                room = part
            room -= width
    return Size("GSM-7" if gsm else "UCS-2", units, segments, costly)


def _width(character: str, *, gsm: bool) -> int:
    if gsm:
        return 2 if character in EXTENDED else 1
    return len(character.encode("utf-16-le")) // 2
