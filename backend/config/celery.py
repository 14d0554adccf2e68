"""The ticks. Celery only wakes workers: losing the broker loses nothing, since rows are the queue."""

import os
from pathlib import Path

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")

if settings.CELERY_BROKER_URL.startswith("filesystem:"):
    for folder in settings.CELERY_BROKER_TRANSPORT_OPTIONS.values():
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)

app = Celery("accord")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
