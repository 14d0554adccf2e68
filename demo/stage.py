"""Sets the stage: database, keys, sandbox, carriers, and our own web server on loopback."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.management import call_command

from backend.config.serve import HTTP_PORT, SMTP_PORT, free_port, wait_until_up, web_command
from backend.messaging.carriers.base import Carrier
from backend.messaging.carriers.registry import CarrierSettings, build_carriers
from backend.policy.vocabulary import Channel
from sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs while the story is told."""

    base_url: str
    sandbox: Sandbox
    carriers: Mapping[Channel, Carrier]


@contextmanager
def stage(*, once: bool) -> Iterator[Stage]:
    """Start it all; stop it all afterwards. With `once` on free ports, so that nothing else is in the way."""
    call_command("prepare", verbosity=0)
    data_dir = Path(settings.ACCORD_DATA_DIR)
    ports = (0, 0) if once else (free_port(SMTP_PORT), free_port(HTTP_PORT))
    web_port = free_port() if once else free_port(int(settings.ACCORD_PORT))
    with Sandbox(data_dir, smtp_port=ports[0], http_port=ports[1]) as sandbox:
        carriers = build_carriers(
            CarrierSettings(
                email_url=sandbox.email_url,
                email_sender=settings.ACCORD_EMAIL_FROM,
                twilio_api_url=sandbox.twilio_url,
                twilio_account_sid=sandbox.twilio_account_sid,
                twilio_auth_token=sandbox.twilio_auth_token,
                twilio_from=settings.ACCORD_TWILIO_FROM,
                fcm_api_url=sandbox.fcm_url,
                fcm_credentials=str(sandbox.fcm_credentials),
            )
        )
        try:
            with _web_server(web_port) as base_url:
                yield Stage(base_url, sandbox, carriers)
        finally:
            for carrier in carriers.values():
                carrier.close()


@contextmanager
def _web_server(port: int) -> Iterator[str]:
    base_url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(  # noqa: S603 - our own command
        web_command(port),
        env={**os.environ, "ACCORD_PUBLIC_URL": base_url},
        stdout=sys.stderr,
        # Ctrl-C reaches the story alone, which then stops this one in an orderly way.
        start_new_session=True,
    )
    try:
        if not wait_until_up(f"{base_url}/health"):
            raise SystemExit("Our own web server did not start.")
        yield base_url
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
