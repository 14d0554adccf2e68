"""The carriers of this installation, built once, from its settings."""

import hashlib
import hmac
from collections.abc import Mapping
from functools import cache

from django.conf import settings

from backend.messaging.carriers.base import Carrier
from backend.messaging.carriers.registry import CarrierSettings, build_carriers
from backend.policy.vocabulary import Channel


@cache
def configured_carriers() -> Mapping[Channel, Carrier]:
    """One carrier per channel that has settings. Raises ValueError where one is configured by halves."""
    return build_carriers(
        CarrierSettings(
            public_url=settings.ACCORD_PUBLIC_URL,
            email_url=settings.ACCORD_EMAIL_URL,
            email_sender=settings.ACCORD_EMAIL_FROM,
            email_bounces=settings.ACCORD_EMAIL_BOUNCES,
            email_bounce_key=bounce_key() if settings.ACCORD_EMAIL_BOUNCES else "",
            twilio_api_url=settings.ACCORD_TWILIO_API_URL,
            twilio_account_sid=settings.ACCORD_TWILIO_ACCOUNT_SID,
            twilio_auth_token=settings.ACCORD_TWILIO_AUTH_TOKEN,
            twilio_from=settings.ACCORD_TWILIO_FROM,
            twilio_hook_key=settings.ACCORD_TWILIO_HOOK_KEY,
            fcm_api_url=settings.ACCORD_FCM_API_URL,
            fcm_credentials=settings.ACCORD_FCM_CREDENTIALS,
        )
    )


def bounce_key() -> str:
    """By this key alone a mail that comes back is believed. From the secret key: a bounce comes within days."""
    return hmac.new(settings.SECRET_KEY.encode(), b"accord.returned-mail", hashlib.sha256).hexdigest()
