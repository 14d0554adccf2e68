"""The ticks. Celery only wakes workers: losing the broker loses nothing, since rows are the queue."""

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from celery import Celery
from celery.signals import beat_init, worker_init
from django.conf import settings

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

app = Celery("accord")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
@beat_init.connect
def _see_that_it_can_deliver(**_later: Any) -> None:
    """Celery runs Django's checks and goes on whatever they say; a worker that can not deliver must not look alive."""
    from backend.config.checks import complaints  # noqa: PLC0415 - apps are not ready before

    for sentence in complaints():
        _refuse(sentence)
