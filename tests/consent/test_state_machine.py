"""Whatever is said, by whom and in which order: nothing leaves without a yes that stands (promise 1).

In memory, over the fold of the events and the decision core, for many steps; `test_state_machine_in_the_database.py`
goes through the real operations for fewer. Both are held against a bystander, who knows no states, only what was said.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID

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

from backend.clinics.queries import ClinicFacts
from backend.consent.models import ConsentEvent, Notice
from backend.consent.operations.accompanying import Deciding
from backend.consent.operations.standing import A_YES, Standing, standing_after
from backend.policy.ages import Capacity, adult_from, capacity
from backend.policy.contact import EVERY_MARKETING, ConsentFact, PurposeFacts, Verdict, decide
from backend.policy.timing import local_instant
from backend.policy.vocabulary import Channel, ConsentStatus, Decided, EventKind, Nature, Reason
from backend.vault.identifiers import new_id
from tests.consent.bystander import (
    DAY,
    OF_AGE,
    OTHER_BIRTH_DATES,
    PARIS,
    SECOND,
    START,
    Bystander,
    three_years_after,
)
from tests.policy.facts import CONSENTING, OFFERS, REMINDER

CLINIC = ClinicFacts(
    id=new_id(),
    slug="northgate",
    name="Northgate",
    discreet_name="Northgate",
    country="FR",
    time_zone="Europe/Paris",
    telephone="",
    address="",
)


class Stream(NamedTuple):
    """A purpose on a channel: what one says yes or no to."""

    purpose: PurposeFacts
    channel: Channel


STREAMS = tuple(Stream(purpose, channel) for purpose in (REMINDER, OFFERS) for channel in (Channel.SMS, Channel.EMAIL))
ABOUT = st.sampled_from([*((one,) for one in STREAMS), STREAMS, STREAMS, STREAMS, STREAMS])
"""What a step is about: one stream, or as often all of them."""

MUST_BE_MET_ALONE = {
    (Reason.DECEASED, ConsentStatus.GIVEN),
    (Reason.ERASED, ConsentStatus.GIVEN),
    (Reason.RESTRICTED, ConsentStatus.GIVEN),
    (Reason.OBJECTED, ConsentStatus.GIVEN),
    (Reason.OBJECTED, ConsentStatus.OBJECTED),
    (Reason.NO_CONSENT, ConsentStatus.NONE),
    (Reason.CONSENT_PENDING, ConsentStatus.PENDING),
    (Reason.CONSENT_REFUSED, ConsentStatus.REFUSED),
    (Reason.CONSENT_WITHDRAWN, ConsentStatus.WITHDRAWN),
    (Reason.CONSENT_NOT_YET_VALID, ConsentStatus.GIVEN),
    (Reason.CONSENT_EXPIRED, ConsentStatus.GIVEN),
    (Reason.CONSENT_EXPIRED, ConsentStatus.EXPIRED),
    (Reason.RECONSENT_REQUIRED, ConsentStatus.GIVEN),
    (Reason.RECONSENT_REQUIRED, ConsentStatus.RECONSENT_REQUIRED),
    (Reason.CONSENT_ENDED, ConsentStatus.GIVEN),
    (Reason.CONSENT_ENDED, ConsentStatus.ENDED),
}
"""The only reason for a no, and how it stood: a rule that no run ever needs could be taken away unnoticed."""


class InMemory(RuleBasedStateMachine):
    """The fold of the events and the decision core, without any database."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.version = 1
        self.heard = Bystander()
        self.standing: dict[Stream, Standing] = {}
        self.events: dict[Stream, list[UUID]] = {one: [] for one in STREAMS}
        self.speakers: dict[Stream, list[str]] = {}
        self.said_at: dict[Stream, datetime] = {}
        self.objections: set[str] = set()
        self.written: set[Stream] = set()
        self.in_question = False
        self.allowed = 0
        self.alone: Counter[tuple[Reason, ConsentStatus]] = Counter()
        self.steps: Counter[str] = Counter()

    @initialize(
        begins=st.sampled_from([START, OF_AGE - 100 * DAY, OF_AGE - DAY, OF_AGE]),
        consenting=st.booleans(),
        first=st.sampled_from([None, EventKind.REQUESTED, EventKind.DEFERRED, EventKind.UNKNOWN]),
    )
    def begin(self, begins: datetime, *, consenting: bool, first: EventKind | None) -> None:
        """As a child, shortly before coming of age, and of age: left to chance, few runs would get there."""
        self.now = begins
        if first is not None:
            self.ask_or_claim(STREAMS, first)
        if consenting:
            self._say_yes(STREAMS, by_patient=True, by_parent=True)

    def _event(self, stream: Stream, kind: EventKind, **changes: Any) -> None:
        event = ConsentEvent(id=new_id(), kind=kind, recorded_at=self.now, **changes)
        if kind in {EventKind.GIVEN, EventKind.RENEWED, EventKind.PENDING}:
            event.notice = Notice(version=self.version)
        self.events[stream].append(event.id)
        self.standing[stream] = standing_after(self.standing.get(stream), event)

    @rule(about=ABOUT, by_patient=st.booleans(), by_parent=st.booleans())
    def say_yes(self, about: tuple[Stream, ...], *, by_patient: bool, by_parent: bool) -> None:
        """Where an objection stands the operations refuse it; should one get by, it counts for nothing."""
        if by_patient or (by_parent and self._capacity() is Capacity.JOINT):
            self.steps["re-consent" if self.allowed else "grant"] += 1
            self._say_yes(about, by_patient=by_patient, by_parent=by_parent)

    @rule(about=ABOUT)
    def both_say_yes(self, about: tuple[Stream, ...]) -> None:
        self.steps["grant"] += 1
        self._say_yes(about, by_patient=True, by_parent=True)

    def _capacity(self) -> Capacity:
        return capacity(self.heard.born, self.now.astimezone(PARIS).date(), "FR")

    def _say_yes(self, about: tuple[Stream, ...], *, by_patient: bool, by_parent: bool) -> None:
        for stream in about:
            if self.heard.erased:
                return
            self._one_yes(stream, by_patient=by_patient, by_parent=by_parent)
            if stream not in self.heard.objected:
                self.heard.hear_yes(
                    stream, by_patient=by_patient, by_parent=by_parent, at=self.now, version=self.version
                )

    def _one_yes(self, stream: Stream, *, by_patient: bool, by_parent: bool) -> None:
        standing = self.standing.get(stream)
        status = ConsentStatus.NONE if standing is None else standing.status
        roles = [role for role, spoke in (("patient", by_patient), ("representative", by_parent)) if spoke]
        if standing is not None and status is ConsentStatus.PENDING and standing.notice_version == self.version:
            roles = sorted({*roles, *self.speakers[stream]})
        decides = self._capacity()
        of_age_at = local_instant(adult_from(self.heard.born), time.min, "Europe/Paris")
        deciding = Deciding(
            needs_both=decides is Capacity.JOINT, of_age_at=None if decides is Capacity.ADULT else of_age_at
        )
        spoken = [{"role": role} for role in roles]
        kind = EventKind.RENEWED if status in {ConsentStatus.GIVEN, ConsentStatus.EXPIRED} else EventKind.GIVEN
        until = three_years_after(self.now)
        self._event(
            stream,
            kind if deciding.is_complete(spoken) else EventKind.PENDING,
            valid_until=until,
            guardian_until=deciding.guardian_until(spoken, valid_until=until),
        )
        self.speakers[stream] = roles
        self.said_at[stream] = self.now

    @rule(
        about=ABOUT,
        kind=st.sampled_from([EventKind.REFUSED, EventKind.WITHDRAWN, EventKind.REVOKED, EventKind.INVALIDATED]),
    )
    def say_no(self, about: tuple[Stream, ...], kind: EventKind) -> None:
        self.steps[kind] += 1
        for stream in about:
            self._event(stream, kind)
            self.heard.hear_no(stream)

    @rule(about=ABOUT, kind=st.sampled_from([EventKind.REQUESTED, EventKind.DEFERRED, EventKind.UNKNOWN]))
    def ask_or_claim(self, about: tuple[Stream, ...], kind: EventKind) -> None:
        """`unknown` is what an import claims without proof: it permits nothing, and takes nothing away."""
        self.steps["import"] += kind is EventKind.UNKNOWN
        for stream in about:
            self._event(stream, kind)

    @rule(about=ABOUT, back=st.sampled_from([1, 1, 2, 3]))
    def it_was_a_slip(self, about: tuple[Stream, ...], back: int) -> None:
        """Only what stands now can be put right: a slip under what was said later changes nothing.

        An objection is none: the operation refuses it, only the patient ends it.
        """
        for stream in about:
            standing = self.standing.get(stream)
            if standing is None or standing.status is ConsentStatus.OBJECTED or len(self.events[stream]) < back:
                continue
            slip = self.events[stream][-back]
            self._event(stream, EventKind.ENTERED_IN_ERROR, about_id=slip)
            if slip == standing.standing_event_id:
                self.heard.hear_no(stream)

    @rule(to=st.sampled_from([REMINDER.slug, OFFERS.slug, EVERY_MARKETING]), with_events=st.booleans())
    def object_to_it(self, to: str, *, with_events: bool) -> None:
        """Of a purpose that is defined after an objection to all marketing there is no event: the objection holds."""
        self.steps["object"] += 1
        self.objections.add(to)
        for stream in self._covered(to):
            if with_events:
                self._event(stream, EventKind.OBJECTED)
                self.written.add(stream)
            self.heard.hear_no(stream)
        self.heard.objected |= set(self._covered(to))

    @precondition(lambda self: self.objections)
    @rule(which=st.integers(0, 2))
    def take_it_back(self, which: int) -> None:
        self.objections.remove(sorted(self.objections)[which % len(self.objections)])
        still = {stream for one in self.objections for stream in self._covered(one)}
        for stream in STREAMS:
            if stream in self.heard.objected and stream not in still:
                self._event(stream, EventKind.OBJECTION_LIFTED)
        self.heard.objected = set(still)
        self.written &= still

    @staticmethod
    def _covered(to: str) -> list[Stream]:
        return [
            one
            for one in STREAMS
            if to == one.purpose.slug or (to == EVERY_MARKETING and one.purpose.nature is Nature.MARKETING)
        ]

    @rule(restricted=st.booleans())
    def restrict(self, *, restricted: bool) -> None:
        self.steps["restrict"] += restricted
        self.heard.restricted = restricted

    @rule(deceased=st.booleans())
    def a_file_says_who_died(self, *, deceased: bool) -> None:
        self.steps["import"] += 1
        self.heard.deceased = deceased

    @precondition(lambda self: not self.heard.erased)
    @rule(born=st.sampled_from(OTHER_BIRTH_DATES), at_once=st.booleans())
    def a_file_puts_the_birth_date_right(self, born: date, *, at_once: bool) -> None:
        """Whether it is judged at once or later: nothing that nobody may say stands meanwhile."""
        if born == self.heard.born:
            return
        self.steps["birth date"] += 1
        self.heard.hear_birth_date(born)
        self.in_question = True
        if at_once:
            self._judge()

    def _judge(self) -> None:
        """As `judge_ages_anew` does, from the same rule."""
        self.in_question = False
        for stream, standing in self.standing.items():
            if standing.status not in A_YES:
                continue
            spoken = [{"role": role} for role in self.speakers.get(stream, [])]
            deciding = Deciding.judged_anew(
                self.heard.born, clinic=CLINIC, said_at=self.said_at[stream], speakers=spoken, represent={}
            )
            if deciding is None:
                if standing.status is ConsentStatus.GIVEN:
                    self.steps["said in vain"] += 1
                    self._event(stream, EventKind.INVALIDATED)
                continue
            ends = deciding.guardian_until(spoken, valid_until=standing.valid_until)
            if ends != standing.guardian_until:
                self.steps["guardian's end moved"] += 1
                self._event(stream, EventKind.AGE_CORRECTED, guardian_until=ends)

    @rule(days=st.sampled_from([1, 30, 200, 400]))
    def time_passes(self, days: int) -> None:
        self._go_to(self.now + days * DAY)

    @rule(
        edge=st.sampled_from([0, 0, 0, 1, 2]),
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
            self._tick()
        if says:
            self._say_yes(STREAMS, by_patient=True, by_parent=False)

    @rule(stream=st.sampled_from(STREAMS), off=st.sampled_from([-SECOND, timedelta(), DAY]), tick=st.booleans())
    def a_yes_grows_old(self, stream: Stream, off: timedelta, *, tick: bool) -> None:
        """A yes that is said anew, and three years in which nobody says anything."""
        self._say_yes((stream,), by_patient=True, by_parent=False)
        self._go_to(three_years_after(self.now) + off)
        if tick:
            self._tick()

    def _go_to(self, then: datetime) -> None:
        self.steps["birthday"] += self.now < self.heard.of_age <= then
        self.now = min(then, START.replace(year=START.year + 30))

    @rule()
    def the_tick_comes(self) -> None:
        """May come late, or never: nothing depends on it."""
        self._tick()

    def _tick(self) -> None:
        self._judge()
        for stream, standing in self.standing.items():
            begun = [version for version, at in self.heard.material if at <= self.now]
            of_age, ends = standing.guardian_until, standing.valid_until
            if of_age is not None and of_age <= self.now:
                self._event(stream, EventKind.ENDED)
            elif standing.status is ConsentStatus.GIVEN and ends is not None and ends <= self.now:
                self.steps["expire"] += 1
                self._event(stream, EventKind.EXPIRED)
            elif (standing.notice_version or 0) < max(begun, default=0):
                self._event(stream, EventKind.RECONSENT_REQUIRED)

    @rule(days=st.sampled_from([0, 1, 100]))
    def the_notice_changes(self, days: int) -> None:
        self.version += 1
        self.heard.material.append((self.version, self.now + days * DAY))

    @rule()
    def the_notice_is_reworded(self) -> None:
        self.version += 1

    @precondition(lambda self: self.allowed > 30)
    @rule()
    def erase(self) -> None:
        """Not in the beginning of a run: nothing comes after it."""
        self.steps["erase"] += not self.heard.erased
        self.heard.erased = True

    @rule(late=st.sampled_from([SECOND, DAY]))
    def a_clock_is_slow(self, late: timedelta) -> None:
        """A yes holds from its instant on: a worker whose clock runs behind finds none."""
        self._ask(self.now - late, knows_what_comes=True)

    @invariant()
    def nothing_leaves_without_a_yes_that_stands(self) -> None:
        self.steps["send"] += 1
        self._ask(self.now)

    def _ask(self, at: datetime, *, knows_what_comes: bool = False) -> None:
        for stream in STREAMS:
            verdict = self._decide(stream, at)
            # A message that waits for a lawful hour was permitted all the same.
            allowed = verdict.decided is not Decided.DENY
            may_be = self.heard.may_be_sent(stream, at)
            # Asked of an instant that has passed, it may know already that the yes has ended.
            knows_more = knows_what_comes or self.in_question
            assert allowed == may_be or (knows_more and not allowed), (stream, verdict, self.heard, self.standing)
            # The events alone say no as well, should the objection itself not be found.
            assert stream not in self.written or self._decide(stream, at, objections=()).decided is Decided.DENY
            self.allowed += allowed
            if len(verdict.reasons) == 1:
                standing = self.standing.get(stream)
                self.alone[verdict.reasons[0], ConsentStatus.NONE if standing is None else standing.status] += 1

    def _decide(self, stream: Stream, at: datetime, *, objections: Collection[str] | None = None) -> Verdict:
        return decide(
            replace(
                CONSENTING,
                now=at,
                purpose=stream.purpose,
                channel=stream.channel,
                consents=tuple(self._fact(*one) for one in self.standing.items()),
                objections=frozenset(self.objections if objections is None else objections),
                restricted=self.heard.restricted,
                deceased=self.heard.deceased,
                erased=self.heard.erased,
            )
        )

    def _fact(self, stream: Stream, standing: Standing) -> ConsentFact:
        later = [at for version, at in self.heard.material if version > (standing.notice_version or 0)]
        return ConsentFact(
            purpose=stream.purpose.slug,
            channel=stream.channel,
            # As the gate has it: until it is judged by their age, nobody has confirmed it.
            status=ConsentStatus.PENDING
            if self.in_question and standing.status is ConsentStatus.GIVEN
            else standing.status,
            event_id=standing.standing_event_id,
            valid_from=standing.since,
            valid_until=standing.valid_until,
            guardian_until=standing.guardian_until,
            reconsent_from=min(later, default=None),
        )


EXAMPLES = 300
MOST_TURNS = 10
MUST_BE_TAKEN = (
    *("grant", "refused", "withdrawn", "object", "restrict", "expire", "re-consent", "import", "birthday"),
    *("erase", "birth date", "guardian's end moved", "said in vain"),
)


def test_in_memory_nothing_leaves_without_a_yes_that_stands():
    """At least 10,000 steps, counted; and every rule about consent was needed, by itself, somewhere among them."""
    alone: Counter[tuple[Reason, ConsentStatus]] = Counter()
    steps: Counter[str] = Counter()

    class Counted(InMemory):
        def teardown(self) -> None:
            alone.update(self.alone)
            steps.update(self.steps)

    # Chance may leave a rare step out: then more is walked, until everything was met or it can not be chance any more.
    for walked in range(1, MOST_TURNS + 1):
        run_state_machine_as_test(
            Counted,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=50,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        missing = {step for step in MUST_BE_TAKEN if not steps[step]}
        # It is asked whether something may be sent once before the first step of a run.
        asked = steps["send"] - walked * EXAMPLES
        if not missing and asked >= 10_000 and alone.keys() >= MUST_BE_MET_ALONE:
            break
    assert asked >= 10_000
    assert not missing, f"not among the steps: {missing}"
    assert MUST_BE_MET_ALONE - alone.keys() == set()
