"""What is done about an e-mail that came back: its message failed, its address is no more, its reader complained."""

import logging
import os
from collections import Counter
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final
from uuid import UUID

from django.db import InterfaceError, OperationalError

from backend.audit.actors import Actor, system_actor
from backend.errors import NotFound
from backend.messaging.carriers.base import DeliveryReport, DeliveryState
from backend.messaging.carriers.returned import LONGEST_MAIL, Returned, Said, read_returned
from backend.messaging.carriers.smtp import SmtpCarrier
from backend.messaging.models import Message
from backend.messaging.operations.feedback import take_complaint
from backend.messaging.reports import Came, take_report
from backend.policy.vocabulary import Channel

log = logging.getLogger("accord.hooks")

MOST_AT_ONCE: Final = 1_000


class Taken(StrEnum):
    """What came of a mail. `unmatched`: it says something, about no message of ours; `nothing`: it says nothing."""

    FAILED = "failed"
    DELIVERED = "delivered"
    COMPLAINED = "complained"
    UNMATCHED = "unmatched"
    NOTHING = "nothing"
    BROKEN = "broken"


# What is left for a person to look at; the others hold nothing more that anybody needs.
FOR_A_PERSON: Final = frozenset({Taken.UNMATCHED, Taken.NOTHING})


def take_returned_mail(
    mail: bytes, *, key: str, now: datetime, recipient: str = "", actor: Actor | None = None
) -> Taken:
    """Act upon one mail, as often as it comes. Only a token of ours in it is believed, and nothing of it is kept."""
    actor = actor or system_actor("carrier_feedback")
    returned = read_returned(mail, key=key.encode(), recipient=recipient)
    if returned.said is Said.NOTHING:
        return Taken.NOTHING
    if returned.message_id is None:
        return Taken.UNMATCHED
    if returned.said is Said.COMPLAINED:
        return _complained(returned.message_id, now=now, actor=actor)
    return _reported(returned, returned.message_id, now=now, actor=actor)


def read_folder(folder: Path, *, key: str, now: datetime, at_most: int = MOST_AT_ONCE) -> Counter[Taken]:
    """Act upon what is new in a Maildir. What was acted upon is deleted, since patients' words may stand in it.

    What is left for a person is moved to `cur`, as a mail program does with what it has seen. One that breaks stays
    where it is and holds up no other. Raises OSError where the folder can not be read.
    """
    counts: Counter[Taken] = Counter()
    with os.scandir(folder / "new") as found:
        names = sorted(one.name for one in found if one.is_file(follow_symlinks=False))
    for name in names[:at_most]:
        path = folder / "new" / name
        try:
            with path.open("rb") as opened:
                mail = opened.read(LONGEST_MAIL)
            taken = take_returned_mail(mail, key=key, now=now)
            if taken in FOR_A_PERSON:
                path.rename(folder / "cur" / f"{name.partition(':')[0]}:2,")
            else:
                path.unlink()
        except FileNotFoundError:
            # Another worker was faster.
            continue
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to one mail
            log.error("a mail that came back was not acted upon: %s", type(error).__name__)  # noqa: TRY400 - a traceback may hold personal data
            taken = Taken.BROKEN
        counts[taken] += 1
    if counts:
        log.info("e-mail that came back: %s", ", ".join(f"{count} {taken}" for taken, count in sorted(counts.items())))
    return counts


def _reported(returned: Returned, message_id: UUID, *, now: datetime, actor: Actor) -> Taken:
    failed = returned.said is Said.FAILED
    report = DeliveryReport(
        message_id=message_id,
        reference="",
        state=DeliveryState.FAILED if failed else DeliveryState.DELIVERED,
        code=returned.code,
    )
    came = take_report(
        message_id=message_id, channel=Channel.EMAIL, carrier=SmtpCarrier.name, report=report, now=now, actor=actor
    )
    if came is Came.UNKNOWN:
        return Taken.UNMATCHED
    return Taken.FAILED if failed else Taken.DELIVERED


def _complained(message_id: UUID, *, now: datetime, actor: Actor) -> Taken:
    message = Message.objects.filter(id=message_id, channel=Channel.EMAIL).only("clinic_id").first()
    if message is not None:
        # The address may be gone with its patient: then there is nobody left to complain.
        with suppress(NotFound):
            take_complaint(clinic_id=message.clinic_id, message_id=message_id, now=now, actor=actor)
            return Taken.COMPLAINED
    return Taken.UNMATCHED
