"""Every committed entry gets its place exactly once, in one order, and what is signed continues what was signed."""

import logging
import random
import threading
import time
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.growing import LogInconsistent, log_key, sequencer_memory
from backend.audit.merkle import leaf_hash, root, verify_consistency, verify_inclusion
from backend.audit.models import (
    META,
    AuditCheckpoint,
    AuditEntry,
    AuditLeaf,
    AuditLog,
    AuditNode,
    AuditPart,
    AuditRefusedEntry,
)
from backend.audit.notes import Checkpoint, origin_of
from backend.audit.recording import Draft, record, record_many
from backend.audit.sequencing import (
    NotSequenced,
    find_place,
    require_inclusion,
    sequence_all,
    sequence_entries,
    sequence_leftovers,
)
from backend.audit.tree import StoredTree
from backend.vault.keyring import SYSTEM
from tests.factories.background import Background
from tests.factories.clinics import make_clinic
from tests.factories.sequencers import Sequencers
from tests.factories.tampering import forge, tamper

USING = "default"
only_where_transactions_overlap = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="on SQLite one transaction writes at a time"
)


@pytest.fixture
def clinic(committed, now):
    return make_clinic("lindens", now=now - timedelta(days=1))


@pytest.fixture
def other(committed, now):
    return make_clinic("oaks", now=now - timedelta(days=1))


def add_entries(clinic_id, how_many, *, now):
    drafts = [
        Draft(action=Action.LOG_READ, clinic_id=clinic_id, details={"count": number}) for number in range(how_many)
    ]
    with record_many(drafts, by=system_actor("test"), now=now) as entry:
        return entry.id


def log_of(clinic_id):
    return AuditLog.objects.get(clinic_id=clinic_id)


def leaves_of(log):
    return [bytes(h) for h in AuditLeaf.objects.filter(log_id=log.id).order_by("idx").values_list("h", flat=True)]


def last_checkpoint(log):
    return AuditCheckpoint.objects.filter(log_id=log.id).order_by("-size").first()


def assert_whole(*, expected_entries: set[Any] | None = None) -> None:
    """Every entry has one place, indexes have no gap, every checkpoint is signed and has the root of what it covers."""
    entries = dict(AuditEntry.objects.values_list("seq", "leaf"))
    placed = dict(AuditLeaf.objects.exclude(entry_seq=None).values_list("entry_seq", "h"))
    assert placed.keys() == entries.keys()
    assert all(bytes(placed[seq]) == leaf_hash(bytes(leaf)) for seq, leaf in entries.items())
    if expected_entries is not None:
        found = set(AuditEntry.objects.values_list("id", flat=True))
        assert expected_entries <= found
    for log in AuditLog.objects.all():
        rows = list(AuditLeaf.objects.filter(log_id=log.id).order_by("idx").values_list("idx", "h"))
        assert [idx for idx, _h in rows] == list(range(len(rows)))
        hashes = [bytes(h) for _idx, h in rows]
        signed = list(AuditCheckpoint.objects.filter(log_id=log.id).order_by("size"))
        assert signed[-1].size == len(rows)
        key = log_key(origin_of(log.origin)).verifying
        for row in signed:
            assert Checkpoint.parse(key.verify(row.note)) == Checkpoint(
                origin=origin_of(log.origin), size=row.size, root=root(hashes[: row.size])
            )


def test_every_entry_gets_its_place_in_the_log_of_its_clinic(clinic, other, now):
    add_entries(clinic.id, 3, now=now)
    add_entries(other.id, 2, now=now)

    done = sequence_all(now=now)

    assert done.sequenced == AuditEntry.objects.count()
    assert done.refused == 0
    assert_whole()
    own = AuditEntry.objects.filter(log_id=log_of(clinic.id).id).count()
    assert len(leaves_of(log_of(clinic.id))) == own


def test_a_second_round_adds_nothing_where_nothing_waits(clinic, now):
    sequence_all(now=now)
    checkpoints = AuditCheckpoint.objects.count()

    assert sequence_all(now=now).sequenced == 0
    assert AuditCheckpoint.objects.count() == checkpoints


def test_the_checkpoints_of_all_logs_are_the_leaves_of_the_meta_log(clinic, other, now):
    sequence_all(now=now)
    add_entries(clinic.id, 1, now=now)
    sequence_all(now=now)

    meta = log_of(META)
    leaves = AuditLeaf.objects.filter(log_id=meta.id).order_by("idx")
    rows = AuditCheckpoint.objects.in_bulk([leaf.checkpoint_id for leaf in leaves])
    origins = {log.id: origin_of(log.origin) for log in AuditLog.objects.all()}
    texts = [
        Checkpoint(origin=origins[row.log_id], size=row.size, root=bytes(row.root)).text
        for row in (rows[leaf.checkpoint_id] for leaf in leaves)
    ]
    assert [bytes(leaf.h) for leaf in leaves] == [leaf_hash(text.encode()) for text in texts]
    others = AuditCheckpoint.objects.exclude(log_id=meta.id)
    assert set(rows) == set(others.values_list("id", flat=True))
    assert_whole()


def test_proofs_from_the_stored_tree_hold(clinic, now):
    for size in (3, 300, 400):
        add_entries(clinic.id, size, now=now)
        sequence_all(now=now)
    log = log_of(clinic.id)
    hashes, size = leaves_of(log), len(leaves_of(log))
    tree = StoredTree(log.id, using=USING)

    assert tree.root(size) == root(hashes) == bytes(last_checkpoint(log).root)
    assert AuditNode.objects.filter(log_id=log.id, lvl=1).count() == size // 256
    for index in {0, 1, 255, 256, 257, 511, size - 1}:
        verify_inclusion(hashes[index], index, size, tree.inclusion_proof(index, size), root(hashes))
    for earlier in {1, 2, 255, 256, 300, 512, size}:
        proof = tree.consistency_proof(earlier, size)
        verify_consistency(earlier, size, proof, root(hashes[:earlier]), root(hashes))
    assert tree.peaks(size) == [
        bytes(last_checkpoint(log).peaks)[at : at + 32] for at in range(0, len(bytes(last_checkpoint(log).peaks)), 32)
    ]


def test_an_entry_that_is_asked_for_is_sequenced_by_whoever_asks(clinic, now):
    entry_id = add_entries(clinic.id, 1, now=now)
    assert find_place(entry_id) is None

    place = require_inclusion(entry_id, now=now)

    assert place == find_place(entry_id)
    assert place.index < place.size
    assert_whole()


def test_an_entry_that_was_rolled_back_is_waited_for_in_vain(clinic, now):
    def rolled_back():
        with transaction.atomic():
            entry_id = add_entries(clinic.id, 1, now=now)
            transaction.set_rollback(True)
        return entry_id

    with pytest.raises(NotSequenced):
        require_inclusion(rolled_back(), now=now, seconds=0.2)
    assert_whole()


def test_the_parts_of_an_entry_are_found_by_their_keys(clinic, now):
    sequence_all(now=now)
    entry = AuditEntry.objects.filter(log_id=log_of(clinic.id).id).first()
    place = find_place(entry.id)

    assert AuditPart.objects.filter(log_id=place.log_id, idx=place.index).count() == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"wmac": bytes(32)}, "not_written_by_us"),
        ({"leaf": b"\x01forged"}, "not_written_by_us"),
        ({}, "moved"),
        ({"log_id": 4711}, "moved"),
    ],
)
def test_a_row_that_was_not_written_by_us_gets_no_place_and_raises_one_alarm(clinic, now, changes, reason, caplog):
    add_entries(clinic.id, 1, now=now)
    forge(**changes)
    add_entries(clinic.id, 1, now=now)
    genuine = AuditEntry.objects.count() - 1

    with caplog.at_level(logging.ERROR, "accord.audit.alarm"):
        first = sequence_all(now=now)
        second = sequence_all(now=now)
        third = sequence_all(now=now)

    assert first.refused == 1
    assert first.sequenced + second.sequenced == genuine + 1
    assert (second.refused, third.refused, third.sequenced) == (0, 0, 0)
    assert list(AuditRefusedEntry.objects.values_list("reason", flat=True)) == [reason]
    assert len(caplog.records) == 1
    assert AuditLeaf.objects.filter(entry_seq=AuditRefusedEntry.objects.get().entry_seq).count() == 0


@pytest.mark.parametrize(
    "attack",
    [
        "DELETE FROM audit_leaf WHERE log_id = {log} AND idx = (SELECT max(idx) FROM audit_leaf WHERE log_id = {log})",
        "UPDATE audit_checkpoint SET size = size - 1 WHERE log_id = {log}",
        "UPDATE audit_checkpoint SET root = (SELECT h FROM audit_leaf LIMIT 1) WHERE log_id = {log}",
        "UPDATE audit_checkpoint SET note = 'forged' WHERE log_id = {log}",
        "DELETE FROM audit_checkpoint WHERE log_id = {log}",
    ],
)
def test_a_tree_that_was_tampered_with_is_not_signed_any_more(clinic, now, attack, caplog):
    add_entries(clinic.id, 4, now=now)
    sequence_all(now=now)
    tamper(attack.format(log=log_of(clinic.id).id))
    add_entries(clinic.id, 1, now=now)
    before = AuditCheckpoint.objects.count()

    with pytest.raises(LogInconsistent):
        sequence_all(now=now)

    assert AuditCheckpoint.objects.count() == before
    assert "is not signed any more" in caplog.text


def test_a_log_that_was_set_back_as_a_whole_is_not_signed_any_more(clinic, now):
    """Everything in the database fits together again; only what this machine remembers does not."""
    log = log_of(clinic.id)
    sequence_all(now=now)
    kept = last_checkpoint(log).size
    add_entries(clinic.id, 2, now=now)
    sequence_all(now=now)
    for statement in (
        f"DELETE FROM audit_checkpoint WHERE log_id = {log.id} AND size > {kept}",  # noqa: S608 - numbers of ours
        f"DELETE FROM audit_leaf WHERE log_id = {log.id} AND idx >= {kept}",  # noqa: S608 - numbers of ours
    ):
        tamper(statement)
    add_entries(clinic.id, 1, now=now)

    with pytest.raises(LogInconsistent, match="shorter than what was signed"):
        sequence_all(now=now)
    assert sequencer_memory().last(origin_of(log.origin)).size == kept + 2


def test_another_ending_of_the_log_is_not_signed(clinic, now):
    log = log_of(clinic.id)
    add_entries(clinic.id, 2, now=now)
    sequence_all(now=now)
    memory, origin = sequencer_memory(), origin_of(log.origin)
    signed = memory.last(origin)
    other_history = log_key(origin).sign(Checkpoint(origin=origin, size=signed.size, root=bytes(32)).text)
    (memory.folder / f"{log.origin}.checkpoint").write_text(other_history)
    add_entries(clinic.id, 1, now=now)

    with pytest.raises(LogInconsistent, match="does not continue what was signed"):
        sequence_all(now=now)


@only_where_transactions_overlap
def test_a_transaction_that_commits_late_is_not_passed_over(clinic, now):
    sequence_all(now=now)

    def slow():
        with transaction.atomic():
            late = add_entries(clinic.id, 1, now=now)
            time.sleep(0.6)
        return late

    writing = Background(slow)
    time.sleep(0.2)
    early = add_entries(clinic.id, 1, now=now)
    while writing.is_going_on():
        sequence_entries(now=now)
        assert not writing.is_going_on() or find_place(early) is None
        time.sleep(0.05)
    late = writing.result()
    sequence_all(now=now)

    assert find_place(late).index < find_place(early).index
    assert_whole(expected_entries={late, early})


@only_where_transactions_overlap
def test_the_sequencer_does_not_wait_for_those_who_only_read(clinic, now):
    def read_for_long():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT count(*) FROM audit_entry")
            time.sleep(1.0)

    reading = Background(read_for_long)
    time.sleep(0.2)
    entry_id = add_entries(clinic.id, 1, now=now)

    require_inclusion(entry_id, now=now, seconds=0.5)

    assert reading.is_going_on()
    reading.result()


@only_where_transactions_overlap
def test_two_sequencers_do_not_get_into_each_others_way(clinic, now):
    add_entries(clinic.id, 30, now=now)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [0x4163636F7264])
        assert Background(lambda: sequence_entries(now=now)).result().is_busy
    assert sequence_all(now=now).sequenced
    assert_whole()


def test_what_a_restored_database_left_behind_gets_its_place(clinic, now):
    """Rows whose transaction looks older than what has its place already, as in another cluster."""
    add_entries(clinic.id, 2, now=now)
    late = add_entries(clinic.id, 1, now=now)
    held_back = AuditEntry.objects.get(id=late)
    row = (held_back.log_id, held_back.id, held_back.ts, bytes(held_back.leaf), bytes(held_back.wmac))
    if connection.vendor == "postgresql":
        tamper(f"DELETE FROM audit_entry WHERE id = '{late}'")  # noqa: S608 - an id of ours
        sequence_all(now=now)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO audit_entry (xid, log_id, id, ts, leaf, wmac) VALUES ('3', %s, %s, %s, %s, %s)", row
            )
        assert sequence_all(now=now).sequenced == 0
        assert sequence_leftovers(now=now).sequenced == 1
    else:
        assert sequence_all(now=now).sequenced
        assert sequence_leftovers(now=now).sequenced == 0
    assert_whole(expected_entries={late})


WRITERS = 16
KILLS = 20


class _ChangedItsMind(Exception):
    """What makes a writer of the test roll back."""


def noted(clinic_id, *, now, rolls_back=False):
    """Record something, and perhaps take it back; the id of the entry, and whether it stands."""
    seen = []
    try:
        with record(Action.LOG_READ, by=system_actor(), now=now, clinic_id=clinic_id, count=1) as entry:
            seen.append(entry.id)
            if rolls_back:
                raise _ChangedItsMind  # noqa: TRY301 - what the test is about
    except _ChangedItsMind:
        pass
    return seen[0], not rolls_back


def write_until(stop, *, seed, clinic_ids, now):
    """Commits, rollbacks, savepoints that are kept or taken back, and transactions that commit late."""
    chance = random.Random(seed)  # noqa: S311 - a test that can be repeated
    outcomes = []
    while not stop.is_set():
        how = chance.random()
        clinic_id = chance.choice(clinic_ids)
        if how < 0.15:
            outcomes.append(noted(clinic_id, now=now, rolls_back=True))
            continue
        with transaction.atomic():
            outcomes.append(noted(clinic_id, now=now))
            if how < 0.45:
                outcomes.append(noted(chance.choice(clinic_ids), now=now, rolls_back=how < 0.3))
            if how > 0.9:
                time.sleep(chance.random() / 5)
    return outcomes


@only_where_transactions_overlap
def test_sixteen_writers_and_a_sequencer_that_is_killed(clinic, other, now):
    """Two sequencers at a time, killed at random moments and started anew."""
    clinic_ids, stop = [clinic.id, other.id, SYSTEM], threading.Event()
    chance = random.Random(16)  # noqa: S311 - a test that can be repeated
    with Sequencers() as sequencers:
        at_work = [sequencers.start(), sequencers.start()]
        writers = [
            Background(partial(write_until, stop, seed=seed, clinic_ids=clinic_ids, now=now)) for seed in range(WRITERS)
        ]
        for _ in range(KILLS):
            time.sleep(chance.random() / 2)
            sequencers.kill(at_work.pop(0))
            at_work.append(sequencers.start())
        stop.set()
        outcomes = [outcome for writer in writers for outcome in writer.result()]
    sequence_all(now=now)

    committed = {entry_id for entry_id, stands in outcomes if stands}
    rolled_back = {entry_id for entry_id, stands in outcomes if not stands}
    assert len(committed) > 200
    assert len(rolled_back) > 20
    assert_whole(expected_entries=committed)
    assert not AuditEntry.objects.filter(id__in=rolled_back).exists()
