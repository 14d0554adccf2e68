"""Its settings: the database, mail server and broker that the benchmark names."""

import os
from urllib.parse import urlsplit

from benchmarks.delivery.broker import redis_url

_parts = urlsplit(os.environ["BENCH_DATABASE_URL"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _parts.path.lstrip("/"),
        "HOST": _parts.hostname,
        "PORT": _parts.port or 5432,
        "USER": _parts.username or "",
        "PASSWORD": _parts.password or "",
    }
}
INSTALLED_APPS = ["benchmarks.delivery.celery_project"]
EMAIL_HOST, EMAIL_PORT = "127.0.0.1", int(os.environ["BENCH_SMTP_PORT"])
USE_TZ = True
SECRET_KEY = "benchmark"  # noqa: S105 - signs nothing
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]
CELERY_BROKER_URL = redis_url()
CELERY_TASK_DEFAULT_QUEUE = "accord-bench"
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
