"""A whole year through planning, gate and delivery on the real database: three patients, three clocks, offers by SMS.

The suite takes 29 hours at a step, so that every hour of the clock has its turn. Hour by hour it is run by name:

    ACCORD_TEST_YEAR_STEP=1 bin/test tests/messaging/test_a_year.py
"""

import os
from collections import defaultdict
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from backend.audit.actors import system_actor
from backend.consent.operations import define_purpose
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.messaging.operations import VariantText, publish_template
from backend.policy.contact import FrequencyCap
from backend.policy.vocabulary import Channel, Language, MessageState, Nature, Tone
from backend.preferences.operations import PreferenceChange, change_preferences
from backend.programmes.operations import approve_programme, plan_programmes, start_programme, write_programme
from tests.conftest import DAY, HOUR
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import consent, make_appointment, make_patient
from tests.policy.test_a_year_hour_by_hour import ZONES, is_lawful

STEP = HOUR * int(os.environ.get("ACCORD_TEST_YEAR_STEP", "29"))
START = datetime(2026, 12, 28, tzinfo=UTC)
END = datetime(2028, 1, 2, tzinfo=UTC)
OFFERS = "offers"
QUIET = (time(12), time(14))
CAPS = {
    "Europe/Paris": FrequencyCap(max=2, per="week"),
    "America/Martinique": FrequencyCap(max=1, per="day"),
    "Europe/Lisbon": FrequencyCap(max=6, per="month"),
}
# Before dawn, on the window's edges, at noon, at night; on every day of the week.
STEPS = ((-1, "05:30"), (-2, "08:00"), (-3, "12:30"), (-4, "19:59"), (-5, "20:00"), (-6, "23:15"))


def offer(clinic, *, manager, doctor, now):
    define_purpose(
        clinic_id=clinic.id,
        slug=OFFERS,
        nature=Nature.MARKETING,
        channels=(Channel.SMS,),
        names={},
        statements={},
        actor=manager,
        now=now,
    )
    publish_template(
        clinic_id=clinic.id,
        slug=OFFERS,
        purpose=OFFERS,
        variants=[
            VariantText(
                channel=Channel.SMS,
                language=Language.FRENCH,
                tone=Tone.FORMAL,
                body="{{ clinic.name }} : offre.",
            )
        ],
        actor=manager,
        now=now,
    )
    programme_id = write_programme(
        clinic_id=clinic.id,
        slug=OFFERS,
        names={Language.FRENCH: OFFERS, Language.ENGLISH: OFFERS},
        purpose=OFFERS,
        definition={
            "occasion": {"kind": "appointment", "topic": ""},
            "steps": [
                {"key": f"s{place}", "offset": {"days": days}, "at": at, "worth_for_hours": 96, "template": OFFERS}
                for place, (days, at) in enumerate(STEPS)
            ],
        },
        actor=manager,
        now=now,
    )
    approve_programme(clinic_id=clinic.id, programme_id=programme_id, actor=doctor, now=now)
    start_programme(clinic_id=clinic.id, programme_id=programme_id, actor=manager, now=now)


def living_in(zone, clinic, now):
    patient = make_patient(clinic.id, now=now, device=False)
    consent(patient, purpose=OFFERS, channels=[Channel.SMS], now=now)
    change_preferences(
        clinic_id=clinic.id,
        patient_id=patient.id,
        change=PreferenceChange(time_zone=zone, quiet_from=QUIET[0], quiet_to=QUIET[1], frequency=CAPS[zone]),
        actor=patient.actor,
        now=now,
    )
    for week in range(0, 54, 2):
        make_appointment(patient, starts_at=START + timedelta(weeks=week, days=week % 7, hours=10), now=now)
    return patient


def test_for_a_whole_year_no_offer_leaves_at_a_wrong_hour_or_beyond_the_cap(northgate, manager):
    begun = START - 10 * DAY
    offer(northgate, manager=system_actor(), doctor=manager, now=begun)
    patients = {living_in(zone, northgate, begun).id: zone for zone in ZONES}
    carriers = carriers_in_test()
    left = defaultdict(list)
    moment = START

    while moment < END:
        plan_programmes(now=moment)
        deliver_due_messages(now=moment, carriers=carriers)
        for message in Message.objects.filter(claimed_at=moment, state=MessageState.SENT):
            left[patients[message.patient_id]].append(moment)
        moment += STEP

    assert len(given_to(carriers)) == sum(map(len, left.values()))
    for zone in ZONES:
        cap = CAPS[zone]
        assert len(left[zone]) > 20, zone
        assert max(left[zone]) > END - 30 * DAY
        assert not [one for one in left[zone] if not is_lawful(one, zone)]
        assert not [one for one in left[zone] if QUIET[0] <= one.astimezone(ZoneInfo(zone)).time() < QUIET[1]]
        assert max(sum(one <= other < one + cap.window for other in left[zone]) for one in left[zone]) <= cap.max
    # Every one of them came to an end, and said why.
    waiting = Message.objects.filter(state__in=[MessageState.PLANNED, MessageState.DEFERRED])
    assert not waiting.filter(expires_at__lt=END - STEP)
    for message in Message.objects.filter(state=MessageState.WITHHELD, purpose__slug=OFFERS):
        assert "too_late" in message.verdict["reasons"]
