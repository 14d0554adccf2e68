"""`/u/{token}`: opening it changes nothing, posting stops once, and nobody learns from it who is a patient."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.test import Client

from backend.attempts.models import Attempt
from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.keys import destroy_subject_keys
from backend.audit.recording import record
from backend.consent.models import ConsentEvent
from backend.consent.queries import get_purpose, states_of
from backend.messaging.links import Way, digest_of
from backend.messaging.models import UnsubscribeLink
from backend.messaging.operations.leaving import make_links
from backend.policy.vocabulary import Channel, ConsentStatus, Language
from backend.portal.leaving_words import WORDS, moment
from tests.conftest import DAY, HOUR
from tests.factories.log import actions_recorded
from tests.factories.patients import consent, make_patient
from tests.factories.programmes import RECALL, REMINDER

ONE_CLICK: dict[str, Any] = {"data": "List-Unsubscribe=One-Click", "content_type": "application/x-www-form-urlencoded"}

NO_BREAK, NARROW = "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"


def everything():
    """How many rows every table holds."""
    return {model._meta.label: model._default_manager.count() for model in apps.get_models()}  # noqa: SLF001 - Django's API


def given(patient):
    return {
        (state.purpose, state.channel)
        for state in states_of(clinic_id=patient.clinic_id, patient_id=patient.id)
        if state.status is ConsentStatus.GIVEN
    }


def withdrawals(patient):
    events = ConsentEvent.objects.filter(patient_id=patient.id).order_by("recorded_at", "id")
    return [(event.purpose.slug, event.channel, event.method) for event in events if event.notice_id is None]


def test_a_hundred_gets_and_heads_change_nothing_at_all(consenting, link, browser_without_cookies):
    before, said = everything(), given(consenting)

    for _scanner in range(100):
        assert browser_without_cookies.get(link).status_code == 200
    assert browser_without_cookies.head(link).status_code == 200

    assert everything() == before
    assert given(consenting) == said


def test_one_post_withdraws_once_and_only_this(consenting, link, browser_without_cookies):
    before = given(consenting)

    answers = [browser_without_cookies.post(link) for _again in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert "<h1>Stopped</h1>" in answers[0].content.decode()
    assert "<h1>This is already stopped</h1>" in answers[1].content.decode()
    assert withdrawals(consenting) == [(RECALL, "email", "web")]
    assert before - given(consenting) == {(RECALL, Channel.EMAIL)}
    assert actions_recorded(consenting.clinic_id)[Action.CONSENT_WITHDRAWN] == 1


def test_a_mail_program_stops_with_one_request_and_is_sent_nowhere(consenting, link):
    answer = Client(enforce_csrf_checks=True).post(link, **ONE_CLICK)

    assert (answer.status_code, answer.content) == (200, b"")
    assert not answer.cookies
    assert withdrawals(consenting) == [(RECALL, "email", "one_click")]


@pytest.mark.parametrize(
    "body",
    [
        {"data": b"--x\r\nbroken", "content_type": "multipart/form-data; boundary=x"},
        {"data": b"\xff\xfe", "content_type": "application/octet-stream"},
        {"data": b"", "content_type": "multipart/form-data"},
    ],
)
def test_a_body_that_can_not_be_read_stops_all_the_same(consenting, link, body):
    answer = Client(enforce_csrf_checks=True).generic("POST", link, body["data"], body["content_type"])

    assert answer.status_code == 200
    assert [channel for _purpose, channel, _method in withdrawals(consenting)] == ["email"]


def test_coming_back_says_so_and_offers_no_way_to_say_yes(consenting, link, browser_without_cookies, now):
    browser_without_cookies.post(link)

    page = browser_without_cookies.get(link).content.decode()

    assert "This is already stopped" in page
    assert "stopped since 14 October 2026 at 10:00" in page
    assert "<form" not in page
    assert "<button" not in page
    assert (RECALL, Channel.EMAIL) not in given(consenting)


def test_after_a_new_yes_the_same_link_stops_again(consenting, link, browser_without_cookies, now):
    browser_without_cookies.post(link)
    consent(consenting, purpose=RECALL, channels=[Channel.EMAIL], now=now + HOUR)

    assert "<form" in browser_without_cookies.get(link).content.decode()
    browser_without_cookies.post(link)

    assert len(withdrawals(consenting)) == 2
    assert (RECALL, Channel.EMAIL) not in given(consenting)


def test_an_erased_patients_link_an_unknown_and_a_spoilt_one_answer_alike(consenting, link, now):
    destroy_subject_keys(
        subject_id=consenting.id, clinic_id=consenting.clinic_id, reason="erasure", actor=system_actor(), now=now
    )
    before = everything()
    addresses = [link, f"/u/{'A' * 22}", link[:-3], "/u/", "/u/é", f"/u/{'x' * 5000}", "/u/a/b/c"]

    for method in ("get", "post"):
        answers = [getattr(Client(headers={"accept-language": "fr"}), method)(address) for address in addresses]
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        assert len({tuple(sorted(set(answer.headers) - {"X-Request-ID"})) for answer in answers}) == 1
        assert "Ce lien n’arrête rien" in answers[0].content.decode()
    assert everything() == before


def test_the_page_says_nothing_about_anybody(consenting, link):
    for language in ("fr", "en"):
        page = Client(headers={"accept-language": language}).get(link)
        text = page.content.decode()

        assert f'<html lang="{language}">' in text
        assert "Northgate" in text
        for private in ("Oui", "Camille", "patient.", "example.org", "+33", RECALL, "Clinique", link[3:]):
            assert private not in text, private
        assert '<meta name="robots" content="noindex, nofollow">' in text
        assert (page["X-Robots-Tag"], page["Referrer-Policy"]) == ("noindex, nofollow", "no-referrer")
        assert page["Cache-Control"] == "no-store"
        assert "script" not in page["Content-Security-Policy"]
        assert "default-src 'none'" in page["Content-Security-Policy"]
        assert "<script" not in text
        assert not page.cookies


def test_what_is_just_leaving_is_not_said_to_be_stopped(consenting, link, now):
    with record(Action.CONSENTS_READ, by=system_actor(), now=now, clinic_id=consenting.clinic_id, about=consenting.id):
        Attempt.objects.create(
            id=uuid4(),
            message_id=uuid4(),
            clinic_id=consenting.clinic_id,
            patient_id=consenting.id,
            purpose=RECALL,
            channel=Channel.EMAIL,
            owner=uuid4(),
            claimed_at=now,
            lease_until=now + timedelta(seconds=30),
        )

    client = Client(headers={"accept-language": "en"})
    answers = [client.post(link), client.get(link)]

    for answer in answers:
        assert "Noted: this is being stopped" in answer.content.decode()
    assert (RECALL, Channel.EMAIL) not in given(consenting)


def test_only_get_head_and_post_are_answered(link):
    for method in ("put", "delete", "patch", "options"):
        assert getattr(Client(), method)(link).status_code == 405


def test_whoever_tries_tokens_is_slowed_down_and_a_good_link_never_is(consenting, link, settings):
    settings.ACCORD_REQUESTS_WITHOUT_TOKEN = 5
    client = Client()
    tried = [client.get(f"/u/{number:022d}").status_code for number in range(7)]

    assert tried == [200] * 5 + [429] * 2
    assert client.post(link, **ONE_CLICK).status_code == 200
    assert len(withdrawals(consenting)) == 1


def test_a_sign_that_a_mail_program_hung_on_is_no_obstacle(consenting, link):
    for sign in ("/", ".", ")."):
        assert "Northgate" in Client().get(f"{link}{sign}").content.decode()


def test_a_link_is_one_row_for_ever_and_its_token_is_nowhere(consenting, link, now):
    row = UnsubscribeLink.objects.get()
    way = Way(clinic_id=row.clinic_id, patient_id=row.patient_id, purpose_id=row.purpose_id, channel=Channel.EMAIL)

    make_links([way, way], actor=system_actor(), now=now + DAY)

    assert UnsubscribeLink.objects.get().id == row.id
    token = way.token()
    assert link == f"/u/{token}"
    assert len(token) == 22
    assert bytes(row.token_digest) == digest_of(token)
    assert token.encode() not in bytes(row.token_digest)
    others = {
        Way(clinic_id=row.clinic_id, patient_id=patient, purpose_id=row.purpose_id, channel=channel).token()
        for patient in (consenting.id, uuid4())
        for channel in Channel
    }
    assert len(others) == 2 * len(Channel)


def test_an_old_link_works_as_on_the_first_day(northgate, now, settings):
    settings.ACCORD_CLOCK_OFFSET += 10 * 365 * 86_400
    patient = make_patient(northgate.id, now=now)
    consent(patient, purpose=REMINDER, channels=[Channel.SMS], now=now)

    purpose = get_purpose(clinic_id=northgate.id, slug=REMINDER)
    way = Way(clinic_id=northgate.id, patient_id=patient.id, purpose_id=purpose.id, channel=Channel.SMS)
    make_links([way], actor=system_actor(), now=now)

    Client().post(f"/u/{way.token()}")

    assert withdrawals(patient) == [(REMINDER, "sms", "web")]


def test_french_is_set_as_french_is_set():
    def sentences(words):
        for value in words.values():
            yield from sentences(value) if isinstance(value, dict) else [value]

    for sentence in sentences(WORDS[Language.FRENCH]):
        assert "'" not in sentence
        assert '"' not in sentence
        for sign, before in {":": NO_BREAK, "?": NARROW, ";": NARROW, "!": NARROW}.items():
            assert sentence.count(sign) == sentence.count(before + sign), sentence
    assert set(WORDS[Language.FRENCH]) == set(WORDS[Language.ENGLISH])


def test_the_first_of_a_month_is_written_as_it_is_said(now):
    first = now.replace(month=3, day=1)

    assert moment(first, Language.FRENCH, "Europe/Paris") == "1er mars 2026 à 9\N{NO-BREAK SPACE}h\N{NO-BREAK SPACE}00"
    assert moment(first, Language.ENGLISH, "Europe/Paris") == "1 March 2026 at 9:00"
