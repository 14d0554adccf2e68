"""The words of one variant, as somebody writes them."""

from dataclasses import dataclass
from typing import Final

from backend.policy.vocabulary import Channel, Language, Tone

FIELDS: Final = ("subject", "body", "discreet_subject", "discreet_body")


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantText:
    """The words for one channel, language and tone, and what a lock screen may show of them."""

    channel: Channel
    language: Language
    tone: Tone
    body: str
    subject: str = ""
    discreet_subject: str = ""
    discreet_body: str = ""
