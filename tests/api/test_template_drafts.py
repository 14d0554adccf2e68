"""Staff write templates through the API: linted, previewed, approved, published; nobody else does."""

import pytest

from backend.consent.operations import define_purpose
from backend.policy.vocabulary import Channel, Language, Nature
from tests.api.conftest import Client
from tests.factories.programmes import REMINDER

NORTHGATE = "/api/v1/clinics/northgate"
DRAFT = f"{NORTHGATE}/templates/{REMINDER}/draft"
SMS = {
    "channel": "sms",
    "language": "fr",
    "tone": "formal",
    "body": "{{ clinic.discreet_name }} : nous vous attendons le {{ appointment.short_date }}.",
}
EMAIL = {
    "channel": "email",
    "language": "fr",
    "tone": "formal",
    "subject": "Un message de votre clinique",
    "body": "Bonjour {{ patient.first_name }},\n\nNous vous attendons le {{ appointment.date }}.",
}
WORDS = {"purpose": REMINDER, "variants": [SMS]}


@pytest.fixture
def news(northgate, reception, now):
    define_purpose(
        clinic_id=northgate.id,
        slug="news",
        nature=Nature.MARKETING,
        channels=(Channel.SMS,),
        names=dict.fromkeys(Language, "news"),
        statements=dict.fromkeys(Language, "news"),
        actor=reception,
        now=now,
    )
    return f"{NORTHGATE}/templates/newsletter/draft", {**WORDS, "purpose": "news"}


def test_from_a_draft_to_a_version(desk: Client) -> None:
    saved = desk.post(DRAFT, WORDS)
    read = desk.get(DRAFT)
    published = desk.post(f"{DRAFT}/publish", {"revision": 1})

    assert saved.status_code == 201, saved.content
    assert (read.json(), read.headers["ETag"]) == (saved.json(), '"1"')
    assert (saved.json()["revision"], saved.json()["needs_approval"]) == (1, False)
    assert published.status_code == 201, published.content
    assert published.json()["version"] == 2
    assert desk.get(DRAFT).status_code == 404
    assert [one["version"] for one in desk.get(f"{NORTHGATE}/templates/{REMINDER}/versions").json()["results"]] == [
        2,
        1,
    ]


def test_findings_say_where_and_what_to_do_in_the_language_of_the_request(desk: Client) -> None:
    body = "{{ clinic.discreet_name }} : nos soldes."
    asked = {"slug": "x", "purpose": REMINDER, "variants": [{**SMS, "body": body}]}

    english = desk.post(f"{NORTHGATE}/templates/lint", asked).json()
    french = desk.post(f"{NORTHGATE}/templates/lint?language=fr", asked).json()

    (found,) = [one for one in english["findings"] if one["severity"] == "refuse"]
    assert english["refused"] == 1
    assert (found["code"], found["field"], found["channel"]) == ("promotion_in_care", "body", "sms")
    assert body[found["start"] : found["end"]] == "soldes"
    assert found["sentence"] == "“soldes” is promotion: this purpose is not for it."
    assert french["findings"][0]["sentence"].startswith("« soldes » est de la promotion")
    assert french["findings"][0]["fix"]


def test_a_draft_that_was_changed_meanwhile_is_not_overwritten(desk: Client) -> None:
    desk.post(DRAFT, WORDS)

    for tag, status in (('"7"', 412), ('"x"', 412), ('"1"', 201)):
        answer = desk.post(DRAFT, WORDS, headers={"If-Match": tag})
        assert answer.status_code == status
    assert answer.json()["revision"] == 2
    late = desk.post(f"{DRAFT}/publish", {"revision": 1})
    assert (late.status_code, late.json()["code"]) == (412, "draft_changed")


def test_what_the_linter_refuses_stays_a_draft(desk: Client) -> None:
    bad = {**SMS, "body": "Cliquez."}
    desk.post(DRAFT, {**WORDS, "variants": [bad]})

    as_draft = desk.post(f"{DRAFT}/publish", {"revision": 1})
    at_once = desk.post(f"{NORTHGATE}/templates", {"slug": "x", "purpose": REMINDER, "variants": [bad]})

    assert (as_draft.status_code, as_draft.json()["code"]) == (409, "template_refused")
    assert (at_once.status_code, at_once.json()["code"]) == (409, "template_refused")
    assert at_once.json()["findings"] == ["promotion_in_care", "sender_missing"]


def test_marketing_needs_a_professional_who_did_not_write_it(desk: Client, doctor: Client, news) -> None:
    path, words = news
    desk.post(path, words)

    too_early = desk.post(f"{path}/publish", {"revision": 1})
    by_writer = desk.post(f"{path}/approve", {"revision": 1})
    approved = doctor.post(f"{path}/approve", {"revision": 1})
    published = desk.post(f"{path}/publish", {"revision": 1})
    doctor.post(path, words)
    own = doctor.post(f"{path}/approve", {"revision": 1})

    assert (too_early.status_code, too_early.json()["code"]) == (409, "template_not_approved")
    assert (by_writer.status_code, by_writer.json()["code"]) == (403, "template_needs_professional")
    assert approved.json()["approved_at"]
    assert published.status_code == 201, published.content
    assert (own.status_code, own.json()["code"]) == (403, "own_words")


def test_a_draft_is_thrown_away(desk: Client) -> None:
    desk.post(DRAFT, WORDS)

    assert desk.delete(DRAFT).status_code == 204
    assert desk.delete(DRAFT).status_code == 404


def test_a_preview_shows_every_form_and_what_others_may_see(desk: Client) -> None:
    asked = {"slug": "x", "purpose": REMINDER, "variants": [SMS, EMAIL]}

    shown = desk.post(f"{NORTHGATE}/templates/preview", asked).json()["previews"]

    assert [(one["channel"], one["form"]) for one in shown] == [
        ("sms", "full"),
        ("sms", "discreet"),
        ("sms", "no_first_name"),
        ("sms", "parent"),
        ("email", "full"),
        ("email", "no_first_name"),
        ("email", "large_print"),
        ("email", "parent"),
    ]
    sms, email = shown[0], shown[4]
    assert sms["text"].startswith("Northgate : nous vous attendons le 12/03.\nNe plus recevoir : http")
    assert sms["segments"] == {"encoding": "gsm7", "units": len(sms["text"]), "parts": 1, "outside": []}
    assert sms["lock_screen"] == [sms["text"]]
    assert email["text"].startswith("Bonjour Camille,")
    assert shown[5]["text"].startswith("Bonjour,")
    assert "24px" in shown[6]["html"]
    assert email["lock_screen"] == ["Un message de votre clinique", email["text"][:100]]
    assert email["segments"] is None


def test_the_letters_that_make_an_sms_dearer_are_shown(desk: Client) -> None:
    dear = {**SMS, "body": "{{ clinic.discreet_name }} : vous êtes attendu."}

    shown = desk.post(f"{NORTHGATE}/templates/preview", {"slug": "x", "purpose": REMINDER, "variants": [dear]}).json()

    assert shown["previews"][0]["segments"]["outside"] == ["ê"]
    assert shown["previews"][0]["segments"]["encoding"] == "ucs2"


def test_words_that_can_not_be_filled_have_no_preview(desk: Client) -> None:
    broken = {**SMS, "body": "{{ nobody }}"}

    answer = desk.post(f"{NORTHGATE}/templates/preview", {"slug": "x", "purpose": REMINDER, "variants": [broken]})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "variants")


def test_only_staff_write_and_the_officer_reads(desk: Client, officer: Client, stranger: Client, me: Client) -> None:
    desk.post(DRAFT, WORDS)

    assert officer.get(DRAFT).status_code == 200
    assert officer.post(DRAFT, WORDS).status_code == 403
    assert officer.post(f"{DRAFT}/approve", {"revision": 1}).status_code == 403
    for client in (stranger, me):
        assert client.get(DRAFT).status_code in {403, 404}
        assert client.post(f"{DRAFT}/publish", {"revision": 1}).status_code in {403, 404}
