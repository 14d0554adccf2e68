"""Each entry by itself: what was changed, moved, forged or lost is found; what was destroyed on purpose is no fault."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.keys import destroy_subject_keys
from backend.audit.models import AuditEntry, AuditLog, DataKey
from backend.audit.queries import entries_of, open_entries
from backend.audit.recording import record
from backend.audit.verification import StoredEntry, check_entries, stored_entries
from backend.policy.vocabulary import Language
from backend.vault.ciphers import mac, new_key
from backend.vault.fields import NotRecorded
from backend.vault.identifiers import new_id
from backend.vault.keyring import keyring


@pytest.fixture
def log(patient, neighbour, now) -> list[StoredEntry]:
    """Everything that was recorded so far, and one look at two patients."""
    with record(
        Action.PATIENT_READ,
        by=system_actor(),
        now=now,
        clinic_id=patient.clinic_id,
        about=[patient.id, neighbour.id],
        reason="care",
    ):
        pass
    return list(stored_entries())


def findings(entries: Iterable[StoredEntry]) -> list[str]:
    return [finding.what for finding in check_entries(entries).findings]


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def test_a_log_that_nobody_touched_holds(log):
    check = check_entries(log)

    assert check.holds
    assert check.entries == len(log) == AuditEntry.objects.count()
    assert check.unreadable == 0
    assert check.actions["patient.read"] == 1
    assert sum(check.actions.values()) == check.entries


def test_every_changed_byte_is_found(log):
    *_others, last = log
    for place in range(len(last.leaf)):
        assert findings([replace(last, leaf=flipped(last.leaf, place))]) == ["not_written_by_us_or_changed"]
    for place in range(len(last.wmac)):
        assert findings([replace(last, wmac=flipped(last.wmac, place))]) == ["not_written_by_us_or_changed"]


def test_an_entry_that_somebody_else_wrote_is_found(log):
    *_others, last = log

    assert findings([replace(last, wmac=mac(new_key(), last.leaf))]) == ["not_written_by_us_or_changed"]


def test_an_entry_in_anothers_row_is_found(log):
    first, *_between, last = log

    assert findings([replace(first, leaf=last.leaf, wmac=last.wmac)]) == ["changed"]
    assert findings([replace(last, id=new_id())]) == ["changed"]
    assert findings([replace(last, ts=last.ts + 1)]) == ["changed"]


def test_an_entry_in_another_clinics_log_is_found(log, southbank):
    *_others, last = log

    assert findings([replace(last, clinic_id=southbank.id)]) == ["changed"]
    assert findings([replace(last, clinic_id=None)]) == []


def test_a_finding_in_one_entry_does_not_hide_the_others(log):
    entries = [replace(entry, wmac=b"") if place % 2 else entry for place, entry in enumerate(log)]

    assert len(findings(entries)) == len(log) // 2


def test_entries_of_an_erased_patient_are_unreadable_and_hold(log, patient, clinic, now):
    destroy_subject_keys(
        subject_id=patient.id, clinic_id=clinic.id, reason="erasure_request", actor=system_actor(), now=now
    )
    check = check_entries(stored_entries())

    assert check.holds
    # That the patient was entered, and the look at two patients of whom one was erased.
    assert check.unreadable == 2


def test_a_key_that_is_gone_without_a_record_is_found(log, patient, clinic, now):
    with record(Action.CONSENTS_READ, by=system_actor(), now=now, clinic_id=clinic.id):
        DataKey.objects.filter(subject_id=patient.id, scope="audit").delete()
    keyring().clear()

    assert findings(log) == ["key_lost_without_record"] * 2


# ------------------------------------------------------------------------------------------------ looking at the log


def test_the_log_is_opened_under_an_entry_of_its_own(log, patient, clinic, now):
    with record(Action.LOG_READ, by=system_actor(), now=now, clinic_id=clinic.id, count=1) as looking:
        newest = open_entries(entries_of(clinic_id=clinic.id, before=None, limit=2), entry=looking)[1]

    assert newest.code == "patient.read"
    assert newest.actor_kind == "system"
    assert patient.id in {part.subject_id for part in newest.parts}
    assert newest.sentence(newest.parts[0], Language.ENGLISH) == "The patient’s data was looked at (care)."


def test_another_clinics_entry_opens_no_log(log, clinic, southbank, now):
    stored = entries_of(clinic_id=clinic.id, before=None, limit=2)
    with (
        record(Action.LOG_READ, by=system_actor(), now=now, clinic_id=southbank.id, count=1) as looking,
        pytest.raises(NotRecorded),
    ):
        open_entries(stored, entry=looking)


def test_an_entry_that_was_moved_into_a_log_is_not_opened_there(log, clinic, southbank, now):
    """The number of its log is not part of what is sealed: whoever can write the row can change it."""
    moved = [replace(one, clinic_id=southbank.id) for one in entries_of(clinic_id=clinic.id, before=None, limit=3)]
    with record(Action.LOG_READ, by=system_actor(), now=now, clinic_id=southbank.id, count=1) as looking:
        opened = open_entries(moved, entry=looking)

    assert {one.code for one in opened} == {"unreadable"}
    assert {part.unreadable_because for one in opened for part in one.parts} == {"tampered"}
    assert AuditLog.objects.filter(clinic_id=southbank.id).exists()
