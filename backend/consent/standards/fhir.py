"""Consents as FHIR R4: Consent after the content profile IHE PCF 1.1 Basic, and Provenance for each event.

What can not be said in FHIR (channel, legal basis, method, hashes) stands in extensions: a reader who does not know
them still gets a valid Consent. Patients, clinics and representatives are named by their ids here, and not described.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from backend.consent.standards.facts import (
    A_YES,
    ONLY_ASKED,
    Chapter,
    ConsentRecord,
    Json,
    RecordedEvent,
    Speaker,
    Writer,
    instant,
    notice_url,
)
from backend.policy.vocabulary import ConsentStatus, EventKind, Nature, RepresentationKind

BASIC: Final = "https://profiles.ihe.net/ITI/PCF/StructureDefinition/IHE.PCF.consentBasic"
EXTENSIONS: Final = "urn:accord:fhir:"
CHANNELS: Final = "urn:accord:channel"
PURPOSES: Final = "urn:accord:purpose"
METHODS: Final = "urn:accord:collection-method"
STATES: Final = "urn:accord:consent-state"
HL7: Final = "http://terminology.hl7.org/CodeSystem"
ACT_REASON: Final = f"{HL7}/v3-ActReason"
DATA_OPERATION: Final = f"{HL7}/v3-DataOperation"
PARTICIPANT: Final = f"{HL7}/provenance-participant-type"
GDPR: Final = "https://eur-lex.europa.eu/eli/reg/2016/679/oj"
LEGAL_BASIS: Final = {"consent": "A6-1-a", "contract": "A6-1-b", "legal_obligation": "A6-1-c"}
PURPOSE: Final = {
    Nature.CARE: ("TREAT", "treatment"),
    Nature.PREVENTION: ("TREAT", "treatment"),
    Nature.SATISFACTION: ("HOPERAT", "healthcare operations"),
    Nature.MARKETING: ("HMARKT", "healthcare marketing"),
}
AUTHORITY: Final = {"FR": "https://www.cnil.fr"}
GIVES_BY_ITSELF: Final = frozenset({EventKind.GIVEN, EventKind.RENEWED})


def fhir_consent(record: ConsentRecord) -> Json | None:
    """What stands now as one Consent; None where nothing was ever said (an import without proof, a mere mistake)."""
    consents = fhir_consents(record)
    return consents[-1] if consents else None


def fhir_consents(record: ConsentRecord) -> list[Json]:
    """Everything that was said, oldest first: a Consent each. Only the last can be active."""
    last = len(record.chapters) - 1
    return [_consent(record, chapter, is_last=at == last) for at, chapter in enumerate(record.chapters)]


def fhir_provenance(record: ConsentRecord, event: RecordedEvent) -> Json:
    """Where one event comes from: who said it, who wrote it down, when. Its target is the Consent that it concerns."""
    opened = next((one for one in record.chapters if event in (one.opening, one.closing)), None)
    target = event.about if opened is None and event.about is not None else (opened.opening.id if opened else None)
    is_first = opened is not None and opened.opening is event
    told: Json = {
        "resourceType": "Provenance",
        "id": str(event.id),
        "target": [_reference("Consent", target) if target else {"type": "Consent", "identifier": _urn(record.id)}],
        "occurredDateTime": instant(event.occurred_at),
        "recorded": instant(event.recorded_at),
        "activity": _concept(DATA_OPERATION, "CREATE" if is_first else "UPDATE", "create" if is_first else "revise"),
        "agent": _agents(record, event),
        "extension": [
            _extension("consent-event-hash", valueString=f"sha256-{event.sha256}"),
            _coded("consent-event-kind", STATES, event.kind.value),
        ],
    }
    if event.words is not None:
        told["policy"] = [_policy_uri(record, event)]
    return told


def fhir_resources(record: ConsentRecord) -> list[Json]:
    """Everything that was said and where each of it comes from."""
    return [*fhir_consents(record), *(fhir_provenance(record, event) for event in record.events)]


def fhir_bundle(record: ConsentRecord) -> Json:
    """Everything that was said and where each of it comes from, as one Bundle."""
    return bundle_of(fhir_resources(record), site=record.controller.site, at=record.as_of)


def bundle_of(resources: Sequence[Json], *, site: str, at: datetime) -> Json:
    """Resources as one Bundle, in which each finds those that it refers to."""
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": instant(at),
        "entry": [{"fullUrl": f"{site}/fhir/{one['resourceType']}/{one['id']}", "resource": one} for one in resources],
    }


def _consent(record: ConsentRecord, chapter: Chapter, *, is_last: bool) -> Json:
    opening = chapter.opening
    status = _status(record, chapter, is_last=is_last)
    is_no = opening.kind in {EventKind.REFUSED, EventKind.OBJECTED, EventKind.WITHDRAWN}
    policy: Json = {"uri": _policy_uri(record, opening)}
    if record.controller.country in AUTHORITY:
        policy = {"authority": AUTHORITY[record.controller.country], **policy}
    return {
        "resourceType": "Consent",
        "id": str(opening.id),
        "meta": {"profile": [BASIC], "lastUpdated": instant((chapter.closing or opening).recorded_at)},
        "extension": _extensions(record, opening),
        "identifier": [_urn(record.id)],
        "status": status,
        "scope": _concept(f"{HL7}/consentscope", "patient-privacy", "Privacy Consent"),
        "category": [_concept("http://loinc.org", "59284-0", "Consent")],
        "patient": _reference("Patient", record.patient_id),
        "dateTime": instant(opening.occurred_at),
        "performer": [_performer(record, one) for one in opening.spoken_by]
        or [_reference("Patient", record.patient_id)],
        "organization": [_reference("Organization", record.controller.id)],
        # The evidence is sealed and does not leave Accord with this: it is found there by the id of the event.
        "sourceReference": {"type": "DocumentReference", "identifier": _urn(opening.id)},
        "policy": [policy],
        "provision": {
            "type": "deny" if is_no else "permit",
            "period": _period(record, chapter, is_last=is_last),
            "purpose": [_coding(ACT_REASON, *PURPOSE[record.purpose.nature])],
        },
    }


def _status(record: ConsentRecord, chapter: Chapter, *, is_last: bool) -> str:
    kind = chapter.opening.kind
    if chapter.is_error:
        return "entered-in-error"
    if chapter.closing is not None or not is_last:
        return "inactive"
    if kind in ONLY_ASKED:
        return "draft"
    if kind in A_YES and record.status not in {ConsentStatus.GIVEN, ConsentStatus.PENDING}:
        # Its day has passed, or a notice has changed, and the tick that says so has not come yet.
        return "inactive"
    return "proposed" if kind is EventKind.PENDING else "active"


def _period(record: ConsentRecord, chapter: Chapter, *, is_last: bool) -> Json:
    told: Json = {"start": instant(chapter.opening.occurred_at)}
    # What is entered late may end before it began: then it never was.
    if chapter.closing is not None:
        told["end"] = instant(max(chapter.closing.occurred_at, chapter.opening.occurred_at))
    elif is_last and record.holds_until is not None:
        told["end"] = instant(max(record.holds_until, chapter.opening.occurred_at))
    return told


def _extensions(record: ConsentRecord, opening: RecordedEvent) -> list[Json]:
    purpose = record.purpose
    bases = [LEGAL_BASIS[purpose.legal_basis], *filter(None, [purpose.health_data_condition])]
    told = [
        _coded("consent-channel", CHANNELS, record.channel.value),
        _coded("consent-purpose", PURPOSES, purpose.slug),
        *(_extension("consent-legal-basis", valueUri=f"https://w3id.org/dpv/legal/eu/gdpr#{basis}") for basis in bases),
        _coded("consent-collection-method", METHODS, opening.method.value),
        _extension("consent-event-hash", valueString=f"sha256-{opening.sha256}"),
    ]
    if opening.words is not None:
        told.append(_extension("consent-notice-hash", valueString=f"sha256-{opening.words.sha256}"))
    return told


def _policy_uri(record: ConsentRecord, event: RecordedEvent) -> str:
    """The words that were said yes or no to; who withdraws or objects needs none: then it is the right to do so."""
    if event.words is None:
        return GDPR
    return f"{notice_url(record.controller, event.words)}#sha256-{event.words.sha256}"


def _agents(record: ConsentRecord, event: RecordedEvent) -> list[Json]:
    agents = [_agent("performer", "Performer", _performer(record, one)) for one in event.spoken_by]
    organization = _reference("Organization", record.controller.id)
    match event.written_by:
        case Writer.STAFF:
            # To the patient it is enough that staff wrote it down, and not who.
            named: Json = {"identifier": {"value": event.pseudonym}} if event.pseudonym else {"display": "staff"}
            who: Json = {"type": "Practitioner", **named}
            return [*agents, {**_agent("enterer", "Enterer", who), "onBehalfOf": organization}]
        case Writer.SYSTEM:
            return [*agents, _agent("assembler", "Assembler", {"type": "Device", "display": "Accord"})]
    return agents or [_agent("performer", "Performer", _reference("Patient", record.patient_id))]


def _agent(code: str, display: str, who: Json) -> Json:
    return {"type": _concept(PARTICIPANT, code, display), "who": who}


def _performer(record: ConsentRecord, speaker: Speaker) -> Json:
    if speaker.representative_id is None:
        return _reference("Patient", record.patient_id)
    told = _reference("RelatedPerson", speaker.representative_id)
    return told if speaker.by_right is None else {**told, "display": _RIGHT[speaker.by_right]}


_RIGHT: Final = {
    RepresentationKind.PARENTAL_AUTHORITY: "holder of parental authority",
    RepresentationKind.GUARDIANSHIP: "guardian",
    RepresentationKind.CURATORSHIP: "curator",
    RepresentationKind.FAMILY_AUTHORISATION: "family member authorised by a court",
    RepresentationKind.FUTURE_PROTECTION_MANDATE: "holder of a mandate for future protection",
    RepresentationKind.CARER: "carer",
}


def _coded(name: str, system: str, code: str) -> Json:
    return _extension(name, valueCoding={"system": system, "code": code})


def _extension(name: str, **value: object) -> Json:
    return {"url": f"{EXTENSIONS}{name}", **value}


def _concept(system: str, code: str, display: str) -> Json:
    return {"coding": [_coding(system, code, display)]}


def _coding(system: str, code: str, display: str) -> Json:
    return {"system": system, "code": code, "display": display}


def _reference(kind: str, one: UUID) -> Json:
    return {"reference": f"{kind}/{one}"}


def _urn(one: UUID) -> Json:
    return {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{one}"}
