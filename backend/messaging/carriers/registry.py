"""Builds the carriers that a clinic's installation has settings for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backend.messaging.carriers.base import Carrier
from backend.messaging.carriers.fcm import FcmCarrier
from backend.messaging.carriers.smtp import SmtpCarrier
from backend.messaging.carriers.twilio import TwilioCarrier
from backend.policy.vocabulary import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierSettings:
    """Every setting a carrier has, under the name of its environment variable without the prefix, in lower case.

    An empty setting is one that was not made. `twilio_hook_key` is the secret part of the address that Twilio reports
    to; without it, or without `public_url`, no reports are asked for. `email_bounce_key` signs what comes back to
    `email_bounces`.
    """

    public_url: str = ""
    email_url: str = field(default="", repr=False)
    email_sender: str = ""
    email_domain: str = ""
    email_bounces: str = ""
    email_bounce_key: str = field(default="", repr=False)
    twilio_api_url: str = "https://api.twilio.com"
    twilio_account_sid: str = ""
    twilio_auth_token: str = field(default="", repr=False)
    twilio_from: str = ""
    twilio_hook_key: str = field(default="", repr=False)
    fcm_api_url: str = "https://fcm.googleapis.com"
    fcm_credentials: str = ""


def build_carriers(settings: CarrierSettings) -> Mapping[Channel, Carrier]:
    """Build a carrier for each channel that is configured, and none for the others.

    Raises ValueError, or OSError for a file that can not be read, when a carrier is configured by halves: that is said
    at the start, not with the first message.
    """
    built: dict[Channel, Carrier] = {}
    if settings.email_url:
        _require(settings, "email_url", "email_sender")
        domain = settings.email_domain or settings.email_sender.rpartition("@")[2].rstrip("> ")
        built[Channel.EMAIL] = SmtpCarrier(
            url=settings.email_url,
            sender=settings.email_sender,
            domain=domain,
            bounces=settings.email_bounces,
            bounce_key=settings.email_bounce_key,
        )
    if settings.twilio_account_sid:
        _require(settings, "twilio_account_sid", "twilio_auth_token", "twilio_from", "twilio_api_url")
        built[Channel.SMS] = TwilioCarrier(
            api_url=settings.twilio_api_url,
            account_sid=settings.twilio_account_sid,
            auth_token=settings.twilio_auth_token,
            sender=settings.twilio_from,
            status_callback_base=settings.public_url or None,
            status_callback_key=settings.twilio_hook_key or None,
        )
    if settings.fcm_credentials:
        _require(settings, "fcm_credentials", "fcm_api_url")
        built[Channel.PUSH] = FcmCarrier(api_url=settings.fcm_api_url, credentials_path=Path(settings.fcm_credentials))
    return built


def _require(settings: CarrierSettings, asked_for: str, *needed: str) -> None:
    absent = [name for name in needed if not getattr(settings, name)]
    if absent:
        raise ValueError(f"{asked_for} also needs {', '.join(absent)}.")
