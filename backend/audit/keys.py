"""The life of the keys: made, used, destroyed, each step an entry. Erasure is the destruction of a person's keys."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, IntegrityError, connections, transaction

from backend.audit.actions import Action
from backend.audit.actors import Actor, system_actor
from backend.audit.ledger import LedgerUnusable, is_destroyed_for_good, ledger
from backend.audit.models import ClinicKey, DataKey
from backend.audit.recording import Draft, record, record_many
from backend.vault import keyring as rings
from backend.vault.ciphers import commitment, derive, mac
from backend.vault.keyring import SYSTEM, Scope, StoredClinicKey, StoredDataKey, keyring, keys_at_hand

SUBJECT_SCOPES = (Scope.PROFILE, Scope.AUDIT)
CLINIC_SCOPES = (Scope.CLINIC, Scope.BLIND_INDEX)
SYSTEM_SCOPES = (Scope.CLINIC, Scope.WRITER_MAC, Scope.SIGNING, Scope.RECEIPTS)
LOOKED_UP_AT_ONCE = 500
MARK_BYTES = 16
LOOKS = 5

alarm = logging.getLogger("accord.audit.alarm")


class SubjectErased(Exception):
    """Keys were asked for a patient whose keys were destroyed: nobody gets new ones under the id of an erased one."""


class DatabaseKeyStore:
    """Reads wrapped keys from their tables. What the ledger says is destroyed is so, whatever a restored row says."""

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
            stored
            for start in range(0, len(wanted), LOOKED_UP_AT_ONCE)
            for stored in _all_stored(DataKey.objects.filter(id__in=wanted[start : start + LOOKED_UP_AT_ONCE]))
        ]

    def active_keys(self, *, clinic_id: UUID, scope: Scope, subject_ids: Iterable[UUID | None]) -> list[StoredDataKey]:
        """The living data keys of these subjects (None: the clinic's own)."""
        patients: list[UUID] = []
        found: list[StoredDataKey] = []
        for subject in subject_ids:
            if subject is None:
                own = DataKey.objects.filter(clinic_id=clinic_id, scope=scope, subject_id=None, destroyed_at=None)
                found += _all_stored(own)
            else:
                patients.append(subject)
        for start in range(0, len(patients), LOOKED_UP_AT_ONCE):
            found += _living(clinic_id, scope, patients[start : start + LOOKED_UP_AT_ONCE])
        destroyed = is_destroyed_for_good(stored.key_id for stored in found)
        return [stored for stored in found if stored.wrapped is not None and stored.key_id not in destroyed]


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
        """Write the rows. Inside `record` only. Raises SubjectErased.

        Should a rotation have come between, the same keys are wrapped anew: what is written here is never left behind
        under a key that is destroyed, since the destruction waits for this transaction and looks again.
        """
        self._keep_up_with_rotation(using)
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
        # Once more, now that an erasure that was going on meanwhile has ended: the rows above waited for it.
        _refuse_erased(self.stored, using=using)

    def _keep_up_with_rotation(self, using: str) -> None:
        system = _hold_newest(SYSTEM, using) if self.clinic_keys else None
        if system is not None and system.wrapped is not None:
            provider = keyring().provider
            oldest = provider.epoch_of(bytes(system.wrapped))
            self.clinic_keys = [
                keyring().wrap_clinic_key_again(key)
                if key.wrapped is not None and provider.epoch_of(key.wrapped) < oldest
                else key
                for key in self.clinic_keys
            ]
        fresh = {key.clinic_id for key in self.clinic_keys}
        for clinic_id in {stored.clinic_id for stored in self.stored} - fresh:
            newest = _hold_newest(clinic_id, using)
            if newest is None:
                raise rings.KeyUnavailable
            self.stored = [
                keyring().rewrap(stored, epoch=newest.epoch, secret=ready.secret)
                if stored.clinic_id == clinic_id and stored.epoch != newest.epoch
                else stored
                for stored, ready in zip(self.stored, self.ready, strict=True)
            ]


def issue_subject_keys(subjects: Sequence[UUID], *, clinic_id: UUID, now: datetime) -> IssuedKeys:
    """Keys for new patients, one for the profile and one for the log; the caller records `draft()` and saves them.

    Raises KeyUnavailable where the clinic has none, SubjectErased.
    """
    issued = IssuedKeys(now)
    epoch = keyring().newest_epoch(clinic_id)
    if erased_among(subjects, clinic_id=clinic_id):
        raise SubjectErased
    for subject in subjects:
        issued.add(clinic_id=clinic_id, subject_id=subject, scopes=SUBJECT_SCOPES, epoch=epoch)
    return issued


def erased_among(subjects: Iterable[UUID], *, clinic_id: UUID, using: str = DEFAULT_DB_ALIAS) -> set[UUID]:
    """Which of these patients had keys that were destroyed: after a restore, those whose rows must go again."""
    by_mark = {_mark(subject, clinic_id): subject for subject in subjects}
    marks = list(by_mark)
    return {
        by_mark[bytes(mark)]
        for start in range(0, len(marks), LOOKED_UP_AT_ONCE)
        for mark in DataKey.objects.using(using)
        .filter(subject_mark__in=marks[start : start + LOOKED_UP_AT_ONCE])
        .values_list("subject_mark", flat=True)
        if mark is not None
    }


def create_clinic_keys(*, clinic_id: UUID, actor: Actor, now: datetime) -> None:
    """Make a clinic's own keys, with an entry in its own log as the first one there."""
    issued = _issue_own_keys(clinic_id, CLINIC_SCOPES, now)
    with issued.at_hand(), record_many([issued.draft(clinic_id)], by=actor, now=now):
        issued.save()


def ensure_system_keys(*, now: datetime, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Make the system's keys at first start, and those that a later version added; True where this call made any.

    Safe when several processes start at once.
    """
    missing = _missing_system_scopes(using)
    if not missing:
        return False
    if len(missing) == len(SYSTEM_SCOPES):
        issued = _issue_own_keys(SYSTEM, SYSTEM_SCOPES, now)
    else:
        issued = IssuedKeys(now)
        issued.add(clinic_id=SYSTEM, subject_id=None, scopes=missing)
    try:
        with issued.at_hand(), record_many([issued.draft(SYSTEM)], by=system_actor(), now=now, using=using):
            issued.save(using=using)
    except IntegrityError:
        if _missing_system_scopes(using):
            raise
        # Another process was faster: its keys stand, ours were never stored.
        return False
    finally:
        # Whatever was not stored must not be remembered as if it had been.
        keyring().clear()
    return True


def replace_system_key(scope: Scope, *, actor: Actor, now: datetime) -> rings.DataKey:
    """Destroy the installation's own key of this scope and make another; the new one. Inside a transaction only.

    For keys that sign: what an old one signed is checked with its public half, which whoever signs keeps.
    """
    rows = DataKey.objects.filter(clinic_id=SYSTEM, subject_id=None, scope=scope, destroyed_at=None).order_by("id")
    old = tuple(rows.select_for_update().values_list("id", flat=True))
    issued = IssuedKeys(now)
    issued.add(clinic_id=SYSTEM, subject_id=None, scopes=[scope])
    replaced = Draft(action=Action.KEY_REPLACED, clinic_id=SYSTEM, details={"keys": old, "scope": scope.value})
    with issued.at_hand(), record_many([replaced, issued.draft(SYSTEM)], by=actor, now=now):
        DataKey.objects.filter(id__in=old).update(wrapped=None, destroyed_at=now)
        issued.save()
    keyring().forget(old)
    transaction.on_commit(lambda: _after_destruction(old, now))
    return issued.ready[0]


def _missing_system_scopes(using: str) -> list[Scope]:
    rows = DataKey.objects.using(using).filter(clinic_id=SYSTEM, subject_id=None, destroyed_at=None)
    there = set(rows.values_list("scope", flat=True))
    return [scope for scope in SYSTEM_SCOPES if scope not in there]


def destroy_subject_keys(
    *, subject_id: UUID, clinic_id: UUID, reason: str, actor: Actor, now: datetime
) -> tuple[UUID, ...]:
    """Destroy every key of one patient: what was sealed under them can not be read by anybody, ever (GDPR Art. 17).

    The rows stay as tombstones without the patient's id. The entry is in the clinic's part, since the patient's own key
    is among those that end here. Returns the ids of the keys.
    """
    with transaction.atomic():
        rows = DataKey.objects.filter(subject_id=subject_id, clinic_id=clinic_id).order_by("id")
        keys = tuple(rows.select_for_update().values_list("id", flat=True))
        destroy_keys(keys, subject_id=subject_id, clinic_id=clinic_id, reason=reason, actor=actor, now=now)
    return keys


def destroy_keys(
    keys: Sequence[UUID], *, subject_id: UUID | None, clinic_id: UUID, reason: str, actor: Actor, now: datetime
) -> None:
    """Destroy these living keys of one clinic, with an entry there; once committed, with a line each in the ledger."""
    mark = None if subject_id is None else _mark(subject_id, clinic_id)
    with record(Action.KEY_DESTROYED, by=actor, now=now, clinic_id=clinic_id, keys=keys, reason=reason):
        DataKey.objects.filter(id__in=keys).update(wrapped=None, destroyed_at=now, subject_id=None, subject_mark=mark)
    # At once for whatever this transaction still does; and once more for a thread that looked them up meanwhile.
    keyring().forget(keys)
    transaction.on_commit(lambda: _after_destruction(keys, now))


def _after_destruction(keys: Sequence[UUID], now: datetime) -> None:
    keyring().forget(keys)
    try:
        ledger().add(dict.fromkeys(keys, now))
    except LedgerUnusable as error:
        # The keys are destroyed all the same. The next start adds what the ledger lacks.
        alarm.error("%s", error)


def _mark(subject_id: UUID, clinic_id: UUID) -> bytes:
    """By which an erased patient's id is told when it comes again; nobody finds the id from it."""
    system = keyring().current(clinic_id=SYSTEM, scope=Scope.WRITER_MAC)
    return mac(_marking_key(system.secret), clinic_id.bytes + subject_id.bytes)[:MARK_BYTES]


@lru_cache(maxsize=4)
def _marking_key(secret: bytes) -> bytes:
    return derive(secret, purpose="erased-subject-v1")


def _refuse_erased(stored: Iterable[StoredDataKey], *, using: str) -> None:
    of_clinic: dict[UUID, set[UUID]] = {}
    for key in stored:
        if key.subject_id is not None:
            of_clinic.setdefault(key.clinic_id, set()).add(key.subject_id)
    for clinic_id, subjects in of_clinic.items():
        if erased_among(subjects, clinic_id=clinic_id, using=using):
            raise SubjectErased


def _hold_newest(clinic_id: UUID, using: str) -> ClinicKey | None:
    """A clinic's newest living key, which can not be destroyed before this transaction ends."""
    if connections[using].vendor != "postgresql":
        # A transaction that writes is the only one.
        return ClinicKey.objects.using(using).filter(clinic_id=clinic_id, destroyed_at=None).order_by("-epoch").first()
    # One that is destroyed while it is waited for is left out of the answer; the next look finds its successor.
    for _look in range(LOOKS):
        held = ClinicKey.objects.using(using).raw(
            "SELECT * FROM audit_clinic_key WHERE clinic_id = %s AND destroyed_at IS NULL "
            "ORDER BY epoch DESC LIMIT 1 FOR SHARE",
            [clinic_id],
        )
        for row in held:
            return row
    return None


def _issue_own_keys(clinic_id: UUID, scopes: Iterable[Scope], now: datetime) -> IssuedKeys:
    issued = IssuedKeys(now)
    first = keyring().new_clinic_key(clinic_id=clinic_id, epoch=1)
    issued.clinic_keys.append(first)
    issued.add(clinic_id=clinic_id, subject_id=None, scopes=scopes, epoch=first.epoch)
    return issued


def _living(clinic_id: UUID, scope: Scope, patients: Sequence[UUID]) -> list[StoredDataKey]:
    """The living keys of some patients."""
    # By hand: this is asked at the first entry about each patient, and the ORM takes longer than all the rest of it.
    connection = connections[DEFAULT_DB_ALIAS]
    # SQLite holds ids as text without dashes.
    ids = patients if connection.features.has_native_uuid_field else [patient.hex for patient in patients]
    clinic = clinic_id if connection.features.has_native_uuid_field else clinic_id.hex
    places = ",".join(["%s"] * len(ids))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, subject_id, epoch, wrapped FROM audit_data_key "  # noqa: S608 - our own words
            f"WHERE subject_id IN ({places}) AND clinic_id = %s AND scope = %s AND destroyed_at IS NULL",
            [*ids, clinic, scope.value],
        )
        return [
            StoredDataKey(
                key_id=UUID(str(key_id)),
                clinic_id=clinic_id,
                scope=scope,
                subject_id=UUID(str(subject)),
                epoch=epoch,
                wrapped=bytes(wrapped),
            )
            for key_id, subject, epoch, wrapped in cursor.fetchall()
        ]


def _all_stored(rows: Iterable[DataKey]) -> list[StoredDataKey]:
    found = list(rows)
    destroyed = is_destroyed_for_good(row.id for row in found)
    return [stored_key(row, is_destroyed=row.id in destroyed) for row in found]


def stored_key(row: DataKey, *, is_destroyed: bool = False) -> StoredDataKey:
    """A row as the keyring reads it."""
    return StoredDataKey(
        key_id=row.id,
        clinic_id=row.clinic_id,
        scope=Scope(row.scope),
        subject_id=row.subject_id,
        epoch=row.epoch,
        wrapped=None if row.wrapped is None or is_destroyed else bytes(row.wrapped),
    )
