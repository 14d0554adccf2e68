"""Row 37, RFC 8058: the headers, one POST, nothing by GET."""

import re
from datetime import timedelta

from django.conf import settings
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from backend.accounts.operations import issue_patient_token
from backend.audit.actors import system_actor
from backend.consent.queries import states_of
from backend.messaging.delivery import deliver_due_messages
from backend.policy.vocabulary import Channel, ConsentStatus
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import REMINDER

TOMORROW = timedelta(days=1, hours=4)


class Counting:
    """The patient's app, and how often it asked."""

    def __init__(self, patient, now):
        token = issue_patient_token(
            clinic_id=patient.clinic_id, patient_id=patient.id, actor=system_actor(), now=now, life=30 * DAY
        )
        self._client = APIClient(headers={"authorization": f"Bearer {token}"})
        self.requests = 0

    def __call__(self, method, path, *body):
        self.requests += 1
        answer = getattr(self._client, method)(f"/api/v1/me/{path}", *body)
        assert answer.status_code < 300, answer.content
        return answer.json()


def is_given(patient, channel=Channel.EMAIL):
    states = states_of(clinic_id=patient.clinic_id, patient_id=patient.id)
    return any(one.status is ConsentStatus.GIVEN for one in states if (one.purpose, one.channel) == (REMINDER, channel))


def test_row_37_every_email_that_needs_consent_offers_one_click_and_it_works(northgate, now):
    patient = make_patient(northgate.id, now=now - DAY, device=False)
    consent(patient, purpose=REMINDER, channels=[Channel.EMAIL], now=now - DAY)
    make_appointment(patient, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    carriers = carriers_in_test()
    deliver_due_messages(now=now, carriers=carriers)
    [message] = given_to(carriers)

    [address] = re.findall(r"^<(https?://[^<>]+)>$", message.headers["List-Unsubscribe"])
    assert message.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert address.startswith(f"{settings.ACCORD_PUBLIC_URL}/u/")
    answer = Client(enforce_csrf_checks=True).post(
        address.removeprefix(settings.ACCORD_PUBLIC_URL),
        data="List-Unsubscribe=One-Click",
        content_type="application/x-www-form-urlencoded",
    )

    assert (answer.status_code, answer.content, len(answer.cookies)) == (200, b"", 0)
    assert not is_given(patient)


def test_row_4_withdrawing_takes_no_more_requests_than_consenting(northgate, now, settings):
    settings.ACCORD_CLOCK_OFFSET = (now - timezone.now()).total_seconds()
    cache.clear()
    patient = make_patient(northgate.id, now=now - DAY)
    joining, leaving = Counting(patient, now), Counting(patient, now)

    joining("get", "notices")
    said = {"purpose": REMINDER, "channels": ["email"], "decision": "given", "notice_version": 1, "language": "fr"}
    joining("post", "consents", {**said, "shown": {"initial_state": "off"}})
    assert is_given(patient)
    leaving("post", "consents", {"purpose": REMINDER, "channels": ["email"], "decision": "withdrawn"})

    assert not is_given(patient)
    assert leaving.requests <= joining.requests
    # By a link it is the page and its one button; a mail program needs the button only (see the test above).
