"""Four strangers read our AuditEvents. None covers all of FHIR R4: fhir.resources knows shapes and cardinalities, the
official JSON schema required codes, fhircraft the invariants (FHIRPath), the published code systems the codes.
"""

import copy
import json
import warnings
from itertools import chain

import jsonschema_rs
import orjson
import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from backend.audit.views.fhir import audit_event
from tests.audit.views import balp
from tests.audit.views.cases import CLINIC, ORIGIN, every_case

pytestmark = pytest.mark.needs_data

# Of all that fhircraft warns of: a narrative would repeat what is in the entry, and a log is no place for prose.
NO_NARRATIVE = "dom-6"
AUDIT_EVENT = "fhir-r4/AuditEvent-example-rest.json"


@pytest.fixture(scope="module")
def oracles(third_party_data):
    return third_party_data / "oracles"


@pytest.fixture(scope="module")
def events():
    """Every case, written and read again: what leaves the house, not what we hold."""
    return {
        name: orjson.loads(orjson.dumps(audit_event(entry, index=17, clinic_id=CLINIC, origin=ORIGIN)))
        for name, entry in every_case()
    }


def examples(oracles):
    return {path.name: json.loads(path.read_text("utf-8")) for path in oracles.glob("*/AuditEvent-*.json")}


def test_fhir_resources_reads_every_event_and_loses_nothing(events):
    for event in events.values():
        again = json.loads(AuditEvent.model_validate(event).model_dump_json())
        # It drops trailing zeros of fractions of seconds and nothing else.
        assert again | {"recorded": event.get("recorded")} == event | {"recorded": event.get("recorded")}


def broken_copies(event):
    """The same event, each time with one thing that R4 forbids."""
    yield "no agent", {key: value for key, value in event.items() if key != "agent"}
    yield "no observer", event | {"source": {"site": "somewhere"}}
    for key, value in {"action": "X", "outcome": "1", "id": "not an id", "recorded": "yesterday", "more": "1"}.items():
        yield key, event | {key: value}


def accepts(check, event):
    try:
        check(event)
    except ValueError:
        return False
    return True


def test_the_official_schema_accepts_every_event(events, oracles):
    schema = json.loads((oracles / "fhir-r4" / "fhir.schema.R4.subset.json").read_text("utf-8"))
    schema = {"$schema": schema["$schema"], "definitions": schema["definitions"], "$ref": "#/definitions/AuditEvent"}
    validator = jsonschema_rs.validator_for(schema)

    complaints = {name: [str(one) for one in validator.iter_errors(event)] for name, event in events.items()}

    assert {name: found for name, found in complaints.items() if found} == {}
    assert all(validator.is_valid(example) for example in examples(oracles).values())
    # It refuses what is wrong, or its yes would say nothing.
    one = next(iter(events.values()))
    refused = {key for key, broken in broken_copies(one) if not validator.is_valid(broken)}
    assert refused == {"no agent", "no observer", "action", "outcome", "id", "recorded", "more"}


def test_fhir_resources_refuses_what_is_wrong(events):
    one = next(iter(events.values()))

    accepted = {key for key, broken in broken_copies(one) if accepts(AuditEvent.model_validate, broken)}

    # It does not know codes: those are checked against the published tables below.
    assert accepted == {"action", "outcome"}


def form(value):
    """A resource with its values and repetitions left out: invariants are about what stands where."""
    if isinstance(value, dict):
        return tuple((key, form(inner)) for key, inner in sorted(value.items()))
    return tuple(dict.fromkeys(map(form, value))) if isinstance(value, list) else type(value).__name__


def test_fhircraft_finds_no_invariant_broken(events, oracles):
    # One test, because its models take half a minute to load; and one event of each form, because each takes a while.
    different = {form(event): (name, event) for name, event in events.items()}.values()
    from fhircraft.fhir.resources.datatypes.R4.core.audit_event import (  # noqa: PLC0415 - see above
        AuditEvent as Checked,
    )

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        refused = {name for name, event in different if not accepts(Checked.model_validate, event)}
        refused |= {name for name, event in examples(oracles).items() if not accepts(Checked.model_validate, event)}

    assert refused == set()
    assert [str(one.message) for one in caught if NO_NARRATIVE not in str(one.message)] == []

    # sev-1: an entity has a name or a query.
    wrong = copy.deepcopy(next(iter(events.values())))
    wrong["entity"][0] |= {"name": "a name", "query": "YQ=="}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert not accepts(Checked.model_validate, wrong)


# ------------------------------------------------------------------------------------------------- codes, as published


def concepts(system):
    """Codes and displays of a published code system, the nested ones too."""

    def walk(level):
        for one in level:
            yield one["code"], one.get("display")
            yield from walk(one.get("concept", []))

    return dict(walk(system["concept"]))


@pytest.fixture(scope="module")
def published(oracles):
    """Code system → {code: display}."""
    systems = [
        json.loads(path.read_text("utf-8")) for path in (oracles / "fhir-r4" / "definitions").glob("CodeSystem-*.json")
    ]
    return {one["url"]: concepts(one) for one in systems if "concept" in one}


@pytest.fixture(scope="module")
def value_set(oracles, published):
    """Reads a value set into (system, code) pairs."""

    def read(name):
        path = oracles / "fhir-r4" / "definitions" / f"ValueSet-{name}.json"
        composed = json.loads(path.read_text("utf-8"))["compose"]["include"]
        return {
            (one["system"], code)
            for one in composed
            for code in ([c["code"] for c in one["concept"]] if "concept" in one else published[one["system"]])
        }

    return read


def codings_in(value):
    if isinstance(value, dict):
        if {"system", "code"} <= value.keys():
            yield value
        yield from chain.from_iterable(map(codings_in, value.values()))
    elif isinstance(value, list):
        yield from chain.from_iterable(map(codings_in, value))


def test_types_and_subtypes_are_of_the_official_value_sets_or_of_balp(events, value_set):
    types, subtypes = value_set("audit-event-type"), value_set("audit-event-sub-type")
    lifecycle = {pair for pair in types if pair[0].endswith("iso-21089-lifecycle")}
    decision = ("https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType", "AuthZ-Consent")

    assert {balp.code_of(event["type"]) for event in events.values()} <= types
    used = {balp.code_of(one) for event in events.values() for one in event.get("subtype", [])}
    # The binding is extensible; BALP itself puts codes of the record's life cycle (disclose) there.
    assert used <= subtypes | lifecycle | {decision}


def test_every_code_of_a_published_system_exists_there_and_is_called_so(events, published):
    used = {(one["system"], one["code"], one["display"]) for one in codings_in(list(events.values()))}
    # R4's own examples and BALP call it so, against the code system: BALP demands it to the letter.
    used.discard(("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest", "Restful Operation"))

    known = {one for one in used if one[0] in published}
    assert {one for one in known if published[one[0]].get(one[1]) != one[2]} == set()
    assert {system for system, _code, _display in used - known} == {
        "http://dicom.nema.org/resources/ontology/DCM",
        "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
        "http://terminology.hl7.org/CodeSystem/v3-RoleClass",
        "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType",
        "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType",
    }


def test_plain_codes_are_published(events, published):
    actions, outcomes = (
        published["http://hl7.org/fhir/audit-event-action"],
        published["http://hl7.org/fhir/audit-event-outcome"],
    )

    assert {event["action"] for event in events.values()} <= actions.keys()
    assert {event["outcome"] for event in events.values()} == {"0", "4", "8"} <= outcomes.keys()


def test_purposes_and_object_life_cycles_are_of_their_value_sets(events, value_set, published):
    lifecycles = {
        one["lifecycle"]["code"] for event in events.values() for one in event["entity"] if "lifecycle" in one
    }

    assert lifecycles == {"15"}
    purposes = {
        one["code"] for event in events.values() for why in event.get("purposeOfEvent", []) for one in why["coding"]
    }
    assert purposes == {"PATRQT", "HCOMPL"}
    assert purposes <= published["http://terminology.hl7.org/CodeSystem/v3-ActReason"].keys()


def test_references_point_to_what_r4_allows(events, oracles, published):
    """Agents are people, organisations and devices; every named type is a resource."""
    definition = json.loads(
        (oracles / "fhir-r4" / "definitions" / "StructureDefinition-AuditEvent.json").read_text("utf-8")
    )
    allowed = {
        element["path"]: {
            target.rsplit("/", 1)[1] for one in element.get("type", []) for target in one.get("targetProfile", [])
        }
        for element in definition["snapshot"]["element"]
    }
    resources = published["http://hl7.org/fhir/resource-types"].keys()

    def kind(reference):
        return reference.get("type") or reference.get("reference", "").partition("/")[0]

    for event in events.values():
        agents = {kind(agent["who"]) for agent in event["agent"]} - {""}
        assert agents <= allowed["AuditEvent.agent.who"]
        assert kind(event["source"]["observer"]) in allowed["AuditEvent.source.observer"]
        assert {kind(one["what"]) for one in event["entity"]} - {""} <= resources


# ------------------------------------------------------------------------------------------------- BALP, as published


def shape(value):
    """What a resource is made of, its values left out."""
    if isinstance(value, dict):
        return {path for key, inner in value.items() for path in {key, *(f"{key}.{deep}" for deep in shape(inner))}}
    if isinstance(value, list):
        return set().union(*map(shape, value)) if value else set()
    return set()


def test_our_rules_accept_the_examples_of_the_profiles(oracles):
    found = {path.stem: json.loads(path.read_text("utf-8")) for path in (oracles / "ihe-balp").glob("*.json")}

    assert {name: balp.broken_rules(example) for name, example in found.items()} == {name: [] for name in found}
    assert len(found) == 2


def test_a_decision_is_made_of_what_the_published_one_is_made_of(events, oracles):
    published = json.loads((oracles / "ihe-balp" / "AuditEvent-ex-auditAuthZconsent.json").read_text("utf-8"))
    ours = events["message.handed_over with consent"]

    def slices(event):
        agents = [(balp.code_of(agent["type"]["coding"][0]), agent["requestor"]) for agent in event["agent"]]
        entities = [(balp.code_of(one["type"]), "role" in one) for one in event["entity"]]
        return agents, entities, balp.code_of(event["type"]), [balp.code_of(one) for one in event["subtype"]]

    assert slices(ours) == slices(published)
    assert (ours["action"], ours["outcome"]) == (published["action"], published["outcome"])
    # The log holds no address and no purpose of use; ours name by identifier what no server of ours would serve.
    missing = {path for path in shape(published) - shape(ours) if not path.startswith("meta.security")}
    assert {path for path in missing if not path.startswith("agent.purposeOfUse")} == {
        "agent.network.address",
        "agent.network.type",
        "agent.who.reference",
        "source.observer.reference",
    }


def test_an_export_is_made_of_what_the_published_disclosure_is_made_of(events, oracles):
    path = oracles / "ihe-balp" / "AuditEvent-ex-auditPrivacyDisclosure-source.json"
    published = json.loads(path.read_text("utf-8"))
    ours = events["log.exported ok by staff"]

    assert balp.code_of(ours["type"]) == balp.code_of(published["type"])
    assert balp.code_of(ours["subtype"][0]) == balp.code_of(published["subtype"][0])
    assert ours["action"] == published["action"]
    machines = [balp.code_of(agent["type"]["coding"][0]) for agent in published["agent"][:2]]
    assert [balp.code_of(agent["type"]["coding"][0]) for agent in ours["agent"][:2]] == machines
    # An export of the log is about no patient, or about all of them: the profile wants exactly one.
    assert "meta" not in ours
