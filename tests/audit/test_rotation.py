"""Rotation of the keys: everything goes on opening, nothing that was copied before does, and each step is an entry."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from backend.audit import rotation
from backend.audit.actors import system_actor
from backend.audit.keys import (
    IssuedKeys,
    SubjectErased,
    destroy_subject_keys,
    erased_among,
    issue_subject_keys,
    stored_key,
)
from backend.audit.ledger import ledger
from backend.audit.models import ClinicKey, DataKey
from backend.audit.recording import record_many
from backend.audit.restoring import KeysRevived
from backend.audit.rotation import Rotation, RotationStopped, begin_provider_epoch, is_under_way, rotate_keys
from backend.config.starting import open_system_keys
from backend.vault.ciphers import Tampered, commitment
from backend.vault.identifiers import new_id
from backend.vault.keyring import (
    SYSTEM,
    KeyDestroyed,
    Keyring,
    Scope,
    StoredClinicKey,
    StoredDataKey,
    install,
    keyring,
)
from backend.vault.providers import FileKeyProvider, KeysUnavailable
from tests.audit.test_keys import actions_of, details_of, entries_of
from tests.factories.clinics import make_clinic
from tests.factories.keys import key_file_of_its_own

ACTOR = system_actor("rotation")


@pytest.fixture(autouse=True)
def provider(db) -> Iterator[FileKeyProvider]:
    """A key file that costs this test alone. What is rolled back opens again."""
    with key_file_of_its_own() as copy:
        yield copy


def files(provider: FileKeyProvider) -> list[str]:
    return sorted(path.name for path in provider.path.parent.iterdir())


def secrets_of_all() -> dict[object, bytes]:
    """Every living data key, opened by a process that remembers nothing."""
    fresh = Keyring(provider=keyring().provider, store=keyring().store)
    return {row.id: fresh.by_id(row.id).secret for row in DataKey.objects.filter(destroyed_at=None)}


class Copy:
    """The key tables as they were, as a backup has them."""

    def __init__(self) -> None:
        self.clinic_keys = {
            (row.clinic_id, row.epoch): StoredClinicKey(
                clinic_id=row.clinic_id, epoch=row.epoch, wrapped=None if row.wrapped is None else bytes(row.wrapped)
            )
            for row in ClinicKey.objects.all()
        }
        self.keys = {row.id: stored_key(row) for row in DataKey.objects.all()}

    def clinic_key(self, *, clinic_id, epoch) -> StoredClinicKey | None:
        return self.clinic_keys.get((clinic_id, epoch))

    def data_keys(self, key_ids) -> list[StoredDataKey]:
        return [self.keys[key_id] for key_id in key_ids if key_id in self.keys]

    def active_keys(self, **_whose: object) -> list[StoredDataKey]:
        return []


# ------------------------------------------------------------------------------------------------------- everything


def test_every_key_opens_after_a_rotation_and_is_the_same(clinic, patient, neighbour, provider, now):
    before = secrets_of_all()

    done = rotate_keys(actor=ACTOR, now=now)

    assert secrets_of_all() == before
    assert len(before) == done.data_keys_wrapped > 6
    assert files(provider) == ["root.key.2"]
    assert (done.provider_epoch, done.provider_epochs_destroyed, done.goes_on) == (2, [1], False)
    assert set(ClinicKey.objects.filter(destroyed_at=None).values_list("epoch", flat=True)) == {2}
    assert set(ClinicKey.objects.exclude(destroyed_at=None).values_list("epoch", flat=True)) == {1}
    assert not is_under_way()
    open_system_keys()


def test_each_step_is_an_entry_in_the_log_it_belongs_to(clinic, patient, now):
    rotate_keys(actor=ACTOR, now=now)

    of_clinic = [str(one) for one in actions_of(clinic.id)]
    of_system = [str(one) for one in actions_of(SYSTEM)]
    assert of_clinic[-3:] == ["key.epoch_begun", "key.rewrapped", "key.epoch_destroyed"]
    assert [one for one in of_system if one.startswith("key.")][-5:] == [
        "key.provider_epoch_begun",
        "key.epoch_begun",
        "key.rewrapped",
        "key.provider_epoch_destroyed",
        "key.epoch_destroyed",
    ]
    begun, wrapped, destroyed = entries_of(clinic.id)[-3:]
    assert details_of(begun) | {"commitment": ""} == {"epoch": 2, "provider_epoch": 2, "commitment": ""}
    assert details_of(wrapped) == {"count": 4, "epoch": 2}
    assert details_of(destroyed) == {"epoch": 1}
    assert details_of(entries_of(SYSTEM)[-2]) == {"provider": "file", "epoch": 1}


def test_the_commitments_in_the_log_still_pin_the_keys(clinic, patient, now):
    rotate_keys(actor=ACTOR, now=now)

    announced = [details_of(one) for one in entries_of(clinic.id) if "key.created" in str(one.leaf[:400])]
    pinned = {key: pin for one in announced for key, pin in zip(one["keys"], one["commitments"], strict=True)}  # type: ignore[call-overload] # lists
    assert len(pinned) == 4
    assert {str(key): commitment(keyring().by_id(key).secret).hex() for key in map(_as_id, pinned)} == pinned


def _as_id(text: str):
    return DataKey.objects.get(id=text).id


def test_what_was_copied_before_opens_nothing_after(clinic, patient, provider, now):
    """Yesterday's key tables beside today's topmost key."""
    yesterday = Copy()
    old = Keyring(provider=provider, store=yesterday)
    assert old.by_id(next(iter(yesterday.keys))).secret

    rotate_keys(actor=ACTOR, now=now)

    again = Keyring(provider=provider, store=yesterday)
    for key_id in yesterday.keys:
        with pytest.raises(KeysUnavailable, match="destroyed when the keys were rotated"):
            again.by_id(key_id)


def test_a_second_rotation_begins_anew(clinic, patient, provider, now):
    before = secrets_of_all()
    rotate_keys(actor=ACTOR, now=now)

    done = rotate_keys(actor=ACTOR, now=now)

    assert (done.goes_on, done.provider_epoch) == (False, 3)
    assert files(provider) == ["root.key.3"]
    assert secrets_of_all() == before


def test_keys_made_after_a_rotation_are_under_the_newest_epoch(clinic, now):
    rotate_keys(actor=ACTOR, now=now)
    subject = new_id()
    store(issue_subject_keys([subject], clinic_id=clinic.id, now=now), clinic.id, now)

    assert set(DataKey.objects.filter(subject_id=subject).values_list("epoch", flat=True)) == {2}
    make_clinic("later", now=now)
    assert provider_epochs() == {2}


def provider_epochs() -> set[int]:
    rows = ClinicKey.objects.filter(destroyed_at=None)
    return {keyring().provider.epoch_of(bytes(row.wrapped)) for row in rows if row.wrapped is not None}


def store(issued: IssuedKeys, clinic_id, now) -> None:
    with issued.at_hand(), record_many([issued.draft(clinic_id)], by=ACTOR, now=now):
        issued.save()


def test_the_topmost_key_can_be_made_first_and_backed_up(clinic, patient, provider, now):
    assert begin_provider_epoch(actor=ACTOR, now=now) == 2
    assert is_under_way()
    with pytest.raises(RotationStopped, match="under way"):
        begin_provider_epoch(actor=ACTOR, now=now)

    done = rotate_keys(actor=ACTOR, now=now)

    assert (done.goes_on, done.provider_epoch) == (True, 2)
    assert files(provider) == ["root.key.2"]
    # One entry for the key, not one for each step.
    assert [str(one) for one in actions_of(SYSTEM)].count("key.provider_epoch_begun") == 1


@pytest.mark.parametrize("step", [rotate_keys, begin_provider_epoch])
def test_a_machine_without_the_key_that_was_begun_makes_no_other(clinic, patient, provider, now, step):
    """Of several machines, the second step is run where the new file was forgotten."""
    before = secrets_of_all()
    begin_provider_epoch(actor=ACTOR, now=now)
    backup = provider.file_of(2).read_bytes()
    provider.file_of(2).unlink()

    with pytest.raises(RotationStopped, match=r"root\.key\.2 was begun, and is not on this machine"):
        step(actor=ACTOR, now=now)
    assert files(provider) == ["root.key"]

    FileKeyProvider(provider.path).begin_epoch()
    with pytest.raises(RotationStopped, match=r"root\.key\.2 is another key .* than the one that was begun"):
        step(actor=ACTOR, now=now)
    assert files(provider) == ["root.key", "root.key.2"]

    provider.file_of(2).unlink()
    provider.file_of(2).write_bytes(backup)
    provider.file_of(2).chmod(0o400)
    rotate_keys(actor=ACTOR, now=now)
    assert files(provider) == ["root.key.2"]
    assert secrets_of_all() == before


def test_a_key_that_was_begun_and_lost_everywhere_is_made_again(clinic, patient, provider, now):
    begin_provider_epoch(actor=ACTOR, now=now)
    provider.file_of(2).unlink()

    assert begin_provider_epoch(actor=ACTOR, now=now, again=True) == 2

    rotate_keys(actor=ACTOR, now=now)
    assert files(provider) == ["root.key.2"]


def test_a_key_that_others_are_wrapped_under_is_never_made_again(clinic, patient, provider, now):
    """The machine that rotated was interrupted; another one, that lacks its key, goes on."""
    begin_provider_epoch(actor=ACTOR, now=now)
    make_clinic("begun", now=now)
    provider.file_of(2).unlink()

    with pytest.raises(RotationStopped, match=r"Keys are wrapped under the key file root\.key\.2, which is not"):
        begin_provider_epoch(actor=ACTOR, now=now, again=True)


def test_a_file_that_somebody_put_there_is_taken(clinic, patient, provider, now):
    """As it is done where the folder is mounted read-only."""
    provider.file_of(2).write_bytes(b"x" * 32)
    provider.file_of(2).chmod(0o400)

    assert rotate_keys(actor=ACTOR, now=now).provider_epoch == 2
    assert files(provider) == ["root.key.2"]


# -------------------------------------------------------------------------------------------------------- one clinic


def test_one_clinics_key_can_be_rotated_alone(clinic, patient, provider, now):
    other = make_clinic("elms", now=now)
    before = secrets_of_all()

    done = rotate_keys(actor=ACTOR, now=now, clinic_id=clinic.id)

    assert secrets_of_all() == before
    assert files(provider) == ["root.key"]
    assert (done.clinic_keys_made, done.clinic_keys_destroyed, done.provider_epochs_destroyed) == (1, 1, [])
    living = dict(ClinicKey.objects.filter(destroyed_at=None).values_list("clinic_id", "epoch"))
    assert (living[clinic.id], living[other.id], living[SYSTEM]) == (2, 1, 1)
    assert set(DataKey.objects.filter(clinic_id=clinic.id).values_list("epoch", flat=True)) == {2}
    assert not is_under_way()


# ---------------------------------------------------------------------------------------------------- interruptions


class Stop(Exception):
    """Somebody pulled the plug."""


STEPS = range(1, 30)


@pytest.mark.parametrize("step", STEPS)
def test_a_rotation_that_was_interrupted_goes_on(clinic, patient, neighbour, provider, now, step, monkeypatch):
    """Each transaction of a rotation is the last one once."""
    before = secrets_of_all()
    monkeypatch.setattr(rotation, "AT_ONCE", 4)
    left = iter(range(step))

    class Unplugged(FileKeyProvider):
        def destroy(self, epoch: int) -> None:
            tick()
            super().destroy(epoch)
            tick()

    def tick(_count: int = 0) -> None:
        if next(left, None) is None:
            raise Stop

    ring = keyring()
    install(Keyring(provider=Unplugged(provider.path), store=ring.store))
    writes = Interrupting(tick)
    with connection.execute_wrapper(writes):
        try:
            rotate_keys(actor=ACTOR, now=now, told=tick)
        except Stop:
            interrupted = True
        else:
            interrupted = False
    install(Keyring(provider=provider, store=ring.store))
    assert secrets_of_all() == before

    done = rotate_keys(actor=ACTOR, now=now)

    assert done.goes_on == (interrupted and done.provider_epoch == 2)
    assert secrets_of_all() == before
    assert files(provider) == [f"root.key.{done.provider_epoch}"]
    assert [str(one) for one in actions_of(SYSTEM)].count("key.provider_epoch_destroyed") == done.provider_epoch - 1


class Interrupting:
    """Ends the work right after a transaction did, as seen by the statements that end it."""

    def __init__(self, tick) -> None:
        self._tick = tick

    def __call__(self, execute, sql, params, many, context):
        if sql.startswith("RELEASE SAVEPOINT"):
            self._tick()
        return execute(sql, params, many, context)


def test_a_key_that_does_not_open_stops_the_rotation_and_is_named(clinic, patient, now):
    key = DataKey.objects.filter(subject_id=patient.id).first()
    with record_many(
        [issue_subject_keys([new_id()], clinic_id=clinic.id, now=now).draft(clinic.id)], by=ACTOR, now=now
    ):
        DataKey.objects.filter(id=key.id).update(wrapped=bytes(60))

    with pytest.raises(RotationStopped, match=str(key.id)):
        rotate_keys(actor=ACTOR, now=now)


def test_a_topmost_key_that_somebody_else_must_destroy(clinic, patient, provider, now):
    """As where the folder is mounted read-only: everything else is done, and told again until it is gone."""

    class Mounted(FileKeyProvider):
        def destroy(self, epoch: int) -> None:
            if epoch in self.epochs():
                raise KeysUnavailable("The folder can not be written to.")

    provider.begin_epoch()
    install(Keyring(provider=Mounted(provider.path), store=keyring().store))
    before = secrets_of_all()
    for _time in range(2):
        with pytest.raises(KeysUnavailable, match="can not be written to"):
            rotate_keys(actor=ACTOR, now=now)
    provider.path.unlink()

    assert secrets_of_all() == before
    done = rotate_keys(actor=ACTOR, now=now)

    assert (done.goes_on, done.provider_epochs_destroyed, done.data_keys_wrapped) == (True, [1], 0)
    assert [str(one) for one in actions_of(SYSTEM)].count("key.provider_epoch_destroyed") == 1
    assert not is_under_way()
    assert secrets_of_all() == before


# ----------------------------------------------------------------------------------------------- beside whoever writes


def test_keys_that_were_issued_before_and_stored_after_a_rotation_open(clinic, now):
    subject = new_id()
    issued = issue_subject_keys([subject], clinic_id=clinic.id, now=now)
    secrets = {ready.key_id: ready.secret for ready in issued.ready}

    rotate_keys(actor=ACTOR, now=now)
    store(issued, clinic.id, now)

    found = DataKey.objects.filter(subject_id=subject)
    assert {row.epoch for row in found} == {2}
    assert {row.id: keyring().by_id(row.id).secret for row in found} == secrets


def test_a_clinic_that_was_set_up_across_a_rotation_opens(clinic, provider, now):
    from backend.audit.keys import CLINIC_SCOPES, _issue_own_keys  # noqa: PLC0415 - as create_clinic_keys makes them

    late = new_id()
    issued = _issue_own_keys(late, CLINIC_SCOPES, now)
    rotate_keys(actor=ACTOR, now=now)

    store(issued, late, now)

    keyring().clear()
    assert keyring().current(clinic_id=late, scope=Scope.CLINIC).secret
    assert provider_epochs() == {2}


def test_a_row_that_was_read_before_a_rotation_opens_after_it(clinic, patient, now):
    """Between reading a data key's row and its clinic key's, a whole rotation took place."""
    ring = keyring()
    row = a_key_of(patient)
    before = ring.by_id(row.key_id).secret

    class Late:
        """Hands out the row as it was, once."""

        def __init__(self) -> None:
            self.old = [row]

        def data_keys(self, key_ids):
            return [self.old.pop()] if self.old else ring.store.data_keys(key_ids)

        def __getattr__(self, name):
            return getattr(ring.store, name)

    rotate_keys(actor=ACTOR, now=now)

    assert Keyring(provider=ring.provider, store=Late()).by_id(row.key_id).secret == before


def a_key_of(patient) -> StoredDataKey:
    return stored_key(DataKey.objects.filter(subject_id=patient.id).order_by("id")[0])


def test_other_processes_go_on_with_what_they_remember(clinic, patient, now):
    other = Keyring(provider=keyring().provider, store=keyring().store)
    warm = other.current(clinic_id=clinic.id, scope=Scope.CLINIC).secret
    of_patient = other.current(clinic_id=clinic.id, scope=Scope.AUDIT, subject_id=patient.id)

    rotate_keys(actor=ACTOR, now=now)

    assert other.current(clinic_id=clinic.id, scope=Scope.CLINIC).secret == warm
    assert other.by_id(of_patient.key_id).secret == of_patient.secret
    assert other.current(clinic_id=clinic.id, scope=Scope.PROFILE, subject_id=patient.id).secret


def test_destroyed_keys_stay_destroyed(clinic, patient, neighbour, now):
    destroyed = destroy_subject_keys(subject_id=patient.id, clinic_id=clinic.id, reason="erasure", actor=ACTOR, now=now)

    rotate_keys(actor=ACTOR, now=now)

    for key_id in destroyed:
        with pytest.raises(KeyDestroyed):
            keyring().by_id(key_id)
    assert set(DataKey.objects.exclude(destroyed_at=None).values_list("epoch", flat=True)) == {1}


# --------------------------------------------------------------------------------------------------------- tombstones


@pytest.mark.parametrize("step", [rotate_keys, begin_provider_epoch])
def test_keys_that_were_destroyed_and_live_again_are_not_wrapped_anew(clinic, patient, provider, now, step):
    """As after a database that was brought back by hand from before the erasure."""
    revived = DataKey.objects.filter(subject_id=patient.id, destroyed_at=None).first()
    ledger().add({revived.id: now})

    with pytest.raises(KeysRevived, match=r"1 keys that were destroyed live again.* replay_destroyed_keys"):
        step(actor=ACTOR, now=now)

    assert set(DataKey.objects.values_list("epoch", flat=True)) == {1}
    assert files(provider) == ["root.key"]


@pytest.mark.parametrize("change", [{"wrapped": b"x" * 60, "destroyed_at": None}, {"subject_mark": None}, {"epoch": 2}])
def test_a_tombstone_is_never_changed(clinic, patient, now, change):
    destroyed = destroy_subject_keys(subject_id=patient.id, clinic_id=clinic.id, reason="erasure", actor=ACTOR, now=now)
    draft = issue_subject_keys([new_id()], clinic_id=clinic.id, now=now).draft(clinic.id)

    with pytest.raises(IntegrityError, match="a tombstone stays"), record_many([draft], by=ACTOR, now=now):
        DataKey.objects.filter(id__in=destroyed).update(**change)
    with pytest.raises(IntegrityError, match="a tombstone stays"), record_many([draft], by=ACTOR, now=now):
        DataKey.objects.filter(id__in=destroyed).delete()
    rotate_keys(actor=ACTOR, now=now, clinic_id=clinic.id)
    with pytest.raises(IntegrityError, match="a tombstone stays"), record_many([draft], by=ACTOR, now=now):
        ClinicKey.objects.filter(clinic_id=clinic.id, epoch=1).update(wrapped=b"x", destroyed_at=None)


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="SQLite's own words")
def test_a_tombstone_is_not_replaced_either(clinic, patient, now):
    destroyed = destroy_subject_keys(subject_id=patient.id, clinic_id=clinic.id, reason="erasure", actor=ACTOR, now=now)
    draft = issue_subject_keys([new_id()], clinic_id=clinic.id, now=now).draft(clinic.id)

    with (
        pytest.raises(IntegrityError, match="a tombstone stays"),
        record_many([draft], by=ACTOR, now=now),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "INSERT OR REPLACE INTO audit_data_key (id, clinic_id, scope, epoch, wrapped, created_at) "
            "VALUES (%s, %s, 'profile', 1, x'00', '2026-01-01')",
            [destroyed[0].hex, clinic.id.hex],
        )


def test_nobody_gets_keys_under_the_id_of_an_erased_patient(clinic, patient, neighbour, southbank, now):
    issued = issue_subject_keys([patient.id, new_id()], clinic_id=clinic.id, now=now)
    destroy_subject_keys(subject_id=patient.id, clinic_id=clinic.id, reason="erasure", actor=ACTOR, now=now)

    with pytest.raises(SubjectErased):
        issue_subject_keys([patient.id], clinic_id=clinic.id, now=now)
    with pytest.raises(SubjectErased), transaction.atomic():
        store(issued, clinic.id, now)

    assert erased_among([patient.id, neighbour.id], clinic_id=clinic.id) == {patient.id}
    assert erased_among([patient.id], clinic_id=southbank.id) == set()
    assert not DataKey.objects.filter(subject_id=patient.id).exists()


def test_a_mark_leads_to_nobody_without_the_systems_key(clinic, patient, now):
    destroyed = destroy_subject_keys(subject_id=patient.id, clinic_id=clinic.id, reason="erasure", actor=ACTOR, now=now)

    marks = {bytes(row.subject_mark or b"") for row in DataKey.objects.filter(id__in=destroyed)}
    assert [len(mark) for mark in marks] == [16]
    assert patient.id.bytes not in marks


def test_a_wrapped_key_that_was_moved_to_another_epoch_is_refused(clinic, patient, now):
    row = a_key_of(patient)
    rotate_keys(actor=ACTOR, now=now, clinic_id=clinic.id)

    with pytest.raises(Tampered):
        keyring().rewrap(replace(row, epoch=2), epoch=2)


def test_what_a_rotation_did_is_told(clinic, patient, now):
    counted: list[int] = []
    done = rotate_keys(actor=ACTOR, now=now, told=counted.append)

    assert isinstance(done, Rotation)
    assert sum(counted) == rotation.keys_to_wrap() == done.data_keys_wrapped
    assert rotation.keys_to_wrap(clinic_id=clinic.id) == 4
    assert Path(str(keyring().provider.path)).name == "root.key"  # type: ignore[attr-defined] # a file's


def test_the_topmost_key_is_not_begun_for_one_clinic(clinic, provider):
    """`--begin` alone would make a new topmost key for all, whatever clinic is named."""
    with pytest.raises(CommandError, match="not allowed with argument"):
        call_command("rotate_keys", "--begin", "--clinic", "lindens")

    assert files(provider) == ["root.key"]
