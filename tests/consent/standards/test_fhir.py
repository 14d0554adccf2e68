"""Our Consents and Provenances before four strangers, none of whom covers all of FHIR R4 alone: fhir.resources knows
shapes, the official schema types, fhircraft invariants (FHIRPath), and the published tables and PCF's rules the rest.
"""

import copy
import json
import warnings
from dataclasses import replace
from itertools import chain

import jsonschema_rs
import orjson
import pytest
from fhir.resources.R4B.consent import Consent
from fhir.resources.R4B.provenance import Provenance

from backend.consent.standards.facts import Writer
from backend.consent.standards.fhir import fhir_consent, fhir_consents, fhir_provenance
from backend.policy.vocabulary import ConsentStatus, EventKind, Method
from tests.consent.standards import pcf
from tests.consent.standards.cases import AT, DAY, PATIENT, TOGETHER, WORDS, event, every_case, record

# Of all that fhircraft warns of: a narrative would repeat what is there.
NO_NARRATIVE = "dom-6"


def current(case):
    """What stands now."""
    return fhir_consent(case)


def all_of(case):
    """Everything that was said."""
    return fhir_consents(case)


def source_of(case, one):
    """Where an event comes from."""
    return fhir_provenance(case, one)


def written(resource):
    """What leaves the house, not what we hold."""
    return orjson.loads(orjson.dumps(resource))


@pytest.fixture(scope="module")
def consents():
    return [written(one) for _name, case in every_case() for one in all_of(case)]


@pytest.fixture(scope="module")
def provenances():
    return [written(source_of(case, one)) for _name, case in every_case() for one in case.events]


# ------------------------------------------------------------------------------------------------- what they say


@pytest.mark.parametrize(
    ("kinds", "status", "permits"),
    [
        ([EventKind.REQUESTED], "draft", "permit"),
        ([EventKind.PENDING], "proposed", "permit"),
        ([EventKind.GIVEN], "active", "permit"),
        ([EventKind.RENEWED], "active", "permit"),
        ([EventKind.REFUSED], "active", "deny"),
        ([EventKind.OBJECTED], "active", "deny"),
        ([EventKind.WITHDRAWN], "active", "deny"),
        ([EventKind.GIVEN, EventKind.WITHDRAWN], "inactive", "permit"),
        ([EventKind.GIVEN, EventKind.EXPIRED], "inactive", "permit"),
        ([EventKind.GIVEN, EventKind.RECONSENT_REQUIRED], "inactive", "permit"),
        ([EventKind.GIVEN, EventKind.REVOKED], "inactive", "permit"),
        ([EventKind.OBJECTED, EventKind.OBJECTION_LIFTED], "inactive", "deny"),
    ],
)
def test_where_it_stands(kinds, status, permits):
    consent = current(record(*kinds))

    assert (consent["status"], consent["provision"]["type"]) == (status, permits)


def test_only_a_yes_that_stands_is_active_and_permits():
    for name, case in every_case():
        permitting = [one for one in all_of(case) if (one["status"], one["provision"]["type"]) == ("active", "permit")]
        assert len(permitting) == (case.status is ConsentStatus.GIVEN), name


def test_a_yes_whose_day_has_passed_is_not_active_even_before_the_tick_says_so():
    consent = current(record(EventKind.GIVEN, status=ConsentStatus.EXPIRED, holds_until=None))

    assert consent["status"] == "inactive"


def test_a_withdrawal_ends_the_period_of_the_yes():
    case = record(EventKind.GIVEN, EventKind.WITHDRAWN)

    [consent] = all_of(case)

    assert consent["provision"]["period"] == {
        "start": "2026-10-14T08:00:00.000007Z",
        "end": "2026-10-15T08:00:00.000007Z",
    }
    assert consent["policy"] == [
        {
            "authority": "https://www.cnil.fr",
            "uri": f"https://accord.example.org/notices/northgate/3/fr#sha256-{'ab' * 32}",
        }
    ]


def test_staff_write_it_down_and_never_say_it():
    case = dict(every_case())["on paper"]

    consent, provenance = current(case), source_of(case, case.standing)

    assert consent["performer"] == [{"reference": f"Patient/{PATIENT}"}]
    assert [agent["type"]["coding"][0]["code"] for agent in provenance["agent"]] == ["performer", "enterer"]
    assert provenance["agent"][1]["who"] == {"type": "Practitioner", "identifier": {"value": "5f0c9a3e"}}


def test_child_and_parent_both_say_it():
    consent = current(dict(every_case())["child and parent"])

    assert [one["reference"].partition("/")[0] for one in consent["performer"]] == ["Patient", "RelatedPerson"]


def test_a_mistake_is_exported_as_one():
    consent = current(dict(every_case())["by mistake"])

    assert consent["status"] == "entered-in-error"


def test_what_nobody_knows_is_no_consent():
    assert current(record(EventKind.UNKNOWN)) is None


def test_every_event_leads_to_the_consent_it_concerns():
    case = record(EventKind.GIVEN, EventKind.WITHDRAWN)
    [consent] = all_of(case)

    targets = [source_of(case, one) for one in case.events]

    assert [one["target"] for one in targets] == [[{"reference": f"Consent/{consent['id']}"}]] * 2
    assert [one["activity"]["coding"][0]["code"] for one in targets] == ["CREATE", "UPDATE"]


# -------------------------------------------------------------------------------------------- what strangers say


def test_fhir_resources_reads_everything_and_loses_nothing(consents, provenances):
    for model, resources in ((Consent, consents), (Provenance, provenances)):
        for one in resources:
            again = json.loads(model.model_validate(one).model_dump_json())
            # It drops trailing zeros of fractions of seconds and nothing else.
            assert strip(again) == strip(one)


def strip(value):
    if isinstance(value, dict):
        return {key: strip(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [strip(inner) for inner in value]
    return value.replace(".000007", "") if isinstance(value, str) else value


def test_every_consent_keeps_the_rules_of_pcf(consents):
    assert [pcf.broken_rules(one) for one in consents] == [[] for _ in consents]


def test_the_rules_of_pcf_refuse_what_is_wrong(consents):
    good = consents[0]
    changes: tuple[dict[str, object], ...] = (
        {"status": "foo"},
        {"performer": []},
        {"patient": {"reference": "Group/1"}},
        {"verification": [{"verified": True}]},
        {"provision": good["provision"] | {"type": "maybe"}},
        {"policy": []},
        {"sourceAttachment": {}},
    )
    for changed in changes:
        assert pcf.broken_rules(good | changed), changed


@pytest.mark.needs_data
def test_the_rules_of_pcf_accept_its_own_examples(third_party_data):
    paths = sorted((third_party_data / "oracles" / "ihe-pcf").glob("Consent-*.json"))

    assert len(paths) == 2
    assert [pcf.broken_rules(json.loads(path.read_text("utf-8"))) for path in paths] == [[], []]


@pytest.mark.needs_data
def test_the_official_schema_accepts_everything(consents, provenances, third_party_data):
    path = third_party_data / "oracles" / "fhir-r4" / "fhir.schema.R4.subset.json"
    schema = json.loads(path.read_text("utf-8"))
    for kind, resources in (("Consent", consents), ("Provenance", provenances)):
        validator = jsonschema_rs.validator_for(
            {
                "$schema": schema["$schema"],
                "definitions": schema["definitions"],
                "$ref": f"#/definitions/{kind}",
            }
        )

        complaints = [str(one) for resource in resources for one in validator.iter_errors(resource)]

        assert complaints == []
        # It refuses what is wrong, or its yes would say nothing.
        assert not validator.is_valid(resources[0] | {"more": 1})
        assert not validator.is_valid(resources[0] | {"id": "not an id"})


@pytest.mark.needs_data
def test_fhircraft_finds_no_invariant_broken(third_party_data):
    # One of each form: its models take half a minute to load, and each resource takes a while.
    story = dict(every_case())
    resources = [current(story["child and parent"]), current(story["given, withdrawn"])]
    paper = story["on paper"]
    evidence = source_of(paper, paper.standing)
    from fhircraft.fhir.resources.datatypes.R4.core.consent import (  # noqa: PLC0415 - see above
        Consent as CheckedConsent,
    )
    from fhircraft.fhir.resources.datatypes.R4.core.provenance import (  # noqa: PLC0415
        Provenance as CheckedProvenance,
    )

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for one in resources:
            CheckedConsent.model_validate(written(one))
        CheckedProvenance.model_validate(written(evidence))
    assert [str(one.message) for one in caught if NO_NARRATIVE not in str(one.message)] == []

    # ppc-1: a policy or a policy rule.
    wrong = copy.deepcopy(written(resources[0]))
    del wrong["policy"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="ppc-1"):
            CheckedConsent.model_validate(wrong)


def concepts(system):
    def walk(level):
        for one in level:
            yield one["code"], one.get("display")
            yield from walk(one.get("concept", []))

    return dict(walk(system["concept"]))


def codings_in(value):
    if isinstance(value, dict):
        if {"system", "code"} <= value.keys():
            yield value
        yield from chain.from_iterable(map(codings_in, value.values()))
    elif isinstance(value, list):
        yield from chain.from_iterable(map(codings_in, value))


@pytest.mark.needs_data
def test_every_code_is_published_and_called_so(consents, provenances, third_party_data):
    folder = third_party_data / "oracles" / "fhir-r4" / "definitions"
    systems = [json.loads(path.read_text("utf-8")) for path in folder.glob("CodeSystem-*.json")]
    published = {one["url"]: concepts(one) for one in systems if "concept" in one}
    used = {(one["system"], one["code"], one.get("display")) for one in codings_in([consents, provenances])}

    known = {one for one in used if one[0] in published}

    assert {one for one in known if published[one[0]].get(one[1]) != one[2]} == set()
    # Ours, and LOINC, whose one code is the one that PCF's examples bear.
    assert {one[:2] for one in used - known if not one[0].startswith("urn:accord:")} == {
        ("http://loinc.org", "59284-0")
    }
    statuses = published["http://hl7.org/fhir/consent-state-codes"].keys()
    assert {one["status"] for one in consents} <= statuses
    assert {one["provision"]["type"] for one in consents} <= published[
        "http://hl7.org/fhir/consent-provision-type"
    ].keys()


@pytest.mark.parametrize(
    "changed",
    [
        {"id": PATIENT},
        {"number": 2},
        {"kind": EventKind.RENEWED},
        {"method": Method.VERBAL},
        {"occurred_at": AT - DAY},
        {"recorded_at": AT + DAY},
        {"valid_until": None},
        {"words": None},
        {"words": replace(WORDS, sha256="cd" * 32)},
        {"spoken_by": TOGETHER},
        {"written_by": Writer.STAFF},
        {"about": PATIENT},
        {"reason": "form_unreadable"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_the_hash_of_an_event_changes_with_everything_it_says(changed):
    one = event(1, EventKind.GIVEN)

    assert one.sha256 == event(1, EventKind.GIVEN).sha256
    assert one.sha256 != replace(one, **changed).sha256
