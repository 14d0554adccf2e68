"""Asking for a consent by a link, through the API."""

import pytest

from backend.consent.links import token_of
from backend.consent.models import ConsentEvent
from backend.consent.operations import answer_by_link, define_purpose
from backend.messaging.models import Message
from backend.patients.models import ContactPoint
from backend.policy.vocabulary import Channel, Decision, Language, MessageState, Nature
from tests.api.conftest import Client
from tests.conftest import HOUR
from tests.factories.patients import make_patient
from tests.factories.programmes import REMINDER, offer_confirmations

HOW = {"notice_version": 1, "language": "fr", "source": "web_form", "shown": {"initial_state": "off"}}


@pytest.fixture
def visitor(northgate, manager, now):
    offer_confirmations(northgate.id, actor=manager, now=now)
    return make_patient(northgate.id, now=now, reachable=False)


@pytest.fixture
def said(visitor):
    point = ContactPoint.objects.get(patient_id=visitor.id, kind="email")
    return {**HOW, "purpose": REMINDER, "contact_point": str(point.id)}


def address(patient) -> str:
    return f"/api/v1/clinics/northgate/patients/{patient.id}/consent-requests"


def test_a_form_asks_and_the_person_answers(desk: Client, visitor, said, now) -> None:
    asked = desk.post(address(visitor), said)

    assert asked.status_code == 201
    body = asked.json()
    assert (body["state"], body["channel"], body["expires_at"][:10]) == ("pending", "email", "2026-10-21")
    assert Message.objects.get().state == MessageState.PLANNED
    assert "token" not in asked.content.decode()
    (waiting,) = desk.get(address(visitor)).json()["results"]
    assert (waiting["id"], waiting["decision"]) == (body["id"], None)

    answer_by_link(
        token=token_of(body["id"], clinic_id=visitor.clinic_id),
        decision=Decision.GIVEN,
        notice_version=1,
        language=Language.FRENCH,
        now=now + HOUR,
    )

    (answered,) = desk.get(address(visitor)).json()["results"]
    assert (answered["decision"], answered["answered_at"][:10]) == ("given", "2026-10-14")


def test_the_same_request_twice_sends_one_link(desk: Client, visitor, said) -> None:
    for _again in range(2):
        answer = desk.post(address(visitor), said, headers={"idempotency-key": "form-1"})
        assert answer.status_code == 201

    assert Message.objects.count() == 1


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"shown": {"initial_state": "on"}}, 400, "invalid"),
        ({"notice_version": 7}, 400, "invalid"),
        ({"purpose": "consent_confirmation"}, 400, "invalid"),
        ({"contact_point": "0191f3a0-0000-7000-8000-000000000000"}, 400, "invalid"),
    ],
)
def test_what_can_not_be_asked_is_refused(desk: Client, visitor, said, wrong, status, code) -> None:
    answer = desk.post(address(visitor), {**said, **wrong})

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not ConsentEvent.objects.filter(patient_id=visitor.id).exists()


def test_without_words_for_it_the_message_is_withheld_and_says_so(
    desk: Client, silent, northgate, manager, now
) -> None:
    define_purpose(
        clinic_id=northgate.id,
        slug="consent_confirmation",
        nature=Nature.CLOSED_LIST,
        channels=(Channel.EMAIL,),
        names={},
        statements={},
        actor=manager,
        now=now,
    )
    point = ContactPoint.objects.get(patient_id=silent.id, kind="email")

    desk.post(address(silent), {**HOW, "purpose": REMINDER, "contact_point": str(point.id)})

    message = Message.objects.get()
    assert (message.state, message.verdict["reasons"]) == (MessageState.WITHHELD, ["no_template"])


def test_another_clinic_and_the_patient_can_not_ask(
    stranger: Client, officer: Client, as_patient, visitor, said
) -> None:
    assert stranger.post(address(visitor), said).status_code == 404
    assert officer.post(address(visitor), said).status_code == 403
    assert officer.get(address(visitor)).status_code == 200
    assert as_patient(visitor).post(address(visitor), said).status_code == 403


@pytest.mark.parametrize("form", ["jws", "dpv", "fhir", "html"])
def test_what_was_asked_by_a_link_has_its_receipt_although_nobody_had_spoken(
    desk: Client, as_patient, visitor, said, form
) -> None:
    event = desk.post(address(visitor), said).json()["event"]

    assert as_patient(visitor).get(f"/api/v1/me/consents/{event}/receipt?format={form}").status_code == 200
