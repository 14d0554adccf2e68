"""An entry is written once: a copy of an old row gets no place, whatever form its id has, and whoever writes it."""

from collections.abc import Iterator

import pytest
from django.db import connection

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.checks import every_entry_has_an_id_of_its_own
from backend.audit.models import AuditEntry, AuditLeaf, AuditRefusedEntry
from backend.audit.recording import log_number, record
from backend.audit.sequencing import sequence_all
from backend.audit.tree_check import check_trees
from backend.audit.verification import check_entries, stored_entries
from tests.factories.clinics import make_clinic
from tests.factories.tampering import tamper

on_sqlite = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL knows ids and bytes as such")
on_postgresql = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="SQLite keeps a constraint with its table"
)
COPY = (
    "INSERT INTO audit_entry (log_id, id, ts, leaf, wmac) "
    "SELECT log_id, {id}, ts, {leaf}, wmac FROM audit_entry WHERE seq = {seq}"
)


@pytest.fixture
def clinic(committed, now):
    return make_clinic("lindens", now=now)


@pytest.fixture
def entry(clinic, now) -> AuditEntry:
    with record(Action.LOG_READ, by=system_actor(), now=now, clinic_id=clinic.id, count=1):
        pass
    return AuditEntry.objects.filter(log_id=log_number(clinic.id)).latest("seq")


@pytest.fixture
def no_unique_id(entry) -> Iterator[None]:
    """Whoever owns the table can drop its constraint; the test puts it back."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_entry DROP CONSTRAINT audit_entry_id_key")
    yield
    tamper(f"DELETE FROM audit_entry WHERE seq <> {entry.seq} AND id = '{entry.id}'")  # noqa: S608 - values of ours
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_entry ADD CONSTRAINT audit_entry_id_key UNIQUE (id)")


def copy(entry, *, named="id", leaf="leaf"):
    with connection.cursor() as cursor:
        cursor.execute(COPY.format(id=named, leaf=leaf, seq=entry.seq))


def places_of(entry):
    return AuditLeaf.objects.filter(h=AuditLeaf.objects.get(entry_seq=entry.seq).h).count()


@on_sqlite
@pytest.mark.parametrize("named", ["upper(id)", "CAST(id AS BLOB)", "'nonsense'"])
@pytest.mark.parametrize("is_placed", [True, False])
def test_an_id_in_another_form_is_no_other_id(entry, now, named, is_placed):
    if is_placed:
        sequence_all(now=now)
    copy(entry, named=named)

    sequence_all(now=now)
    sequence_all(now=now)

    assert AuditRefusedEntry.objects.count() == 1
    assert places_of(entry) == 1
    assert check_trees().holds
    assert [finding.what for finding in check_entries(stored_entries()).findings] == ["changed"]


@on_sqlite
def test_text_where_bytes_belong_stops_nothing(entry, now):
    copy(entry, named="lower(hex(randomblob(16)))", leaf="'text'")

    sequence_all(now=now)

    assert AuditRefusedEntry.objects.count() == 1
    assert check_trees().holds
    assert not check_entries(stored_entries()).holds


@on_postgresql
@pytest.mark.parametrize("is_placed", [True, False])
def test_a_copy_gets_no_place_though_the_constraint_is_gone(entry, now, no_unique_id, is_placed):
    if is_placed:
        sequence_all(now=now)
    copy(entry)

    sequence_all(now=now)
    sequence_all(now=now)

    assert list(AuditRefusedEntry.objects.values_list("reason", flat=True)) == ["replayed"]
    assert places_of(entry) == 1
    assert check_trees().holds


@on_postgresql
def test_a_forged_row_with_the_same_id_does_not_push_the_genuine_one_out(entry, now, no_unique_id):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_entry (seq, log_id, id, ts, leaf, wmac) SELECT -seq, log_id, id, ts, 'no'::bytea, wmac "
            "FROM audit_entry WHERE seq = %s",
            [entry.seq],
        )

    sequence_all(now=now)

    assert places_of(entry) == 1
    assert list(AuditRefusedEntry.objects.values_list("entry_seq", "reason")) == [(-entry.seq, "not_written_by_us")]


@on_postgresql
def test_that_the_constraint_is_gone_is_told(entry, no_unique_id):
    (complaint,) = every_entry_has_an_id_of_its_own(databases=["default"])

    assert "audit_entry" in complaint.msg


def test_all_is_well_where_it_is(clinic):
    assert every_entry_has_an_id_of_its_own(databases=["default"]) == []


def test_the_same_bytes_in_two_places_are_named(entry, now):
    sequence_all(now=now)
    last = AuditLeaf.objects.get(entry_seq=entry.seq)

    tamper(
        "UPDATE audit_leaf SET h = (SELECT h FROM (SELECT h FROM audit_leaf "  # noqa: S608 - numbers of ours
        f"WHERE log_id = {last.log_id} AND idx = 0) AS first) WHERE log_id = {last.log_id} AND idx = {last.idx}"
    )

    assert "written_twice" in {finding.what for finding in check_trees().findings}
