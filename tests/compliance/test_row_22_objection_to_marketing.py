"""Row 22, GDPR Art. 21(2), (3): an objection to marketing is absolute, no preference, role or import undoes it."""

from hypothesis import given
from hypothesis import strategies as st

from backend.policy.contact import EVERY_MARKETING
from backend.policy.vocabulary import ConsentStatus, Decided, Reason
from tests.policy.facts import OFFERS, consent, decide


@given(status=st.sampled_from(ConsentStatus), objections=st.sampled_from([{EVERY_MARKETING}, {OFFERS.slug}]))
def test_whatever_was_consented_to_it_stays_a_no(status, objections):
    verdict = decide(purpose=OFFERS, objections=frozenset(objections), consents=(consent(status, purpose=OFFERS.slug),))

    assert verdict.decided is Decided.DENY
    assert verdict.reasons[0] is Reason.OBJECTED
