"""Watches that the log keeps up: an entry without a place is one that could still be taken away unnoticed."""

from datetime import datetime, timedelta
from typing import Final

from django.db import DEFAULT_DB_ALIAS, connections

from backend.audit.growing import alarm
from backend.audit.recording import microseconds
from backend.audit.roles import sequencer_alias
from backend.audit.sequencing import reached_so_far, sequence_leftovers
from backend.audit.tree_check import check_trees

LONGEST_WAIT: Final = timedelta(seconds=60)


def watch_log(*, now: datetime) -> bool:
    """Does the log keep up? Places what was passed over, and raises an alarm where entries wait for long."""
    placed = sequence_leftovers(now=now, using=sequencer_alias()).sequenced
    if placed:
        alarm.error("%d entries had been passed over and got their place only now", placed)
    keeps_up = log_keeps_up(now=now)
    if not keeps_up:
        alarm.error(
            "an entry has been waiting for its place in the log for over %d seconds: is a worker running, or has a "
            "transaction been open for long?",
            LONGEST_WAIT.total_seconds(),
        )
    return keeps_up


def check_every_log() -> bool:
    """Does every log hold as it was signed? Hashes each entry anew, and raises an alarm where something is wrong."""
    check = check_trees()
    for finding in check.findings:
        place = "" if finding.index is None else f", entry {finding.index}"
        alarm.error("the log %s%s is not as it was signed: %s", finding.origin, place, finding.what)
    return check.holds


def log_keeps_up(*, now: datetime, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Has no entry been waiting for its place for over a minute?"""
    connection = connections[using]
    reached = reached_so_far(connection)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT e.ts FROM audit_entry e WHERE {reached.behind} ORDER BY e.ep, e.xid, e.seq LIMIT 1",  # noqa: S608 - our own words
            reached.parameters,
        )
        first = cursor.fetchone()
    return first is None or first[0] >= microseconds(now - LONGEST_WAIT)
