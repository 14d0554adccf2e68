"""What IHE PCF 1.1 (Foundation and Basic) demands of a Consent, written down by hand, and what R4 forgets to check.

Source: the FSH of IHE/ITI.PCF, CC-BY-4.0. R4's own rules that somebody is the patient never fire (ppc-2 to ppc-5).
"""

from collections.abc import Iterator
from typing import Any

BASIC = "https://profiles.ihe.net/ITI/PCF/StructureDefinition/IHE.PCF.consentBasic"
STATUSES = {"draft", "proposed", "active", "rejected", "inactive", "entered-in-error"}
NEVER = {
    "verification": lambda consent: consent.get("verification"),
    "action": lambda consent: consent["provision"].get("action"),
    "class": lambda consent: consent["provision"].get("class"),
    "code": lambda consent: consent["provision"].get("code"),
    "nested provision": lambda consent: consent["provision"].get("provision"),
    "securityLabel": lambda consent: consent["provision"].get("securityLabel"),
    "dataPeriod": lambda consent: consent["provision"].get("dataPeriod"),
    "data": lambda consent: consent["provision"].get("data"),
    "policyRule beside a policy": lambda consent: consent.get("policyRule"),
}


def broken_rules(consent: dict[str, Any]) -> list[str]:
    """The rules of the profile that a Consent breaks."""
    return list(_rules(consent))


def _rules(consent: dict[str, Any]) -> Iterator[str]:
    if BASIC not in consent.get("meta", {}).get("profile", []):
        yield "names the profile"
    if consent.get("status") not in STATUSES:
        yield "status"
    scope = {(one["system"], one["code"]) for one in consent["scope"]["coding"]}
    if scope != {("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy")}:
        yield "scope is patient-privacy"
    for name in ("category", "patient", "dateTime", "performer", "organization"):
        if not consent.get(name):
            yield f"{name} is there"
    yield from _who_and_why(consent)
    yield from _provision(consent.get("provision", {}))
    yield from (f"never {name}" for name, found in NEVER.items() if found(consent))


def _who_and_why(consent: dict[str, Any]) -> Iterator[str]:
    if not consent.get("patient", {}).get("reference", "").startswith("Patient/"):
        yield "the patient is a patient"
    if len([name for name in consent if name.startswith("source")]) != 1:
        yield "one source"
    if len(consent.get("policy", [])) != 1 or not consent["policy"][0].get("uri"):
        yield "one policy, with an address"


def _provision(provision: dict[str, Any]) -> Iterator[str]:
    if provision.get("type") not in {"permit", "deny"}:
        yield "permits or denies"
    for actor in provision.get("actor", []):
        if {one["code"] for one in actor["role"]["coding"]} != {"IRCP"}:
            yield "actors are recipients"
