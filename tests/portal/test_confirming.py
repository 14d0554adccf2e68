"""`/c/{token}`: opening it changes nothing, pressing answers once, and it tells nothing about anybody."""

import re
from datetime import timedelta

from django.apps import apps
from django.test import Client

from backend.audit.actors import system_actor
from backend.consent.models import ConsentEvent
from backend.consent.operations import publish_notice
from backend.consent.queries import get_purpose, states_of
from backend.messaging.carriers.base import OutboundMessage, Outcome
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.links import Way
from backend.messaging.models import Message
from backend.messaging.operations.leaving import make_links
from backend.policy.vocabulary import Channel, ConsentStatus, Language, MessageState
from backend.portal.confirming_words import WORDS
from tests.conftest import HOUR
from tests.factories.carriers import carriers_in_test, taken
from tests.factories.programmes import REMINDER

NO_BREAK, NARROW = "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"


def everything():
    """How many rows every table holds."""
    return {model._meta.label: model._default_manager.count() for model in apps.get_models()}  # noqa: SLF001 - Django's API


def status(patient):
    states = states_of(clinic_id=patient.clinic_id, patient_id=patient.id)
    return next(one.status for one in states if (one.purpose, one.channel) == (REMINDER, Channel.EMAIL))


def test_the_link_in_the_message_is_where_the_yes_is_confirmed(visitor, question, now, browser_without_cookies):
    sent: list[OutboundMessage] = []

    def take(message: OutboundMessage) -> Outcome:
        sent.append(message)
        return taken(message)

    deliver_due_messages(now=now, carriers=carriers_in_test(take))

    (message,) = sent
    (address,) = re.findall(r"https?://\S+", message.text)
    assert address.endswith(question)
    assert "List-Unsubscribe" not in message.headers
    for private in (REMINDER, "Camille", "Visite"):
        assert private not in message.text + message.subject
    assert Message.objects.get().sent_text is None
    answer = browser_without_cookies.post(question, {"decision": "given", "notice_version": "1"})
    assert "<h1>Confirmed</h1>" in answer.content.decode()
    assert status(visitor) is ConsentStatus.GIVEN


def test_nothing_else_leaves_while_it_is_pending(visitor, question, now):
    message = Message.objects.get()

    assert (message.step, message.state) == ("confirm", MessageState.PLANNED)
    assert message.verdict["consent_event_id"] is None
    assert status(visitor) is ConsentStatus.PENDING


def test_a_hundred_gets_and_heads_change_nothing_at_all(visitor, question, browser_without_cookies):
    before = everything()

    for _scanner in range(100):
        assert browser_without_cookies.get(question).status_code == 200
    assert browser_without_cookies.head(question).status_code == 200

    assert everything() == before
    assert status(visitor) is ConsentStatus.PENDING


def test_a_press_without_an_answer_is_none(visitor, question, browser_without_cookies):
    for said in (
        {},
        {"decision": "given"},
        {"decision": "x", "notice_version": "1"},
        {"decision": "given", "notice_version": "é9" * 9},
    ):
        page = browser_without_cookies.post(question, said).content.decode()
        assert "<form" in page

    assert status(visitor) is ConsentStatus.PENDING


def test_pressed_twice_it_was_answered_once(visitor, question, browser_without_cookies):
    yes = {"decision": "given", "notice_version": "1"}
    pages = [
        browser_without_cookies.post(question, said).content.decode()
        for said in (yes, yes, {**yes, "decision": "refused"})
    ]

    assert "<h1>Confirmed</h1>" in pages[0]
    assert all("You said yes by this link already" in page for page in pages[1:])
    assert "<form" not in browser_without_cookies.get(question).content.decode()
    assert ConsentEvent.objects.filter(patient_id=visitor.id).count() == 2


def test_a_notice_that_came_out_meanwhile_is_shown_before_it_is_said_yes_to(
    visitor, question, reception, now, browser_without_cookies
):
    texts = {Language.FRENCH: ("Vos choix", "Nouveau."), Language.ENGLISH: ("Your choices", "Quite new.")}
    publish_notice(clinic_id=visitor.clinic_id, texts=texts, actor=reception, now=now)

    page = browser_without_cookies.post(question, {"decision": "given", "notice_version": "1"}).content.decode()

    assert "The text has changed" in page
    assert "Quite new." in page
    assert 'name="notice_version" value="2"' in page
    assert status(visitor) is ConsentStatus.PENDING


def test_after_seven_days_it_says_so(visitor, question, settings, browser_without_cookies):
    settings.ACCORD_CLOCK_OFFSET += timedelta(days=7).total_seconds()

    page = browser_without_cookies.get(question).content.decode()
    pressed = browser_without_cookies.post(question, {"decision": "given", "notice_version": "1"}).content.decode()

    assert "This link is of no use any more" in page
    assert "It was good until 21 October 2026 at 10:00" in page
    assert "This link is of no use any more" in pressed
    assert status(visitor) is ConsentStatus.PENDING


def test_the_two_buttons_are_alike_and_the_page_names_nobody(question):
    for language, (yes, no) in {"fr": ("Oui", "Non"), "en": ("Yes", "No")}.items():
        answer = Client(headers={"accept-language": language}).get(question)
        text = answer.content.decode()

        buttons = re.findall(r"<button([^>]*)>([^<]*)", text)
        assert [re.sub(r'value="\w+"', "", about) for about, _words in buttons] == [
            ' type="submit" name="decision" '
        ] * 2
        assert buttons[0][1].startswith(yes)
        assert buttons[1][1].startswith(no)
        assert f'<html lang="{language}">' in text
        assert REMINDER in text
        for private in ("Visite", "Camille", "patient.", "example.org", "+33", question[3:]):
            assert private not in text, private
        assert (answer["X-Robots-Tag"], answer["Referrer-Policy"]) == ("noindex, nofollow", "no-referrer")
        assert answer["Cache-Control"] == "no-store"
        assert "script" not in answer["Content-Security-Policy"]
        assert not answer.cookies


def test_tokens_that_lead_nowhere_answer_alike_and_are_slowed_down(question, settings):
    settings.ACCORD_REQUESTS_WITHOUT_TOKEN = 6
    addresses = [f"/c/{'A' * 22}", question[:-3], "/c/", "/c/é", "/c/a/b/c"]

    answers = [Client(headers={"accept-language": "fr"}).get(address) for address in addresses]

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert "Ce lien ne demande rien" in answers[0].content.decode()
    assert [Client().get("/c/nothing").status_code for _again in range(3)][-1] == 429
    assert Client().get(question).status_code == 200


def test_one_press_says_yes_and_one_press_ends_it(visitor, question, now, browser_without_cookies):
    """The pages: as many requests to stop as to start (GDPR Art. 7(3))."""
    requests = []

    def walk(address, said):
        for method, data in (("get", None), ("post", said)):
            requests.append(method)
            getattr(browser_without_cookies, method)(address, data)
        return len(requests)

    to_start = walk(question, {"decision": "given", "notice_version": "1"})
    assert status(visitor) is ConsentStatus.GIVEN
    purpose = get_purpose(clinic_id=visitor.clinic_id, slug=REMINDER)
    way = Way(clinic_id=visitor.clinic_id, patient_id=visitor.id, purpose_id=purpose.id, channel=Channel.EMAIL)
    make_links([way], actor=system_actor(), now=now + HOUR)
    requests.clear()
    to_stop = walk(f"/u/{way.token()}", {})

    assert status(visitor) is ConsentStatus.WITHDRAWN
    assert to_stop <= to_start


def test_french_is_set_as_french_is_set():
    def sentences(words):
        for value in words.values():
            yield from sentences(value) if isinstance(value, dict) else [value]

    for sentence in sentences(WORDS[Language.FRENCH]):
        assert "'" not in sentence
        assert '"' not in sentence
        for sign, before in {":": NO_BREAK, "?": NARROW, ";": NARROW, "!": NARROW}.items():
            assert sentence.count(sign) == sentence.count(before + sign), sentence
    assert {step: set(said) for step, said in WORDS[Language.FRENCH].items()} == {
        step: set(said) for step, said in WORDS[Language.ENGLISH].items()
    }
