"""Questions about tokens."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from backend.accounts.models import AccessToken, Account, Role, digest_of
from backend.audit.actors import Actor, ActorKind
from backend.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """Who shows a token, for which clinic, and as what."""

    token_id: UUID
    role: Role
    clinic_id: UUID
    patient_id: UUID | None
    representative_id: UUID | None
    account_id: UUID | None
    actor: Actor


def find_bearer(token: str, *, now: datetime) -> Bearer | None:
    """Whoever shows a token that is known, not revoked and not expired."""
    row = (
        AccessToken.objects.select_related("account")
        .filter(digest=digest_of(token), revoked_at=None, expires_at__gt=now)
        .first()
    )
    if row is None or (row.account is not None and not row.account.is_active):
        return None
    return Bearer(
        token_id=row.id,
        role=Role(row.role),
        clinic_id=row.clinic_id,
        patient_id=row.patient_id,
        representative_id=row.representative_id,
        account_id=row.account_id,
        actor=_actor(row),
    )


def find_account_id(handle: str) -> UUID | None:
    """The account that is called so, if there is one."""
    return Account.objects.filter(handle=handle).values_list("id", flat=True).first()


def get_staff_actor(account_id: UUID) -> Actor:
    """An account as the log names it. Raises NotFound."""
    account = Account.objects.filter(id=account_id).first()
    if account is None:
        raise NotFound
    return Actor(kind=ActorKind.STAFF, id=account.id, pseudonym=account.pseudonym)


def _actor(row: AccessToken) -> Actor:
    if row.representative_id is not None:
        return Actor(kind=ActorKind.REPRESENTATIVE, id=row.representative_id)
    if row.account is None:
        return Actor(kind=ActorKind.PATIENT, id=row.patient_id)
    kind = ActorKind.DPO if row.role == Role.DPO else ActorKind.STAFF
    return Actor(kind=kind, id=row.account.id, pseudonym=row.account.pseudonym)
