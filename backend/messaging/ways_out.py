"""What every message that needs consent carries: a way to stop messages like it, in sight and, by e-mail, for machines.

An e-mail has the headers of RFC 2369 and RFC 8058, which the mail server has to cover by its DKIM signature, and a line
with the link. An SMS has the link, and never the word STOP: carriers take a message with it for marketing, and hold it
back at night; and a sender in letters can not be answered.
"""

import html
from dataclasses import replace
from typing import Final

from backend.messaging.carriers.base import OutboundMessage
from backend.messaging.links import Way
from backend.policy.vocabulary import Channel, Language

CARRY_ONE: Final = frozenset({Channel.EMAIL, Channel.SMS})
LINE: Final = {Language.FRENCH: "Arrêter ces messages", Language.ENGLISH: "Stop these messages"}
# In an SMS the circumflex alone would make it cost double.
SMS_LINE: Final = {Language.FRENCH: "Ne plus recevoir :", Language.ENGLISH: "To stop:"}
END: Final = "</div></body></html>"


def with_way_out(message: OutboundMessage, way: Way | None) -> OutboundMessage:
    """The message with its way out. One of the closed list has none: there is nothing in it that one could leave."""
    if way is None:
        return message
    address = way.address()
    if message.channel is Channel.SMS:
        return replace(message, text=f"{message.text}\n{SMS_LINE[message.language]} {address}")
    if message.channel is not Channel.EMAIL:
        return message
    words = LINE[message.language]
    colon = "\N{NO-BREAK SPACE}:" if message.language is Language.FRENCH else ":"
    link = f'<a style="color:#1b4f9c" href="{html.escape(address)}">{html.escape(words)}</a>'
    return replace(
        message,
        text=f"{message.text}\n\n{words}{colon} {address}",
        html=message.html.replace(END, f'<p style="margin:24px 0 0">{link}</p>{END}'),
        headers={
            **message.headers,
            "List-Unsubscribe": f"<{address}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    )
