"""Accord: one save in one transaction inside `record`, exactly as the product's operations do."""

import hashlib
import random
import tempfile
import time
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection, transaction

from backend.audit import verifier
from backend.audit.actions import Action
from backend.audit.actors import Actor, ActorKind, system_actor
from backend.audit.bundle.exporting import export_log
from backend.audit.keys import create_clinic_keys, issue_subject_keys
from backend.audit.leaf import seal_leaf
from backend.audit.models import AuditCheckpoint, AuditEntry
from backend.audit.recording import Draft, log_number, record, record_many, request_id
from backend.audit.sequencing import sequence_all
from backend.audit.tree import StoredTree
from backend.config.starting import prepare_keys
from backend.vault.ciphers import mac
from backend.vault.identifiers import new_id
from backend.vault.keyring import SYSTEM, Scope, keyring
from benchmarks.audit.contestants import BATCH
from benchmarks.audit.sealed.models import SealedEvent
from benchmarks.audit.shape import CHANNEL, METHOD, NOW, PURPOSE, event
from benchmarks.lanes import LaneFailed, Question, Task, cpu_us, forget_peak, peak_mib

CLINIC: Final = new_id()
PATIENTS: Final = [new_id() for _ in range(200)]
ACTOR: Final = Actor(kind=ActorKind.STAFF, id=new_id(), pseudonym="k7Qe2mVx")
REQUEST: Final = new_id().hex
_written: list[UUID] = []
_key_ids: list[UUID] = []


def set_up() -> None:
    """Make the keys of the system, the clinic and its patients."""
    request_id.set(REQUEST)
    prepare_keys(now=NOW)
    create_clinic_keys(clinic_id=CLINIC, actor=system_actor(), now=NOW)
    issued = issue_subject_keys(PATIENTS, clinic_id=CLINIC, now=NOW)
    with record_many([issued.draft(CLINIC)], by=system_actor(), now=NOW):
        issued.save()
    _key_ids.extend(stored.key_id for stored in issued.stored)


def _details(row_id: UUID) -> dict[str, Any]:
    return {"purpose": PURPOSE, "channel": CHANNEL, "method": METHOD, "event": row_id, "notice_version": 3}


def _create(units: int) -> None:
    for turn in range(units):
        patient_id, row_id = PATIENTS[turn % len(PATIENTS)], new_id()
        with record(
            Action.CONSENT_GIVEN,
            by=ACTOR,
            now=NOW,
            clinic_id=CLINIC,
            about=patient_id,
            purpose=PURPOSE,
            channel=CHANNEL,
            method=METHOD,
            event=row_id,
            notice_version=3,
        ):
            row = SealedEvent(id=row_id, **event(clinic_id=CLINIC, patient_id=patient_id))
            row.save(force_insert=True)
        _written.append(row_id)


def _create_cold(units: int) -> None:
    """Of each patient for the first time since this process started: no patient's key is known to it yet."""
    for start in range(0, units, len(PATIENTS)):
        keyring().forget(_key_ids)
        _create(min(len(PATIENTS), units - start))


def _update(units: int) -> None:
    rows = list(SealedEvent.objects.filter(pk__in=_written[-units:]))
    for row in rows:
        row.decision = "withdrawn" if row.decision == "given" else "given"
        with record(
            Action.CONSENT_WITHDRAWN,
            by=ACTOR,
            now=NOW,
            clinic_id=CLINIC,
            about=row.patient_id,
            purpose=PURPOSE,
            channel=CHANNEL,
            method=METHOD,
            event=row.id,
        ):
            row.save(update_fields=["decision"])


def _read(units: int) -> None:
    for turn, row_id in enumerate(_written[-units:]):
        with record(
            Action.PATIENT_READ,
            by=ACTOR,
            now=NOW,
            clinic_id=CLINIC,
            about=PATIENTS[turn % len(PATIENTS)],
            reason="care",
        ):
            SealedEvent.objects.get(pk=row_id)


def _drafts(count: int) -> list[tuple[Draft, UUID, UUID]]:
    drafts = []
    for turn in range(count):
        row_id, patient_id = new_id(), PATIENTS[turn % len(PATIENTS)]
        draft = Draft(action=Action.CONSENT_GIVEN, clinic_id=CLINIC, about=(patient_id,), details=_details(row_id))
        drafts.append((draft, row_id, patient_id))
    return drafts


def _batch(units: int) -> None:
    for start in range(0, units, BATCH):
        drafts = _drafts(min(BATCH, units - start))
        with record_many([draft for draft, _row, _patient in drafts], by=ACTOR, now=NOW):
            SealedEvent.objects.bulk_create(
                SealedEvent(id=row_id, **event(clinic_id=CLINIC, patient_id=patient_id))
                for _draft, row_id, patient_id in drafts
            )


def _together(units: int) -> None:
    for start in range(0, units, BATCH):
        drafts = _drafts(min(BATCH, units - start))
        with record_many([draft for draft, _row, _patient in drafts], by=ACTOR, now=NOW):
            for _draft, row_id, patient_id in drafts:
                row = SealedEvent(id=row_id, **event(clinic_id=CLINIC, patient_id=patient_id))
                row.save(force_insert=True)


def _fill(entries: int) -> int:
    """Lengthen the log to this many entries."""
    there = AuditEntry.objects.count()
    while there < entries:
        with record_many([draft for draft, _row, _patient in _drafts(min(BATCH, entries - there))], by=ACTOR, now=NOW):
            pass
        there += min(BATCH, entries - there)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return there


def _sequence() -> dict[str, float]:
    """Give every entry its place in the tree, and sign: what that took."""
    forget_peak()
    cpu, started = time.process_time(), time.perf_counter()
    done = sequence_all(now=NOW)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    return {"units": done.sequenced, "seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mib": peak_mib()}


def _log() -> tuple[int, int]:
    """The number of the clinic's log, and its size."""
    last = AuditCheckpoint.objects.filter(log_id=log_number(CLINIC)).latest("size")
    return last.log_id, last.size


def _prove(units: int) -> None:
    """Inclusion proofs of entries from all over the log; nothing of the tree is remembered from one to the next."""
    log_id, size = _log()
    places = random.Random(units)  # noqa: S311 - places that nobody has to guess
    for _ in range(units):
        StoredTree(log_id, using=DEFAULT_DB_ALIAS).inclusion_proof(places.randrange(size), size)


def _verify(rounds: int) -> list[tuple[float, float]]:
    """Processor time that the verifier takes for the whole log, and that bare hashing of the same entries takes."""
    log_id, _size = _log()
    with tempfile.NamedTemporaryFile(suffix=".zip") as bundle:
        export_log(bundle, clinic_id=CLINIC, actor=ACTOR, now=NOW)
        bundle.flush()
        leaves = [bytes(leaf) for leaf in AuditEntry.objects.filter(log_id=log_id).values_list("leaf", flat=True)]
        times = []
        for _ in range(rounds):
            before = time.process_time()
            if code := verifier.main([bundle.name]):
                raise LaneFailed(f"the verifier, which says {code}")
            between = time.process_time()
            for leaf in leaves:
                hashlib.sha256(b"\x00" + leaf).digest()
            times.append((between - before, time.process_time() - between))
    return times


def _stages(times: int) -> dict[str, float]:
    """Where the processor time of one action goes, in this process: each step alone, over and over."""
    ring, patient_id, row_id = keyring(), PATIENTS[0], new_id()
    writer = ring.current(clinic_id=SYSTEM, scope=Scope.WRITER_MAC)
    [key] = ring.current_of(clinic_id=CLINIC, scope=Scope.AUDIT, subject_ids=[patient_id])
    details: Any = Action.CONSENT_GIVEN.checked(_details(row_id))
    header: Any = {
        "v": 1,
        "id": str(row_id),
        "t": 1_791_964_800_000_000,
        "tn": str(CLINIC),
        "a": "consent.given",
        "o": "ok",
        "ac": ACTOR.header,
        "ot": "consent",
        "ks": 1,
        "cid": REQUEST,
    }
    leaf = seal_leaf(header, [(key, {"d": details, "s": str(patient_id)})])

    def entry_alone() -> None:
        with record(Action.CONSENT_GIVEN, by=ACTOR, now=NOW, clinic_id=CLINIC, about=patient_id, **_details(row_id)):
            pass

    def transaction_alone() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    return {
        "id": cpu_us(new_id, times=10 * times),
        "details": cpu_us(lambda: Action.CONSENT_GIVEN.checked(_details(row_id)), times=10 * times),
        "seal": cpu_us(lambda: seal_leaf(header, [(key, {"d": details, "s": str(patient_id)})]), times=10 * times),
        "mac": cpu_us(lambda: mac(writer.secret, leaf), times=10 * times),
        "key_query": cpu_us(
            lambda: ring.current_of(clinic_id=CLINIC, scope=Scope.AUDIT, subject_ids=[patient_id]), times=times
        ),
        "transaction": cpu_us(transaction_alone, times=times),
        "entry_alone": cpu_us(entry_alone, times=times),
        "create": cpu_us(lambda: _create(1), times=times),
    }


TASKS: Final[Mapping[str, Task]] = {
    "create": _create,
    "create_cold": _create_cold,
    "update": _update,
    "read": _read,
    "batch": _batch,
    "together": _together,
    "prove": _prove,
}
QUESTIONS: Final[Mapping[str, Question]] = {
    "fill": _fill,
    "sequence": _sequence,
    "stages": _stages,
    "verify": _verify,
}
