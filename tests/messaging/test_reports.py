"""What Twilio reports: signed, in any order, twice, before our own commit. Forward only; what is final stays."""

from dataclasses import replace
from datetime import timedelta

import pytest

from backend.attempts.models import Attempt
from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.consent.models import ConsentEvent
from backend.consent.queries import states_of
from backend.messaging.carriers.base import (
    DeliveryReport,
    DeliveryState,
    FailureCode,
    InDoubt,
    PermanentFailure,
    Receipt,
    TemporaryFailure,
)
from backend.messaging.delivery import claim, deliver_due_messages, gate
from backend.messaging.doubts import settle_doubt
from backend.messaging.filling import fill
from backend.messaging.held import Delivered
from backend.messaging.kept_reports import keep_report
from backend.messaging.models import CarrierReport, Message
from backend.messaging.outcomes import settle
from backend.messaging.reports import Came, take_report, work_off_reports
from backend.patients.models import ContactPoint, SuppressionEntry
from backend.policy.vocabulary import Channel, ConsentStatus, ContactStatus, MessageState
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.factories.carriers import carriers_in_test
from tests.factories.log import actions_recorded
from tests.factories.many import make_appointments, make_patients
from tests.factories.programmes import REMINDER

ACTOR = system_actor("delivery")
TOMORROW = timedelta(days=1, hours=4)
TWILIO_MESSAGE = "SM" + "0" * 32
SENT, DELIVERED, FAILED = MessageState.SENT, MessageState.DELIVERED, MessageState.FAILED


@pytest.fixture
def patient(northgate, now):
    (made,) = make_patients(northgate.id, how_many=1, now=now - DAY, purpose=REMINDER, channels=[Channel.SMS])
    return made


@pytest.fixture
def queued(patient, now):
    """A reminder that is due, by SMS."""
    make_appointments([patient], starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    return Message.objects.get()


@pytest.fixture
def sent(queued, reporting, sandbox, now):
    """Twilio took it, and was told where to report to."""
    deliver_due_messages(now=now, carriers=reporting)
    return queued


@pytest.fixture
def tell(sandbox, hooks):
    """Twilio tells what became of the one message that it took."""

    def told(status, error_code=None, **changes):
        (received,) = sandbox.received()
        return hooks.make(replace(sandbox.callbacks.report(received, status, error_code=error_code), **changes))

    return told


def state(message):
    message.refresh_from_db()
    return message.state


def reported(code=None, of=DeliveryState.FAILED, reference=""):
    return DeliveryReport(message_id=None, reference=reference, state=of, code=code)


# ------------------------------------------------------------------------------------------------------------ order


@pytest.mark.parametrize(
    ("told", "ends"),
    [
        (["queued", "sending", "sent"], SENT),
        (["queued", "sent", "delivered"], DELIVERED),
        (["delivered", "sent", "queued"], DELIVERED),
        (["delivered", "delivered", "sent", "delivered"], DELIVERED),
        (["sent", "undelivered"], FAILED),
        (["undelivered", "sent"], FAILED),
        (["delivered", "undelivered"], DELIVERED),
        (["failed", "delivered"], FAILED),
        (["something-new"], SENT),
    ],
    ids=" ".join,
)
def test_reports_in_any_order_move_a_message_forward_only(sent, tell, northgate, told, ends):
    assert [tell(status) for status in told] == [204] * len(told)

    assert state(sent) == ends
    recorded = actions_recorded(northgate.id)
    assert recorded[Action.MESSAGE_REPORTED] == (ends is not SENT)


def test_a_report_that_comes_twice_is_recorded_once(sent, tell, northgate):
    for _again in range(3):
        assert tell("undelivered", 30008) == 204

    assert (state(sent), sent.failure) == (FAILED, "carrier_unavailable")
    assert actions_recorded(northgate.id)[Action.MESSAGE_REPORTED] == 1


def test_a_report_before_our_own_commit_is_kept_and_applied_afterwards(queued, reporting, tell, now, northgate):
    """The carrier answers, and its report overtakes the answer: our own row still says that it is being handed over."""
    batch, entry = claim(now=now, limit=10, lease=timedelta(seconds=30), actor=ACTOR)
    assert entry is not None
    done = Delivered()
    (held,) = fill(gate(batch, now=now, actor=ACTOR, done=done), entry=entry, now=now, actor=ACTOR, done=done)
    receipt = reporting[Channel.SMS].send(held.outbound, timeout=5)
    assert isinstance(receipt, Receipt)
    assert [tell("delivered"), tell("sent"), tell("delivered")] == [204, 204, 204]

    assert state(queued) == MessageState.HANDING_OVER
    assert work_off_reports(now=now) == 0, "it is not known yet what the carrier answered"
    settle([(held, receipt)], carriers=reporting, now=now, actor=ACTOR, done=done)
    assert (state(queued), queued.carrier_reference) == (SENT, receipt.reference)
    assert work_off_reports(now=now) == 2

    assert state(queued) == DELIVERED
    assert work_off_reports(now=now) == 0
    assert not CarrierReport.objects.filter(applied_at=None).exists()
    assert actions_recorded(northgate.id)[Action.MESSAGE_REPORT_KEPT] == 2


def test_a_report_that_came_first_keeps_a_message_from_being_sent_again(queued, reporting, sandbox, tell, now):
    """The carrier's answer was taken for a refusal, and yet the message left: no second one follows."""
    batch, entry = claim(now=now, limit=10, lease=timedelta(seconds=30), actor=ACTOR)
    assert entry is not None
    done = Delivered()
    (held,) = fill(gate(batch, now=now, actor=ACTOR, done=done), entry=entry, now=now, actor=ACTOR, done=done)
    reporting[Channel.SMS].send(held.outbound, timeout=5)
    tell("delivered")
    refused = TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE)
    settle([(held, refused)], carriers=reporting, now=now, actor=ACTOR, done=done)
    assert state(queued) == MessageState.PLANNED

    work_off_reports(now=now)
    deliver_due_messages(now=now + HOUR, carriers=reporting)

    assert state(queued) == DELIVERED
    assert len(sandbox.received()) == 1


def test_that_a_refused_copy_failed_is_no_reason_not_to_try_again(queued, now):
    deliver_due_messages(
        now=now, carriers=carriers_in_test(lambda _: TemporaryFailure(FailureCode.CARRIER_UNAVAILABLE))
    )

    came = take_report(message_id=queued.id, channel=Channel.SMS, carrier="twilio", report=reported(), now=now)

    assert (came, state(queued)) == (Came.NOTHING_NEW, MessageState.PLANNED)


def test_what_never_left_can_not_have_arrived(queued, now):
    report = reported(of=DeliveryState.DELIVERED)

    came = take_report(message_id=queued.id, channel=Channel.SMS, carrier="twilio", report=report, now=now)

    assert (came, state(queued)) == (Came.NOTHING_NEW, MessageState.PLANNED)


# ------------------------------------------------------------------------------------------------------------ doubt


@pytest.mark.parametrize(("status", "ends"), [("sent", SENT), ("delivered", DELIVERED), ("undelivered", FAILED)])
def test_a_report_settles_what_was_in_doubt(queued, reporting, sandbox, tell, now, northgate, status, ends):
    def lost(message):
        reporting[Channel.SMS].send(message, timeout=5)
        return InDoubt()

    deliver_due_messages(now=now, carriers=carriers_in_test(lost))
    assert state(queued) == MessageState.IN_DOUBT

    assert tell(status) == 204

    assert state(queued) == ends
    assert (queued.ask_at, queued.carrier_reference) == (None, sandbox.received()[0].reference)
    assert Attempt.objects.get().outcome == "sent"
    recorded = actions_recorded(northgate.id)
    assert recorded[Action.MESSAGE_DOUBT_SETTLED] == recorded[Action.MESSAGE_HANDED_OVER] == 1


def test_what_staff_said_of_a_doubt_is_not_overwritten(queued, sandbox, manager, now):
    deliver_due_messages(now=now, carriers=carriers_in_test(lambda _message: InDoubt()))
    settle_doubt(clinic_id=queued.clinic_id, message_id=queued.id, left=False, actor=manager, now=now)

    report = reported(of=DeliveryState.DELIVERED, reference=TWILIO_MESSAGE)
    came = take_report(message_id=queued.id, channel=Channel.SMS, carrier="twilio", report=report, now=now)

    assert (came, state(queued)) == (Came.NOTHING_NEW, FAILED)


# ------------------------------------------------------------------------------------------------------------ forged


def test_what_twilio_did_not_sign_changes_nothing(sent, tell, sandbox, hooks):
    (received,) = sandbox.received()
    true = sandbox.callbacks.report(received, "delivered")
    another = true.url[:-1] + ("0" if true.url[-1] != "0" else "1")

    assert tell("delivered", signature="") == 403
    assert tell("delivered", signature="bm90IGEgc2lnbmF0dXJl") == 403
    assert tell("delivered", signature="é") == 403
    assert tell("delivered", form={**true.form, "MessageStatus": "failed"}) == 403
    assert hooks.make(replace(true, url=another)) == 403, "signed for another message"
    assert hooks.make(replace(true, url=f"{true.url}?more=1")) == 403

    assert state(sent) == SENT
    assert tell("delivered") == 204


def test_a_wrong_key_is_no_address(tell, sent, sandbox):
    (received,) = sandbox.received()
    url = sandbox.callbacks.report(received, "sent").url

    assert tell("delivered", url=url.replace("a-key", "b-key")) == 404
    assert state(sent) == SENT


def test_only_post_is_answered(sent, hooks, sandbox):
    (received,) = sandbox.received()
    path = sandbox.callbacks.report(received, "sent").url.removeprefix("https://accord.example")

    for method in ("get", "head", "put", "patch", "delete", "options"):
        answered = getattr(hooks.client, method)(path)
        assert (answered.status_code, answered["Allow"]) == (405, "POST")


def test_a_body_that_is_too_large_is_not_read(sent, tell, sandbox):
    assert tell("delivered", form={"MessageStatus": "delivered", "Padding": "x" * 70_000}) == 413

    assert state(sent) == SENT


@pytest.mark.parametrize("form", [{}, {"MessageStatus": "delivered"}, {"MessageSid": "x", "MessageStatus": "\x00"}])
def test_a_signed_report_that_says_nothing_changes_nothing(sent, hooks, sandbox, form):
    (received,) = sandbox.received()
    url = sandbox.callbacks.report(received, "sent").url

    assert hooks.make(sandbox.callbacks.sign(url, form)) == 204

    assert state(sent) == SENT


def test_bytes_that_are_no_form_are_refused_and_break_nothing(sent, hooks, sandbox):
    (received,) = sandbox.received()
    path = sandbox.callbacks.report(received, "sent").url.removeprefix("https://accord.example")

    for body in (b"", b"\xff\xfe\x00", b"%ZZ=%", b"{" * 1000, b"&" * 60_000):
        answered = hooks.client.post(path, body, content_type="application/x-www-form-urlencoded")
        assert answered.status_code == 403

    assert state(sent) == SENT


def test_a_report_about_no_message_of_ours_is_taken_and_changes_nothing(sent, hooks, sandbox, caplog):
    (received,) = sandbox.received()
    url = sandbox.callbacks.report(received, "sent").url.replace(str(sent.id), str(sent.patient_id))
    elsewhere = replace(received, payload={**received.payload, "StatusCallback": url})

    assert hooks.make(sandbox.callbacks.report(elsewhere, "delivered")) == 204

    assert state(sent) == SENT
    assert "no message of ours" in caplog.text
    assert str(sent.patient_id) not in caplog.text


def test_a_report_that_names_another_message_of_the_carrier_is_not_about_ours(sent, now):
    other = reported(of=DeliveryState.DELIVERED, reference=TWILIO_MESSAGE)

    assert take_report(message_id=sent.id, channel=Channel.SMS, carrier="twilio", report=other, now=now) == "unknown"
    assert take_report(message_id=sent.id, channel=Channel.EMAIL, carrier="x", report=reported(), now=now) == "unknown"
    assert state(sent) == SENT


# ------------------------------------------------------------------------------------------------------- what follows


def test_a_number_that_is_no_more_has_to_be_checked_anew(sent, tell, patient):
    assert tell("undelivered", 30005) == 204

    assert (state(sent), sent.failure) == (FAILED, "address_gone")
    point = ContactPoint.objects.get(patient_id=patient.id, kind="phone")
    assert (point.status, point.reason) == (ContactStatus.UNVERIFIED, "bounced")
    assert not SuppressionEntry.objects.exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (30003, "recipient_unreachable"),
        (30006, "address_refused"),
        (30007, "content_refused"),
        (99, "unexpected_answer"),
    ],
)
def test_other_failures_touch_the_message_only(sent, tell, patient, error, code):
    assert tell("undelivered", error) == 204

    assert (state(sent), sent.failure) == (FAILED, code)
    assert ContactPoint.objects.get(patient_id=patient.id, kind="phone").status == ContactStatus.ATTESTED


def stopped(patient):
    (entry,) = SuppressionEntry.objects.all()
    assert (entry.channel, entry.source_event) == (Channel.SMS, "stop")
    states = {
        (one.purpose, one.channel): (one.status, one.method)
        for one in states_of(clinic_id=patient.clinic_id, patient_id=patient.id)
    }
    return states[REMINDER, Channel.SMS] == (ConsentStatus.WITHDRAWN, "carrier_feedback")


def test_who_said_stop_to_the_carrier_said_it_to_us(sent, tell, patient):
    assert tell("undelivered", 21610) == 204

    assert (state(sent), sent.failure) == (FAILED, "recipient_opted_out")
    assert stopped(patient)


def test_the_same_is_learnt_where_the_carrier_refuses_at_once(queued, patient, now):
    opted_out = PermanentFailure(FailureCode.RECIPIENT_OPTED_OUT)
    deliver_due_messages(now=now, carriers=carriers_in_test(lambda _message: opted_out))
    assert not SuppressionEntry.objects.exists(), "nothing is waited for while a batch is in hand"

    for _tick in range(2):
        work_off_reports(now=now)

    assert stopped(patient)
    assert state(queued) == FAILED
    assert ConsentEvent.objects.filter(patient_id=patient.id, kind="withdrawn").count() == 1


def test_what_was_put_down_before_a_crash_is_acted_upon_by_the_next_tick(sent, patient, now):
    report = reported(FailureCode.RECIPIENT_OPTED_OUT)
    keep_report(Message.objects.get(), report, carrier="twilio", now=now, actor=ACTOR)

    assert work_off_reports(now=now) == 1

    assert state(sent) == FAILED
    assert stopped(patient)


def test_a_report_that_can_not_be_worked_off_holds_up_no_other(northgate, now):
    several = make_patients(northgate.id, how_many=2, now=now - DAY, purpose=REMINDER, channels=[Channel.SMS])
    make_appointments(several, starts_at=now + TOMORROW, now=now)
    plan_programmes(now=now)
    deliver_due_messages(now=now, carriers=carriers_in_test())
    broken, sound = Message.objects.order_by("id")
    keep_report(broken, reported(), carrier="twilio", now=now, actor=ACTOR)
    with_unknown_word = DeliveryReport(None, "", DeliveryState.FAILED, FailureCode.ADDRESS_GONE)
    keep_report(sound, with_unknown_word, carrier="twilio", now=now, actor=ACTOR)
    spoil(broken)

    assert work_off_reports(now=now) == 1
    assert state(sound) == FAILED


def spoil(message):
    """A word that this version does not know, as after going back to an older one."""
    from backend.audit.recording import record  # noqa: PLC0415 - nobody else here writes past the operations

    with record(
        Action.MESSAGE_REPORT_KEPT, by=ACTOR, now=message.planned_at, clinic_id=message.clinic_id, message=message.id,
        carrier="twilio", state="failed", code="none",
    ):  # fmt: skip
        CarrierReport.objects.filter(message_id=message.id).update(code="a_word_of_tomorrow")
