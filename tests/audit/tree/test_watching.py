"""Nobody has to look for an entry that stays without its place: the log says so itself."""

import logging
from datetime import timedelta

import pytest

from backend.audit.models import AuditLeaf, AuditLog
from backend.audit.sequencing import sequence_all
from backend.audit.watching import check_every_log, log_keeps_up, watch_log
from tests.audit.tree.test_sequencing import add_entries
from tests.factories.clinics import make_clinic
from tests.factories.tampering import tamper


@pytest.fixture
def clinic(committed, now):
    return make_clinic("lindens", now=now - timedelta(days=1))


def test_a_log_that_is_sequenced_keeps_up(clinic, now):
    sequence_all(now=now)
    add_entries(clinic.id, 1, now=now)

    assert log_keeps_up(now=now + timedelta(seconds=59))
    assert watch_log(now=now + timedelta(seconds=59))


def test_the_nightly_check_raises_an_alarm_where_an_entry_was_changed(clinic, now, caplog):
    sequence_all(now=now)
    assert check_every_log()
    victim = AuditLeaf.objects.get(log_id=AuditLog.objects.get(clinic_id=clinic.id).id, idx=0)
    tamper(f"UPDATE audit_entry SET leaf = wmac WHERE seq = {victim.entry_seq}")  # noqa: S608 - a number of ours

    with caplog.at_level(logging.ERROR, "accord.audit.alarm"):
        assert not check_every_log()
    assert "entry 0 is not as it was signed: changed" in caplog.text


def test_an_entry_that_waits_for_over_a_minute_raises_an_alarm(clinic, now, caplog):
    sequence_all(now=now)
    add_entries(clinic.id, 1, now=now)

    with caplog.at_level(logging.ERROR, "accord.audit.alarm"):
        assert not watch_log(now=now + timedelta(seconds=61))
    assert "waiting for its place" in caplog.text

    sequence_all(now=now)
    assert watch_log(now=now + timedelta(days=1))
