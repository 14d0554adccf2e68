"""What holds of every verdict, whatever the facts: the promises that no example can exhaust."""

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import assume, example, given
from hypothesis import strategies as st

from backend.policy.contact import (
    RULES_VERSION,
    ConsentFact,
    ContactFacts,
    ContactPointFacts,
    FrequencyCap,
    PreferenceFacts,
    PurposeFacts,
    QuietHours,
    Remedy,
    Verdict,
    decide,
)
from backend.policy.vocabulary import Channel, ConsentStatus, ContactStatus, Decided, Nature, Reason
from tests.policy.facts import CONSENTING, NOW

SLUGS = ("appointment_reminder", "offers", "sign_in_code")
ZONES = (
    "Europe/Paris",
    "America/Martinique",
    "Europe/Lisbon",
    "UTC",
    "Africa/Casablanca",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
)
DEFER_REASONS = frozenset(
    {
        Reason.LEGAL_WINDOW,
        Reason.DAILY_LIMIT,
        Reason.PAUSED,
        Reason.FREQUENCY_CAP,
        Reason.QUIET_HOURS,
        Reason.DIGEST,
    }
)
FORBIDDING = (
    ConsentStatus.WITHDRAWN,
    ConsentStatus.REFUSED,
    ConsentStatus.OBJECTED,
    ConsentStatus.EXPIRED,
    ConsentStatus.PENDING,
    ConsentStatus.RECONSENT_REQUIRED,
    ConsentStatus.ENDED,
)

far_instants = st.datetimes(timezones=st.just(UTC))
near_instants = st.timedeltas(timedelta(0), timedelta(days=730)).map(datetime(2026, 1, 1, tzinfo=UTC).__add__)
instants = st.one_of(near_instants, far_instants)
zones = st.sampled_from(ZONES)
channels = st.sampled_from(Channel)
slugs = st.sampled_from(SLUGS)
unsure = st.sampled_from((False, False, False, True, None))

consent_facts = st.builds(
    ConsentFact,
    purpose=slugs,
    channel=channels,
    status=st.one_of(st.just(ConsentStatus.GIVEN), st.sampled_from(ConsentStatus)),
    event_id=st.one_of(st.uuids(), st.none()),
    valid_from=st.one_of(st.none(), instants),
    valid_until=st.one_of(st.none(), instants),
)
quiet_hours = st.builds(QuietHours, starts=st.times(), ends=st.times(), time_zone=zones)
caps = st.builds(FrequencyCap, max=st.integers(0, 3), per=st.sampled_from(("day", "week", "month")))
preferences = st.builds(
    PreferenceFacts,
    purposes_off=st.frozensets(slugs, max_size=1),
    channels_off=st.frozensets(channels, max_size=1),
    paused_until=st.one_of(st.none(), instants),
    quiet_hours=st.one_of(st.none(), quiet_hours),
    cap=st.one_of(st.none(), caps),
    digest=st.booleans(),
    recent_contacts=st.lists(instants, max_size=4).map(tuple),
)
purposes = st.builds(
    PurposeFacts,
    slug=slugs,
    nature=st.sampled_from(Nature),
    requires_consent=st.booleans(),
    channels=st.frozensets(channels, min_size=3),
)
contact_points = st.builds(
    ContactPointFacts,
    status=st.one_of(st.just(ContactStatus.VERIFIED), st.none(), st.sampled_from(ContactStatus)),
    suppressed=st.sampled_from((False, False, False, True)),
)


@st.composite
def contact_facts(draw: st.DrawFn) -> ContactFacts:
    """Any facts at all; a consent for just this question is among them as often as not."""
    purpose = draw(st.one_of(purposes, purposes, st.none()))
    channel = draw(channels)
    consents = draw(st.lists(consent_facts, max_size=4))
    if purpose is not None and draw(st.booleans()):
        asked = draw(consent_facts)
        consents.append(replace(asked, purpose=purpose.slug, channel=channel))
    return ContactFacts(
        now=draw(near_instants),
        channel=channel,
        purpose=purpose,
        deceased=draw(unsure),
        erased=draw(unsure),
        restricted=draw(unsure),
        objections=draw(st.one_of(st.just(frozenset()), st.none(), st.frozensets(st.sampled_from((*SLUGS, "*"))))),
        consents=tuple(consents),
        contact_point=draw(contact_points),
        preference=draw(preferences),
        time_zone=draw(zones),
        programme_running=draw(st.sampled_from((True, True, True, False))),
        occasion_stands=draw(st.sampled_from((True, True, True, False))),
        template_exists=draw(st.sampled_from((True, True, True, False))),
        not_before=draw(st.one_of(st.none(), instants)),
        expires_at=draw(st.one_of(st.none(), instants)),
        most_per_day=draw(st.integers(1, 5)),
        closed_days=draw(st.frozensets(near_instants.map(datetime.date), max_size=3)),
    )


@st.composite
def promising_facts(draw: st.DrawFn) -> ContactFacts:
    """Facts with nothing against sending, so that waiting and preferences are what the verdict turns on."""
    nature = draw(st.sampled_from((Nature.CARE, Nature.MARKETING)))
    purpose = PurposeFacts(slug="offers", nature=nature, requires_consent=True, channels=frozenset(Channel))
    given_consent = ConsentFact(
        purpose="offers", channel=Channel.SMS, status=ConsentStatus.GIVEN, event_id=draw(st.uuids())
    )
    now = draw(near_instants)
    soon = st.timedeltas(timedelta(days=-40), timedelta(days=40)).map(now.__add__)
    chosen = PreferenceFacts(
        paused_until=draw(st.one_of(st.none(), soon)),
        quiet_hours=draw(st.one_of(st.none(), quiet_hours)),
        cap=draw(st.one_of(st.none(), caps)),
        digest=draw(st.booleans()),
        recent_contacts=tuple(draw(st.lists(soon, max_size=4))),
    )
    return replace(
        CONSENTING,
        now=now,
        purpose=purpose,
        consents=(given_consent,),
        preference=chosen,
        time_zone=draw(zones),
        not_before=draw(st.one_of(st.none(), soon)),
        most_per_day=draw(st.integers(1, 5)),
        closed_days=draw(st.frozensets(soon.map(datetime.date), max_size=3)),
    )


any_facts = st.one_of(contact_facts(), promising_facts())


def needs_consent(facts: ContactFacts) -> bool:
    purpose = facts.purpose
    return purpose is None or purpose.nature is not Nature.CLOSED_LIST or purpose.requires_consent


@given(any_facts)
def test_every_question_has_an_answer_and_the_same_one_each_time(facts: ContactFacts) -> None:
    verdict = decide(facts)

    assert verdict.rules_version == RULES_VERSION
    assert decide(facts) == verdict
    assert Verdict.from_record(json.loads(json.dumps(verdict.as_record()))) == verdict


@given(any_facts)
def test_reasons_are_in_order_each_once_and_fit_the_answer(facts: ContactFacts) -> None:
    verdict = decide(facts)

    order = list(Reason)
    assert [order.index(reason) for reason in verdict.reasons] == sorted({*map(order.index, verdict.reasons)})
    if verdict.decided is Decided.ALLOW:
        assert not verdict.reasons
        assert not verdict.remedies
    elif verdict.decided is Decided.DEFER:
        assert DEFER_REASONS.issuperset(verdict.reasons)
        assert verdict.remedies
    else:
        assert not DEFER_REASONS.issuperset(verdict.reasons)
        assert verdict.remedies
        assert verdict.consent_event_id is None
    assert (verdict.until is not None) == (verdict.decided is Decided.DEFER)
    assert Remedy.NONE not in verdict.remedies or len(verdict.remedies) == 1


@given(any_facts)
def test_permission_rests_on_a_living_consent_for_just_this_or_on_the_closed_list(facts: ContactFacts) -> None:
    verdict = decide(facts)

    assume(verdict.decided is not Decided.DENY)
    assert facts.purpose is not None
    if not needs_consent(facts):
        assert verdict.consent_event_id is None
        return
    relied_upon = [
        consent
        for consent in facts.consents
        if (consent.purpose, consent.channel) == (facts.purpose.slug, facts.channel)
    ]
    assert verdict.consent_event_id in {consent.event_id for consent in relied_upon}
    for consent in relied_upon:
        assert consent.status is ConsentStatus.GIVEN
        assert consent.event_id is not None
        assert consent.valid_from is None or consent.valid_from <= facts.now
        assert consent.valid_until is None or facts.now < consent.valid_until


@given(any_facts, st.sampled_from(FORBIDDING), st.one_of(st.none(), st.uuids()))
def test_a_withdrawal_or_refusal_among_the_facts_never_permits(
    facts: ContactFacts, status: ConsentStatus, event_id: UUID | None
) -> None:
    assume(facts.purpose is not None and needs_consent(facts))
    assert facts.purpose is not None
    said = ConsentFact(purpose=facts.purpose.slug, channel=facts.channel, status=status, event_id=event_id)

    assert decide(replace(facts, consents=(*facts.consents, said))).decided is Decided.DENY


@given(any_facts, st.uuids(), st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=9999)))
def test_a_consent_that_has_run_out_never_permits(facts: ContactFacts, event_id: UUID, since: timedelta) -> None:
    assume(facts.purpose is not None and needs_consent(facts))
    assert facts.purpose is not None
    ran_out = ConsentFact(
        purpose=facts.purpose.slug,
        channel=facts.channel,
        status=ConsentStatus.GIVEN,
        event_id=event_id,
        valid_until=facts.now - since,
    )

    assert decide(replace(facts, consents=(ran_out,))).decided is Decided.DENY
    assert decide(replace(facts, consents=(*facts.consents, ran_out))).decided is Decided.DENY


@given(any_facts, st.sampled_from((*SLUGS, "*")))
def test_an_objection_never_allows(facts: ContactFacts, objection: str) -> None:
    objecting = decide(replace(facts, objections=(facts.objections or frozenset()) | {objection}))

    if facts.objections is not None:
        assert objecting.decided is not Decided.ALLOW or decide(facts).decided is Decided.ALLOW
    if needs_consent(facts) and (objection == "*" or (facts.purpose and objection == facts.purpose.slug)):
        assert Reason.OBJECTED in objecting.reasons
        assert objecting.decided is Decided.DENY


@given(any_facts)
def test_nothing_that_a_clinic_wants_to_say_goes_to_a_suppressed_address(facts: ContactFacts) -> None:
    suppressed = replace(facts.contact_point, suppressed=True)

    verdict = decide(replace(facts, contact_point=suppressed))

    assert verdict.decided is Decided.DENY or not needs_consent(facts)


@given(any_facts, preferences)
def test_preferences_only_narrow(facts: ContactFacts, chosen: PreferenceFacts) -> None:
    without = decide(replace(facts, preference=PreferenceFacts()))
    with_them = decide(replace(facts, preference=chosen))

    strictness = (Decided.ALLOW, Decided.DEFER, Decided.DENY)
    assert strictness.index(with_them.decided) >= strictness.index(without.decided)
    assert set(without.reasons) - DEFER_REASONS <= set(with_them.reasons)
    if with_them.decided is Decided.DEFER and without.until is not None:
        assert with_them.until is not None
        assert with_them.until >= without.until


@given(any_facts, st.sampled_from(("deceased", "erased", "restricted", "objections", "purpose")))
def test_knowing_less_never_allows_more(facts: ContactFacts, fact: str) -> None:
    assume(needs_consent(facts))

    unknown: dict[str, Any] = {fact: None}

    assert decide(replace(facts, **unknown)).decided is Decided.DENY


@given(any_facts, st.randoms())
def test_the_order_of_the_facts_does_not_matter(facts: ContactFacts, chance: random.Random) -> None:
    shuffled = list(facts.consents)
    chance.shuffle(shuffled)
    contacts = list(facts.preference.recent_contacts)
    chance.shuffle(contacts)
    otherwise = replace(
        facts,
        consents=tuple(shuffled),
        preference=replace(facts.preference, recent_contacts=tuple(contacts)),
    )

    assert decide(otherwise) == decide(facts)
    assert decide(replace(facts, consents=frozenset(facts.consents))) == decide(facts)


@given(promising_facts())
def test_waiting_until_the_named_hour_is_enough(facts: ContactFacts) -> None:
    verdict = decide(facts)

    assume(verdict.decided is Decided.DEFER)
    assert verdict.until is not None
    assert verdict.until > facts.now
    then = decide(replace(facts, now=verdict.until))
    assert then.decided is Decided.ALLOW


@given(promising_facts(), st.floats(min_value=0, max_value=1, exclude_max=True))
@example(
    replace(
        CONSENTING,
        now=datetime(2026, 3, 28, 22, tzinfo=UTC),
        preference=PreferenceFacts(
            quiet_hours=QuietHours(
                starts=NOW.time().replace(hour=22), ends=NOW.time().replace(hour=2, minute=30), time_zone="Europe/Paris"
            )
        ),
    ),
    0.99,
)
def test_no_earlier_hour_would_do(facts: ContactFacts, fraction: float) -> None:
    verdict = decide(facts)

    assume(verdict.decided is Decided.DEFER)
    assert verdict.until is not None
    earlier = facts.now + (verdict.until - facts.now) * fraction
    assume(earlier < verdict.until)
    assert decide(replace(facts, now=earlier)).decided is not Decided.ALLOW


@given(promising_facts(), st.timedeltas(timedelta(days=-1), timedelta(days=60)))
def test_nothing_is_sent_when_it_is_of_no_more_use(facts: ContactFacts, rest: timedelta) -> None:
    expires_at = facts.now + rest

    verdict = decide(replace(facts, expires_at=expires_at))

    if verdict.decided is Decided.DENY:
        assert Reason.TOO_LATE in verdict.reasons
    else:
        assert (verdict.until or facts.now) < expires_at


@given(contact_facts())
def test_the_dead_and_the_erased_get_nothing_at_all(facts: ContactFacts) -> None:
    assert decide(replace(facts, deceased=True)).decided is Decided.DENY
    assert decide(replace(facts, erased=True)).decided is Decided.DENY


def test_the_newest_of_equal_consents_is_named_whatever_their_order() -> None:
    older, newer = (UUID(int=number) for number in (1, 2))
    said = [
        ConsentFact(purpose="appointment_reminder", channel=Channel.SMS, status=ConsentStatus.GIVEN, event_id=event_id)
        for event_id in (newer, older)
    ]

    assert decide(replace(CONSENTING, consents=tuple(said))).consent_event_id == newer
    assert decide(replace(CONSENTING, consents=tuple(reversed(said)))).consent_event_id == newer
