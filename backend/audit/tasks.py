"""Ticks of the log: read the clock, make one call."""

from typing import Any

from celery import shared_task

from backend import clock
from backend.audit import anchors, sequencing, watching


@shared_task(name="backend.audit.tasks.sequence_audit_log")
def sequence_audit_log(**_later: Any) -> None:
    """Give what was committed its place in the log, and sign."""
    sequencing.sequence_all(now=clock.now())


@shared_task(name="backend.audit.tasks.watch_audit_log")
def watch_audit_log(**_later: Any) -> None:
    """Raise an alarm where an entry has been waiting for its place for long; place what was passed over."""
    watching.watch_log(now=clock.now())


@shared_task(name="backend.audit.tasks.check_audit_log")
def check_audit_log(**_later: Any) -> None:
    """Hash every entry anew, once a night."""
    watching.check_every_log()


@shared_task(name="backend.audit.tasks.anchor_audit_log")
def anchor_audit_log(**_later: Any) -> None:
    """Put today's checkpoints where the data protection officer keeps them, unless they are there already."""
    anchors.send_checkpoints(now=clock.now(), places=anchors.configured_places())
