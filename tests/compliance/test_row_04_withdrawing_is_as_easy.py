"""Row 4, GDPR Art. 7(3): by every way of consenting, withdrawing takes no more requests, and works at once."""

import pytest
from django.core.cache import cache
from django.test import Client as Browser

from backend.accounts.operations import issue_representative_token
from backend.audit.actors import system_actor
from backend.consent.links import token_of
from backend.consent.queries import get_purpose, states_of
from backend.messaging.links import Way
from backend.messaging.operations.confirming import ask_for_consent
from backend.messaging.operations.leaving import make_links
from backend.patients.models import ContactPoint
from backend.policy.vocabulary import Channel, ConsentStatus, Language, RequestSource
from tests.api.conftest import Client
from tests.conftest import DAY
from tests.consent.test_deciding import mother_of
from tests.factories.patients import consent, make_patient
from tests.factories.programmes import REMINDER, offer_confirmations

NOTICE = {"notice_version": 1, "language": "fr"}
YES = {"purpose": REMINDER, "channels": ["email"], "decision": "given", **NOTICE}
NO_LONGER = {"purpose": REMINDER, "channels": ["email"], "decision": "withdrawn"}
FORM = {"method": "paper_form", "evidence": {"form_reference": "F-1", "signed_on": "2026-10-01"}}
SPOKEN = {"method": "verbal", "evidence": {"script_version": "2026-03", "spoken_at": "2026-10-01T10:15:00+02:00"}}


class Counting:
    """A client that counts what is asked of it, and wants everything to succeed."""

    def __init__(self, client):
        self.client, self.requests = client, 0

    def get(self, *asked, **more):
        return self._ask("get", *asked, **more)

    def post(self, *asked, **more):
        return self._ask("post", *asked, **more)

    def _ask(self, method, *asked, **more):
        self.requests += 1
        answer = getattr(self.client, method)(*asked, **more)
        assert answer.status_code in {200, 201}, answer.content
        return answer

    def count(self, walk):
        before = self.requests
        walk(self)
        return self.requests - before


def status(patient):
    states = states_of(clinic_id=patient.clinic_id, patient_id=patient.id)
    return next(one.status for one in states if (one.purpose, one.channel) == (REMINDER, Channel.EMAIL))


def in_the_app(patient, client):
    address = "/api/v1/me/consents"
    return (
        client,
        lambda one: (one.get("/api/v1/me/notices"), one.post(address, YES)),
        lambda one: one.post(address, NO_LONGER),
    )


def at_the_desk(patient, client, how):
    address = f"/api/v1/clinics/northgate/patients/{patient.id}/consents"
    return client, lambda one: one.post(address, {**YES, **how}), lambda one: one.post(address, NO_LONGER)


@pytest.fixture
def ways(northgate, silent, desk, as_patient):
    """Every way by which the API takes a yes."""
    return {
        "app": lambda: in_the_app(silent, as_patient(silent)),
        "paper_form": lambda: at_the_desk(silent, desk, FORM),
        "verbal": lambda: at_the_desk(silent, desk, SPOKEN),
    }


@pytest.mark.parametrize("way", ["app", "paper_form", "verbal"])
def test_in_the_api_it_takes_no_more_requests_than_the_yes(silent, ways, way):
    client, start, stop = ways[way]()
    counting = Counting(client)

    to_start = counting.count(start)
    assert status(silent) is ConsentStatus.GIVEN
    to_stop = counting.count(stop)

    assert status(silent) is ConsentStatus.WITHDRAWN
    assert to_stop == 1 <= to_start


def test_who_represents_a_child_withdraws_with_one_request(northgate, now):
    child = make_patient(northgate.id, now=now - DAY, birth_date=now.date().replace(year=2016))
    mother = mother_of(child, now - DAY)
    consent(child, purpose=REMINDER, channels=[Channel.EMAIL], now=now - DAY, representatives=(mother,))
    token = issue_representative_token(
        clinic_id=northgate.id, patient_id=child.id, representative_id=mother, actor=system_actor(), now=now - DAY
    )
    counting = Counting(Client(token))

    taken = counting.count(lambda one: one.post(f"/api/v1/represented/{child.id}/consents", NO_LONGER))

    assert status(child) is ConsentStatus.WITHDRAWN
    assert taken == 1


def test_on_the_pages_a_link_stops_with_as_little_as_a_link_starts(northgate, manager, reception, now):
    cache.clear()
    offer_confirmations(northgate.id, actor=manager, now=now - DAY)
    patient = make_patient(northgate.id, now=now - DAY, reachable=False)
    asked = ask_for_consent(
        clinic_id=northgate.id,
        patient_id=patient.id,
        purpose=REMINDER,
        contact_point_id=ContactPoint.objects.get(patient_id=patient.id, kind="email").id,
        notice_version=1,
        language=Language.FRENCH,
        source=RequestSource.WEB_FORM,
        actor=reception,
        now=now - DAY,
    )
    question = f"/c/{token_of(asked.id, clinic_id=northgate.id)}"
    purpose = get_purpose(clinic_id=northgate.id, slug=REMINDER)
    way = Way(clinic_id=northgate.id, patient_id=patient.id, purpose_id=purpose.id, channel=Channel.EMAIL)
    make_links([way], actor=system_actor(), now=now)
    browser = Counting(Browser(enforce_csrf_checks=True))
    said = {"decision": "given", "notice_version": "1"}

    to_start = browser.count(lambda one: (one.get(question), one.post(question, said)))
    assert status(patient) is ConsentStatus.GIVEN
    to_stop = browser.count(lambda one: (one.get(f"/u/{way.token()}"), one.post(f"/u/{way.token()}")))

    assert status(patient) is ConsentStatus.WITHDRAWN
    assert to_stop <= to_start
