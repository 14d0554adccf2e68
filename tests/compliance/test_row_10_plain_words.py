"""Row 10, GDPR Art. 12(1): plain words; what is read before answering is as easy as a newspaper, or easier.

Not yet: a text of its own for children.
"""

import re
from io import StringIO

import pytest
from django.core.management import call_command

from backend.clinics.models import Clinic
from backend.policy.vocabulary import Language, Tone
from backend.programmes.library.catalogue import load_purposes, load_templates
from tests.factories.patients import make_patient

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
