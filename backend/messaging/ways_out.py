"""What every message carries besides its words: who writes and why, and a way to stop messages like it.

An e-mail has the headers of RFC 2369 and RFC 8058, which the mail server has to cover by its DKIM signature, and a foot
with the clinic, the reason and the link. An SMS has the link, and never the word STOP: carriers take a message with it
for marketing, and hold it back at night; and a sender in letters can not be answered.
"""

from dataclasses import replace
from typing import Final

from backend.consent.queries import PurposeRow
from backend.messaging.carriers.base import OutboundMessage
from backend.messaging.links import Way
from backend.messaging.mail import with_footer
from backend.policy.vocabulary import Channel, Language

CARRY_ONE: Final = frozenset({Channel.EMAIL, Channel.SMS, Channel.LETTER})
LINE: Final = {Language.FRENCH: "Arrêter ces messages", Language.ENGLISH: "Stop these messages"}
# In an SMS the circumflex alone would make it cost double.
SMS_LINE: Final = {Language.FRENCH: "Ne plus recevoir :", Language.ENGLISH: "To stop:"}
# Neither `tu` nor `vous`: the foot is the same in every tone.
CONSENTED: Final = {
    Language.FRENCH: "Pourquoi cet e-mail\u00a0: accord donné pour «\u00a0{purpose}\u00a0».",
    Language.ENGLISH: "Why this email: consent was given for “{purpose}”.",
}
ASKED_FOR: Final = {
    Language.FRENCH: "Pourquoi cet e-mail\u00a0: il répond à une demande.",
    Language.ENGLISH: "Why this email: it answers a request.",
}


def framed(message: OutboundMessage, way: Way | None, *, purpose: PurposeRow) -> OutboundMessage:
    """The message with its frame, for one purpose."""
    name = purpose.names.get(message.language, purpose.slug)
    return with_frame(message, address="" if way is None else way.address(), purpose=name)


def with_frame(message: OutboundMessage, *, address: str, purpose: str) -> OutboundMessage:
    """The message with its frame. Without an address there is no way out: one of the closed list can not be left."""
    if message.channel is Channel.SMS and address:
        return replace(message, text=f"{message.text}\n{SMS_LINE[message.language]} {address}")
    if message.channel is not Channel.EMAIL:
        return message
    words = LINE[message.language]
    why = (CONSENTED if address else ASKED_FOR)[message.language].replace("{purpose}", purpose)
    foot = [message.sender_name, why]
    headers = dict(message.headers)
    if address:
        colon = "\N{NO-BREAK SPACE}:" if message.language is Language.FRENCH else ":"
        foot.append(f"{words}{colon} {address}")
        headers |= {
            "List-Unsubscribe": f"<{address}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
    return replace(
        message,
        text="\n".join([message.text, "", *foot]),
        html=with_footer(
            message.html, clinic=message.sender_name, why=why, way_out=(words, address) if address else None
        ),
        headers=headers,
    )
