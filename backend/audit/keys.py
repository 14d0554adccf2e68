"""The life of the keys: made, used, destroyed, each step an entry. Erasure is the destruction of a person's keys."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, IntegrityError, transaction
from django.db.models import Q

from backend.audit.actions import Action
from backend.audit.actors import Actor, system_actor
from backend.audit.models import ClinicKey, DataKey
from backend.audit.recording import Draft, record, record_many
from backend.vault import keyring as rings
from backend.vault.ciphers import commitment
from backend.vault.keyring import SYSTEM, Scope, StoredClinicKey, StoredDataKey, keyring, keys_at_hand

SUBJECT_SCOPES = (Scope.PROFILE, Scope.AUDIT)
CLINIC_SCOPES = (Scope.CLINIC, Scope.BLIND_INDEX)
SYSTEM_SCOPES = (Scope.CLINIC, Scope.WRITER_MAC)
LOOKED_UP_AT_ONCE = 500


class DatabaseKeyStore:
    """Reads wrapped keys from their tables."""

    def clinic_key(self, *, clinic_id: UUID, epoch: int | None) -> StoredClinicKey | None:
        """One clinic key; the newest that lives where `epoch` is None."""
        rows = ClinicKey.objects.filter(clinic_id=clinic_id)
        rows = rows.filter(destroyed_at=None).order_by("-epoch") if epoch is None else rows.filter(epoch=epoch)
        row = rows.first()
        if row is None:
            return None
        wrapped = None if row.wrapped is None else bytes(row.wrapped)
        return StoredClinicKey(clinic_id=row.clinic_id, epoch=row.epoch, wrapped=wrapped)

    def data_keys(self, key_ids: Iterable[UUID]) -> list[StoredDataKey]:
        """Data keys by their ids, destroyed ones included."""
        wanted = list(key_ids)
        return [
            _stored(row)
            for start in range(0, len(wanted), LOOKED_UP_AT_ONCE)
            for row in DataKey.objects.filter(id__in=wanted[start : start + LOOKED_UP_AT_ONCE])
        ]

    def active_keys(self, *, clinic_id: UUID, scope: Scope, subject_ids: Iterable[UUID | None]) -> list[StoredDataKey]:
        """The living data keys of these subjects (None: the clinic's own)."""
        wanted = list(subject_ids)
        found: list[StoredDataKey] = []
        for start in range(0, len(wanted), LOOKED_UP_AT_ONCE):
            piece = wanted[start : start + LOOKED_UP_AT_ONCE]
            whose = Q(subject_id__in=[subject for subject in piece if subject is not None])
            if None in piece:
                whose |= Q(subject_id=None)
            rows = DataKey.objects.filter(whose, clinic_id=clinic_id, scope=scope, destroyed_at=None)
            found += [_stored(row) for row in rows]
        return found


@dataclass(slots=True)
class IssuedKeys:
    """Fresh keys: usable at once inside `at_hand`, stored by `save` under the entry that announces them."""

    now: datetime
    stored: list[StoredDataKey] = field(default_factory=list)
    ready: list[rings.DataKey] = field(default_factory=list)
    clinic_keys: list[StoredClinicKey] = field(default_factory=list)

    def add(
        self, *, clinic_id: UUID, subject_id: UUID | None, scopes: Iterable[Scope], epoch: int | None = None
    ) -> None:
        """Make one key per scope."""
        for scope in scopes:
            stored, ready = keyring().new_data_key(clinic_id=clinic_id, scope=scope, subject_id=subject_id, epoch=epoch)
            self.stored.append(stored)
            self.ready.append(ready)

    def draft(self, clinic_id: UUID) -> Draft:
        """The entry that announces these keys: their ids, and what pins each without telling it."""
        details = {
            "count": len(self.stored),
            "keys": [stored.key_id for stored in self.stored],
            "scopes": sorted({stored.scope.value for stored in self.stored}),
            "commitments": [commitment(ready.secret).hex() for ready in self.ready],
        }
        return Draft(action=Action.KEYS_CREATED, clinic_id=clinic_id, details=details)

    @contextmanager
    def at_hand(self) -> Iterator[None]:
        """Inside this block the fresh keys are found although their rows are not written yet."""
        with keys_at_hand(self.ready):
            yield

    def save(self, *, using: str = DEFAULT_DB_ALIAS) -> None:
        """Write the rows. Inside `record` only."""
        ClinicKey.objects.using(using).bulk_create(
            ClinicKey(
                clinic_id=stored.clinic_id,
                epoch=stored.epoch,
                provider=keyring().provider.name,
                wrapped=stored.wrapped,
                created_at=self.now,
            )
            for stored in self.clinic_keys
        )
        DataKey.objects.using(using).bulk_create(
            DataKey(
                id=stored.key_id,
                clinic_id=stored.clinic_id,
                scope=stored.scope,
                subject_id=stored.subject_id,
                epoch=stored.epoch,
                wrapped=stored.wrapped,
                created_at=self.now,
            )
            for stored in self.stored
        )


def issue_subject_keys(subjects: Sequence[UUID], *, clinic_id: UUID, now: datetime) -> IssuedKeys:
    """Keys for new patients, one for the profile and one for the log; the caller records `draft()` and saves them."""
    issued = IssuedKeys(now)
    newest = keyring().store.clinic_key(clinic_id=clinic_id, epoch=None)
    if newest is None:
        raise rings.KeyUnavailable
    for subject in subjects:
        issued.add(clinic_id=clinic_id, subject_id=subject, scopes=SUBJECT_SCOPES, epoch=newest.epoch)
    return issued


def create_clinic_keys(*, clinic_id: UUID, actor: Actor, now: datetime) -> None:
    """Make a clinic's own keys, with an entry in its own log as the first one there."""
    issued = _issue_own_keys(clinic_id, CLINIC_SCOPES, now)
    with issued.at_hand(), record_many([issued.draft(clinic_id)], by=actor, now=now):
        issued.save()


def ensure_system_keys(*, now: datetime, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Make the system's keys at first start; True where this call made them. Safe when several processes start."""
    if ClinicKey.objects.using(using).filter(clinic_id=SYSTEM).exists():
        return False
    issued = _issue_own_keys(SYSTEM, SYSTEM_SCOPES, now)
    try:
        with issued.at_hand(), record_many([issued.draft(SYSTEM)], by=system_actor(), now=now, using=using):
            issued.save(using=using)
    except IntegrityError:
        if not ClinicKey.objects.using(using).filter(clinic_id=SYSTEM).exists():
            raise
        # Another process was faster: its keys stand, ours were never stored.
        return False
    finally:
        # Whatever was not stored must not be remembered as if it had been.
        keyring().clear()
    return True


def destroy_subject_keys(
    *, subject_id: UUID, clinic_id: UUID, reason: str, actor: Actor, now: datetime
) -> tuple[UUID, ...]:
    """Destroy every key of one patient: what was sealed under them can not be read by anybody, ever (GDPR Art. 17).

    The rows stay as tombstones without the patient's id. The entry is in the clinic's part, since the patient's own key
    is among those that end here. Returns the ids of the keys.
    """
    rows = DataKey.objects.filter(subject_id=subject_id, clinic_id=clinic_id)
    with transaction.atomic():
        keys = tuple(rows.select_for_update().values_list("id", flat=True))
        with record(Action.KEY_DESTROYED, by=actor, now=now, clinic_id=clinic_id, keys=keys, reason=reason):
            DataKey.objects.filter(id__in=keys).update(wrapped=None, destroyed_at=now, subject_id=None)
        # At once for whatever this transaction still does; and once more for a thread that looked them up meanwhile.
        keyring().forget(keys)
        transaction.on_commit(lambda: keyring().forget(keys))
    return keys


def _issue_own_keys(clinic_id: UUID, scopes: Iterable[Scope], now: datetime) -> IssuedKeys:
    issued = IssuedKeys(now)
    first = keyring().new_clinic_key(clinic_id=clinic_id, epoch=1)
    issued.clinic_keys.append(first)
    issued.add(clinic_id=clinic_id, subject_id=None, scopes=scopes, epoch=first.epoch)
    return issued


def _stored(row: DataKey) -> StoredDataKey:
    return StoredDataKey(
        key_id=row.id,
        clinic_id=row.clinic_id,
        scope=Scope(row.scope),
        subject_id=row.subject_id,
        epoch=row.epoch,
        wrapped=None if row.wrapped is None else bytes(row.wrapped),
    )
