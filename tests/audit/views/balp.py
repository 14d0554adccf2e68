"""What IHE BALP 1.1.3 demands of an AuditEvent that claims one of its profiles, written down by hand.

Source: the FSH of IHE/ITI.BasicAudit (PatientCreate, PatientRead, PatientUpdate, AuthZ, Disclose), CC-BY-4.0.
Extensions (a value marked as absent) count as present, as they do for cardinalities in FHIR.
"""

from collections.abc import Iterator
from typing import Any

PROFILES = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
DCM = "http://dicom.nema.org/resources/ontology/DCM"
HL7 = "http://terminology.hl7.org/CodeSystem"
INTERACTIONS = "http://hl7.org/fhir/restful-interaction"
ENTITY_TYPE = f"{HL7}/audit-entity-type"
SOURCE, DESTINATION, APPLICATION = (DCM, "110153"), (DCM, "110152"), (DCM, "110150")
AUTHORS = {(f"{HL7}/v3-ParticipationType", code) for code in ("AUT", "INF", "CST")}
RECIPIENTS = {(f"{HL7}/v3-ParticipationType", "IRCP")}
PERSON, SYSTEM_OBJECT = (ENTITY_TYPE, "1"), (ENTITY_TYPE, "2")
CONSENT = ("http://hl7.org/fhir/resource-types", "Consent")
REQUEST = ("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId")
TOKEN = ("https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes", "UserOauthAgent")
OBJECT_ROLES = {(f"{HL7}/object-role", code) for code in ("3", "4", "20")}
# action; interactions of which one must be there; the client's and the server's role; the user's
RESTFUL = {
    "Create": ("C", {"create"}, SOURCE, DESTINATION, AUTHORS),
    "Update": ("U", {"update", "patch"}, SOURCE, DESTINATION, AUTHORS),
    "Read": ("R", {"read", "vread"}, DESTINATION, SOURCE, RECIPIENTS),
}


def code_of(coding: dict[str, Any]) -> tuple[str, str]:
    return coding["system"], coding["code"]


def agents_of(event: dict[str, Any], *types: tuple[str, str]) -> list[dict[str, Any]]:
    return [agent for agent in event["agent"] if any(code_of(one) in types for one in agent["type"]["coding"])]


def entities_of(event: dict[str, Any], kind: tuple[str, str]) -> list[dict[str, Any]]:
    return [entity for entity in event["entity"] if code_of(entity["type"]) == kind]


def broken_rules(event: dict[str, Any]) -> list[str]:
    """The rules of the profiles it claims that an event breaks."""
    rules: list[str] = []
    for profile in event.get("meta", {}).get("profile", []):
        name = profile.removeprefix(PROFILES)
        bare = name.removeprefix("Patient")
        if bare in RESTFUL:
            rules += _restful(event, bare, about_patient=name != bare)
        elif name == "AuthZconsent":
            rules += _decision(event)
        elif name == "PrivacyDisclosure.Source":
            rules += _disclosure(event)
        else:
            rules.append(f"no such profile: {name}")
    return rules


def _restful(event: dict[str, Any], name: str, *, about_patient: bool) -> Iterator[str]:
    action, interactions, client_role, server_role, user_roles = RESTFUL[name]
    if event["type"] != {"system": f"{HL7}/audit-event-type", "code": "rest", "display": "Restful Operation"}:
        yield "type is rest, called Restful Operation"
    fixed = [{"system": INTERACTIONS, "code": one, "display": one} for one in interactions]
    if sum(event["subtype"].count(one) for one in fixed) != 1:
        yield "one subtype is the interaction, to the letter"
    if event["action"] != action:
        yield "action"
    if event["outcome"] != "0":
        yield "only what succeeded"
    yield from _restful_agents(event, client_role, server_role, user_roles)
    things = entities_of(event, SYSTEM_OBJECT)
    if len(things) != 1:
        yield "one data entity"
    for thing in things:
        yield from _has(thing, "what", "role")
        if code_of(thing["role"]) not in OBJECT_ROLES:
            yield "role of the data entity"
    requests = entities_of(event, REQUEST)
    if len(requests) > 1 or any(not one["what"]["identifier"]["value"] for one in requests):
        yield "the request is named by its X-Request-Id"
    yield from _patients(event, 1 if about_patient else 0)


def _restful_agents(
    event: dict[str, Any], client_role: tuple[str, str], server_role: tuple[str, str], user_roles: set[tuple[str, str]]
) -> Iterator[str]:
    for role, who in ((client_role, "client"), (server_role, "server")):
        found = agents_of(event, role)
        if len(found) != 1:
            yield f"one {who}"
        for agent in found:
            yield from _has(agent, "who", "network", without=("media",))
    users = agents_of(event, *user_roles)
    if len(users) > 1:
        yield "at most one user"
    for user in users:
        yield from _has(user, "who", without=("media", "network"))
        if user["requestor"] is not True:
            yield "the user asked"


def _decision(event: dict[str, Any]) -> Iterator[str]:
    if code_of(event["type"]) != (DCM, "110113") or event["action"] != "E" or "outcome" not in event:
        yield "a security alert, executed, with an outcome"
    if {code_of(one)[0] for one in event["subtype"]} != {"https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType"}:
        yield "every subtype is one of BALP's decisions"
    never = ("altId", "location", "media")
    slices = {
        "client": (APPLICATION, (*never, "role", "name", "purposeOfUse"), None),
        "user": ((f"{HL7}/v3-ParticipationType", "IRCP"), (*never, "network"), True),
        "userorg": ((f"{HL7}/v3-RoleClass", "PROV"), (*never, "role", "name", "policy", "network"), False),
        "authorizer": (
            (f"{HL7}/extra-security-role-type", "authserver"),
            (*never, "role", "name", "policy", "network", "purposeOfUse"),
            False,
        ),
    }
    for name, (role, without, asked) in slices.items():
        found = agents_of(event, role)
        if len(found) != 1:
            yield f"one {name}"
        for agent in found:
            yield from _has(agent, "who", *(["network"] if name == "client" else []), without=without)
            if asked is not None and agent["requestor"] is not asked:
                yield f"requestor of {name}"
            if name == "authorizer" and agent["who"] != event["source"]["observer"]:
                yield "the source is the authorizer (val-audit-source)"
    yield from _patients(event, 1)
    if not entities_of(event, CONSENT) or not all("what" in one for one in entities_of(event, CONSENT)):
        yield "a consent, or that there is none"
    if {code_of(one["type"]) for one in event["entity"]} - {PERSON, CONSENT, TOKEN}:
        yield "the list of entities is closed"


def _disclosure(event: dict[str, Any]) -> Iterator[str]:
    if code_of(event["type"]) != (DCM, "110106") or event["action"] != "R" or "outcome" not in event:
        yield "an export, read, with an outcome"
    if (f"{HL7}/iso-21089-lifecycle", "disclose") not in map(code_of, event["subtype"]):
        yield "one subtype is disclose"
    for role in (SOURCE, DESTINATION):
        found = agents_of(event, role)
        if len(found) != 1:
            yield "one source, one destination"
        for agent in found:
            yield from _has(agent, "who", "network")
            if role == SOURCE and agent["who"] != event["source"]["observer"]:
                yield "the source is the observer (val-audit-source)"
    if len(event["entity"]) < 2:
        yield "patient and data"
    yield from _patients(event, 1)


def _patients(event: dict[str, Any], count: int) -> Iterator[str]:
    patients = entities_of(event, PERSON)
    if len(patients) != count:
        yield f"{count} patients"
    for patient in patients:
        if code_of(patient["role"]) != (f"{HL7}/object-role", "1"):
            yield "role of the patient"
        if not patient["what"].get("reference", "").startswith("Patient/"):
            yield "the patient is a reference"


def _has(holder: dict[str, Any], *names: str, without: tuple[str, ...] = ()) -> Iterator[str]:
    yield from (f"{name} is there" for name in names if not holder.get(name))
    yield from (f"{name} is not there" for name in without if name in holder)
