"""Row 14, GDPR Art. 13 and 14: the notice names the source, recipients, retention, rights and the authority.

Not yet: only the ready-made notice is read for it; one that a clinic writes is read by its officer alone.
"""

from io import StringIO

import pytest
from django.core.management import call_command

from backend.clinics.models import Clinic
from tests.factories.patients import make_patient

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
