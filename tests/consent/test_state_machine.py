"""Whatever is said, by whom and in which order: nothing leaves without a yes that stands (promise 1).

Twice: in memory, over the fold of events and the decision core, for many steps; and over the real operations, the
database and the gate, for fewer. Each is held against a model of its own, which knows no states, only what was said.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from backend.audit.actors import system_actor
from backend.audit.keys import destroy_subject_keys
from backend.consent.models import ConsentEvent, Notice
from backend.consent.operations import (
    approve_notice,
    draft_notice,
    end_consents,
    give_consent,
    publish_draft,
    rebuild_states,
    refuse_consent,
)
from backend.consent.operations.accompanying import Deciding
from backend.consent.operations.standing import Standing, standing_after
from backend.consent.queries import latest_notices, objections_of
from backend.errors import DomainError
from backend.policy.ages import Capacity, adult_from, capacity
from backend.policy.contact import ConsentFact, decide
from backend.policy.timing import local_instant
from backend.policy.vocabulary import Channel, ConsentStatus, Decided, EventKind, Language, Materiality, Method
from backend.vault.identifiers import new_id
from tests.consent.test_deciding import mother_of, say, withdraw
from tests.consent.test_ending import answer
from tests.consent.test_objecting import lift, object_now, restrict, take_back
from tests.factories.patients import make_patient
from tests.policy.facts import CONSENTING, REMINDER

DAY = timedelta(days=1)
START = datetime(2026, 10, 14, 8, 0, tzinfo=UTC)
OF_AGE = datetime(2030, 2, 27, 23, 0, tzinfo=UTC)
"""Midnight in Paris on the eighteenth birthday of the one it is about."""
VALIDITY = 36 * 30 * DAY


@dataclass
class Said:
    """What a bystander remembers: the last word of the patient and of the parent, and what stands against both."""

    patient_yes: datetime | None = None
    parent_yes: datetime | None = None
    yes_to_version: int = 0
    complete: datetime | None = None
    with_parent: bool = False
    objected: bool = False
    restricted: bool = False
    erased: bool = False

    def forget(self) -> None:
        """A no, a withdrawal, an objection, or an end: every yes is gone."""
        self.patient_yes = self.parent_yes = self.complete = None
        self.with_parent = False


class InMemory(RuleBasedStateMachine):
    """The fold of the events and the decision core, without any database."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.born = date(2012, 2, 28)
        self.version = 1
        self.material: list[tuple[int, datetime]] = []
        self.said = Said()
        self.standing: Standing | None = None
        self.speakers: list[str] = []
        self.sent = 0

    @initialize(begins=st.sampled_from([START, OF_AGE - 100 * DAY, OF_AGE - DAY]))
    def begin(self, begins: datetime) -> None:
        """As a child, and shortly before coming of age: left to chance, few runs would get there."""
        self.now = begins

    def _event(self, kind: EventKind, **changes: Any) -> None:
        notice = Notice(version=self.version) if kind in {EventKind.GIVEN, EventKind.PENDING} else None
        event = ConsentEvent(id=new_id(), kind=kind, recorded_at=self.now, **changes)
        if notice is not None:
            event.notice = notice
        self.standing = standing_after(self.standing, event)

    @property
    def capacity(self) -> Capacity:
        return capacity(self.born, self.now.date(), "FR")

    @rule(by_patient=st.booleans(), by_parent=st.booleans())
    def say_yes(self, *, by_patient: bool, by_parent: bool) -> None:
        if not (by_patient or by_parent) or self.said.objected or self.said.erased:
            return
        if not by_patient and self.capacity is not Capacity.JOINT:
            return
        roles = [role for role, spoke in (("patient", by_patient), ("representative", by_parent)) if spoke]
        waiting = self.standing is not None and self.standing.status is ConsentStatus.PENDING
        if waiting and self.standing is not None and self.standing.notice_version == self.version:
            roles = sorted({*roles, *self.speakers})
        minor = self.capacity is not Capacity.ADULT
        deciding = Deciding(
            needs_both=self.capacity is Capacity.JOINT,
            of_age_at=local_instant(adult_from(self.born), START.time().min, "Europe/Paris") if minor else None,
        )
        spoken = [{"role": role} for role in roles]
        until = self.now + VALIDITY
        kind = EventKind.GIVEN if deciding.is_complete(spoken) else EventKind.PENDING
        self._event(kind, valid_until=until, guardian_until=deciding.guardian_until(spoken, valid_until=until))
        self.speakers = roles
        if self.said.yes_to_version != self.version or self.said.complete is not None or not waiting:
            self.said.forget()
        self.said.yes_to_version = self.version
        if by_patient:
            self.said.patient_yes = self.now
        if by_parent:
            self.said.parent_yes = self.now
        enough = self.said.patient_yes is not None and (self.said.parent_yes is not None or not deciding.needs_both)
        if enough:
            self.said.complete, self.said.with_parent = self.now, minor and self.said.parent_yes is not None

    @rule(kind=st.sampled_from([EventKind.REFUSED, EventKind.WITHDRAWN, EventKind.REVOKED, EventKind.INVALIDATED]))
    def say_no(self, kind: EventKind) -> None:
        self._event(kind)
        self.said.forget()

    @rule(kind=st.sampled_from([EventKind.REQUESTED, EventKind.DEFERRED, EventKind.UNKNOWN]))
    def ask_or_claim(self, kind: EventKind) -> None:
        self._event(kind)

    @rule()
    def object_to_it(self) -> None:
        self._event(EventKind.OBJECTED)
        self.said.forget()
        self.said.objected = True

    @precondition(lambda self: self.said.objected)
    @rule()
    def take_it_back(self) -> None:
        self._event(EventKind.OBJECTION_LIFTED)
        self.said.objected = False

    @rule(restricted=st.booleans())
    def restrict(self, *, restricted: bool) -> None:
        self.said.restricted = restricted

    @rule(days=st.sampled_from([1, 30, 200, 400, 1100]))
    def time_passes(self, days: int) -> None:
        self.now = min(self.now + days * DAY, START + 30 * 365 * DAY)

    @rule()
    def the_tick_comes(self) -> None:
        """May come late, or never: nothing depends on it."""
        if self.standing is None:
            return
        for kind, ended in (
            (EventKind.ENDED, self.standing.guardian_until),
            (EventKind.EXPIRED, self.standing.valid_until),
        ):
            if ended is not None and ended <= self.now:
                self._event(kind)

    @rule(days=st.sampled_from([0, 1, 100]))
    def the_notice_changes(self, days: int) -> None:
        self.version += 1
        self.material.append((self.version, self.now + days * DAY))

    @rule()
    def the_notice_is_reworded(self) -> None:
        self.version += 1

    @rule()
    def erase(self) -> None:
        # Rarely of use at the beginning of a run, where nothing follows any more.
        self.said.erased = self.said.erased or self.sent > 3

    @invariant()
    def nothing_leaves_without_a_yes_that_stands(self) -> None:
        consents = () if self.standing is None else (self._fact(self.standing),)
        verdict = decide(
            replace(
                CONSENTING,
                now=self.now,
                consents=consents,
                objections=frozenset({REMINDER.slug}) if self.said.objected else frozenset(),
                restricted=self.said.restricted,
                erased=self.said.erased,
            )
        )
        allowed = verdict.decided is Decided.ALLOW
        assert allowed == self._may_be_sent(), (verdict, self.said, self.standing)
        self.sent += allowed

    def _fact(self, standing: Standing) -> ConsentFact:
        later = [at for version, at in self.material if version > (standing.notice_version or 0)]
        return ConsentFact(
            purpose=REMINDER.slug,
            channel=Channel.SMS,
            status=standing.status,
            event_id=standing.standing_event_id,
            valid_from=standing.since,
            valid_until=standing.valid_until,
            guardian_until=standing.guardian_until,
            reconsent_from=min(later, default=None),
        )

    def _may_be_sent(self) -> bool:
        """Promise 1, said once more without any of the product's words."""
        said = self.said
        if said.erased or said.restricted or said.objected or said.complete is None:
            return False
        if self.now >= said.complete + VALIDITY:
            return False
        if any(version > said.yes_to_version and at <= self.now for version, at in self.material):
            return False
        return not (said.with_parent and self.now >= OF_AGE)


def test_in_memory_nothing_leaves_without_a_yes_that_stands():
    """At least 10,000 steps, counted."""
    steps = 0

    class Counted(InMemory):
        def teardown(self) -> None:
            nonlocal steps
            steps += self.taken

        @invariant()
        def count_steps(self) -> None:
            self.taken = getattr(self, "taken", -1) + 1

    run_state_machine_as_test(
        Counted,
        settings=settings(
            max_examples=260,
            stateful_step_count=50,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert steps >= 10_000


class InTheDatabase(RuleBasedStateMachine):
    """The operations, the database and the gate: whatever happened, a message leaves only on a yes that stands."""

    clinic: Any = None
    manager: Any = None
    dpo: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.patient = make_patient(self.clinic.id, now=START, birth_date=date(2012, 2, 28))
        self.mother = mother_of(self.patient, START)
        self.yes_until: datetime | None = None
        self.stopped: set[str] = set()

    @rule(with_mother=st.booleans(), method=st.sampled_from([Method.APP, Method.PAPER_FORM, Method.IMPORT]))
    def say_yes(self, *, with_mother: bool, method: Method) -> None:
        evidence = {
            Method.APP: {"notice_version": 1, "initial_state": "off"},
            Method.PAPER_FORM: {"form_reference": "F-1", "signed_on": "2026-10-14"},
            Method.IMPORT: {"file_sha256": "0" * 64, "proof_reference": "row 1"},
        }[method]
        version = latest_notices(self.clinic.id)[Language.FRENCH].version
        try:
            told = say(
                give_consent,
                self.patient,
                self.now,
                method=method,
                evidence=evidence,
                notice_version=version,
                representatives=(self.mother,) if with_mother else (),
            )
        except DomainError:
            assert self.stopped & {"objected", "erased"}
            return
        self.yes_until = told.valid_until if told.status is ConsentStatus.GIVEN else None
        if self.yes_until is not None and with_mother and self.now < OF_AGE:
            self.yes_until = min(self.yes_until, OF_AGE)

    @rule()
    def refuse(self) -> None:
        if "erased" in self.stopped:
            return
        version = latest_notices(self.clinic.id)[Language.FRENCH].version
        say(refuse_consent, self.patient, self.now, notice_version=version)
        self.yes_until = None

    @rule(method=st.sampled_from([Method.APP, Method.ONE_CLICK, Method.SMS_KEYWORD, Method.STAFF_WITHDRAWAL]))
    def withdraw(self, method: Method) -> None:
        if "erased" in self.stopped:
            return
        assert withdraw(self.patient, self.now, method=method).confirmed
        self.yes_until = None

    @rule()
    def object_to_it(self) -> None:
        if "erased" in self.stopped:
            return
        assert object_now(self.patient, self.now).confirmed
        self.yes_until = None
        self.stopped.add("objected")

    @rule()
    def take_it_back(self) -> None:
        if "erased" in self.stopped:
            return
        for one in objections_of(clinic_id=self.clinic.id, patient_id=self.patient.id):
            if one.lifted_at is None:
                take_back(self.patient, one.id, self.now)
        self.stopped.discard("objected")

    @rule()
    def restrict(self) -> None:
        if "erased" in self.stopped:
            return
        assert restrict(self.patient, self.now).confirmed
        self.stopped.add("restricted")

    @rule()
    def lift_it(self) -> None:
        if "restricted" in self.stopped and "erased" not in self.stopped:
            lift(self.patient, self.now)
            self.stopped.discard("restricted")

    @rule(days=st.sampled_from([1, 200, 500]))
    def time_passes(self, days: int) -> None:
        self.now += days * DAY

    @rule()
    def the_tick_comes(self) -> None:
        end_consents(actor=system_actor("consent"), now=self.now)

    @rule()
    def the_notice_changes(self) -> None:
        these = {"clinic_id": self.clinic.id, "now": self.now}
        texts = dict.fromkeys(Language, ("Vos choix", "Autre chose."))
        draft_id = draft_notice(**these, texts=texts, actor=self.manager)
        said: dict[str, Any] = {
            "materiality": Materiality.MATERIAL,
            "reason": "A new recipient.",
            "effective_from": self.now,
        }
        approve_notice(**these, draft_id=draft_id, **said, actor=self.dpo)
        publish_draft(**these, draft_id=draft_id, actor=self.manager)
        self.yes_until = None

    @precondition(lambda self: self.now > START + 300 * DAY)
    @rule()
    def erase(self) -> None:
        if "erased" in self.stopped:
            return
        destroy_subject_keys(
            subject_id=self.patient.id,
            clinic_id=self.clinic.id,
            reason="erasure",
            actor=system_actor(),
            now=self.now,
        )
        self.stopped.add("erased")

    @invariant()
    def nothing_leaves_without_a_yes_that_stands(self) -> None:
        allowed = answer(self.patient, self.now)[0] == Decided.ALLOW
        expected = not self.stopped and self.yes_until is not None and self.now < self.yes_until
        assert allowed == expected

    def teardown(self) -> None:
        """The states are those that the events make."""
        told = rebuild_states(clinic_id=self.clinic.id, actor=system_actor("rebuild"), now=self.now)
        assert told.different == 0


def test_in_the_database_nothing_leaves_without_a_yes_that_stands(northgate, manager, dpo):
    class Here(InTheDatabase):
        pass

    Here.clinic, Here.manager, Here.dpo = northgate, manager, dpo
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=12,
            stateful_step_count=15,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
