"""E-mail that comes back: sent over SMTP, returned as mail servers do, and believed by our own token alone."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings as ours
from django.core.management import CommandError, call_command

from backend.audit.actions import Action
from backend.consent.queries import states_of
from backend.messaging.configured import bounce_key
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.messaging.returned_mail import Taken, read_folder, take_returned_mail
from backend.patients.models import ContactPoint, SuppressionEntry
from backend.policy.vocabulary import Channel, ConsentStatus, ContactStatus, MessageState
from backend.programmes.operations import plan_programmes
from tests.conftest import DAY, HOUR
from tests.factories.carriers import carriers_to, settings_for
from tests.factories.log import actions_recorded
from tests.factories.patients import consent, make_appointment, make_patient
from tests.factories.programmes import REMINDER
from tests.factories.returned import bounce, complaint, head_of, is_well_formed
from tests.services import database_url

BOUNCES = "bounces@accord.example"
SENT, FAILED, DELIVERED = MessageState.SENT, MessageState.FAILED, MessageState.DELIVERED


@pytest.fixture
def patient(northgate, now):
    made = make_patient(northgate.id, now=now - 2 * DAY, email="claire@example.org", device=False)
    consent(made, purpose=REMINDER, channels=[Channel.EMAIL], now=now - DAY)
    return made


@pytest.fixture
def sent(patient, sandbox, now):
    """A reminder that an SMTP server took."""
    send(patient, sandbox, now)
    return Message.objects.get()


def send(patient, sandbox, now):
    make_appointment(patient, starts_at=now + DAY + 4 * HOUR, now=now)
    plan_programmes(now=now)
    asked = replace(settings_for(sandbox), email_bounces=BOUNCES, email_bounce_key=bounce_key())
    with carriers_to(asked) as carriers:
        deliver_due_messages(now=now, carriers=carriers)


@pytest.fixture
def received(sent, sandbox):
    (one,) = sandbox.received()
    return one


def take(mail, now, recipient=""):
    return take_returned_mail(mail, key=bounce_key(), now=now, recipient=recipient)


def state(message):
    message.refresh_from_db()
    return message.state


def point(patient):
    return ContactPoint.objects.get(patient_id=patient.id, kind="email", ended_at=None)


def given(patient):
    return [one for one in states_of(clinic_id=patient.clinic_id, patient_id=patient.id) if one.status == "given"]


def test_every_mail_names_its_message_in_its_envelope_and_a_header(sent, received):
    envelope = received.payload["mail_from"]

    assert envelope.startswith("bounces+")
    assert envelope.endswith("@accord.example")
    assert received.headers["X-Accord-Return"] in envelope
    assert received.headers["From"].endswith("<no-reply@accord.example>"), "people see the usual sender"


def test_without_an_address_for_bounces_the_envelope_is_the_senders(patient, sandbox, carriers, now):
    make_appointment(patient, starts_at=now + DAY + 4 * HOUR, now=now)
    plan_programmes(now=now)
    deliver_due_messages(now=now, carriers=carriers)

    (received,) = sandbox.received()
    assert received.payload["mail_from"] == "no-reply@accord.example"
    assert "X-Accord-Return" not in received.headers


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoded", [False, True])
def test_a_hard_bounce_ends_the_message_and_has_the_address_checked_anew(
    sent, received, patient, northgate, now, line_end, encoded
):
    mail = bounce(received, line_end=line_end, encoded=encoded)
    assert is_well_formed(mail)

    for _again in range(2):
        assert take(mail, now) is Taken.FAILED

    assert (state(sent), sent.failure) == (FAILED, "address_gone")
    assert (point(patient).status, point(patient).reason) == (ContactStatus.UNVERIFIED, "bounced")
    assert given(patient), "a bounce is no withdrawal"
    assert not SuppressionEntry.objects.exists()
    recorded = actions_recorded(northgate.id)
    assert recorded[Action.CONTACT_POINT_BOUNCED] == recorded[Action.MESSAGE_REPORTED] == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [("5.2.2", "recipient_unreachable"), ("4.4.7", "recipient_unreachable"), ("5.7.1", "content_refused")],
)
def test_another_failure_ends_the_message_and_leaves_the_address(sent, received, patient, now, status, code):
    assert take(bounce(received, status=status), now) is Taken.FAILED

    assert (state(sent), sent.failure) == (FAILED, code)
    assert point(patient).status == ContactStatus.ATTESTED


@pytest.mark.parametrize(
    ("action", "taken", "ends"), [("delayed", Taken.NOTHING, SENT), ("delivered", Taken.DELIVERED, DELIVERED)]
)
def test_a_delay_is_nothing_and_a_delivery_is_one(sent, received, now, action, taken, ends):
    assert take(bounce(received, action=action, status="2.0.0"), now) is taken

    assert state(sent) == ends


def test_the_envelope_alone_is_enough(sent, received, now):
    """Some servers send nothing of the mail back."""
    assert take(bounce(received, back="From: a"), now) is Taken.FAILED
    assert state(sent) == FAILED


def test_so_is_what_our_own_mail_server_says_of_the_recipient(sent, received, now):
    mail = bounce(received, to="undisclosed", back="From: a")

    assert take(mail, now) is Taken.UNMATCHED
    assert take(mail, now, received.payload["mail_from"]) is Taken.FAILED


def test_a_complaint_withdraws_everything_by_e_mail_and_suppresses_the_address(sent, received, patient, now):
    mail = complaint(received)
    assert is_well_formed(mail)

    for _again in range(2):
        assert take(mail, now) is Taken.COMPLAINED

    assert given(patient) == []
    (row,) = SuppressionEntry.objects.all()
    assert (row.channel, row.source_event) == (Channel.EMAIL, "complaint")
    assert state(sent) == SENT, "it arrived"
    (said,) = [
        one
        for one in states_of(clinic_id=patient.clinic_id, patient_id=patient.id)
        if one.status == ConsentStatus.WITHDRAWN
    ]
    assert said.method == "carrier_feedback"


@pytest.mark.parametrize("make", [bounce, complaint])
def test_a_forged_report_changes_nothing(sent, received, patient, northgate, now, make):
    """Whoever knows the id of a message, or has an older token, can not say that it failed."""
    before = actions_recorded(northgate.id)
    token = received.headers["X-Accord-Return"]
    forged = token[:-4] + ("aaaa" if token[-4:] != "aaaa" else "bbbb")
    true = make(received)

    for mail in (
        true.replace(token.encode(), forged.encode()),
        true.replace(token.encode(), b""),
        true.replace(token.encode(), str(sent.id).encode()),
    ):
        assert take(mail, now) is Taken.UNMATCHED
    assert take_returned_mail(true, key="another", now=now) is Taken.UNMATCHED

    assert state(sent) == SENT
    assert given(patient)
    assert point(patient).status == ContactStatus.ATTESTED
    assert actions_recorded(northgate.id) == before


def test_a_bounce_before_our_own_commit_is_kept(sent, received, now):
    """The other server is very quick: our own row still says that the message is being handed over."""
    from backend.audit.recording import record  # noqa: PLC0415 - nobody else here sets a message back
    from backend.messaging.reports import work_off_reports  # noqa: PLC0415
    from tests.messaging.test_reports import ACTOR  # noqa: PLC0415 - the same worker

    def put(what):
        told = {"message": sent.id, "carrier": "smtp", "state": "sent", "code": "none"}
        with record(
            Action.MESSAGE_REPORTED, by=ACTOR, now=now, clinic_id=sent.clinic_id, about=sent.patient_id, **told
        ):
            Message.objects.filter(id=sent.id).update(state=what)

    put(MessageState.HANDING_OVER)
    assert take(bounce(received), now) is Taken.FAILED
    assert state(sent) == MessageState.HANDING_OVER
    put(SENT)

    assert work_off_reports(now=now) == 1

    assert state(sent) == FAILED


# -------------------------------------------------------------------------------------------------- how it comes in


def test_a_folder_is_read_once_and_what_is_for_a_person_stays(sent, received, patient, now, tmp_path):
    inbox = tmp_path / "Maildir"
    for name in ("new", "cur", "tmp"):
        (inbox / name).mkdir(parents=True)
    (inbox / "new" / "1.bounce").write_bytes(bounce(received))
    (inbox / "new" / "2.person").write_bytes(b"From: a\nSubject: Question\n\nWhen are you open?")
    (inbox / "new" / "3.forged").write_bytes(bounce(received, to="x", back="From: a"))
    (inbox / "new" / "4.link").symlink_to(inbox / "new" / "2.person")
    (inbox / "new" / "5.folder").mkdir()

    assert read_folder(inbox, key=bounce_key(), now=now) == {Taken.FAILED: 1, Taken.NOTHING: 1, Taken.UNMATCHED: 1}
    assert read_folder(inbox, key=bounce_key(), now=now) == {}

    assert state(sent) == FAILED
    assert sorted(one.name for one in (inbox / "cur").iterdir()) == ["2.person:2,", "3.forged:2,"]
    assert sorted(one.name for one in (inbox / "new").iterdir()) == ["4.link", "5.folder"]


def test_a_folder_that_is_not_there_is_told(db, tmp_path):
    with pytest.raises(CommandError, match="can not be read"):
        call_command("read_bounce", maildir=tmp_path / "nowhere")


@pytest.mark.django_db(transaction=True)
def test_a_mail_server_pipes_it_into_a_process_of_its_own(sent, received, tmp_path):
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "backend.config.settings",
        "ACCORD_DATA_DIR": str(tmp_path),
        "ACCORD_KEY_FILE": str(ours.ACCORD_KEY_FILE),
        "ACCORD_SECRET_KEY": ours.SECRET_KEY,
        "ACCORD_DATABASE_URL": database_url(),
    }

    def pipe(mail, **changed):
        command = [sys.executable, "manage.py", "read_bounce", "--recipient", received.payload["mail_from"]]
        root = Path(__file__).parents[2]
        done = subprocess.run(
            command, input=mail, cwd=root, env={**environment, **changed}, capture_output=True, check=False
        )
        return done.returncode, done.stdout.decode().strip()

    assert pipe(b"From: a\n\n" + b"x" * 3_000_000) == (0, "nothing")
    assert pipe(bounce(received)) == (0, "failed")
    assert state(sent) == FAILED
    gone = pipe(bounce(received), ACCORD_DATABASE_URL="postgres://nobody@127.0.0.1:9/nothing")
    assert gone == (75, ""), "the mail server keeps it, and comes again"


def test_what_comes_back_holds_our_token_once_more(received):
    assert f"X-Accord-Return: {received.headers['X-Accord-Return']}" in head_of(received)
