"""What happens to accounts and tokens."""

import secrets
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from backend.accounts.models import AccessToken, Account, Role, digest_of
from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import record
from backend.vault.identifiers import new_id
from backend.vault.keyring import SYSTEM

TOKEN_PREFIX: Final = "accord_"  # noqa: S105 - what every token begins with, so that scanners recognise a leak
DEFAULT_LIFE: Final = timedelta(days=90)


def create_account(*, handle: str, actor: Actor, now: datetime) -> UUID:
    """Make an account. It can do nothing until it is a member of a clinic."""
    account_id = new_id()
    with record(Action.ACCOUNT_CREATED, by=actor, now=now, clinic_id=SYSTEM, account=account_id):
        account = Account(id=account_id, handle=handle, pseudonym=secrets.token_hex(8))
        account.set_unusable_password()
        account.save(force_insert=True)
    return account_id


def issue_patient_token(
    *, clinic_id: UUID, patient_id: UUID, actor: Actor, now: datetime, life: timedelta = DEFAULT_LIFE
) -> str:
    """A bearer token for one patient row. It is shown once, here; only its hash is kept."""
    return _issue(Role.PATIENT, clinic_id=clinic_id, patient_id=patient_id, actor=actor, now=now, life=life)


def issue_representative_token(
    *,
    clinic_id: UUID,
    patient_id: UUID,
    representative_id: UUID,
    actor: Actor,
    now: datetime,
    life: timedelta = DEFAULT_LIFE,
) -> str:
    """A bearer token for who represents one patient. It says who asks, and never what they may do: that can end."""
    return _issue(
        Role.REPRESENTATIVE,
        clinic_id=clinic_id,
        patient_id=patient_id,
        representative_id=representative_id,
        actor=actor,
        now=now,
        life=life,
    )


def issue_account_token(
    *, clinic_id: UUID, account_id: UUID, role: Role, actor: Actor, now: datetime, life: timedelta = DEFAULT_LIFE
) -> str:
    """A bearer token for an account in one clinic. It is shown once, here; only its hash is kept."""
    return _issue(role, clinic_id=clinic_id, account_id=account_id, actor=actor, now=now, life=life)


def revoke_token(*, token_id: UUID, clinic_id: UUID, actor: Actor, now: datetime) -> None:
    """End a token at once."""
    with record(Action.TOKEN_REVOKED, by=actor, now=now, clinic_id=clinic_id, token=token_id):
        AccessToken.objects.filter(id=token_id, clinic_id=clinic_id, revoked_at=None).update(revoked_at=now)


def _issue(
    role: Role,
    *,
    clinic_id: UUID,
    patient_id: UUID | None = None,
    representative_id: UUID | None = None,
    account_id: UUID | None = None,
    actor: Actor,
    now: datetime,
    life: timedelta,
) -> str:
    token, token_id = TOKEN_PREFIX + secrets.token_urlsafe(32), new_id()
    about = () if patient_id is None else (patient_id,)
    with record(
        Action.TOKEN_ISSUED, by=actor, now=now, clinic_id=clinic_id, about=about, token=token_id, role=role.value
    ):
        AccessToken.objects.create(
            id=token_id,
            digest=digest_of(token),
            role=role,
            clinic_id=clinic_id,
            patient_id=patient_id,
            representative_id=representative_id,
            account_id=account_id,
            created_at=now,
            expires_at=now + life,
        )
    return token
