"""Real calls to a real server: Twilio's own order of things, with the sandbox for Twilio."""

from dataclasses import replace
from datetime import timedelta

import pytest

from backend.consent.queries import states_of
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.held import Pace
from backend.messaging.models import Message, ReceivedStop
from backend.messaging.reports import work_off_reports
from backend.patients.models import SuppressionEntry
from backend.policy.vocabulary import Channel, ConsentStatus, MessageState
from backend.programmes.operations import plan_programmes
from sandbox import Fault
from tests.conftest import DAY
from tests.factories.carriers import carriers_to, settings_for
from tests.factories.hooks import KEY, served, twilio_settings
from tests.factories.many import make_appointments, make_patients
from tests.factories.patients import consent, make_patient
from tests.factories.programmes import REMINDER

NUMBER = "+33639981111"
TOMORROW = timedelta(days=1, hours=4)


@pytest.fixture
def committed(transactional_db):
    """Another process reads what this one wrote. Whoever asks for it asks for it first."""


@pytest.fixture
def server(committed, sandbox, tmp_path):
    """A web server whose Twilio is the sandbox."""
    with served(tmp_path, twilio_settings(sandbox)) as url:
        yield url


@pytest.fixture
def patient(committed, northgate, now):
    (made,) = make_patients(northgate.id, how_many=1, now=now - DAY, purpose=REMINDER, channels=[Channel.SMS])
    return made


@pytest.fixture
def reporting(server, sandbox):
    with carriers_to(replace(settings_for(sandbox), public_url=server, twilio_hook_key=KEY)) as built:
        yield built


@pytest.fixture
def queued(patient, now):
    make_appointments([patient], starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    return Message.objects.get()


def state():
    return Message.objects.get().state


def test_a_message_is_sent_and_its_delivery_comes_back(queued, reporting, sandbox, now):
    deliver_due_messages(now=now, carriers=reporting)
    sandbox.callbacks.wait()
    work_off_reports(now=now)

    assert state() == MessageState.DELIVERED


def test_reports_that_overtake_the_carriers_answer_are_not_lost(queued, reporting, sandbox, now):
    """Twilio calls us back before it has answered: our own row says that the message is being handed over."""
    sandbox.faults.push(Fault(channel="sms", kind="report_first"))
    deliver_due_messages(now=now, carriers=reporting)
    assert state() == MessageState.SENT

    assert work_off_reports(now=now) == 2
    assert state() == MessageState.DELIVERED


def test_a_report_settles_an_answer_that_was_lost(queued, reporting, sandbox, now):
    sandbox.callbacks.by_itself = False
    sandbox.faults.push(Fault(channel="sms", kind="accept_then_hang"))
    deliver_due_messages(now=now, carriers=reporting, pace=Pace(call=0.5))
    assert state() == MessageState.IN_DOUBT

    (received,) = sandbox.received()
    assert sandbox.callbacks.make(sandbox.callbacks.report(received, "delivered")) == 204

    assert state() == MessageState.DELIVERED


def test_a_forged_report_is_refused_by_the_server(queued, reporting, sandbox, now):
    sandbox.callbacks.by_itself = False
    deliver_due_messages(now=now, carriers=reporting)
    (received,) = sandbox.received()
    forged = replace(sandbox.callbacks.report(received, "undelivered"), signature="AAAAAAAAAAAAAAAAAAAAAAAAAAA=")

    assert sandbox.callbacks.make(forged) == 403
    assert state() == MessageState.SENT


def test_stop_by_sms_reaches_a_real_server_and_is_obeyed(server, northgate, sandbox, now):
    patient = make_patient(northgate.id, now=now - DAY, phone=NUMBER)
    consent(patient, purpose=REMINDER, channels=[Channel.SMS], now=now - DAY)
    call = sandbox.callbacks.text("STOP", sender=NUMBER, to="+33939001122", url=f"{server}/hooks/twilio/{KEY}/sms")

    assert [sandbox.callbacks.make(call) for _delivery in range(2)] == [200, 200]

    states = states_of(clinic_id=patient.clinic_id, patient_id=patient.id)
    (said,) = [one for one in states if (one.purpose, one.channel) == (REMINDER, Channel.SMS)]
    assert (said.status, said.method) == (ConsentStatus.WITHDRAWN, "sms_keyword")
    assert SuppressionEntry.objects.count() == ReceivedStop.objects.count() == 1


def test_without_a_secret_there_is_no_address(committed, sandbox, tmp_path):
    settings = {**twilio_settings(sandbox), "ACCORD_TWILIO_HOOK_KEY": ""}
    with served(tmp_path, settings) as url:
        for path in (f"/hooks/twilio/{KEY}/sms", "/hooks/twilio//sms", "/hooks/twilio/None/sms"):
            call = sandbox.callbacks.text("STOP", sender=NUMBER, to="+33939001122", url=f"{url}{path}")
            assert sandbox.callbacks.make(call) == 404
    assert not SuppressionEntry.objects.exists()
