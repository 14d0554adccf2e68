"""One entry as an AuditEvent: who, what, when, about whom; and what the log does not know."""

import copy
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import orjson
import pytest

from backend.audit.actions import Action
from backend.audit.queries import OpenedPart
from backend.audit.recording import Outcome
from backend.audit.views.fhir import ABSENT, audit_event, audit_event_lines
from tests.audit.views import balp
from tests.audit.views.cases import (
    CLINIC,
    ENTRY,
    ILLEGIBLE,
    NEIGHBOUR,
    ORIGIN,
    PARENT,
    PATIENT,
    REQUEST,
    THING,
    every_case,
    opened,
    part_of,
)


def event_of(entry, index=17):
    return audit_event(entry, index=index, clinic_id=CLINIC, origin=ORIGIN)


def details_in(entity):
    return [(one["type"], one["valueString"]) for one in entity["detail"]]


def requestors(event):
    return [agent["who"] for agent in event["agent"] if agent["requestor"]]


def absent_because(element):
    [extension] = element["extension"]
    assert extension["url"] == ABSENT
    return extension["valueCode"]


def test_a_consent_is_created_by_the_patient_who_gave_it():
    event = event_of(opened(Action.CONSENT_GIVEN, actor="patient"))

    assert event["id"] == str(ENTRY)
    assert event["recorded"] == "2026-10-14T08:00:00.000007Z"
    assert (event["action"], event["outcome"]) == ("C", "0")
    assert event["meta"]["profile"] == [f"{balp.PROFILES}PatientCreate"]
    assert requestors(event) == [{"reference": f"Patient/{PATIENT}"}]
    patient, consent, request = event["entity"]
    assert patient["what"] == {"reference": f"Patient/{PATIENT}"}
    assert consent["what"]["identifier"]["value"] == f"urn:uuid:{THING}"
    assert ("log_index", "17") in details_in(consent)
    assert ("channel", "a_code") in details_in(consent)
    assert request["what"]["identifier"]["value"] == REQUEST


def test_a_withdrawal_was_asked_for_by_the_patient():
    event = event_of(opened(Action.CONSENT_WITHDRAWN))

    assert event["action"] == "U"
    assert event["purposeOfEvent"][0]["coding"][0]["code"] == "PATRQT"


def test_a_message_that_was_handed_over_is_a_decision_to_permit():
    entry = opened(Action.MESSAGE_HANDED_OVER, part_of(Action.MESSAGE_HANDED_OVER, consent_event=str(THING)))

    event = event_of(entry)

    assert event["meta"]["profile"] == [f"{balp.PROFILES}AuthZconsent"]
    assert event["outcome"] == "0"
    assert "outcomeDesc" not in event
    _patient, consent = event["entity"]
    assert consent["what"]["identifier"]["value"] == f"urn:uuid:{THING}"
    # The list of entities is closed: the request stands in a detail.
    assert ("request_id", REQUEST) in details_in(consent)
    assert ("message", str(THING)) in details_in(consent)


def test_a_message_that_was_withheld_is_a_decision_to_deny_and_says_why():
    entry = opened(Action.MESSAGE_WITHHELD, part_of(Action.MESSAGE_WITHHELD, reasons=["no_consent", "paused"]))

    event = event_of(entry)

    assert event["outcome"] == "8"
    assert event["outcomeDesc"] == "no_consent, paused"


def test_a_decision_without_a_consent_says_that_none_is_on_file():
    entry = opened(Action.MESSAGE_WITHHELD, part_of(Action.MESSAGE_WITHHELD, consent_event="none"))

    assert event_of(entry)["entity"][1]["what"] == {"type": "Consent", "display": "none on file"}


def test_a_decision_that_can_not_be_read_names_no_consent_at_all():
    """Not `none on file`: that would be a claim."""
    entry = opened(Action.MESSAGE_WITHHELD, OpenedPart(unreadable_because="key_destroyed"))

    event = event_of(entry)

    assert absent_because(event["entity"][1]["what"]) == "masked"
    assert "display" not in event["entity"][1]["what"]
    assert "meta" not in event
    # That it was withheld is in the clear header, and stays known; why does not.
    assert event["outcome"] == "8"
    assert "outcomeDesc" not in event


@pytest.mark.parametrize(("final", "outcome"), [("yes", "8"), ("no", "4")])
def test_a_failure_is_serious_where_nobody_tries_again(final, outcome):
    event = event_of(opened(Action.MESSAGE_FAILED, part_of(Action.MESSAGE_FAILED, final=final, code="bad_number")))

    assert (event["outcome"], event["outcomeDesc"]) == (outcome, "bad_number")
    assert "meta" not in event


@pytest.mark.parametrize("outcome", [Outcome.DENIED, Outcome.ERROR])
def test_what_was_refused_or_broke_is_a_failure_and_claims_no_profile(outcome):
    event = event_of(opened(Action.PATIENT_READ, outcome=outcome))

    assert (event["outcome"], event["outcomeDesc"]) == ("8", outcome.value)
    assert "meta" not in event


@pytest.mark.parametrize(
    ("actor", "who"),
    [
        ("staff", {"type": "Practitioner", "identifier": {"value": "5f0c9a3e"}}),
        ("patient", {"reference": f"Patient/{PATIENT}"}),
        ("representative", {"reference": f"RelatedPerson/{PARENT}"}),
        ("service", {"type": "Device", "identifier": {"value": "planner"}, "display": "Accord"}),
        ("Accord", {"type": "Device", "identifier": {"value": ORIGIN}, "display": "Accord"}),
    ],
)
@pytest.mark.parametrize(
    "action",
    [Action.PATIENT_READ, Action.CONSENT_GIVEN, Action.PATIENTS_LISTED, Action.KEY_DESTROYED, Action.MESSAGE_WITHHELD],
    ids=lambda action: action.spec.code,
)
def test_exactly_one_agent_asked_for_it(action, actor, who):
    assert requestors(event_of(opened(action, actor=actor))) == [who]


def test_the_client_is_marked_as_absent_because_no_address_is_ever_recorded():
    [client] = balp.agents_of(event_of(opened(Action.CONSENT_GIVEN)), balp.SOURCE)

    assert absent_because(client["who"]) == "unsupported"
    assert absent_because(client["network"]) == "unsupported"


@pytest.mark.parametrize(
    ("why", "code"), [("key_destroyed", "masked"), ("key_missing", "unknown"), ("tampered", "error")]
)
def test_a_part_that_can_not_be_read_is_a_patient_without_an_id(why, code):
    hidden = OpenedPart(unreadable_because=why)

    event = event_of(opened(Action.PATIENT_READ, hidden, part_of(Action.PATIENT_READ, subject=NEIGHBOUR)))

    first, second = balp.entities_of(event, balp.PERSON)
    assert absent_because(first["what"]) == code
    assert details_in(first) == [("unreadable_because", why)]
    assert second["what"] == {"reference": f"Patient/{NEIGHBOUR}"}


def test_a_part_of_the_clinic_that_can_not_be_read_makes_up_no_patient():
    event = event_of(opened(Action.TOKEN_ISSUED, OpenedPart(unreadable_because="key_missing")))

    assert balp.entities_of(event, balp.PERSON) == []
    assert ("unreadable_because", "key_missing") in details_in(event["entity"][0])


def test_a_patient_who_acted_and_was_erased_is_not_named():
    event = event_of(opened(Action.CONSENT_GIVEN, OpenedPart(unreadable_because="key_destroyed"), actor="patient"))

    [who] = requestors(event)
    assert who["type"] == "Patient"
    assert absent_because(who) == "masked"


def test_several_patients_are_all_named_and_no_profile_is_claimed():
    parts = [part_of(Action.PATIENT_READ, subject=who) for who in (PATIENT, NEIGHBOUR)]

    event = event_of(opened(Action.PATIENT_READ, *parts))

    named = [one["what"]["reference"] for one in balp.entities_of(event, balp.PERSON)]
    assert named == [f"Patient/{PATIENT}", f"Patient/{NEIGHBOUR}"]
    assert "meta" not in event


def test_what_differs_between_parts_is_not_dropped():
    parts = (part_of(Action.PATIENT_READ), part_of(Action.PATIENT_READ, subject=NEIGHBOUR, reason="other"))

    event = event_of(opened(Action.PATIENT_READ, *parts))

    assert details_in(balp.entities_of(event, balp.PERSON)[1]) == [("reason", "other")]


def test_an_entry_that_can_not_be_read_at_all_pretends_nothing():
    event = event_of(ILLEGIBLE)

    assert "recorded" not in event
    assert absent_because(event["_recorded"]) == "error"
    assert event["outcome"] == "8"
    assert requestors(event) == []
    assert balp.entities_of(event, balp.PERSON) == []


def test_an_entry_without_a_place_in_the_log_yet_has_no_index():
    event = event_of(opened(Action.PATIENT_READ), index=None)

    assert "log_index" not in dict(details_in(event["entity"][1]))


def test_a_time_of_any_zone_is_told_in_utc():
    paris = datetime(2026, 10, 14, 10, 0, tzinfo=ZoneInfo("Europe/Paris"))

    assert event_of(opened(Action.PATIENT_READ, at=paris))["recorded"] == "2026-10-14T08:00:00.000000Z"


def test_an_action_of_another_version_is_told_as_far_as_it_goes():
    event = event_of(replace(opened(Action.PATIENT_READ), code="moon.landed", happened_to="moon"))

    assert event["type"]["code"] == "110100"
    assert ("action", "moon.landed") in details_in(event["entity"][1])


def test_every_event_meets_the_profile_it_claims():
    assert {name: broken for name, entry in every_case() if (broken := balp.broken_rules(event_of(entry)))} == {}


def _without_network(event):
    del event["agent"][0]["network"]


def _without_patient(event):
    event["entity"] = event["entity"][1:]


def _with_another_subtype(event):
    event["subtype"].append({"system": "urn:x", "code": "x"})


def _with_a_request(event):
    event["entity"].append({"type": {"system": balp.REQUEST[0], "code": balp.REQUEST[1]}, "what": {}})


def _by_another_observer(event):
    event["source"]["observer"] = {"display": "somebody else"}


@pytest.mark.parametrize(
    "breaking", [_without_network, _without_patient, _with_another_subtype, _with_a_request, _by_another_observer]
)
def test_the_rules_for_decisions_find_what_is_broken(breaking):
    event = copy.deepcopy(event_of(opened(Action.MESSAGE_WITHHELD)))
    breaking(event)

    assert balp.broken_rules(event) != []


def _otherwise_called(event):
    event["type"]["display"] = "RESTful Operation"


def _failed(event):
    event["outcome"] = "8"


def _asked_by_nobody(event):
    event["agent"][2]["requestor"] = False


def _with_two_things(event):
    event["entity"].append(event["entity"][1])


@pytest.mark.parametrize(
    "breaking", [_without_network, _without_patient, _otherwise_called, _failed, _asked_by_nobody, _with_two_things]
)
def test_the_rules_for_restful_events_find_what_is_broken(breaking):
    event = copy.deepcopy(event_of(opened(Action.CONSENT_GIVEN)))
    breaking(event)

    assert balp.broken_rules(event) != []


def test_a_line_is_one_event_in_one_order():
    entries = [(index, entry) for index, (_name, entry) in enumerate(every_case())]

    lines = list(audit_event_lines(entries, clinic_id=CLINIC, origin=ORIGIN))

    assert len(lines) == len(entries)
    for (index, entry), line in zip(entries, lines, strict=True):
        assert line.endswith(b"}\n")
        assert line.count(b"\n") == 1
        assert line == orjson.dumps(event_of(entry, index), option=orjson.OPT_SORT_KEYS) + b"\n"


def test_lines_are_made_one_at_a_time():
    taken = []

    def entries():
        for index in range(3):
            taken.append(index)
            yield index, opened(Action.PATIENT_READ)

    next(audit_event_lines(entries(), clinic_id=CLINIC, origin=ORIGIN))

    assert taken == [0]
