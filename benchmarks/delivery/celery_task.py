"""One Celery task for each message, as many projects send mail: a row, a template, Django's mail, the row again."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

CHILDREN: Final = 2
WAIT_SECONDS: Final = 0.02


class CeleryTask:
    """The contestant. Its broker is the Redis server that ACCORD_TEST_REDIS_URL names, or this machine's."""

    def __init__(self, database_url: str, folder: str, port: int) -> None:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "benchmarks.delivery.celery_project.settings",
            "BENCH_DATABASE_URL": database_url,
            "BENCH_SMTP_PORT": str(port),
        }
        import django  # noqa: PLC0415 - its settings come first
        from django.core.management import call_command  # noqa: PLC0415 - as above

        django.setup()
        call_command("migrate", verbosity=0, skip_checks=True, run_syncdb=True)
        command = [sys.executable, "-P", "-m", "celery", "--app", "benchmarks.delivery.celery_project.app", "worker"]
        options = ["--concurrency", str(CHILDREN), "--loglevel", "ERROR", "--without-gossip", "--without-mingle"]
        with (Path(folder) / "celery.log").open("wb") as log:
            self._worker = subprocess.Popen([*command, *options], stdout=log, stderr=log)
        self._numbers = range(0)

    def queue(self, messages: int) -> None:
        """So many rows."""
        from benchmarks.delivery.celery_project.models import Reminder  # noqa: PLC0415 - once Django is set up
        from benchmarks.delivery.post_office import values  # noqa: PLC0415 - as above

        start = self._numbers.stop
        self._numbers = range(start, start + messages)
        Reminder.objects.bulk_create(
            Reminder(number=number, to=f"patient.{number}@example.org", words=values(number))
            for number in self._numbers
        )

    def send(self, _messages: int) -> None:
        """A task for each, until all are sent."""
        from benchmarks.delivery.celery_project.app import send  # noqa: PLC0415 - once Django is set up
        from benchmarks.delivery.celery_project.models import Reminder  # noqa: PLC0415 - as above

        for number in self._numbers:
            send.delay(number)
        while Reminder.objects.filter(sent=False).exists():
            time.sleep(WAIT_SECONDS)

    def processes(self) -> list[int]:
        """Whose processor time counts: who asks, and who does it."""
        return [os.getpid(), self._worker.pid]
