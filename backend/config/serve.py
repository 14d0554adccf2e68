"""`bin/serve`: every process of one machine, until Ctrl-C. Without carriers of its own it starts the sandbox."""

import argparse
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.request import ProxyHandler, build_opener

from backend.config import env
from backend.config.processes import Processes

CARRIER_SETTINGS: Final = ("EMAIL_URL", "TWILIO_ACCOUNT_SID", "FCM_CREDENTIALS")
LOCK: Final = ".accord-lock"
SMTP_PORT: Final = 8025
HTTP_PORT: Final = 8026
SANDBOX_TRIES: Final = 4
STARTING_SECONDS: Final = 30
MARGIN_SECONDS: Final = 5.0
REFUSED: Final = 2
INTERRUPTED: Final = 130

# What is asked here is on this machine: a proxy, which the environment may name, knows nothing of it.
_ON_THIS_MACHINE = build_opener(ProxyHandler({}))


def main() -> int:
    """Run it all. What can not work is told in one sentence, with exit code 2."""
    parser = argparse.ArgumentParser(
        prog="bin/serve", description="All processes of one machine on ACCORD_PORT, until Ctrl-C."
    )
    parser.add_argument("--held-lock", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    # SIGTERM before everything runs is met as Ctrl-C is: what was started already is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return serve(held_lock=options.held_lock)
    except env.SettingRefused as refused:
        sys.stderr.write(f"{refused}\n")
        return REFUSED
    except KeyboardInterrupt:
        sys.stderr.write("Stopped before it was up.\n")
        return INTERRUPTED


def serve(*, held_lock: int | None = None) -> int:
    """Bring the database up to date, then run web, worker and, where no carrier is set, the sandbox.

    `held_lock` is the descriptor of the data folder's lock where whoever started this process holds it already.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")
    port, data_dir, grace = env.port(), env.data_folder(), env.call_seconds() + MARGIN_SECONDS
    if not env.is_given("PUBLIC_URL"):
        env.give("PUBLIC_URL", f"http://127.0.0.1:{port}")
    public_url = env.url("PUBLIC_URL", schemes=("http", "https"), meaning="")
    lock = hold_folder(data_dir) if held_lock is None else held_lock
    if not is_free(port):
        raise env.SettingRefused(f"Port {port} is taken: set ACCORD_PORT to another one.")
    prepared = subprocess.run([sys.executable, str(env.BASE_DIR / "manage.py"), "prepare"], check=False)  # noqa: S603 - our own command
    if prepared.returncode:
        return prepared.returncode
    processes = Processes(held=[lock])
    try:
        inbox = ""
        if not any(env.is_given(name) for name in CARRIER_SETTINGS):
            settings = start_sandbox(processes, data_dir)
            for name, value in settings.items():
                env.give(name, value)
            inbox = settings["SANDBOX_INBOX_URL"]
        processes.start("web", web_command(port), environment=os.environ, grace=MARGIN_SECONDS)
        processes.start("worker", worker_command(data_dir), environment=os.environ, grace=grace)
        sys.stdout.write(f"Accord is on {public_url} (Ctrl-C stops it)\n")
        sys.stdout.write(f"  API docs       {public_url}/api/docs/\n")
        if inbox:
            sys.stdout.write(f"  Sandbox inbox  {inbox}   nothing is sent to anyone\n")
        sys.stdout.flush()
        return processes.run()
    finally:
        processes.stop()


def hold_folder(folder: Path) -> int:
    """Keep every other bin/serve and bin/demo out of this data folder for as long as the descriptor is open."""
    env.made_folder(folder)
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise env.SettingRefused(f"The folder {folder} can not be written to ({error.strerror}).") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise env.SettingRefused(
            f"The folder {folder} is in use by a bin/serve or bin/demo that is running: stop that one, or set "
            "ACCORD_DATA_DIR to another folder."
        ) from error
    return lock


def web_command(port: int) -> list[str]:
    """The web server."""
    return [
        *(sys.executable, "-m", "gunicorn", "backend.config.wsgi:application", "--bind", f"127.0.0.1:{port}"),
        *("--worker-class", "gthread", "--workers", "1", "--threads", "8", "--no-control-socket"),
        *("--log-level", "warning"),
    ]


def worker_command(data_dir: Path) -> list[str]:
    """One worker with beat inside. `solo`: it delivers in its main thread, where the deadman timer can be set."""
    beat = str(data_dir / "celery-beat")
    return [
        *(sys.executable, "-m", "celery", "--quiet", "--app", "backend.config.celery:app", "worker", "--pool", "solo"),
        *("--beat", "--schedule", beat, "--loglevel", "WARNING", "--without-gossip", "--without-mingle"),
    ]


def sandbox_command(data_dir: Path, smtp_port: int, http_port: int) -> list[str]:
    """The local carriers that send nothing."""
    return [
        *(sys.executable, "-m", "sandbox", "--data-dir", str(data_dir)),
        *("--smtp-port", str(smtp_port), "--http-port", str(http_port)),
    ]


def start_sandbox(processes: Processes, data_dir: Path) -> Mapping[str, str]:
    """Start it on its usual ports, or on any others; the settings that make the real adapters talk to it."""
    wanted = (SMTP_PORT, HTTP_PORT)
    for _try in range(SANDBOX_TRIES):
        # Somebody may take a port between the look and the sandbox: then it ends, and others are tried.
        smtp_port, http_port = map(free_port, wanted)
        command = sandbox_command(data_dir, smtp_port, http_port)
        if processes.start("sandbox", command, environment=os.environ, grace=MARGIN_SECONDS, announces=b"Sandbox"):
            return sandbox_settings(data_dir, smtp_port, http_port)
        wanted = (0, 0)
    raise env.SettingRefused("The sandbox could not be started: is there room on the disk, and a port to listen on?")


def sandbox_settings(data_dir: Path, smtp_port: int, http_port: int) -> Mapping[str, str]:
    """The settings for a sandbox that runs, which has written its credentials into the data folder."""
    web = f"http://127.0.0.1:{http_port}"
    made = json.loads((data_dir / "sandbox.json").read_text(encoding="utf-8"))
    return {
        "EMAIL_URL": f"smtp://127.0.0.1:{smtp_port}?tls=none",
        "TWILIO_API_URL": f"{web}/twilio",
        "TWILIO_ACCOUNT_SID": made["twilio_account_sid"],
        "TWILIO_AUTH_TOKEN": made["twilio_auth_token"],
        "FCM_API_URL": f"{web}/fcm",
        "FCM_CREDENTIALS": str(data_dir / "sandbox" / "fcm-credentials.json"),
        "SANDBOX_INBOX_URL": f"{web}/inbox",
    }


def wait_until_up(url: str, *, seconds: float = STARTING_SECONDS) -> bool:
    """Ask until it answers."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with _ON_THIS_MACHINE.open(url, timeout=2) as answer:
                if answer.status == 200:  # noqa: PLR2004 - HTTP's OK
                    return True
        except OSError:
            time.sleep(0.1)
    return False


def is_free(port: int) -> bool:
    """Can somebody still listen on this port of this machine?"""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(wanted: int = 0) -> int:
    """The wanted port where it is free, else any that is."""
    if wanted and is_free(wanted):
        return wanted
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
