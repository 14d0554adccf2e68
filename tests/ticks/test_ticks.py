"""The ticks on every broker: a real Celery worker with beat, a real broker, real carriers, the test's own database."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.utils import timezone

from backend.audit.models import AuditCheckpoint
from backend.audit.tree_check import check_trees
from backend.config.celery import app
from backend.consent.operations import withdraw_consent
from backend.messaging.models import Message
from backend.policy.vocabulary import Channel, MessageState, Method
from sandbox import Sandbox
from tests.factories.patients import PatientInTest, make_appointment
from tests.factories.programmes import REMINDER
from tests.services import database_url

pytestmark = pytest.mark.django_db(transaction=True)
WAIT_SECONDS = 90
REMINDED_AT = 9


@pytest.fixture
def now() -> datetime:
    """Ticks read the real clock."""
    return timezone.now()


@contextmanager
def worker(broker: str, sandbox: Sandbox, folder: Path) -> Iterator[None]:
    environment = {
        **os.environ,
        "ACCORD_DATA_DIR": str(folder),
        "ACCORD_KEY_FILE": str(settings.ACCORD_KEY_FILE),
        "ACCORD_DATABASE_URL": database_url(),
        "ACCORD_TICK_SECONDS": "1",
        "ACCORD_EMAIL_URL": sandbox.email_url,
        "ACCORD_TWILIO_API_URL": sandbox.twilio_url,
        "ACCORD_TWILIO_ACCOUNT_SID": sandbox.twilio_account_sid,
        "ACCORD_TWILIO_AUTH_TOKEN": sandbox.twilio_auth_token,
        "ACCORD_FCM_API_URL": sandbox.fcm_url,
        "ACCORD_FCM_CREDENTIALS": str(sandbox.fcm_credentials),
    }
    if broker:
        environment["ACCORD_BROKER_URL"] = broker
    command = [
        *(sys.executable, "-m", "celery", "--app", "backend.config.celery:app", "worker", "--pool", "solo", "--beat"),
        *("--schedule", str(folder / "beat"), "--loglevel", "WARNING", "--without-gossip", "--without-mingle"),
    ]
    with (folder / "worker.log").open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def whose_reminder_is_due(now: datetime) -> datetime:
    """An appointment of tonight or tomorrow, whose reminder was due at nine the day before, at any hour.

    The last reminder is worth sending for 22 hours: from seven to nine the one that is due is yesterday's first one, of
    an appointment the day after tomorrow, which is worth sending for 30.
    """
    here = now.astimezone(ZoneInfo("Europe/Paris"))
    if REMINDED_AT - 2 <= here.hour < REMINDED_AT:
        return here.replace(hour=22) + timedelta(days=2)
    return here.replace(hour=22) + timedelta(days=int(here.hour >= REMINDED_AT))


def a_queued_reminder_leaves_and_a_withdrawn_one_stays(
    broker: str, consenting: PatientInTest, withdrawn: PatientInTest, now: datetime, tmp_path: Path
) -> None:
    """Planned by a tick, delivered by a tick, by another process than ours."""
    for patient in (consenting, withdrawn):
        make_appointment(patient, starts_at=whose_reminder_is_due(now), now=now)
    with Sandbox(tmp_path / "sandbox") as sandbox, worker(broker, sandbox, tmp_path):
        wake_the_planner(broker)
        deadline = time.monotonic() + WAIT_SECONDS
        while not sandbox.received() and time.monotonic() < deadline:
            time.sleep(0.2)
        received = sandbox.received()
        while not AuditCheckpoint.objects.exists() and time.monotonic() < deadline:
            time.sleep(0.2)

    assert [one.channel for one in received] == ["push"], (tmp_path / "worker.log").read_text(encoding="utf-8")[-4000:]
    states = dict(Message.objects.values_list("patient_id", "state"))
    assert states == {consenting.id: MessageState.SENT, withdrawn.id: MessageState.WITHHELD}
    # The worker signed the log, and remembers what it signed outside of the database.
    assert check_trees().holds
    assert list((tmp_path / "checkpoints").iterdir())


def wake_the_planner(broker: str) -> None:
    """Planning ticks every five minutes; a test can not wait that long, and sends the wake-up itself."""
    from backend.programmes.operations import plan_programmes  # noqa: PLC0415 - the embedded broker is files of the worker

    if not broker:
        plan_programmes(now=timezone.now())
        return
    with app.connection_for_write(broker) as connection:
        app.send_task("backend.programmes.tasks.plan_programmes", connection=connection, queue="ticks")


def test_ticks_on_the_embedded_default(
    consenting: PatientInTest, withdrawn: PatientInTest, now: datetime, tmp_path: Path
) -> None:
    a_queued_reminder_leaves_and_a_withdrawn_one_stays("", consenting, withdrawn, now, tmp_path)


def test_ticks_on_redis(
    redis_url: str, consenting: PatientInTest, withdrawn: PatientInTest, now: datetime, tmp_path: Path
) -> None:
    a_queued_reminder_leaves_and_a_withdrawn_one_stays(redis_url, consenting, withdrawn, now, tmp_path)


def test_ticks_on_rabbitmq(
    rabbitmq_url: str, consenting: PatientInTest, withdrawn: PatientInTest, now: datetime, tmp_path: Path
) -> None:
    a_queued_reminder_leaves_and_a_withdrawn_one_stays(rabbitmq_url, consenting, withdrawn, now, tmp_path)


def test_every_tick_has_a_task() -> None:
    app.loader.import_default_modules()

    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}

    assert scheduled <= set(app.tasks)


def test_a_withdrawal_reaches_the_worker_of_another_process(
    consenting: PatientInTest, now: datetime, tmp_path: Path
) -> None:
    make_appointment(consenting, starts_at=whose_reminder_is_due(now), now=now)
    wake_the_planner("")
    withdrawal = withdraw_consent(
        clinic_id=consenting.clinic_id,
        patient_id=consenting.id,
        purpose=REMINDER,
        channels=list(Channel)[:3],
        method=Method.APP,
        actor=consenting.actor,
        now=timezone.now(),
    )
    with Sandbox(tmp_path / "sandbox") as sandbox, worker("", sandbox, tmp_path):
        deadline = time.monotonic() + WAIT_SECONDS
        while Message.objects.get().state == MessageState.PLANNED and time.monotonic() < deadline:
            time.sleep(0.2)
        received = sandbox.received()
        while not AuditCheckpoint.objects.exists() and time.monotonic() < deadline:
            time.sleep(0.2)

    assert withdrawal.confirmed
    assert received == ()
    assert Message.objects.get().state == MessageState.WITHHELD
