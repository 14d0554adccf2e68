"""The addresses that carriers call, in the process of the test or in a server of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from urllib.parse import urlencode, urlsplit

from django.test import Client

from backend.api.hooks import hook_routes
from backend.config.serve import free_port, wait_until_up
from backend.messaging.configured import configured_carriers
from sandbox import Sandbox
from sandbox.callbacks import Call

KEY = "a-key-of-the-tests"
PUBLIC_URL = "https://accord.example"


@contextmanager
def hooks_of(settings, sandbox: Sandbox) -> Iterator["Hooks"]:
    """The routes as they are where Twilio and a key are set up."""
    settings.ACCORD_PUBLIC_URL = PUBLIC_URL
    for name, value in twilio_settings(sandbox).items():
        setattr(settings, name, value)
    configured_carriers.cache_clear()
    urls = ModuleType("urls_with_hooks")
    urls.urlpatterns = hook_routes()  # type: ignore[attr-defined] # a module of URLs
    settings.ROOT_URLCONF = urls
    yield Hooks(sandbox)
    configured_carriers.cache_clear()


def twilio_settings(sandbox: Sandbox) -> Mapping[str, str]:
    """The settings of an installation whose Twilio is the sandbox, and which wants its reports."""
    return {
        "ACCORD_TWILIO_API_URL": sandbox.twilio_url,
        "ACCORD_TWILIO_ACCOUNT_SID": sandbox.twilio_account_sid,
        "ACCORD_TWILIO_AUTH_TOKEN": sandbox.twilio_auth_token,
        "ACCORD_TWILIO_HOOK_KEY": KEY,
    }


class Hooks:
    """Calls as Twilio makes them, answered in this process."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.callbacks = sandbox.callbacks
        self.client = Client(headers={"accept-language": "en"})

    def make(self, call: Call) -> int:
        """Post it where it is addressed to; the status that was answered."""
        parts = urlsplit(call.url)
        answered = self.client.post(
            f"{parts.path}?{parts.query}" if parts.query else parts.path,
            urlencode(call.form),
            content_type="application/x-www-form-urlencoded",
            headers={"X-Twilio-Signature": call.signature} if call.signature else {},
        )
        return int(answered.status_code)

    def text(self, text: str, *, sender: str, **more: str) -> int:
        """Somebody sends an SMS to our number."""
        url = f"{PUBLIC_URL}/hooks/twilio/{KEY}/sms"
        return self.make(self.callbacks.text(text, sender=sender, to="+33939001122", url=url, **more))


@contextmanager
def served(folder: Path, settings: Mapping[str, str]) -> Iterator[str]:
    """A web server of its own on the database of the running test; its address."""
    from django.conf import settings as ours  # noqa: PLC0415 - only who asks for a server needs them

    from tests.services import database_url  # noqa: PLC0415 - a plugin of pytest

    port = free_port()
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "backend.config.settings",
        "ACCORD_DATA_DIR": str(folder),
        "ACCORD_KEY_FILE": str(ours.ACCORD_KEY_FILE),
        "ACCORD_DATABASE_URL": database_url(),
        "ACCORD_PUBLIC_URL": f"http://127.0.0.1:{port}",
        **settings,
    }
    command = [
        *(sys.executable, "-m", "gunicorn", "backend.config.wsgi:application", "--bind", f"127.0.0.1:{port}"),
        *("--worker-class", "gthread", "--threads", "4", "--no-control-socket", "--log-level", "warning"),
    ]
    with (folder / "web.log").open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            url = f"http://127.0.0.1:{port}"
            assert wait_until_up(f"{url}/health", seconds=30), (folder / "web.log").read_text(encoding="utf-8")
            yield url
        finally:
            process.terminate()
            process.wait(20)
