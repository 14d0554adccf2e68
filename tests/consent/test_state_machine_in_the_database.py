"""Through the operations, the database, the gate and the delivery: a message leaves only on a yes that stands."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run

from backend.audit.actors import system_actor
from backend.audit.keys import destroy_subject_keys
from backend.consent.operations import (
    approve_notice,
    draft_notice,
    end_consents,
    give_consent,
    judge_ages_anew,
    publish_draft,
    rebuild_states,
    refuse_consent,
)
from backend.consent.queries import latest_notices, objections_of
from backend.errors import DomainError, NotFound
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.patients.models import Patient
from backend.patients.operations import import_records
from backend.policy.vocabulary import Channel, Decided, Language, Materiality, Method
from backend.programmes.operations import plan_programmes
from tests.consent.bystander import BORN, DAY, OF_AGE, OTHER_BIRTH_DATES, SECOND, START, Bystander
from tests.consent.test_deciding import mother_of, say, withdraw
from tests.consent.test_ending import answer
from tests.consent.test_objecting import lift, object_now, restrict, take_back
from tests.factories import records
from tests.factories.carriers import carriers_in_test, given_to
from tests.factories.patients import correct_birth_date, make_appointment, make_patient
from tests.factories.programmes import whole_notice

CHANNELS = (Channel.SMS, Channel.EMAIL)
ABOUT = st.sampled_from([(Channel.SMS,), (Channel.EMAIL,), CHANNELS, CHANNELS])
LATE = 12
"""Not before so many steps: nothing comes after death or erasure."""
EVIDENCE = {
    Method.APP: {"notice_version": 1, "initial_state": "off"},
    Method.PAPER_FORM: {"form_reference": "F-1", "signed_on": "2026-10-14"},
    Method.IMPORT: {"file_sha256": "0" * 64, "proof_reference": "row 1"},
}


class InTheDatabase(RuleBasedStateMachine):
    """One patient of a clinic that runs a programme of appointment reminders."""

    clinic: Any = None
    manager: Any = None
    dpo: Any = None
    steps: Counter[str] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.answered = 0
        self.heard = Bystander()
        self.patient = make_patient(self.clinic.id, now=START, birth_date=BORN, device=False)
        self.mother = mother_of(self.patient, START)

    @initialize(
        begins=st.sampled_from([START, OF_AGE - 40 * DAY, OF_AGE - 10 * DAY, OF_AGE - 3 * DAY]),
        consenting=st.booleans(),
        outdated=st.sampled_from([False, False, True]),
    )
    def begin(self, begins: datetime, *, consenting: bool, outdated: bool) -> None:
        self.now = begins
        if consenting:
            self.say_yes(CHANNELS, ("patient", "mother"), Method.APP)
        if outdated:
            self.the_notice_changes(days=0, after_a_yes=False)

    @property
    def _version(self) -> int:
        return latest_notices(self.clinic.id)[Language.FRENCH].version

    def _act(self, act: Callable[[], object]) -> bool:
        """Did it happen? Of whom was erased nothing can be said any more."""
        if not self.heard.erased:
            act()
            return True
        with pytest.raises(NotFound):
            act()
        return False

    @rule(
        about=ABOUT,
        speakers=st.sampled_from([("patient",), ("mother",), ("patient", "mother")]),
        method=st.sampled_from(list(EVIDENCE)),
    )
    def say_yes(self, about: Sequence[Channel], speakers: Sequence[str], method: Method) -> None:
        said = {
            "method": method,
            "evidence": EVIDENCE[method],
            "notice_version": self._version,
            "channels": about,
            "by_patient": "patient" in speakers,
            "representatives": (self.mother,) if "mother" in speakers else (),
        }
        self.steps["import" if method is Method.IMPORT else "grant"] += 1
        alone_at_fifteen = speakers == ("mother",) and self.now >= self.heard.fifteen
        if self.heard.erased or self.heard.deceased or self.heard.objected or alone_at_fifteen:
            with pytest.raises(DomainError):
                say(give_consent, self.patient, self.now, **said)
            return
        by_parent = "mother" in speakers and self.now < self.heard.of_age
        if not by_parent:
            said["representatives"] = ()
        say(give_consent, self.patient, self.now, **said)
        for channel in about:
            self.heard.hear_yes(
                channel,
                by_patient="patient" in speakers,
                by_parent=by_parent,
                at=self.now,
                version=self._version,
            )

    @rule(about=ABOUT)
    def refuse(self, about: Sequence[Channel]) -> None:
        if self.heard.deceased:
            return
        self.steps["refuse"] += 1
        said = {"notice_version": self._version, "channels": about}
        if self._act(lambda: say(refuse_consent, self.patient, self.now, **said)):
            self._hear_no(about)

    @rule(
        about=ABOUT,
        method=st.sampled_from([Method.APP, Method.ONE_CLICK, Method.SMS_KEYWORD, Method.STAFF_WITHDRAWAL]),
    )
    def withdraw(self, about: Sequence[Channel], method: Method) -> None:
        self.steps["withdraw"] += 1
        if self._act(lambda: withdraw(self.patient, self.now, method=method, channels=about)):
            self._hear_no(about)

    def _hear_no(self, about: Sequence[Channel]) -> None:
        for channel in about:
            self.heard.hear_no(channel)

    @rule()
    def object_to_it(self) -> None:
        self.steps["object"] += 1
        if self._act(lambda: object_now(self.patient, self.now)):
            self._hear_no(CHANNELS)
            self.heard.objected = set(CHANNELS)

    @precondition(lambda self: self.heard.objected and not self.heard.erased)
    @rule()
    def take_it_back(self) -> None:
        for one in objections_of(clinic_id=self.clinic.id, patient_id=self.patient.id):
            if one.lifted_at is None:
                take_back(self.patient, one.id, self.now)
        self.heard.objected = set()

    @rule()
    def restrict(self) -> None:
        self.steps["restrict"] += 1
        if self._act(lambda: restrict(self.patient, self.now)):
            self.heard.restricted = True

    @precondition(lambda self: self.heard.restricted and not self.heard.erased)
    @rule()
    def lift_it(self) -> None:
        lift(self.patient, self.now)
        self.heard.restricted = False

    @precondition(lambda self: not self.heard.erased)
    @rule(born=st.sampled_from(OTHER_BIRTH_DATES), at_once=st.booleans())
    def a_file_puts_the_birth_date_right(self, born: date, *, at_once: bool) -> None:
        """Whether it is judged at once, by the tick, or not before something is sent."""
        if born == self.heard.born:
            return
        self.steps["birth date"] += 1
        correct_birth_date(self.patient, born, now=self.now)
        self.heard.hear_birth_date(born)
        if at_once:
            judge_ages_anew(actor=system_actor("consent"), now=self.now)

    @property
    def in_question(self) -> bool:
        """Has nobody judged yet what was said before the birth date was put right?"""
        return bool(Patient.objects.filter(id=self.patient.id).exclude(birth_date_corrected_at=None).exists())

    @rule(days=st.sampled_from([1, 30, 200, 400]))
    def time_passes(self, days: int) -> None:
        self._go_to(self.now + days * DAY)

    @rule(
        edge=st.sampled_from([0, 0, 1]),
        off=st.sampled_from([-SECOND, timedelta(), SECOND]),
        tick=st.booleans(),
        says=st.booleans(),
    )
    def time_passes_to_an_edge(self, edge: int, off: timedelta, *, tick: bool, says: bool) -> None:
        """To a birthday, or the instant at which a yes ends by itself, and to the seconds around it."""
        coming = sorted(one for one in self.heard.edges() if one + off > self.now)
        if coming:
            self._go_to(coming[min(edge, len(coming) - 1)] + off)
        if tick:
            self.steps["expire"] += end_consents(actor=system_actor("consent"), now=self.now)
        if says:
            self.say_yes(CHANNELS, ("patient",), Method.APP)

    def _go_to(self, then: datetime) -> None:
        self.steps["birthday"] += self.now < self.heard.of_age <= then
        self.now = then

    @rule(days=st.sampled_from([0, 100]), after_a_yes=st.booleans())
    def the_notice_changes(self, days: int, *, after_a_yes: bool) -> None:
        """From its date on, whether the tick has come or not."""
        if after_a_yes:
            self.say_yes(CHANNELS, ("patient",), Method.APP)
        these = {"clinic_id": self.clinic.id, "now": self.now}
        words = whole_notice(self.clinic.id, "Autre chose.")
        draft_id = draft_notice(**these, **words, actor=self.manager)
        begins = self.now + days * DAY
        said: dict[str, Any] = {
            "materiality": Materiality.MATERIAL,
            "reason": "A new recipient.",
            "effective_from": begins,
        }
        approve_notice(**these, draft_id=draft_id, **said, actor=self.dpo)
        version = publish_draft(**these, draft_id=draft_id, actor=self.manager)
        self.heard.material.append((version, begins))

    @precondition(lambda self: self.answered > LATE)
    @rule()
    def a_file_says_that_they_died(self) -> None:
        self.steps["import"] += 1
        if not self.heard.erased:
            told = records.patient(self.patient.ipp, birth_date=self.heard.born, deceased=True)
            import_records(clinic_id=self.clinic.id, records=[told], source="test", actor=system_actor(), now=self.now)
            self.heard.deceased = True

    @precondition(lambda self: self.answered > LATE)
    @rule()
    def erase(self) -> None:
        self.steps["erase"] += 1
        if not self.heard.erased:
            destroy_subject_keys(
                subject_id=self.patient.id,
                clinic_id=self.clinic.id,
                reason="erasure",
                actor=system_actor(),
                now=self.now,
            )
        self.heard.erased = True

    @precondition(lambda self: not self.heard.erased)
    @rule()
    def a_reminder_is_planned(self) -> None:
        """It waits in the queue, whatever is said meanwhile."""
        self._plan()

    @precondition(lambda self: not self.heard.erased)
    @rule(after_a_yes=st.booleans())
    def a_reminder_is_planned_and_sent(self, *, after_a_yes: bool) -> None:
        if after_a_yes:
            self.say_yes(CHANNELS, ("patient",), Method.APP)
        self._plan()
        self.send(when_due=True)

    def _plan(self) -> None:
        make_appointment(self.patient, starts_at=self.now + timedelta(days=1, hours=4), now=self.now)
        plan_programmes(now=self.now)

    @rule(when_due=st.booleans())
    def send(self, *, when_due: bool) -> None:
        """Now, or when the next one is due."""
        waiting = Message.objects.filter(patient_id=self.patient.id, state__in=["planned", "deferred"])
        if when_due and (following := waiting.order_by("due_at").first()) is not None:
            self._go_to(max(self.now, following.due_at))
        carriers = carriers_in_test()
        deliver_due_messages(now=self.now, carriers=carriers)
        own = Message.objects.filter(patient_id=self.patient.id)
        for message in own.filter(id__in=[one.message_id for one in given_to(carriers)]):
            assert self.heard.may_be_sent(Channel(message.channel), self.now)
            self.steps["send"] += 1

    @invariant()
    def nothing_leaves_without_a_yes_that_stands(self) -> None:
        self.answered += 1
        for channel in CHANNELS:
            allowed = answer(self.patient, self.now, channel=channel)[0] == Decided.ALLOW
            may_be = self.heard.may_be_sent(channel, self.now)
            assert allowed == may_be or (self.in_question and not allowed), (channel, self.heard)

    def teardown(self) -> None:
        """The states are those that the events make; and every run ends of age, then erased."""
        told = rebuild_states(clinic_id=self.clinic.id, actor=system_actor("rebuild"), now=self.now)
        assert told.different == 0
        self._go_to(max(self.now, self.heard.of_age))
        self.nothing_leaves_without_a_yes_that_stands()
        self.erase()
        self.nothing_leaves_without_a_yes_that_stands()
        # What is left in the queue is no concern of the next run.
        deliver_due_messages(now=self.now + 30 * DAY, carriers=carriers_in_test())


MOST_TURNS = 5
MUST_BE_TAKEN = (
    *("grant", "refuse", "withdraw", "object", "restrict"),
    *("import", "birthday", "birth date", "erase", "send"),
)


def test_in_the_database_nothing_leaves_without_a_yes_that_stands(northgate, manager, dpo):
    class Here(InTheDatabase):
        pass

    Here.clinic, Here.manager, Here.dpo = northgate, manager, dpo
    Here.steps = Counter()
    # Chance may leave a rare step out: then more is walked.
    for _ in range(MOST_TURNS):
        run(
            Here,
            settings=settings(
                max_examples=18,
                stateful_step_count=25,
                deadline=None,
                database=None,
                # Runs share the database: one can not be told again, nor made smaller.
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
        missing = {step for step in MUST_BE_TAKEN if not Here.steps[step]}
        if not missing:
            break
    # One walk is written down, so that something surely was sent.
    sure = Here()
    sure.begin(begins=START, consenting=True, outdated=False)
    sure.a_reminder_is_planned_and_sent(after_a_yes=False)
    sure.teardown()
    assert not missing - {"send"}, f"not among the steps: {missing}"
    assert Here.steps["send"]
