"""Ticks of messaging: read the clock, make one call."""

from pathlib import Path
from typing import Any

from celery import shared_task
from django.conf import settings

from backend import clock
from backend.messaging import delivery, doubts, journal, operations, outcomes, recovery, reports, returned_mail
from backend.messaging.configured import bounce_key, configured_carriers
from backend.messaging.held import Pace

MOST_PER_TICK = 5_000
MOST_SOUGHT = 50


@shared_task(name="backend.messaging.tasks.deliver_due_messages")
def deliver_due_messages(**_later: Any) -> None:
    """Hand over what is due."""
    pace = Pace(
        batch=settings.ACCORD_BATCH_SIZE, lease=settings.ACCORD_LEASE_SECONDS, call=settings.ACCORD_CALL_SECONDS
    )
    journals = journal.prepared_folder(settings.ACCORD_JOURNAL_DIR)
    if journals is not None:
        recovery.recover_journals(journals, now=clock.now(), carriers=configured_carriers())
    delivery.deliver_due_messages(
        now=clock.now(), carriers=configured_carriers(), pace=pace, at_most=MOST_PER_TICK, journals=journals
    )


@shared_task(name="backend.messaging.tasks.reconcile_attempts")
def reconcile_attempts(**_later: Any) -> None:
    """Put in doubt what nobody answered for; act upon what carriers reported; ask them about what is in doubt."""
    outcomes.reconcile_attempts(now=clock.now())
    reports.work_off_reports(now=clock.now())
    doubts.look_into_doubts(
        now=clock.now(), carriers=configured_carriers(), timeout=settings.ACCORD_CALL_SECONDS, limit=MOST_SOUGHT
    )


@shared_task(name="backend.messaging.tasks.plan_checks")
def plan_checks(**_later: Any) -> None:
    """Make messages of the one-time codes that were asked for."""
    operations.plan_checks(now=clock.now())


@shared_task(name="backend.messaging.tasks.read_bounce_folder")
def read_bounce_folder(**_later: Any) -> None:
    """Act upon the e-mail that came back."""
    returned_mail.read_folder(Path(settings.ACCORD_EMAIL_BOUNCE_FOLDER), key=bounce_key(), now=clock.now())


@shared_task(name="backend.messaging.tasks.plan_renewals")
def plan_renewals(**_later: Any) -> None:
    """Say, where a clinic wants it, that a yes ends soon."""
    operations.plan_renewals(now=clock.now())
