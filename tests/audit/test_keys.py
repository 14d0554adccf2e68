"""The life of the keys: made, destroyed, each step an entry; never made twice, never made anew."""

# ruff: noqa: PT012, S608 - what fails here is a whole block; SQL is put together here

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.keys import (
    create_clinic_keys,
    destroy_subject_keys,
    ensure_system_keys,
    issue_subject_keys,
)
from backend.audit.leaf import open_part, parse_leaf
from backend.audit.models import AuditEntry, AuditLog, ClinicKey, DataKey
from backend.audit.recording import record, record_many
from backend.vault.ciphers import commitment
from backend.vault.identifiers import new_id
from backend.vault.keyring import SYSTEM, KeyDestroyed, KeyUnavailable, Scope, keyring
from tests.services import database_url

ROOT = Path(__file__).parents[2]


class Unwell(Exception):
    """Something went wrong inside a block."""


def details_of(entry: AuditEntry) -> dict[str, object]:
    leaf = parse_leaf(bytes(entry.leaf))
    opened = open_part(leaf, 0, keyring().by_id(leaf.parts[0].key_id))
    details = opened["d"]
    assert isinstance(details, dict)
    return dict(details)


def entries_of(clinic_id) -> list[AuditEntry]:
    log = AuditLog.objects.get(clinic_id=clinic_id)
    return list(AuditEntry.objects.filter(log_id=log.id).order_by("seq"))


def actions_of(clinic_id) -> list[object]:
    return [parse_leaf(bytes(entry.leaf)).header["a"] for entry in entries_of(clinic_id)]


# ------------------------------------------------------------------------------------------------------------- made


def test_the_first_entry_of_a_clinics_log_announces_its_keys(clinic):
    first = entries_of(clinic.id)[0]
    details = details_of(first)
    keys = {str(key.id): key for key in DataKey.objects.filter(clinic_id=clinic.id)}

    assert parse_leaf(bytes(first.leaf)).header["a"] == "key.created"
    assert set(details["keys"]) == set(keys)  # type: ignore[call-overload] # a list of ids
    assert details["scopes"] == ["blind_index", "clinic"]
    assert details["commitments"] == [
        commitment(keyring().by_id(keys[key].id).secret).hex()
        for key in details["keys"]  # type: ignore[attr-defined] # as above
    ]


def test_no_key_stands_in_the_database_as_it_is(clinic, patient):
    held = [*DataKey.objects.values_list("wrapped", flat=True), *ClinicKey.objects.values_list("wrapped", flat=True)]
    wrapped = [bytes(blob) for blob in held if blob is not None]
    secrets = [keyring().by_id(key.id).secret for key in DataKey.objects.all()]

    assert len(wrapped) >= 6
    assert not [secret for secret in secrets if any(secret in blob for blob in wrapped)]


def test_keys_are_issued_only_where_the_clinic_has_some(db, now):
    with pytest.raises(KeyUnavailable):
        issue_subject_keys([new_id()], clinic_id=new_id(), now=now)


def test_keys_can_not_be_stored_without_an_entry(clinic, now):
    issued = issue_subject_keys([new_id()], clinic_id=clinic.id, now=now)

    with pytest.raises(IntegrityError, match="unaudited"), transaction.atomic():
        issued.save()


def test_nobody_has_two_living_keys_of_one_kind(patient, clinic, now):
    again = issue_subject_keys([patient.id], clinic_id=clinic.id, now=now)

    with pytest.raises(IntegrityError), record_many([again.draft(clinic.id)], by=system_actor(), now=now):
        again.save()


def test_a_clinic_that_was_rolled_back_leaves_no_key_behind(db, now):
    clinic_id = new_id()
    with pytest.raises(Unwell), transaction.atomic():
        create_clinic_keys(clinic_id=clinic_id, actor=system_actor(), now=now)
        raise Unwell
    keyring().clear()

    assert not DataKey.objects.filter(clinic_id=clinic_id).exists()
    with pytest.raises(KeyUnavailable):
        keyring().current(clinic_id=clinic_id, scope=Scope.CLINIC)


# --------------------------------------------------------------------------------------------------------- destroyed


def test_destroyed_keys_leave_tombstones_that_name_nobody(patient, neighbour, clinic, now):
    before = set(DataKey.objects.filter(subject_id=patient.id).values_list("id", flat=True))

    destroyed = destroy_subject_keys(
        subject_id=patient.id, clinic_id=clinic.id, reason="erasure_request", actor=system_actor(), now=now
    )

    assert set(destroyed) == before
    assert len(before) == 2
    for key in DataKey.objects.filter(id__in=before):
        assert (key.wrapped, key.subject_id, key.destroyed_at) == (None, None, now)
    assert DataKey.objects.filter(subject_id=neighbour.id, destroyed_at=None).count() == 2
    last = entries_of(clinic.id)[-1]
    assert actions_of(clinic.id)[-1] == "key.destroyed"
    assert details_of(last) == {"keys": [str(key) for key in destroyed], "reason": "erasure_request"}
    assert patient.id.bytes not in bytes(last.leaf)


def test_destroyed_keys_are_forgotten_at_once_and_for_good(patient, clinic, now):
    ring = keyring()
    key = ring.current(clinic_id=clinic.id, scope=Scope.PROFILE, subject_id=patient.id)
    assert ring.by_id(key.key_id).secret == key.secret

    destroy_subject_keys(
        subject_id=patient.id, clinic_id=clinic.id, reason="erasure_request", actor=system_actor(), now=now
    )

    with pytest.raises(KeyDestroyed):
        ring.by_id(key.key_id)
    with pytest.raises(KeyUnavailable):
        ring.current(clinic_id=clinic.id, scope=Scope.PROFILE, subject_id=patient.id)
    # The id of a tombstone can not be taken again.
    with pytest.raises(IntegrityError), record(Action.CONSENTS_READ, by=system_actor(), now=now, clinic_id=clinic.id):
        DataKey.objects.create(
            id=key.key_id, clinic_id=clinic.id, scope=Scope.PROFILE, epoch=1, wrapped=b"x", created_at=now
        )


def test_a_destruction_that_was_rolled_back_destroyed_nothing(committed, patient, clinic, now):
    with pytest.raises(Unwell), transaction.atomic():
        destroy_subject_keys(
            subject_id=patient.id, clinic_id=clinic.id, reason="erasure_request", actor=system_actor(), now=now
        )
        raise Unwell

    assert keyring().current(clinic_id=clinic.id, scope=Scope.PROFILE, subject_id=patient.id).subject_id == patient.id
    assert "key.destroyed" not in actions_of(clinic.id)


def test_another_clinic_destroys_nothing(patient, southbank, now):
    destroyed = destroy_subject_keys(
        subject_id=patient.id, clinic_id=southbank.id, reason="erasure_request", actor=system_actor(), now=now
    )

    assert destroyed == ()
    assert DataKey.objects.filter(subject_id=patient.id, destroyed_at=None).count() == 2


@pytest.mark.parametrize(
    "half",
    [{"wrapped": None}, {"destroyed_at": datetime(2026, 1, 1, tzinfo=UTC)}],
    ids=["no key and no date", "a key and a date"],
)
def test_half_a_destruction_is_refused_by_the_database(patient, clinic, now, half):
    with pytest.raises(IntegrityError), record(Action.CONSENTS_READ, by=system_actor(), now=now, clinic_id=clinic.id):
        DataKey.objects.filter(subject_id=patient.id).update(**half)
    with pytest.raises(IntegrityError), record(Action.CONSENTS_READ, by=system_actor(), now=now, clinic_id=clinic.id):
        ClinicKey.objects.filter(clinic_id=clinic.id).update(**half)


def test_a_tombstone_never_names_anybody(patient, clinic, now):
    with pytest.raises(IntegrityError), record(Action.CONSENTS_READ, by=system_actor(), now=now, clinic_id=clinic.id):
        DataKey.objects.filter(subject_id=patient.id).update(wrapped=None, destroyed_at=now)


# ------------------------------------------------------------------------------------------------------- first start


def test_the_systems_keys_are_made_once(db, now):
    assert not ensure_system_keys(now=now)
    assert ClinicKey.objects.filter(clinic_id=SYSTEM).count() == 1


START = """
import sys
import django
django.setup()
from datetime import UTC, datetime
from django.db import connection
from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.recording import record
from backend.config.starting import prepare_keys
from backend.vault.identifiers import new_id
from backend.vault.keyring import SYSTEM
now = datetime(2026, 1, 1, tzinfo=UTC)
connection.ensure_connection()
print("ready", flush=True)
sys.stdin.readline()
prepare_keys(now=now)
with record(Action.CLINIC_CREATED, by=system_actor(), now=now, clinic_id=SYSTEM, clinic=new_id()):
    pass
print("done", flush=True)
"""


def test_processes_that_start_at_once_end_with_one_set_of_keys(committed, tmp_path, now):
    """As four containers do on a new database and a new data folder."""
    empty_everything()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")},
        "ACCORD_DATA_DIR": str(tmp_path),
        "ACCORD_DATABASE_URL": database_url(),
        "ACCORD_SECRET_KEY": "made-up-" * 6,
        "DJANGO_SETTINGS_MODULE": "backend.config.settings",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", START],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60) for process in processes]

    assert said == [("done\n", "")] * 4
    assert ClinicKey.objects.filter(clinic_id=SYSTEM).count() == 1
    assert sorted(DataKey.objects.values_list("scope", flat=True)) == ["clinic", "receipts", "signing", "writer_mac"]
    assert AuditLog.objects.count() == 1
    assert sorted(map(str, actions_of(SYSTEM))) == ["clinic.created"] * 4 + ["key.created"]
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["root.key"]


def empty_everything() -> None:
    """A database just migrated: without the keys that emptying tables brings back in this suite."""
    tables = [model._meta.db_table for model in (AuditEntry, AuditLog, ClinicKey, DataKey)]  # noqa: SLF001 - Django's API
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = replica")
            for table in tables:
                cursor.execute(f'ALTER TABLE "{table}" DISABLE TRIGGER USER')
                cursor.execute(f'DELETE FROM "{table}"')
            cursor.execute(
                "SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
                "WHERE NOT t.tgisinternal AND c.relname = ANY(%s)",
                [tables],
            )
            for table, name in cursor.fetchall():
                cursor.execute(f'ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER "{name}"')
        else:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            triggers = cursor.fetchall()
            for name, _sql in triggers:
                cursor.execute(f'DROP TRIGGER "{name}"')
            for table in tables:
                cursor.execute(f'DELETE FROM "{table}"')
            for _name, sql in triggers:
                cursor.execute(sql)
