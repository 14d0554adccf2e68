"""The ticks. Celery only wakes workers: losing the broker loses nothing, since rows are the queue."""

import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from celery import Celery
from celery.concurrency import solo
from celery.exceptions import WorkerShutdown
from celery.signals import beat_init, task_postrun, task_prerun, worker_init, worker_ready
from celery.worker import state
from django.conf import settings

from backend.config import embedded_broker
from backend.config.env import SettingRefused

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")


def _refuse(sentence: str) -> NoReturn:
    sys.stderr.write(f"{sentence}\n")
    raise SystemExit(2)


try:
    if settings.CELERY_BROKER_URL.startswith("filesystem:"):
        for folder in settings.CELERY_BROKER_TRANSPORT_OPTIONS.values():
            Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
except SettingRefused as refused:
    _refuse(str(refused))

embedded_broker.use()
app = Celery("accord")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
@beat_init.connect
def _see_that_it_can_deliver(**_later: Any) -> None:
    """Celery runs Django's checks and goes on whatever they say; a worker that can not deliver must not look alive."""
    from backend.config.checks import complaints  # noqa: PLC0415 - apps are not ready before
    from backend.config.starting import reasons_not_to_serve  # noqa: PLC0415 - as above

    for sentence in complaints():
        _refuse(sentence)
    if reason := reasons_not_to_serve():
        _refuse(reason)


_running: set[str] = set()


@task_prerun.connect
def _task_begins(task_id: str, **_later: Any) -> None:
    _running.add(task_id)


@task_postrun.connect
def _task_ends(task_id: str, **_later: Any) -> None:
    _running.discard(task_id)


@worker_ready.connect
def _stop_at_once_when_idle(sender: Any, **_later: Any) -> None:
    """A solo worker looks for wake-ups two seconds at a time, and for a signal in between: an idle one need not wait.

    A task that runs is let go on until its end, as Celery does it. A wake-up that is lost on the way is no loss.
    """
    if not isinstance(sender.pool, solo.TaskPool):
        return

    def stop(*_signal: object) -> None:
        if not _running:
            raise WorkerShutdown(0)
        state.should_stop = 0  # type: ignore[assignment] # Celery sets numbers there, and declares none

    signal.signal(signal.SIGTERM, stop)
