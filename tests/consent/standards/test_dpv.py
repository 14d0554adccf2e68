"""ISO/IEC TS 27560 in JSON-LD: its mandatory fields are there, its terms exist, and nothing in it names a person."""

import csv
import re
from itertools import chain

import orjson
import pytest

from backend.audit.leaf import canonical_json
from backend.consent.standards.dpv import CONTEXT, dpv_receipt, dpv_record
from backend.policy.vocabulary import EventKind
from tests.consent.standards.cases import AT, CLINIC, RECEIPT, every_case, record

# The mandatory fields of a consent record (table 7.2 of the guide), and where each stands here.
MANDATORY = {
    "schema version": ["dct:conformsTo"],
    "record id": ["dct:identifier"],
    "pii principal id": ["dpv:hasDataSubject", "@id"],
    "privacy notice": ["dpv:hasNotice", "@id"],
    "language": ["dpv:hasNotice", "dct:language"],
    "purpose": ["dpv:hasProcess", "dpv:hasPurpose"],
    "pii information": ["dpv:hasProcess", "dpv:hasPersonalData"],
    "pii controllers": ["dpv:hasDataController", "@id"],
    "storage locations": ["dpv:hasProcess", "dpv:hasStorageCondition", "dpv:hasLocation"],
    "retention period": ["dpv:hasProcess", "dpv:hasStorageCondition", "dpv:hasDuration"],
    "jurisdiction": ["dpv:hasJurisdiction"],
    "recipient third parties": ["dpv:hasProcess", "dpv:hasRecipient"],
    "withdrawal method": ["dpv:hasConsentControl", "dpv:isExercisedAt"],
    "party id": ["dpv:hasDataController", "@id"],
    "party address": ["dpv:hasDataController", "schema:address"],
    "party name": ["dpv:hasDataController", "schema:name"],
    "party contact": ["dpv:hasDataController", "schema:telephone"],
    "party type": ["dpv:hasDataController", "@type"],
    "event time": ["dpv:hasConsentStatus", "dpv:isIndicatedAtTime"],
    "validity duration": ["dpv:hasConsentStatus", "dpv:hasDuration"],
    "entity id": ["dpv:hasConsentStatus", "dpv:isIndicatedBy"],
    "event type": ["dpv:hasConsentStatus", "@type"],
    "event state": ["accord:state"],
}
# Terms of DPV 2.3 and its extensions that the published files at hand do not list: looked up in w3c/dpv by hand.
LOOKED_UP = {
    "dpv:CommunicationForCustomerCare",
    "dpv:DataController",
    "dpv:DataProcessor",
    "dpv:GuardianOfDataSubject",
    "dpv:NaturalPerson",
    "dpv:ParentOfDataSubject",
    "dpv:Patient",
    "dpv:UntilTimeDuration",
    "eu-gdpr:A9-2-a",
    "pd:DeviceBased",
    "pd:MedicalHealth",
    "pd:PhysicalAddress",
    "pd:TelephoneNumber",
}
PREFIXES = ("dpv", "pd", "eu-gdpr")
TERM = re.compile(rf"(?:{'|'.join(PREFIXES)}):[A-Za-z0-9-]+")


def told(case):
    """A record as it is written."""
    return dpv_record(case)


def wrapped(*cases):
    """A receipt of these records."""
    return dpv_receipt(cases, receipt_id=RECEIPT, created=AT)


def reached(value, path):
    """Whatever stands at the end of a path, in every branch of it."""
    if isinstance(value, list):
        return list(chain.from_iterable(reached(one, path) for one in value))
    if not path:
        return [value]
    return reached(value[path[0]], path[1:]) if isinstance(value, dict) and path[0] in value else []


@pytest.mark.parametrize("field", MANDATORY)
def test_a_yes_has_every_field_that_the_standard_demands(field):
    assert all(reached(told(record(EventKind.GIVEN)), MANDATORY[field]))
    assert reached(told(record(EventKind.GIVEN)), MANDATORY[field])


def test_a_receipt_wraps_its_records():
    receipt = wrapped(record(EventKind.GIVEN), record(EventKind.REFUSED))

    assert receipt["@type"] == "dpv:ConsentReceipt"
    assert receipt["dct:identifier"] == str(RECEIPT)
    assert receipt["dct:conformsTo"] == "https://w3id.org/dpv/schema/dpv-27560#receipt-eu-gdpr"
    assert [one["dpv:hasConsentStatus"][0]["@type"] for one in receipt["dpv:hasRecordOfActivity"]] == [
        ["dpv:ConsentGiven", "dpv:ExplicitlyExpressedConsent"],
        "dpv:ConsentRefused",
    ]
    # The context stands once, and everything can be signed in its one canonical form.
    assert "@context" not in receipt["dpv:hasRecordOfActivity"][0]
    assert orjson.loads(canonical_json(receipt)) == receipt


def test_it_gives_the_exact_words_that_were_agreed_to():
    notice = told(record(EventKind.GIVEN, EventKind.WITHDRAWN))["dpv:hasNotice"]

    assert notice["accord:statement"] == "Nous vous rappelons vos rendez-vous."
    assert notice["accord:text"] == "Nous n’écrivons que si vous dites oui."
    assert notice["@id"] == "https://accord.example.org/notices/northgate/3/fr"


def terms_in(value):
    return set(TERM.findall(orjson.dumps({key: inner for key, inner in value.items() if key != "@context"}).decode()))


@pytest.mark.needs_data
def test_every_term_exists(third_party_data):
    folder = third_party_data / "oracles" / "dpv"
    listed = {
        re.sub(r"^https://w3id.org/dpv#", "dpv:", row["iri"]).replace("https://w3id.org/dpv/legal/eu/gdpr#", "eu-gdpr:")
        for path in folder.glob("*.csv")
        for row in csv.DictReader(path.read_text("utf-8").splitlines())
        if "iri" in row
    }
    official = {term for path in folder.glob("*") for term in TERM.findall(path.read_text("utf-8"))}
    used = set().union(*(terms_in(told(case)) for _name, case in every_case()))

    assert used - listed - official == LOOKED_UP & used
    assert {term for term in used if term.startswith("dpv:Consent")} <= listed | {"dpv:ConsentRecord"} | official


@pytest.mark.needs_data
def test_the_schema_is_one_that_was_published(third_party_data):
    published = (third_party_data / "oracles" / "dpv" / "dpv-27560.ttl").read_text("utf-8")
    receipt = wrapped(record(EventKind.GIVEN))

    for iri in (receipt["dct:conformsTo"], receipt["dpv:hasRecordOfActivity"][0]["dct:conformsTo"]):
        assert f"dpv-27560:{iri.partition('#')[2]} a skos:Concept" in published


@pytest.mark.needs_data
def test_it_is_made_of_what_the_published_receipt_is_made_of(third_party_data):
    path = third_party_data / "oracles" / "dpv" / "ex46-consent-receipt.REPAIRED.jsonld"
    published = orjson.loads(path.read_bytes())
    ours = wrapped(record(EventKind.GIVEN))

    assert published.keys() <= ours.keys()
    [our_record] = ours["dpv:hasRecordOfActivity"]
    # Theirs names a processor: ours are the recipients of each process.
    assert published["dpv:hasRecordOfActivity"].keys() - our_record.keys() == {"dpv:hasDataProcessor"}
    assert {name: published["@context"][name] for name in PREFIXES} == {name: CONTEXT[name] for name in PREFIXES}


def test_nothing_is_called_by_a_prefix_that_the_context_does_not_know():
    for name, case in every_case():
        keys = set(re.findall(r'"([a-z-]+):[A-Za-z0-9]+":', orjson.dumps(told(case)).decode()))
        assert keys <= CONTEXT.keys(), name


def test_it_names_the_clinic_and_nobody_else():
    text = orjson.dumps(told(dict(every_case())["on paper"])).decode()

    assert CLINIC.name in text
    # Nor the pseudonym of whoever wrote it down: that is for the log.
    assert "5f0c9a3e" not in text
