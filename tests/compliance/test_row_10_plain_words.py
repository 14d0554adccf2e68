"""Row 10, GDPR Art. 12(1): plain words; what is read before answering is as easy as a newspaper, or easier.

A child who decides together with a parent is shown a text of their own, easier still, and it is the text that is kept.
"""

import re
from io import StringIO

import pytest
from django.core.management import call_command

from backend.audit.actors import system_actor
from backend.clinics.models import Clinic
from backend.consent.models import ConsentEvent, Notice, NoticeServed
from backend.consent.operations import publish_notice
from backend.policy.vocabulary import Language, Tone
from backend.programmes.library.catalogue import load_notice, load_purposes, load_templates
from tests.api.conftest import born
from tests.api.conftest import mother as mother  # noqa: PLC0414 - a fixture
from tests.api.test_represented import YES, of
from tests.conftest import DAY
from tests.factories.patients import make_patient
from tests.factories.programmes import whole_notice

VOWELS = {
    Language.FRENCH: r"[aeiouyàâäéèêëîïôöùûüÿœ]+",
    Language.ENGLISH: r"[aeiouy]+",
}
SILENT = {Language.FRENCH: r"(?<=[^\W\d_]{2})e(s|nt)?$", Language.ENGLISH: r"(?<=[^\W\d_]{2})(e|ed|es)$"}


def syllables(word: str, language: Language) -> int:
    spoken = re.sub(SILENT[language], "", word.lower())
    return max(1, len(re.findall(VOWELS[language], spoken)))


def ease(text: str, language: Language) -> float:
    """Reading ease, 0 to 100: Flesch (1948) for English, Kandel and Moles (1958) for French. 60 is plain language."""
    spoken = re.sub(r"\([^)]*\)|www\.\S+|\{\{.*?\}\}", "", text)
    sentences = [part for part in re.split(r"[.?!:;\n]+", spoken) if re.search(r"\w", part)]
    words = re.findall(r"[^\W\d_]+", spoken)
    length = len(words) / len(sentences)
    per_word = sum(syllables(word, language) for word in words) / len(words)
    if language is Language.FRENCH:
        return 207 - 1.015 * length - 73.6 * per_word
    return 206.835 - 1.015 * length - 84.6 * per_word


def test_the_measure_tells_hard_words_from_plain_ones():
    hard, plain = (
        "La contextualisation organisationnelle nécessite une formalisation.",
        "Vous dites oui. Rien ne change.",
    )
    assert ease(hard, Language.FRENCH) < 0
    assert ease(plain, Language.FRENCH) > 60
    hard, plain = "Organisational considerations necessitate formalisation.", "You say yes. Nothing changes."
    assert ease(hard, Language.ENGLISH) < 0
    assert ease(plain, Language.ENGLISH) > 60


@pytest.mark.parametrize("language", list(Language))
def test_the_notice_that_a_patient_is_shown_is_plain(db, as_patient, now, language):
    call_command(
        "set_up_clinic",
        "lilas",
        name="Cabinet des Lilas",
        telephone="01 99 00 00 01",
        address="1 rue des Lilas",
        stdout=StringIO(),
    )
    patient = make_patient(Clinic.objects.get(slug="lilas").id, now=now)

    (notice,) = as_patient(patient).get(f"/api/v1/me/notices?language={language}").json()["results"]

    assert ease(notice["body"], language) >= 60
    for slug, statement in notice["statements"].items():
        assert ease(statement, language) >= 60, slug


@pytest.mark.parametrize("purpose", load_purposes(), ids=lambda one: one.slug)
@pytest.mark.parametrize("language", list(Language))
def test_what_is_asked_is_plain(purpose, language):
    assert ease(purpose.statements[language], language) >= 60


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("tone", [Tone.FORMAL, Tone.PLAIN])
def test_the_ready_made_messages_are_plain(language, tone):
    for template in load_templates().values():
        written = [one.body for one in template.variants if (one.language, one.tone) == (language, tone)]
        assert ease(" ".join(written), language) >= 60, template.slug


# ------------------------------------------------------------------------------------------------------- for children

EASY = 80  # Flesch's table of 1948: 80 to 90 is easy, what a child of eleven or twelve reads.
NOTICES = "/api/v1/clinics/northgate/notices"


@pytest.fixture
def northgate_for_all(northgate, now):
    """Northgate, whose newest notice has words for children."""
    publish_notice(clinic_id=northgate.id, **whole_notice(northgate.id), actor=system_actor(), now=now - 2 * DAY)
    return northgate


def patient_of(clinic, now, years):
    return make_patient(clinic.id, now=now - DAY, birth_date=born(now, years))


def shown_to(client, path="/api/v1/me/notices"):
    return {one["language"]: one for one in client.get(path).json()["results"]}


@pytest.mark.parametrize("language", list(Language))
def test_the_ready_made_text_for_children_is_easier_than_that_for_all(language):
    notice = load_notice()
    child = notice.child_texts[language][1]

    assert ease(child, language) >= EASY
    assert ease(child, language) > ease(notice.texts[language][1], language)
    assert len(child) < len(notice.texts[language][1]) / 2


@pytest.mark.parametrize("purpose", [one for one in load_purposes() if one.child_statements], ids=lambda one: one.slug)
@pytest.mark.parametrize("language", list(Language))
def test_what_a_child_is_asked_is_easy(purpose, language):
    assert ease(purpose.child_statements[language], language) >= EASY


def test_every_purpose_that_is_asked_for_has_words_for_children_in_the_library():
    assert {one.slug for one in load_purposes() if one.child_statements} == {
        "appointment_reminder",
        "vaccination_recall",
    }


@pytest.mark.parametrize(("years", "audience"), [(9, "child"), (14, "child"), (15, "everybody"), (40, "everybody")])
def test_a_child_who_decides_with_a_parent_is_shown_their_own_text(northgate_for_all, as_patient, now, years, audience):
    for notice in shown_to(as_patient(patient_of(northgate_for_all, now, years))).values():
        assert (notice["audience"], notice["version"]) == (audience, 2)


def test_what_the_child_was_shown_is_what_is_kept_and_the_parent_was_shown_the_rest(
    northgate_for_all, as_patient, mother, now
):
    child = patient_of(northgate_for_all, now, 10)
    app, (parent, _id) = as_patient(child), mother(child)
    theirs, whole = shown_to(app)["fr"], shown_to(parent, of(child, "/notices"))["fr"]
    said = {**YES, "notice_version": theirs["version"]}

    served = {"notice_version": 2, "language": "fr", "audience": theirs["audience"]}
    assert app.post("/api/v1/me/notices/served", served).status_code == 201
    assert parent.post(of(child, "/consents"), said).json()["state"] == "pending"
    assert app.post("/api/v1/me/consents", said).json()["state"] == "given"

    assert theirs["sha256"] != whole["sha256"]
    events = ConsentEvent.objects.filter(patient_id=child.id).order_by("number")
    assert [one.notice_sha256 for one in events] == [whole["sha256"], theirs["sha256"]]
    assert NoticeServed.objects.get(patient_id=child.id).notice.sha256 == theirs["sha256"]
    taken = app.get("/api/v1/me/export?format=json").json()
    assert {one["audience"]: one["sha256"] for one in taken["notices"]} == {
        "child": theirs["sha256"],
        "everybody": whole["sha256"],
    }


def test_a_childs_no_is_said_to_their_own_text_too(northgate_for_all, as_patient, now):
    child = patient_of(northgate_for_all, now, 10)

    assert (
        as_patient(child)
        .post("/api/v1/me/consents", {**YES, "notice_version": 2, "decision": "refused"})
        .json()["state"]
        == "refused"
    )

    assert ConsentEvent.objects.get(patient_id=child.id).notice.audience == "child"


def test_the_receipt_of_a_child_leads_to_their_words(northgate_for_all, as_patient, mother, client, now):
    child = patient_of(northgate_for_all, now, 10)
    app = as_patient(child)
    event = app.post("/api/v1/me/consents", {**YES, "notice_version": 2}).json()["events"]["sms"]
    told = app.get(f"/api/v1/me/consents/{event}/receipt?format=dpv").json()
    [record] = told["dpv:hasRecordOfActivity"]
    address = record["dpv:hasNotice"]["@id"]

    assert address.endswith("/notices/northgate/2/fr/child")
    page = client.get("/" + address.partition("//")[2].partition("/")[2])
    assert page.status_code == 200
    assert Notice.objects.get(version=2, language="fr", audience="child").sha256 in page.content.decode()
    assert 'href="/notices/northgate/2/fr"' in page.content.decode()


def test_a_notice_without_words_for_children_is_not_approved_unless_no_child_is_asked(northgate, desk, officer):
    words = whole_notice(northgate.id)["texts"]
    body = {language.value: {"title": title, "body": text} for language, (title, text) in words.items()}
    draft = desk.post(NOTICES, body).json()
    approve = f"{NOTICES}/{draft['id']}/approve"
    approval = {"materiality": "editorial", "reason": "Clearer words."}

    assert {(one["language"], one["element"]) for one in draft["missing"]} == {("fr", "children"), ("en", "children")}
    assert officer.post(approve, approval).json()["code"] == "notice_incomplete"
    excused = {**approval, "not_applicable": {"children": "A clinic of geriatrics."}}
    assert officer.post(approve, excused).status_code == 204


def test_an_older_notice_without_such_words_is_shown_and_kept_as_it_is(northgate, as_patient, now):
    child = patient_of(northgate, now, 10)
    app = as_patient(child)

    assert {one["audience"] for one in shown_to(app).values()} == {"everybody"}
    app.post("/api/v1/me/consents", YES)
    assert ConsentEvent.objects.get(patient_id=child.id).notice.audience == "everybody"


def showing(client, audience):
    answer = client.post(
        "/api/v1/me/notices/served", {"notice_version": 2, "language": "fr", "audience": audience, "screen": "choices"}
    )
    assert answer.status_code == 201, answer.content
    return {"initial_state": "off", "notice_served": answer.json()["id"]}


@pytest.mark.parametrize("audience", ["child", "everybody"])
def test_a_child_whose_app_names_what_it_showed_answers_to_just_that(northgate_for_all, as_patient, now, audience):
    child = patient_of(northgate_for_all, now, 10)
    app = as_patient(child)

    said = app.post("/api/v1/me/consents", {**YES, "notice_version": 2, "shown": showing(app, audience)})

    assert said.status_code == 201, said.content
    assert ConsentEvent.objects.get(patient_id=child.id).notice.audience == audience


def test_an_adult_who_was_shown_the_text_for_children_was_not_told_enough(northgate_for_all, as_patient, now):
    adult = patient_of(northgate_for_all, now, 40)
    app = as_patient(adult)

    refused = app.post("/api/v1/me/consents", {**YES, "notice_version": 2, "shown": showing(app, "child")})

    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == "shown.notice_served"
    assert not ConsentEvent.objects.filter(patient_id=adult.id).exists()
