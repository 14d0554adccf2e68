"""Rotation in a process of its own: killed at random moments, and beside processes that enter patients."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from django.db import connection

from backend.audit.actors import system_actor
from backend.audit.models import ClinicKey, DataKey
from backend.audit.rotation import is_under_way, rotate_keys
from backend.audit.verification import check_entries, stored_entries
from backend.patients.models import Patient
from backend.patients.operations import import_records
from backend.vault.keyring import SYSTEM, Keyring, keyring
from backend.vault.providers import FileKeyProvider
from tests.factories import records
from tests.factories.clinics import make_clinic
from tests.factories.keys import key_file_of_its_own
from tests.factories.rotating import start

KILLS = 12
WRITERS = 4


@pytest.fixture
def provider(committed) -> Iterator[FileKeyProvider]:
    """A key file that costs this test alone."""
    with key_file_of_its_own() as copy:
        yield copy


def secrets_of_all() -> dict[UUID, bytes]:
    """Every living data key, opened by somebody who remembers nothing."""
    fresh = Keyring(provider=keyring().provider, store=keyring().store)
    return {row.id: fresh.by_id(row.id).secret for row in DataKey.objects.filter(destroyed_at=None)}


def settle(clinic_id: UUID, how_many: int, now) -> None:
    people = [records.patient(f"rotated-{number}") for number in range(how_many)]
    import_records(clinic_id=clinic_id, records=people, source="test", actor=system_actor(), now=now)


def test_a_rotation_that_is_killed_at_random_moments_goes_on(provider, tmp_path, now):
    clinics = [make_clinic(name, now=now) for name in ("lindens", "elms")]
    for clinic in clinics:
        settle(clinic.id, 60, now)
    before = secrets_of_all()
    chance = random.Random(4)  # noqa: S311 - when to kill is no secret
    killed = 0
    longest = 0.25

    for _again in range(4 * KILLS):
        process = start("rotate", key_file=provider.path, folder=tmp_path)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0, longest))
        process.kill()
        said, _error = process.communicate()
        assert secrets_of_all() == before
        if said:
            # It was done before it was killed: how long it takes depends on the machine.
            longest *= 0.7
            continue
        killed += 1
        if killed == KILLS:
            break
    done = rotate_keys(actor=system_actor("rotation"), now=now)

    assert killed == KILLS
    assert secrets_of_all() == before
    assert provider.epochs() == [done.provider_epoch]
    assert not is_under_way()
    living = ClinicKey.objects.filter(destroyed_at=None)
    assert sorted(living.values_list("clinic_id", flat=True)) == sorted([SYSTEM, *(clinic.id for clinic in clinics)])
    check = check_entries(stored_entries())
    assert (check.findings, check.unreadable) == ([], 0)
    # Each topmost key but the last was destroyed, and each of those destructions is in the log exactly once.
    assert check.actions["key.provider_epoch_destroyed"] == done.provider_epoch - 1
    assert check.actions["key.provider_epoch_begun"] == done.provider_epoch - 1
    destroyed = ClinicKey.objects.exclude(destroyed_at=None).count()
    assert check.actions["key.epoch_destroyed"] == destroyed


def test_patients_are_entered_while_keys_are_rotated(provider, tmp_path, now):
    """Four who write beside three rotations: no key is left behind under one that was destroyed."""
    clinic = make_clinic("lindens", now=now)
    settle(clinic.id, 30, now)
    writers = [
        start("write", str(clinic.id), str(number), key_file=provider.path, folder=Path(tmp_path))
        for number in range(WRITERS)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"

    for epoch in range(2, 5):
        time.sleep(0.5)
        assert rotate_keys(actor=system_actor("rotation"), now=now).provider_epoch == epoch
        make_clinic(f"clinic-{epoch}", now=now)
    said = []
    for writer in writers:
        out, error = writer.communicate("stop\n", timeout=60)
        assert error == ""
        said.append(int(out))

    assert min(said) > 0
    assert Patient.objects.filter(clinic_id=clinic.id).count() == 30 + sum(said)
    assert len(secrets_of_all()) == 4 + 2 * 4 + 2 * (30 + sum(said))
    assert provider.epochs() == [4]
    newest = dict(ClinicKey.objects.filter(destroyed_at=None).order_by("epoch").values_list("clinic_id", "epoch"))
    under = set(DataKey.objects.filter(destroyed_at=None).values_list("clinic_id", "epoch"))
    assert under == set(newest.items())
    check = check_entries(stored_entries())
    assert (check.findings, check.unreadable) == ([], 0)


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="on SQLite one transaction writes at a time")
def test_a_rotation_waits_for_keys_that_are_being_stored(provider, now):
    """Made before the rotation and committed in the middle of it: the old clinic key is not destroyed under them."""
    from backend.audit.keys import issue_subject_keys  # noqa: PLC0415 - used here only
    from backend.audit.recording import record_many  # noqa: PLC0415 - as above
    from backend.vault.identifiers import new_id  # noqa: PLC0415 - as above
    from tests.factories.background import Background, wait_until  # noqa: PLC0415 - as above

    clinic = make_clinic("lindens", now=now)
    subject = new_id()
    issued = issue_subject_keys([subject], clinic_id=clinic.id, now=now)
    with issued.at_hand(), record_many([issued.draft(clinic.id)], by=system_actor(), now=now):
        issued.save()
        rotating = Background(lambda: rotate_keys(actor=system_actor("rotation"), now=now))
        wait_until(lambda: is_waiting() or not rotating.is_going_on())
        assert rotating.is_going_on()
    rotating.result()

    assert set(DataKey.objects.filter(subject_id=subject).values_list("epoch", flat=True)) == {2}
    assert len(secrets_of_all()) == 4 + 2 + 2


def is_waiting() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
            "WHERE NOT l.granted AND a.datname = current_database())"
        )
        return bool(cursor.fetchone()[0])


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="on SQLite the lock is a file's")
def test_only_one_rotates_at_a_time(provider, tmp_path, now):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(1264941427)")
    process = start("rotate", key_file=provider.path, folder=tmp_path)
    _out, error = process.communicate(timeout=60)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(1264941427)")

    assert "Another rotation is going on" in error
    assert provider.epochs() == [1]
