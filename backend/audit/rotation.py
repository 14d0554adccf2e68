"""Rotation: new topmost key, new clinic keys, every data key wrapped anew, the old ones destroyed; each step an entry.

Data keys themselves never change. What makes it safe beside whoever writes: new data keys are stored under the newest
clinic key, which their transaction holds (`FOR SHARE`); an old clinic key is destroyed under a lock that waits for
those transactions, and only when no living data key is left under it. How far a rotation came is told by the rows and
the provider: interrupted at any moment, it goes on when it is run again.

The last to go is the system's old clinic key: as long as it lives, the old topmost key is destroyed (again, if need be)
and that is recorded. So the entry is written exactly once, after the fact.
"""

import fcntl
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import Max

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.begun import AnotherTopmostKey, Begun, last_begun, require_begun_key
from backend.audit.keys import stored_key
from backend.audit.models import ClinicKey, DataKey
from backend.audit.recording import Draft, record_many
from backend.audit.restoring import reconcile_ledger
from backend.vault.ciphers import Tampered, commitment
from backend.vault.keyring import SYSTEM, KeyDestroyed, KeyUnavailable, keyring
from backend.vault.providers import KeysUnavailable

AT_ONCE: Final = 1_000
ROUNDS: Final = 20
LOCK: Final = 0x4B657973  # "Keys"
# Longer than any transaction of ours takes: whoever stores keys is waited for, nobody waits for this.
PATIENCE: Final = "60s"
# PostgreSQL, appendix A: lock_not_available.
NOT_AVAILABLE: Final = "55P03"


class RotationStopped(Exception):
    """The rotation can not go on; the sentence says why. What was done stands, and it can be run again."""


@dataclass(slots=True)
class Rotation:
    """What one run did."""

    provider_epoch: int = 0
    goes_on: bool = False
    clinic_keys_made: int = 0
    data_keys_wrapped: int = 0
    clinic_keys_destroyed: int = 0
    provider_epochs_destroyed: list[int] = field(default_factory=list)
    last_entry: UUID | None = None


Told = Callable[[int], None]


def begin_provider_epoch(*, actor: Actor, now: datetime, again: bool = False) -> int:
    """Make a new topmost key and nothing else, so that it can be backed up and distributed first; its epoch.

    Its entry says by a fingerprint which key that is: the second step takes no other. `again` makes another where the
    one that was begun is lost. Raises RotationStopped, KeysUnavailable; KeysRevived where keys that were destroyed live
    again.
    """
    with _alone():
        reconcile_ledger()
        _require_begun_key(may_be_lost=again)
        provider = keyring().provider
        if is_under_way():
            raise RotationStopped("A rotation is under way: run rotate_keys, which goes on with it.")
        epoch = provider.begin_epoch()
        with record_many([_begun(epoch)], by=actor, now=now):
            return epoch


def is_under_way() -> bool:
    """Was a rotation of everything begun, and not ended?"""
    provider = keyring().provider
    epochs = provider.epochs()
    return len(epochs) > 1 or any(_provider_epoch(row) < epochs[-1] for row in _living())


def keys_to_wrap(*, clinic_id: UUID | None = None) -> int:
    """How many data keys a rotation would wrap anew: for the progress that is shown."""
    rows = DataKey.objects.filter(destroyed_at=None)
    return (rows if clinic_id is None else rows.filter(clinic_id=clinic_id)).count()


def rotate_keys(
    *, actor: Actor, now: datetime, clinic_id: UUID | None = None, told: Told = lambda _count: None
) -> Rotation:
    """Rotate everything, or one clinic's key; go on with a rotation that was interrupted.

    `told` hears how many data keys were wrapped. Raises RotationStopped, KeysUnavailable; KeysRevived where keys that
    were destroyed live again: wrapped anew, they would outlive every copy of the old topmost key.
    """
    with _alone():
        reconcile_ledger()
        _require_begun_key(may_be_lost=False)
        provider = keyring().provider
        done = Rotation(goes_on=clinic_id is None and is_under_way())
        everything = clinic_id is None
        epochs = provider.epochs()
        done.provider_epoch = provider.begin_epoch() if everything and not done.goes_on else epochs[-1]
        turn = _Turn(done=done, actor=actor, now=now, told=told, only=clinic_id)
        try:
            turn.carry_out()
        except OperationalError as error:
            why = str(error).partition("\n")[0].strip()
            if getattr(error.__cause__, "sqlstate", None) == NOT_AVAILABLE or why.endswith("is locked"):
                why = "somebody writes keys for a long time"
            raise RotationStopped(
                f"The database did not let the rotation go on ({why}): run it again, it goes on where it stopped."
            ) from error
        finally:
            # Old keys, and new ones whose rows were not committed, are not to be remembered.
            keyring().clear()
        return done


@dataclass(slots=True, kw_only=True)
class _Turn:
    done: Rotation
    actor: Actor
    now: datetime
    told: Told
    only: UUID | None

    def carry_out(self) -> None:
        for _round in range(ROUNDS):
            newest = self._begin_clinic_keys()
            self._wrap_anew(newest)
            if self._destroy_old_clinic_keys(newest) and (self.only is not None or self._is_nothing_left_behind()):
                break
        else:
            raise RotationStopped("Keys are stored under old ones faster than they are wrapped anew: run it again.")
        if self.only is None:
            self._destroy_old_provider_epochs()

    def _begin_clinic_keys(self) -> dict[UUID, int]:
        """A new clinic key for each clinic that has none yet in this rotation; the newest epoch of each."""
        living: dict[UUID, list[ClinicKey]] = {}
        for row in _living(self.only):
            living.setdefault(row.clinic_id, []).append(row)
        if self.only is not None and not living:
            raise KeyUnavailable
        newest: dict[UUID, int] = {}
        # The system first: from then on clinics that are set up meanwhile are wrapped under the new topmost key.
        for clinic_id in sorted(living, key=lambda one: (one != SYSTEM, one)):
            rows = sorted(living[clinic_id], key=lambda row: row.epoch)
            is_due = _provider_epoch(rows[-1]) < self.done.provider_epoch
            if self.only is not None:
                is_due = len(rows) == 1 and not self.done.clinic_keys_made
            newest[clinic_id] = self._begin_clinic_key(clinic_id) if is_due else rows[-1].epoch
        return newest

    def _begin_clinic_key(self, clinic_id: UUID) -> int:
        provider = keyring().provider
        with transaction.atomic():
            highest = ClinicKey.objects.filter(clinic_id=clinic_id).aggregate(highest=Max("epoch"))["highest"]
            fresh = keyring().new_clinic_key(clinic_id=clinic_id, epoch=highest + 1)
            if fresh.wrapped is None or fresh.secret is None:
                raise KeyUnavailable
            epoch = provider.epoch_of(fresh.wrapped)
            drafts = [
                Draft(
                    action=Action.CLINIC_KEY_BEGUN,
                    clinic_id=clinic_id,
                    details={
                        "epoch": fresh.epoch,
                        "provider_epoch": epoch,
                        "commitment": commitment(fresh.secret).hex(),
                    },
                )
            ]
            if clinic_id == SYSTEM and last_begun() != Begun(epoch, provider.fingerprint(epoch)):
                drafts.insert(0, _begun(epoch))
            with record_many(drafts, by=self.actor, now=self.now) as entry:
                ClinicKey.objects.create(
                    clinic_id=clinic_id,
                    epoch=fresh.epoch,
                    provider=provider.name,
                    wrapped=fresh.wrapped,
                    created_at=self.now,
                )
        self.done.clinic_keys_made += 1
        self.done.last_entry = entry.id
        return fresh.epoch

    def _wrap_anew(self, newest: dict[UUID, int]) -> None:
        """Every living data key under its clinic's newest key, in the order of their ids, some at a time."""
        rows = DataKey.objects.filter(destroyed_at=None).order_by("id").values_list("id", "clinic_id", "epoch")
        if self.only is not None:
            rows = rows.filter(clinic_id=self.only)
        behind = UUID(int=0)
        while piece := list(rows.filter(id__gt=behind)[:AT_ONCE]):
            behind = piece[-1][0]
            old = [key_id for key_id, clinic_id, epoch in piece if epoch < newest.get(clinic_id, 0)]
            if old:
                self._wrap_piece(old, newest)
            self.told(len(piece))

    def _wrap_piece(self, key_ids: Sequence[UUID], newest: dict[UUID, int]) -> None:
        with transaction.atomic():
            # An erasure that came first has taken its keys away; one that comes now waits.
            rows = list(DataKey.objects.filter(id__in=key_ids, destroyed_at=None).order_by("id").select_for_update())
            wrapped = [(row.id, *self._wrapped_anew(row, newest)) for row in rows if row.epoch < newest[row.clinic_id]]
            if not wrapped:
                return
            counts = Counter(row.clinic_id for row in rows if row.epoch < newest[row.clinic_id])
            drafts = [
                Draft(
                    action=Action.KEYS_REWRAPPED,
                    clinic_id=clinic_id,
                    details={"count": count, "epoch": newest[clinic_id]},
                )
                for clinic_id, count in counts.items()
            ]
            with record_many(drafts, by=self.actor, now=self.now) as entry:
                _store_wrapped(wrapped)
        self.done.data_keys_wrapped += len(wrapped)
        self.done.last_entry = entry.id

    def _wrapped_anew(self, row: DataKey, newest: dict[UUID, int]) -> tuple[int, bytes]:
        try:
            anew = keyring().rewrap(stored_key(row), epoch=newest[row.clinic_id])
        except (Tampered, KeyDestroyed, KeyUnavailable) as error:
            raise RotationStopped(
                f"The key {row.id} of clinic {row.clinic_id} can not be opened ({type(error).__name__}): what is "
                "encrypted under it can not be read either. Look into that first, or bring its row back from a backup."
            ) from error
        if anew.wrapped is None:
            raise KeyDestroyed
        return anew.epoch, anew.wrapped

    def _destroy_old_clinic_keys(self, newest: dict[UUID, int]) -> bool:
        """All of them but, in a rotation of everything, the system's. False where keys came in under old ones."""
        with transaction.atomic():
            old = _held(
                row
                for row in _living(self.only)
                if row.epoch < newest.get(row.clinic_id, 0) and (row.clinic_id != SYSTEM or self.only is not None)
            )
            if not old:
                return True
            # The locks have waited for whoever was storing keys: what is there now is all there will be.
            used = set(
                DataKey.objects.filter(destroyed_at=None, clinic_id__in={row.clinic_id for row in old})
                .values_list("clinic_id", "epoch")
                .distinct()
            )
            unused = [row for row in old if (row.clinic_id, row.epoch) not in used]
            self._bury(unused)
        return len(unused) == len(old)

    def _bury(self, rows: Sequence[ClinicKey], *before: Draft) -> None:
        drafts = [
            *before,
            *(
                Draft(action=Action.CLINIC_KEY_DESTROYED, clinic_id=row.clinic_id, details={"epoch": row.epoch})
                for row in rows
            ),
        ]
        if not drafts:
            return
        with record_many(drafts, by=self.actor, now=self.now) as entry:
            for start in range(0, len(rows), AT_ONCE // 2):
                piece = [row.id for row in rows[start : start + AT_ONCE // 2]]
                ClinicKey.objects.filter(id__in=piece).update(wrapped=None, destroyed_at=self.now)
        self.done.clinic_keys_destroyed += len(rows)
        self.done.last_entry = entry.id

    def _is_nothing_left_behind(self) -> bool:
        """Is no clinic key but the system's old ones under an old topmost key, nor any data key under those?

        Whoever sets up a clinic holds the system's newest key: the lock on the old ones waits for those who began
        before there was a newer one.
        """
        with transaction.atomic():
            system = list(_living(SYSTEM))
            newest = max(row.epoch for row in system)
            _held(row for row in system if row.epoch < newest)
            late = [row for row in _living() if _provider_epoch(row) < self.done.provider_epoch]
            if any(row.clinic_id != SYSTEM or row.epoch == newest for row in late):
                return False
            under_old = DataKey.objects.filter(destroyed_at=None, clinic_id=SYSTEM, epoch__lt=newest)
            return not under_old.exists()

    def _destroy_old_provider_epochs(self) -> None:
        provider = keyring().provider
        system = sorted(_living(SYSTEM), key=lambda row: row.epoch)
        old = system[:-1]
        there = [epoch for epoch in provider.epochs() if epoch < self.done.provider_epoch]
        gone = sorted({*there, *(_provider_epoch(row) for row in old)} - {self.done.provider_epoch})
        if gone:
            provider.destroy(gone[-1])
        with transaction.atomic():
            destroyed = (
                Draft(
                    action=Action.PROVIDER_EPOCH_DESTROYED,
                    clinic_id=SYSTEM,
                    details={"provider": provider.name, "epoch": epoch},
                )
                for epoch in gone
            )
            self._bury(old, *destroyed)
        self.done.provider_epochs_destroyed += gone


def _begun(epoch: int) -> Draft:
    provider = keyring().provider
    details = {"provider": provider.name, "epoch": epoch, "fingerprint": provider.fingerprint(epoch)}
    return Draft(action=Action.PROVIDER_EPOCH_BEGUN, clinic_id=SYSTEM, details=details)


def _require_begun_key(*, may_be_lost: bool) -> None:
    used = max((_provider_epoch(row) for row in _living()), default=0)
    try:
        require_begun_key(used=used, may_be_lost=may_be_lost)
    except AnotherTopmostKey as error:
        raise RotationStopped(str(error)) from error


def _living(clinic_id: UUID | None = None) -> Iterator[ClinicKey]:
    rows = ClinicKey.objects.filter(destroyed_at=None).order_by("clinic_id", "epoch")
    yield from rows if clinic_id is None else rows.filter(clinic_id=clinic_id)


def _held(rows: Iterable[ClinicKey]) -> list[ClinicKey]:
    """The same rows, once nobody stores keys under them any more: whoever begins now does so under newer ones."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
    wanted = [row.id for row in rows]
    return [
        row
        for start in range(0, len(wanted), AT_ONCE // 2)
        for row in ClinicKey.objects.filter(id__in=wanted[start : start + AT_ONCE // 2], destroyed_at=None)
        .order_by("clinic_id", "epoch")
        .select_for_update()
    ]


def _provider_epoch(row: ClinicKey) -> int:
    if row.wrapped is None:
        raise KeyDestroyed
    return keyring().provider.epoch_of(bytes(row.wrapped))


def _store_wrapped(wrapped: Iterable[tuple[UUID, int, bytes]]) -> None:
    rows = list(wrapped)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "UPDATE audit_data_key SET epoch = d.epoch, wrapped = d.wrapped "
                "FROM unnest(%s::uuid[], %s::int[], %s::bytea[]) AS d(id, epoch, wrapped) "
                "WHERE audit_data_key.id = d.id AND audit_data_key.destroyed_at IS NULL",
                [[row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]],
            )
        else:
            cursor.executemany(
                "UPDATE audit_data_key SET epoch = %s, wrapped = %s WHERE id = %s AND destroyed_at IS NULL",
                [(epoch, blob, key_id.hex) for key_id, epoch, blob in rows],
            )


@contextmanager
def _alone() -> Iterator[None]:
    """One rotation at a time. Whoever dies lets go of it."""
    goes_on = RotationStopped("Another rotation is going on: wait for its end.")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
            if cursor.fetchone() != (True,):
                raise goes_on
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
        return
    with (Path(settings.ACCORD_DATA_DIR) / ".accord-rotation").open("w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise goes_on from error
        yield


__all__ = [
    "KeysUnavailable",
    "Rotation",
    "RotationStopped",
    "begin_provider_epoch",
    "is_under_way",
    "keys_to_wrap",
    "rotate_keys",
]
