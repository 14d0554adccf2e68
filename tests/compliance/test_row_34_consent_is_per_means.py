"""Row 34, ePrivacy Art. 13(1) and CPCE L.34-5: prior consent for each means; a yes to e-mail is no yes to SMS."""

from backend.consent.operations import give_consent
from backend.policy.vocabulary import Channel
from tests.consent.test_deciding import say
from tests.consent.test_ending import answer


def test_a_yes_to_email_sends_no_sms(silent, now):
    say(give_consent, silent, now, channels=[Channel.EMAIL])

    assert answer(silent, now, channel=Channel.EMAIL)[0] == "allow"
    assert answer(silent, now, channel=Channel.SMS) == ("deny", {"no_consent"})
