"""The kill test: real workers on a real database, SIGKILL at random moments, servers that record what they received.

Meanwhile the database's connections are cut, the broker is emptied, and every wake-up is delivered twice. `run` says
what came of it; `bin/kill-test` is the whole, and tests/kills/test_kills.py a small one for every run of the suite.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from sandbox import Fault, Sandbox

ROOT: Final = Path(__file__).resolve().parent.parent.parent
WORKERS: Final = 3
PARALLEL: Final = 16
LEASE_SECONDS: Final = 20
CALL_SECONDS: Final = 8
WAKE_UP_SECONDS: Final = 0.3
CUT_EVERY: Final = 4
EMPTY_EVERY: Final = 3
LONGEST: Final = 1_200
Told = TypeVar("Told")
ENDS: Final = frozenset({"sent", "delivered", "failed", "expired", "withheld", "cancelled", "in_doubt"})


@dataclass(slots=True)
class Outcome:
    """What came of a trial."""

    messages: int
    kills: int = 0
    cuts: int = 0
    wipes: int = 0
    states: dict[str, int] = field(default_factory=dict)
    received: int = 0
    received_twice: int = 0
    said_sent_not_received: int = 0
    received_not_said: int = 0
    most_in_the_air: int = 0
    in_doubt_never_begun: int = 0
    open_attempts: int = 0
    seconds: float = 0.0

    def complaints(self) -> list[str]:
        """What must not be, in sentences; none where all of it held."""
        unfinished = {state: count for state, count in self.states.items() if state not in ENDS}
        in_doubt = self.states.get("in_doubt", 0)
        checks = {
            f"{self.received_twice} messages arrived twice": self.received_twice == 0,
            f"{sum(self.states.values())} of {self.messages} messages are there": sum(self.states.values())
            == self.messages,
            f"not ended: {unfinished}": not unfinished,
            f"{self.said_sent_not_received} are said to be sent and never arrived": self.said_sent_not_received == 0,
            f"{self.received_not_said} arrived and are neither sent nor in doubt": self.received_not_said == 0,
            f"{in_doubt} in doubt, though at most {self.most_in_the_air} can have been in the air": in_doubt
            <= self.most_in_the_air,
            f"{self.in_doubt_never_begun} are in doubt although no call had begun": self.in_doubt_never_begun == 0,
            f"{self.open_attempts} attempts are open": self.open_attempts == 0,
        }
        return [sentence for sentence, holds in checks.items() if not holds]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "complaints": self.complaints()}


def run(
    *,
    messages: int,
    kills: int,
    database_url: str,
    folder: Path,
    seed: int = 1,
    say: Callable[[str], object] = lambda _line: None,
) -> Outcome:
    """Set up, send, kill, and look. The database is empty and of nobody else; so is the folder."""
    began = time.monotonic()
    with Sandbox(folder / "sandbox") as sandbox:
        environment = _environment(sandbox, database_url, folder)
        _set_up_django(environment)
        _populate(messages, say)
        # Slow enough that something is in the air whenever a worker is killed.
        for channel in ("email", "sms", "push"):
            sandbox.faults.push(Fault(channel=channel, kind="slow", seconds=0.02, times=10_000_000))
        outcome = Outcome(messages=messages)
        with _Workers(environment, folder) as workers:
            _send_and_kill(workers, outcome, kills=kills, chance=random.Random(seed), say=say)  # noqa: S311 - repeatable
            _finish(workers, say)
        _look(outcome, sandbox)
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def _environment(sandbox: Sandbox, database_url: str, folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    return {
        **kept,
        "DJANGO_SETTINGS_MODULE": "backend.config.settings",
        "ACCORD_DATABASE_URL": database_url,
        "ACCORD_DATA_DIR": str(folder),
        "ACCORD_PUBLIC_URL": "https://accord.example.org",
        "ACCORD_LEASE_SECONDS": str(LEASE_SECONDS),
        "ACCORD_CALL_SECONDS": str(CALL_SECONDS),
        "ACCORD_BATCH_SIZE": "40",
        "ACCORD_EMAIL_URL": sandbox.email_url,
        "ACCORD_EMAIL_FROM": "no-reply@accord.example",
        "ACCORD_TWILIO_API_URL": sandbox.twilio_url,
        "ACCORD_TWILIO_ACCOUNT_SID": sandbox.twilio_account_sid,
        "ACCORD_TWILIO_AUTH_TOKEN": sandbox.twilio_auth_token,
        "ACCORD_TWILIO_FROM": "Accord",
        "ACCORD_FCM_API_URL": sandbox.fcm_url,
        "ACCORD_FCM_CREDENTIALS": str(sandbox.fcm_credentials),
    }


def _set_up_django(environment: dict[str, str]) -> None:
    import django  # noqa: PLC0415 - its settings are read from the environment, once that is set

    for name in [name for name in os.environ if name.startswith("ACCORD_")]:
        del os.environ[name]
    os.environ.update(environment)
    django.setup()


def _populate(messages: int, say: Callable[[str], object]) -> None:
    from django.core.management import call_command  # noqa: PLC0415 - once Django is set up

    from backend.policy.vocabulary import Channel  # noqa: PLC0415 - as above
    from benchmarks.delivery.population import found_clinic, populate  # noqa: PLC0415 - as above

    now = datetime.now(UTC)
    call_command("prepare", verbosity=0)
    clinic_id = found_clinic("kills", now=now)
    channels = (Channel.EMAIL, Channel.SMS, Channel.PUSH)
    populate(clinic_id, patients=messages, now=now, channels=channels, progress=lambda n: say(f"{n} messages queued"))


class _Workers:
    """Celery workers as `bin/serve` starts them, without beat: this test wakes them, and twice each time."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._environment, self._folder = environment, folder
        self.processes = [self._start(place) for place in range(WORKERS)]
        # How many processes ended that may have had calls in the air.
        self.deaths = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def kill(self, place: int) -> None:
        """No time to say anything; another one takes its place, as a supervisor sees to."""
        self.processes[place].kill()
        self.processes[place].wait()
        self.deaths += 1
        self.processes[place] = self._start(place)

    def replace_the_dead(self) -> None:
        """A worker that a busy machine stalled past its lease was ended by its own timer."""
        for place, process in enumerate(self.processes):
            if process.poll() is not None:
                self.deaths += 1
                self.processes[place] = self._start(place)

    def _start(self, place: int) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "celery", "--app", "backend.config.celery:app", "worker"]
        options = ["--pool", "solo", "--loglevel", "WARNING", "--without-gossip", "--without-mingle"]
        with (self._folder / f"worker-{place}.log").open("ab") as output:
            return subprocess.Popen(
                [*command, *options, "--hostname", f"worker-{place}@kills"],
                cwd=ROOT,
                env=self._environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )


def _send_and_kill(
    workers: _Workers, outcome: Outcome, *, kills: int, chance: random.Random, say: Callable[[str], object]
) -> None:
    """Until everything was taken up, however many kills that are; most of them while something is being sent."""
    _wait(lambda: _count("sent") > 0, workers)
    while outcome.kills < kills:
        until = time.monotonic() + chance.uniform(0.05, 1.0)
        while time.monotonic() < until:
            _wake_up()
            time.sleep(WAKE_UP_SECONDS / 3)
        workers.kill(chance.randrange(WORKERS))
        outcome.kills += 1
        if outcome.kills % CUT_EVERY == 0:
            outcome.cuts += _cut_connections()
        if outcome.kills % EMPTY_EVERY == 0:
            outcome.wipes += _wipe_broker()
        say(f"{outcome.kills} kills, {_count('planned')} messages wait, {_count('in_doubt')} in doubt")
        # Somebody has to send meanwhile.
        sent = _count("sent")
        _wait(lambda sent=sent: _count("sent") > sent or not _is_anything_left(), workers)  # type: ignore[misc] # a default argument
    outcome.most_in_the_air = workers.deaths * PARALLEL


def _finish(workers: _Workers, say: Callable[[str], object]) -> None:
    say("no more kills: waiting for the rest")
    _wait(lambda: not _is_anything_left(), workers)


def _wait(condition: Callable[[], bool], workers: _Workers) -> None:
    deadline = time.monotonic() + LONGEST
    while not condition():
        if time.monotonic() > deadline:
            return
        _wake_up()
        workers.replace_the_dead()
        time.sleep(WAKE_UP_SECONDS)


def _wake_up() -> None:
    """Every wake-up twice: a broker may deliver again what it has delivered."""
    from backend.config.celery import app  # noqa: PLC0415 - once Django is set up

    # An emptied broker may be in the middle of forgetting what it is asked to carry.
    with suppress(OSError):
        for name in ("deliver_due_messages", "reconcile_attempts"):
            for _ in range(2):
                app.send_task(f"backend.messaging.tasks.{name}", expires=5)


def _wipe_broker() -> int:
    """Everything that it carried is gone."""
    from django.conf import settings  # noqa: PLC0415 - once Django is set up

    wiped = 0
    for path in settings.ACCORD_BROKER_DIR.rglob("*"):
        if path.is_file():
            with suppress(OSError):
                path.unlink()
                wiped = 1
    return wiped


def _cut_connections() -> int:
    """The database hangs up on every worker. SQLite has no connection that could be cut."""
    from django.db import connection  # noqa: PLC0415 - once Django is set up

    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        (cut,) = cursor.fetchone()
    return int(cut > 0)


def _count(state: str) -> int:
    from backend.messaging.models import Message  # noqa: PLC0415 - once Django is set up

    return _patiently(lambda: Message.objects.filter(state=state).count(), otherwise=0)


def _is_anything_left() -> bool:
    from backend.messaging.models import Message  # noqa: PLC0415 - once Django is set up

    return _patiently(lambda: Message.objects.exclude(state__in=ENDS).exists(), otherwise=True)


def _patiently(look: Callable[[], Told], *, otherwise: Told) -> Told:
    """SQLite may be busy for longer than a reader waits."""
    from django.db import OperationalError  # noqa: PLC0415 - once Django is set up

    try:
        return look()
    except OperationalError:
        return otherwise


def _look(outcome: Outcome, sandbox: Sandbox) -> None:
    from backend.attempts.models import Attempt  # noqa: PLC0415 - once Django is set up
    from backend.audit.actors import system_actor  # noqa: PLC0415 - as above
    from backend.messaging.models import Message  # noqa: PLC0415 - as above

    arrivals = Counter((one.channel, one.to) for one in sandbox.received())
    addresses = _addresses(system_actor("kill-test"))
    rows = list(Message.objects.values_list("id", "state", "channel", "contact_point_id", "failure"))
    outcome.states = dict(Counter(str(row[1]) for row in rows))
    outcome.received = sum(arrivals.values())
    outcome.received_twice = sum(1 for count in arrivals.values() if count > 1)
    by_message = {row[0]: (str(row[1]), (str(row[2]), addresses[row[3]])) for row in rows}
    said = {place for state, place in by_message.values() if state in {"sent", "delivered"}}
    in_doubt = {place for state, place in by_message.values() if state == "in_doubt"}
    outcome.said_sent_not_received = len(said - arrivals.keys())
    outcome.received_not_said = len(arrivals.keys() - said - in_doubt)
    # A journal that was read puts what never began back in the queue; only a lease that ran out knows no better.
    outcome.in_doubt_never_begun = sum(1 for row in rows if row[1] == "in_doubt" and row[4] == "lease_ran_out")
    outcome.open_attempts = Attempt.objects.filter(outcome=None).count()


def _addresses(actor: Any) -> dict[Any, str]:
    from backend.audit.actions import Action  # noqa: PLC0415 - once Django is set up
    from backend.audit.recording import record  # noqa: PLC0415 - as above
    from backend.clinics.queries import get_clinic_by_slug  # noqa: PLC0415 - as above
    from backend.patients.models import ContactPoint  # noqa: PLC0415 - as above
    from backend.patients.queries import reveal_contact_values  # noqa: PLC0415 - as above

    clinic_id = get_clinic_by_slug("kills").id
    with record(
        Action.STATES_REBUILT,
        by=actor,
        now=datetime.now(UTC),
        clinic_id=clinic_id,
        whole_clinic=True,
        count=0,
        different=0,
    ) as entry:
        values = reveal_contact_values(ContactPoint.objects.values_list("id", flat=True), entry=entry)
        return {one: value.removeprefix("token:") for one, value in values.items()}
