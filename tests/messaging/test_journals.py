"""What a killed worker held is known from its journal: what never began is due again, what was answered is settled."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

import pytest

from backend.attempts.models import Attempt
from backend.attempts.operations import AttemptOutcome, close_attempts
from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.recording import record
from backend.messaging.carriers.base import FailureCode, InDoubt, PermanentFailure, Receipt, TemporaryFailure
from backend.messaging.delivery import claim, deliver_due_messages, gate, hand_over
from backend.messaging.held import Delivered, Pace
from backend.messaging.journal import BOOT, journal_of, left_behind, prepared_folder
from backend.messaging.models import Message
from backend.messaging.outcomes import reconcile_attempts
from backend.messaging.recovery import recover_journals
from backend.policy.vocabulary import Channel
from backend.programmes.operations import plan_programmes
from tests.conftest import HOUR
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.many import make_appointments, make_patients
from tests.factories.programmes import REMINDER

ACTOR = system_actor("delivery")
LEASE = timedelta(seconds=30)


@pytest.fixture
def folder(tmp_path):
    return prepared_folder(tmp_path / "journals")


@pytest.fixture
def held(northgate, now):
    """Five messages in the hands of a worker that went through the gate, and its name."""
    patients = make_patients(northgate.id, how_many=5, now=now - HOUR, purpose=REMINDER, channels=[Channel.SMS])
    make_appointments(patients, starts_at=now + timedelta(days=1, hours=4), now=now)
    plan_programmes(now=now)
    owner = uuid4()
    batch, _entry = claim(now=now, limit=10, lease=LEASE, actor=ACTOR, owner=owner)
    gate(batch, now=now, actor=ACTOR, done=Delivered())
    return owner, batch


class Killed(BaseException):
    """The worker got no further."""


def died(owner, folder, *, write):
    """A worker wrote so much into its journal, and was no more."""
    with suppress(Killed), journal_of(owner, folder) as journal:
        write(journal)
        raise Killed


def states():
    return dict(Message.objects.values_list("id", "state"))


def test_each_message_ends_as_the_journal_says(held, folder, now):
    owner, batch = held
    sent, refused, later, in_the_air, never_begun = batch

    def write(journal):
        for one in (sent, refused, later, in_the_air):
            journal.begun(one)
        journal.ended(sent, Receipt("SM123"))
        journal.ended(refused, PermanentFailure(FailureCode.ADDRESS_REFUSED))
        journal.ended(later, TemporaryFailure(FailureCode.RATE_LIMITED, 90.0))

    died(owner, folder, write=write)
    recover_journals(folder, now=now, carriers=carriers_in_test())

    assert states() == {
        sent.message.id: "sent",
        refused.message.id: "failed",
        later.message.id: "planned",
        in_the_air.message.id: "in_doubt",
        never_begun.message.id: "planned",
    }
    row = Message.objects.get(id=sent.message.id)
    assert (row.carrier_reference, row.verdict["decided"]) == ("SM123", "allow")
    assert Message.objects.get(id=later.message.id).due_at >= now + timedelta(seconds=90)
    assert not Attempt.objects.filter(outcome=None).exists()
    assert not list(folder.iterdir())


def test_what_never_began_is_sent_by_the_next_worker_and_counts_no_try(held, folder, now):
    owner, batch = held
    died(owner, folder, write=lambda _journal: None)
    recover_journals(folder, now=now, carriers=carriers_in_test())

    carriers = carriers_in_test()
    deliver_due_messages(now=now + HOUR, carriers=carriers, journals=folder)

    assert len(given_to(carriers)) == len(batch)
    assert set(states().values()) == {"sent"}
    assert set(Message.objects.values_list("tries", flat=True)) == {1}
    assert not list(folder.iterdir())


def test_a_journal_is_read_once(held, folder, now):
    owner, batch = held
    died(owner, folder, write=lambda journal: journal.begun(batch[0]))

    assert sum(recover_journals(folder, now=now, carriers=carriers_in_test()).values()) == len(batch)
    assert not recover_journals(folder, now=now, carriers=carriers_in_test())


def test_the_journal_of_the_living_is_left_alone(held, folder, now):
    owner, batch = held
    with journal_of(owner, folder) as journal:
        journal.begun(batch[0])
        assert not recover_journals(folder, now=now, carriers=carriers_in_test())
        assert set(states().values()) == {"handing_over"}


def test_a_living_process_holds_its_journal_and_a_killed_one_lets_go(folder):
    """Across processes, which is what the kernel's lock is for."""
    script = (
        "import sys, time, uuid; from pathlib import Path; import django; django.setup();"
        "from backend.messaging.journal import journal_of;"
        "j = journal_of(uuid.UUID(sys.argv[1]), Path(sys.argv[2])); j.__enter__(); print('open', flush=True);"
        "time.sleep(600)"
    )
    owner = uuid4()
    command = [sys.executable, "-c", script, str(owner), str(folder)]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "backend.config.settings"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        (path,) = folder.iterdir()
        with left_behind(path) as left:
            assert left is None
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    with left_behind(path) as left:
        assert left is not None
        assert (left.owner, left.is_whole) == (owner, bool(BOOT.exists()))


def test_a_line_that_was_cut_off_is_a_call_that_never_began(held, folder, now):
    owner, batch = held
    died(owner, folder, write=lambda journal: journal.begun(batch[0]))
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-20])

    told = recover_journals(folder, now=now, carriers=carriers_in_test())

    assert told == {"not begun": len(batch)}


@pytest.mark.parametrize("begins", [b'{"boot":"another"}\n', b"garbage\n", b""])
def test_a_machine_that_went_down_may_have_lost_lines_so_only_answers_are_believed(held, folder, now, begins):
    owner, batch = held

    def write(journal):
        journal.begun(batch[0])
        journal.ended(batch[0], Receipt("SM9"))
        journal.begun(batch[1])

    died(owner, folder, write=write)
    (path,) = folder.iterdir()
    path.write_bytes(begins + path.read_bytes().partition(b"\n")[2])

    recover_journals(folder, now=now, carriers=carriers_in_test())

    assert states() == {batch[0].message.id: "sent"} | {one.message.id: "handing_over" for one in batch[1:]}


def test_what_came_into_doubt_before_the_journal_was_read_is_settled_by_it(held, folder, now):
    """A worker was stopped past its lease and then ended: the reconciler came first."""
    owner, (sent, refused, in_the_air, first, second) = held

    def write(journal):
        for one in (sent, refused, in_the_air):
            journal.begun(one)
        journal.ended(sent, Receipt("SM5"))
        journal.ended(refused, PermanentFailure(FailureCode.ADDRESS_REFUSED))
        journal.ended(in_the_air, InDoubt())

    died(owner, folder, write=write)
    _run_out(now)
    assert reconcile_attempts(now=now) == 5

    recover_journals(folder, now=now, carriers=carriers_in_test())

    assert states() == {
        sent.message.id: "sent",
        refused.message.id: "failed",
        in_the_air.message.id: "in_doubt",
        first.message.id: "planned",
        second.message.id: "planned",
    }
    assert Message.objects.get(id=sent.message.id).carrier_reference == "SM5"


def test_an_outcome_that_is_known_is_not_overwritten(held, folder, now):
    owner, batch = held
    died(owner, folder, write=lambda journal: journal.begun(batch[0]))
    with record(Action.STATES_REBUILT, by=ACTOR, now=now, clinic_id=batch[0].message.clinic_id, count=0, different=0):
        close_attempts([(batch[0].attempt_id, AttemptOutcome.SENT)], now=now)
        Message.objects.filter(id=batch[0].message.id).update(state="sent")

    recover_journals(folder, now=now, carriers=carriers_in_test())

    assert states()[batch[0].message.id] == "sent"
    assert Attempt.objects.get(id=batch[0].attempt_id).outcome == "sent"


def test_a_batch_that_ends_well_leaves_no_journal_and_one_that_broke_off_does(held, folder, now):
    owner, _batch = held
    with journal_of(owner, folder):
        assert len(list(folder.iterdir())) == 1
    assert not list(folder.iterdir())


def test_a_folder_in_which_nothing_can_be_written_is_told_of_and_delivery_goes_on(tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert prepared_folder(blocked / "journals") is None
    assert "in doubt" in caplog.text


def _run_out(now):
    """Their leases are over."""
    attempt = Attempt.objects.earliest("id")
    with record(Action.STATES_REBUILT, by=ACTOR, now=now, clinic_id=attempt.clinic_id, count=0, different=0):
        Attempt.objects.update(lease_until=now - timedelta(days=365))


def test_a_system_that_gives_no_more_threads_releases_what_was_not_begun(held, now, monkeypatch):
    """Those that it gave are waited for: nobody calls a carrier once the journal was let go."""
    _owner, batch = held
    for one in batch:
        one.outbound = object()
    started: list[threading.Thread] = []
    original = threading.Thread.start

    def start(thread):
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        original(thread)

    monkeypatch.setattr(threading.Thread, "start", start)

    def slowly(_message):
        time.sleep(0.05)
        return Receipt("one")

    taken = carriers_in_test(slowly)
    with suppress(RuntimeError):
        hand_over(
            batch, carriers=taken, pace=Pace(), deadline=time.monotonic() + 30, now=now, actor=ACTOR, done=Delivered()
        )

    assert not any(thread.is_alive() for thread in started)
    sent = len(given_to(taken))
    assert Counter(states().values()) == {"sent": sent, "planned": len(batch) - sent}
    assert not Attempt.objects.filter(outcome=None).exists()


def test_nothing_is_written_into_a_journal_that_was_let_go(held, folder):
    owner, batch = held
    with journal_of(owner, folder) as journal:
        pass
    with pytest.raises(RuntimeError):
        journal.begun(batch[0])
