"""Memory does not grow with how many patients there are: eight times as many need what few need."""

import tempfile
import tracemalloc

import pytest

from backend.audit.actors import system_actor
from backend.consent.export import reading
from backend.consent.export.exporting import export_consents
from backend.consent.export.selection import Form, Selection
from backend.consent.operations import rebuild_states, rebuilding
from backend.policy.vocabulary import Language
from benchmarks.consent.population import EVENTS_EACH, STATES_EACH, found_clinic, populate

FEW, MANY = 20, 160
# The log's new entries, and what the machine did meanwhile.
SLACK_BYTES = 500_000


@pytest.fixture
def crowds(transactional_db, now, monkeypatch):
    """Two clinics, one eight times as large; patients are read ten at a time."""
    monkeypatch.setattr(reading, "PATIENTS_AT_ONCE", 10)
    monkeypatch.setattr(rebuilding, "PATIENTS_AT_ONCE", 10)
    crowds = {size: found_clinic(f"crowd-{size}", now=now) for size in (FEW, MANY)}
    for size, clinic_id in crowds.items():
        populate(clinic_id, patients=size, now=now)
    return crowds


def peak_of(work):
    """The most bytes that Python held for it at one time."""
    work()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_rebuilding_needs_no_more_memory_for_eight_times_as_many(crowds, now):
    told = {}

    def rebuild(clinic_id):
        told[clinic_id] = rebuild_states(clinic_id=clinic_id, actor=system_actor(), now=now)

    peaks = {size: peak_of(lambda c=clinic_id: rebuild(c)) for size, clinic_id in crowds.items()}

    assert {size: (told[one].states, told[one].different) for size, one in crowds.items()} == {
        FEW: (FEW * STATES_EACH, 0),
        MANY: (MANY * STATES_EACH, 0),
    }
    assert peaks[MANY] < peaks[FEW] + SLACK_BYTES, peaks


def test_an_export_needs_no_more_memory_for_eight_times_as_many(crowds, now):
    told, progress = {}, []

    def export(size):
        with tempfile.TemporaryFile() as file:
            told[size] = export_consents(
                file,
                clinic_id=crowds[size],
                selection=Selection(),
                forms=list(Form),
                language=Language.ENGLISH,
                actor=system_actor(),
                now=now,
                progress=lambda done, of: progress.append((done, of)),
            )

    peaks = {size: peak_of(lambda size=size: export(size)) for size in crowds}

    assert {size: one.rows["events.csv"] for size, one in told.items()} == {size: size * EVENTS_EACH for size in crowds}
    assert progress[:3] == [(10, FEW), (20, FEW), (10, FEW)]
    assert peaks[MANY] < peaks[FEW] + SLACK_BYTES, peaks
