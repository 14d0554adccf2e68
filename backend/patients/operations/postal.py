"""Postal addresses as they stand in a window envelope: written down by staff, used once one of them attests them."""

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import IntegrityError

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import record
from backend.errors import InvalidInput
from backend.patients.models import ContactKind, ContactPoint
from backend.patients.queries import require_patient
from backend.policy.vocabulary import ContactStatus
from backend.vault.blind import Indexed, blind_index
from backend.vault.identifiers import new_id

FEWEST_LINES: Final = 3
MOST_LINES: Final = 6
LONGEST_LINE: Final = 38
"""Six lines of 38 signs (AFNOR NF Z10-011), which is what a window shows and a sorting machine reads."""


def add_postal_address(*, clinic_id: UUID, patient_id: UUID, lines: list[str], actor: Actor, now: datetime) -> UUID:
    """Write down where letters go: name, street, postal code and town, a line each. Raises InvalidInput.

    No code can be sent there: it is used once somebody of the staff attests it and says how they know.
    """
    require_patient(clinic_id=clinic_id, patient_id=patient_id)
    written = [" ".join(line.split()) for line in lines]
    written = [line for line in written if line]
    if not FEWEST_LINES <= len(written) <= MOST_LINES:
        raise InvalidInput("An address has three to six lines: the name, the street, the town.", field="lines")
    if any(len(line) > LONGEST_LINE or not line.isprintable() for line in written):
        raise InvalidInput("A line of an address has at most 38 signs.", field="lines")
    index = blind_index(Indexed.POSTAL, "\n".join(written).casefold(), clinic_id=clinic_id)
    there = ContactPoint.objects.in_clinic(clinic_id).filter(
        patient_id=patient_id, kind=ContactKind.POSTAL, value_index=index, ended_at=None
    )
    if (known := there.values_list("id", flat=True).first()) is not None:
        return UUID(str(known))
    point_id = new_id()
    try:
        with record(
            Action.CONTACT_POINT_ADDED,
            by=actor,
            now=now,
            clinic_id=clinic_id,
            about=patient_id,
            contact_point=point_id,
            kind=ContactKind.POSTAL.value,
        ):
            ContactPoint.objects.create(
                id=point_id,
                clinic_id=clinic_id,
                patient_id=patient_id,
                kind=ContactKind.POSTAL,
                value="\n".join(written),
                value_index=index,
                status=ContactStatus.UNVERIFIED,
                created_at=now,
            )
    except IntegrityError:
        # Said twice at once: the first one stands.
        return UUID(str(there.values_list("id", flat=True).get()))
    return point_id
