"""Row 20, GDPR Art. 18: a restriction freezes everything but storage."""

from tests.consent.test_ending import answer
from tests.consent.test_objecting import restrict


def test_the_decision_names_the_restriction(consenting, now):
    restrict(consenting, now)

    assert answer(consenting, now) == ("deny", {"restricted"})
