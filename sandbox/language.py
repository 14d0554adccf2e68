"""Which language a message is in, so that a screen reader pronounces it as such."""

import re

from sandbox.store import Received

TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
WORD = re.compile(r"[^\W\d_]+")
# Small words that one of the two languages has and the other has not, and words that reminders are made of.
FRENCH = WORD.findall(
    "le la les des du un une et est vous votre vos nous notre pour avec dans sur par pas ne au aux ce cette mon ma "
    "bonjour rendez rappel merci clinique arrêter répondez à où être voir"
)
ENGLISH = WORD.findall(
    "the a an and is are you your we our for with in by not to of this that my hello appointment reminder thank "
    "clinic reply at or from see"
)


def language_of(received: Received) -> str | None:
    """The language tag of a message, as far as it says or shows; None means: as the page around it."""
    said = _said(received)
    if TAG.fullmatch(said):
        return said
    words = set(WORD.findall(f"{received.subject} {received.text}".lower()))
    french, english = len(words.intersection(FRENCH)), len(words.intersection(ENGLISH))
    if french == english:
        return None
    return "fr" if french > english else "en"


def _said(received: Received) -> str:
    match received.channel, received.payload:
        case "email", _:
            return received.headers.get("Content-Language", "")
        case "push", {"message": {"data": {"language": str(language)}}}:
            return language
    return ""
