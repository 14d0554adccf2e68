"""What patients would read, shown with an invented one: every variant in every way that preferences can change it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from backend.clinics.queries import get_clinic
from backend.consent.queries import PurposeRow, get_purpose
from backend.messaging.carriers.base import OutboundMessage
from backend.messaging.rendering import Rendered, TemplateRefused, Words, render
from backend.messaging.segments import Segments, characters_outside, count
from backend.messaging.values import invented_values
from backend.messaging.variants import VariantText
from backend.messaging.ways_out import CARRY_ONE, with_frame
from backend.policy.vocabulary import Channel, Language, Tone

NOBODY: Final = UUID(int=0)
TOKEN: Final = "AbCdEfGhIjKlMnOpQrStUv"  # noqa: S105 - of an invented link
# What a lock screen shows of a text before it cuts it off; an e-mail shows its subject and its first words.
LOCK_SCREEN: Final = {Channel.PUSH: 240, Channel.SMS: 160, Channel.EMAIL: 100}


class Form(StrEnum):
    """How a variant is read: as it stands, or changed by one preference or by who receives it."""

    FULL = "full"
    DISCREET = "discreet"
    NO_FIRST_NAME = "no_first_name"
    LARGE_PRINT = "large_print"
    PARENT = "parent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """One variant in one form. `lock_screen` is what others may see; `segments` are billed."""

    channel: Channel
    language: Language
    tone: Tone
    form: Form
    subject: str
    text: str
    html: str
    lock_screen: tuple[str, ...]
    segments: Segments | None
    outside: tuple[str, ...]


def preview_words(*, clinic_id: UUID, purpose: str, variants: Sequence[VariantText]) -> list[Preview]:
    """What an invented patient would read. Raises TemplateRefused for words that can not be filled, NotFound."""
    purpose_row = get_purpose(clinic_id=clinic_id, slug=purpose)
    clinic = get_clinic(clinic_id)
    named = {"name": clinic.name, "discreet_name": clinic.discreet_name, "telephone": clinic.telephone}
    return [
        _shown(one, form, said, purpose=purpose_row, clinic=clinic.discreet_name)
        for one in variants
        for form, said in _forms(one, named)
    ]


def _forms(variant: VariantText, clinic: dict[str, str]) -> Iterator[tuple[Form, Rendered]]:
    words = Words(
        id=NOBODY,
        channel=variant.channel,
        language=variant.language,
        subject=variant.subject,
        body=variant.body,
        discreet_subject=variant.discreet_subject,
        discreet_body=variant.discreet_body,
    )
    values: dict[str, Any] = {**invented_values(variant.language), "clinic": clinic}
    unnamed = {**values, "patient": {**values["patient"], "first_name": ""}}
    yield Form.FULL, render(words, values, discreet=False)
    if variant.channel in {Channel.PUSH, Channel.SMS}:
        yield Form.DISCREET, render(words, values, discreet=True)
    yield Form.NO_FIRST_NAME, render(words, unnamed, discreet=False, gaps=True)
    if variant.channel is Channel.EMAIL:
        yield Form.LARGE_PRINT, render(words, values, discreet=False, large_print=True)
    yield Form.PARENT, render(words, {**values, "for_child": True}, discreet=False)


def _shown(variant: VariantText, form: Form, said: Rendered, *, purpose: PurposeRow, clinic: str) -> Preview:
    carries_one = variant.channel in CARRY_ONE and purpose.requires_consent
    message = with_frame(
        OutboundMessage(
            message_id=NOBODY,
            channel=variant.channel,
            to="",
            language=variant.language,
            text=said.text,
            subject=said.subject,
            html=said.html,
            sender_name=clinic,
        ),
        address=f"{settings.ACCORD_PUBLIC_URL.rstrip('/')}/u/{TOKEN}" if carries_one else "",
        purpose=purpose.names.get(variant.language, purpose.slug),
    )
    is_sms = variant.channel is Channel.SMS
    first = message.text[: LOCK_SCREEN.get(variant.channel, 0)]
    return Preview(
        channel=variant.channel,
        language=variant.language,
        tone=variant.tone,
        form=form,
        subject=message.subject,
        text=message.text,
        html=message.html,
        lock_screen=tuple(filter(None, (message.subject, first))) if variant.channel in LOCK_SCREEN else (),
        segments=count(message.text) if is_sms else None,
        outside=tuple(sorted(characters_outside(message.text))) if is_sms else (),
    )


__all__ = ["Form", "Preview", "TemplateRefused", "preview_words"]
