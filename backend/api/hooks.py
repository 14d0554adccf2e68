"""`/hooks/...`: where carriers tell us something. Signed, small, answered at once; an address only with a secret.

Nobody is told more than that it was taken: whoever calls knows what they sent. docs/reference/hooks.md.
"""

import hmac
import logging
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, UnreadablePostError
from django.urls import URLPattern, path
from django.views.decorators.csrf import csrf_exempt

from backend import clock
from backend.api.problems import answer
from backend.messaging.carriers.base import SignatureRefused
from backend.messaging.carriers.twilio import TwilioCarrier, parse_inbound
from backend.messaging.configured import configured_carriers
from backend.messaging.operations.leaving import take_shared_sms
from backend.messaging.reports import Came, take_report
from backend.policy.vocabulary import Channel

log = logging.getLogger("accord.hooks")

# Twilio's own are of one or two thousand bytes; the longest text that it takes is 1600 characters.
LONGEST_BODY: Final = 64 * 1024

TwilioView = Callable[..., HttpResponseBase]


def hook_routes() -> list[URLPattern]:
    """The addresses that carriers call. Without the secret that is part of them there are none."""
    if not (
        settings.ACCORD_TWILIO_HOOK_KEY and settings.ACCORD_TWILIO_ACCOUNT_SID and settings.ACCORD_TWILIO_AUTH_TOKEN
    ):
        return []
    return [
        path("hooks/twilio/<str:key>/sms", twilio_inbound, name="hook-twilio-inbound"),
        path("hooks/twilio/<str:key>/<uuid:message_id>", twilio_status, name="hook-twilio-status"),
    ]


def _from_twilio(view: TwilioView) -> TwilioView:
    """Let only what Twilio signed with our token through, and what is small enough to be from there."""

    @wraps(view)
    # The signature is the proof: whoever posts here has no page, and no cookie.
    @csrf_exempt
    def guarded(request: HttpRequest, key: str, **path: Any) -> HttpResponseBase:
        carrier = configured_carriers().get(Channel.SMS)
        known = settings.ACCORD_TWILIO_HOOK_KEY.encode()
        if not isinstance(carrier, TwilioCarrier) or not known or not hmac.compare_digest(key.encode(), known):
            return answer(request, HTTPStatus.NOT_FOUND, "not_found")
        if request.method != "POST":
            refused = answer(request, HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed")
            refused["Allow"] = "POST"
            return refused
        # Without a length there is no body to read: what is read is never more than was announced.
        length = request.headers.get("Content-Length") or "0"
        if not length.isdecimal() or int(length) > LONGEST_BODY:
            return answer(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large")
        try:
            body = request.body
            # The address as Twilio knows it, whatever the proxies in front of us make of it.
            carrier.verify(
                request.headers, body, url=f"{settings.ACCORD_PUBLIC_URL.rstrip('/')}{request.get_full_path()}"
            )
        except SignatureRefused:
            log.warning("a call that Twilio did not sign was refused")
            return answer(request, HTTPStatus.FORBIDDEN, "signature_refused")
        except UnreadablePostError:
            return answer(request, HTTPStatus.BAD_REQUEST, "bad_request")
        response = view(carrier, body, **path)
        response["Cache-Control"] = "no-store"
        return response

    return guarded


@_from_twilio
def twilio_status(carrier: TwilioCarrier, body: bytes, *, message_id: UUID) -> HttpResponseBase:
    """What became of one of our messages. 204 for whatever Twilio signed, also where it changes nothing."""
    for report in carrier.parse_events(body):
        came = take_report(
            message_id=message_id, channel=Channel.SMS, carrier=carrier.name, report=report, now=clock.now()
        )
        if came is Came.UNKNOWN:
            log.warning("a report of %s was about no message of ours", carrier.name)
    return HttpResponse(status=HTTPStatus.NO_CONTENT)


@_from_twilio
def twilio_inbound(carrier: TwilioCarrier, body: bytes) -> HttpResponseBase:  # noqa: ARG001 - as every hook
    """An SMS to our number. STOP is obeyed in every clinic, since all of them send from it; the text is not kept."""
    said = parse_inbound(body)
    if said is not None:
        take_shared_sms(sender=said.sender, text=said.text, reference=said.reference, now=clock.now())
    # TwiML that says nothing: no answer is sent, and none is paid for.
    return HttpResponse("<Response/>", content_type="text/xml; charset=utf-8")
