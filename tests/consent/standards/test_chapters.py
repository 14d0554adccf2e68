"""What was said, each with what ended it: the order in which a reader of FHIR finds one Consent after another."""

from backend.policy.vocabulary import EventKind
from tests.consent.standards.cases import event, record

GIVEN, RENEWED, REFUSED, WITHDRAWN = EventKind.GIVEN, EventKind.RENEWED, EventKind.REFUSED, EventKind.WITHDRAWN
OBJECTED, LIFTED, PENDING = EventKind.OBJECTED, EventKind.OBJECTION_LIFTED, EventKind.PENDING
REQUESTED, EXPIRED, UNKNOWN = EventKind.REQUESTED, EventKind.EXPIRED, EventKind.UNKNOWN


def told(*kinds):
    """Each chapter: what began it, and what ended it."""
    return [(one.opening.kind, None if one.closing is None else one.closing.kind) for one in record(*kinds).chapters]


def test_a_yes_stands_until_it_is_withdrawn_renewed_or_over():
    assert told(GIVEN) == [(GIVEN, None)]
    assert told(GIVEN, WITHDRAWN) == [(GIVEN, WITHDRAWN)]
    assert told(GIVEN, EXPIRED) == [(GIVEN, EXPIRED)]
    assert told(GIVEN, RENEWED) == [(GIVEN, RENEWED), (RENEWED, None)]
    assert told(PENDING, GIVEN) == [(PENDING, GIVEN), (GIVEN, None)]


def test_a_no_stands_until_there_is_a_yes():
    assert told(REFUSED) == [(REFUSED, None)]
    assert told(REFUSED, EXPIRED) == [(REFUSED, None)]
    assert told(REFUSED, WITHDRAWN) == [(REFUSED, None)]
    assert told(REFUSED, GIVEN) == [(REFUSED, GIVEN), (GIVEN, None)]


def test_a_withdrawal_where_there_was_no_yes_is_a_no():
    assert told(WITHDRAWN) == [(WITHDRAWN, None)]
    assert told(WITHDRAWN, WITHDRAWN) == [(WITHDRAWN, None)]
    assert told(GIVEN, WITHDRAWN, WITHDRAWN) == [(GIVEN, WITHDRAWN)]
    assert told(GIVEN, EXPIRED, WITHDRAWN) == [(GIVEN, EXPIRED), (WITHDRAWN, None)]


def test_an_objection_stands_whatever_is_said_until_it_is_taken_back():
    assert told(GIVEN, OBJECTED, WITHDRAWN, EXPIRED) == [(GIVEN, OBJECTED), (OBJECTED, None)]
    assert told(OBJECTED, LIFTED) == [(OBJECTED, LIFTED)]
    assert told(OBJECTED, LIFTED, GIVEN) == [(OBJECTED, LIFTED), (GIVEN, None)]


def test_who_is_only_asked_has_said_nothing():
    assert told(REQUESTED) == [(REQUESTED, None)]
    assert told(GIVEN, REQUESTED) == [(GIVEN, None)]
    assert told(REQUESTED, GIVEN) == [(REQUESTED, GIVEN), (GIVEN, None)]
    assert told(UNKNOWN) == []


def test_what_was_entered_by_mistake_stays_and_says_so():
    wrong, right = event(1, GIVEN), event(2, RENEWED)
    mistake = event(3, EventKind.ENTERED_IN_ERROR, about=right.id)

    first, second = record(events=[wrong, right, mistake]).chapters

    assert (first.is_error, second.is_error) == (False, True)
    assert second.closing == mistake
