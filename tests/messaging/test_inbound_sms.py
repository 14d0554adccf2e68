"""What people send to our number: STOP is obeyed in every clinic that sends from it; nothing else is done, or kept."""

import pytest

from backend.attempts.models import Attempt
from backend.audit.actions import Action
from backend.consent.models import ConsentEvent
from backend.consent.queries import states_of
from backend.messaging.delivery import claim
from backend.messaging.models import Message, ReceivedStop
from backend.patients.models import SuppressionEntry
from backend.policy.vocabulary import Channel, ConsentStatus
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.factories.hooks import KEY, PUBLIC_URL
from tests.factories.log import actions_recorded
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import REMINDER

NUMBER = "+33639981111"


@pytest.fixture
def patient(northgate, now):
    return with_number(northgate, now)


def with_number(clinic, now):
    made = make_patient(clinic.id, now=now - DAY, phone=NUMBER, device=False)
    consent(made, purpose=REMINDER, channels=[Channel.SMS], now=now - DAY)
    return made


def said(patient):
    (state,) = [
        one
        for one in states_of(clinic_id=patient.clinic_id, patient_id=patient.id)
        if (one.purpose, one.channel) == (REMINDER, Channel.SMS)
    ]
    return state.status


@pytest.mark.parametrize("text", ["STOP", "stop svp", "ARRÊT", "Désabonner", "توقف", "S T O P"])
def test_stop_is_obeyed_however_it_is_written(hooks, patient, text):
    assert hooks.text(text, sender=NUMBER) == 200

    assert said(patient) is ConsentStatus.WITHDRAWN
    assert SuppressionEntry.objects.get().source_event == "stop"


def test_what_twilio_understood_as_stop_is_one(hooks, patient):
    """Its Advanced Opt-Out knows words of its own, which a clinic may have chosen."""
    assert hooks.text("Laissez-moi tranquille", sender=NUMBER, opt_out="STOP") == 200

    assert said(patient) is ConsentStatus.WITHDRAWN


def test_stop_counts_in_every_clinic_that_sends_from_the_number(hooks, patient, southbank, now):
    elsewhere = with_number(southbank, now)

    assert hooks.text("STOP", sender=NUMBER) == 200

    assert said(patient) is said(elsewhere) is ConsentStatus.WITHDRAWN
    for one in (patient, elsewhere):
        (row,) = ReceivedStop.objects.filter(clinic_id=one.clinic_id)
        assert (row.patient_id, row.sharing) == (one.id, 0), "a clinic is told of its own patients only"


def test_delivered_twice_it_is_one_stop(hooks, patient, northgate):
    call = hooks.callbacks.text("STOP", sender=NUMBER, to="+33939001122", url=f"{PUBLIC_URL}/hooks/twilio/{KEY}/sms")

    assert [hooks.make(call), hooks.make(call)] == [200, 200]

    assert ReceivedStop.objects.count() == SuppressionEntry.objects.count() == 1
    assert ConsentEvent.objects.filter(kind="withdrawn").count() == 1
    assert actions_recorded(northgate.id)[Action.STOP_RECEIVED] == 1


@pytest.mark.parametrize("text", ["START", "OUI", "yes", "UNSTOP"])
def test_nobody_opts_in_by_sms(hooks, patient, text):
    hooks.text("STOP", sender=NUMBER)
    events = ConsentEvent.objects.count()

    assert hooks.text(text, sender=NUMBER, opt_out="START") == 200

    assert said(patient) is ConsentStatus.WITHDRAWN
    assert ConsentEvent.objects.count() == events
    assert SuppressionEntry.objects.count() == 1


def test_anything_else_is_neither_kept_nor_written_down(hooks, patient, northgate, caplog):
    before = actions_recorded(northgate.id)

    for text in ("Je serai en retard, mon fils a de la fièvre", "", "don't stop", "\x00", "x" * 5_000):
        assert hooks.text(text, sender=NUMBER) == 200

    assert said(patient) is ConsentStatus.GIVEN
    assert actions_recorded(northgate.id) == before
    assert caplog.text == ""


@pytest.mark.parametrize("sender", ["36111", "whatsapp:+33639981111", "Pub", "+", "x" * 500])
def test_a_sender_that_is_no_telephone_stops_nothing(hooks, patient, sender):
    assert hooks.text("STOP", sender=sender) == 200

    assert not SuppressionEntry.objects.exists()


def test_a_stop_that_twilio_did_not_sign_is_none(hooks, patient):
    url = f"{PUBLIC_URL}/hooks/twilio/{KEY}/sms"
    call = hooks.callbacks.text("STOP", sender=NUMBER, to="+33939001122", url=url)

    assert hooks.client.post(url.removeprefix(PUBLIC_URL), call.form).status_code == 403

    assert said(patient) is ConsentStatus.GIVEN


def test_the_answer_waits_for_nothing_that_is_being_handed_over(hooks, patient, now):
    """The fence stands when Twilio is answered; what is on its way is waited for by nobody."""
    make_appointment(patient, starts_at=now + DAY + 4 * HOUR, now=now)
    plan_programmes(now=now)
    claim(now=now, limit=10, lease=10 * HOUR, actor=patient.actor)
    assert Attempt.objects.get().outcome is None

    # Were it to wait, the test would: for a lease of ten hours, or at least for a margin of two seconds each.
    assert hooks.text("STOP", sender=NUMBER) == 200

    assert said(patient) is ConsentStatus.WITHDRAWN
    assert Message.objects.get().state == "handing_over"
