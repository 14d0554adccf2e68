"""What is told at the start about settings that belong together, instead of by the first message that needs them.

`manage.py prepare` and the worker refuse to start with the first sentence; `manage.py check` tells all of them.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core import checks

from backend.messaging.carriers.fcm import FcmCarrier
from backend.messaging.carriers.mime import read_sender
from backend.messaging.carriers.smtp import SmtpServer
from backend.messaging.carriers.web import Endpoint
from backend.messaging.configured import configured_carriers
from backend.messaging.held import Pace
from backend.vault.providers.configured import complaints as key_provider_complaints

# A number as Twilio takes it (E.164, or a short code), a messaging service, or a name: up to 11 characters, one of them
# a letter. https://www.twilio.com/docs/glossary/what-alphanumeric-sender-id
SMS_SENDER: Final = re.compile(r"\+?\d{3,15}|MG[0-9a-fA-F]{32}|(?=.*[A-Za-z])[A-Za-z0-9 +_&-]{1,11}", re.ASCII)


def complaints() -> Iterator[str]:
    """Everything that is wrong with keys, carriers and pace, each in a sentence that names its setting."""
    yield from key_provider_complaints()
    yield from _about_pace()
    before = [*_about_email(), *_about_sms(), *_about_push()]
    yield from before
    if not before:
        # Whatever else a carrier does not like about its settings.
        try:
            configured_carriers()
        except (ValueError, OSError) as error:
            yield f"The carriers' settings (ACCORD_EMAIL_*, ACCORD_TWILIO_*, ACCORD_FCM_*) are refused: {error}"


@checks.register()
def check_settings(**_later: Any) -> list[checks.CheckMessage]:
    """The same, for `manage.py check`."""
    return [checks.Error(sentence, id="accord.E001") for sentence in complaints()]


@checks.register(deploy=True)
def check_anchors(**_later: Any) -> list[checks.CheckMessage]:
    """Without a checkpoint that is kept elsewhere nobody can tell a log from one that was cut off."""
    if settings.ACCORD_ANCHOR_DIR or settings.ACCORD_ANCHOR_EMAIL:
        return []
    return [
        checks.Warning(
            "The log's checkpoints are kept nowhere but here.",
            hint="Set ACCORD_ANCHOR_DIR or ACCORD_ANCHOR_EMAIL to a place of the data protection officer.",
            id="accord.W001",
        )
    ]


def _about_pace() -> Iterator[str]:
    try:
        Pace(batch=settings.ACCORD_BATCH_SIZE, lease=settings.ACCORD_LEASE_SECONDS, call=settings.ACCORD_CALL_SECONDS)
    except ValueError:
        yield (
            f"ACCORD_LEASE_SECONDS ({settings.ACCORD_LEASE_SECONDS}) must be three seconds or more above "
            f"ACCORD_CALL_SECONDS ({settings.ACCORD_CALL_SECONDS})."
        )


def _about_email() -> Iterator[str]:
    if settings.ACCORD_ANCHOR_EMAIL and not settings.ACCORD_EMAIL_URL:
        yield "ACCORD_ANCHOR_EMAIL asks for checkpoints by e-mail, and ACCORD_EMAIL_URL names no server to send them."
    if settings.ACCORD_EMAIL_URL:
        try:
            SmtpServer.read(settings.ACCORD_EMAIL_URL)
        except ValueError as error:
            yield f"ACCORD_EMAIL_URL: {error}"
    if settings.ACCORD_EMAIL_URL or settings.ACCORD_EMAIL_FROM:
        try:
            read_sender(settings.ACCORD_EMAIL_FROM)
        except ValueError as error:
            yield f"ACCORD_EMAIL_FROM: {error}"


def _about_sms() -> Iterator[str]:
    sid, token = settings.ACCORD_TWILIO_ACCOUNT_SID, settings.ACCORD_TWILIO_AUTH_TOKEN
    if sid and not token:
        yield "ACCORD_TWILIO_ACCOUNT_SID is set and ACCORD_TWILIO_AUTH_TOKEN is not: SMS needs both."
    if token and not sid:
        yield "ACCORD_TWILIO_AUTH_TOKEN is set and ACCORD_TWILIO_ACCOUNT_SID is not: SMS needs both."
    sender = settings.ACCORD_TWILIO_FROM
    if (sid or sender) and not SMS_SENDER.fullmatch(sender):
        yield (
            "ACCORD_TWILIO_FROM must be a number, a messaging service (MG...), or up to 11 letters, digits and spaces "
            "of which one is a letter."
        )
    yield from _about_api("ACCORD_TWILIO_API_URL", settings.ACCORD_TWILIO_API_URL)


def _about_push() -> Iterator[str]:
    yield from (wrong := list(_about_api("ACCORD_FCM_API_URL", settings.ACCORD_FCM_API_URL)))
    if settings.ACCORD_FCM_CREDENTIALS and not wrong:
        try:
            FcmCarrier(api_url=settings.ACCORD_FCM_API_URL, credentials_path=Path(settings.ACCORD_FCM_CREDENTIALS))
        except OSError as error:
            yield f"ACCORD_FCM_CREDENTIALS names a file that can not be read ({error.strerror})."
        except ValueError as error:
            yield f"ACCORD_FCM_CREDENTIALS: {error}"


def _about_api(name: str, address: str) -> Iterator[str]:
    try:
        Endpoint(address)
    except ValueError as error:
        yield f"{name}: {error}"
