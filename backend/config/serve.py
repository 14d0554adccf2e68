"""`bin/serve`: every process of one machine, until Ctrl-C. Without carriers of its own it starts the sandbox."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.request import urlopen

from honcho.manager import Manager
from honcho.printer import Printer

CARRIER_SETTINGS: Final = ("ACCORD_EMAIL_URL", "ACCORD_TWILIO_ACCOUNT_SID", "ACCORD_FCM_CREDENTIALS")
SMTP_PORT: Final = 8025
HTTP_PORT: Final = 8026
STARTING_SECONDS: Final = 30


def main() -> int:
    """Bring the database up to date, then run web, worker and, where no carrier is set, the sandbox."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")
    port = int(os.environ.setdefault("ACCORD_PORT", "8000"))
    os.environ.setdefault("ACCORD_PUBLIC_URL", f"http://127.0.0.1:{port}")
    if not is_free(port):
        sys.stderr.write(f"Port {port} is taken: set ACCORD_PORT to another one.\n")
        return 2
    prepared = subprocess.run([sys.executable, "-m", "django", "prepare"], check=False)
    if prepared.returncode:
        return prepared.returncode
    manager = Manager(Printer(sys.stdout))
    inbox = ""
    if not any(os.environ.get(name) or os.environ.get(f"{name}_FILE") for name in CARRIER_SETTINGS):
        data_dir = data_folder()
        smtp_port, http_port = free_port(SMTP_PORT), free_port(HTTP_PORT)
        manager.add_process("sandbox", _line(sandbox_command(data_dir, smtp_port, http_port)))
        settings = sandbox_settings(data_dir, smtp_port, http_port)
        os.environ.update(settings)
        inbox = settings["ACCORD_SANDBOX_INBOX_URL"]
    manager.add_process("web", _line(web_command(port)), env=dict(os.environ))
    manager.add_process("worker", _line(worker_command()), env=dict(os.environ))
    sys.stdout.write(f"Accord is on {os.environ['ACCORD_PUBLIC_URL']} (Ctrl-C stops it)\n")
    sys.stdout.write(f"  API docs       {os.environ['ACCORD_PUBLIC_URL']}/api/docs/\n")
    if inbox:
        sys.stdout.write(f"  Sandbox inbox  {inbox}   nothing is sent to anyone\n")
    sys.stdout.flush()
    manager.loop()
    return int(manager.returncode or 0)


def data_folder() -> Path:
    """The data folder, without reading all settings."""
    given = os.environ.get("ACCORD_DATA_DIR")
    return Path(given).expanduser().resolve() if given else Path(__file__).resolve().parents[2] / "var"


def web_command(port: int) -> list[str]:
    """The web server."""
    return [
        *(sys.executable, "-m", "gunicorn", "backend.config.wsgi:application", "--bind", f"127.0.0.1:{port}"),
        *("--worker-class", "gthread", "--workers", "1", "--threads", "8", "--no-control-socket"),
        *("--log-level", "warning"),
    ]


def worker_command() -> list[str]:
    """One worker with beat inside. `solo`: it delivers in its main thread, where the deadman timer can be set."""
    beat = str(data_folder() / "celery-beat")
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


def sandbox_settings(data_dir: Path, smtp_port: int, http_port: int) -> Mapping[str, str]:
    """The settings that make the real adapters talk to the sandbox. Starts it once where it has no credentials yet."""
    credentials = data_dir / "sandbox" / "fcm-credentials.json"
    account = data_dir / "sandbox.json"
    web = f"http://127.0.0.1:{http_port}"
    token_uri = f"{web}/fcm/token"
    if not account.exists() or not credentials.exists() or token_uri not in credentials.read_text(encoding="utf-8"):
        # The sandbox writes its credentials when it starts; nothing else knows how they are made.
        process = subprocess.Popen(sandbox_command(data_dir, smtp_port, http_port), stdout=subprocess.PIPE)  # noqa: S603 - our own command
        try:
            if process.stdout is None or not process.stdout.readline():
                raise SystemExit("The sandbox could not be started.")
        finally:
            process.terminate()
            process.wait(timeout=STARTING_SECONDS)
    made = json.loads(account.read_text(encoding="utf-8"))
    return {
        "ACCORD_EMAIL_URL": f"smtp://127.0.0.1:{smtp_port}?tls=none",
        "ACCORD_TWILIO_API_URL": f"{web}/twilio",
        "ACCORD_TWILIO_ACCOUNT_SID": made["twilio_account_sid"],
        "ACCORD_TWILIO_AUTH_TOKEN": made["twilio_auth_token"],
        "ACCORD_FCM_API_URL": f"{web}/fcm",
        "ACCORD_FCM_CREDENTIALS": str(credentials),
        "ACCORD_SANDBOX_INBOX_URL": f"{web}/inbox",
    }


def wait_until_up(url: str, *, seconds: float = STARTING_SECONDS) -> bool:
    """Ask until it answers."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urlopen(url, timeout=2) as answer:  # noqa: S310 - an address of this machine, made here
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


def _line(command: list[str]) -> str:
    return " ".join(f"'{part}'" for part in command)


if __name__ == "__main__":
    sys.exit(main())
