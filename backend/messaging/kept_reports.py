"""Reports of carriers that are put down before anything follows from them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import Draft
from backend.messaging.carriers.base import DeliveryReport, DeliveryState, FailureCode
from backend.messaging.models import CarrierReport, Message
from backend.patients.entries import record_about_patients
from backend.vault.identifiers import new_id

LONGEST_REFERENCE: Final = 200
NO_CODE: Final = "none"
OPTED_OUT: Final = DeliveryReport(None, "", DeliveryState.FAILED, FailureCode.RECIPIENT_OPTED_OUT)


def keep_report(message: Message, report: DeliveryReport, *, carrier: str, now: datetime, actor: Actor) -> bool:
    """Put a report down; False where the same was put down before."""
    if CarrierReport.objects.filter(message_id=message.id, state=report.state).exists():
        return False
    _put_down([message], report, carrier=carrier, now=now, actor=actor)
    return True


def keep_opt_outs(messages: Sequence[Message], *, carrier: str, now: datetime, actor: Actor) -> None:
    """A carrier refused these because their recipients had said STOP to it: what follows from that waits for a tick.

    Not done at once: a withdrawal waits for what is being handed over, which may be the very batch that learns it.
    """
    known = CarrierReport.objects.filter(message_id__in={message.id for message in messages}, state=OPTED_OUT.state)
    before = set(known.values_list("message_id", flat=True))
    fresh = [message for message in messages if message.id not in before]
    if fresh:
        _put_down(fresh, OPTED_OUT, carrier=carrier, now=now, actor=actor)


def draft_of(message: Message, action: Action, *, carrier: str, state: str, code: str) -> Draft:
    """An entry about a report."""
    return Draft(
        action=action,
        clinic_id=message.clinic_id,
        about=(message.patient_id,),
        details={"message": message.id, "carrier": carrier, "state": state, "code": code or NO_CODE},
    )


def _put_down(
    messages: Sequence[Message], report: DeliveryReport, *, carrier: str, now: datetime, actor: Actor
) -> None:
    code = str(report.code or "")
    drafts = [
        draft_of(message, Action.MESSAGE_REPORT_KEPT, carrier=carrier, state=report.state, code=code)
        for message in messages
    ]
    rows = [
        CarrierReport(
            id=new_id(),
            clinic_id=message.clinic_id,
            patient_id=message.patient_id,
            message_id=message.id,
            carrier=carrier,
            carrier_reference=report.reference[:LONGEST_REFERENCE],
            state=report.state,
            code=code,
            received_at=now,
        )
        for message in messages
    ]
    with record_about_patients(drafts, by=actor, now=now):
        # The same may be put down at the same moment by another process: its row says the same.
        CarrierReport.objects.bulk_create(rows, ignore_conflicts=True)
