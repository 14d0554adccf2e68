"""A row of the log is never changed and never deleted; what stands in clear names nobody."""

# ruff: noqa: S608, SLF001 - SQL is put together here

import re
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction

from backend.audit.actions import Action
from backend.audit.actors import Actor, ActorKind, system_actor
from backend.audit.leaf import HEADER_KEYS, open_part, parse_leaf
from backend.audit.models import AuditEntry, AuditLog
from backend.audit.recording import Draft, record, record_many, request_id
from backend.consent.models import Notice
from backend.vault.ciphers import mac
from backend.vault.identifiers import new_id
from backend.vault.keyring import SYSTEM, Scope, keyring

on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's own words")
on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's own words")


def execute(sql: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


@pytest.fixture
def entry(patient, now):
    with record(
        Action.PATIENT_READ, by=system_actor(), now=now, clinic_id=patient.clinic_id, about=patient.id, reason="care"
    ) as made:
        pass
    return AuditEntry.objects.get(id=made.id)


CHANGES = {
    "UPDATE": "UPDATE audit_entry SET ts = 0",
    "UPDATE of one row": "UPDATE audit_entry SET leaf = wmac WHERE seq = (SELECT max(seq) FROM audit_entry)",
    "DELETE": "DELETE FROM audit_entry",
    "DELETE of one row": "DELETE FROM audit_entry WHERE seq = (SELECT max(seq) FROM audit_entry)",
    "upsert": (
        "INSERT INTO audit_entry (log_id, id, ts, leaf, wmac) SELECT log_id, id, ts, leaf, wmac FROM audit_entry "
        "WHERE true ON CONFLICT (id) DO UPDATE SET ts = 0"
    ),
    "UPDATE of the log's name": "UPDATE audit_log SET origin = clinic_id",
    "DELETE of the log": "DELETE FROM audit_log",
}
SQLITE_CHANGES = {
    "UPDATE OR IGNORE": "UPDATE OR IGNORE audit_entry SET ts = 0",
    "UPDATE OR REPLACE": "UPDATE OR REPLACE audit_entry SET ts = 0",
    "REPLACE by seq": (
        "INSERT OR REPLACE INTO audit_entry (seq, ep, xid, log_id, id, ts, leaf, wmac) "
        "SELECT seq, ep, xid, log_id, hex(randomblob(16)), 0, leaf, wmac FROM audit_entry"
    ),
    "REPLACE by id": (
        "REPLACE INTO audit_entry (ep, xid, log_id, id, ts, leaf, wmac) "
        "SELECT ep, xid, log_id, id, 0, leaf, wmac FROM audit_entry"
    ),
    "INSERT OR IGNORE": (
        "INSERT OR IGNORE INTO audit_entry (ep, xid, log_id, id, ts, leaf, wmac) "
        "SELECT ep, xid, log_id, id, 0, leaf, wmac FROM audit_entry"
    ),
    "REPLACE of the log": (
        "REPLACE INTO audit_log (clinic_id, origin) SELECT clinic_id, hex(randomblob(16)) FROM audit_log"
    ),
}
POSTGRESQL_CHANGES = {
    "TRUNCATE": "TRUNCATE audit_entry",
    "TRUNCATE of the log": "TRUNCATE audit_log",
    "as a replica": "SET LOCAL session_replication_role = replica; DELETE FROM audit_entry",
    "MERGE": "MERGE INTO audit_entry e USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE",
    "writable CTE": "WITH gone AS (DELETE FROM audit_entry RETURNING seq) SELECT count(*) FROM gone",
}


def as_it_stands() -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    fields = ("seq", "ep", "xid", "log_id", "id", "ts", "leaf", "wmac")
    rows = [
        (*row[:-2], bytes(row[-2]), bytes(row[-1])) for row in AuditEntry.objects.order_by("seq").values_list(*fields)
    ]
    return rows, list(AuditLog.objects.order_by("id").values_list())


def refused(sql: str) -> None:
    before = as_it_stands()
    with pytest.raises(IntegrityError, match=r"append-only|never emptied"), transaction.atomic():
        execute(sql)
    assert as_it_stands() == before


@pytest.mark.parametrize("sql", CHANGES.values(), ids=CHANGES.keys())
def test_the_log_is_not_changed(entry, sql):
    refused(sql)


@pytest.mark.parametrize("sql", CHANGES.values(), ids=CHANGES.keys())
def test_the_log_is_not_changed_under_an_entry_either(entry, clinic, now, sql):
    before = as_it_stands()
    with (
        pytest.raises(IntegrityError, match="append-only"),
        record(Action.CONSENTS_READ, by=system_actor(), now=now, clinic_id=clinic.id),
    ):
        execute(sql)
    assert as_it_stands() == before


@on_sqlite
@pytest.mark.parametrize("sql", SQLITE_CHANGES.values(), ids=SQLITE_CHANGES.keys())
@pytest.mark.parametrize("recursive", ["OFF", "ON"])
def test_the_log_is_not_changed_by_sqlites_own_words(entry, sql, recursive):
    # REPLACE deletes without setting off a DELETE trigger, unless this is on; the trigger on INSERT needs neither.
    execute(f"PRAGMA recursive_triggers = {recursive}")
    try:
        refused(sql)
    finally:
        execute("PRAGMA recursive_triggers = OFF")


@on_postgresql
@pytest.mark.parametrize("sql", POSTGRESQL_CHANGES.values(), ids=POSTGRESQL_CHANGES.keys())
def test_the_log_is_not_changed_by_postgresqls_own_words(entry, sql):
    execute("SET CONSTRAINTS ALL IMMEDIATE")
    refused(sql)


def test_the_orm_changes_no_entry(entry):
    for change in (entry.save, entry.delete, AuditEntry.objects.all().delete):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            change()


def test_entries_are_found_by_their_transaction(entry):
    assert entry in AuditEntry.objects.filter(xid=entry.xid)
    assert entry not in AuditEntry.objects.filter(xid__gt=entry.xid)


@on_sqlite
def test_a_published_text_is_not_replaced_even_under_an_entry(northgate, now):
    columns = ", ".join(str(field.column) for field in Notice._meta.concrete_fields if field.name != "id")
    texts = list(Notice.objects.order_by("id").values_list("id", "body"))
    with (
        pytest.raises(IntegrityError, match="append-only"),
        record(Action.CONSENTS_READ, by=system_actor(), now=now, clinic_id=northgate.id),
    ):
        execute(
            f"REPLACE INTO consent_notice (id, {columns}) "
            f"SELECT lower(hex(randomblob(16))), {columns} FROM consent_notice"
        )

    assert list(Notice.objects.order_by("id").values_list("id", "body")) == texts


# ---------------------------------------------------------------------------------------------------- what it holds


def test_the_clear_header_names_nobody(patient, neighbour, now):
    """Golden: the closed list, a pseudonym for staff, a letter for a patient, no id of anybody."""
    account = new_id()
    staff = Actor(kind=ActorKind.STAFF, id=account, pseudonym="5f0c9a3e")
    token = request_id.set("0123456789abcdef0123456789abcdef")
    try:
        with record(
            Action.PATIENT_UPDATED,
            by=staff,
            now=now,
            clinic_id=patient.clinic_id,
            about=[patient.id, neighbour.id],
            source="fhir",
            fields=["family_name"],
        ) as made:
            pass
    finally:
        request_id.reset(token)
    row = AuditEntry.objects.get(id=made.id)
    leaf = parse_leaf(bytes(row.leaf))

    assert leaf.header == {
        "a": "patient.updated",
        "ac": "u:5f0c9a3e",
        "cid": "0123456789abcdef0123456789abcdef",
        "id": str(made.id),
        "ks": 1,
        "o": "ok",
        "ot": "patient",
        "t": 1_791_964_800_000_000,
        "tn": str(patient.clinic_id),
        "v": 1,
    }
    assert row.ts == leaf.header["t"]
    clear = bytes(row.leaf)
    for identifier in (patient.id, neighbour.id, account):
        assert str(identifier).encode() not in clear
        assert identifier.bytes not in clear
        assert identifier.hex.encode() not in clear


@pytest.mark.parametrize(
    ("kind", "shown"), [(ActorKind.PATIENT, "p"), (ActorKind.REPRESENTATIVE, "r")], ids=["patient", "representative"]
)
def test_a_patient_who_acts_is_named_in_their_own_part_only(patient, now, kind, shown):
    somebody = patient.id if kind is ActorKind.PATIENT else new_id()
    with record(
        Action.CONSENTS_READ,
        by=Actor(kind=kind, id=somebody),
        now=now,
        clinic_id=patient.clinic_id,
        about=patient.id,
    ) as made:
        pass
    leaf = parse_leaf(bytes(AuditEntry.objects.get(id=made.id).leaf))
    key = keyring().current(clinic_id=patient.clinic_id, scope=Scope.AUDIT, subject_id=patient.id)

    assert leaf.header["ac"] == shown
    assert str(somebody).encode() not in leaf.header_bytes
    assert open_part(leaf, 0, key) == {"by": str(somebody), "d": {}, "s": str(patient.id)}


def test_no_header_in_the_log_of_a_whole_clinic_names_anybody(consenting, withdrawn, reception):
    personal = {str(consenting.id), str(withdrawn.id), "Oui", "Plusjamais", "Camille", consenting.ipp, "example.org"}
    headers = [parse_leaf(bytes(row.leaf)) for row in AuditEntry.objects.all()]

    assert len(headers) > 20
    for leaf in headers:
        text = leaf.header_bytes.decode()
        assert leaf.header.keys() <= HEADER_KEYS
        assert [word for word in personal if word in text] == []
        # An id of the log itself and the clinic's: no other UUID stands in clear.
        assert set(re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", text)) == {str(leaf.header["id"]), str(leaf.header["tn"])}


def test_each_patient_has_a_part_of_their_own(patient, neighbour, now):
    with record(
        Action.PATIENT_READ,
        by=system_actor(),
        now=now,
        clinic_id=patient.clinic_id,
        about=[patient.id, neighbour.id],
        reason="care",
    ) as made:
        pass
    leaf = parse_leaf(bytes(AuditEntry.objects.get(id=made.id).leaf))
    keys = [
        keyring().current(clinic_id=patient.clinic_id, scope=Scope.AUDIT, subject_id=subject)
        for subject in (patient.id, neighbour.id)
    ]

    assert [part.key_id for part in leaf.parts] == [key.key_id for key in keys]
    assert [open_part(leaf, index, key)["s"] for index, key in enumerate(keys)] == [str(patient.id), str(neighbour.id)]


def test_what_concerns_no_patient_is_under_the_clinics_key(clinic, now):
    with record(Action.CONSENTS_READ, by=system_actor("import"), now=now, clinic_id=clinic.id) as made:
        pass
    leaf = parse_leaf(bytes(AuditEntry.objects.get(id=made.id).leaf))

    assert leaf.header["ac"] == "svc:import"
    assert open_part(leaf, 0, keyring().current(clinic_id=clinic.id, scope=Scope.CLINIC)) == {"d": {}}


def test_the_writers_mac_verifies(entry):
    writer = keyring().current(clinic_id=SYSTEM, scope=Scope.WRITER_MAC)

    assert mac(writer.secret, bytes(entry.leaf)) == bytes(entry.wmac)


def test_entries_are_numbered_in_the_order_they_were_written(clinic, now):
    drafts = [Draft(action=Action.CONSENTS_READ, clinic_id=clinic.id) for _ in range(1200)]
    with record_many(drafts, by=system_actor(), now=now) as first:
        pass
    ids = list(AuditEntry.objects.order_by("seq").values_list("id", flat=True))[-1200:]

    assert ids[0] == first.id
    assert [identifier.version for identifier in ids] == [7] * 1200
    # Version 7 is ordered by the millisecond; within one, the row's number tells.
    assert [made_at(identifier) for identifier in ids] == sorted(made_at(identifier) for identifier in ids)


def made_at(identifier: UUID) -> int:
    return identifier.int >> 80
