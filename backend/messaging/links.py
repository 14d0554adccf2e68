"""Links by which a patient leaves without signing in: what they say, how they are found, and what they would stop."""

from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

from django.conf import settings

from backend.attempts.operations import is_in_hand
from backend.clinics.queries import ClinicFacts, get_clinic
from backend.consent.queries import PurposeRow, purposes_by_id, states_of
from backend.messaging.models import UnsubscribeLink
from backend.patients.queries import patients_by_id
from backend.policy.vocabulary import Channel, ConsentStatus
from backend.vault.blind import Indexed, blind_index
from backend.vault.ciphers import derive, mac
from backend.vault.keyring import SYSTEM, Scope, keyring

TOKEN_LENGTH: Final = 22
CAN_BE_STOPPED: Final = frozenset(
    {ConsentStatus.GIVEN, ConsentStatus.PENDING, ConsentStatus.EXPIRED, ConsentStatus.RECONSENT_REQUIRED}
)
"""Where leaving is something to record. Elsewhere nothing was said, or it was already a no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What a link stops: one purpose on one channel, for one patient."""

    clinic_id: UUID
    patient_id: UUID
    purpose_id: UUID
    channel: Channel

    def token(self) -> str:
        """128 bits under the clinic's own key: the same each time, so that no message needs a row of its own."""
        index = blind_index(
            Indexed.LINK, f"{self.patient_id}|{self.purpose_id}|{self.channel.value}", clinic_id=self.clinic_id
        )
        return urlsafe_b64encode(index).rstrip(b"=").decode("ascii")

    def address(self) -> str:
        """Where the link leads."""
        return f"{settings.ACCORD_PUBLIC_URL.rstrip('/')}/u/{self.token()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WayOut:
    """Where a way out stands: still open, or stopped, since when, and whether something is on its way."""

    way: Way
    clinic: ClinicFacts
    purpose: PurposeRow
    is_open: bool
    stopped_since: datetime | None
    is_in_hand: bool


def digest_of(token: str) -> bytes:
    """By which a token is found. Keyed for the whole installation: a link does not say whose it is."""
    system = keyring().current(clinic_id=SYSTEM, scope=Scope.WRITER_MAC)
    return mac(_key(system.secret), token.encode())


@lru_cache(maxsize=4)
def _key(secret: bytes) -> bytes:
    return derive(secret, purpose="unsubscribe-link-v1")


def ways_with_links(ways: Iterable[Way]) -> frozenset[Way]:
    """Those that have their row; one query."""
    wanted = frozenset(ways)
    rows = UnsubscribeLink.objects.filter(
        patient_id__in={way.patient_id for way in wanted}, purpose_id__in={way.purpose_id for way in wanted}
    ).values_list("clinic_id", "patient_id", "purpose_id", "channel")
    return wanted & {
        Way(clinic_id=clinic_id, patient_id=patient_id, purpose_id=purpose_id, channel=Channel(channel))
        for clinic_id, patient_id, purpose_id, channel in rows
    }


def find_way_out(token: str) -> WayOut | None:
    """What a token stops. None for one that is unknown or malformed, and for that of an erased patient: all alike."""
    if len(token) != TOKEN_LENGTH or not token.isascii():
        return None
    row = UnsubscribeLink.objects.filter(token_digest=digest_of(token)).first()
    if row is None:
        return None
    patient = patients_by_id([row.patient_id]).get(row.patient_id)
    if patient is None or patient.is_erased:
        return None
    channel = Channel(row.channel)
    purpose = purposes_by_id([row.purpose_id])[row.purpose_id]
    states = states_of(clinic_id=row.clinic_id, patient_id=row.patient_id)
    said = next((one for one in states if (one.purpose, one.channel) == (purpose.slug, channel)), None)
    is_open = said is not None and said.status in CAN_BE_STOPPED
    return WayOut(
        way=Way(clinic_id=row.clinic_id, patient_id=row.patient_id, purpose_id=row.purpose_id, channel=channel),
        clinic=get_clinic(row.clinic_id),
        purpose=purpose,
        is_open=is_open,
        stopped_since=said.since if said is not None and said.status is ConsentStatus.WITHDRAWN else None,
        is_in_hand=not is_open and is_in_hand(patient_id=row.patient_id, purpose=purpose.slug, channel=channel),
    )
