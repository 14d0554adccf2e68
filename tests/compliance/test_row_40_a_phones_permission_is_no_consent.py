"""Row 40, push: a phone that lets notifications through is no consent; a token is the last one's to sign in.

Marketing, care and satisfaction are categories of their own on the phone, which its owner can silence one by one.
"""

import pytest

from backend.consent.operations import define_purpose, give_consent
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.operations import VariantText, publish_template
from backend.policy.vocabulary import CATEGORY_OF, Channel, Language, Nature, Tone
from backend.programmes.operations import approve_programme, plan_programmes, start_programme, write_programme
from sandbox import Sandbox
from tests.conftest import DAY, HOUR
from tests.consent.test_deciding import say
from tests.consent.test_ending import answer
from tests.factories.carriers import carriers_in_test, carriers_to, given_to, settings_for
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import REMINDER

TOKEN = "one-phone-in-the-family"


def register(app):
    made = app.post("/api/v1/me/devices", {"token": TOKEN, "kind": "token"})
    assert made.status_code == 201, made.content


def remind(patient, now):
    make_appointment(patient, starts_at=now + DAY + 4 * HOUR, now=now)
    carriers = carriers_in_test()
    plan_programmes(now=now)
    deliver_due_messages(now=now, carriers=carriers)
    return given_to(carriers)


def test_a_registered_phone_alone_gets_nothing(northgate, as_patient, now):
    patient = make_patient(northgate.id, now=now - DAY, device=False)
    register(as_patient(patient))

    assert answer(patient, now, channel=Channel.PUSH) == ("deny", {"no_consent"})
    assert remind(patient, now) == []


def test_a_yes_to_other_means_is_no_yes_to_push(northgate, as_patient, now):
    patient = make_patient(northgate.id, now=now - DAY, device=False)
    register(as_patient(patient))
    say(give_consent, patient, now, channels=[Channel.SMS, Channel.EMAIL])

    assert Channel.PUSH not in {message.channel for message in remind(patient, now)}


def test_a_phone_shows_nothing_of_whoever_used_it_before(northgate, as_patient, now):
    before, after = (make_patient(northgate.id, now=now - DAY, device=False) for _ in range(2))
    for patient in (before, after):
        consent(patient, purpose=REMINDER, channels=[Channel.PUSH], now=now - DAY)
        register(as_patient(patient))

    assert remind(before, now) == []
    assert [message.to for message in remind(after, now)] == [f"token:{TOKEN}"]


# ------------------------------------------------------------------------------------------------- what a phone files

FILED = {
    Nature.CARE: "care",
    Nature.PREVENTION: "care",
    Nature.SATISFACTION: "satisfaction",
    Nature.MARKETING: "marketing",
}


@pytest.fixture(scope="module")
def running_sandbox(tmp_path_factory):
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


def write_about(nature, northgate, manager, now):
    """A purpose of this nature with a running programme that writes the day before an appointment."""
    slug = f"about_{nature.value}"
    own = {"clinic_id": northgate.id, "now": now - 2 * DAY}
    names = dict.fromkeys(Language, slug)
    define_purpose(
        **own, slug=slug, nature=nature, channels=(Channel.PUSH,), names=names, statements=names, actor=manager
    )
    words = [
        VariantText(channel=Channel.PUSH, language=language, tone=Tone.FORMAL, subject="Accord", body="Bonjour.")
        for language in Language
    ]
    publish_template(**own, slug=slug, purpose=slug, variants=words, actor=manager)
    step = {"key": "d1", "offset": {"days": -1}, "at": "09:00", "worth_for_hours": 22, "template": slug}
    definition = {"occasion": {"kind": "appointment", "topic": ""}, "steps": [step]}
    programme_id = write_programme(**own, slug=slug, names=names, purpose=slug, definition=definition, actor=manager)
    approve_programme(**own, programme_id=programme_id, actor=manager)
    start_programme(**own, programme_id=programme_id, actor=manager)
    return slug


@pytest.mark.parametrize("nature", FILED)
def test_the_nature_of_the_purpose_says_under_which_heading_a_phone_files_it(
    northgate, manager, running_sandbox, now, nature
):
    """On the wire: the heading can be silenced by the owner of the phone, and the others stay."""
    slug = write_about(nature, northgate, manager, now)
    patient = make_patient(northgate.id, now=now - 2 * DAY)
    consent(patient, purpose=slug, channels=[Channel.PUSH], now=now - DAY)
    make_appointment(patient, starts_at=now + DAY + 4 * HOUR, now=now)
    running_sandbox.clear()

    with carriers_to(settings_for(running_sandbox)) as carriers:
        plan_programmes(now=now)
        deliver_due_messages(now=now, carriers=carriers)

    (received,) = running_sandbox.received()
    told = received.payload["message"]
    assert told["android"]["notification"]["channel_id"] == FILED[nature]
    assert told["apns"]["payload"]["aps"] == {"category": FILED[nature], "thread-id": FILED[nature]}
    # The heading, and not the purpose: that would tell more than a phone has to know.
    assert slug not in str(told)


def test_every_nature_has_its_heading_and_marketing_shares_none():
    assert CATEGORY_OF.keys() == set(Nature)
    assert [nature for nature, one in CATEGORY_OF.items() if one is CATEGORY_OF[Nature.MARKETING]] == [Nature.MARKETING]
