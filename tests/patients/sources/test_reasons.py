import re
from pathlib import Path

import pytest

from backend.patients.sources import reasons
from backend.patients.sources.reasons import REASONS, Why
from backend.patients.sources.records import Problem, Where
from backend.patients.sources.reference import reference_page
from backend.policy.vocabulary import Language

PACKAGE = Path(reasons.__file__).parent
ROOT = PACKAGE.parents[2]
# These are given by whoever stores the records.
GIVEN_ELSEWHERE = {Why.PATIENT_UNKNOWN, Why.PATIENT_AMBIGUOUS, Why.PATIENT_REFUSED, Why.CONTACT_SUPPRESSED}


@pytest.mark.parametrize("language", list(Language))
def test_every_reason_has_a_sentence_in_every_language(language):
    assert set(REASONS) == set(Why)
    assert all(sentences[language].endswith(".") for sentences in REASONS.values())


def test_every_reason_is_given_somewhere():
    sources = [path.read_text(encoding="utf-8") for path in PACKAGE.glob("*.py") if path.name != "reasons.py"]
    given = {Why[name] for text in sources for name in re.findall(r"Why\.([A-Z][A-Z0-9_]+)", text)}

    assert given == set(Why) - GIVEN_ELSEWHERE


def test_a_problem_speaks_french_and_english():
    problem = Problem(where=Where(file="f", line=1), field="telecom[0].value", reason="phone_premium", kind="unusable")

    assert problem.sentence(Language.FRENCH) == "Ce numéro est surtaxé."
    assert problem.sentence(Language.ENGLISH) == "This telephone number costs the caller extra."


def test_the_reference_page_is_current():
    written = (ROOT / "docs/reference/import.md").read_text(encoding="utf-8")

    assert written == reference_page(), "python -m backend.patients.sources.reference > docs/reference/import.md"


def test_the_sources_know_neither_django_nor_a_clock():
    text = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.glob("*.py"))

    assert "import django" not in text
    assert "from django" not in text
    assert ".now(" not in text
    assert ".today(" not in text
