"""A receipt of what was said, signed; and the key that signs, which is replaced without losing what it signed."""

import hashlib
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from django.db import transaction

from backend.audit.actions import Action
from backend.audit.actors import Actor, system_actor
from backend.audit.keys import replace_system_key
from backend.audit.recording import record
from backend.consent.models import ReceiptKey
from backend.consent.records import records_of
from backend.consent.standards.dpv import dpv_receipt
from backend.consent.standards.facts import ConsentRecord
from backend.consent.standards.jws import ReceiptSigner
from backend.consent.standards.kantara import require_yes
from backend.errors import NotFound
from backend.vault.ciphers import derive
from backend.vault.keyring import SYSTEM, DataKey, Scope, keyring


class Form(StrEnum):
    """What a receipt can look like."""

    JWS = "jws"
    DPV = "dpv"
    KANTARA = "kantara"
    FHIR = "fhir"
    PDF = "pdf"
    HTML = "html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A receipt that was issued. `signed` is its signed form, whatever form was asked for."""

    id: UUID
    created: datetime
    record: ConsentRecord
    signed: str


def issue_receipt(
    *, clinic_id: UUID, patient_id: UUID, event_id: UUID, form: Form, actor: Actor, now: datetime
) -> Receipt:
    """A receipt for the purpose and channel that an event of this patient belongs to. Raises NotFound, NoYes.

    It holds every event of that purpose and channel, and names the patient by a pseudonym only. The entry bears the
    hash of the signed form, so that a receipt that is shown later is found in the log.
    """
    found = _record_with(event_id, records_of(clinic_id=clinic_id, patient_id=patient_id, as_of=now))
    if form is Form.KANTARA:
        require_yes(found)
    receipt_id = uuid4()
    with transaction.atomic():
        signer = _current_signer(now)
        signed = signer.sign(dpv_receipt([found], receipt_id=receipt_id, created=now))
        with record(
            Action.RECEIPT_ISSUED,
            by=actor,
            now=now,
            clinic_id=clinic_id,
            about=patient_id,
            receipt=receipt_id,
            event=event_id,
            purpose=found.purpose.slug,
            channel=found.channel.value,
            form=form.value,
            sha256=hashlib.sha256(signed.encode("ascii")).hexdigest(),
        ):
            pass
    return Receipt(id=receipt_id, created=now, record=found, signed=signed)


def replace_receipt_key(*, actor: Actor, now: datetime) -> str:
    """Destroy the key that signs receipts and make another; its name.

    What the old one signed is checked as before: its public half stays published. Nobody can sign with it any more.
    """
    with transaction.atomic():
        key = replace_system_key(Scope.RECEIPTS, actor=actor, now=now)
        signer = _signer(key)
        _publish(key, signer, actor, now)
    return signer.thumbprint


def _record_with(event_id: UUID, records: list[ConsentRecord]) -> ConsentRecord:
    for one in records:
        if any(event.id == event_id for event in one.events):
            return one
    raise NotFound


def _current_signer(now: datetime) -> ReceiptSigner:
    """The key that signs now; the first time, its public half is published before anything is signed."""
    key = keyring().current(clinic_id=SYSTEM, scope=Scope.RECEIPTS)
    row = ReceiptKey.objects.filter(thumbprint=_signer(key).thumbprint).first()
    if row is not None and row.retired_at is not None:
        # Another process replaced it, and this one still remembered it.
        keyring().forget([key.key_id])
        key = keyring().current(clinic_id=SYSTEM, scope=Scope.RECEIPTS)
        row = ReceiptKey.objects.filter(thumbprint=_signer(key).thumbprint).first()
    signer = _signer(key)
    if row is None:
        # In the installation's own log, which names no patient.
        _publish(key, signer, system_actor("receipts"), now)
    return signer


def _publish(key: DataKey, signer: ReceiptSigner, actor: Actor, now: datetime) -> None:
    print_bytes = urlsafe_b64decode(f"{signer.thumbprint}=")
    with record(
        Action.RECEIPT_KEY_PUBLISHED,
        by=actor,
        now=now,
        clinic_id=SYSTEM,
        key=key.key_id,
        thumbprint=print_bytes.hex(),
    ):
        ReceiptKey.objects.filter(retired_at=None).exclude(thumbprint=signer.thumbprint).update(retired_at=now)
        ReceiptKey.objects.get_or_create(
            thumbprint=signer.thumbprint, defaults={"public": signer.public, "published_at": now}
        )


def _signer(key: DataKey) -> ReceiptSigner:
    return ReceiptSigner(derive(key.secret, purpose="receipt-signing-v1"))
