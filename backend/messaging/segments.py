"""How long an SMS is, in the units that operators count and bill."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# 3GPP TS 23.038, section 6.2.1: the default alphabet, and the characters that its extension table reaches with an
# escape, at the price of two septets.
BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
ESCAPED: Final = frozenset("\f^{}\\[~]|€")

# What good typography uses and the default alphabet lacks, with the same sign in the alphabet. No letter is among
# them: an accent is never taken away, a person chooses another word.
SAME_SIGN: Final = str.maketrans(
    {
        "’": "'",
        "‘": "'",
        "“": '"',
        "”": '"',
        "–": "-",
        "—": "-",
        "…": "...",
        "\N{NO-BREAK SPACE}": " ",
        "\N{NARROW NO-BREAK SPACE}": " ",
        "\N{NON-BREAKING HYPHEN}": "-",
    }
)


class Encoding(StrEnum):
    """How the letters of an SMS travel: seven bits each, or sixteen as soon as one is outside the small alphabet."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"


# Units that fit into a message on its own, and into each part of a longer one, whose header takes some of the room
# (3GPP TS 23.040, section 9.2.3.24.1).
ALONE: Final = {Encoding.GSM7: 160, Encoding.UCS2: 70}
IN_A_ROW: Final = {Encoding.GSM7: 153, Encoding.UCS2: 67}

LAST_OF_ONE_UNIT: Final = "\uffff"


@dataclass(frozen=True, slots=True)
class Segments:
    """How a text travels as SMS: its alphabet, its length in units of it, and how many messages are billed."""

    encoding: Encoding
    units: int
    parts: int


def count(text: str) -> Segments:
    """How many SMS does this text take? Units are septets in GSM7 and 16-bit code units in UCS2."""
    encoding = Encoding.UCS2 if characters_outside(text) else Encoding.GSM7
    weights = [_weight(character, encoding) for character in text]
    units = sum(weights)
    alone = ALONE[encoding]
    parts = (1 if units else 0) if units <= alone else _parts(weights, room=IN_A_ROW[encoding])
    return Segments(encoding, units, parts)


def characters_outside(text: str) -> frozenset[str]:
    """Which characters make the whole text travel as UCS2, so that a person can choose another word."""
    return frozenset(text) - BASIC - ESCAPED


def with_plain_signs(text: str) -> str:
    """The text with the quotes, dashes and spaces of the small alphabet; letters stay as they are."""
    return text.translate(SAME_SIGN)


def _weight(character: str, encoding: Encoding) -> int:
    if encoding is Encoding.GSM7:
        return 2 if character in ESCAPED else 1
    return 2 if character > LAST_OF_ONE_UNIT else 1


def _parts(weights: Iterable[int], *, room: int) -> int:
    """A character of two units is never cut in two: it moves to the next part."""
    parts, used = 1, 0
    for weight in weights:
        if used + weight > room:
            parts, used = parts + 1, 0
        used += weight
    return parts
