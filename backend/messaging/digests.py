"""Several messages of a patient who wants them together go out as one. Each stays a row, an attempt, a decision.

The gate is asked about each; those it allows are laid into one, by channel and address, and whatever becomes of that
one becomes of all of them. One sending takes one place under a cap.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from backend.messaging.calendars import together
from backend.messaging.carriers.base import OutboundMessage
from backend.messaging.gate import GATHERED
from backend.messaging.held import BY_HAND, Held, said
from backend.messaging.links import Way
from backend.messaging.models import Message
from backend.messaging.ways_out import framed
from backend.policy.vocabulary import Channel, Language, MessageState
from backend.preferences.queries import PreferenceRow, who_want_a_digest

MOST_COMPANIONS: Final = 20
"""What a claim takes up beyond its batch: those whose first message is in it."""

BODY: Final = re.compile(r"(<body\b[^>]*>)(.*)(</body>)", re.DOTALL)
RULE: Final = '<hr style="border:0;border-top:1px solid #c5cad1;margin:0">'
HEADING: Final = {
    Language.FRENCH: "{count} messages de {sender}",
    Language.ENGLISH: "{count} messages from {sender}",
}


def companions_of(messages: Sequence[Message], patients: Iterable[UUID], *, now: datetime) -> list[Message]:
    """What else is due for those of these patients who want their messages together; locked, as the batch itself is."""
    wanting = who_want_a_digest(patients)
    if not wanting:
        return []
    return list(
        Message.objects.filter(
            state__in=[MessageState.PLANNED, MessageState.DEFERRED], due_at__lte=now, patient_id__in=wanting
        )
        .exclude(id__in=[message.id for message in messages])
        .exclude(channel__in=BY_HAND)
        .defer("sent_text")
        .order_by("due_at", "id")
        .select_for_update(skip_locked=True, of=("self",))[:MOST_COMPANIONS]
    )


def lay_together(
    ready: Sequence[Held], preferences: dict[UUID, PreferenceRow], *, way_out: Callable[[Held], Way | None]
) -> list[Held]:
    """What is to be handed over, the messages that go together behind the first of them."""
    leading: list[Held] = []
    first: dict[tuple[UUID, Channel, UUID | None], Held] = {}
    for held in ready:
        key = (held.message.patient_id, held.channel, held.message.contact_point_id)
        if not _goes_with_others(held, preferences):
            leading.append(held)
        elif key in first:
            first[key].together.append(held)
        else:
            first[key] = held
            leading.append(held)
    for held in leading:
        if held.together:
            held.outbound = _one_of([held, *held.together], way_out=way_out)
    return leading


def _goes_with_others(held: Held, preferences: dict[UUID, PreferenceRow]) -> bool:
    """Is it one that is gathered? Where the preferences were changed since the gate, it is: that sends fewer."""
    row = preferences.get(held.message.patient_id) or PreferenceRow()
    if held.channel not in GATHERED or held.message.programme_id is None:
        return False
    return row.digest or row.version != said(held).preferences_version


def _one_of(several: Sequence[Held], *, way_out: Callable[[Held], Way | None]) -> OutboundMessage:
    """One message that lists several. Those for one purpose share its way out."""
    of_purpose: dict[UUID, list[Held]] = {}
    for held in several:
        of_purpose.setdefault(held.purpose.id, []).append(held)
    parts = [
        framed(_joined([held.bare for held in own if held.bare is not None]), way_out(own[0]), purpose=own[0].purpose)
        for own in of_purpose.values()
    ]
    whole = _joined(parts)
    heading = HEADING[whole.language].format(count=len(several), sender=whole.sender_name)
    return replace(
        whole,
        subject="" if whole.channel is Channel.SMS else heading,
        # One click of a mail program can leave one purpose: of several, each has its link in the text.
        headers=parts[0].headers if len(parts) == 1 else {},
    )


def _joined(parts: Sequence[OutboundMessage]) -> OutboundMessage:
    between = "\n\n* * *\n\n" if parts[0].channel is Channel.EMAIL else "\n\n"
    return replace(
        parts[0],
        text=between.join(part.text for part in parts),
        html=_one_page([part.html for part in parts]),
        calendar=together([part.calendar for part in parts if part.calendar]),
    )


def _one_page(pages: Sequence[str]) -> str:
    """The first page, with the bodies of the others behind its own."""
    found = [BODY.search(page) for page in pages]
    bodies = [match.group(2) for match in found if match is not None]
    if len(bodies) != len(pages):
        return ""
    start, end = found[0].span(2) if found[0] is not None else (0, 0)
    return f"{pages[0][:start]}{RULE.join(bodies)}{pages[0][end:]}"
