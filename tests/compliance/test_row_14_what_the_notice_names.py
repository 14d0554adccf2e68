"""Row 14, GDPR Art. 13 and 14: the notice names the source, recipients, retention, rights and the authority.

The ready-made one does, and one that a clinic writes is not approved, nor published, before it does. The program finds
what was forgotten; whether what is said is true is for the officer.
"""

from io import StringIO

import pytest
from django.core.management import call_command

from backend.audit.actors import system_actor
from backend.clinics.models import Clinic
from backend.consent.models import Notice, NoticeDraft
from backend.consent.operations import define_purpose
from backend.policy.notices import WHERE_IT_APPLIES, NoticeElement
from backend.policy.vocabulary import Channel, Language, Nature
from tests.factories.patients import make_patient
from tests.factories.programmes import whole_notice

NAMED = {
    "controller": ("Cabinet des Lilas est responsable de vos données", "Cabinet des Lilas is responsible for your"),
    "contact": ("01 99 00 00 01", "01 99 00 00 01"),
    "officer": ("délégué à la protection des données", "data protection officer"),
    "purposes": ("les messages que vous choisissez", "the messages that you choose"),
    "basis": ("articles 6, paragraphe 1, point a, et 9, paragraphe 2, point a", "Articles 6(1)(a) and 9(2)(a)"),
    "recipients": ("opérateur de SMS, service d’e-mail", "text message operator, email service"),
    "transfers": ("hors de l’Union européenne", "outside the European Union"),
    "source": ("viennent de vous et de votre dossier chez nous", "come from you and from your file with us"),
    "categories": ("Certaines sont des données de santé", "Some of them are health data"),
    "retention": ("trois ans au plus", "three years at most"),
    "proof": ("cinq ans au plus, comme preuve", "five years at most, as proof"),
    "access": ("(accès)", "(access)"),
    "rectification": ("(rectification)", "(rectification)"),
    "erasure": ("(effacement)", "(erasure)"),
    "restriction": ("(limitation)", "(restriction)"),
    "objection": ("(opposition)", "(objection)"),
    "portability": ("(portabilité)", "(portability)"),
    "withdrawal": ("aussi simplement que vous l’avez donné", "as easily as you gave it"),
    "consequence": ("Rien ne change pour vos soins", "Nothing changes for your care"),
    "authority": ("CNIL", "CNIL"),
    "automated": ("Il ne décide rien sur votre santé", "It decides nothing about your health"),
}


@pytest.fixture
def shown(db, as_patient, now):
    """What a patient of a clinic that was just set up is shown, in each language."""
    call_command(
        "set_up_clinic",
        "lilas",
        name="Cabinet des Lilas",
        telephone="01 99 00 00 01",
        address="1 rue des Lilas",
        stdout=StringIO(),
    )
    patient = make_patient(Clinic.objects.get(slug="lilas").id, now=now)
    return {one["language"]: one for one in as_patient(patient).get("/api/v1/me/notices").json()["results"]}


@pytest.mark.parametrize("item", NAMED)
def test_it_names(shown, item):
    french, english = NAMED[item]

    assert french in shown["fr"]["body"]
    assert english in shown["en"]["body"]


def test_it_is_layered_a_sentence_for_each_purpose_then_the_whole(shown):
    for notice in shown.values():
        assert {"appointment_reminder", "vaccination_recall"} <= notice["statements"].keys()
        assert all(len(sentence) < len(notice["body"]) / 4 for sentence in notice["statements"].values())


# ------------------------------------------------------------------------------------- what a clinic writes itself

NOTICES = "/api/v1/clinics/northgate/notices"
APPROVAL = {"materiality": "editorial", "reason": "Clearer words."}
# In words of somebody else: what is read must not be our own phrases only.
IN_OTHER_WORDS = {
    "fr": """
        Responsable du traitement : Clinique Northgate, 1 rue des Tilleuls. Déléguée à la protection des données :
        moi@northgate.example. Nous traitons vos coordonnées et la date de vos rendez-vous pour vous écrire ; la base
        légale est votre consentement, que vous pouvez retirer à tout moment. Les données proviennent du logiciel de
        la clinique. Destinataires : notre prestataire d’e-mails et notre opérateur, tous deux en France ; aucun
        transfert vers un pays tiers. Durée de conservation : 3 ans. Vous disposez d'un droit d'accès, de
        rectification, d'effacement, d'opposition, de portabilité, et à la limitation. Répondre est facultatif. Aucune
        décision n’est automatisée. Réclamations : Commission nationale de l’informatique et des libertés.
    """,
    "en": """
        Controller: Clinique Northgate, 1 rue des Tilleuls. Data protection officer: moi@northgate.example. We process
        your contact details and the dates of your appointments to write to you; the legal basis is your consent, which
        you can withdraw at any time. The data were obtained from the clinic's software. Recipients: our e-mail
        provider and our telephone operator, both in France; nothing goes to a third country. Retention period: 3 years.
        You have the right of access, rectification, erasure, objection and portability, and to restriction. Answering
        is optional. No decision is automated. Complaints: Commission nationale de l'informatique et des libertés.
    """,
}
# What is taken out of each text, so that one thing is not named any more.
WITHOUT = {
    "controller": (["Clinique Northgate"], ["Clinique Northgate"]),
    "contact": (
        ["1 rue des Tilleuls", "moi@northgate.example"],
        ["1 rue des Tilleuls", "moi@northgate.example"],
    ),
    "officer": (["Déléguée à la protection des données"], ["Data protection officer"]),
    "basis": (["la base\n        légale est"], ["the legal basis is"]),
    "categories": (["vos coordonnées et"], ["your contact details and"]),
    "source": (["Les données proviennent du logiciel"], ["The data were obtained from the clinic's software"]),
    "recipients": (
        ["Destinataires", "prestataire d’e-mails", "opérateur"],
        ["Recipients", "provider", "operator"],
    ),
    "transfers": (["vers un pays tiers"], ["to a third country"]),
    "retention": (["Durée de conservation : 3 ans."], ["Retention period: 3 years."]),
    "access": (["d'accès,"], ["of access,"]),
    "rectification": (["de\n        rectification,"], ["rectification,"]),
    "erasure": (["d'effacement,"], ["erasure,"]),
    "restriction": (["et à la limitation"], ["and to restriction"]),
    "objection": (["d'opposition,"], ["objection"]),
    "portability": (["de portabilité,"], ["portability"]),
    "withdrawal": (["que vous pouvez retirer"], ["which\n        you can withdraw"]),
    "authority": (
        ["Commission nationale de l’informatique"],
        ["Commission nationale de l'informatique"],
    ),
    "consequence": (["Répondre est facultatif."], ["Answering\n        is optional."]),
    "automated": (["décision n’est automatisée"], ["No decision is automated"]),
}


def draft_of(desk, texts, *, for_children="Pour toi."):
    body = {code: {"title": "Vos choix", "body": text} for code, text in texts.items()}
    children = {code: {"title": "Tes choix", "body": for_children} for code in texts}
    answer = desk.post(NOTICES, {**body, "children": children} if for_children else body)
    assert answer.status_code == 201, answer.content
    return answer.json()


def approve(officer, draft_id, **more):
    return officer.post(f"{NOTICES}/{draft_id}/approve", {**APPROVAL, **more})


def without(element):
    """The texts, one thing taken out of each."""
    texts = dict(IN_OTHER_WORDS)
    for code, phrases in zip(("fr", "en"), WITHOUT[element], strict=True):
        for phrase in phrases:
            assert phrase in texts[code], phrase
            texts[code] = texts[code].replace(phrase, "")
    return texts


@pytest.mark.parametrize("texts", ["ready-made", "in other words"])
def test_one_that_names_everything_is_approved_and_published(northgate, desk, officer, texts):
    ours = {language.value: body for language, (_title, body) in whole_notice(northgate.id)["texts"].items()}
    draft = draft_of(desk, ours if texts == "ready-made" else IN_OTHER_WORDS)

    assert draft["missing"] == []
    assert approve(officer, draft["id"]).status_code == 204
    assert desk.post(f"{NOTICES}/{draft['id']}/publish").json() == {"version": 2}


@pytest.mark.parametrize("element", WITHOUT)
def test_what_is_forgotten_is_named_in_the_refusal(northgate, desk, officer, element):
    draft = draft_of(desk, without(element))
    refused = approve(officer, draft["id"])

    assert (refused.status_code, refused.json()["code"]) == (409, "notice_incomplete")
    assert refused.json()["missing"] == draft["missing"]
    assert [(one["language"], one["element"]) for one in draft["missing"]] == [("fr", element), ("en", element)]
    assert all(one["article"] and one["looks_for"] for one in draft["missing"])
    assert NoticeDraft.objects.get(id=draft["id"]).approved_at is None
    assert desk.post(f"{NOTICES}/{draft['id']}/publish").json()["code"] == "notice_not_approved"


def test_every_element_is_tried_here():
    # The text for children: row 10.
    assert {*WITHOUT, "purposes", "children"} == {element.value for element in NoticeElement}


def test_a_language_alone_is_read_alone(northgate, desk):
    missing = draft_of(desk, {**IN_OTHER_WORDS, "en": without("authority")["en"]})["missing"]

    assert [(one["language"], one["element"]) for one in missing] == [("en", "authority")]


def test_a_purpose_without_its_sentence_is_missed_also_if_it_came_after_the_approval(northgate, desk, officer, now):
    draft_id = draft_of(desk, IN_OTHER_WORDS)["id"]
    assert approve(officer, draft_id).status_code == 204
    define_purpose(
        clinic_id=northgate.id,
        slug="webinars",
        nature=Nature.MARKETING,
        channels=(Channel.EMAIL,),
        names=dict.fromkeys(Language, "Webinars"),
        statements={Language.FRENCH: "Nous vous invitons."},
        actor=system_actor(),
        now=now,
    )

    refused = desk.post(f"{NOTICES}/{draft_id}/publish")

    assert refused.json()["code"] == "notice_incomplete"
    assert [(one["language"], one["element"]) for one in refused.json()["missing"]] == [("en", "purposes")]
    assert Notice.objects.filter(clinic_id=northgate.id, version=2).count() == 0


@pytest.mark.parametrize("element", sorted(WHERE_IT_APPLIES & set(WITHOUT)))
def test_what_the_law_asks_for_where_it_applies_the_officer_may_say_does_not(northgate, desk, officer, element):
    draft_id = draft_of(desk, without(element))["id"]

    assert approve(officer, draft_id, not_applicable={element: " "}).status_code == 400
    assert approve(officer, draft_id, not_applicable={element: "Nothing of the kind is done."}).status_code == 204
    assert NoticeDraft.objects.get(id=draft_id).not_applicable == {element: "Nothing of the kind is done."}
    assert desk.post(f"{NOTICES}/{draft_id}/publish").status_code == 201


@pytest.mark.parametrize("element", sorted(set(NoticeElement) - WHERE_IT_APPLIES))
def test_nobody_excuses_what_a_notice_can_not_do_without(northgate, desk, officer, element):
    draft_id = draft_of(desk, IN_OTHER_WORDS)["id"]

    assert approve(officer, draft_id, not_applicable={element: "We would rather not."}).status_code == 400
    assert NoticeDraft.objects.get(id=draft_id).approved_at is None
